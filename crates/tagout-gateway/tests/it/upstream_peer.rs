//! Servers that speak HTTP as badly as a test wants, and a gateway in front of one.
use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::unix::net::UnixStream,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tagout_gateway::{
    Clock, Gateway, Parts,
    approval::{Answer, Approver, Asking, Card, Nobody},
    config::Config,
    identity::os_user,
    lockfile::Lockfile,
};
use tagout_policy::{Policy, Profile, Source, Surface};
use tokio_util::sync::CancellationToken;

use crate::{bench::PATIENCE, client::Client};

/// A request that the peer got.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) verb: String,
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Value,
    /// Which connection it came over.
    pub(crate) line: usize,
}

impl Heard {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The JSON-RPC method; of what has none, the verb of HTTP.
    pub(crate) fn method(&self) -> &str {
        self.body["method"].as_str().unwrap_or(&self.verb)
    }

    /// A JSON answer with this result.
    pub(crate) fn result(&self, result: Value) -> String {
        json(200, &json!({"jsonrpc": "2.0", "id": self.body["id"], "result": result}), "")
    }

    /// A JSON answer with this error.
    pub(crate) fn error(&self, status: u16, code: i64) -> String {
        let error = json!({"code": code, "message": "no"});
        json(status, &json!({"jsonrpc": "2.0", "id": self.body["id"], "error": error}), "")
    }

    /// An event with this result.
    pub(crate) fn event(&self, id: &str, result: Value) -> String {
        let frame = json!({"jsonrpc": "2.0", "id": self.body["id"], "result": result});
        format!("id: {id}\ndata: {frame}\n\n")
    }
}

/// An answer with a JSON body; `more` is further headers, each with its line end.
pub(crate) fn json(status: u16, body: &Value, more: &str) -> String {
    whole(status, "application/json", &body.to_string(), more)
}

pub(crate) fn whole(status: u16, kind: &str, body: &str, more: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\n{more}content-length: {length}\r\n\r\n{body}"
    )
}

/// An answer without a body.
pub(crate) fn empty(status: u16) -> String {
    format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n")
}

/// The head of a stream of events, which ends with its connection.
pub(crate) const STREAM: &str =
    "HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";

/// One event that carries a frame.
pub(crate) fn event(frame: &Value) -> String {
    format!("data: {frame}\n\n")
}

/// What a peer does with a request: writes what it wants, and says whether it hears more.
type Does = dyn Fn(&Heard, &mut TcpStream) -> bool + Send + Sync;

/// A server on a port of this machine.
pub(crate) struct Peer {
    pub(crate) port: u16,
    heard: Arc<Mutex<Vec<Heard>>>,
}

impl Peer {
    pub(crate) fn new(
        does: impl Fn(&Heard, &mut TcpStream) -> bool + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::<Mutex<Vec<Heard>>>::default();
        let (does, noted): (Arc<Does>, _) = (Arc::new(does), Arc::clone(&heard));
        thread::spawn(move || {
            for (line, stream) in listener.incoming().enumerate() {
                let (Ok(stream), does) = (stream, Arc::clone(&does)) else { return };
                let noted = Arc::clone(&noted);
                thread::spawn(move || serve((line, stream), &*does, &noted));
            }
        });
        Self { port, heard }
    }

    /// A peer that answers each request by a whole text.
    pub(crate) fn answering(says: impl Fn(&Heard) -> String + Send + Sync + 'static) -> Self {
        Self::new(move |heard, stream| {
            let text = says(heard);
            stream.write_all(text.as_bytes()).is_ok() && !text.contains("connection: close")
        })
    }

    /// All requests so far.
    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The requests of one method so far.
    pub(crate) fn of(&self, method: &str) -> Vec<Heard> {
        self.heard().into_iter().filter(|heard| heard.method() == method).collect()
    }

    /// Waits until there are `count` requests of one method.
    pub(crate) fn wait_for(&self, method: &str, count: usize) -> Vec<Heard> {
        let until = Instant::now() + PATIENCE;
        loop {
            let heard = self.of(method);
            if heard.len() >= count {
                return heard;
            }
            assert!(Instant::now() < until, "no {count} `{method}`: {:#?}", self.heard());
            thread::sleep(Duration::from_millis(5));
        }
    }
}

fn serve((line, stream): (usize, TcpStream), does: &Does, noted: &Mutex<Vec<Heard>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    while let Some(heard) = hear(line, &mut reader) {
        noted.lock().unwrap_or_else(PoisonError::into_inner).push(heard.clone());
        if !does(&heard, &mut stream) {
            return;
        }
    }
}

fn hear(line: usize, reader: &mut BufReader<TcpStream>) -> Option<Heard> {
    let mut lines = Vec::new();
    loop {
        let mut text = String::new();
        if reader.read_line(&mut text).ok()? == 0 {
            return None;
        }
        match text.trim_end() {
            "" => break,
            text => lines.push(text.to_owned()),
        }
    }
    let mut first = lines.first()?.split(' ');
    let (verb, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    let mut headers = BTreeMap::new();
    for (name, value) in lines.iter().skip(1).filter_map(|line| line.split_once(": ")) {
        let twice = headers.insert(name.to_lowercase(), value.to_owned());
        assert_eq!(twice, None, "`{name}` was sent twice");
    }
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Some(Heard { verb, path, headers, body, line })
}

/// What every modern server answers, but for what a test is about.
pub(crate) fn modern(heard: &Heard, tools: &Value) -> String {
    match heard.method() {
        "server/discover" => heard.result(json!({
            "resultType": "complete", "supportedVersions": ["2026-07-28"],
            "capabilities": {"tools": {}}, "ttlMs": 0, "cacheScope": "private",
        })),
        "tools/list" => heard.result(json!({
            "resultType": "complete", "tools": tools, "ttlMs": 0, "cacheScope": "private",
        })),
        "tools/call" => heard.result(json!({
            "resultType": "complete", "content": [{"type": "text", "text": "done"}],
        })),
        _ => heard.error(404, -32601),
    }
}

/// What every server with sessions answers, but for what a test is about.
pub(crate) fn legacy(heard: &Heard, session: &str) -> String {
    match heard.method() {
        "initialize" => {
            let result = json!({
                "protocolVersion": "2025-11-25", "capabilities": {"tools": {}},
                "serverInfo": {"name": "far", "version": "1"},
            });
            let frame = json!({"jsonrpc": "2.0", "id": heard.body["id"], "result": result});
            json(200, &frame, &format!("mcp-session-id: {session}\r\n"))
        }
        "notifications/initialized" | "notifications/cancelled" => empty(202),
        "tools/list" => heard.result(json!({"tools": [tool("act")]})),
        "tools/call" => heard.result(json!({"content": [{"type": "text", "text": "done"}]})),
        "server/discover" => heard.error(400, -32600),
        "DELETE" => empty(200),
        _ => empty(405),
    }
}

pub(crate) fn tool(name: &str) -> Value {
    json!({"name": name, "inputSchema": {"type": "object", "properties": {"x": {"type": "string"}}}})
}

/// Approves whatever it is asked.
struct Somebody;

impl Approver for Somebody {
    fn ask<'a>(&'a self, _card: &'a Card, _limit: Duration) -> Asking<'a> {
        Box::pin(std::future::ready(Answer::Allow))
    }

    fn channel(&self) -> &'static str {
        "somebody"
    }
}

/// A gateway that lets everything through, in front of one server called `far`.
pub(crate) struct Front {
    pub(crate) gateway: Arc<Gateway>,
    runtime: tokio::runtime::Runtime,
    stop: CancellationToken,
    state: tempfile::TempDir,
}

impl Front {
    /// `entry` is what stands in the server's table beside its URL.
    pub(crate) fn new(peer: &Peer, path: &str, entry: &str) -> Self {
        let url = format!("http://127.0.0.1:{}{path}", peer.port);
        Self::of(&format!("[server.far]\nurl = \"{url}\"\n{entry}"), Lockfile::default())
    }

    pub(crate) fn of(config: &str, lockfile: Lockfile) -> Self {
        Self::ruled(config, lockfile, ("", Arc::new(Nobody)))
    }

    /// As [`Front::new`], where each call is asked about and approved.
    pub(crate) fn approving(peer: &Peer, path: &str, entry: &str) -> Self {
        let url = format!("http://127.0.0.1:{}{path}", peer.port);
        let config = format!("[server.far]\nurl = \"{url}\"\n{entry}");
        let asks = r#"@id("asks") forbid(principal, action in Action::"call-tool", resource)
            unless { context.approved };"#;
        Self::ruled(&config, Lockfile::default(), (asks, Arc::new(Somebody)))
    }

    fn ruled(
        config: &str,
        lockfile: Lockfile,
        (more, approver): (&str, Arc<dyn Approver>),
    ) -> Self {
        let state = tempfile::tempdir().unwrap();
        let mut config = Config::parse("tagout.toml", config, state.path()).unwrap();
        config.consent.agreed = config.servers.keys().cloned().collect();
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let all = "@id(\"all\")\npermit(principal, action, resource);\n";
        let all = Source { name: "all".to_owned(), text: format!("{all}{more}") };
        let parts = Parts {
            policy: Policy::load(Profile::None, &[all], &Surface::default()).unwrap(),
            lockfile,
            shipped: Lockfile::default(),
            own_program: "/nowhere".into(),
            own_files: std::collections::BTreeSet::new(),
            principal: os_user(&config),
            approver,
            clock: Clock::new(move || now),
            config,
        };
        let gateway = Gateway::open(parts, state.path(), &state.path().join("head.key")).unwrap();
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
        Self { gateway, runtime, stop: CancellationToken::new(), state }
    }

    /// A client that has shaken hands.
    pub(crate) fn client(&self) -> Client {
        let (ours, theirs) = UnixStream::pair().unwrap();
        theirs.set_nonblocking(true).unwrap();
        let (gateway, stop) = (Arc::clone(&self.gateway), self.stop.clone());
        self.runtime.spawn(async move {
            let theirs = tokio::net::UnixStream::from_std(theirs).unwrap();
            // It breaks where a test drops its client without closing it.
            gateway.serve(tokio::io::split(theirs), "memory", &stop).await.ok();
        });
        Client::open(Input(ours.try_clone().unwrap()), ours)
    }

    /// What is on record so far, one JSON object a line.
    pub(crate) fn recorded(&self) -> String {
        let log = self.state.path().join("audit/log-000001.jsonl");
        String::from_utf8(std::fs::read(log).unwrap()).unwrap()
    }

    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }
}

/// A client's way to the gateway, which ends when this is dropped.
struct Input(UnixStream);

impl std::io::Write for Input {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        // It may have ended already.
        self.0.shutdown(std::net::Shutdown::Write).ok();
    }
}

/// Calls the server's tool `act` and gives the answer.
pub(crate) fn act(client: &mut Client) -> Value {
    client.call("act", "far__act", &json!({"x": "y"}));
    client.answer("act")
}
