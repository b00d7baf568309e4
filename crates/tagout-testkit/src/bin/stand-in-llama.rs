//! Stands in for `llama-server`: takes its options and refuses others, wants its key, loads for a
//! while, and answers as a model that calls the first tool it is offered.
//!
//! What it does stands in the model's file, as JSON behind `GGUF`: see [`Part`].
use std::{
    collections::BTreeMap,
    env,
    fs::{self, File},
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::ExitCode,
    thread,
    time::Duration,
};

use serde_json::{Value, json};

/// What it plays.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Part {
    /// Where it writes what it was started with.
    seen: Option<PathBuf>,
    /// How often it says that it is still loading.
    loading: u64,
    /// Complain like this, and end.
    fail: Option<String>,
    /// Find the port taken, as long as this file is not there, and make it.
    taken_until: Option<PathBuf>,
    /// End in the middle of the first answer.
    dies: bool,
    /// Give its port up in the middle of the first answer.
    leaves: Option<Leaves>,
    /// A file that is written to while the model is loaded.
    spoil: Option<PathBuf>,
    /// The arguments of the call, for the tool of that name.
    calls: BTreeMap<String, Value>,
}

/// How it gives its port up.
#[derive(serde::Deserialize)]
struct Leaves {
    /// Written as soon as it listens no more.
    left: PathBuf,
    /// Waited for until the answer is given: somebody else listens there by then.
    taken: PathBuf,
    /// Whether it ends then.
    ends: bool,
}

const OPTIONS: [&str; 6] = ["--model", "--alias", "--host", "--port", "--ctx-size", "--parallel"];
const FLAGS: [&str; 3] = ["--jinja", "--no-webui", "--offline"];
/// How often it looks whether something has come about.
const ROUND: Duration = Duration::from_millis(5);
/// Bytes of a model's file, and of a request.
const MOST: u64 = 1 << 20;

fn main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody may be there to be told.
            drop(writeln!(io::stderr(), "error: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn serve() -> io::Result<()> {
    let options = options(env::args().skip(1))?;
    let option = |name: &str| options.get(name).cloned().unwrap_or_default();
    let part = part(&option("--model"))?;
    let key = env::var("LLAMA_API_KEY").unwrap_or_default();
    if let Some(seen) = &part.seen {
        let names: Vec<_> = env::vars().map(|(name, _)| name).collect();
        fs::write(
            seen,
            json!({"options": options, "env": names, "pid": std::process::id()}).to_string(),
        )?;
    }
    if let Some(complaint) = &part.fail {
        return Err(io::Error::other(complaint.replace("KEY", &key)));
    }
    let address = format!("{}:{}", option("--host"), option("--port"));
    if let Some(until) = part.taken_until.as_ref().filter(|until| !until.exists()) {
        fs::write(until, "")?;
        return Err(io::Error::other(format!("couldn't bind HTTP server socket, {address}")));
    }
    let listener = TcpListener::bind(&address)?;
    let mut looks = 0;
    loop {
        let (mut stream, _) = listener.accept()?;
        let Ok((path, head, body)) = request(&stream) else { continue };
        if path == "/health" {
            looks += 1;
            if let Some(spoil) = &part.spoil {
                fs::OpenOptions::new().append(true).open(spoil)?.write_all(b"x")?;
            }
            let status = if looks > part.loading { 200 } else { 503 };
            answer(&mut stream, status, "{\"status\":\"\"}");
            continue;
        }
        let shown = format!("authorization: bearer {key}");
        if key.is_empty() || !head.to_lowercase().contains(&shown) {
            answer(&mut stream, 401, "{\"error\":{\"message\":\"Invalid API Key\"}}");
            continue;
        }
        if part.dies {
            return Err(io::Error::other("out of memory"));
        }
        if let Some(leaves) = &part.leaves {
            drop(listener);
            fs::write(&leaves.left, "")?;
            while !leaves.taken.exists() {
                thread::sleep(ROUND);
            }
            answer(&mut stream, 200, &turn(&part, &body));
            drop(stream);
            if leaves.ends {
                return Ok(());
            }
            loop {
                thread::park();
            }
        }
        answer(&mut stream, 200, &turn(&part, &body));
    }
}

fn options(mut arguments: impl Iterator<Item = String>) -> io::Result<BTreeMap<String, String>> {
    let mut options = BTreeMap::new();
    while let Some(name) = arguments.next() {
        let value = match name.as_str() {
            name if OPTIONS.contains(&name) => arguments.next().unwrap_or_default(),
            name if FLAGS.contains(&name) => String::new(),
            _ => return Err(io::Error::other(format!("invalid argument: {name}"))),
        };
        options.insert(name, value);
    }
    Ok(options)
}

fn part(model: &str) -> io::Result<Part> {
    let mut text = String::new();
    #[expect(clippy::disallowed_methods, reason = "the reader before it has a bound")]
    File::open(model)?.take(MOST).read_to_string(&mut text)?;
    let part = text.strip_prefix("GGUF").ok_or_else(|| io::Error::other("no GGUF"))?;
    // What was appended since is no part of it.
    let mut parts = serde_json::Deserializer::from_str(part).into_iter();
    Ok(parts.next().transpose()?.unwrap_or_default())
}

fn request(stream: &TcpStream) -> io::Result<(String, String, Value)> {
    let mut reader = BufReader::new(stream.take(MOST));
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head)? > 0 {}
    let lower = head.to_lowercase();
    let length = lower.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
    let length: usize = length.and_then(|text| text.trim().parse().ok()).unwrap_or_default();
    let mut body = vec![0; length.min(1 << 20)];
    reader.read_exact(&mut body)?;
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    Ok((path, head, serde_json::from_slice(&body).unwrap_or_default()))
}

/// Answers; whoever has hung up does not want to know.
fn answer(stream: &mut TcpStream, status: u16, body: &str) {
    drop(write!(stream, "HTTP/1.1 {status} x\r\nconnection: close\r\n\r\n{body}"));
}

/// A turn: a call of the first tool for which there are arguments, or words once there is a result.
fn turn(part: &Part, body: &Value) -> String {
    let list = |name: &str| body.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let has_result = list("messages").iter().any(|message| message["role"] == "tool");
    let tools = list("tools");
    let names = tools.iter().filter_map(|tool| tool.pointer("/function/name")?.as_str());
    let call = names.filter(|_| !has_result).find_map(|name| Some((name, part.calls.get(name)?)));
    let (delta, reason) = match call {
        Some((name, arguments)) => {
            let function = json!({"name": name, "arguments": arguments.to_string()});
            let call = json!({"index": 0, "id": "c1", "type": "function", "function": function});
            (json!({ "tool_calls": [call] }), "tool_calls")
        }
        None => (json!({"content": "The model in the file has spoken."}), "stop"),
    };
    let chunk = json!({"choices": [{"index": 0, "delta": delta, "finish_reason": null}]});
    let last = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]});
    let usage = json!({"choices": [], "usage": {"prompt_tokens": 50, "completion_tokens": 5}});
    format!("data: {chunk}\n\ndata: {last}\n\ndata: {usage}\n\ndata: [DONE]\n\n")
}
