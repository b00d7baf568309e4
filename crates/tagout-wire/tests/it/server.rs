//! Requests, answers, clients that go, and the end of a server.
use std::time::Duration;

use bytes::Bytes;
use tagout_wire::{http::ServerLimits, sse};
use tokio::{io::AsyncWriteExt as _, net::TcpStream, time::sleep};

use crate::peers::{BODY_LIMIT, Seen, Served, rest, soon, status, until};

const WAIT: &[u8] = b"POST /wait HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}";
const STREAM: &[u8] = b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[tokio::test]
async fn requests_come_as_they_were_sent() {
    let server = Served::plain().await;
    let cases = [
        ("GET /what?a=b%20c&d", r#"GET /what Some("a=b%20c&d") false"#),
        ("DELETE /what?", r#"DELETE /what Some("") false"#),
        ("GET http://localhost/what", "GET /what None false"),
    ];
    for (line, expected) in cases {
        let request = format!("{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let answer = server.raw(request).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert_eq!(body, expected);
        assert!(head.contains("x-content-type-options: nosniff"), "{head}");
        assert!(!head.contains("cache-control"), "{head}");
    }
}

#[tokio::test]
async fn bodies_have_a_bound() {
    let server = Served::plain().await;
    let post = |length: usize, body: &str| {
        format!(
            "POST /echo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        )
    };
    let fits = "x".repeat(BODY_LIMIT);
    let answer = server.raw(post(BODY_LIMIT, &fits)).await;
    assert!(answer.ends_with(&format!("\r\n\r\n{fits}")), "{answer}");
    // Refused on its word: nothing of it is sent.
    assert_eq!(status(&server.raw(post(BODY_LIMIT + 1, "")).await), "413");
    assert!(status(&server.raw(post(usize::MAX, "")).await).starts_with('4'));
}

#[tokio::test]
async fn a_client_that_waits_to_be_asked_is_asked_only_for_what_is_wanted() {
    let server = Served::plain().await;
    let head = |host: &str, length: usize| {
        format!(
            "POST /echo HTTP/1.1\r\nHost: {host}\r\nExpect: 100-continue\r\n\
             Content-Length: {length}\r\n\r\n"
        )
    };
    let mut stream = server.connect().await;
    stream.write_all(head("localhost", 2).as_bytes()).await.unwrap();
    until(&mut stream, "100 Continue\r\n\r\n").await;
    stream.write_all(b"{}").await.unwrap();
    until(&mut stream, "{}").await;
    assert_eq!(status(&server.raw(head("evil.example", 2)).await), "403");
    assert_eq!(status(&server.raw(head("localhost", BODY_LIMIT + 1)).await), "413");
}

#[tokio::test]
async fn one_connection_takes_many_requests() {
    let server = Served::plain().await;
    let mut stream = server.connect().await;
    for n in 0..20 {
        let body = format!("body {n}.");
        let length = body.len();
        let head = format!("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}");
        stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).await.unwrap();
        until(&mut stream, &body).await;
    }
    assert_eq!(server.probe.peers.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn every_piece_of_a_stream_is_sent_at_once() {
    let mut server = Served::plain().await;
    let mut stream = server.connect().await;
    stream.write_all(STREAM).await.unwrap();
    let sender = server.next_stream().await;
    let head = until(&mut stream, "\r\n\r\n").await;
    assert!(head.contains("cache-control: no-cache, no-transform"), "{head}");
    assert!(head.contains("x-accel-buffering: no"), "{head}");
    for n in 0..5 {
        sender.send(sse::message(format!("{n}").as_bytes())).await.unwrap();
        until(&mut stream, &format!("data: {n}\n\n")).await;
    }
    drop(sender);
    assert_eq!(until(&mut stream, "0\r\n\r\n").await, "0\r\n\r\n");
    // The connection goes on.
    stream.write_all(STREAM).await.unwrap();
    server.next_stream().await;
}

#[tokio::test]
async fn who_works_for_a_client_that_goes_is_dropped() {
    let mut server = Served::plain().await;
    for how in [drop, reset] {
        let mut stream = server.connect().await;
        stream.write_all(WAIT).await.unwrap();
        assert!(matches!(server.next().await, Seen::Waiting));
        how(stream);
        assert!(matches!(server.next().await, Seen::Dropped));
    }
}

#[tokio::test]
async fn a_quiet_stream_ends_with_its_client() {
    let mut server = Served::plain().await;
    for how in [drop, reset] {
        let mut stream = server.connect().await;
        stream.write_all(STREAM).await.unwrap();
        let sender = server.next_stream().await;
        until(&mut stream, "\r\n\r\n").await;
        how(stream);
        soon(sender.closed()).await;
    }
}

/// Closes so that the other side sees an error rather than an end.
fn reset(stream: TcpStream) {
    stream.set_zero_linger().unwrap();
}

#[tokio::test]
async fn a_panic_ends_one_connection() {
    let server = Served::plain().await;
    let mut other = server.connect().await;
    let panics = "GET /panic HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_eq!(server.raw(panics).await, "");
    other.write_all(b"GET /what HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    until(&mut other, "GET /what None").await;
}

#[tokio::test]
async fn connections_are_counted() {
    let limits = ServerLimits { connections: 1, ..ServerLimits::default() };
    let mut server = Served::limited(limits).await;
    let mut first = server.connect().await;
    first.write_all(WAIT).await.unwrap();
    assert!(matches!(server.next().await, Seen::Waiting));
    let mut second = server.connect().await;
    second.write_all(b"GET /what HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    sleep(Duration::from_millis(50)).await;
    assert_eq!(server.requests(), 1, "the second waits");
    drop(first);
    until(&mut second, "GET /what None").await;
}

#[tokio::test]
async fn who_is_turned_away_does_not_stay() {
    let server = Served::plain().await;
    for (line, host, expected) in [
        ("GET /401", "localhost", "401"),
        ("GET /403", "localhost", "403"),
        ("GET /what", "evil.example", "403"),
        ("OPTIONS /what", "localhost", "405"),
    ] {
        // It reads to the end of the connection, which nobody asked to be closed.
        let answer = server.raw(format!("{line} HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        assert_eq!(status(&answer), expected, "{line}");
        assert!(answer.contains("connection: close"), "{answer}");
    }
}

#[tokio::test]
async fn no_peer_takes_all_connections() {
    let limits = ServerLimits { connections_of_loopback: 2, ..ServerLimits::default() };
    let mut server = Served::limited(limits).await;
    let mut first = server.connect().await;
    first.write_all(WAIT).await.unwrap();
    assert!(matches!(server.next().await, Seen::Waiting));
    let mut second = server.connect().await;
    second.write_all(b"GET /what HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    until(&mut second, "GET /what None").await;
    let mut third = server.connect().await;
    assert_eq!(rest(&mut third).await, "", "closed at once");
    drop(first);
    assert!(matches!(server.next().await, Seen::Dropped));
    // Its place is free a moment after its work was dropped.
    let answer = async {
        loop {
            let answer = server.raw("GET /401 HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
            if !answer.is_empty() {
                return answer;
            }
        }
    };
    assert_eq!(status(&soon(answer).await), "401");
}

#[tokio::test]
async fn a_server_stops_when_all_is_answered() {
    let mut server = Served::plain().await;
    let mut idle = server.connect().await;
    let mut new = server.connect().await;
    idle.write_all(b"GET /what HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    until(&mut idle, "GET /what None").await;
    let mut stream = server.connect().await;
    stream.write_all(STREAM).await.unwrap();
    let sender = server.next_stream().await;
    server.stop.cancel();
    assert_eq!(rest(&mut idle).await, "");
    assert_eq!(rest(&mut new).await, "");
    assert!(!server.task.is_finished());
    sender.send(Bytes::from_static(b"last words")).await.unwrap();
    drop(sender);
    assert!(rest(&mut stream).await.ends_with("last words\r\n0\r\n\r\n"));
    soon(server.task).await.unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn a_server_that_stops_waits_no_longer_than_it_should() {
    let limits = ServerLimits { grace: Duration::from_millis(50), ..ServerLimits::default() };
    let mut server = Served::limited(limits).await;
    let mut stream = server.connect().await;
    stream.write_all(WAIT).await.unwrap();
    assert!(matches!(server.next().await, Seen::Waiting));
    server.stop.cancel();
    soon(server.task).await.unwrap();
    assert!(matches!(server.seen.try_recv(), Ok(Seen::Dropped)), "before it returned");
    assert_eq!(rest(&mut stream).await, "");
}
