//! Questions told to a chat system, and answers that come from there.
use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::{
    bench::PATIENCE,
    http_bench::Served,
    questions::{Desk, ONE_OTHER, calls, of_itself, plan},
};

const SECRET: &str = "a secret of more than sixteen bytes";

fn signed(id: &str, at: i64, body: &str, secret: &str) -> Vec<(String, String)> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{id}.{at}.{body}").as_bytes());
    let signature = STANDARD.encode(mac.finalize().into_bytes());
    let header = |name: &str, value: String| (name.to_owned(), value);
    vec![
        header("webhook-id", id.to_owned()),
        header("webhook-timestamp", at.to_string()),
        header("webhook-signature", format!("v1,{signature}")),
    ]
}

fn post(to: SocketAddr, path: &str, headers: &[(String, String)], body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let headers: String =
        headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    write!(stream, "POST {path} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}").unwrap();
    let mut answer = String::new();
    #[expect(clippy::disallowed_methods, reason = "the gateway's answers are small")]
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

/// Takes one request and answers it; gives its headers, in lower case, and its body.
fn heard(listener: &TcpListener) -> (String, String) {
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut buffer).unwrap();
        bytes.extend(&buffer[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let head = head.to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() >= length.unwrap().parse().unwrap() {
            write!(stream, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").unwrap();
            return (head, body.to_owned());
        }
    }
}

/// A call of `write` by a client without a handshake.
fn call_of_alice(address: SocketAddr, key: &str) -> (u16, String) {
    let params = json!({"name": "s__write", "arguments": {"text": "a"}, "_meta": of_itself()});
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let headers = [
        header("authorization", &format!("Bearer {key}")),
        header("content-type", "application/json"),
        header("accept", "application/json, text/event-stream"),
        header("mcp-protocol-version", "2026-07-28"),
        header("mcp-method", "tools/call"),
        header("mcp-name", "s__write"),
    ];
    post(address, "/mcp", &headers, &body.to_string())
}

/// Posts headers and a body; gives the status and what is said.
type Post<'a> = &'a dyn Fn(&[(String, String)], &str) -> (u16, String);

/// Signed well, and about another question, another card, nothing, or two things at once.
fn refuses_answers_to_nothing(
    post: Post<'_>,
    about: &dyn Fn(&str, &Value, &str) -> String,
    (question, digest): (&str, &Value),
) {
    let now = jiff_seconds();
    let other = format!("sha256:{}", "0".repeat(64)).into();
    for wrong in [about("0000000000", digest, "hook"), about(question, &other, "hook")] {
        let (status, said) = post(&signed("m2", now, &wrong, SECRET), &wrong);
        assert!(status == 400 && said.contains("webhook-mismatch"), "{status} {said}");
    }
    let bare = r#"{"answer":"allow","approver":"hook"}"#;
    assert_eq!(post(&signed("m2", now, bare, SECRET), bare).0, 400, "about nothing");
    let odd = r#"{"answer":"deny","answer":"allow","approver":"hook"}"#;
    assert_eq!(post(&signed("m3", now, odd, SECRET), odd).0, 400);
}

#[test]
fn a_webhook_tells_of_a_question_and_brings_the_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("url = \"http://{}/asked\"", listener.local_addr().unwrap());
    let webhook = ["[approval.webhook]", &url, "secret = \"file://webhook.secret\""];
    let mut plan = plan(&[ONE_OTHER], &webhook);
    plan.limits[0] = "approval_s = 20".to_owned();
    let served = Served::new(&plan, &["alice"]);
    fs::write(served.bench.path("config/webhook.secret"), format!("{SECRET}\n")).unwrap();
    let desk = Desk::with(&served.bench, &["bob", "hook"]);
    let address = served.address;
    let calling = std::thread::spawn({
        let key = served.names["key.alice"].as_str().unwrap().to_owned();
        move || call_of_alice(address, &key)
    });
    let (head, body) = heard(&listener);
    let header = |name: &str| {
        let line = head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        line.unwrap_or_else(|| panic!("{head}")).to_owned()
    };
    let (id, at) = (header("webhook-id"), header("webhook-timestamp").parse().unwrap());
    let mut expected = signed(&id, at, &body, SECRET);
    let signature = expected.pop().unwrap().1;
    assert_eq!(header("webhook-signature"), signature.to_lowercase());
    let said: Value = serde_json::from_str(&body).unwrap();
    let question = desk.question();
    assert_eq!(said["data"]["id"], question, "{said}");
    assert_eq!(said["data"]["arguments"], "{\n  \"text\": \"a\"\n}");

    let path = format!("/tagout/approvals/{question}");
    let digest = said["data"]["digest"].clone();
    let about = |question: &str, digest: &Value, who: &str| {
        json!({"question": question, "digest": digest, "answer": "allow", "approver": who})
            .to_string()
    };
    let yes = |who: &str| about(&question, &digest, who);
    let (now, hook) = (jiff_seconds(), yes("hook"));
    let post = |headers: &[(String, String)], body: &str| post(address, &path, headers, body);
    let nothing = (401, String::new());
    assert_eq!(post(&[], &hook), nothing);
    assert_eq!(
        post(&signed("m1", now, &hook, "another secret, as long"), &hook),
        nothing,
        "forged"
    );
    assert_eq!(post(&signed("m1", now - 400, &hook, SECRET), &hook), nothing, "stale");
    assert_eq!(post(&signed("m1", now + 400, &hook, SECRET), &hook), nothing, "of tomorrow");
    assert_eq!(post(&signed("m1", now, &yes("bob"), SECRET), &hook), nothing, "another body");
    let bob = yes("bob");
    assert_eq!(post(&signed("m2", now, &bob, SECRET), &bob).0, 403, "not enrolled for it");
    refuses_answers_to_nothing(&post, &about, (&question, &digest));
    // What came to nothing has used nothing up.
    let (status, told) = post(&signed("m2", now, &hook, SECRET), &hook);
    assert_eq!(status, 200, "{told}");
    let (status, said) = post(&signed("m2", now, &hook, SECRET), &hook);
    assert!(status == 409 && said.contains("webhook-again"), "replayed: {status} {said}");
    let (status, answer) = calling.join().unwrap();
    assert!(status == 200 && answer.contains(r#""tagout/verdict":"ask""#), "{status} {answer}");
    assert_eq!(post(&signed("m5", now, &hook, SECRET), &hook).0, 409, "closed");
    assert_eq!(calls(&served.bench), 1);
}

fn jiff_seconds() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "the binary goes by the same clock")]
    jiff::Timestamp::now().as_second()
}
