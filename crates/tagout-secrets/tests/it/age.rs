//! The format is the one that others read and write.
use base64::{Engine as _, engine::general_purpose::STANDARD};
use proptest::prelude::*;
use tagout_proto::Secret;
use tagout_secrets::age::{AgeError, Identity, Lock, is_under_passphrase, open, seal};

/// A key, and a file for it and for another key, made by rage 0.11 (by way of pyrage 1.4), with a
/// stanza of no use among its stanzas, as it puts one there.
const KEY: &str = "AGE-SECRET-KEY-1AK2G9T5HHNYANMWNK6PNKXQLECKJYNJHC5T0RNPM6WWTEEHVC6VS7L8L2Y";
const RECIPIENT: &str = "age1fjrjh0guxpq29huuq4v232fag0a6hagltw33muyhgnymvuaf4als4gmpd8";
const FOR_KEY: &str = "YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSA4bndvdzlxeUgrUVd4cG1oNmFySWo5Z0NrTmVUamkyZXFScWNqaFBFSUQwCkx6bVBoSVZHYXR5VFVjWDZ6WlFHTUN1Vy9LV1VuR0NaSXZhbDlpWEc4MnMKLT4gWDI1NTE5IE1kVmlKRXVNaHA5VG1xeTFNQkZOYlIxREJEU2RhbTZTc2s3QXYwWnh2QnMKWDh0RkxQSjJMUXl0T3JzQjhOMXFzSzZ5UHBYRUF0ZTRmU1BGRzBlT3hTOAotPiBSLWdyZWFzZSBvOApFUGZSWXRJL1dUblN0V3JBOGsvYUNiSElSUEt6dWRWSGtjcwotLS0ga2RhRnhQNVFCQ0ozV1RHbE5Vb251N1BLVGoyS1RrMzZURThMaEgyWGY4RQpmnQc3E62GJojJ5mHuxIs56KEb26XCV6E8CIITfWwDvNTixZRZ5oWLdPjWpFmiyUsnW2qPfg==";
/// A file under the passphrase `correct horse`, made by the same.
const FOR_PASSPHRASE: &str = "YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IHNjcnlwdCBLSUVpMW5wZTVWTGRCdGFDZGVqNE9nIDE5CkNqUzJlSHlmeEZwQ2pkTmdsQ0lIMVA2OGFoWjQrRGMvMzdWTzZIVnNUNEUKLS0tIEp2eGEyY0o3YVBwNS9YQytNeUJaNG1QczducU1tQlQwbkJUalZlcC9McGsKjWTnKb9rrvt9AnWASrEv1z31DM6U4RoSvcH+sugvA6l9zW0ocbRnXcPCsyDfDIr2gw==";

fn key() -> Lock {
    Lock::Identity(Identity::read(KEY).unwrap())
}

fn words(text: &str, work: u8) -> Lock {
    Lock::Passphrase(Secret::new(text.to_owned()), work)
}

#[test]
fn what_rage_sealed_is_opened() {
    let sealed = STANDARD.decode(FOR_KEY).unwrap();
    assert_eq!(open(&sealed, &key()).unwrap().expose(), b"kept by another hand\n");
    assert!(!is_under_passphrase(&sealed));
    let other = Lock::Identity(Identity::drawn().unwrap());
    assert_eq!(open(&sealed, &other).unwrap_err(), AgeError::NotForUs);
    let sealed = STANDARD.decode(FOR_PASSPHRASE).unwrap();
    assert!(is_under_passphrase(&sealed));
    let opened = open(&sealed, &words("correct horse", 1)).unwrap();
    assert_eq!(opened.expose(), b"kept under words\n");
    let wrong = open(&sealed, &words("battery staple", 1));
    assert_eq!(wrong.unwrap_err(), AgeError::WrongPassphrase);
    assert_eq!(open(&sealed, &key()).unwrap_err(), AgeError::NotForUs);
}

#[test]
fn keys_are_those_of_age_keygen() {
    let identity = Identity::read(&format!("# made by somebody\n\n{KEY}\n")).unwrap();
    assert_eq!(identity.recipient().to_string(), RECIPIENT);
    assert_eq!(identity.to_text().expose(), KEY);
    for none in
        ["", "# only a comment", RECIPIENT, KEY.trim_end_matches('Y'), &format!("{KEY}\n{KEY}")]
    {
        assert!(Identity::read(none).is_none(), "{none}");
    }
    assert_eq!(format!("{identity:?}"), "Identity(<secret>)");
}

#[test]
fn no_bit_of_a_file_can_be_changed() {
    let sealed = STANDARD.decode(FOR_KEY).unwrap();
    for at in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        assert!(open(&changed, &key()).is_err(), "byte {at}");
        assert!(open(&sealed[..at], &key()).is_err(), "cut at {at}");
    }
    let longer = [sealed.as_slice(), b"x"].concat();
    assert!(open(&longer, &key()).is_err());
}

#[test]
fn headers_that_are_none_are_refused() {
    let sealed = seal(b"x", &words("w", 1)).unwrap();
    let text = String::from_utf8_lossy(&sealed).into_owned();
    let header_end = text.find("---").unwrap();
    let (stanza, rest) = sealed.split_at(header_end);
    let stanza_text = String::from_utf8(stanza.to_vec()).unwrap();
    for (from, to, error) in [
        (" 1\n", " 21\n", AgeError::TooMuchWork),
        (" 1\n", " 0\n", AgeError::Malformed),
        (" 1\n", " 01\n", AgeError::Malformed),
        (" 1\n", " +1\n", AgeError::Malformed),
        (" 1\n", " 0x1\n", AgeError::Malformed),
        (" 1\n", " 1 1\n", AgeError::Malformed),
        (" 1\n", " 2\n", AgeError::WrongPassphrase),
        ("-> scrypt", "-> Scrypt", AgeError::NotForUs),
        ("-> scrypt", "->  scrypt", AgeError::Malformed),
        ("-> scrypt", "-> x\n\n-> scrypt", AgeError::Malformed),
        ("org/v1\n", "org/v1\r\n", AgeError::Malformed),
        ("org/v1\n", "org/v2\n", AgeError::Malformed),
    ] {
        let changed = stanza_text.replacen(from, to, 1);
        assert_ne!(changed, stanza_text, "{from}");
        let changed = [changed.as_bytes(), rest].concat();
        assert_eq!(open(&changed, &words("w", 1)).unwrap_err(), error, "{from:?} to {to:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn what_is_sealed_is_opened(length in 0_usize..200_000, byte: u8) {
        let plain = vec![byte; length];
        let sealed = seal(&plain, &key()).unwrap();
        prop_assert!(open(&sealed, &key()).unwrap().expose() == &plain);
    }

    #[test]
    fn nothing_that_is_read_panics(bytes: Vec<u8>) {
        let file = [b"age-encryption.org/v1\n-> X25519 ".as_slice(), &bytes].concat();
        prop_assert!(open(&bytes, &key()).is_err() && open(&file, &key()).is_err());
    }
}

#[test]
fn chunks_are_whole_and_in_order() {
    for length in [0, 1, 65_535, 65_536, 65_537, 131_072] {
        let plain = vec![7; length];
        let sealed = seal(&plain, &key()).unwrap();
        assert!(open(&sealed, &key()).unwrap().expose() == &plain, "{length}");
        let chunk = sealed.len().saturating_sub(65_552);
        if length > 65_536 {
            assert!(open(&sealed[..chunk], &key()).is_err(), "without its last chunk: {length}");
        }
    }
}
