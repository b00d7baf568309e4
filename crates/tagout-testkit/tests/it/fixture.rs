//! The test server of both eras, over standard input and output and over HTTP.
use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tagout_testkit::Transcript;

const PATIENCE: Duration = Duration::from_secs(30);

const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"elicitation":{}}}"#;
const HELLO: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{"elicitation":{}},"clientInfo":{"name":"t","version":"1"}}}"#;

/// A program that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn start(program: &str, arguments: &[&str]) -> Running {
    #[expect(clippy::disallowed_methods, reason = "a test starts its peer")]
    let mut command = Command::new(program);
    command.args(arguments).env("ADD_HEADER", "X-Added: yes");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    Running(command.spawn().unwrap())
}

fn fixture(arguments: &[&str]) -> Running {
    start(env!("CARGO_BIN_EXE_fixture-server"), arguments)
}

#[track_caller]
fn play(era: &str, transcript: &str) {
    let transcript = transcript.replace("META", META).replace("HELLO", HELLO);
    let mut server = fixture(&["--stdio", "--era", era]);
    let (input, output) = (server.0.stdin.take().unwrap(), server.0.stdout.take().unwrap());
    let played = Transcript::parse(&transcript).unwrap().play(input, output, PATIENCE);
    played.unwrap_or_else(|mismatch| panic!("{mismatch}"));
}

#[test]
fn the_legacy_server_shakes_hands_and_asks_by_requests() {
    play(
        "legacy",
        r#"
> {"jsonrpc":"2.0","id":0,"method":"server/discover","params":{META}}
< {"jsonrpc":"2.0","id":0,"error":{"code":-32601,"message":"<any>"}}
> HELLO
< {"jsonrpc":"2.0","id":1,"result":{"...":0,"protocolVersion":"2025-06-18"}}
> {"jsonrpc":"2.0","method":"notifications/initialized"}
> {"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"test_input_required_result_elicitation"}}
< {"jsonrpc":"2.0","id":0,"method":"elicitation/create","params":"<any>"}
> {"jsonrpc":"2.0","id":0,"result":{"action":"accept","content":{"name":"Ada"}}}
< {"jsonrpc":"2.0","id":2,"result":{"...":0,"content":[{"type":"text","text":"Hello, Ada!"}]}}
> {"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"test_missing_capability"}}
< {"jsonrpc":"2.0","id":3,"error":{"code":-32600,"message":"<any>"}}
close
end
"#,
    );
}

#[test]
fn the_modern_server_asks_by_results_and_takes_only_its_own_state() {
    play(
        "modern",
        r#"
> {"jsonrpc":"2.0","id":0,"method":"server/discover","params":{META}}
< {"jsonrpc":"2.0","id":0,"result":{"...":0,"supportedVersions":["2026-07-28"]}}
> {"jsonrpc":"2.0","id":1,"method":"tools/call","params":{META,"name":"test_input_required_result_elicitation"}}
< {"jsonrpc":"2.0","id":1,"result":{"...":0,"resultType":"input_required","inputRequests":"<any>"}}
> {"jsonrpc":"2.0","id":2,"method":"tools/call","params":{META,"name":"test_input_required_result_elicitation","inputResponses":{"user_name":{"action":"accept","content":{"name":"Ada"}}}}}
< {"jsonrpc":"2.0","id":2,"result":{"...":0,"content":[{"type":"text","text":"Hello, Ada!"}]}}
> {"jsonrpc":"2.0","id":3,"method":"tools/call","params":{META,"name":"test_input_required_result_request_state","inputResponses":{"confirm":{"action":"accept"}},"requestState":"forged"}}
< {"jsonrpc":"2.0","id":3,"error":{"code":-32602,"message":"<any>"}}
> {"jsonrpc":"2.0","id":4,"method":"tools/call","params":{META,"name":"test_missing_capability"}}
< {"jsonrpc":"2.0","id":4,"error":{"code":-32021,"message":"<any>","data":{"requiredCapabilities":{"sampling":{}}}}}
> {"jsonrpc":"2.0","id":5,"method":"tools/call","params":{META,"name":"failing_job"}}
< {"jsonrpc":"2.0","id":5,"error":{"code":-32021,"message":"<any>","data":"<any>"}}
close
end
"#,
    );
}

/// The tools, as a server of this era lists them.
fn tools(era: &str) -> String {
    let mut server = fixture(&["--stdio", "--era", era]);
    let mut input = server.0.stdin.take().unwrap();
    let list = format!(r#"{{"jsonrpc":"2.0","id":2,"method":"tools/list","params":{{{META}}}}}"#);
    let list = if era == "modern" { list } else { format!("{HELLO}\n{list}").replace(META, "") };
    writeln!(input, "{list}").unwrap();
    let lines = BufReader::new(server.0.stdout.take().unwrap()).lines();
    let answer = lines.map(Result::unwrap).find(|line| line.contains(r#""id":2"#)).unwrap();
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    answer.pointer("/result/tools").unwrap().to_string()
}

#[test]
fn the_tools_are_the_same_whatever_the_era() {
    let legacy = tools("legacy");
    assert_eq!(legacy, tools("legacy"));
    assert_eq!(legacy, tools("modern"));
    assert!(legacy.contains("test_reconnection"));
}

/// Where it says that it listens.
fn address(server: &mut Running) -> String {
    let mut line = String::new();
    BufReader::new(server.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().trim_start_matches("http://").trim_end_matches("/mcp");
    address.to_owned()
}

/// The status line of the answer to a request with these header lines.
fn status(address: &str, headers: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let accept = "Accept: application/json, text/event-stream\r\nContent-Type: application/json";
    let length = HELLO.len();
    write!(
        stream,
        "POST /mcp HTTP/1.1\r\n{headers}\r\n{accept}\r\nContent-Length: {length}\r\n\r\n{HELLO}"
    )
    .unwrap();
    let mut line = String::new();
    BufReader::new(stream.take(4096)).read_line(&mut line).unwrap();
    line
}

#[test]
fn over_http_hosts_and_origins_are_checked_and_unknown_revisions_refused() {
    let mut server = fixture(&["--http", "127.0.0.1:0", "--era", "legacy"]);
    let address = address(&mut server);
    let host = format!("Host: {address}");
    assert!(status(&address, &host).contains("200"));
    assert!(status(&address, "Host: evil.example").contains("403"));
    assert!(status(&address, &format!("{host}\r\nOrigin: http://evil.example")).contains("403"));
    let modern = format!("{host}\r\nMCP-Protocol-Version: 2026-07-28");
    assert!(status(&address, &modern).contains("400"));
}

#[test]
fn it_listens_on_the_loopback_interface_only() {
    let mut server = fixture(&["--http", "0.0.0.0:0"]);
    assert!(!server.0.wait().unwrap().success());
}

#[test]
fn the_forwarder_adds_its_header_to_every_request() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let to = listener.local_addr().unwrap().to_string();
    let program = env!("CARGO_BIN_EXE_add-header");
    let mut forwarder = start(program, &["--listen", "127.0.0.1:0", "--to", &to]);
    let mut client = TcpStream::connect(address(&mut forwarder)).unwrap();
    let requests = "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi\
        POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n\
        GET /c HTTP/1.1\r\nHost: x\r\n\r\n";
    client.write_all(requests.as_bytes()).unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    let (server, _) = listener.accept().unwrap();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut seen = String::new();
    #[expect(clippy::disallowed_methods, reason = "the reader before it has a bound")]
    server.take(4096).read_to_string(&mut seen).unwrap();
    assert_eq!(seen, requests.replace("HTTP/1.1\r\n", "HTTP/1.1\r\nX-Added: yes\r\n"));
}
