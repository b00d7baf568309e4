//! What servers say and ask on the way to an answer, in both eras and over each transport.
use std::{
    io::{BufRead as _, BufReader, Write},
    process::{Child, ChildStdout, Stdio},
    sync::{Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use tagout_testkit::{Script, program};

use crate::{
    bench::{Bench, PATIENCE, Plan, Running},
    upstream_peer::{Front, Peer, STREAM, act, event, legacy},
};

/// A client that answers what it is asked.
struct Host {
    input: Box<dyn Write>,
    frames: mpsc::Receiver<String>,
    /// Notifications and questions that came so far.
    told: Vec<Value>,
    _gateway: Running,
}

impl Host {
    fn new(bench: &Bench) -> Self {
        let mut gateway = bench.run();
        let input = Box::new(gateway.0.stdin.take().unwrap());
        let frames = read_apart(gateway.0.stdout.take().unwrap());
        let mut this = Self { input, frames, told: Vec::new(), _gateway: gateway };
        let capabilities = json!({"elicitation": {}, "sampling": {}, "roots": {}});
        let client = json!({"name": "host", "version": "1"});
        let hello = json!({"protocolVersion": "2025-11-25", "capabilities": capabilities,
            "clientInfo": client});
        let answer = this.ask("initialize", &hello);
        assert!(answer["result"].is_object(), "{answer}");
        this.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        this
    }

    fn send(&mut self, frame: &Value) {
        writeln!(self.input, "{frame}").unwrap();
        self.input.flush().unwrap();
    }

    fn next(&mut self) -> Value {
        let line = self.frames.recv_timeout(PATIENCE).expect("nothing came");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.send(&json!({"jsonrpc": "2.0", "id": method, "method": method, "params": params}));
        loop {
            let frame = self.next();
            if frame.get("method").is_none() {
                assert_eq!(frame["id"], method, "{frame}");
                return frame;
            }
            if let Some(id) = frame.get("id") {
                let result = match frame["method"].as_str().unwrap() {
                    "elicitation/create" => json!({"action": "accept", "content": {
                        "username": "ann", "email": "a@example.com", "name": "ann", "response": "ann"}}),
                    "sampling/createMessage" => json!({"role": "assistant", "model": "m",
                        "content": {"type": "text", "text": "sampled"}}),
                    _ => json!({"roots": [{"uri": "file:///srv", "name": "srv"}]}),
                };
                let answer = json!({"jsonrpc": "2.0", "id": id, "result": result});
                self.send(&answer);
            }
            self.told.push(frame);
        }
    }

    fn call(&mut self, tool: &str, arguments: &Value) -> Value {
        let meta = json!({"progressToken": "mine"});
        let name = format!("far__{tool}");
        let answer =
            self.ask("tools/call", &json!({"name": name, "arguments": arguments, "_meta": meta}));
        assert!(answer["result"]["isError"] != true, "{tool}: {answer}");
        assert!(answer["result"].is_object(), "{tool}: {answer}");
        answer
    }

    /// Waits for a notification, if it has not come yet.
    fn wait_for(&mut self, method: &str) {
        while self.was_told(method) == 0 {
            let frame = self.next();
            self.told.push(frame);
        }
    }

    fn was_told(&self, method: &str) -> usize {
        self.told.iter().filter(|frame| frame["method"] == method).count()
    }
}

/// Lines, read by a thread, so that a test need not wait for ever.
fn read_apart(output: ChildStdout) -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::sync_channel(1 << 10);
    thread::spawn(move || {
        for line in BufReader::new(output).lines() {
            let Ok(line) = line else { return };
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

fn bench(entries: &[String]) -> Bench {
    let mut plan = Plan { profile: Some("none".to_owned()), ..Plan::default() };
    plan.servers.insert("far".to_owned(), Script::default());
    plan.entries = entries.iter().map(|line| ("far".to_owned(), line.clone())).collect();
    plan.rules = vec!["@id(\"all\")\npermit(principal, action, resource);".to_owned()];
    Bench::new(&plan)
}

fn over_pipes(era: &str) -> Bench {
    let fixture = program("tagout-testkit", "fixture-server");
    bench(&[format!("command = [{fixture:?}, \"--stdio\", \"--era\", {era:?}]")])
}

/// What every server of the suite can do, whatever it speaks.
fn does_everything(host: &mut Host) {
    host.call("test_simple_text", &json!({}));
    host.call("test_tool_with_progress", &json!({}));
    assert!(host.was_told("notifications/progress") >= 2, "{:?}", host.told);
    let progress = host.told.iter().filter(|frame| frame["method"] == "notifications/progress");
    assert!(progress.into_iter().all(|frame| frame["params"]["progressToken"] == "mine"));
    let answer = host.ask("resources/read", &json!({"uri": "test://static-text"}));
    assert!(answer["result"]["contents"].is_array(), "{answer}");
    let answer = host.ask("prompts/get", &json!({"name": "far__test_simple_prompt"}));
    assert!(answer["result"]["messages"].is_array(), "{answer}");
    let answer = host.ask("resources/subscribe", &json!({"uri": "test://watched-resource"}));
    assert!(answer["result"].is_object(), "{answer}");
}

#[test]
fn a_server_with_sessions_asks_over_pipes() {
    let bench = over_pipes("legacy");
    let mut host = Host::new(&bench);
    does_everything(&mut host);
    host.call("test_elicitation", &json!({"message": "who?"}));
    host.call("test_sampling", &json!({"prompt": "say"}));
    assert_eq!(host.was_told("elicitation/create"), 1);
    assert_eq!(host.was_told("sampling/createMessage"), 1);
}

#[test]
fn a_modern_server_asks_over_pipes() {
    let bench = over_pipes("modern");
    let mut host = Host::new(&bench);
    does_everything(&mut host);
    host.call("test_input_required_result_elicitation", &json!({}));
    host.call("test_input_required_result_sampling", &json!({}));
    assert_eq!(host.was_told("elicitation/create"), 1);
    assert_eq!(host.was_told("sampling/createMessage"), 1);
    host.call("test_trigger_tool_change", &json!({}));
    host.wait_for("notifications/tools/list_changed");
}

/// The fixture over HTTP, and where it is.
struct Fixture(Child, String);

impl Fixture {
    fn new(era: &str) -> Self {
        #[expect(clippy::disallowed_methods, reason = "a test starts what it tests against")]
        let mut command = std::process::Command::new(program("tagout-testkit", "fixture-server"));
        command.args(["--http", "127.0.0.1:0", "--era", era]).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let at = line.find("http://").unwrap_or_else(|| panic!("no URL in {line:?}"));
        Self(child, line.split_at(at).1.split_whitespace().next().unwrap().to_owned())
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        // Both fail only when it has ended, and was waited for.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn a_server_with_sessions_asks_over_http() {
    let fixture = Fixture::new("legacy");
    let bench = bench(&[format!("url = {:?}", fixture.1)]);
    let mut host = Host::new(&bench);
    does_everything(&mut host);
    host.call("test_elicitation", &json!({"message": "who?"}));
    host.call("test_sampling", &json!({"prompt": "say"}));
    assert_eq!(host.was_told("elicitation/create"), 1);
    assert_eq!(host.was_told("sampling/createMessage"), 1);
    host.call("test_tool_with_logging", &json!({}));
}

#[test]
fn a_modern_server_asks_over_http() {
    let fixture = Fixture::new("modern");
    let bench = bench(&[format!("url = {:?}", fixture.1)]);
    let mut host = Host::new(&bench);
    does_everything(&mut host);
    host.call("test_input_required_result_elicitation", &json!({}));
    host.call("test_input_required_result_sampling", &json!({}));
    assert_eq!(host.was_told("elicitation/create"), 1);
    assert_eq!(host.was_told("sampling/createMessage"), 1);
    host.call("test_trigger_tool_change", &json!({}));
    host.wait_for("notifications/tools/list_changed");
}

#[test]
fn a_client_that_declares_nothing_is_not_asked() {
    let (answers, answered) = mpsc::sync_channel(1);
    let answered = Mutex::new(answered);
    let peer = Peer::new(move |heard, stream| match heard.method() {
        "tools/call" => {
            let question = json!({"jsonrpc": "2.0", "id": "q", "method": "elicitation/create",
                "params": {"message": "who?", "requestedSchema": {"type": "object"}}});
            let text = format!("{STREAM}{}", event(&question));
            stream.write_all(text.as_bytes()).unwrap();
            let answered = answered.lock().unwrap_or_else(PoisonError::into_inner);
            let answer: Value = answered.recv_timeout(Duration::from_secs(5)).unwrap();
            let content = json!([{"type": "text", "text": answer["error"]["code"].to_string()}]);
            let text = heard.event("1", json!({"content": content}));
            stream.write_all(text.as_bytes()).unwrap();
            false
        }
        // What has no method is an answer.
        "POST" => {
            answers.send(heard.body.clone()).unwrap();
            stream.write_all(crate::upstream_peer::empty(202).as_bytes()).is_ok()
        }
        _ => stream.write_all(legacy(heard, "s").as_bytes()).is_ok(),
    });
    let front = Front::new(&peer, "/mcp", "era = \"legacy\"");
    let answer = act(&mut front.client());
    assert_eq!(answer["result"]["content"][0]["text"], "-32601", "{answer}");
    assert_eq!(peer.of("POST")[0].header("mcp-session-id"), "s");
}
