//! Heads of requests that are not taken.
use tagout_wire::egress::{EgressBounds, Head, HeadError, HostError, Wish};

use super::stand_in::{Behind, host};
use crate::peers::status;

fn read(text: &str) -> Result<(String, u16), HeadError> {
    let (head, length) = Head::read(text.as_bytes())?.expect("its end is there");
    assert_eq!(length, text.find("\r\n\r\n").unwrap() + 4);
    Ok((head.host.to_string(), head.port))
}

#[test]
fn sound_heads_are_read() {
    for (text, host, port) in [
        ("CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n\x16\x03", "a.example", 443),
        ("CONNECT A.example:443 HTTP/1.1\r\nHost: a.EXAMPLE\r\n\r\n", "a.example", 443),
        ("CONNECT a.example:443 HTTP/1.0\r\n\r\n", "a.example", 443),
        (
            "CONNECT [2606:4700::1]:443 HTTP/1.1\r\nhost: [2606:4700::1]\r\n\r\n",
            "[2606:4700::1]",
            443,
        ),
        ("GET http://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n", "a.example", 80),
        ("GET HTTP://a.example?x=1 HTTP/1.1\r\nHost: a.example:80\r\n\r\n", "a.example", 80),
        (
            "PUT http://a.example:81 HTTP/1.1\r\nHost: a.example:81\r\nContent-Length: 0\r\n\r\n",
            "a.example",
            81,
        ),
        ("GET http://a.example/ HTTP/1.0\r\nHost: a.example\r\n\r\n", "a.example", 80),
        ("PROPFIND http://1.2.3.4/ HTTP/1.1\r\nHost:\t1.2.3.4 \r\n\r\n", "1.2.3.4", 80),
    ] {
        assert_eq!(read(text), Ok((host.to_owned(), port)), "{text}");
    }
    let text = "GET http://a.example?x=1 HTTP/1.1\r\nHost: a.example\r\n\r\n";
    let Wish::Request { path, .. } = Head::read(text.as_bytes()).unwrap().unwrap().0.wish else {
        panic!("it is a request");
    };
    assert_eq!(path, "/?x=1");
}

/// First line, headers after `Host`, and what is wrong.
const BAD: &[(&str, &str, HeadError)] = &[
    ("GET / HTTP/1.1", "", HeadError::Target),
    ("GET a.example HTTP/1.1", "", HeadError::Target),
    ("GET //a.example/ HTTP/1.1", "", HeadError::Target),
    ("GET https://a.example/ HTTP/1.1", "", HeadError::Target),
    ("GET ftp://a.example/ HTTP/1.1", "", HeadError::Target),
    ("GET gopher://127.0.0.1:6379/_X HTTP/1.1", "", HeadError::Target),
    ("GET http:/a.example/ HTTP/1.1", "", HeadError::Target),
    ("GET http:a.example/ HTTP/1.1", "", HeadError::Target),
    ("GET http:///etc/passwd HTTP/1.1", "", HeadError::Host(HostError::Empty)),
    ("GET http://a.example\\@evil.example/ HTTP/1.1", "", HeadError::Target),
    ("GET http://a.example#@evil.example/ HTTP/1.1", "", HeadError::Target),
    ("GET http://a.example@evil.example/ HTTP/1.1", "", HeadError::User),
    ("GET http://ann:x@a.example/ HTTP/1.1", "", HeadError::User),
    ("GET http://a.example:0/ HTTP/1.1", "", HeadError::Target),
    ("GET http://a.example:080/ HTTP/1.1", "", HeadError::Target),
    ("GET http://a.example:/ HTTP/1.1", "", HeadError::Target),
    ("GET http://a.example:80:80/ HTTP/1.1", "", HeadError::Target),
    ("GET http://127.1/ HTTP/1.1", "", HeadError::Host(HostError::OddNumber)),
    ("GET http://0x7f.1/ HTTP/1.1", "", HeadError::Host(HostError::OddNumber)),
    ("GET http://2130706433/ HTTP/1.1", "", HeadError::Host(HostError::OddNumber)),
    ("GET http://017700000001/ HTTP/1.1", "", HeadError::Host(HostError::OddNumber)),
    ("GET http://a.example./ HTTP/1.1", "", HeadError::Host(HostError::Dots)),
    ("GET http://[fe80::1%25eth0]/ HTTP/1.1", "", HeadError::Host(HostError::NotSix)),
    ("GET http://a%2eexample/ HTTP/1.1", "", HeadError::Host(HostError::Character)),
    ("GET  http://a.example/ HTTP/1.1", "", HeadError::Line),
    ("GET http://a.example/ HTTP/1.1 ", "", HeadError::Line),
    ("GET http://a.example/", "", HeadError::Line),
    ("GET http://a.example/ HTTP/2.0", "", HeadError::Line),
    ("GET http://a.example/ http/1.1", "", HeadError::Line),
    ("get http://a.example/ HTTP/1.1", "", HeadError::Line),
    (" GET http://a.example/ HTTP/1.1", "", HeadError::Line),
    ("G@T http://a.example/ HTTP/1.1", "", HeadError::Line),
    ("GET\thttp://a.example/\tHTTP/1.1", "", HeadError::Line),
    ("TRACE http://a.example/ HTTP/1.1", "", HeadError::Method),
    ("CONNECT a.example HTTP/1.1", "", HeadError::Target),
    ("CONNECT http://a.example:443 HTTP/1.1", "", HeadError::Target),
    ("CONNECT a.example:443/x HTTP/1.1", "", HeadError::Target),
    ("CONNECT x@a.example:443 HTTP/1.1", "", HeadError::User),
    ("CONNECT a.example:443 HTTP/1.1", "Content-Length: 5\r\n", HeadError::Framing),
    ("CONNECT a.example:443 HTTP/1.1", "Transfer-Encoding: chunked\r\n", HeadError::Framing),
    ("GET http://b.example/ HTTP/1.1", "", HeadError::HostHeader),
    ("GET http://a.example:81/ HTTP/1.1", "", HeadError::HostHeader),
    ("GET http://a.example/ HTTP/1.1", "Host: a.example\r\n", HeadError::HostHeader),
    ("GET http://a.example/ HTTP/1.1", "host: evil.example\r\n", HeadError::HostHeader),
    ("GET http://a.example/ HTTP/1.1", "X : 1\r\n", HeadError::Header),
    ("GET http://a.example/ HTTP/1.1", "X\r\n", HeadError::Header),
    ("GET http://a.example/ HTTP/1.1", ": 1\r\n", HeadError::Header),
    ("GET http://a.example/ HTTP/1.1", "X: 1\r\n folded\r\n", HeadError::Header),
    ("GET http://a.example/ HTTP/1.1", "X: a\0b\r\n", HeadError::Header),
    ("GET http://a.example/ HTTP/1.1", "X: 1\n\r\n", HeadError::LineEnd),
    ("GET http://a.example/ HTTP/1.1", "X: 1\rY: 2\r\n", HeadError::LineEnd),
    ("GET http://a.example/ HTTP/1.1", "X: 1\r\r\n", HeadError::LineEnd),
    (
        "POST http://a.example/ HTTP/1.1",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        HeadError::Framing,
    ),
    (
        "POST http://a.example/ HTTP/1.1",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        HeadError::Framing,
    ),
    (
        "POST http://a.example/ HTTP/1.1",
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        HeadError::Framing,
    ),
    ("POST http://a.example/ HTTP/1.1", "Content-Length: 5, 5\r\n", HeadError::Framing),
    ("POST http://a.example/ HTTP/1.1", "Content-Length: +5\r\n", HeadError::Framing),
    ("POST http://a.example/ HTTP/1.1", "Content-Length: -5\r\n", HeadError::Framing),
    ("POST http://a.example/ HTTP/1.1", "Content-Length: 0x5\r\n", HeadError::Framing),
    ("POST http://a.example/ HTTP/1.1", "Content-Length:\r\n", HeadError::Framing),
    (
        "POST http://a.example/ HTTP/1.1",
        "Content-Length: 99999999999999999999\r\n",
        HeadError::Framing,
    ),
    ("POST http://a.example/ HTTP/1.1", "Transfer-Encoding: xchunked\r\n", HeadError::Framing),
    (
        "POST http://a.example/ HTTP/1.1",
        "Transfer-Encoding: chunked, identity\r\n",
        HeadError::Framing,
    ),
    (
        "POST http://a.example/ HTTP/1.1",
        "Transfer-Encoding: identity, chunked\r\n",
        HeadError::Framing,
    ),
    (
        "POST http://a.example/ HTTP/1.1",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        HeadError::Framing,
    ),
    ("POST http://a.example/ HTTP/1.0", "Transfer-Encoding: chunked\r\n", HeadError::Framing),
];

#[test]
fn odd_heads_are_not() {
    for (line, headers, problem) in BAD {
        let text = format!("{line}\r\nHost: a.example\r\n{headers}\r\n");
        assert_eq!(read(&text).unwrap_err(), *problem, "{text:?}");
    }
    let without = "GET http://a.example/ HTTP/1.1\r\n\r\n";
    assert_eq!(read(without).unwrap_err(), HeadError::HostHeader);
    let line_feeds = "GET http://a.example/ HTTP/1.1\nHost: a.example\n\n";
    assert_eq!(Head::read(line_feeds.as_bytes()).unwrap_err(), HeadError::LineEnd);
    for early in ["\x16\x03\x01", "\r\n", "\n", "{", "\0", "ssh"] {
        assert_eq!(Head::read(early.as_bytes()).unwrap_err(), HeadError::Line, "{early:?}");
    }
}

#[test]
fn heads_have_an_end() {
    let head = "GET http://a.example/ HTTP/1.1\r\nHost: a.example\r\n";
    for end in 0..head.len() {
        assert!(Head::read(&head.as_bytes()[..end]).unwrap().is_none(), "{end}");
    }
    let many = format!("{head}{}\r\n", "x: 1\r\n".repeat(Head::MOST_HEADERS));
    assert_eq!(Head::read(many.as_bytes()).unwrap_err(), HeadError::TooMany);
    let fits = format!("{head}{}\r\n", "x: 1\r\n".repeat(Head::MOST_HEADERS - 1));
    assert!(Head::read(fits.as_bytes()).unwrap().is_some());
    let large = format!("{head}x: {}", "a".repeat(Head::MOST_BYTES));
    assert_eq!(Head::read(large.as_bytes()).unwrap_err(), HeadError::TooLarge);
}

/// Over the wire, all of the above: refused, on record, and at no host.
#[tokio::test]
async fn what_is_odd_goes_nowhere() {
    let (port, seen) = host("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let mut behind = Behind::at((80, port), "*:80", EgressBounds::default());
    for (line, headers, _) in BAD {
        let text = format!("{line}\r\nHost: a.example\r\n{headers}\r\n");
        let answer = behind.raw(&text).await;
        assert_eq!(status(&answer), "400", "{text:?}: {answer}");
        assert_eq!(behind.code().await, "egress-malformed", "{text:?}");
    }
    for bomb in ["x: 1\r\n".repeat(200), format!("x: {}\r\n", "a".repeat(1 << 20))] {
        let text = format!("GET http://app.example/ HTTP/1.1\r\nHost: app.example\r\n{bomb}\r\n");
        let answer = behind.raw(&text).await;
        assert_eq!(status(&answer), "431");
        assert_eq!(behind.code().await, "egress-malformed");
    }
    assert!(seen.lock().unwrap().is_empty() && behind.names.asked().is_empty());
    assert_eq!(status(&behind.get("http://app.example/").await), "200", "and goes on");
}
