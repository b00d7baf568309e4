//! CONNECT through the proxy.
use std::{sync::Arc, time::Duration};

use rustls::{ClientConfig, RootCertStore, crypto::ring};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use tagout_wire::egress::{EgressBounds, Kind, Late, Refused};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::TlsConnector;

use super::{
    greeting::{hello, hello_without_name, hidden},
    stand_in::{Behind, echo},
};
use crate::{
    peers::{rest, soon, status, until},
    tls::{Files, served},
};

fn bounds() -> EgressBounds {
    EgressBounds::default()
}

#[tokio::test]
async fn tls_passes_untouched() {
    let files = Files::new();
    let server = served(files.load().unwrap()).await;
    // Its certificate says `localhost`, and so does the greeting.
    let port = server.address.port();
    let mut behind = Behind::new(&[&format!("localhost:{port}")], bounds());
    let stream = behind.tunnel(&format!("localhost:{port}")).await;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(files.chain()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "localhost".try_into().unwrap();
    let mut tls = soon(TlsConnector::from(Arc::new(config)).connect(name, stream)).await.unwrap();
    let host = format!("localhost:{port}");
    let ask = format!("GET /what HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    tls.write_all(ask.as_bytes()).await.unwrap();
    let mut answer = String::new();
    soon(tls.read_to_string(&mut answer)).await.ok();
    assert!(answer.ends_with("GET /what None true"), "{answer}");
    drop(tls);
    let connection = behind.next().await;
    assert_eq!((connection.subject, connection.kind), (Some(host), Kind::Tunnel));
    assert!(
        connection.bytes_out > 200 && connection.bytes_in > 200 && connection.refused.is_none()
    );
}

/// Who is at port 443, at another, and at an address.
#[tokio::test]
async fn the_greeting_has_to_mean_the_host() {
    let echo = echo().await;
    let other =
        |name: &str| Some(Refused::OtherServer(tagout_wire::egress::Host::parse(name).unwrap()));
    for port in [443, 8443] {
        for (name, greeting, refused) in [
            ("app.example", hello("app.example"), None),
            ("app.example", hello("APP.example"), None),
            ("app.example", hello("evil.example"), other("evil.example")),
            ("app.example", hello("x.app.example"), other("x.app.example")),
            ("app.example", hello("127.0.0.1"), other("127.0.0.1")),
            ("app.example", hello_without_name(), Some(Refused::NoServer)),
            ("app.example", hidden("app.example"), Some(Refused::Hidden)),
        ] {
            let mut behind = Behind::at((port, echo), &format!("*:{port}"), bounds());
            let mut stream = behind.tunnel(&format!("{name}:{port}")).await;
            // In pieces.
            for piece in greeting.chunks(7) {
                stream.write_all(piece).await.ok();
                tokio::task::yield_now().await;
            }
            if refused.is_none() {
                let mut back = vec![0; greeting.len()];
                soon(stream.read_exact(&mut back)).await.unwrap();
                assert_eq!(back, greeting, "not a byte is another");
                stream.shutdown().await.unwrap();
            }
            assert_eq!(rest(&mut stream).await, "");
            let connection = behind.next().await;
            assert_eq!(connection.refused, refused, "{port} {name}");
            if refused.is_some() {
                assert_eq!(connection.bytes_out, 0, "nothing of it went out");
                assert_eq!(connection.refused.unwrap().code(), "egress-tls");
            }
        }
    }
}

#[tokio::test]
async fn an_address_needs_no_name() {
    let echo = echo().await;
    let entry = format!("127.0.0.1:{echo}");
    for (greeting, refused) in [(hello_without_name(), false), (hello("evil.example"), true)] {
        let mut behind = Behind::new(&[&entry], bounds());
        let mut stream = behind.tunnel(&entry).await;
        stream.write_all(&greeting).await.unwrap();
        stream.shutdown().await.unwrap();
        let back = rest(&mut stream).await;
        assert_eq!(back.is_empty(), refused);
        assert_eq!(behind.next().await.refused.is_some(), refused);
    }
}

#[tokio::test]
async fn port_443_is_for_tls() {
    let echo = echo().await;
    for said in ["GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", "SSH-2.0-x\r\n", "\0"] {
        let mut behind = Behind::at((443, echo), "app.example:443", bounds());
        let mut stream = behind.tunnel("app.example:443").await;
        stream.write_all(said.as_bytes()).await.unwrap();
        assert_eq!(rest(&mut stream).await, "");
        assert_eq!(behind.code().await, "egress-tls");
        // Elsewhere it is nobody's business.
        let mut behind = Behind::at((8080, echo), "app.example:8080", bounds());
        let mut stream = behind.tunnel("app.example:8080").await;
        stream.write_all(said.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        assert_eq!(rest(&mut stream).await, said);
        assert_eq!(behind.code().await, "");
    }
}

#[tokio::test]
async fn a_host_may_speak_first() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut behind = Behind::new(&[&format!("app.example:{port}")], bounds());
    let mut stream = behind.tunnel(&format!("app.example:{port}")).await;
    let (mut host, _) = soon(listener.accept()).await.unwrap();
    host.write_all(b"220 ready\r\n").await.unwrap();
    until(&mut stream, "220 ready\r\n").await;
    stream.write_all(b"QUIT\r\n").await.unwrap();
    until(&mut host, "QUIT\r\n").await;
    drop(host);
    assert_eq!(rest(&mut stream).await, "");
    drop(stream);
    assert_eq!(behind.next().await.bytes_in, 11);
}

#[tokio::test]
async fn what_comes_with_the_head_is_not_lost() {
    let echo = echo().await;
    let behind = Behind::new(&[&format!("app.example:{echo}")], bounds());
    let mut stream = behind.connect().await;
    let ask = format!("CONNECT app.example:{echo} HTTP/1.0\r\n\r\nearly");
    stream.write_all(ask.as_bytes()).await.unwrap();
    until(&mut stream, "early").await;
}

#[tokio::test]
async fn tunnels_lead_where_the_list_says() {
    let echo = echo().await;
    let mut behind = Behind::new(&[&format!("app.example:{echo}"), "*:443"], bounds());
    for (place, code) in [
        (format!("other.example:{echo}"), "egress-denied"),
        ("app.example:22".to_owned(), "egress-denied"),
        (format!("127.0.0.1:{echo}"), "egress-denied"),
        (format!("localhost:{echo}"), "egress-denied"),
        ("169.254.169.254:443".to_owned(), "egress-address"),
        ("inside.example:443".to_owned(), "egress-address"),
        ("both.example:443".to_owned(), "egress-address"),
        ("localhost:443".to_owned(), "egress-address"),
        ("[::1]:443".to_owned(), "egress-address"),
        ("[::ffff:127.0.0.1]:443".to_owned(), "egress-address"),
        ("[64:ff9b::a9fe:a9fe]:443".to_owned(), "egress-address"),
    ] {
        let ask = format!("CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n\r\n");
        let answer = behind.raw(&ask).await;
        assert_eq!(status(&answer), "403", "{place}");
        assert_eq!(behind.code().await, code, "{place}");
    }
}

#[tokio::test]
async fn a_silent_greeting_is_not_waited_for() {
    let echo = echo().await;
    let bounds = EgressBounds { head: Duration::from_millis(50), ..bounds() };
    for begun in [&b""[..], &[22, 3, 1, 0]] {
        let mut behind = Behind::at((443, echo), "app.example:443", bounds);
        let mut stream = behind.tunnel("app.example:443").await;
        stream.write_all(begun).await.unwrap();
        assert_eq!(rest(&mut stream).await, "");
        assert_eq!(behind.next().await.refused, Some(Refused::Late(Late::Greeting)));
    }
}
