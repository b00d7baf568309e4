//! Plain HTTP through the proxy.
use tagout_wire::egress::{EgressBounds, Kind};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::stand_in::{Behind, echo, host};
use crate::peers::{rest, soon, status, until};

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nKeep-Alive: timeout=5\r\n\
                     Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nX-Kept: 1\r\n\r\nhello";

fn behind(entries: &[String]) -> Behind {
    let entries: Vec<_> = entries.iter().map(String::as_str).collect();
    Behind::new(&entries, EgressBounds::default())
}

#[tokio::test]
async fn a_request_is_made_anew() {
    let (port, read) = host(HELLO).await;
    let mut behind = behind(&[format!("app.example:{port}")]);
    let answer = behind
        .raw(format!(
            "GET http://APP.example:{port}/a/b?c=%20d HTTP/1.1\r\nHost: app.example:{port}\r\n\
             Proxy-Connection: keep-alive\r\nProxy-Authorization: Basic eDp5\r\nX-Kept: 1\r\n\
             Connection: x-named, close\r\nX-Named: 1\r\nTE: trailers\r\nUpgrade: h2c\r\n\
             Keep-Alive: 1\r\n\r\n"
        ))
        .await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nhello"));
    let lower = answer.to_lowercase();
    assert!(lower.contains("connection: close") && lower.contains("x-kept"), "{answer}");
    assert!(!lower.contains("keep-alive") && !lower.contains("x-hop"), "{answer}");
    let seen = read.lock().unwrap().remove(0).to_lowercase();
    assert!(seen.starts_with("get /a/b?c=%20d http/1.1\r\n"), "{seen}");
    assert!(seen.contains(&format!("host: app.example:{port}\r\n")), "{seen}");
    assert!(seen.contains("x-kept: 1"), "{seen}");
    for gone in ["proxy", "x-named", "te:", "upgrade", "keep-alive", "connection"] {
        assert!(!seen.contains(gone), "{gone}: {seen}");
    }
    let connection = behind.next().await;
    assert_eq!(connection.subject, Some(format!("app.example:{port}")));
    assert_eq!(connection.kind, Kind::Request);
    assert_eq!(connection.address.unwrap().to_string(), format!("127.0.0.1:{port}"));
    assert_eq!(connection.bytes_out, u64::try_from(seen.len()).unwrap());
    assert_eq!(connection.bytes_in, u64::try_from(HELLO.len()).unwrap());
    assert_eq!(connection.refused, None);
}

/// A redirect is an answer; what follows it is a request, and is looked at.
#[tokio::test]
async fn redirects_lead_nowhere_else() {
    let (port, _) = host(
        "HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/latest/meta-data/\r\n\
         Content-Length: 0\r\n\r\n",
    )
    .await;
    let (secret, read) = host(HELLO).await;
    let mut behind = behind(&[
        format!("app.example:{port}"),
        format!("inside.example:{port}"),
        "private.example:80".to_owned(),
        "*:8080".to_owned(),
    ]);
    let answer = behind.get(&format!("http://app.example:{port}/")).await;
    assert_eq!(status(&answer), "302");
    assert!(answer.contains("169.254.169.254"));
    assert_eq!(behind.code().await, "");
    for (next, code) in [
        ("http://169.254.169.254/latest/meta-data/", "egress-denied"),
        ("http://169.254.169.254:8080/latest/", "egress-address"),
        ("http://[fd00:ec2::254]:8080/latest/", "egress-address"),
        ("http://localhost:8080/", "egress-address"),
        ("http://127.0.0.1:8080/", "egress-address"),
        (&format!("http://127.0.0.1:{secret}/"), "egress-denied"),
        (&format!("http://localhost:{secret}/"), "egress-denied"),
        (&format!("http://other.example:{secret}/"), "egress-denied"),
        (&format!("http://inside.example:{port}/"), "egress-address"),
        ("http://private.example/", "egress-address"),
        ("http://both.example:8080/", "egress-address"),
    ] {
        let answer = behind.get(next).await;
        assert_eq!(status(&answer), "403", "{next}: {answer}");
        assert!(answer.contains(&format!(r#""code":"{code}""#)), "{next}: {answer}");
        let connection = behind.next().await;
        assert_eq!(connection.refused.unwrap().code(), code, "{next}");
        assert_eq!((connection.bytes_out, connection.bytes_in), (0, 0));
    }
    assert!(read.lock().unwrap().is_empty());
}

/// One request a connection: what stands behind it is answered by nobody, and gets to nobody.
#[tokio::test]
async fn no_request_hides_behind_another() {
    let (port, read) = host(HELLO).await;
    let mut behind = behind(&[format!("app.example:{port}")]);
    let one =
        format!("GET http://app.example:{port}/1 HTTP/1.1\r\nHost: app.example:{port}\r\n\r\n");
    let evil = "GET http://evil.example/2 HTTP/1.1\r\nHost: evil.example\r\n\r\n";
    let answer = behind.raw(format!("{one}{evil}{one}")).await;
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    assert!(answer.to_lowercase().contains("connection: close"));
    // Kept, and used again after the answer.
    let mut stream = behind.connect().await;
    stream.write_all(one.as_bytes()).await.unwrap();
    until(&mut stream, "hello").await;
    stream.write_all(evil.as_bytes()).await.ok();
    assert_eq!(rest(&mut stream).await, "");
    assert_eq!(read.lock().unwrap().len(), 2);
    assert!(read.lock().unwrap().iter().all(|one| !one.contains("evil")));
    assert_eq!((behind.code().await, behind.code().await), ("", ""));
}

#[tokio::test]
async fn bodies_pass_in_either_form() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let behind = behind(&[format!("app.example:{port}")]);
    let head = format!("POST http://app.example:{port}/ HTTP/1.1\r\nHost: app.example:{port}\r\n");
    for (body, arrives) in [
        ("Content-Length: 5\r\n\r\nhello", "\r\n\r\nhello"),
        ("Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", "llo\r\n0\r\n\r\n"),
        ("Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello", "\r\n\r\nhello"),
    ] {
        let mut client = behind.connect().await;
        client.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        let (mut stream, _) = soon(listener.accept()).await.unwrap();
        let seen = until(&mut stream, arrives).await.to_lowercase();
        assert_eq!(seen.matches("content-length").count() + seen.matches("chunked").count(), 1);
        assert!(!seen.contains("expect"), "{seen}");
        // With both, only one counts.
        let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n\
                      5\r\nworld\r\n0\r\n\r\n";
        stream.write_all(answer.as_bytes()).await.unwrap();
        let answer = rest(&mut client).await;
        assert!(answer.contains("world"), "{answer}");
        assert!(!answer.to_lowercase().contains("content-length"), "{answer}");
    }
}

#[tokio::test]
async fn odd_answers_are_none() {
    for answer in [
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        "SSH-2.0-OpenSSH_9.0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    ] {
        let (port, _) = host(answer).await;
        let mut behind = behind(&[format!("app.example:{port}")]);
        let got = behind.get(&format!("http://app.example:{port}/")).await;
        assert_eq!(status(&got), "502", "{answer}: {got}");
        assert_eq!(behind.code().await, "egress-unreachable", "{answer}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_said() {
    let port = echo().await;
    let mut behind = behind(&[
        format!("gone.example:{port}"),
        format!("empty.example:{port}"),
        "app.example:1".to_owned(),
    ]);
    for url in [
        format!("http://gone.example:{port}/"),
        format!("http://empty.example:{port}/"),
        "http://app.example:1/".to_owned(),
    ] {
        let answer = behind.get(&url).await;
        assert_eq!(status(&answer), "502", "{answer}");
        assert!(!answer.contains("127.0.0.1"), "{answer}");
        assert_eq!(behind.code().await, "egress-unreachable");
    }
    assert!(behind.nothing_reported());
    // Nobody who asks for nothing is told of.
    drop(behind.connect().await);
    behind.stop.cancel();
    soon(&mut behind.task).await.unwrap().unwrap();
    assert!(behind.nothing_reported());
    let mut stream = tokio::net::TcpStream::connect(behind.address).await;
    if let Ok(stream) = &mut stream {
        assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0);
    }
}
