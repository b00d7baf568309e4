//! What clients over HTTP leave behind, and how much of it they may: sessions, streams, refusals.
use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    bench::{Bench, PATIENCE, Plan},
    http_bench::Served,
};

const HELLO: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}"#;
const BOTH: &str = "Accept: application/json, text/event-stream";

fn plan(script: Value) -> Plan {
    let mut plan = Plan::default();
    plan.servers.insert("s".to_owned(), serde_json::from_value(script).unwrap());
    plan
}

fn echoing() -> Plan {
    let echo = json!({"name": "echo", "inputSchema": {"type": "object", "properties": {"v": {}}}});
    let mut plan = plan(json!({"tools": [echo]}));
    plan.reviewed.push(("s/echo".to_owned(), vec!["read".to_owned()]));
    plan
}

/// An answer, as far as it was read.
struct Reply {
    status: u16,
    head: String,
    rest: BufReader<TcpStream>,
}

impl Reply {
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// All that comes until the connection ends.
    fn until_its_end(self) -> String {
        let mut text = String::new();
        #[expect(clippy::disallowed_methods, reason = "the reader before it has a bound")]
        self.rest.take(1 << 20).read_to_string(&mut text).expect("it ends");
        text
    }

    /// The first line that holds `text`.
    fn line_with(&mut self, text: &str) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(self.rest.read_line(&mut line).expect("a line comes"), 0, "no `{text}`");
            if line.contains(text) {
                return line;
            }
        }
    }
}

/// Who asks, at which gateway.
struct Asks<'a> {
    served: &'a Served,
    key: String,
}

impl<'a> Asks<'a> {
    fn new(served: &'a Served, name: &str) -> Self {
        let key = served.names[&format!("key.{name}")].as_str().unwrap().to_owned();
        Self { served, key }
    }

    /// Sends a request and reads nothing of its answer.
    fn sent(&self, line: &str, headers: &[&str], body: &str) -> TcpStream {
        let mut connection = TcpStream::connect(self.served.address).unwrap();
        connection.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut head = format!("{line} HTTP/1.1\r\nHost: {}\r\n", self.served.address);
        head += &format!("Authorization: Bearer {}\r\nConnection: close\r\n", self.key);
        headers.iter().for_each(|header| head += &format!("{header}\r\n"));
        head += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
        connection.write_all(head.as_bytes()).unwrap();
        connection
    }

    fn ask(&self, line: &str, headers: &[&str], body: &str) -> Reply {
        let mut rest = BufReader::new(self.sent(line, headers, body));
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(rest.read_line(&mut head).expect("a head comes"), 0, "no head: {head}");
        }
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Reply { status, head, rest }
    }

    fn post(&self, headers: &[&str], body: &str) -> Reply {
        let headers: Vec<_> =
            ["Content-Type: application/json", BOTH].iter().chain(headers).copied().collect();
        self.ask("POST /mcp", &headers, body)
    }

    /// A request of a client without a session, called `client`.
    fn modern(&self, client: &str, method: &str, params: &Value) -> Reply {
        let mut params = params.clone();
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": {"name": client, "version": "1"},
        });
        let frame = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let mut headers =
            vec!["MCP-Protocol-Version: 2026-07-28".to_owned(), format!("Mcp-Method: {method}")];
        headers.extend(params["name"].as_str().map(|name| format!("Mcp-Name: {name}")));
        let headers: Vec<_> = headers.iter().map(String::as_str).collect();
        self.post(&headers, &frame.to_string())
    }

    /// Opens a session; gives the header that names it.
    fn session(&self) -> String {
        let reply = self.post(&[], HELLO);
        assert_eq!(reply.status, 200, "{}", reply.head);
        format!("Mcp-Session-Id: {}", reply.header("mcp-session-id").unwrap())
    }

    /// Opens the stream of HTTP+SSE; gives where to post.
    fn stream(&self) -> (Reply, String) {
        let mut reply = self.ask("GET /sse", &["Accept: text/event-stream"], "");
        let line = reply.line_with("/messages");
        let path = line.trim().strip_prefix("data: ").unwrap().to_owned();
        (reply, path)
    }

    fn post_to(&self, path: &str, body: &str) -> u16 {
        self.ask(&format!("POST {path}"), &["Content-Type: application/json"], body).status
    }
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let late = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < late, "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn times(bench: &Bench, text: &str) -> usize {
    bench.saw("s").iter().filter(|line| line.contains(text)).count()
}

/// The key is no longer good; whether the gateway knows is not waited for.
fn revoke(served: &Served, name: &str) {
    let revoked = served.bench.tagout(&["key", "revoke", name]);
    assert!(revoked.status.success(), "{revoked:?}");
}

#[test]
fn a_client_that_goes_while_it_shakes_hands_leaves_no_server() {
    let slow = json!({"methods": {"initialize": [[{"wait_ms": 600_000}]]}});
    let served = Served::new(&plan(slow), &["alice"]);
    let alice = Asks::new(&served, "alice");
    for n in 1..4 {
        let headers = ["Content-Type: application/json", BOTH];
        let connection = alice.sent("POST /mcp", &headers, HELLO);
        until("the server starts", || times(&served.bench, "\"initialize\"") == n);
        drop(connection);
        until("it ends", || served.has_no_children());
    }
    let (_bench, records) = served.stop().unwrap();
    let ends = records.iter().filter(|record| record["begin"]["method"] == "initialize");
    let ends: Vec<_> = ends.map(|record| record["end"]["refusal"].clone()).collect();
    assert_eq!(ends, ["cancelled", "cancelled", "cancelled"]);
}

#[test]
fn whatever_was_opened_with_a_key_ends_with_it() {
    let served = Served::new(&echoing(), &["alice", "bob"]);
    let (alice, bob) = (Asks::new(&served, "alice"), Asks::new(&served, "bob"));
    let (session, others) = (alice.session(), bob.session());
    let news = alice.ask("GET /mcp", &["Accept: text/event-stream", &session], "");
    let (stream, path) = alice.stream();
    let filter = json!({"notifications": {"toolsListChanged": true}});
    let mut listens = alice.modern("test", "subscriptions/listen", &filter);
    listens.line_with("acknowledged");
    revoke(&served, "alice");
    // Each would go on for ever otherwise.
    news.until_its_end();
    stream.until_its_end();
    listens.until_its_end();
    assert_eq!(alice.post(&[&session], HELLO).status, 401);
    let ping = r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#;
    assert_eq!(bob.post(&[&others], ping).status, 200, "another's goes on");
    drop((path, served.stop().unwrap()));
}

#[test]
fn a_key_of_the_same_name_inherits_no_session() {
    let served = Served::new(&echoing(), &["alice"]);
    let old = Asks::new(&served, "alice");
    let (session, (_stream, path)) = (old.session(), old.stream());
    revoke(&served, "alice");
    let added = served.bench.tagout(&["key", "add", "alice", "--json"]);
    let said: Value = serde_json::from_slice(&added.stdout).unwrap();
    let new = Asks { served: &served, key: said["key"].as_str().unwrap().to_owned() };
    let ping = r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#;
    until("the new key is known", || new.ask("GET /", &[], "").status != 401);
    assert_eq!(new.post(&[&session], ping).status, 404);
    assert_eq!(new.post_to(&path, ping), 404);
    served.stop().unwrap();
}

#[test]
fn a_stream_that_nobody_reads_ends_its_session() {
    let served = Served::new(&echoing(), &["alice"]);
    let alice = Asks::new(&served, "alice");
    let (stream, path) = alice.stream();
    let hello = HELLO.replace("2025-11-25", "2024-11-05");
    assert_eq!(alice.post_to(&path, &hello), 202);
    let big = "z".repeat(400_000);
    let call = |n: usize| {
        let params = json!({"name": "s__echo", "arguments": {"v": big}});
        json!({"jsonrpc": "2.0", "id": n, "method": "tools/call", "params": params}).to_string()
    };
    // What fills the stream is no more than the calls that may be under way and what fits between.
    let ended = (2..400).map(|n| alice.post_to(&path, &call(n))).find(|status| *status != 202);
    assert_eq!(ended, Some(404));
    drop((stream, served.stop().unwrap()));
}

#[test]
fn sessions_are_bounded_before_their_servers_start() {
    let mut plan = echoing();
    plan.limits.extend(["[http]".to_owned(), "sessions = 2".to_owned()]);
    let served = Served::new(&plan, &["alice", "bob"]);
    let (alice, bob) = (Asks::new(&served, "alice"), Asks::new(&served, "bob"));
    let first = alice.session();
    alice.session();
    let third = alice.post(&[], HELLO);
    assert_eq!(third.status, 503);
    let said: Value = serde_json::from_str(&third.until_its_end()).unwrap();
    assert_eq!((&said["id"], &said["error"]["data"]["code"]), (&json!(1), &json!("too-many-open")));
    assert_eq!(alice.ask("GET /sse", &["Accept: text/event-stream"], "").status, 503);
    assert_eq!(times(&served.bench, "\"initialize\""), 2, "no server for the others");
    bob.session();
    assert_eq!(alice.ask("DELETE /mcp", &[&first], "").status, 200);
    alice.session();
    served.stop().unwrap();
}

#[test]
fn kinds_of_client_are_bounded() {
    let served = Served::new(&plan(json!({})), &["alice"]);
    let alice = Asks::new(&served, "alice");
    let codes = (0..17).map(|n| {
        let said = alice.modern(&format!("client {n}"), "tools/list", &json!({})).until_its_end();
        said.contains("too-many-open")
    });
    let codes: Vec<_> = codes.collect();
    assert_eq!(codes.iter().position(|refused| *refused), Some(16), "{codes:?}");
    served.stop().unwrap();
}

#[test]
fn clients_of_one_kind_that_come_at_once_open_one_conversation() {
    let served = Served::new(&echoing(), &["alice"]);
    let alice = Asks::new(&served, "alice");
    std::thread::scope(|scope| {
        for n in 0..12 {
            let alice = &alice;
            scope.spawn(move || {
                let call = json!({"name": "s__echo", "arguments": {"v": n}});
                assert_eq!(alice.modern("test", "tools/call", &call).status, 200);
            });
        }
    });
    let (_bench, records) = served.stop().unwrap();
    let calls = records.iter().filter(|record| record["begin"]["method"] == "tools/call");
    let all: Vec<_> = calls.map(|record| &record["begin"]["conversation"]).collect();
    assert_eq!(all.len(), 12);
    assert!(all.iter().all(|one| one.is_string() && *one == all[0]), "{all:?}");
}

#[test]
fn what_is_refused_too_often_is_no_longer_recorded() {
    let served = Served::new(&plan(json!({})), &["alice", "bob"]);
    let (alice, bob) = (Asks::new(&served, "alice"), Asks::new(&served, "bob"));
    let session = alice.session();
    let statuses: Vec<_> = (0..210).map(|_| alice.post(&[], "{").status).collect();
    assert_eq!(statuses, [[400; 200].as_slice(), &[429; 10]].concat());
    assert_eq!(bob.post(&[], "{").status, 400, "another's is");
    let ping = r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#;
    assert_eq!(alice.post(&[&session], ping).status, 200, "what is not refused is served");
    let (_bench, records) = served.stop().unwrap();
    let refused = records.iter().filter(|r| r["end"]["refusal"] == "frame-malformed").count();
    assert_eq!(refused, 201);
}
