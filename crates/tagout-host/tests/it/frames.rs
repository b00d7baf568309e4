//! A gateway of frames: what it sends is written out, so that it may say what no SDK would.
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tagout_host::{Options, Session};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream},
    task::JoinHandle,
};

/// What was received, frame by frame.
pub(crate) type Heard = Arc<Mutex<Vec<Value>>>;

/// What it answers a frame with: any number of frames.
pub(crate) type Answers = Box<dyn FnMut(&Value) -> Vec<Value> + Send>;

/// A session with such a gateway. What `answers` has nothing for is answered as a gateway would
/// that offers the tools `grid__work` and nothing else.
pub(crate) async fn session(
    options: Options,
    answers: Answers,
) -> (Session, Heard, JoinHandle<()>) {
    let (near, far) = tokio::io::duplex(1 << 20);
    let heard = Heard::default();
    let serving = tokio::spawn(serve(far, answers, Arc::clone(&heard)));
    (Session::connect(near, options).await.unwrap(), heard, serving)
}

async fn serve(io: DuplexStream, mut answers: Answers, heard: Heard) {
    let (read, mut write) = tokio::io::split(io);
    let mut lines = BufReader::new(read).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let frame: Value = serde_json::from_str(&line).unwrap();
        heard.lock().unwrap().push(frame.clone());
        let mut answers = answers(&frame);
        if answers.is_empty() {
            answers.extend(usual(&frame));
        }
        for answer in answers {
            if write.write_all(format!("{answer}\n").as_bytes()).await.is_err() {
                return;
            }
        }
    }
}

fn usual(frame: &Value) -> Option<Value> {
    let result = match method(frame) {
        "initialize" => json!({
            "protocolVersion": "2025-11-25", "capabilities": {"tools": {}},
            "serverInfo": {"name": "frames", "version": "1"},
        }),
        "tools/list" => json!({"tools": [{
            "name": "grid__work", "inputSchema": {"type": "object", "additionalProperties": false},
        }]}),
        "tools/call" => said("done"),
        "" => return None,
        other if other.starts_with("notifications/") => return None,
        _ => return Some(failed(frame, json!({"code": -32601, "message": "not found"}))),
    };
    Some(result_of(frame, result))
}

pub(crate) fn method(frame: &Value) -> &str {
    frame.get("method").and_then(Value::as_str).unwrap_or_default()
}

/// The result of a tool that says something.
pub(crate) fn said(text: &str) -> Value {
    json!({"content": [{"type": "text", "text": text}]})
}

pub(crate) fn result_of(request: &Value, result: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": request["id"], "result": result})
}

pub(crate) fn failed(request: &Value, error: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": request["id"], "error": error})
}

pub(crate) fn request(id: &str, method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

pub(crate) fn notification(method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "method": method, "params": params})
}

/// Asks the client `question` while a tool is called; once it is answered the tool has its result.
pub(crate) fn asking(method_: &'static str, params: Value) -> Answers {
    let mut call = Value::Null;
    Box::new(move |frame| match method(frame) {
        "tools/call" => {
            call = frame.clone();
            vec![request("q", method_, params.clone())]
        }
        "" if frame["id"] == "q" => vec![result_of(&call, said("done"))],
        _ => Vec::new(),
    })
}

/// What the client answered to the question `q`.
pub(crate) fn answer(heard: &Heard) -> Value {
    let heard = heard.lock().unwrap();
    let answer = heard.iter().find(|frame| method(frame).is_empty() && frame["id"] == "q");
    let Some(answer) = answer else { panic!("the question has no answer") };
    answer.get("result").or(answer.get("error")).unwrap().clone()
}

/// The parameters of the last request of this method.
pub(crate) fn params(heard: &Heard, name: &str) -> Value {
    let heard = heard.lock().unwrap();
    heard.iter().rev().find(|frame| method(frame) == name).unwrap()["params"].clone()
}

/// Waits until a frame of this method has come.
pub(crate) async fn comes(heard: &Heard, name: &str) {
    for _ in 0..2_000 {
        if heard.lock().unwrap().iter().any(|frame| method(frame) == name) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    panic!("`{name}` never came");
}
