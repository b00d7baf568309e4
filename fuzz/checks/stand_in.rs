//! A server in this process that answers everything at once and keeps what it was asked.
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};

/// The one tool, as it is defined and reviewed.
pub(crate) const TOOL: &str = r#"{"name":"echo","description":"Reads back.","inputSchema":{"type":"object","properties":{"text":{"type":"string"},"times":{"type":"number"},"more":{}}}}"#;

/// Methods by which the gateway speaks for itself.
const OWN: &[&str] = &[
    "initialize",
    "server/discover",
    "tools/list",
    "prompts/list",
    "resources/list",
    "resources/templates/list",
    "ping",
];

/// What came for a client: the method and the parameters, as they came.
#[derive(Clone, Default)]
pub(crate) struct Heard(Arc<Mutex<Vec<(String, Value)>>>);

impl Heard {
    /// What came since this was last asked.
    pub(crate) fn take(&self) -> Vec<(String, Value)> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn hear(&self, method: &str, params: Value) {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard.push((method.to_owned(), params));
    }
}

/// Listens on a port of its own, on the runtime that is running.
pub(crate) async fn listen(heard: Heard) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a port");
    let address = listener.local_addr().expect("it has an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, heard.clone()));
        }
    });
    address
}

async fn serve(stream: TcpStream, heard: Heard) {
    stream.set_nodelay(true).expect("a socket takes the option");
    let mut stream = BufReader::new(stream);
    while let Some((is_post, body)) = request(&mut stream).await {
        let answer = is_post.then(|| answer(&body, &heard)).flatten();
        let text = match answer {
            Some(answer) => {
                let answer = answer.to_string();
                let length = answer.len();
                format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{answer}"
                )
            }
            None if is_post => "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n".to_owned(),
            None => "HTTP/1.1 405 Method Not Allowed\r\ncontent-length: 0\r\n\r\n".to_owned(),
        };
        if stream.get_mut().write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Whether it is a POST, and its body.
async fn request(stream: &mut BufReader<TcpStream>) -> Option<(bool, Vec<u8>)> {
    let (mut first, mut length) = (String::new(), 0_usize);
    if stream.read_line(&mut first).await.ok()? == 0 {
        return None;
    }
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some((first.starts_with("POST "), body))
}

fn answer(body: &[u8], heard: &Heard) -> Option<Value> {
    let message: Value = serde_json::from_slice(body).expect("the gateway sends JSON");
    let method = message["method"].as_str().unwrap_or_default();
    let id = message.get("id")?.clone();
    if !OWN.contains(&method) {
        heard.hear(method, message["params"].clone());
    }
    let result = match method {
        "initialize" => json!({
            "protocolVersion": "2025-11-25",
            "capabilities": {"tools": {}, "prompts": {}, "resources": {}, "completions": {}},
            "serverInfo": {"name": "stand-in", "version": "1"},
        }),
        "tools/list" => {
            let tool: Value = serde_json::from_str(TOOL).expect("it is JSON");
            json!({"tools": [tool]})
        }
        "prompts/list" => json!({"prompts": [{"name": "greet"}]}),
        "resources/list" => json!({"resources": [{"name": "one", "uri": "test://one"}]}),
        "resources/templates/list" => json!({"resourceTemplates": []}),
        "tools/call" => json!({"content": []}),
        "prompts/get" => json!({"messages": []}),
        "resources/read" => json!({"contents": []}),
        "completion/complete" => json!({"completion": {"values": []}}),
        "server/discover" => {
            let error = json!({"code": -32601, "message": "not known"});
            return Some(json!({"jsonrpc": "2.0", "id": id, "error": error}));
        }
        _ => json!({}),
    };
    Some(json!({"jsonrpc": "2.0", "id": id, "result": result}))
}
