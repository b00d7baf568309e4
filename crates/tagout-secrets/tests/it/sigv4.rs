//! Signatures are those that AWS published: its "Signature Version 4 test suite" and the example of
//! `ListUsers` in the IAM user guide.
use tagout_proto::Secret;
use tagout_secrets::aws::{Credentials, Signing, signed};

fn signature(signing: &Signing<'_>) -> String {
    let credentials = Credentials {
        access_key_id: Secret::new("AKIDEXAMPLE".to_owned()),
        secret_access_key: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned()),
        session_token: None,
    };
    signed(signing, &credentials).expose().rsplit('=').next().unwrap().to_owned()
}

const HOST: (&str, &str) = ("host", "example.amazonaws.com");
const DATE: (&str, &str) = ("x-amz-date", "20150830T123600Z");

fn of<'a>(
    method: &'a str,
    query: &'a str,
    more: &[(&'a str, &'a str)],
    body: &'a str,
) -> Signing<'a> {
    Signing {
        method,
        path: "/",
        query,
        headers: [&[HOST, DATE], more].concat(),
        body: body.as_bytes(),
        region: "us-east-1",
        service: "service",
        at: "2015-08-30T12:36:00Z".parse().unwrap(),
    }
}

#[test]
fn signatures_are_those_of_the_test_suite() {
    let form = ("content-type", "application/x-www-form-urlencoded");
    for (name, signing, expected) in [
        (
            "get-vanilla",
            of("GET", "", &[], ""),
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
        (
            "post-vanilla",
            of("POST", "", &[], ""),
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
        ),
        (
            "get-vanilla-query-order-key-case",
            of("GET", "Param1=value1&Param2=value2", &[], ""),
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        (
            "get-header-value-trim",
            of("GET", "", &[("my-header1", " value1"), ("my-header2", " \"a   b   c\"")], ""),
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
        ),
        (
            "post-x-www-form-urlencoded",
            of("POST", "", &[form], "Param1=value1"),
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        ),
    ] {
        assert_eq!(signature(&signing), expected, "{name}");
    }
}

#[test]
fn the_guides_example_is_signed_as_there() {
    let signing = Signing {
        query: "Action=ListUsers&Version=2010-05-08",
        headers: vec![
            DATE,
            ("host", "iam.amazonaws.com"),
            ("content-type", "application/x-www-form-urlencoded; charset=utf-8"),
        ],
        service: "iam",
        ..of("GET", "", &[], "")
    };
    let expected = "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7";
    assert_eq!(signature(&signing), expected);
}
