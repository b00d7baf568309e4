//! AWS Secrets Manager, by a stand-in on loopback.
use serde_json::{Value, json};
use tagout_secrets::aws::AwsSettings;
use tagout_testkit::keepers::{Asked, Keeper};

use crate::world::{Hands, Wire, kept, world};

fn settings(folder: &tempfile::TempDir, keeper: &Keeper) -> AwsSettings {
    AwsSettings {
        region: "eu-central-1".to_owned(),
        endpoint: Some(keeper.url()),
        access_key_id: kept(folder, "id", "AKIDEXAMPLE"),
        secret_access_key: kept(folder, "key", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
        session_token: Some(kept(folder, "session", "the-session")),
    }
}

fn answer(asked: &Asked) -> (u16, String) {
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", "/"));
    assert_eq!(asked.header("x-amz-target"), "secretsmanager.GetSecretValue");
    assert_eq!(asked.header("content-type"), "application/x-amz-json-1.1");
    assert_eq!(asked.header("x-amz-security-token"), "the-session");
    let authorization = asked.header("authorization");
    let scope = format!(
        "/{}/eu-central-1/secretsmanager/aws4_request",
        asked.header("x-amz-date").split('T').next().unwrap()
    );
    assert!(authorization.starts_with(&format!("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE{scope}")));
    let signed = "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target";
    assert!(authorization.contains(signed), "{authorization}");
    let body: Value = serde_json::from_str(&asked.body).unwrap();
    let trouble =
        |kind: &str| (400, json!({ "__type": kind, "Message": "about hunter2" }).to_string());
    match body["SecretId"].as_str().unwrap() {
        "plain" => (200, json!({ "SecretString": "hunter2" }).to_string()),
        "object" => {
            let object = json!({ "user": "ann", "port": 5432, "list": ["hunter2"] }).to_string();
            (200, json!({ "SecretString": object }).to_string())
        }
        "binary" => (200, json!({ "SecretBinary": "aHVudGVyMg==" }).to_string()),
        "denied" => trouble("com.amazonaws#AccessDeniedException"),
        "busy" => trouble("ThrottlingException"),
        _ => trouble("ResourceNotFoundException"),
    }
}

#[tokio::test]
async fn secrets_are_read_and_their_members_too() {
    let folder = tempfile::tempdir().unwrap();
    let keeper = Keeper::start(answer).unwrap();
    let settings = settings(&folder, &keeper);
    let (wire, clock) = (Wire::new(), Hands::at_noon());
    let world = world(&wire, &clock);
    for (name, field, expected) in [
        ("plain", None, "hunter2"),
        ("object", Some("user"), "ann"),
        ("object", Some("port"), "5432"),
    ] {
        let read = settings.read(world, (name, field)).await.unwrap();
        assert_eq!(read.value.expose(), expected);
    }
    for (name, field, code) in [
        ("nothing", None, "secret-missing"),
        ("object", Some("other"), "secret-missing"),
        ("object", Some("list"), "secret-unusable"),
        ("plain", Some("user"), "secret-unusable"),
        ("binary", None, "secret-unusable"),
        ("denied", None, "secret-denied"),
        ("busy", None, "secret-unreachable"),
    ] {
        let before = keeper.asked().len();
        let error = settings.read(world, (name, field)).await.unwrap_err();
        assert_eq!(error.code(), code, "{name}: {error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        let tries = if name == "busy" { 3 } else { 1 };
        assert_eq!(keeper.asked().len() - before, tries, "{name}");
    }
}

/// The stand-in's own check that the signature covers what came: made again from what was received.
#[tokio::test]
async fn the_signature_is_over_what_is_sent() {
    use tagout_proto::Secret;
    use tagout_secrets::aws::{Credentials, Signing, signed};
    let folder = tempfile::tempdir().unwrap();
    let keeper = Keeper::start(answer).unwrap();
    let (wire, clock) = (Wire::new(), Hands::at_noon());
    let settings = settings(&folder, &keeper);
    settings.read(world(&wire, &clock), ("plain", None)).await.unwrap();
    let asked = keeper.asked().remove(0);
    let names = ["content-type", "host", "x-amz-date", "x-amz-security-token", "x-amz-target"];
    let signing = Signing {
        method: "POST",
        path: "/",
        query: "",
        headers: names.iter().map(|name| (*name, asked.header(name))).collect(),
        body: asked.body.as_bytes(),
        region: "eu-central-1",
        service: "secretsmanager",
        at: tagout_secrets::Clock::now(&clock),
    };
    let credentials = Credentials {
        access_key_id: Secret::new("AKIDEXAMPLE".to_owned()),
        secret_access_key: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned()),
        session_token: None,
    };
    assert_eq!(signed(&signing, &credentials).expose(), asked.header("authorization"));
}
