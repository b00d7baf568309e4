//! Who may speak to a server.
use tagout_wire::http::{Access, ListenError, Listener, ServerLimits};

use crate::peers::{Served, status};

async fn answered(server: &Served, version: &str, headers: &str) -> String {
    let request = format!("GET /what {version}\r\n{headers}Connection: close\r\n\r\n");
    server.raw(request).await
}

#[tokio::test]
async fn hosts_and_origins_of_this_machine_are_taken_and_no_others() {
    let server = Served::plain().await;
    let port = server.address.port();
    let cases: &[(&str, &str)] = &[
        ("Host: localhost\r\n", "200"),
        ("Host: LOCALHOST:1\r\n", "200"),
        ("Host: 127.0.0.1\r\n", "200"),
        ("Host: [::1]:80\r\n", "200"),
        ("Host: evil.example\r\n", "403"),
        ("Host: localhost.evil.example\r\n", "403"),
        ("Host: localhost.\r\n", "403"),
        ("Host: 0.0.0.0\r\n", "403"),
        ("Host: 127.0.0.2\r\n", "403"),
        ("", "400"),
        ("Host:\r\n", "400"),
        ("Host: localhost, localhost\r\n", "400"),
        ("Host: localhost@evil.example\r\n", "400"),
        ("Host: evil.example@localhost\r\n", "400"),
        ("Host: localhost:99999\r\n", "400"),
        ("Host: localhost:+1\r\n", "400"),
        ("Host: localhost/\r\n", "400"),
        ("Host: [::1\r\n", "400"),
        ("Host: [::1]x\r\n", "400"),
        ("Host: localhost\r\nHost: localhost\r\n", "400"),
        ("Host: localhost\r\nHost: evil.example\r\n", "400"),
        ("Host: localhost\r\nOrigin: http://localhost\r\n", "200"),
        ("Host: localhost\r\nOrigin: https://127.0.0.1:8443\r\n", "200"),
        ("Host: localhost\r\nOrigin: HTTP://[::1]:3000\r\n", "200"),
        ("Host: localhost\r\nOrigin: null\r\n", "403"),
        ("Host: localhost\r\nOrigin:\r\n", "403"),
        ("Host: localhost\r\nOrigin: http://evil.example\r\n", "403"),
        ("Host: localhost\r\nOrigin: http://localhost.evil.example\r\n", "403"),
        ("Host: localhost\r\nOrigin: http://localhost/\r\n", "403"),
        ("Host: localhost\r\nOrigin: http://localhost@evil.example\r\n", "403"),
        ("Host: localhost\r\nOrigin: file://localhost\r\n", "403"),
        ("Host: localhost\r\nOrigin: localhost\r\n", "403"),
        ("Host: localhost\r\nOrigin: http://localhost\r\nOrigin: http://localhost\r\n", "403"),
        ("Host: localhost\r\nOrigin: http://localhost http://evil.example\r\n", "403"),
    ];
    let mut served = 0;
    for (headers, expected) in cases {
        let answer = answered(&server, "HTTP/1.1", headers).await;
        assert_eq!(status(&answer), *expected, "{headers:?} on port {port}: {answer}");
        served += usize::from(*expected == "200");
    }
    assert_eq!(server.requests(), served, "no refused request gets to the handler");
}

#[tokio::test]
async fn a_refusal_is_json_and_says_what_to_do() {
    let server = Served::plain().await;
    let answer = answered(&server, "HTTP/1.1", "Host: evil.example\r\n").await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("content-type: application/json"), "{head}");
    assert!(head.contains("x-content-type-options: nosniff"), "{head}");
    assert!(body.starts_with(r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"#), "{body}");
    assert!(body.contains("allow the host in its configuration"), "{body}");
    assert!(!answer.contains("evil"), "nothing that was sent in comes back: {answer}");
}

#[tokio::test]
async fn the_host_of_the_request_line_counts_too() {
    let server = Served::plain().await;
    let cases = [
        ("GET http://localhost/what", "Host: localhost\r\n", "200"),
        ("GET http://evil.example/what", "Host: localhost\r\n", "403"),
        ("GET http://localhost/what", "Host: evil.example\r\n", "403"),
        ("GET http://a@localhost/what", "Host: localhost\r\n", "400"),
        ("OPTIONS /what", "Host: localhost\r\n", "405"),
        ("OPTIONS /what", "Host: localhost\r\nOrigin: http://evil.example\r\n", "403"),
        ("OPTIONS *", "Host: localhost\r\n", "405"),
        ("TRACE /what", "Host: localhost\r\n", "405"),
        ("CONNECT localhost:80", "Host: localhost\r\n", "405"),
    ];
    for (line, headers, expected) in cases {
        let request = format!("{line} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n");
        let answer = server.raw(request).await;
        assert_eq!(status(&answer), expected, "{line} {headers:?}: {answer}");
        assert!(!answer.to_lowercase().contains("access-control"), "{answer}");
    }
    assert_eq!(status(&answered(&server, "HTTP/1.0", "").await), "403", "HTTP/1.0 without a host");
}

#[tokio::test]
async fn what_is_configured_comes_on_top() {
    let access = Access::new()
        .with_host("Tools.example")
        .and_then(|access| access.with_host("only.example:8443"))
        .and_then(|access| access.with_origin("https://app.example"))
        .unwrap();
    let server = Served::with(ServerLimits::default(), access, None).await;
    let cases = [
        ("Host: localhost\r\n", "200"),
        ("Host: tools.EXAMPLE:99\r\n", "200"),
        ("Host: only.example:8443\r\n", "200"),
        ("Host: only.example\r\n", "403"),
        ("Host: only.example:80\r\n", "403"),
        ("Host: localhost\r\nOrigin: https://app.example\r\n", "200"),
        ("Host: localhost\r\nOrigin: https://APP.example:443\r\n", "200"),
        ("Host: localhost\r\nOrigin: http://app.example\r\n", "403"),
        ("Host: localhost\r\nOrigin: https://app.example:8443\r\n", "403"),
        ("Host: localhost\r\nOrigin: https://tools.example\r\n", "403"),
    ];
    for (headers, expected) in cases {
        let answer = answered(&server, "HTTP/1.1", headers).await;
        assert_eq!(status(&answer), expected, "{headers:?}: {answer}");
    }
    for bad in ["", "https://a", "a b", "a:x", "[::1", "a/b", "*"] {
        assert!(Access::new().with_host(bad).is_err(), "{bad}");
    }
    for bad in ["", "null", "a.example", "https://", "https://a/", "ftp://a", "https://*"] {
        assert!(Access::new().with_origin(bad).is_err(), "{bad}");
    }
}

#[tokio::test]
async fn nothing_beyond_this_machine_without_tls() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let refused = Listener::bind(address.parse().unwrap(), None).await;
        assert!(matches!(refused, Err(ListenError::PlainBeyondLoopback { .. })), "{refused:?}");
    }
    let first = Listener::bind("127.0.0.1:0".parse().unwrap(), None).await.unwrap();
    let second = Listener::bind(first.local_addr(), None).await;
    assert!(matches!(second, Err(ListenError::Bind { .. })), "{second:?}");
}
