//! Clients at once, of several principals, who all use the same ids: each answer is for its own.
use std::{collections::BTreeSet, fmt::Write as _, thread};

use serde_json::{Value, json};
use tagout_testkit::{HttpTranscript, Script};

use crate::{bench::Plan, http_bench::Served, http_transcripts::check_named};

const PRINCIPALS: [&str; 4] = ["ann", "ben", "cid", "dot"];
/// Of each principal.
const CLIENTS: usize = 4;
/// Of each client, at once.
const CALLS: usize = 6;

/// A server whose answers overtake each other.
fn plan() -> Plan {
    let turns = [30, 0, 5].map(|wait| json!([{"wait_ms": wait}, "echo"]));
    let turns: Vec<_> = turns.iter().cycle().take(PRINCIPALS.len() * CLIENTS * CALLS).collect();
    let schema = json!({"type": "object", "properties": {"text": {"type": "string"}}});
    let script = json!({"tools": [{"name": "echo", "inputSchema": schema}],
        "calls": {"echo": turns}});
    let script: Script = serde_json::from_value(script).unwrap();
    Plan {
        servers: [("s".to_owned(), script)].into(),
        reviewed: vec![("s/echo".to_owned(), vec!["read".to_owned()])],
        ..Plan::default()
    }
}

fn headers(principal: &str) -> String {
    format!(
        "headers h Authorization: Bearer <as key.{principal}>\n\
         headers h Content-Type: application/json\n\
         headers h Accept: application/json, text/event-stream\n"
    )
}

/// All calls first, then what comes back, the last first.
fn calls(text: &mut String, own: &str, set: &str, meta: &Value) {
    for id in 0..CALLS {
        let arguments = json!({"text": format!("{own}/{id}")});
        let params = json!({"name": "s__echo", "arguments": arguments, "_meta": meta});
        let frame = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params});
        writeln!(text, "request c{id} POST /mcp h {set}\n> {frame}").unwrap();
    }
    for id in (0..CALLS).rev() {
        let said = json!({"text": format!("{own}/{id}")}).to_string();
        let content = json!([{"type": "text", "text": said}]);
        let frame = json!({"jsonrpc": "2.0", "id": id, "result": {"...": 0, "content": content}});
        writeln!(text, "response c{id} 200\n< {frame}").unwrap();
    }
}

fn with_session(principal: &str, own: &str) -> String {
    let mut text = headers(principal);
    let hello =
        json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": own}});
    let frame = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello});
    let open = "response c 200\n| mcp-session-id: <as session>\n\
                headers s Mcp-Session-Id: <as session>\n";
    write!(text, "request c POST /mcp h\n> {frame}\n{open}").unwrap();
    calls(&mut text, own, "s", &json!({}));
    text
}

/// Clients that say the same of themselves are of one kind and share what the gateway keeps.
fn without_session(principal: &str, own: &str) -> String {
    let mut text = headers(principal);
    for header in
        ["MCP-Protocol-Version: 2026-07-28", "Mcp-Method: tools/call", "Mcp-Name: s__echo"]
    {
        writeln!(text, "headers s {header}").unwrap();
    }
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    calls(&mut text, own, "s", &meta);
    text
}

fn at_once(transcript: fn(&str, &str) -> String) {
    let served = Served::new(&plan(), &PRINCIPALS);
    let came: Vec<String> = thread::scope(|scope| {
        let clients = PRINCIPALS.iter().flat_map(|who| (0..CLIENTS).map(move |n| (who, n)));
        let playing = clients.map(|(who, n)| {
            let text = transcript(who, &format!("{who}{n}"));
            let served = &served;
            scope.spawn(move || {
                let transcript = HttpTranscript::parse(&text).unwrap();
                served.play(&transcript).unwrap_or_else(|why| panic!("{who}{n}: {why}\n{text}"))
            })
        });
        let playing: Vec<_> = playing.collect();
        playing.into_iter().flat_map(|one| one.join().unwrap()).collect()
    });
    let (_bench, records) = served.stop().unwrap();
    check_named(&came, &records).unwrap();
    let calls = records.iter().filter(|record| record["begin"]["method"] == "tools/call");
    let calls: Vec<_> = calls.collect();
    assert_eq!(calls.len(), PRINCIPALS.len() * CLIENTS * CALLS);
    for who in PRINCIPALS {
        let own = calls.iter().filter(|record| record["begin"]["principal"]["user"] == who);
        let own: BTreeSet<_> = own.map(|record| record["n"].to_string()).collect();
        assert_eq!(own.len(), CLIENTS * CALLS, "{who}");
    }
}

#[test]
fn clients_with_sessions_get_their_own_answers() {
    at_once(with_session);
}

#[test]
fn clients_without_sessions_get_their_own_answers() {
    at_once(without_session);
}

/// A call without a session, whose user is asked; more members of its parameters come beside.
fn write(id: usize, more: &Value) -> String {
    let mut text = headers("ann");
    for header in
        ["MCP-Protocol-Version: 2026-07-28", "Mcp-Method: tools/call", "Mcp-Name: s__echo"]
    {
        writeln!(text, "headers s {header}").unwrap();
    }
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {"elicitation": {}},
    });
    let mut params = json!({"name": "s__echo", "arguments": {}, "_meta": meta});
    params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let frame = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params});
    writeln!(text, "request c POST /mcp h s\n> {frame}\nresponse c 200").unwrap();
    text
}

#[test]
fn an_approval_that_is_brought_back_many_times_at_once_is_good_for_one() {
    let mut plan = plan();
    plan.reviewed = vec![("s/echo".to_owned(), vec!["write".to_owned()])];
    let served = Served::new(&plan, &PRINCIPALS);
    let play = |text: &str| {
        let came = served.play(&HttpTranscript::parse(text).unwrap()).unwrap();
        serde_json::from_str::<Value>(came.first().unwrap()).unwrap()
    };
    let asked = play(&write(0, &json!({})));
    let yes = json!({"tagout-0": {"action": "accept", "content": {"decision": "approve"}}});
    let state = &asked["result"]["requestState"];
    assert!(state.is_string(), "{asked}");
    let brought = json!({"requestState": state, "inputResponses": yes});
    let answers: Vec<Value> = thread::scope(|scope| {
        let many = (1..=8).map(|id| {
            let (text, play) = (write(id, &brought), &play);
            scope.spawn(move || play(&text))
        });
        let many: Vec<_> = many.collect();
        many.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let (done, refused): (Vec<_>, Vec<_>) =
        answers.iter().partition(|answer| answer.get("result").is_some());
    assert_eq!(done.len(), 1, "{answers:?}");
    assert!(refused.iter().all(|answer| answer["error"]["data"]["code"] == "state-invalid"));
    let (bench, _records) = served.stop().unwrap();
    let calls = bench.saw("s").iter().filter(|line| line.contains("tools/call")).count();
    assert_eq!(calls, 1);
}
