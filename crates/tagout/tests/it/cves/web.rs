//! `tagout run --http`, and requests to it, byte for byte as a test wants them.
use std::{
    fmt::Write as _,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    process::{Child, Stdio},
    thread,
};

use serde_json::{Value, json};

use crate::place::{LIMIT, Place, one};

/// No answer of a test is as large.
const ANSWER: u64 = 4 << 20;
/// Every path that ever served something, here or in a product that had a hole.
pub(super) const PATHS: [&str; 14] = [
    "/mcp",
    "/sse",
    "/messages",
    "/message",
    "/mcp_message",
    "/",
    "/api/mcp/connect",
    "/mcp-rest/test/connection",
    "/mcp-connect/s",
    "/servers/s/mcp",
    "/.well-known/oauth-authorization-server",
    "/config",
    "/admin",
    "/metrics",
];
/// What a client of any kind says first.
pub(super) const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"raw","version":"1"}}}"#;

/// A gateway that serves over HTTP.
pub(super) struct Web {
    child: Child,
    pub(super) address: SocketAddr,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        fields.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The last message in it: of a JSON body, or of an event stream.
    #[track_caller]
    pub(super) fn message(&self) -> Value {
        let event = self.body.lines().rev().find_map(|line| line.strip_prefix("data: "));
        let text = event.or_else(|| self.body.lines().find(|line| line.starts_with('{')));
        one(text.unwrap_or_else(|| panic!("no message: {self:?}")))
    }
}

/// A new key for somebody. A gateway that runs knows it within a second, and one that is started
/// afterwards at once.
pub(super) fn key(place: &Place, name: &str) -> String {
    let ran = place.run(&["key", "add", name]);
    assert_eq!(ran.code, 0, "{ran:?}");
    format!("Authorization: Bearer {}", ran.stdout.trim_end())
}

impl Web {
    #[track_caller]
    pub(super) fn start(place: &Place) -> Self {
        let mut command = place.command(&["run", "--http", "127.0.0.1:0"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        let address = loop {
            line.clear();
            assert_ne!(said.read_line(&mut line).unwrap(), 0, "it does not listen");
            let url = line.strip_prefix("serving MCP clients at http://");
            if let Some(address) = url.and_then(|url| url.trim_end().strip_suffix("/mcp")) {
                break address.parse().unwrap();
            }
        };
        // What it says from now on is nobody's, but must not stop it.
        thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        Self { child, address }
    }

    pub(super) fn pid(&self) -> u64 {
        self.child.id().into()
    }

    /// Sends these bytes, and gives what comes: all of it until the gateway closes, or the head
    /// alone.
    #[track_caller]
    pub(super) fn send(&self, bytes: &[u8], whole: bool) -> Answer {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        // It may have answered and closed before it was told all.
        stream.write_all(bytes).ok();
        let mut reader = BufReader::new(stream.take(ANSWER));
        let mut head = String::new();
        loop {
            let before = head.len();
            let read = reader.read_line(&mut head).unwrap_or_default();
            if read == 0 || head.get(before..).is_some_and(|line| line == "\r\n") {
                break;
            }
        }
        let mut body = Vec::new();
        if whole {
            #[expect(clippy::disallowed_methods, reason = "the reader has a bound")]
            reader.read_to_end(&mut body).ok();
        }
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_default();
        Answer { status, head, body: plain(&String::from_utf8_lossy(&body)) }
    }

    /// A request with the gateway's own name as its host.
    #[track_caller]
    pub(super) fn ask(&self, line: &str, headers: &[&str], body: &str) -> Answer {
        let host = format!("Host: {}", self.address);
        let headers: Vec<_> = [host.as_str()].iter().chain(headers).copied().collect();
        self.ask_as(line, &headers, body)
    }

    /// A request with exactly these headers, and those that frame it.
    #[track_caller]
    pub(super) fn ask_as(&self, line: &str, headers: &[&str], body: &str) -> Answer {
        let mut text = format!("{line} HTTP/1.1\r\n");
        for header in headers {
            write!(text, "{header}\r\n").unwrap();
        }
        text.push_str("Accept: application/json, text/event-stream\r\nConnection: close\r\n");
        if !body.is_empty() {
            let length = body.len();
            write!(text, "Content-Type: application/json\r\nContent-Length: {length}\r\n").unwrap();
        }
        write!(text, "\r\n{body}").unwrap();
        self.send(text.as_bytes(), !line.starts_with("GET"))
    }

    /// Opens a session; gives its header.
    #[track_caller]
    pub(super) fn session(&self, key: &str) -> String {
        let answer = self.ask("POST /mcp", &[key], INITIALIZE);
        assert_eq!(answer.status, 200, "{answer:?}");
        let session = answer.header("mcp-session-id").unwrap();
        let header = format!("Mcp-Session-Id: {session}");
        let ready = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        assert_eq!(self.ask("POST /mcp", &[key, &header], ready).status, 202);
        header
    }

    /// A request in a session.
    #[track_caller]
    pub(super) fn request(&self, headers: [&str; 2], method: &str, params: &Value) -> Answer {
        let frame = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        self.ask("POST /mcp", &headers, &frame.to_string())
    }

    /// A call without a session, as clients of 2026-07-28 make it.
    #[track_caller]
    pub(super) fn visit(&self, headers: &[&str], tool: &str, arguments: &Value) -> Answer {
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let params = json!({"name": tool, "arguments": arguments, "_meta": meta});
        let frame = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
        let name = format!("Mcp-Name: {tool}");
        let own = ["MCP-Protocol-Version: 2026-07-28", "Mcp-Method: tools/call", &name];
        let headers: Vec<_> = own.iter().chain(headers).copied().collect();
        self.ask("POST /mcp", &headers, &frame.to_string())
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        // Both fail only when it has ended and was waited for.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A body without the lines that say how long its pieces are: messages hold no line ends.
fn plain(body: &str) -> String {
    let is_size = |line: &&str| {
        !line.is_empty() && line.len() < 9 && line.chars().all(|c| c.is_ascii_hexdigit())
    };
    body.split("\r\n").filter(|line| !is_size(line)).collect::<Vec<_>>().join("")
}
