//! A client that counts on nothing.
use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read, Write},
    sync::mpsc::{Receiver, sync_channel},
    thread,
};

use serde_json::{Value, json};

use crate::bench::PATIENCE;

/// A client over two streams. Dropping it closes its side.
pub(crate) struct Client {
    input: Box<dyn Write + Send>,
    frames: Receiver<String>,
    /// Answers that came while another was waited for, by id.
    early: BTreeMap<String, Value>,
    /// Notifications that came so far.
    pub(crate) told: Vec<Value>,
}

impl Client {
    pub(crate) fn new(
        input: impl Write + Send + 'static,
        output: impl Read + Send + 'static,
    ) -> Self {
        let (sender, frames) = sync_channel(1 << 16);
        thread::spawn(move || {
            for line in BufReader::new(output).lines() {
                let Ok(line) = line else { return };
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { input: Box::new(input), frames, early: BTreeMap::new(), told: Vec::new() }
    }

    /// As [`Client::new`], and shakes hands.
    pub(crate) fn open(
        input: impl Write + Send + 'static,
        output: impl Read + Send + 'static,
    ) -> Self {
        let mut this = Self::new(input, output);
        let client = json!({"name": "test", "version": "1"});
        let hello =
            json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client});
        let answer = this.ask("initialize", &hello);
        assert!(answer.get("result").is_some(), "{answer}");
        this.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        this
    }

    pub(crate) fn send(&mut self, frame: &Value) {
        writeln!(self.input, "{frame}").unwrap();
        self.input.flush().unwrap();
    }

    /// Sends a request under an id of the caller's choice.
    pub(crate) fn request(&mut self, id: impl Into<Value>, method: &str, params: &Value) {
        let id = id.into();
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
    }

    /// Calls a tool under an id of the caller's choice.
    pub(crate) fn call(&mut self, id: impl Into<Value>, tool: &str, arguments: &Value) {
        self.request(id, "tools/call", &json!({"name": tool, "arguments": arguments}));
    }

    /// A request and its answer.
    pub(crate) fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.request(method, method, params);
        self.answer(method)
    }

    /// The answer to the request `id`, whenever it came.
    pub(crate) fn answer(&mut self, id: impl Into<Value>) -> Value {
        let id = id.into().to_string();
        loop {
            if let Some(answer) = self.early.remove(&id) {
                return answer;
            }
            let frame = self.next();
            match frame.get("id") {
                Some(answered) => {
                    let again = self.early.insert(answered.to_string(), frame);
                    assert_eq!(again, None, "two answers to one request");
                }
                None => self.told.push(frame),
            }
        }
    }

    /// Answers that have come and nobody has asked for yet.
    pub(crate) fn not_asked_for(&self) -> usize {
        self.early.len()
    }

    /// Waits for a notification `method` after those that came before.
    pub(crate) fn told(&mut self, method: &str) -> Value {
        loop {
            let frame = self.next();
            match frame.get("id") {
                Some(id) => drop(self.early.insert(id.to_string(), frame)),
                None if frame["method"] == method => return frame,
                None => self.told.push(frame),
            }
        }
    }

    fn next(&mut self) -> Value {
        let line = self.frames.recv_timeout(PATIENCE).expect("nothing came");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// Closes this side, and gives what nobody waited for.
    pub(crate) fn close(self) -> Vec<Value> {
        let Self { input, frames, early, .. } = self;
        drop(input);
        let rest = std::iter::from_fn(|| frames.recv_timeout(PATIENCE).ok());
        let rest = rest.map(|line| serde_json::from_str(&line).unwrap());
        early.into_values().chain(rest).collect()
    }
}

/// Why the gateway refused.
#[track_caller]
pub(crate) fn refusal(answer: &Value) -> &str {
    let data = &answer["error"]["data"];
    assert_eq!(data["by"], "tagout", "{answer}");
    data["code"].as_str().unwrap()
}
