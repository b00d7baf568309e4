//! Who gets in: web pages, neighbours, and callers who say who they are.
use std::{collections::BTreeSet, fs, net::TcpStream};

use serde_json::{Value, json};

use super::web::{INITIALIZE, PATHS, Web, key};
use crate::place::{Place, one, tool};

const FOREIGN: [&str; 6] = [
    "rebound.example.com",
    "rebound.example.com:7411",
    "127.0.0.1.example.com",
    "localhost.example.com",
    "169.254.169.254",
    "0.0.0.0",
];

/// A gateway with a server whose tool reads, and one whose tool destroys.
pub(super) fn place() -> Place {
    let place = Place::new();
    place.configure("[consent]\nagreed = [\"s\"]\n");
    let reply = json!([[{"text": "done"}]]);
    let script = json!({"tools": [tool("read_it"), tool("delete_it")], "calls": {
        "read_it": reply, "delete_it": reply,
    }});
    place.scripted("s", script);
    place.pin(&["s"]);
    place
}

/// Every request that there is, with these headers and a key that is good.
#[track_caller]
fn all_get_403(place: &Place, requests: &[&str], headers: &[&str]) {
    let (key, web) = (key(place, "ann"), Web::start(place));
    for request in requests {
        for header in headers {
            let own = format!("Host: {}", web.address);
            let host = if header.starts_with("Origin") { vec![own.as_str()] } else { vec![] };
            let headers = [host, vec![*header, key.as_str()]].concat();
            let body = if request.starts_with("POST") { INITIALIZE } else { "" };
            let answer = web.ask_as(request, &headers, body);
            assert_eq!(answer.status, 403, "{request} {header}: {answer:?}");
            assert_eq!(answer.header("mcp-session-id"), None, "{request} {header}");
            assert_eq!(answer.header("access-control-allow-origin"), None, "{request} {header}");
        }
    }
    // With its own name, it is open.
    assert_eq!(web.ask("POST /mcp", &[&key], INITIALIZE).status, 200);
}

/// rmcp took a request whatever its `Host` said, so a web page whose name was bound anew to
/// loopback could call tools.
#[test]
fn cve_2026_42559_a_foreign_host_gets_403_on_every_path() {
    let requests: Vec<_> =
        PATHS.iter().flat_map(|path| [format!("GET {path}"), format!("POST {path}")]).collect();
    let requests: Vec<_> = requests.iter().map(String::as_str).collect();
    let headers: Vec<_> = FOREIGN.iter().map(|host| format!("Host: {host}")).collect();
    let headers: Vec<_> = headers.iter().map(String::as_str).collect();
    all_get_403(&place(), &requests, &headers);
}

/// The same hole as a dependency: the built-in servers are made with rmcp.
#[test]
fn cve_2026_42559_rmcp_is_past_the_hole() {
    let lock = include_str!("../../../../../Cargo.lock");
    let after = lock.split("name = \"rmcp\"\nversion = \"").nth(1).unwrap();
    let version = after.split('"').next().unwrap();
    let numbers: Vec<u32> = version.split('.').take(2).map(|n| n.parse().unwrap()).collect();
    assert!(numbers >= vec![1, 4], "{version}");
}

/// The SDK for TypeScript looked at neither `Host` nor `Origin` unless told to.
#[test]
fn cve_2025_66414_a_foreign_origin_gets_403() {
    let foreign = [
        "Origin: https://rebound.example.com",
        "Origin: http://localhost.example.com",
        "Origin: http://127.0.0.1.example.com:7411",
        "Origin: null",
        "Origin: file://",
    ];
    all_get_403(&place(), &["POST /mcp", "GET /mcp", "DELETE /mcp", "OPTIONS /mcp"], &foreign);
}

/// The SDK for Python did not either, on its event streams of 2024 and on Streamable HTTP.
#[test]
fn cve_2025_66416_the_event_stream_of_2024_wants_its_own_host_and_origin() {
    let foreign = ["Host: rebound.example.com", "Origin: https://rebound.example.com"];
    all_get_403(&place(), &["GET /sse", "POST /messages?session=x", "POST /messages/"], &foreign);
}

/// The SDK for Java did not check `Origin`.
#[test]
fn cve_2026_35568_a_call_without_a_session_wants_its_own_host_and_origin() {
    let place = place();
    let (key, web) = (key(&place, "ann"), Web::start(&place));
    for origin in ["Origin: https://rebound.example.com", "Origin: null"] {
        let answer = web.visit(&[&key, origin], "s__read_it", &json!({}));
        assert_eq!(answer.status, 403, "{answer:?}");
    }
    assert_eq!(place.calls("s", "read_it"), 0);
}

/// The SDK for Go did not check `Host`; the other places where a host is said count too.
#[test]
fn cve_2026_34742_no_second_host_gets_by() {
    let place = place();
    let (key, web) = (key(&place, "ann"), Web::start(&place));
    let own = web.address;
    let heads = [
        format!("POST http://rebound.example.com/mcp HTTP/1.1\r\nHost: {own}\r\n"),
        format!("POST /mcp HTTP/1.1\r\nHost: {own}\r\nHost: rebound.example.com\r\n"),
        format!("POST /mcp HTTP/1.1\r\nHost: rebound.example.com\r\nHost: {own}\r\n"),
        format!("POST /mcp HTTP/1.1\r\nHost: {own}, rebound.example.com\r\n"),
        "POST /mcp HTTP/1.1\r\n".to_owned(),
        "POST /mcp HTTP/1.0\r\n".to_owned(),
    ];
    for head in heads {
        let length = INITIALIZE.len();
        let rest = format!(
            "{key}\r\nAccept: application/json, text/event-stream\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{INITIALIZE}"
        );
        let answer = web.send(format!("{head}{rest}").as_bytes(), true);
        assert!([400, 403].contains(&answer.status), "{head}: {answer:?}");
    }
}

/// Docker's gateway served HTTP without asking who calls.
#[test]
fn cve_2025_64443_nothing_is_answered_without_a_key() {
    let place = place();
    let web = Web::start(&place);
    for path in PATHS {
        for method in ["GET", "POST", "DELETE", "PUT"] {
            let body = if method == "POST" { INITIALIZE } else { "" };
            let answer = web.ask(&format!("{method} {path}"), &[], body);
            assert_eq!(answer.status, 401, "{method} {path}: {answer:?}");
        }
    }
    let wrong = [
        "Authorization: Bearer",
        "Authorization: Bearer tagout_",
        "Authorization: Basic YWRtaW46YWRtaW4=",
        "Cookie: session=1",
    ];
    for header in wrong {
        let answer = web.ask("POST /mcp", &[header], INITIALIZE);
        assert_eq!(answer.status, 401, "{header}: {answer:?}");
    }
    // Nor does it listen where others are, without saying who it is.
    let ran = place.run(&["run", "--http", "0.0.0.0:0"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("listen-refused"), "{ran:?}");
}

/// A key that stood in Kuadrant's gateway, and headers that it took from anybody, got past its
/// tokens and changed where a call went.
#[test]
fn ghsa_g53w_w6mj_hrpp_client_headers_do_not_authorise() {
    let place = place();
    let (ann, web) = (key(&place, "ann"), Web::start(&place));
    let magic = [
        "Authorization: Bearer secret-api-key",
        "X-Api-Key: secret-api-key",
        "Api-Key: secret-api-key",
        "Mcp-Init-Host: 127.0.0.1",
        "X-Mcp-Authorized: true",
        "X-Forwarded-User: ann",
        "X-Forwarded-For: 127.0.0.1",
        "X-Forwarded-Host: localhost",
        "X-Original-Url: /healthz",
        "X-Rewrite-Url: /healthz",
        "X-Authenticated-Userid: ann",
        "X-Tagout-Principal: ann",
    ];
    for header in magic {
        let answer = web.visit(&[header], "s__read_it", &json!({}));
        assert_eq!(answer.status, 401, "{header}: {answer:?}");
    }
    assert_eq!(place.calls("s", "read_it"), 0);
    // Beside a key, they change neither who calls nor what.
    for header in &magic[1..] {
        let answer = web.visit(&[&ann, header], "s__read_it", &json!({"text": "mine"}));
        assert_eq!(answer.status, 200, "{header}: {answer:?}");
        let record = answer.message()["result"]["_meta"]["tagout/record"].as_u64().unwrap();
        let record = place.record(record);
        assert_eq!(record["begin"]["principal"]["user"], "ann", "{header}: {record}");
    }
    assert_eq!(place.calls("s", "read_it"), magic.len() - 1);
}

/// A server of Azure DevOps's took calls of anybody.
#[test]
fn cve_2026_32211_an_anonymous_call_is_refused() {
    let place = place();
    let web = Web::start(&place);
    assert_eq!(web.visit(&[], "s__read_it", &json!({})).status, 401);
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "s__read_it", "arguments": {}}});
    assert_eq!(web.ask("POST /mcp", &[], &call.to_string()).status, 401);
    assert_eq!(place.calls("s", "read_it"), 0);
}

/// nginx-ui asked who calls on one of its two endpoints, and on the other, where messages go, it
/// did not.
#[test]
fn cve_2026_33032_the_second_endpoint_asks_who_calls_too() {
    let place = place();
    let (ann, ben, web) = (key(&place, "ann"), key(&place, "ben"), Web::start(&place));
    let mut stream = TcpStream::connect(web.address).unwrap();
    let endpoint = open_stream(&mut stream, &web, &ann);
    let request = format!("POST {endpoint}");
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "s__read_it", "arguments": {}}});
    for frame in [INITIALIZE, &call.to_string()] {
        assert_eq!(web.ask(&request, &[], frame).status, 401, "{endpoint}");
        assert_eq!(web.ask(&request, &[&ben], frame).status, 404, "{endpoint}");
    }
    assert_eq!(web.ask(&request, &[&ann], INITIALIZE).status, 202);
    assert_eq!(place.calls("s", "read_it"), 0);
}

/// Opens the stream of 2024; gives where its messages go.
fn open_stream(stream: &mut TcpStream, web: &Web, key: &str) -> String {
    use std::io::{BufRead as _, BufReader, Write as _};
    stream.set_read_timeout(Some(crate::place::LIMIT)).unwrap();
    let host = web.address;
    let head =
        format!("GET /sse HTTP/1.1\r\nHost: {host}\r\n{key}\r\nAccept: text/event-stream\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let lines = BufReader::new(&*stream).lines().map(Result::unwrap);
    let mut data = lines.take(64).filter_map(|line| Some(line.strip_prefix("data: ")?.to_owned()));
    data.next().unwrap()
}

/// The Inspector's proxy started whatever command a web page named.
#[test]
fn cve_2025_49596_no_query_starts_a_command() {
    let place = place();
    let (ann, web) = (key(&place, "ann"), Web::start(&place));
    let mark = place.path("started");
    let query = format!("transportType=stdio&command=touch&args={}", mark.display());
    for path in ["/sse", "/stdio", "/mcp", "/message", "/"] {
        for header in ["X-Nothing: x", &ann] {
            web.ask(&format!("GET {path}?{query}"), &[header], "");
            web.ask(&format!("POST {path}?{query}"), &[header], INITIALIZE);
        }
    }
    assert!(!mark.exists());
}

/// MCPJam's inspector listened on all addresses, and started the command that a request held.
#[test]
fn cve_2026_23744_no_body_starts_a_command() {
    let place = place();
    commands(&place, &[], "/api/mcp/connect");
    for everywhere in ["0.0.0.0:0", "[::]:0"] {
        let ran = place.run(&["run", "--http", everywhere]);
        assert!(ran.stderr.contains("listen-refused"), "{ran:?}");
    }
}

/// A page of LiteLLM's that tries a connection started the command that it was given, for anybody
/// who had a key of any kind.
#[test]
fn cve_2026_42271_no_key_starts_a_command() {
    let place = place();
    let ann = key(&place, "ann");
    commands(&place, &[&ann], "/mcp-rest/test/connection");
}

/// LangChain-ChatChat let whoever could reach it set the commands of its servers.
#[test]
fn cve_2026_30617_no_method_sets_a_command() {
    let place = place();
    let (ann, web) = (key(&place, "ann"), Web::start(&place));
    let (mark, before) = (place.path("started"), fs::read(place.config_file()).unwrap());
    let session = web.session(&ann);
    let entry = json!({"name": "x", "command": ["touch", mark], "args": [], "transport": "stdio"});
    for method in
        ["servers/add", "server/add", "mcp/add", "config/set", "tools/add", "tagout/servers/add"]
    {
        let answer = web.request([&ann, &session], method, &entry);
        assert_eq!(answer.message()["error"]["data"]["code"], "method-unknown", "{answer:?}");
    }
    assert!(!mark.exists());
    assert_eq!(fs::read(place.config_file()).unwrap(), before);
}

/// A command in every form that products took it in.
fn commands(place: &Place, headers: &[&str], path: &str) {
    let web = Web::start(place);
    let (mark, before) = (place.path("started"), fs::read(place.config_file()).unwrap());
    let mark_text = mark.to_str().unwrap();
    let plain = json!({"command": "touch", "args": [mark_text], "env": {}});
    let bodies = [
        json!({"serverConfig": plain, "serverId": "x"}),
        json!({"server_name": "x", "transport": "stdio", "command": "touch", "args": [mark_text]}),
        json!({"mcpServers": {"x": plain}}),
        plain,
    ];
    for body in bodies {
        for path in [path, "/mcp", "/config", "/admin", "/tagout/servers", "/api/servers"] {
            for method in ["POST", "PUT"] {
                let answer = web.ask(&format!("{method} {path}"), headers, &body.to_string());
                assert!((400..500).contains(&answer.status), "{method} {path}: {answer:?}");
            }
        }
    }
    assert!(!mark.exists());
    assert_eq!(fs::read(place.config_file()).unwrap(), before);
}

/// Starlette made the path that was checked out of the `Host` header, and went by another.
#[test]
fn cve_2026_48710_no_spelling_of_host_or_path_needs_no_key() {
    let place = place();
    let web = Web::start(&place);
    let own = web.address;
    for host in
        ["/healthz?x=", "/healthz#", "/healthz", "?/healthz", "@127.0.0.1", "/", " /healthz"]
    {
        let host = format!("Host: {own}{host}");
        let answer = web.ask_as("POST /mcp", &[&host], INITIALIZE);
        assert!([400, 401, 403].contains(&answer.status), "{host}: {answer:?}");
    }
    let paths = [
        "/healthz/../mcp",
        "/healthz/%2e%2e/mcp",
        "/healthz%2f..%2fmcp",
        "/healthz;/mcp",
        "/mcp/healthz",
        "/mcp?/healthz",
        "/mcp#/healthz",
        "//mcp",
        "/%6dcp",
        "/MCP",
    ];
    for path in paths {
        let answer = web.ask(&format!("POST {path}"), &[], INITIALIZE);
        assert!([400, 401, 404, 405].contains(&answer.status), "{path}: {answer:?}");
        assert!(!answer.body.contains("protocolVersion"), "{path}: {answer:?}");
    }
}

/// The SDK for Python took a WebSocket whatever its `Origin` said.
#[test]
fn cve_2026_59950_no_web_socket_is_opened() {
    let place = place();
    let (ann, web) = (key(&place, "ann"), Web::start(&place));
    for path in ["/mcp", "/ws", "/sse"] {
        let headers = [
            ann.as_str(),
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Protocol: mcp",
        ];
        let answer = web.ask(&format!("GET {path}"), &headers, "");
        assert_ne!(answer.status, 101, "{path}: {answer:?}");
        assert_eq!(answer.header("sec-websocket-accept"), None, "{path}: {answer:?}");
    }
}

/// The SDK for Python looked a session up by its identifier alone, whoever brought it.
#[test]
fn cve_2026_52869_a_session_of_another_is_not_there() {
    let place = place();
    let (ann, ben, web) = (key(&place, "ann"), key(&place, "ben"), Web::start(&place));
    let session = web.session(&ann);
    let call = json!({"name": "s__read_it", "arguments": {}});
    let nobody = "Mcp-Session-Id: nobody";
    for method in ["tools/list", "tools/call", "ping"] {
        let of_another = web.request([&ben, &session], method, &call);
        let of_nobody = web.request([&ben, nobody], method, &call);
        assert_eq!((of_another.status, of_nobody.status), (404, 404), "{method}");
        let without_record = |answer: &super::web::Answer| {
            let mut said = answer.message();
            said["error"]["data"]["record"] = Value::Null;
            said
        };
        assert_eq!(without_record(&of_another), without_record(&of_nobody), "{method}");
    }
    for line in ["DELETE /mcp", "GET /mcp"] {
        assert_eq!(web.ask(line, &[&ben, &session], "").status, 404, "{line}");
    }
    assert_eq!(place.calls("s", "read_it"), 0);
    // It is still its owner's.
    assert_eq!(web.request([&ann, &session], "tools/call", &call).status, 200);
}

/// What an oatpp server called a session was the address of an object: it came again, and could be
/// guessed.
#[test]
fn cve_2025_6515_sessions_cannot_be_guessed() {
    let place = place();
    let (ann, web) = (key(&place, "ann"), Web::start(&place));
    let mut seen = BTreeSet::new();
    for _ in 0..24 {
        let header = web.session(&ann);
        let id = header.split_once(": ").unwrap().1.to_owned();
        // 128 bits, as hexadecimal or shorter.
        assert!(id.len() >= 22, "{id}");
        let half = id.len() / 2;
        let halves = [id.get(..half).unwrap(), id.get(half..).unwrap()];
        for (n, half) in halves.iter().enumerate() {
            assert!(seen.insert(format!("{n}{half}")), "{id}");
        }
        // What was given back does not come again.
        assert!(web.ask("DELETE /mcp", &[&ann, &header], "").status < 300);
        assert_eq!(web.request([&ann, &header], "ping", &json!({})).status, 404);
    }
}

/// Whoever knew a session's identifier took over its stream in the SDK for Ruby.
#[test]
fn cve_2026_33946_no_stream_is_taken_over() {
    let place = place();
    let (ann, ben, web) = (key(&place, "ann"), key(&place, "ben"), Web::start(&place));
    let session = web.session(&ann);
    for more in ["X-Nothing: x", "Last-Event-ID: 0", "Last-Event-ID: 0-0"] {
        assert_eq!(web.ask("GET /mcp", &[&ben, &session, more], "").status, 404, "{more}");
        assert_eq!(web.ask("GET /mcp", &[&session, more], "").status, 401, "{more}");
    }
}

/// Obot's path to one server went past the rules about who may use it.
#[test]
fn obot_0_21_0_all_ways_to_a_tool_have_the_same_rules() {
    let place = place();
    let rule = "@id(\"no\") forbid (principal, action == Action::\"s__delete_it\", resource);";
    place.write(&place.path("config/tagout/policies/own.cedar"), rule);
    let (ann, web) = (key(&place, "ann"), Web::start(&place));
    let session = web.session(&ann);
    let call = json!({"name": "s__delete_it", "arguments": {}});
    for answer in [
        web.request([&ann, &session], "tools/call", &call),
        web.visit(&[&ann], "s__delete_it", &json!({})),
    ] {
        assert_eq!(answer.message()["error"]["data"]["code"], "policy-denied", "{answer:?}");
    }
    for path in ["/mcp-connect/s", "/s/mcp", "/mcp/s", "/servers/s/mcp", "/mcp?server=s"] {
        let frame = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call});
        let answer = web.ask(&format!("POST {path}"), &[&ann, &session], &frame.to_string());
        assert!(!answer.body.contains("done"), "{path}: {answer:?}");
    }
    let ran = place.run(&["--json", "tools", "call", "s__delete_it"]);
    assert_eq!(one(&ran.stdout)["code"], "policy-denied", "{ran:?}");
    let mut client = crate::mcp_client::Client::start(&place);
    client.frames.initialize();
    let answer = client.frames.call("s__delete_it", &json!({}));
    assert_eq!(answer["error"]["data"]["code"], "policy-denied", "{answer}");
    assert_eq!(place.calls("s", "delete_it"), 0);
}
