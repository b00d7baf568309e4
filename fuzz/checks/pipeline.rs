//! What must hold of anything that a client sends: what is passed on to a server means the same to
//! another reader of the protocol (that of the `rmcp` crate) as to ours, and every request is
//! answered.
use std::{cell::RefCell, sync::Arc, time::Duration};

use rmcp::model::{ClientJsonRpcMessage, ClientRequest, JsonRpcMessage};
use serde_json::Value;
use tagout_gateway::{
    Clock, Gateway, Parts,
    approval::Nobody,
    config::{Config, Transport},
    lockfile::{Lockfile, PinnedServer, PinnedTool},
};
use tagout_inspect::definition;
use tagout_policy::{Effect, Effects, Policy, Profile, Surface};
use tagout_proto::{Document, Frame, Limits, Message, Principal, ServerName, ToolName};
use tokio::{
    io::{
        AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream, ReadHalf, WriteHalf,
        duplex, split,
    },
    runtime::{Builder, Runtime},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::stand_in::{Heard, TOOL, listen};

/// Runs after which all is made anew, so that logs do not grow without end.
const RUNS: u32 = 20_000;
/// How long an answer may take; only what is broken takes so long.
const PATIENCE: Duration = Duration::from_secs(10);
/// How much travels in one piece.
const PIPE: usize = 1 << 20;
/// Longer inputs say nothing more.
const LONGEST: usize = 64 << 10;

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":"open","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"fuzz","version":"1"}}}"#;
const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

thread_local! {
    static BENCH: RefCell<Option<Bench>> = const { RefCell::new(None) };
}

/// Sends `bytes` to a gateway, as one line, and looks at what reaches the server; whether anything
/// does.
pub(crate) fn check(bytes: &[u8]) -> bool {
    if bytes.len() > LONGEST || bytes.contains(&b'\n') {
        return false;
    }
    BENCH.with_borrow_mut(|kept| {
        let mut bench = kept.take().filter(|bench| bench.runs < RUNS).unwrap_or_else(Bench::new);
        let passed_on = bench.run(bytes);
        *kept = Some(bench);
        passed_on
    })
}

/// A gateway, the server behind it and two clients: one with a handshake, one without.
struct Bench {
    runtime: Runtime,
    session: Client,
    sessionless: Client,
    heard: Heard,
    runs: u32,
    /// Dropped last.
    _state: tempfile::TempDir,
}

struct Client {
    read: BufReader<ReadHalf<DuplexStream>>,
    write: WriteHalf<DuplexStream>,
}

impl Bench {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        // Memory in place of a disk, where there is some.
        let memory = std::path::Path::new("/dev/shm");
        let state =
            if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let state = state.expect("a folder");
        let heard = Heard::default();
        let (session, sessionless) = runtime.block_on(async {
            let address = listen(heard.clone()).await;
            let gateway = gateway(&format!("http://{address}/mcp"), state.path());
            let mut session = Client::of(&gateway);
            session.send(INITIALIZE.as_bytes()).await;
            session.answer("\"open\"").await;
            session.send(INITIALIZED.as_bytes()).await;
            // All that is offered is known from here on.
            session.ask("tools/list").await;
            session.ask("resources/list").await;
            (session, Client::of(&gateway))
        });
        Self { runtime, session, sessionless, heard, runs: 0, _state: state }
    }

    fn run(&mut self, bytes: &[u8]) -> bool {
        self.runs += 1;
        let modern = bytes.windows(10).any(|window| window == b"2026-07-28");
        let client = if modern { &mut self.sessionless } else { &mut self.session };
        let frame = Frame::read(bytes, Limits::default());
        let expected = match frame.as_ref().map(Frame::message) {
            Ok(Message::Request { method, id, .. }) => {
                let method = method.text().unwrap_or_default();
                // One answers when it is over, the other would give the client a session.
                if method == "subscriptions/listen" || (modern && method == "initialize") {
                    return false;
                }
                Some(id.raw().to_owned())
            }
            Ok(Message::Notification { .. } | Message::Response { .. }) | Err(_) => None,
        };
        self.runtime.block_on(async {
            client.send(bytes).await;
            match &expected {
                Some(id) => client.answer(id).await,
                None => client.ask("ping").await,
            }
        });
        let passed_on = self.heard.take();
        assert!(passed_on.len() <= 1, "one frame became {passed_on:?}");
        for (method, params) in &passed_on {
            assert!(expected.is_some(), "what is no request reached the server as `{method}`");
            same_to_another_reader(bytes, method, params);
        }
        !passed_on.is_empty()
    }
}

/// What reached the server as `method` with `params` came from `bytes`: the other reader has to
/// read the same in them. It need not know every method; of tools' calls it must.
fn same_to_another_reader(bytes: &[u8], method: &str, params: &Value) {
    let theirs: ClientJsonRpcMessage = match serde_json::from_slice(bytes) {
        Ok(theirs) => theirs,
        Err(error) => panic!("`{method}` was passed on, and the other reader says {error}"),
    };
    let JsonRpcMessage::Request(theirs) = theirs else {
        panic!("`{method}` was passed on, and to the other reader it is no request")
    };
    let typed = !matches!(theirs.request, ClientRequest::CustomRequest(_));
    assert!(typed || method != "tools/call", "the other reader does not know this as a call");
    let theirs = serde_json::to_value(&theirs.request).expect("it can be written");
    assert_eq!(theirs["method"], *method, "another method");
    for key in ["name", "arguments", "uri", "ref", "argument"] {
        assert_eq!(theirs["params"][key], params[key], "`{key}` of `{method}`");
    }
}

impl Client {
    fn of(gateway: &Arc<Gateway>) -> Self {
        let (ours, theirs) = duplex(PIPE);
        let gateway = Arc::clone(gateway);
        tokio::spawn(async move {
            let stop = CancellationToken::new();
            drop(gateway.serve(split(theirs), "memory", &stop).await);
        });
        let (read, write) = split(ours);
        Self { read: BufReader::new(read), write }
    }

    async fn send(&mut self, frame: &[u8]) {
        let line = [frame, b"\n"].concat();
        self.write.write_all(&line).await.expect("the gateway reads");
    }

    async fn ask(&mut self, method: &str) {
        let id = format!("\"{method}\"");
        let request = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}"}}"#);
        self.send(request.as_bytes()).await;
        self.answer(&id).await;
    }

    /// Waits for the answer under `id`, a JSON text.
    async fn answer(&mut self, id: &str) {
        let begins = format!(r#"{{"jsonrpc":"2.0","id":{id},"#);
        let mut line = String::new();
        while !line.starts_with(&begins) {
            line.clear();
            let read = timeout(PATIENCE, self.read.read_line(&mut line)).await;
            let read = read.unwrap_or_else(|_| panic!("no answer under {id}"));
            assert_ne!(read.expect("the gateway writes text"), 0, "it ended before {id}");
        }
    }
}

/// A gateway as people run it, but for its clients and its clock.
fn gateway(url: &str, state: &std::path::Path) -> Arc<Gateway> {
    let text = format!(
        "[consent]\nagreed = [\"up\"]\n[server.up]\nurl = \"{url}\"\nera = \"legacy\"\nprefix = \"\"\nstateless = true\n"
    );
    let document = Document::read(TOOL.as_bytes(), Limits::default()).expect("a definition");
    let definition = definition::digest(document.root());
    let effects = Effects::from([Effect::Read]);
    let tool = PinnedTool::new(definition, effects, true);
    let name = ToolName::try_from("echo").expect("a name");
    let up = PinnedServer {
        url: Some(url.to_owned()),
        transport: Some(Transport::Auto),
        // Its prompts and templates are not pinned one by one.
        of_first_version: true,
        offers_reviewed: true,
        tools: [(name, tool)].into(),
        ..PinnedServer::default()
    };
    let mut lockfile = Lockfile::default();
    lockfile.servers.insert(ServerName::try_from("up").expect("a name"), up);
    let principal = Principal {
        user: "ann".into(),
        groups: std::collections::BTreeSet::new(),
        authenticated_by: "os-user".into(),
    };
    let now = "2026-11-21T12:00:00Z".parse().expect("a time");
    let parts = Parts {
        config: Config::parse("tagout.toml", &text, state).expect("a configuration"),
        policy: Policy::load(Profile::default(), &[], &Surface::default()).expect("rules"),
        lockfile,
        shipped: Lockfile::default(),
        own_program: "tagout".into(),
        own_files: std::collections::BTreeSet::new(),
        principal,
        approver: Arc::new(Nobody),
        clock: Clock::new(move || now),
    };
    Gateway::open(parts, &state.join("state"), &state.join("keys/audit-head.key"))
        .expect("it opens")
}
