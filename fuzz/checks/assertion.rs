//! What must hold of the statements that servers verify, whatever they are handed.
use std::sync::LazyLock;

use tagout_assertion::{
    ApprovedBy, AssertionError, Call, Claims, LIFETIME_S, SeenOnce, Signer, Verifier,
    digest_of_json,
};

const NOW: i64 = 1_795_284_000;

static SIGNER: LazyLock<Signer> = LazyLock::new(|| Signer::from_seed(&[7; 32]));
static VERIFIER: LazyLock<Verifier> =
    LazyLock::new(|| Verifier::new(vec![SIGNER.public().clone()], "files"));

/// Takes `bytes` as a token, as a change to one, as arguments and as a key set; says whether they
/// are arguments.
pub(crate) fn check(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let Ok(arguments) = digest_of_json("{}") else { return false };
    let call = Call { method: "tools/call", tool: Some("write"), arguments };
    let heard = |token: &str, now| VERIFIER.verify(token, &call, now, &mut SeenOnce::default());
    // Nobody else has the key.
    assert!(heard(&text, NOW).is_err());

    let claims = Claims {
        issuer: SIGNER.issuer(),
        audience: "files".to_owned(),
        user: text.chars().take(40).collect(),
        groups: [text.chars().rev().take(40).collect()].into(),
        authenticated_by: "os-user".to_owned(),
        conversation: None,
        client: Some(text.chars().skip(7).take(40).collect()),
        approvers: vec![ApprovedBy {
            user: text.chars().take(40).collect(),
            approver: bytes.first().map(|_| text.chars().skip(3).take(40).collect()),
            channel: "command".to_owned(),
        }],
        method: "tools/call".to_owned(),
        tool: Some("write".to_owned()),
        arguments,
        record: bytes.len() as u64,
        nonce: "0123456789abcdef0123456789abcdef".to_owned(),
        issued_at: NOW,
        expires_at: NOW + LIFETIME_S,
    };
    let token = SIGNER.sign(&claims);
    assert_eq!(heard(&token, NOW).as_ref(), Ok(&claims));
    assert!(heard(&token, NOW + LIFETIME_S + 1).is_err());
    // Changed anywhere; the place and the change are the input's.
    let (place, change) = (bytes.first().copied(), bytes.get(1).copied().unwrap_or_default());
    let at = usize::from(place.unwrap_or_default()) * 7 % token.len();
    let mut changed = token.clone().into_bytes();
    if let Some(byte) = changed.get_mut(at) {
        *byte ^= change.max(1);
    }
    if let Ok(changed) = String::from_utf8(changed) {
        assert!(heard(&changed, NOW).is_err(), "{at}");
    }
    assert!(heard(token.get(..at).unwrap_or_default(), NOW).is_err());

    let mut seen = SeenOnce::default();
    assert!(VERIFIER.verify(&token, &call, NOW, &mut seen).is_ok());
    assert_eq!(VERIFIER.verify(&token, &call, NOW, &mut seen), Err(AssertionError::Replayed));

    // Arguments that can be read have one digest, which another order of members does not change.
    let digest = digest_of_json(&text);
    if let (Ok(digest), Ok(canonical)) = (&digest, tagout_assertion::in_canonical_form(&text)) {
        assert_eq!(digest_of_json(&canonical).as_ref(), Ok(digest), "{canonical}");
    }
    drop(tagout_assertion::PublicKey::set_of_jwks(&text));
    digest.is_ok()
}
