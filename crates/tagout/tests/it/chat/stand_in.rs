//! A provider on this machine that takes its time.
use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
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
    /// Says what drives terminals, in pieces.
    Hostile(&'static str),
}

/// Serves until the test ends; gives the configuration of the provider `slow`.
pub(crate) fn provider(manner: Manner) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || serve(&stream.unwrap(), manner));
        }
    });
    format!(
        "[provider.slow]\nurl = \"http://127.0.0.1:{port}/v1\"\nwire = \"openai-chat\"\n\
         model.m = {{ input = 1.0, output = 10.0, context = 8000 }}\n"
    )
}

fn serve(mut stream: &TcpStream, manner: Manner) -> Option<()> {
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
        Manner::Hostile(words) => {
            for piece in words.chars() {
                says(text(&piece.to_string())).ok()?;
            }
            says(end).ok()?;
        }
    }
    Some(())
}
