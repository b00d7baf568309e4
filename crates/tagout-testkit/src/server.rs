//! A Model Context Protocol server over standard input and output that follows a [`Script`].
mod process;
mod steps;

use std::{
    collections::{BTreeMap, VecDeque},
    fs::OpenOptions,
    io::{self, BufRead, Write},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

pub use self::process::linger_if_asked;
use crate::script::{Script, Step};

const REVISIONS: [&str; 2] = ["2025-06-18", "2025-11-25"];

/// Serves until the input ends.
///
/// # Errors
/// Input, output or the record file fail.
pub fn serve(
    script: Script,
    mut input: impl BufRead,
    output: impl Write + Send + 'static,
) -> io::Result<()> {
    let before = script.before_handshake.clone();
    let server = Arc::new(Server::new(script, Box::new(output)));
    server.run(Request::default(), before.into())?;
    let mut line = Vec::new();
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        server.note(&line)?;
        server.receive(&line)?;
    }
}

/// What both sides send, as far as a server must tell it apart.
#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    method: Option<String>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

/// What steps know of the request that they serve.
#[derive(Clone, Default)]
struct Request {
    /// As it was written; `None` for notifications.
    id: Option<String>,
    params: Option<String>,
    /// The client's frame that answered the last question.
    answer: Option<String>,
}

type Steps = VecDeque<Step>;

struct Server {
    script: Script,
    state: Mutex<State>,
    output: Mutex<Box<dyn Write + Send>>,
}

struct State {
    tools: Vec<Value>,
    /// How many turns of each behaviour were taken.
    taken: BTreeMap<String, usize>,
    /// Ids without an answer, oldest first.
    open: Vec<String>,
    /// What goes on when the client answers a question, by its id.
    waiting: BTreeMap<String, (Request, Steps)>,
}

#[derive(Default, Deserialize)]
struct Call<'a> {
    name: String,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

impl Server {
    fn new(script: Script, output: Box<dyn Write + Send>) -> Self {
        let state = State {
            tools: script.tools.clone(),
            taken: BTreeMap::new(),
            open: Vec::new(),
            waiting: BTreeMap::new(),
        };
        Self { script, state: Mutex::new(state), output: Mutex::new(output) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opened anew for each line, so that it does not show among the server's descriptors.
    fn note(&self, line: &[u8]) -> io::Result<()> {
        match &self.script.record {
            Some(path) => OpenOptions::new().create(true).append(true).open(path)?.write_all(line),
            None => Ok(()),
        }
    }

    fn receive(self: &Arc<Self>, line: &[u8]) -> io::Result<()> {
        let Ok(frame) = serde_json::from_slice::<Frame<'_>>(line) else {
            let error = json!({"code": -32700, "message": "not JSON"});
            return self.line(&format!(r#"{{"jsonrpc":"2.0","id":null,"error":{error}}}"#));
        };
        let id = frame.id.map(|id| id.get().to_owned());
        let Some(method) = frame.method else {
            return self.resume(&id.unwrap_or_default(), line);
        };
        self.state().open.extend(id.clone());
        let params = frame.params.map(|params| params.get().to_owned());
        let request = Request { id, params, answer: None };
        let steps = self.steps_for(&method, &request);
        self.run(request, steps)
    }

    fn resume(self: &Arc<Self>, id: &str, line: &[u8]) -> io::Result<()> {
        let waiting = self.state().waiting.remove(id);
        let Some((mut request, steps)) = waiting else { return Ok(()) };
        request.answer = Some(String::from_utf8_lossy(line).trim_end().to_owned());
        self.run(request, steps)
    }

    fn steps_for(&self, method: &str, request: &Request) -> Steps {
        if let Some(steps) = self.turn(&self.script.methods, method) {
            return steps;
        }
        let refusal = |code, message: String| Step::Error { code, message };
        let step = match method {
            _ if request.id.is_none() => return Steps::new(),
            "initialize" => Step::Initialize,
            "ping" => Step::Reply(json!({})),
            "tools/list" => Step::List,
            "tools/call" => {
                let name = request.call().name;
                if let Some(steps) = self.turn(&self.script.calls, &name) {
                    return steps;
                }
                match name.as_str() {
                    "echo" => Step::Echo,
                    "environment" => Step::Environment,
                    _ => refusal(-32602, format!("no tool `{name}`")),
                }
            }
            _ => refusal(-32601, format!("no method `{method}`")),
        };
        Steps::from([step])
    }

    fn turn(&self, behaviours: &BTreeMap<String, Vec<Vec<Step>>>, name: &str) -> Option<Steps> {
        let turns = behaviours.get(name)?;
        let mut state = self.state();
        let taken = state.taken.entry(name.to_owned()).or_default();
        let turn = turns.get(*taken).or(turns.last()).cloned().unwrap_or_default();
        *taken += 1;
        Some(turn.into())
    }

    /// Writes a line, whole even when several threads write.
    fn line(&self, text: &str) -> io::Result<()> {
        self.write(format!("{text}\n").as_bytes())
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        output.write_all(bytes)?;
        output.flush()
    }

    fn initialized(&self, request: &Request) -> Value {
        let params: Value = request
            .params
            .as_deref()
            .and_then(|p| serde_json::from_str(p).ok())
            .unwrap_or_default();
        let asked = params.get("protocolVersion").and_then(Value::as_str).unwrap_or_default();
        let [_, latest] = REVISIONS;
        let mut result = json!({
            "protocolVersion": REVISIONS.into_iter().find(|&r| r == asked).unwrap_or(latest),
            "capabilities": self.script.capabilities,
            "serverInfo": {"name": self.script.name, "version": self.script.version},
        });
        if let (Some(text), Some(result)) = (&self.script.instructions, result.as_object_mut()) {
            result.insert(String::from("instructions"), json!(text));
        }
        result
    }
}

impl Request {
    fn call(&self) -> Call<'_> {
        self.params.as_deref().and_then(|p| serde_json::from_str(p).ok()).unwrap_or_default()
    }

    /// The id as it goes into an answer.
    fn id(&self) -> &str {
        self.id.as_deref().unwrap_or("null")
    }
}
