//! A gateway's statement about a call, and the server that hears it.
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use ed25519_dalek::{Signer as _, SigningKey};
use tagout_assertion::{
    ApprovedBy, AssertionError, Call, Claims, LIFETIME_S, SeenOnce, Signer, Verifier,
    digest_of_json,
};

pub(crate) const NOW: i64 = 1_795_284_000;
pub(crate) const ARGUMENTS: &str = r#"{"path":"notes/today.md","depth":2}"#;
const SEED: [u8; 32] = [7; 32];

pub(crate) fn signer() -> Signer {
    Signer::from_seed(&SEED)
}

pub(crate) fn claims() -> Claims {
    Claims {
        issuer: signer().issuer(),
        audience: "files".to_owned(),
        user: "ann".to_owned(),
        groups: ["operators".to_owned()].into(),
        authenticated_by: "os-user".to_owned(),
        conversation: Some("c1".to_owned()),
        client: Some("a client".to_owned()),
        approvers: vec![ApprovedBy {
            user: "ben".to_owned(),
            approver: Some("ben-laptop".to_owned()),
            channel: "command".to_owned(),
        }],
        method: "tools/call".to_owned(),
        tool: Some("write_file".to_owned()),
        arguments: digest_of_json(ARGUMENTS).unwrap(),
        record: 41,
        nonce: "0123456789abcdef0123456789abcdef".to_owned(),
        issued_at: NOW,
        expires_at: NOW + LIFETIME_S,
    }
}

pub(crate) fn call() -> Call<'static> {
    Call {
        method: "tools/call",
        tool: Some("write_file"),
        arguments: digest_of_json(ARGUMENTS).unwrap(),
    }
}

pub(crate) fn verifier() -> Verifier {
    Verifier::new(vec![signer().public().clone()], "files")
}

/// What the server says of a token that it hears for the first time.
pub(crate) fn heard(token: &str) -> Result<Claims, AssertionError> {
    verifier().verify(token, &call(), NOW + 1, &mut SeenOnce::default())
}

/// A token of the gateway's key, whatever it says.
pub(crate) fn signed(header: &str, claims: &str) -> String {
    let message = format!("{}.{}", BASE64.encode(header), BASE64.encode(claims));
    let signature = SigningKey::from_bytes(&SEED).sign(message.as_bytes());
    format!("{message}.{}", BASE64.encode(signature.to_bytes()))
}

pub(crate) fn header() -> String {
    let id = signer().public().id().to_owned();
    format!(r#"{{"alg":"EdDSA","typ":"tagout-assertion+jwt","kid":"{id}"}}"#)
}

/// The parts of a token, read.
pub(crate) fn parts(token: &str) -> [String; 2] {
    let mut parts = token.split('.').map(|part| BASE64.decode(part).unwrap());
    [parts.next(), parts.next()].map(|part| String::from_utf8(part.unwrap()).unwrap())
}
