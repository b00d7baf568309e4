//! How a scripted server behaves, as data.
//!
//! A script is a JSON file. Whatever it does not say, the server does well: it answers
//! `initialize`, `ping` and `tools/list`, and refuses what it does not know. What it says, it says
//! in steps: a behaviour is a list of turns, a turn a list of steps; the first request takes the
//! first turn, and the last turn serves all requests after.
//!
//! ```json
//! {
//!   "tools": [{"name": "sum", "inputSchema": {"type": "object"}}],
//!   "calls": {
//!     "sum": [
//!       [{"text": "3"}],
//!       [{"fragment": "{\"jsonrpc\":\"2.0\",\"id\":$id,\"res"}, "kill"]
//!     ]
//!   },
//!   "methods": {
//!     "tools/list": [["list"], [{"set_tools": []}, "list"]]
//!   }
//! }
//! ```
//!
//! Here the first call of `sum` works, the second dies with half a frame written, and the tool is
//! gone from the second list on.
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufReader},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a request meets, time after time; the last entry repeats.
pub type Turns = Vec<Vec<Step>>;

/// A server's whole behaviour.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Script {
    /// The name it gives itself.
    pub name: String,
    /// The version it gives itself.
    pub version: String,
    /// The capabilities it declares.
    pub capabilities: Value,
    /// Its instructions to the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    /// A file to which it appends every line it receives, unchanged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<PathBuf>,
    /// What it does before it reads anything.
    pub before_handshake: Vec<Step>,
    /// The definitions of its tools, as they are listed.
    pub tools: Vec<Value>,
    /// Behaviour by method, notifications among them.
    pub methods: BTreeMap<String, Turns>,
    /// Behaviour by tool, listed or not. The tools `echo` and `environment` need no entry.
    pub calls: BTreeMap<String, Turns>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            name: String::from("scripted"),
            version: String::from("1.0.0"),
            capabilities: serde_json::json!({"tools": {"listChanged": true}}),
            instructions: None,
            record: None,
            before_handshake: Vec::new(),
            tools: Vec::new(),
            methods: BTreeMap::new(),
            calls: BTreeMap::new(),
        }
    }
}

impl Script {
    /// Reads the script at `path`.
    ///
    /// # Errors
    /// The file cannot be read, or is no script; the message says where.
    pub fn load(path: &Path) -> io::Result<Self> {
        Ok(serde_json::from_reader(BufReader::new(File::open(path)?))?)
    }

    /// Writes the script to `path`.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        Ok(serde_json::to_writer_pretty(File::create(path)?, self)?)
    }
}

/// One thing that a server does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// Answers `initialize` well.
    Initialize,
    /// Answers `tools/list` with the tools there are now.
    List,
    /// Answers with the call's arguments, byte for byte, as text.
    Echo,
    /// Answers with environment, descriptors, directory and process numbers.
    Environment,
    /// Starts a process that leaves the session and keeps standard output open; answers with its
    /// number as `{"pid": N}`.
    Daemon,
    /// Answers with what the client replied to the last [`Step::Ask`], as text.
    Answer,
    /// Answers with this result.
    Reply(Value),
    /// Answers with this text as the content of a tool's result.
    Text(String),
    /// Answers with this error.
    Error {
        /// The JSON-RPC code.
        code: i64,
        /// The message.
        message: String,
    },
    /// Answers under an id of its own choice.
    ReplyAs {
        /// The id.
        id: Value,
        /// The result.
        result: Value,
    },
    /// Answers, with this result, the oldest other request that has no answer yet.
    ReplyForAnother(Value),
    /// Answers with arrays nested this deep.
    Nested(usize),
    /// Writes this line; `$id` stands for the request's id.
    Raw(String),
    /// Writes this text without ending the line; `$id` stands for the request's id.
    Fragment(String),
    /// Writes bytes, without ending the line: every character up to U+00FF is one byte.
    Bytes(String),
    /// Writes a line many times.
    Repeat {
        /// The line.
        line: String,
        /// How many times.
        times: u64,
    },
    /// Writes so many MiB without a line's end.
    FloodMib(u64),
    /// Writes so many MiB of lines to standard error.
    StderrMib(u64),
    /// Sends a notification.
    Notify {
        /// Its method.
        method: String,
        /// Its parameters.
        #[serde(default)]
        params: Value,
    },
    /// Sends a request to the client; the steps after this one wait for its answer.
    Ask {
        /// The request's id.
        id: Value,
        /// Its method.
        method: String,
        /// Its parameters.
        #[serde(default)]
        params: Value,
    },
    /// Has these tools from now on.
    SetTools(Vec<Value>),
    /// Has one tool more from now on.
    AddTool(Value),
    /// Goes on with this turn after so many milliseconds, and serves others meanwhile.
    WaitMs(u64),
    /// Reads nothing more and answers nothing more, and does not end.
    Hang,
    /// Exits with this code.
    Exit(i32),
    /// Kills itself.
    Kill,
}
