//! Signatures of lockfiles: those of other programs, and what breaks one.
use tagout_gateway::lockfile::signature::{
    PublicKey, SignatureError, SigningKeyFile, SigningKeyTrouble, verify,
};
use tagout_proto::Secret;

/// Made by `rust-minisign`: a key under the passphrase below, and its signature of [`FILE`].
const KEY: &str = include_str!("signatures/minisign.key");
const SIGNATURE: &str = include_str!("signatures/minisign.sig");
const PUBLIC: &str = "RWQeXBfuccez5i6NsbEY9jPqDKfD3tfVaj2QqYfocN5/i2+n6a+djVXI";
const PASSPHRASE: &str = "correct horse battery";
const FILE: &[u8] = b"version = 2\n";
/// The key of minisign's own examples.
const ANOTHER: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";

fn keys(texts: &[&str]) -> Vec<PublicKey> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn passphrase(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

#[test]
fn minisigns_own_example_holds() {
    let signature = "untrusted comment: signature from minisign secret key\n\
        RUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=\n\
        trusted comment: timestamp:1633700835\tfile:test\tprehashed\n\
        wLMDjy9FLAuxZ3q4NlEvkgtyhrr0gtTu6KC4KBJdITbbOeAi1zBIYo0v4iTgt8jJpIidRJnp94ABQkJAgAooBQ==\n";
    let signed = verify(b"test", Some(signature), &keys(&[ANOTHER])).unwrap();
    assert_eq!(signed.comment, "timestamp:1633700835\tfile:test\tprehashed");
    let wrong = verify(b"Test", Some(signature), &keys(&[ANOTHER])).unwrap_err();
    assert_eq!(wrong, SignatureError::Wrong { id: "E7620F1842B4E81F".to_owned() });
}

#[test]
fn what_another_program_signed_holds() {
    let signed =
        verify(FILE, Some(SIGNATURE), &keys(&[ANOTHER, &format!("ann {PUBLIC}")])).unwrap();
    assert_eq!(signed.by.name, "ann");
    assert_eq!(signed.by.to_string(), PUBLIC);
}

#[test]
fn a_key_of_another_program_signs() {
    let key = SigningKeyFile::parse(KEY).unwrap();
    assert!(key.needs_passphrase());
    let (signature, by) = key.sign(&passphrase(PASSPHRASE), FILE, "a\nb").unwrap();
    assert_eq!(by.to_string(), PUBLIC);
    let signed = verify(FILE, Some(&signature), &keys(&[PUBLIC])).unwrap();
    assert_eq!(signed.comment, "ab");
    let wrong = key.sign(&passphrase("correct horse"), FILE, "").unwrap_err();
    assert_eq!(wrong, SigningKeyTrouble::Passphrase);
}

#[test]
fn a_new_key_signs_what_it_verifies() {
    let short = SigningKeyFile::generate(&passphrase("short")).unwrap_err();
    assert_eq!(short, SigningKeyTrouble::Short);
    let (text, public) = SigningKeyFile::generate(&passphrase(PASSPHRASE)).unwrap();
    let key = SigningKeyFile::parse(&text).unwrap();
    let (signature, by) = key.sign(&passphrase(PASSPHRASE), FILE, "now").unwrap();
    assert_eq!(by, public);
    verify(FILE, Some(&signature), &[public]).unwrap();
}

#[test]
fn any_change_breaks_it() {
    let all = keys(&[PUBLIC]);
    assert_eq!(verify(FILE, None, &all).unwrap_err().code(), "lockfile-unsigned");
    let foreign = verify(FILE, Some(SIGNATURE), &keys(&[ANOTHER])).unwrap_err();
    assert!(matches!(foreign, SignatureError::OtherKey { .. }), "{foreign}");
    assert!(verify(b"version = 2\n\n", Some(SIGNATURE), &all).is_err());
    // Each character but those of the comment that nobody signed.
    let signed_from = SIGNATURE.find('\n').unwrap() + 1;
    for (at, c) in SIGNATURE.char_indices().filter(|(at, _)| *at >= signed_from) {
        if c == '\n' {
            continue;
        }
        let mut changed = SIGNATURE.to_owned();
        changed.replace_range(at..=at, if c == 'A' { "B" } else { "A" });
        let broken = verify(FILE, Some(&changed), &all).unwrap_err();
        assert_eq!(broken.code(), "lockfile-signature", "{at}: {changed}");
    }
    for text in ["", "\n\n\n\n", "untrusted comment: x", &SIGNATURE.replace("RUQ", "RWQ")] {
        let broken = verify(FILE, Some(text), &all).unwrap_err();
        assert_eq!(broken.code(), "lockfile-signature", "{text}");
    }
}

#[test]
fn keys_are_checked() {
    for text in [
        "",
        "ann",
        "RWQ",
        PUBLIC.trim_start_matches('R'),
        &format!("{PUBLIC}A"),
        &PUBLIC.replace("RW", "RU"),
    ] {
        assert!(text.parse::<PublicKey>().is_err(), "{text}");
    }
    let weak = "RWQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    assert!(weak.parse::<PublicKey>().is_err());
    for text in ["", "untrusted comment: x\n", SIGNATURE, PUBLIC] {
        assert!(SigningKeyFile::parse(text).is_err(), "{text}");
    }
}
