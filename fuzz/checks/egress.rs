//! What must hold of the heads of requests to the proxy, of greetings of TLS, of hosts and of lists.
use tagout_wire::egress::{Allow, Class, Head, Hello, Host, Permit, Standing, Wish};

/// Takes `bytes` as each of them; says whether they are any.
pub(crate) fn check(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let found = [head(bytes), hello(bytes), host(&text), list(&text)];
    found.contains(&true)
}

/// What is read is what would be sent, and reads as the same again.
fn head(bytes: &[u8]) -> bool {
    let Ok(Some((head, length))) = Head::read(bytes) else { return false };
    let (read, _) = bytes.split_at(length);
    assert!(read.ends_with(b"\r\n\r\n"));
    assert_eq!(read.windows(4).filter(|four| *four == b"\r\n\r\n").count(), 1);
    for end in [0, 1, length / 2, length - 1] {
        assert!(matches!(Head::read(&read[..end]), Ok(None)), "{end}");
    }
    let passed = head.passed_on();
    for hop in ["connection", "proxy-authorization", "transfer-encoding", "upgrade", "te", "host"] {
        assert!(!passed.contains_key(hop), "{hop}");
    }
    let (host, port) = (&head.host, head.port);
    let line = match &head.wish {
        Wish::Tunnel => format!("CONNECT {host}:{port}"),
        Wish::Request { method, path } => format!("{method} http://{host}:{port}{path}"),
    };
    let again = format!("{line} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n");
    let (again, _) = Head::read(again.as_bytes()).unwrap().unwrap();
    assert_eq!((&again.host, again.port), (host, port), "{line}");
    match (&again.wish, &head.wish) {
        (Wish::Request { path: one, .. }, Wish::Request { path: other, .. }) => {
            assert_eq!(one, other);
        }
        (Wish::Tunnel, Wish::Tunnel) => {}
        (Wish::Tunnel, Wish::Request { .. }) | (Wish::Request { .. }, Wish::Tunnel) => {
            panic!("{line} is another wish");
        }
    }
    true
}

/// However much of it is there, it never means one server and then another.
fn hello(bytes: &[u8]) -> bool {
    let Ok(Some(hello)) = Hello::read(bytes) else { return false };
    for end in 0..bytes.len().min(600) {
        match Hello::read(&bytes[..end]) {
            Ok(None) => {}
            Ok(Some(early)) => assert_eq!(early, hello),
            Err(error) => panic!("{error} at {end}"),
        }
    }
    true
}

fn host(text: &str) -> bool {
    let Ok(host) = Host::parse(text) else { return false };
    assert_eq!(Host::parse(&host.to_string()).as_ref(), Ok(&host));
    assert_eq!(Host::parse(&text.to_ascii_uppercase()).as_ref(), Ok(&host));
    if let Host::Address(address) = &host {
        let standing = Class::of(*address).standing();
        let list = Allow::parse([format!("{host}:1")]);
        assert_eq!(list.is_err(), standing == Standing::Never, "{host}");
        let named = list.ok().and_then(|list| list.permits(&host, 1));
        assert_eq!(named, (standing != Standing::Never).then_some(Permit::Named));
    }
    true
}

fn list(text: &str) -> bool {
    let Ok(list) = Allow::parse(text.lines()) else { return false };
    let again = Allow::parse(list.to_string().split(", ").filter(|entry| !entry.is_empty()));
    assert_eq!(again.as_ref(), Ok(&list));
    !list.is_empty()
}
