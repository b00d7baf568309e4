//! An MCP client that says exactly what a test wants it to say.
use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read, Write},
    process::{Child, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, sync_channel},
    thread,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::place::{LIMIT, Place, ended};

/// Frames in both directions.
pub(crate) struct Frames {
    input: Option<Box<dyn Write + Send>>,
    lines: Receiver<Vec<u8>>,
    next: u64,
    /// Answers that came before somebody asked for them.
    early: BTreeMap<u64, Value>,
}

/// `tagout run`, and a client of it.
pub(crate) struct Client {
    child: Child,
    pub(crate) frames: Frames,
}

impl Frames {
    pub(crate) fn new(
        input: impl Write + Send + 'static,
        output: impl Read + Send + 'static,
    ) -> Self {
        let (lines, received) = sync_channel(1024);
        thread::spawn(move || {
            let mut output = BufReader::new(output);
            let mut line = Vec::new();
            while let Ok(1..) = output.read_until(b'\n', &mut line) {
                if lines.send(std::mem::take(&mut line)).is_err() {
                    return;
                }
            }
        });
        Self { input: Some(Box::new(input)), lines: received, next: 1, early: BTreeMap::new() }
    }

    pub(crate) fn line(&mut self, line: &str) {
        let input = self.input.as_mut().unwrap();
        input.write_all(format!("{line}\n").as_bytes()).unwrap();
        input.flush().unwrap();
    }

    /// Sends a request and gives its id.
    pub(crate) fn ask(&mut self, method: &str, params: &Value) -> u64 {
        let id = self.next;
        self.next += 1;
        let frame = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        self.line(&frame.to_string());
        id
    }

    /// The next frame; nothing at the output's end.
    #[track_caller]
    pub(crate) fn next(&mut self) -> Option<Value> {
        match self.lines.recv_timeout(LIMIT) {
            Ok(line) => Some(serde_json::from_slice(&line).unwrap()),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("nothing comes"),
        }
    }

    /// The answer to the request `id`; what else comes before it is passed over.
    #[track_caller]
    pub(crate) fn answer(&mut self, id: u64) -> Value {
        loop {
            let frame = self.next().unwrap_or_else(|| panic!("it ends without answering {id}"));
            if frame["id"] == id && frame.get("method").is_none() {
                return frame;
            }
        }
    }

    /// The answer to the request `id`; other answers that come before it are kept for later.
    #[track_caller]
    pub(crate) fn answer_in_any_order(&mut self, id: u64) -> Value {
        loop {
            if let Some(answer) = self.early.remove(&id) {
                return answer;
            }
            let frame = self.next().unwrap_or_else(|| panic!("it ends without answering {id}"));
            if let (Some(id), None) = (frame["id"].as_u64(), frame.get("method")) {
                self.early.insert(id, frame);
            }
        }
    }

    #[track_caller]
    pub(crate) fn request(&mut self, method: &str, params: &Value) -> Value {
        let id = self.ask(method, params);
        self.answer(id)
    }

    /// A result, where there must be one.
    #[track_caller]
    pub(crate) fn result(&mut self, method: &str, params: &Value) -> Value {
        let mut frame = self.request(method, params);
        assert!(frame.get("result").is_some(), "{frame}");
        frame["result"].take()
    }

    #[track_caller]
    pub(crate) fn initialize(&mut self) -> Value {
        let result = self.result(
            "initialize",
            &json!({
                "protocolVersion": "2025-11-25",
                "capabilities": {},
                "clientInfo": {"name": "raw", "version": "1"}
            }),
        );
        self.line(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        result
    }

    pub(crate) fn call(&mut self, tool: &str, arguments: &Value) -> Value {
        self.request("tools/call", &json!({"name": tool, "arguments": arguments}))
    }

    pub(crate) fn close(&mut self) {
        self.input = None;
    }
}

impl Client {
    pub(crate) fn start(place: &Place) -> Self {
        Self::start_with(place, &["run"])
    }

    pub(crate) fn start_with(place: &Place, args: &[&str]) -> Self {
        let mut command = place.command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let frames = Frames::new(child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, frames }
    }

    pub(crate) fn pid(&self) -> u64 {
        self.child.id().into()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    #[track_caller]
    pub(crate) fn ended(&mut self) -> ExitStatus {
        ended(&mut self.child).unwrap_or_else(|| panic!("`tagout run` does not end"))
    }

    /// Closes the client's side and waits for the gateway's end.
    #[track_caller]
    pub(crate) fn leave(mut self) {
        self.frames.close();
        assert_eq!(self.ended().code(), Some(0));
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Both fail only when it has ended and was waited for.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
