//! A client's connection with the gateway, over its standard input and output.
use std::{
    ffi::OsStr,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    path::Path,
    process::{Child, ChildStdin, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, sync_channel},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{answer::answer, note};

/// The modern era begins with this revision.
const MODERN: &str = "2026-07-28";
/// An answer comes within this; the suite gives a scenario half a minute.
const WITHIN: Duration = Duration::from_secs(25);
/// How long the gateway has to end once nobody asks it anything any more.
const END: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_millis(20);
/// No message is longer, in bytes.
const LINE_BYTES: u64 = 16 << 20;
/// Messages that may wait to be looked at.
const WAITING: usize = 64;
/// A call asks for more at most so often.
const ROUNDS: usize = 8;

/// Why it ends early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{0}")]
    Usage(&'static str),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("the gateway says no JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the gateway has ended")]
    Ended,
    #[error("no answer to `{0}` in time")]
    Late(String),
}

/// A gateway, and where it is talked to.
pub(crate) struct Session {
    gateway: Child,
    to: Option<ChildStdin>,
    from: Receiver<String>,
    modern: Option<Value>,
    last_id: u64,
}

impl Drop for Session {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is gone after this.
        self.gateway.kill().ok();
        self.gateway.wait().ok();
    }
}

impl Session {
    /// Starts a gateway and, where the revision has one, shakes hands.
    pub(crate) fn open(tagout: &OsStr, folder: &Path, revision: &str) -> Result<Self, Failure> {
        #[expect(clippy::disallowed_methods, reason = "a test program starts what it tests")]
        let mut run = std::process::Command::new(tagout);
        run.arg("--config").arg(folder.join("tagout.toml")).arg("run");
        for variable in ["HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME"] {
            run.env(variable, folder.join(variable.to_lowercase()));
        }
        let mut gateway = run.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let to = gateway.stdin.take();
        let out = gateway.stdout.take().ok_or(Failure::Ended)?;
        let (send, from) = sync_channel(WAITING);
        thread::spawn(move || {
            let mut out = BufReader::new(out);
            loop {
                let mut line = String::new();
                let read = out.by_ref().take(LINE_BYTES).read_line(&mut line);
                if !matches!(read, Ok(length) if length > 0) || send.send(line).is_err() {
                    return;
                }
            }
        });
        let client = json!({"name": "conformance-client", "version": env!("CARGO_PKG_VERSION")});
        let can = json!({"elicitation": {}, "sampling": {}, "roots": {}});
        let modern = (revision >= MODERN).then(|| {
            json!({
                "io.modelcontextprotocol/protocolVersion": revision,
                "io.modelcontextprotocol/clientInfo": client,
                "io.modelcontextprotocol/clientCapabilities": can,
            })
        });
        let mut session = Self { gateway, to, from, modern, last_id: 0 };
        if session.modern.is_none() {
            let hello =
                json!({"protocolVersion": revision, "capabilities": can, "clientInfo": client});
            let answer = session.ask("initialize", hello)?;
            note(&format!("initialize: {answer}"));
            session.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))?;
        }
        Ok(session)
    }

    /// Asks, answers what is asked in return, and returns the whole response.
    pub(crate) fn ask(&mut self, method: &str, mut params: Value) -> Result<Value, Failure> {
        if let (Some(meta), Some(params)) = (&self.modern, params.as_object_mut()) {
            params.insert("_meta".to_owned(), meta.clone());
        }
        for _ in 0..ROUNDS {
            let response = self.ask_once(method, &params)?;
            let result = response.get("result").unwrap_or(&Value::Null);
            if result.get("resultType").and_then(Value::as_str) != Some("input_required") {
                return Ok(response);
            }
            let asked = result.get("inputRequests").and_then(Value::as_object);
            let answers = asked.into_iter().flatten().map(|(key, it)| (key.clone(), answer(it)));
            let answers: serde_json::Map<_, _> = answers.collect();
            let state = result.get("requestState").cloned();
            let Some(params) = params.as_object_mut() else { return Ok(response) };
            params.insert("inputResponses".to_owned(), Value::Object(answers));
            match state {
                Some(state) => drop(params.insert("requestState".to_owned(), state)),
                None => drop(params.remove("requestState")),
            }
        }
        Err(Failure::Late(method.to_owned()))
    }

    fn ask_once(&mut self, method: &str, params: &Value) -> Result<Value, Failure> {
        self.last_id += 1;
        let id = json!(self.last_id);
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))?;
        let end = Instant::now() + WITHIN;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let line = self.from.recv_timeout(left).map_err(|error| match error {
                RecvTimeoutError::Timeout => Failure::Late(method.to_owned()),
                RecvTimeoutError::Disconnected => Failure::Ended,
            })?;
            let message: Value = serde_json::from_str(&line)?;
            match (message.get("method"), message.get("id")) {
                (None, Some(answered)) if *answered == id => return Ok(message),
                (Some(_), Some(asked)) => {
                    let result = answer(&message);
                    self.send(&json!({"jsonrpc": "2.0", "id": asked, "result": result}))?;
                }
                _ => note(line.trim_end()),
            }
        }
    }

    fn send(&mut self, message: &Value) -> Result<(), Failure> {
        let to = self.to.as_mut().ok_or(Failure::Ended)?;
        to.write_all(format!("{message}\n").as_bytes())?;
        Ok(to.flush()?)
    }

    /// Hangs up, and gives the gateway a moment to do so towards its server.
    pub(crate) fn close(mut self) -> Result<(), Failure> {
        self.to = None;
        let end = Instant::now() + END;
        while self.gateway.try_wait()?.is_none() && Instant::now() < end {
            thread::sleep(TICK);
        }
        Ok(())
    }
}
