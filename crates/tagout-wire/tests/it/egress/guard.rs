//! Names, and where they may lead.
use std::sync::Arc;

use tagout_wire::{
    egress::{Allow, Class, Denied, Guard, Host, danger::guard_with_a_stand_in},
    http::{Client, ClientOptions, HeaderMap, HttpError, Method, StatusCode},
};

use super::stand_in::{Behind, Names, host};
use crate::peers::{Served, soon, status};

fn class_of<T: std::fmt::Debug>(result: Result<T, Denied>) -> Class {
    let denied = result.unwrap_err();
    let Denied::Address { class, .. } = denied else { panic!("{denied:?}") };
    class
}

#[tokio::test]
async fn one_bad_address_spoils_a_name() {
    let names = Names::of(&[
        ("good.example", &[&["1.1.1.1", "2606:4700::1111"]]),
        ("one.example", &[&["1.1.1.1", "8.8.8.8", "10.0.0.1"]]),
        ("six.example", &[&["1.1.1.1", "::ffff:1.1.1.1"]]),
        ("here.example", &[&["127.0.0.1"]]),
        ("none.example", &[&[]]),
        ("localhost", &[&["1.1.1.1"]]),
    ]);
    let guard = Guard::resolving(names.clone());
    let addresses = guard.own("GOOD.example", 443).await.unwrap();
    assert_eq!(
        addresses,
        ["1.1.1.1:443".parse().unwrap(), "[2606:4700::1111]:443".parse().unwrap()]
    );
    assert_eq!(class_of(guard.own("one.example", 443).await), Class::Private);
    assert_eq!(class_of(guard.own("six.example", 443).await), Class::Mapped);
    assert_eq!(class_of(guard.own("here.example", 443).await), Class::Loopback);
    assert_eq!(
        class_of(guard.own("localhost", 443).await),
        Class::Public,
        "somebody answers for it"
    );
    for unknown in ["none.example", "gone.example"] {
        let denied = guard.own(unknown, 443).await.unwrap_err();
        assert!(matches!(denied, Denied::Unknown { .. }), "{denied:?}");
    }
    for odd in ["127.1", "0x7f.1", "2130706433", "good.example.", ""] {
        let denied = guard.own(odd, 443).await.unwrap_err();
        assert!(matches!(denied, Denied::Host { .. }), "{odd}: {denied:?}");
    }
    let private = Guard::resolving(names).allowing_private();
    assert!(private.own("one.example", 443).await.is_ok());
    assert!(private.own("here.example", 443).await.is_ok());
    assert_eq!(class_of(private.own("six.example", 443).await), Class::Mapped, "never");
}

#[tokio::test]
async fn written_addresses_are_meant_but_for_some() {
    let guard = Guard::resolving(Names::of(&[]));
    let allow = Allow::parse(["10.0.0.1:80", "*:443"]).unwrap();
    for (address, own) in [
        ("1.1.1.1", true),
        ("10.0.0.1", true),
        ("127.0.0.1", true),
        ("[::1]", true),
        ("[fd00::1]", true),
        ("169.254.169.254", false),
        ("100.100.100.200", false),
        ("168.63.129.16", false),
        ("169.254.0.1", false),
        ("0.0.0.0", true),
        ("0.0.0.1", false),
        ("[::]", true),
        ("[::ffff:127.0.0.1]", false),
        ("[64:ff9b::7f00:1]", false),
        ("[2002:7f00:1::]", false),
        ("[fd00:ec2::254]", false),
        ("224.0.0.1", false),
    ] {
        assert_eq!(guard.own(address, 80).await.is_ok(), own, "{address}");
        // By a list that names public things only.
        let host = Host::parse(address).unwrap();
        let listed = guard.listed(&host, 443, &allow).await.is_ok();
        assert_eq!(listed, address == "1.1.1.1", "{address}");
    }
    let named = Host::parse("10.0.0.1").unwrap();
    assert!(guard.listed(&named, 80, &allow).await.is_ok(), "this very one");
}

#[tokio::test]
async fn what_is_not_listed_is_not_looked_up() {
    let names = Names::of(&[("a.example", &[&["1.1.1.1"]])]);
    let guard = Guard::resolving(names.clone());
    let allow = Allow::parse(["a.example:443"]).unwrap();
    let host = Host::parse("secret.evil.example").unwrap();
    let denied = guard.listed(&host, 443, &allow).await.unwrap_err();
    assert!(matches!(denied, Denied::NotListed { .. }));
    assert!(names.asked().is_empty(), "a name can carry what was stolen");
}

/// Between look and connection, and from one connection to the next.
#[tokio::test]
async fn rebinding_gets_nowhere() {
    let (port, read) = host("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").await;
    // The stand-in's loopback is public here; what is behind the second answer is not.
    let names = Names::of(&[
        ("turns.example", &[&["127.0.0.1"], &["169.254.169.254"]]),
        ("other.example", &[&["10.0.0.1"], &["127.0.0.1"]]),
    ]);
    let guard = guard_with_a_stand_in(names.clone(), Default::default());
    let entries = [format!("turns.example:{port}"), format!("other.example:{port}")];
    let entries: Vec<_> = entries.iter().map(String::as_str).collect();
    let mut behind = Behind::with(&entries, guard, (names.clone(), Default::default()));
    for _ in 0..3 {
        let answer = behind.get(&format!("http://turns.example:{port}/")).await;
        assert!(answer.ends_with("hi"), "{answer}");
        assert_eq!(behind.code().await, "");
    }
    assert_eq!(names.asked(), ["turns.example"], "once");
    let answer = behind.get(&format!("http://other.example:{port}/")).await;
    assert_eq!(status(&answer), "403");
    assert_eq!(behind.code().await, "egress-address");
    assert_eq!(read.lock().unwrap().len(), 3);
}

/// Where nobody answers, a name is looked up again; what it leads to then is looked at again.
#[tokio::test]
async fn a_refused_connection_opens_no_door() {
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let names = Names::of(&[("turns.example", &[&["127.0.0.1"], &["10.0.0.1"]])]);
    let guard = guard_with_a_stand_in(names.clone(), Default::default());
    let entry = format!("turns.example:{closed}");
    let mut behind = Behind::with(&[&entry], guard, (names, Default::default()));
    let url = format!("http://turns.example:{closed}/");
    assert_eq!(status(&behind.get(&url).await), "502");
    assert_eq!(behind.code().await, "egress-unreachable");
    assert_eq!(status(&behind.get(&url).await), "403");
    assert_eq!(behind.code().await, "egress-address");
}

async fn asked(guard: Guard, url: &str) -> Result<StatusCode, HttpError> {
    let client = Client::new(ClientOptions { guard, ..ClientOptions::default() }).unwrap();
    let uri = url.parse().unwrap();
    let sent = client.send(Method::GET, &uri, HeaderMap::new(), bytes::Bytes::new());
    soon(sent).await.map(|answer| answer.status)
}

/// The gateway's own calls.
#[tokio::test]
async fn the_client_is_guarded() {
    let server = Served::plain().await;
    let port = server.address.port();
    let names = Names::of(&[
        ("here.example", &[&["127.0.0.1"]]),
        ("localhost", &[&["127.0.0.1"]]),
        ("meta.example", &[&["169.254.169.254"]]),
    ]);
    let guard = || Guard::resolving(Arc::clone(&names) as _);
    for (url, private, fine) in [
        (format!("http://127.0.0.1:{port}/what"), false, true),
        (format!("http://localhost:{port}/what"), false, true),
        (format!("http://here.example:{port}/what"), false, false),
        (format!("http://127.1:{port}/what"), true, false),
        (format!("http://2130706433:{port}/what"), true, false),
        (format!("http://[::ffff:127.0.0.1]:{port}/what"), true, false),
        (format!("http://0.0.0.0:{port}/what"), false, true),
        (format!("http://0.0.0.1:{port}/what"), true, false),
        ("http://meta.example/latest".to_owned(), true, false),
        ("http://169.254.169.254/latest".to_owned(), true, false),
    ] {
        let guard = if private { guard().allowing_private() } else { guard() };
        let answer = asked(guard, &url).await;
        match answer {
            Ok(_) => assert!(fine, "{url}"),
            Err(HttpError::Denied(denied)) => assert!(!fine, "{url}: {denied}"),
            Err(other) => panic!("{url}: {other:?}"),
        }
    }
    // Known by that name, this server answers 403: it got the request.
    let url = format!("http://here.example:{port}/what");
    let private = asked(guard().allowing_private(), &url).await.unwrap();
    assert_eq!(private, StatusCode::FORBIDDEN);
}
