//! What is not HTTP, or two kinds of it at once, and clients that take their time.
use std::time::Duration;

use tagout_wire::http::ServerLimits;
use tokio::io::AsyncWriteExt as _;

use crate::peers::{Served, rest, status, until};

/// How often something stands in a text.
fn count(text: &str, what: &str) -> usize {
    text.matches(what).count()
}

#[tokio::test]
async fn a_request_is_never_smuggled_in_anothers_body() {
    let hidden = "GET /what HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let both = format!("Content-Length: {}\r\nTransfer-Encoding: chunked", hidden.len() + 5);
    let turned = format!("Transfer-Encoding: chunked\r\nContent-Length: {}", hidden.len() + 5);
    // The headers, the statuses that are right, and how many requests are seen at most.
    let cases = [
        (both.as_str(), "200", 1),
        (turned.as_str(), "200", 1),
        ("Transfer-Encoding: chunked", "200", 1),
        ("Content-Length: 5\r\nContent-Length: 47", "400", 0),
        ("Content-Length: 5, 47", "400", 0),
        ("Content-Length: +5", "400", 0),
        ("Content-Length: 0x5", "400", 0),
        ("Content-Length: -1", "400", 0),
        ("Transfer-Encoding: chunked, identity", "400", 0),
        ("Transfer-Encoding: identity", "400", 0),
        ("Transfer-Encoding: xchunked", "400", 0),
        ("Transfer-Encoding : chunked", "400", 0),
        ("Transfer-Encoding:\r\n chunked", "400", 0),
        ("Content-Length: 0\r\n obs: fold", "400", 0),
        (" Content-Length: 5", "400", 0),
        ("Content\0Length: 5", "400", 0),
        ("Content-Length: 5\rTransfer-Encoding: chunked", "400", 0),
    ];
    for (headers, expected, most) in cases {
        let server = Served::plain().await;
        let request =
            format!("POST /echo HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n\r\n0\r\n\r\n{hidden}");
        let answer = server.raw(request).await;
        assert_eq!(status(&answer), expected, "{headers:?}: {answer}");
        assert_eq!(count(&answer, "HTTP/1.1 "), 1, "{headers:?}: {answer}");
        assert!(server.requests() <= most, "{headers:?}");
    }
}

#[tokio::test]
async fn chunks_are_read_strictly() {
    let head = "POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    let cases = [
        ("3\r\nabc\r\n0\r\n\r\n", "200"),
        ("3;x=y\r\nabc\r\n0\r\nTrailer: x\r\n\r\n", "200"),
        ("3\nabc\n0\n\n", "400"),
        ("3\r\nabcd\r\n0\r\n\r\n", "400"),
        ("-3\r\nabc\r\n0\r\n\r\n", "400"),
        ("0x3\r\nabc\r\n0\r\n\r\n", "400"),
        ("ffffffffffffffff1\r\nabc\r\n0\r\n\r\n", "400"),
        ("3e9\r\n", "413"),
    ];
    for (body, expected) in cases {
        let server = Served::plain().await;
        let body = if expected == "413" {
            format!("{body}{}\r\n0\r\n\r\n", "x".repeat(1001))
        } else {
            body.to_owned()
        };
        let answer = server.raw(format!("{head}{body}")).await;
        assert_eq!(status(&answer), expected, "{body:?}: {answer}");
    }
}

#[tokio::test]
async fn what_is_no_http_is_answered_with_an_error_and_the_end() {
    let server = Served::plain().await;
    let cases = [
        "\0\0\0\0\r\n\r\n",
        "GET /what\r\n\r\n",
        "GET /what HTTP/3.0\r\nHost: localhost\r\n\r\n",
        "GET /wh at HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /what HTTP/1.1\r\nHost: localhost\r\nno colon\r\n\r\n",
        "GET /what HTTP/1.1\r\nHost: localhost\r\na b: c\r\n\r\n",
        "GET /what HTTP/1.1\r\nHost: localhost\r\na: \x01\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\x7c\x03\x03",
    ];
    for request in cases {
        let answer = server.raw(format!("{request}GET /what HTTP/1.1\r\n\r\n")).await;
        assert!(answer.is_empty() || status(&answer).starts_with('4'), "{request:?}: {answer}");
    }
    assert_eq!(server.requests(), 0);
    let known = server.raw("GET /what HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert_eq!(status(&known.await), "200", "and the server goes on");
}

/// A lone line feed ends a line, as RFC 9112 (2.2) lets it; so it must not hide one either.
#[tokio::test]
async fn a_lone_line_feed_hides_no_header() {
    let server = Served::plain().await;
    let hidden = "GET /what HTTP/1.1\nConnection: close\nHost: localhost\nHost: evil.example\n\n";
    assert_eq!(status(&server.raw(hidden).await), "400");
    let length = "POST /echo HTTP/1.1\nHost: localhost\nX: y\nContent-Length: 3\n\nabc";
    let mut stream = server.connect().await;
    stream.write_all(length.as_bytes()).await.unwrap();
    assert!(until(&mut stream, "abc").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn heads_have_a_bound() {
    let limits = ServerLimits { header_bytes: 4096, headers: 10, ..ServerLimits::default() };
    let server = Served::limited(limits).await;
    let long = format!("X: {}\r\n", "x".repeat(100_000));
    let many: String = (0..20).map(|n| format!("X{n}: y\r\n")).collect();
    for headers in [long, many] {
        let answer = server.raw(format!("GET /what HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n"));
        let answer = answer.await;
        // What the server did not read may cost the client the answer.
        assert!(answer.is_empty() || status(&answer) == "431", "{answer}");
    }
    let path = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x".repeat(100_000));
    let answer = server.raw(path).await;
    assert!(answer.is_empty() || status(&answer).starts_with('4'), "{answer}");
    assert_eq!(server.requests(), 0);
}

fn impatient() -> ServerLimits {
    let short = Duration::from_millis(50);
    ServerLimits { head: short, body: short, idle: short, write: short, ..ServerLimits::default() }
}

#[tokio::test]
async fn a_client_that_takes_its_time_is_left() {
    let server = Served::limited(impatient()).await;
    // Nothing at all, half a line, half a head.
    for begun in ["", "GE", "GET /what HTTP/1.1\r\nHost: localhost\r\n"] {
        assert_eq!(server.raw(begun).await, "", "{begun:?}");
    }
    let half = "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhalf";
    assert_eq!(status(&server.raw(half).await), "408");
    let idle = "GET /what HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_eq!(status(&server.raw(idle).await), "200", "and then it ends by itself");
}

#[tokio::test]
async fn a_head_that_trickles_in_does_not_win_time() {
    let server = Served::limited(impatient()).await;
    let mut stream = server.connect().await;
    for byte in "GET /what HTTP/1.1\r\nX: y".bytes().chain(std::iter::repeat(b'x')) {
        if stream.write_all(&[byte]).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(rest(&mut stream).await, "");
    assert_eq!(server.requests(), 0);
}

#[tokio::test]
async fn a_client_that_does_not_read_is_left() {
    let mut server = Served::limited(impatient()).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let sender = server.next_stream().await;
    let piece = bytes::Bytes::from(vec![b'x'; 64 << 10]);
    let flood = async { while sender.send(piece.clone()).await.is_ok() {} };
    crate::peers::soon(flood).await;
}
