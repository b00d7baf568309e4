//! Requests to servers of every kind.
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use tagout_wire::{
    egress::Guard,
    http::{
        Answer, Client, ClientOptions, Ends, HeaderMap, HeaderValue, HttpError, Method, StatusCode,
        Uri, Vet, Vetted, header,
    },
    sse::SseError,
};
use tokio::{io::AsyncReadExt as _, net::TcpListener};

use crate::{
    egress::stand_in::Names,
    peers::{Served, scripted, soon},
};

pub(crate) fn client() -> Client {
    Client::new(ClientOptions::default()).unwrap()
}

pub(crate) async fn send(
    client: &Client,
    method: Method,
    address: SocketAddr,
    path: &str,
) -> Result<Answer, HttpError> {
    let uri: Uri = format!("http://{address}{path}").parse().unwrap();
    let body = if method == Method::POST { Bytes::from_static(b"{}") } else { Bytes::new() };
    soon(client.send(method, &uri, HeaderMap::new(), body)).await
}

#[tokio::test]
async fn a_request_is_answered() {
    let server = Served::plain().await;
    let client = client();
    let answer = send(&client, Method::POST, server.address, "/echo").await.unwrap();
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.headers[header::CONTENT_TYPE], "text/plain");
    assert_eq!(answer.body.collect(2).await.unwrap(), "{}");
    let answer = send(&client, Method::GET, server.address, "/what?a").await.unwrap();
    assert_eq!(answer.body.collect(100).await.unwrap(), r#"GET /what Some("a") false"#);
    let answer = send(&client, Method::GET, server.address, "/redirect").await.unwrap();
    assert_eq!(answer.status, StatusCode::FOUND, "which is not followed");
}

#[tokio::test]
async fn what_is_ours_to_say_is_ours() {
    let (address, server) =
        scripted(vec![vec!["HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"]]).await;
    let mut headers = HeaderMap::new();
    for (name, value) in [
        (header::HOST, "evil.example"),
        (header::CONTENT_LENGTH, "99"),
        (header::TRANSFER_ENCODING, "chunked"),
        (header::CONNECTION, "close"),
        (header::EXPECT, "100-continue"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert("mcp-method", HeaderValue::from_static("ping"));
    let uri: Uri = format!("http://{address}").parse().unwrap();
    let client = client();
    let sent = client.send(Method::DELETE, &uri, headers, Bytes::new());
    assert_eq!(soon(sent).await.unwrap().status, StatusCode::ACCEPTED);
    let request = server.await.unwrap().concat().concat();
    let mut lines: Vec<_> = request.trim_end().split("\r\n").collect();
    assert_eq!(lines.remove(0), "DELETE / HTTP/1.1");
    lines.sort_unstable();
    assert_eq!(lines, ["content-length: 0", &format!("host: {address}"), "mcp-method: ping"]);
}

#[tokio::test]
async fn addresses_are_checked() {
    let client = client();
    for bad in ["ftp://localhost/", "/path", "http://user@localhost/", "http://user:x@localhost/"] {
        let uri = bad.parse().unwrap();
        let sent = client.send(Method::GET, &uri, HeaderMap::new(), Bytes::new());
        let error = soon(sent).await.unwrap_err();
        assert!(matches!(error, HttpError::Address { .. }) && !error.reached(), "{bad}: {error}");
        assert!(!error.to_string().contains("user:"), "{error}");
    }
}

#[tokio::test]
async fn nobody_there_and_nobody_known_are_told_apart() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = send(&client(), Method::POST, free, "/").await.unwrap_err();
    assert!(matches!(error, HttpError::Refused { .. }) && !error.reached(), "{error}");
    let guard = Guard::resolving(Names::of(&[]));
    let client = Client::new(ClientOptions { guard, ..ClientOptions::default() }).unwrap();
    let uri = Uri::from_static("http://nobody.invalid/");
    let sent = client.send(Method::GET, &uri, HeaderMap::new(), Bytes::new()).await;
    let error = sent.unwrap_err();
    assert!(matches!(error, HttpError::Dns { .. }) && !error.reached(), "{error}");
    // A name that no resolver takes, so that none is asked.
    let uri: Uri = format!("http://{}.invalid/", "a".repeat(64)).parse().unwrap();
    let sent = client.send(Method::GET, &uri, HeaderMap::new(), Bytes::new()).await;
    let error = sent.unwrap_err();
    assert!(matches!(error, HttpError::Denied(_)) && !error.reached(), "{error}");
}

/// Lets so many connections pass.
#[derive(Debug)]
struct Doorkeeper {
    passes: usize,
    seen: Mutex<Vec<Ends>>,
}

impl Vet for Doorkeeper {
    fn vet(&self, ends: Ends) -> Vetted<'_> {
        let mut seen = self.seen.lock().unwrap();
        seen.push(ends);
        let passes = seen.len() <= self.passes;
        Box::pin(async move { if passes { Ok(()) } else { Err("a stranger".to_owned()) } })
    }
}

#[tokio::test]
async fn a_stranger_gets_no_byte() {
    let server = Served::plain().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let keeper = Arc::new(Doorkeeper { passes: 2, seen: Mutex::default() });
    let client = Client::vetting(ClientOptions::default(), keeper.clone()).unwrap();
    for _ in 0..2 {
        let answer = send(&client, Method::POST, server.address, "/echo").await.unwrap();
        assert_eq!(answer.body.collect(2).await.unwrap(), "{}");
    }
    let address = listener.local_addr().unwrap();
    let error = send(&client, Method::POST, address, "/").await.unwrap_err();
    assert!(matches!(error, HttpError::Stranger { .. }) && !error.reached(), "{error}");
    let (mut stream, from) = soon(listener.accept()).await.unwrap();
    let mut got = Vec::new();
    soon(stream.read_to_end(&mut got)).await.unwrap();
    assert!(got.is_empty(), "{got:?}");
    let seen = keeper.seen.lock().unwrap();
    assert_eq!((seen[0].peer, seen[1].peer), (server.address, server.address));
    assert_ne!(seen[0].own, seen[1].own, "every request has a connection of its own");
    assert_eq!(seen[2..], [Ends { own: from, peer: address }]);
}

#[tokio::test]
async fn a_server_that_says_nothing_is_left() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let short = Duration::from_millis(50);
    let impatient =
        Client::new(ClientOptions { answer: short, ..ClientOptions::default() }).unwrap();
    let error = send(&impatient, Method::POST, address, "/").await.unwrap_err();
    assert!(matches!(error, HttpError::TimedOut { reached: true }), "{error}");
    // It takes the connection, but speaks no TLS.
    let impatient =
        Client::new(ClientOptions { connect: short, ..ClientOptions::default() }).unwrap();
    let uri: Uri = format!("https://{address}/").parse().unwrap();
    let sent = impatient.send(Method::POST, &uri, HeaderMap::new(), Bytes::new());
    let error = soon(sent).await.unwrap_err();
    assert!(!error.reached(), "{error}");
}

#[tokio::test]
async fn answers_that_are_none_are_told() {
    let cases = [
        "",
        "garbage\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nbroken",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    ];
    for answer in cases {
        let (address, _server) = scripted(vec![vec![answer]]).await;
        match send(&client(), Method::POST, address, "/").await {
            Err(error) => {
                assert!(matches!(error, HttpError::Broken { reached: true, .. }), "{error}");
            }
            Ok(got) => assert!(answer.contains("101"), "{answer:?}: {got:?}"),
        }
    }
}

#[tokio::test]
async fn bodies_have_a_bound_and_an_end() {
    const HEAD: &str = "HTTP/1.1 200 OK\r\n";
    let cases: &[(&str, Result<&str, &str>)] = &[
        ("Content-Length: 3\r\n\r\nabc", Ok("abc")),
        ("Content-Length: 6\r\n\r\nabcdef", Err("the answer is longer than 5 bytes")),
        ("Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", Ok("abcde")),
        (
            "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n",
            Err("the answer is longer than 5 bytes"),
        ),
        ("\r\nabc", Ok("abc")),
        ("Content-Length: 5\r\n\r\nabc", Err("the connection broke: ")),
        ("Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", Err("the connection broke: ")),
        ("Transfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n", Err("the connection broke: ")),
        ("Content-Length: 0\r\n\r\n", Ok("")),
    ];
    for (answer, expected) in cases {
        let whole: &'static str = format!("{HEAD}{answer}").leak();
        let (address, _server) = scripted(vec![vec![whole]]).await;
        let got = send(&client(), Method::POST, address, "/").await.unwrap();
        let body = soon(got.body.collect(5)).await;
        match (body, expected) {
            (Ok(body), Ok(expected)) => assert_eq!(body, *expected, "{answer:?}"),
            (Err(error), Err(expected)) => {
                assert!(error.to_string().starts_with(expected), "{answer:?}: {error}");
            }
            (body, _) => panic!("{answer:?}: {body:?}"),
        }
    }
}

#[tokio::test]
async fn heads_have_a_bound() {
    let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(200_000)).leak();
    let many: String = (0..200).map(|n| format!("X{n}: y\r\n")).collect();
    let many = format!("HTTP/1.1 200 OK\r\n{many}\r\n").leak();
    for answer in [&*long, &*many] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            crate::peers::until(&mut stream, "\r\n\r\n").await;
            // It is not read to its end.
            tokio::io::AsyncWriteExt::write_all(&mut stream, answer.as_bytes()).await.ok();
            crate::peers::rest(&mut stream).await;
        });
        let error = send(&client(), Method::POST, address, "/").await.unwrap_err();
        assert!(matches!(error, HttpError::Broken { reached: true, .. }), "{error}");
    }
}

#[tokio::test]
async fn events_come_as_they_are_sent() {
    let mut server = Served::plain().await;
    let answer = send(&client(), Method::GET, server.address, "/stream").await.unwrap();
    assert_eq!(answer.headers[header::CONTENT_TYPE], "text/event-stream");
    let sender = server.next_stream().await;
    let mut events = answer.body.events(10);
    for piece in ["data: a\n\ndata:", " b\n", "\n"] {
        sender.send(Bytes::from_static(piece.as_bytes())).await.unwrap();
    }
    for expected in ["a", "b"] {
        assert_eq!(soon(events.next()).await.unwrap().unwrap().data, expected);
    }
    // Nothing is lost by giving up in the middle.
    sender.send(Bytes::from_static(b"data: c")).await.unwrap();
    let short = Duration::from_millis(50);
    assert!(tokio::time::timeout(short, events.next()).await.is_err());
    sender.send(Bytes::from_static(b"\n\ndata: 12345678901\n\ndata: d\n\n")).await.unwrap();
    assert_eq!(soon(events.next()).await.unwrap().unwrap().data, "c");
    let error = soon(events.next()).await.unwrap().unwrap_err();
    assert!(matches!(error, HttpError::Events(SseError::TooLarge { limit: 10 })), "{error}");
    assert!(soon(events.next()).await.is_none());
    soon(sender.closed()).await;
}
