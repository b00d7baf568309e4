//! What two readers read in two ways, and what readers fall over.
use serde_json::{Value, json};

use super::{
    doors::place,
    web::{INITIALIZE, Web, key},
};
use crate::{mcp_client::Client, place::Place};

/// Sends lines that must be refused, over pipes; the session goes on, and no server hears of them.
#[track_caller]
fn refused(place: &Place, lines: &[&str], codes: &[&str]) {
    let mut client = Client::start(place);
    client.frames.initialize();
    for line in lines {
        client.frames.line(line);
        let answer = client.frames.next().unwrap();
        let code = answer["error"]["data"]["code"].as_str().unwrap_or_default();
        assert!(codes.contains(&code), "{line}: {answer}");
    }
    let answer = client.frames.call("s__read_it", &json!({}));
    assert_eq!(answer["result"]["content"][0]["text"], "done", "{answer}");
    client.leave();
    assert_eq!((place.calls("s", "read_it"), place.calls("s", "delete_it")), (1, 0));
}

/// The SDK for Go took `Method` for `method`, and the last of several, so that what a proxy had
/// looked at was not what it did.
#[test]
fn cve_2026_27896_keys_in_another_case_are_refused() {
    let place = place();
    let lines = [
        r#"{"jsonrpc":"2.0","id":7,"method":"ping","Method":"tools/call","params":{"name":"s__delete_it"}}"#,
        r#"{"jsonrpc":"2.0","id":7,"Method":"tools/call","params":{"name":"s__delete_it","arguments":{}}}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"ping","method":"tools/call","params":{"name":"s__delete_it"}}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{},"PARAMS":{"name":"s__delete_it"}}"#,
        r#"{"JSONRPC":"2.0","ID":7,"METHOD":"tools/call","PARAMS":{"name":"s__delete_it"}}"#,
        // Letters that only some readers count as the same.
        "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"ping\",\"param\u{17f}\":{\"name\":\"s__delete_it\"}}",
    ];
    refused(&place, &lines, &["frame-ambiguous", "frame-malformed", "malformed"]);
    let (ann, web) = (key(&place, "ann"), Web::start(&place));
    let session = web.session(&ann);
    for line in lines {
        let answer = web.ask("POST /mcp", &[&ann, &session], line);
        assert_eq!(answer.message()["error"]["data"]["by"], "tagout", "{answer:?}");
    }
    assert_eq!(place.calls("s", "delete_it"), 0);
}

/// Envoy's AI gateway authorised `name` and sent on `Name`.
#[test]
fn ghsa_4gph_2hhr_5mwg_a_name_in_another_case_overrides_nothing() {
    let place = place();
    let lines = [
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"s__read_it","Name":"s__delete_it","arguments":{}}}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"s__read_it","name":"s__delete_it","arguments":{}}}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"NAME":"s__delete_it","name":"s__read_it","arguments":{}}}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"s__read_it","n\u0061me":"s__delete_it","arguments":{}}}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"s__read_it","arguments":{"text":"a"},"Arguments":{"text":"b"}}}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"s__read_it","arguments":{"text":"a","text":"b"}}}"#,
    ];
    refused(&place, &lines, &["frame-ambiguous"]);
}

/// Every request is malformed in its own way; after them, others are served as before.
fn malformed() -> Vec<String> {
    let deep = "[".repeat(100_000);
    let wide = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"x\":\"{}\"}}",
        "x".repeat(1 << 20)
    );
    let mut bodies: Vec<String> = [
        "", " ", "{", "null", "true", "0", "[]", "{}", "\"x\"", "[[]]", "[1,2]", "{\"jsonrpc\":2}",
        "{\"jsonrpc\":\"2.0\"}",
        "{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"initialize\"}",
        "{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"initialize\",\"params\":[]}",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":7}",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{\"protocolVersion\":{}}}",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":[]}}",
        "{\"jsonrpc\":\"2.0\",\"id\":1e400,\"method\":\"ping\"}",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":\"\\ud800\"}",
        "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":{}}}",
        "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":7}",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{}}",
    ]
    .map(str::to_owned)
    .into();
    bodies.extend([deep, wide]);
    bodies
}

/// A request that the SDK for Python could not read ended its whole server.
#[test]
fn cve_2025_53366_malformed_requests_leave_the_gateway_up() {
    let place = place();
    let (ann, ben, web) = (key(&place, "ann"), key(&place, "ben"), Web::start(&place));
    let session = web.session(&ann);
    let other = web.session(&ben);
    for body in malformed() {
        for headers in [vec![ann.as_str()], vec![ann.as_str(), session.as_str()]] {
            let length = body.len();
            let framed = format!("Content-Length: {length}");
            let kind = "Content-Type: application/json";
            let all = [headers, vec![framed.as_str(), kind]].concat();
            let shown: String = body.chars().take(80).collect();
            let answer = send(&web, &all, &body);
            assert!([200, 202, 400, 404, 413, 429].contains(&answer), "{answer}: {shown}");
        }
    }
    // Those who were there before are served in the same process.
    let call = json!({"name": "s__read_it", "arguments": {}});
    for headers in [[ann.as_str(), &session], [ben.as_str(), &other]] {
        let answer = web.request(headers, "tools/call", &call);
        assert_eq!(answer.message()["result"]["content"][0]["text"], "done", "{answer:?}");
    }
}

/// The status of a `POST` with exactly these headers.
fn send(web: &Web, headers: &[&str], body: &str) -> u16 {
    let own = web.address;
    let head = headers.join("\r\n");
    let text = format!(
        "POST /mcp HTTP/1.1\r\nHost: {own}\r\n{head}\r\n\
         Accept: application/json, text/event-stream\r\nConnection: close\r\n\r\n{body}"
    );
    web.send(text.as_bytes(), true).status
}

/// A client that broke off after its session was made ended the whole server that was made with the
/// SDK for Python.
#[test]
fn cve_2025_53365_a_client_that_breaks_off_ends_nobody_elses_session() {
    use std::{io::Write as _, net::TcpStream};
    let place = place();
    let (ann, ben, web) = (key(&place, "ann"), key(&place, "ben"), Web::start(&place));
    let other = web.session(&ben);
    let own = web.address;
    for n in 0..32 {
        let session = web.session(&ann);
        let frame = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"s__read_it","arguments":{}}}"#;
        let length = frame.len();
        let cut = if n % 2 == 0 { frame.len() / 2 } else { frame.len() };
        let body = frame.get(..cut).unwrap();
        for line in ["POST", "GET"] {
            let mut stream = TcpStream::connect(own).unwrap();
            let text = format!(
                "{line} /mcp HTTP/1.1\r\nHost: {own}\r\n{ann}\r\n{session}\r\nContent-Length: {length}\r\n\
                 Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n\r\n{body}"
            );
            // It may be closed by then; so much the better.
            stream.write_all(text.as_bytes()).ok();
        }
        web.ask("DELETE /mcp", &[&ann, &session], "");
    }
    let call = json!({"name": "s__read_it", "arguments": {}});
    let answer = web.request([&ben, &other], "tools/call", &call);
    assert_eq!(answer.message()["result"]["content"][0]["text"], "done", "{answer:?}");
    assert_eq!(web.ask("POST /mcp", &[&ann], INITIALIZE).status, 200);
}

/// A template of the SDK for TypeScript became a pattern that took for ever on some addresses.
#[test]
fn cve_2026_0621_templates_and_addresses_take_no_time() {
    let place = Place::new();
    place.configure("[consent]\nagreed = [\"s\"]\n");
    let templates: Vec<Value> = [
        "x://{/a*}{/b*}{/c*}{/d*}{/e*}{/f*}{/g*}{/h*}",
        "x://{+a,b,c,d,e,f,g,h}{+i*}{+j*}{+k*}",
        "x://{?a*,b*,c*,d*}{&e*}{&f*}",
        "x://(a+)+{a}(a+)+{b}",
    ]
    .iter()
    .map(|template| json!({"name": "t", "uriTemplate": template}))
    .collect();
    place.scripted(
        "s",
        json!({"capabilities": {"resources": {}, "tools": {}}, "methods": {
            "resources/list": [[{"reply": {"resources": []}}]],
            "resources/templates/list": [[{"reply": {"resourceTemplates": templates}}]],
            "resources/read": [[{"reply": {"contents": []}}]],
        }}),
    );
    place.done(&["pin"]);
    let mut client = Client::start(&place);
    client.frames.initialize();
    let long = [
        format!("x://{}!", "/a".repeat(20_000)),
        format!("x://{}!", "a,".repeat(20_000)),
        format!("x://{}!", "a".repeat(50_000)),
        format!("x://?{}!", "a=a&".repeat(10_000)),
    ];
    for uri in long {
        let answer = client.frames.request("resources/read", &json!({"uri": uri}));
        assert!(answer.get("result").or(answer.get("error")).is_some(), "{answer}");
    }
    // It goes on being of use.
    assert!(client.frames.request("ping", &json!({})).get("result").is_some());
    client.leave();
}
