//! The greeting of TLS.
use std::sync::Arc;

use proptest::prelude::*;
use rustls::{ClientConfig, ClientConnection, RootCertStore, crypto::ring};
use tagout_wire::egress::{Hello, HelloError, Host, HostError};

/// An extension.
fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
    let mut all = kind.to_be_bytes().to_vec();
    all.extend(u16::try_from(content.len()).unwrap().to_be_bytes());
    all.extend(content);
    all
}

/// The extension that names a server.
fn named(name: &[u8]) -> Vec<u8> {
    let length = u16::try_from(name.len()).unwrap();
    let mut content = (length + 3).to_be_bytes().to_vec();
    content.push(0);
    content.extend(length.to_be_bytes());
    content.extend(name);
    extension(0, &content)
}

/// A handshake message with these extensions.
fn message(extensions: &[u8]) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([0, 0, 2, 0x13, 1, 1, 0]);
    body.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
    body.extend(extensions);
    let mut all = vec![1, 0];
    all.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
    all.extend(body);
    all
}

/// The message in records of at most `size` bytes.
fn records(message: &[u8], size: usize) -> Vec<u8> {
    message
        .chunks(size)
        .flat_map(|piece| {
            let mut record = vec![22, 3, 1];
            record.extend(u16::try_from(piece.len()).unwrap().to_be_bytes());
            record.extend(piece);
            record
        })
        .collect()
}

/// A greeting that names `name`.
pub(super) fn hello(name: &str) -> Vec<u8> {
    records(&message(&named(name.as_bytes())), 1 << 14)
}

pub(super) fn hello_without_name() -> Vec<u8> {
    records(&message(&extension(43, &[2, 3, 4])), 1 << 14)
}

pub(super) fn hidden(name: &str) -> Vec<u8> {
    let both = [named(name.as_bytes()), extension(0xfe0d, &[0; 40])].concat();
    records(&message(&both), 1 << 14)
}

/// What rustls says first.
fn of_rustls(name: &str) -> Vec<u8> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let name = name.to_owned().try_into().unwrap();
    let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut bytes = Vec::new();
    connection.write_tls(&mut bytes).unwrap();
    bytes
}

fn server(bytes: &[u8]) -> Result<Option<String>, HelloError> {
    let hello = Hello::read(bytes)?.expect("it is whole");
    assert!(!hello.encrypted);
    Ok(hello.server.map(|host| host.to_string()))
}

#[test]
fn the_server_is_found() {
    let named = |name: &str| Ok(Some(name.to_owned()));
    assert_eq!(server(&of_rustls("api.example.com")), named("api.example.com"));
    assert_eq!(server(&of_rustls("10.0.0.1")), Ok(None));
    assert_eq!(server(&hello("API.Example.com")), named("api.example.com"));
    assert_eq!(server(&hello_without_name()), Ok(None));
    assert_eq!(server(&records(&message(&[]), 1 << 14)), Ok(None));
    assert!(Hello::read(&hidden("a.example")).unwrap().unwrap().encrypted);
    let old = records(&message(&extension(0xffce, &[0])), 1 << 14);
    assert!(Hello::read(&old).unwrap().unwrap().encrypted);
}

#[test]
fn it_may_be_cut_anywhere() {
    for size in [1, 3, 4, 5, 17, 100] {
        let whole = records(&message(&named(b"a.example")), size);
        assert_eq!(server(&whole), Ok(Some("a.example".to_owned())), "{size}");
        for end in 0..whole.len() {
            assert_eq!(Hello::read(&whole[..end]), Ok(None), "{size} {end}");
        }
    }
}

#[test]
fn what_is_odd_is_refused() {
    let two = [named(b"a.example"), named(b"b.example")].concat();
    let mut several = vec![0, 12 + 12, 0, 0, 9];
    several.extend(b"a.example");
    several.extend([0, 0, 9]);
    several.extend(b"b.example");
    let mut trailing = message(&named(b"a.example"));
    trailing.extend([0, 0]);
    trailing[3] += 2;
    for (bytes, problem) in [
        (b"GET / HTTP/1.1".to_vec(), HelloError::NotTls),
        (vec![0x80, 0x2e, 1, 3, 1], HelloError::NotTls),
        (vec![22, 2, 0, 0, 5], HelloError::NotTls),
        (vec![22, 3, 1, 0, 0], HelloError::Malformed),
        (vec![22, 3, 1, 0xff, 0xff], HelloError::Malformed),
        (vec![22, 3, 1, 0, 4, 2, 0, 0, 0], HelloError::Malformed),
        (vec![22, 3, 1, 0, 4, 1, 0, 0, 0], HelloError::Malformed),
        (vec![22, 3, 1, 0, 4, 1, 0xff, 0, 0], HelloError::TooLarge),
        (vec![22, 3, 1, 0, 1, 1, 23, 3, 1, 0, 1, 0], HelloError::NotTls),
        (records(&message(&two), 500), HelloError::Malformed),
        (records(&message(&extension(0, &several)), 500), HelloError::Malformed),
        (records(&message(&extension(0, &[])), 500), HelloError::Malformed),
        (records(&message(&[0, 0, 0, 9]), 500), HelloError::Malformed),
        (records(&trailing, 500), HelloError::Malformed),
        (hello("127.1"), HelloError::Name(HostError::OddNumber)),
        (hello("a.example."), HelloError::Name(HostError::Dots)),
        (hello("a\0.example"), HelloError::Name(HostError::Character)),
        (hello(""), HelloError::Name(HostError::Empty)),
    ] {
        assert_eq!(Hello::read(&bytes), Err(problem), "{bytes:?}");
    }
    let endless = records(&[1; 100], 1);
    let endless: Vec<u8> = [&[22, 3, 1, 0, 4, 1, 0, 0x7f, 0xff][..], &endless].concat();
    assert_eq!(Hello::read(&endless), Ok(None));
    let many = records(&[&[1, 0, 0x7f, 0xff][..], &[0; 6000]].concat(), 1);
    assert_eq!(Hello::read(&many), Err(HelloError::TooLarge));
}

proptest! {
    #[test]
    fn any_bytes_are_read(bytes: Vec<u8>, start in 0usize..3) {
        let greeting = [&[22, 3, 1, 0, 60, 1, 0, 0, 56, 3, 3][..10 + start.min(1)], &bytes].concat();
        drop(Hello::read(&bytes));
        drop(Hello::read(&greeting));
    }

    #[test]
    fn a_changed_byte_names_no_other_by_chance(at in 0usize..60, to: u8) {
        let mut bytes = of_rustls("api.example.com");
        let at = at % bytes.len();
        bytes[at] = to;
        if let Ok(Some(hello)) = Hello::read(&bytes) {
            let same = Some(Host::Name("api.example.com".to_owned()));
            prop_assert!(hello.server == same || hello.server.is_none());
        }
    }
}

#[test]
fn reading_needs_no_more_than_it_is_given() {
    let mut all = hello("a.example");
    all.extend([22; 70_000]);
    assert_eq!(server(&all), Ok(Some("a.example".to_owned())));
}
