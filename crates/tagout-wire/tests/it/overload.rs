//! Too much to do: what is told early, and the one question that is always answered.
use std::time::Duration;

use tagout_wire::http::ServerLimits;
use tokio::io::AsyncWriteExt as _;

use crate::peers::{FOREVER, Seen, Served, rest, status, until};

const WAIT: &[u8] = b"POST /wait HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}";
const WHAT: &[u8] = b"GET /what HTTP/1.1\r\nHost: localhost\r\n\r\n";
const HEALTH: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn limits() -> ServerLimits {
    ServerLimits { health: Some("/healthz"), ..ServerLimits::default() }
}

#[tokio::test]
async fn what_is_one_too_many_is_told_when_to_come_again() {
    let mut server = Served::limited(ServerLimits { requests: 1, ..limits() }).await;
    let mut first = server.connect().await;
    first.write_all(WAIT).await.unwrap();
    assert!(matches!(server.next().await, Seen::Waiting));
    // Its body is not waited for.
    let head = "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n\r\n";
    let answer = server.raw(head).await;
    assert_eq!(status(&answer), "503");
    for part in ["retry-after: 1\r\n", "connection: close\r\n", r#""code":"overloaded""#] {
        assert!(answer.contains(part), "{answer}");
    }
    assert_eq!(server.requests(), 1);
    let mut probe = server.connect().await;
    probe.write_all(HEALTH).await.unwrap();
    let answer = until(&mut probe, "\r\n\r\nok\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(server.requests(), 1, "no handler is asked");
}

#[tokio::test]
async fn health_is_told_when_all_connections_are_taken() {
    let limits = ServerLimits { connections: 1, reserve: 1, ..limits() };
    let mut server = Served::limited(limits).await;
    let mut first = server.connect().await;
    first.write_all(WAIT).await.unwrap();
    assert!(matches!(server.next().await, Seen::Waiting));
    for _ in 0..3 {
        let answer = server.raw(HEALTH).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("ok\n"), "{answer}");
        assert!(answer.contains("connection: close"), "{answer}");
        assert_eq!(status(&server.raw(WHAT).await), "503");
    }
    // Who says nothing there does not stay.
    let mut silent = server.connect().await;
    assert_eq!(rest(&mut silent).await, "");
    assert!(server.raw(HEALTH).await.ends_with("ok\n"));
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn health_is_told_to_a_peer_with_too_many_connections() {
    let limits = ServerLimits { connections_of_loopback: 1, reserve: 1, ..limits() };
    let mut server = Served::limited(limits).await;
    let mut first = server.connect().await;
    first.write_all(WAIT).await.unwrap();
    assert!(matches!(server.next().await, Seen::Waiting));
    assert!(server.raw(HEALTH).await.ends_with("ok\n"));
}

#[tokio::test]
async fn health_tells_nothing_else_and_no_other_host() {
    let server = Served::limited(limits()).await;
    let asked = |line: &str, host: &str| {
        format!("{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
    };
    let evil = server.raw(asked("GET /healthz", "evil.example")).await;
    assert_eq!(status(&evil), "403");
    let head = server.raw(asked("HEAD /healthz", "localhost")).await;
    assert!(status(&head) == "200" && head.ends_with("\r\n\r\n"), "{head}");
    assert_eq!(server.requests(), 0);
    // Anything else is the handler's.
    for line in ["POST /healthz", "GET /healthz/", "GET //healthz", "GET /healthz%00"] {
        server.raw(asked(line, "localhost")).await;
    }
    assert_eq!(server.requests(), 4);
}

#[tokio::test]
async fn who_asks_for_health_does_not_stay() {
    let server = Served::limited(limits()).await;
    // It keeps its side open.
    let answer = server.raw(HEALTH).await;
    assert!(answer.contains("connection: close") && answer.ends_with("ok\n"), "{answer}");
}

const KNOWN: &[u8] = b"GET /known HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[tokio::test]
async fn strangers_make_room_for_whoever_comes_after_them() {
    for limits in [
        ServerLimits { connections_of_loopback: 4, reserve: 2, ..limits() },
        ServerLimits { connections: 4, reserve: 2, ..limits() },
    ] {
        let server = Served::limited(ServerLimits { vouches: true, ..limits }).await;
        let mut known = server.connect().await;
        known.write_all(KNOWN).await.unwrap();
        until(&mut known, "known").await;
        let mut strangers = Vec::new();
        for _ in 0..16 {
            strangers.push(server.connect().await);
        }
        // Who comes now is not told that there is too much to do, and who is known has stayed.
        let mut second = server.connect().await;
        second.write_all(KNOWN).await.unwrap();
        let answer = until(&mut second, "known").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        known.write_all(KNOWN).await.unwrap();
        until(&mut known, "known").await;
        assert_eq!(rest(&mut strangers[0]).await, "");
    }
}

#[tokio::test]
async fn a_stranger_has_little_time_whatever_it_does() {
    let head = Duration::from_millis(300);
    let limits = ServerLimits { vouches: true, head, body: FOREVER * 9, ..limits() };
    let server = Served::limited(limits).await;
    let mut known = server.connect().await;
    known.write_all(KNOWN).await.unwrap();
    until(&mut known, "known").await;
    let mut idle = server.connect().await;
    idle.write_all(WHAT).await.unwrap();
    assert!(rest(&mut idle).await.starts_with("HTTP/1.1 200"));
    let unsaid = "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n{";
    assert_eq!(server.raw(unsaid).await, "");
    // All that time the other stayed.
    known.write_all(KNOWN).await.unwrap();
    until(&mut known, "known").await;
}
