//! A provider on this machine that takes its time.
use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use crate::place::LIMIT;

/// What it says at once, before it says nothing more.
pub(crate) const BEGUN: &str = "It begins well";

/// What a provider does with a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Manner {
    /// Begins to write, and does not go on.
    Stalls,
    /// Answers in full, with what it counts.
    Answers,
    /// Calls this tool first, then says `A hum.` to all that it is asked.
    Calls(&'static str),
    /// Says what drives terminals, in pieces.
    Hostile(&'static str),
}

/// What it was asked, in order.
pub(crate) type Seen = Arc<Mutex<Vec<Value>>>;

/// Serves until the test ends; gives the configuration of the provider `slow`.
pub(crate) fn provider(manner: Manner) -> String {
    watched(manner).0
}

/// The same, and what it is asked.
pub(crate) fn watched(manner: Manner) -> (String, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Seen::default();
    let kept = Arc::clone(&seen);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let kept = Arc::clone(&kept);
            thread::spawn(move || serve(&stream.unwrap(), manner, &kept));
        }
    });
    let config = format!(
        "[provider.slow]\nurl = \"http://127.0.0.1:{port}/v1\"\nwire = \"openai-chat\"\n\
         model.m = {{ input = 1.0, output = 10.0, context = 8000 }}\n\
         model.other = {{ input = 1.0, output = 10.0 }}\n"
    );
    (config, seen)
}

fn serve(mut stream: &TcpStream, manner: Manner, seen: &Mutex<Vec<Value>>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let lower = head.to_lowercase();
    let length = lower.split("content-length: ").nth(1)?.split("\r\n").next()?;
    let mut body = vec![0; length.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    seen.lock().unwrap().push(serde_json::from_slice(&body).unwrap_or_default());
    write!(stream, "HTTP/1.1 200 x\r\nconnection: close\r\n\r\n").ok()?;
    let mut says = |event: Value| write!(stream, "data: {event}\n\n");
    let text = |text: &str| json!({"choices": [{"delta": {"content": text}}]});
    let end = json!({"choices": [{"delta": {}, "finish_reason": "stop"}]});
    let usage = json!({"choices": [], "usage": {"prompt_tokens": 1000, "completion_tokens": 100}});
    match manner {
        Manner::Stalls => {
            says(text(BEGUN)).ok()?;
            // Until whoever asked has gone away.
            stream.set_read_timeout(Some(LIMIT)).ok()?;
            let mut byte = [0];
            while let Ok(1..) = stream.read(&mut byte) {}
        }
        Manner::Answers => {
            for piece in ["It is **", "seven", "** megawatts."] {
                says(text(piece)).ok()?;
                thread::sleep(Duration::from_millis(5));
            }
            says(end).ok()?;
            says(usage).ok()?;
        }
        Manner::Calls(tool) => {
            let body = String::from_utf8_lossy(&body).into_owned();
            if body.contains("\"tools\"") && !body.contains("tool_call_id") {
                let function = json!({"name": tool, "arguments": "{}"});
                let call = json!([{"index": 0, "id": "call_a", "function": function}]);
                let delta = json!({ "tool_calls": call });
                let reason = "tool_calls";
                says(json!({"choices": [{"delta": delta, "finish_reason": reason}]})).ok()?;
            } else {
                says(text("A hum.")).ok()?;
                says(end).ok()?;
            }
            says(usage).ok()?;
        }
        Manner::Hostile(words) => {
            for piece in words.chars() {
                says(text(&piece.to_string())).ok()?;
            }
            says(end).ok()?;
        }
    }
    Some(())
}
