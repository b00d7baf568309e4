use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use hmac::{Hmac, KeyInit as _, Mac as _};
use proptest::prelude::*;
use sha2::Sha256;
use tagout_assertion::{Call, Claims, SeenOnce, Signer, Verifier, digest_of_json};

use crate::sample::{NOW, call, claims, header, heard, parts, signed, signer, verifier};

#[test]
fn what_was_stated_is_heard() {
    assert_eq!(heard(&signer().sign(&claims())), Ok(claims()));
}

#[test]
fn a_statement_reads_as_the_page_says() {
    let [header, claims] = parts(&signer().sign(&claims()));
    assert_eq!(header, crate::sample::header());
    let expected = format!(
        r#"{{"iss":"{}","aud":"files","sub":"ann","groups":["operators"],"auth":"os-user","#,
        signer().issuer()
    ) + r#""conversation":"c1","client":"a client","approvers":[{"user":"ben","approver":"ben-laptop","channel":"command"}],"method":"tools/call","#
        + r#""tool":"write_file","args":"sha256:"#;
    assert!(claims.starts_with(&expected), "{claims}");
    let end = r#"","record":41,"jti":"0123456789abcdef0123456789abcdef","iat":1795284000,"exp":1795284060}"#;
    assert!(claims.ends_with(end), "{claims}");
}

/// Changes to a good statement, each of which the gateway's own key signs.
type Change = fn(&mut Claims);

#[test]
fn what_is_signed_and_wrong_is_refused() {
    let changes: [(&str, Change); 10] = [
        ("assertion-audience", |c| c.audience = "grid".to_owned()),
        ("assertion-audience", |c| c.audience = "Files".to_owned()),
        ("assertion-key", |c| c.issuer = "tagout:another".to_owned()),
        ("assertion-stale", |c| (c.issued_at, c.expires_at) = (NOW - 60, NOW)),
        ("assertion-stale", |c| c.expires_at = NOW + 3600),
        ("assertion-stale", |c| c.issued_at = i64::MIN),
        ("assertion-future", |c| (c.issued_at, c.expires_at) = (NOW + 10, NOW + 70)),
        ("assertion-call", |c| c.tool = Some("read_file".to_owned())),
        ("assertion-call", |c| (c.method, c.tool) = ("resources/read".to_owned(), None)),
        ("assertion-malformed", |c| c.nonce = String::new()),
    ];
    for (code, change) in changes {
        let mut claims = claims();
        change(&mut claims);
        let refused = heard(&signer().sign(&claims)).unwrap_err();
        assert_eq!(refused.code(), code, "{claims:?}");
    }
}

#[test]
fn a_statement_is_good_once_and_for_its_time() {
    let (token, mut seen) = (signer().sign(&claims()), SeenOnce::default());
    let mut at = |now| verifier().verify(&token, &call(), now, &mut seen).map_err(|e| e.code());
    assert_eq!(at(NOW - 6), Err("assertion-future"));
    assert!(at(NOW - 5).is_ok());
    assert_eq!(at(NOW), Err("assertion-replayed"));
    assert_eq!(at(NOW + 59), Err("assertion-replayed"));
    assert_eq!(at(NOW + 60), Err("assertion-stale"));
}

#[test]
fn other_arguments_are_refused_and_use_nothing_up() {
    let (token, mut seen) = (signer().sign(&claims()), SeenOnce::default());
    let other = digest_of_json(r#"{"path":"notes/other.md","depth":2}"#).unwrap();
    let other = Call { arguments: other, ..call() };
    let refused = verifier().verify(&token, &other, NOW, &mut seen).unwrap_err();
    assert_eq!(refused.code(), "assertion-arguments");
    assert!(verifier().verify(&token, &call(), NOW, &mut seen).is_ok());
}

#[test]
fn another_key_convinces_nobody() {
    let stranger = Signer::from_seed(&[8; 32]);
    let token = stranger.sign(&Claims { issuer: stranger.issuer(), ..claims() });
    assert_eq!(heard(&token).unwrap_err().code(), "assertion-key");
    // Under the name of the gateway's key.
    let [_, theirs] = parts(&token);
    let forged = format!("{}.{}", BASE64.encode(header()), BASE64.encode(theirs));
    let signature = token.rsplit('.').next().unwrap();
    let refused = heard(&format!("{forged}.{signature}")).unwrap_err();
    assert_eq!(refused.code(), "assertion-signature");
    let nobody = Verifier::new(Vec::new(), "files");
    let token = signer().sign(&claims());
    let refused = nobody.verify(&token, &call(), NOW, &mut SeenOnce::default()).unwrap_err();
    assert_eq!(refused.code(), "assertion-key");
}

#[test]
fn other_headers_are_refused() {
    let [_, said] = parts(&signer().sign(&claims()));
    let id = signer().public().id().to_owned();
    let head = |rest: &str| format!(r#"{{{rest},"kid":"{id}"}}"#);
    for (code, header) in [
        ("assertion-algorithm", head(r#""alg":"none","typ":"tagout-assertion+jwt""#)),
        ("assertion-algorithm", head(r#""alg":"eddsa","typ":"tagout-assertion+jwt""#)),
        ("assertion-algorithm", head(r#""alg":["EdDSA"],"typ":"tagout-assertion+jwt""#)),
        ("assertion-algorithm", head(r#""typ":"tagout-assertion+jwt""#)),
        ("assertion-type", head(r#""alg":"EdDSA","typ":"JWT""#)),
        ("assertion-type", head(r#""alg":"EdDSA""#)),
        ("assertion-malformed", head(r#""alg":"EdDSA","alg":"EdDSA","typ":"x""#)),
        ("assertion-malformed", head(r#""alg":"EdDSA","typ":"tagout-assertion+jwt","crit":[]"#)),
        ("assertion-malformed", head(r#""alg":"EdDSA","typ":"tagout-assertion+jwt","jwk":{}"#)),
        ("assertion-malformed", "[]".to_owned()),
        ("assertion-key", r#"{"alg":"EdDSA","typ":"tagout-assertion+jwt"}"#.to_owned()),
    ] {
        let refused = heard(&signed(&header, &said)).unwrap_err();
        assert_eq!(refused.code(), code, "{header}");
    }
}

#[test]
fn a_code_under_the_public_key_is_no_signature() {
    let [_, said] = parts(&signer().sign(&claims()));
    let id = signer().public().id().to_owned();
    for header in
        [format!(r#"{{"alg":"HS256","typ":"tagout-assertion+jwt","kid":"{id}"}}"#), header()]
    {
        let message = format!("{}.{}", BASE64.encode(header), BASE64.encode(&said));
        for key in [signer().public().jwk(), signer().public().jwks()] {
            let mut code = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
            code.update(message.as_bytes());
            let code = BASE64.encode(code.finalize().into_bytes());
            assert!(heard(&format!("{message}.{code}")).is_err());
        }
        assert!(heard(&format!("{message}.")).is_err());
    }
}

#[test]
fn claims_that_two_readers_read_in_two_ways_are_refused() {
    let [_, said] = parts(&signer().sign(&claims()));
    let rest = said.strip_prefix('{').unwrap();
    for claims in [
        format!(r#"{{"sub":"root",{rest}"#),
        format!(r#"{{"s\u0075b":"root",{rest}"#),
        format!(r#"{{"other":1,"other":2,{rest}"#),
        format!("[{said}]"),
        format!("{said}{said}"),
        said.replace(r#""record":41,"#, ""),
        said.replace(r#""record":41"#, r#""record":-41"#),
        said.replace(r#""sub":"ann""#, r#""sub":["ann"]"#),
        said.replace(r#""aud":"files""#, r#""aud":["files"]"#),
        said.replace("sha256:", "sha1:"),
        said.replace("1795284060", "1795284060.5"),
    ] {
        let refused = heard(&signed(&header(), &claims)).unwrap_err();
        assert_eq!(refused.code(), "assertion-malformed", "{claims}");
    }
    // A claim that is new to this verifier changes nothing.
    assert!(heard(&signed(&header(), &format!(r#"{{"later":true,{rest}"#))).is_ok());
}

#[test]
fn what_is_no_token_is_refused() {
    let token = signer().sign(&claims());
    let [header, said] = parts(&token);
    let padded = format!("{}=.{}", BASE64.encode(header), BASE64.encode(said));
    for text in
        ["", ".", "..", "...", "a.b.c", &padded, &format!("{token}."), &format!("{token}.e30")]
    {
        assert_eq!(heard(text).unwrap_err().code(), "assertion-malformed", "{text}");
    }
    let long = format!("{token}{}", "A".repeat(1 << 20));
    assert_eq!(heard(&long).unwrap_err().code(), "assertion-malformed");
}

#[test]
fn what_cannot_be_remembered_is_refused() {
    let mut seen = SeenOnce::new(1);
    let mut used = |nonce: &str, issued_at| {
        let claims =
            Claims { nonce: nonce.to_owned(), issued_at, expires_at: issued_at + 60, ..claims() };
        verifier().verify(&signer().sign(&claims), &call(), issued_at, &mut seen).map(drop)
    };
    assert!(used("a", NOW).is_ok());
    assert_eq!(used("b", NOW + 59).unwrap_err().code(), "assertion-full");
    assert!(used("b", NOW + 60).is_ok());
}

proptest! {
    #[test]
    fn no_change_of_a_token_is_believed(at in 0usize..600, to in "[A-Za-z0-9_.=-]") {
        let token = signer().sign(&claims());
        let at = at % token.len();
        let (before, from) = token.split_at(at);
        let changed: String = before.chars().chain(to.chars()).chain(from.chars().skip(1)).collect();
        prop_assert_eq!(heard(&changed).is_ok(), changed == token);
    }

    #[test]
    fn no_part_of_a_token_is_believed(length in 0usize..600) {
        let token = signer().sign(&claims());
        let length = length % token.len();
        prop_assert!(heard(token.split_at(length).0).is_err());
    }

    #[test]
    fn whatever_is_said_is_heard(user in ".*", client in ".*", group in ".*") {
        let said = Claims { user, client: Some(client), groups: [group].into(), ..claims() };
        prop_assert_eq!(heard(&signer().sign(&said)), Ok(said));
    }

    #[test]
    fn nothing_makes_it_fail(token in ".*", a in ".*", b in ".*") {
        prop_assert!(heard(&token).is_err());
        prop_assert!(heard(&signed(&a, &b)).is_err());
        prop_assert!(heard(&signed(&header(), &b)).is_err());
    }
}
