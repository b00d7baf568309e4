//! Messages that are made to hurt, through the real binary: each is refused or takes its course, and
//! the next call is served.
use serde_json::{Value, json};
use tagout_testkit::Script;

use crate::{
    bench::{Bench, Plan, Running},
    client::Client,
    upstream_peer::{Front, Heard, Peer, act, json as answer, modern, tool},
};

fn bench(script: Value) -> Bench {
    let script: Script = serde_json::from_value(script).unwrap();
    Bench::new(&Plan {
        servers: [("s".to_owned(), script)].into(),
        reviewed: vec![("s/fine".to_owned(), vec!["read".to_owned()])],
        ..Plan::default()
    })
}

fn client(bench: &Bench) -> (Client, Running) {
    let mut running = bench.run();
    let (input, output) = (running.0.stdin.take().unwrap(), running.0.stdout.take().unwrap());
    (Client::open(input, output), running)
}

fn fine(client: &mut Client, id: u64) {
    client.call(id, "s__fine", &json!({}));
    let answer = client.answer(id);
    assert!(answer.get("result").is_some(), "{answer}");
}

#[test]
fn a_flood_of_notifications_of_a_client_holds_up_no_call() {
    let bench = bench(json!({
        "tools": [{"name": "fine", "inputSchema": {"type": "object"}}],
        "calls": {"fine": [[{"text": "fine"}]]},
    }));
    let (mut client, _running) = client(&bench);
    for n in 0..20_000 {
        let params = json!({"progressToken": n, "progress": 1});
        let method = "notifications/progress";
        client.send(&json!({"jsonrpc": "2.0", "method": method, "params": params}));
    }
    fine(&mut client, 1);
    for n in 0..5_000 {
        let params = json!({"requestId": n});
        let method = "notifications/cancelled";
        client.send(&json!({"jsonrpc": "2.0", "method": method, "params": params}));
    }
    fine(&mut client, 100_000);
}

#[test]
fn a_flood_of_log_messages_of_a_server_holds_up_no_answer() {
    let message = json!({"notify": {"method": "notifications/message",
        "params": {"level": "info", "data": "x".repeat(1000)}}});
    let mut steps = vec![message; 5_000];
    steps.push(json!({"text": "fine"}));
    let bench = bench(json!({
        "tools": [{"name": "fine", "inputSchema": {"type": "object"}}],
        "calls": {"fine": [steps]},
        "capabilities": {"tools": {}, "logging": {}},
    }));
    let (mut client, _running) = client(&bench);
    fine(&mut client, 1);
    fine(&mut client, 2);
}

#[test]
fn a_flood_of_progress_keeps_no_call_alive_and_holds_up_no_answer() {
    let progress = json!({"notify": {"method": "notifications/progress",
        "params": {"progressToken": 1, "progress": 1}}});
    let mut steps = vec![progress; 5_000];
    steps.push(json!({"text": "fine"}));
    let bench = bench(json!({
        "tools": [{"name": "fine", "inputSchema": {"type": "object"}}],
        "calls": {"fine": [steps]},
    }));
    let (mut client, _running) = client(&bench);
    let params = json!({"name": "s__fine", "arguments": {}, "_meta": {"progressToken": "p"}});
    client.request(1, "tools/call", &params);
    let answer = client.answer(1);
    assert!(answer.get("result").is_some(), "{answer}");
    fine(&mut client, 2);
}

#[test]
fn schema_bombs_of_a_server_make_their_tools_unusable_and_no_others() {
    let mut definitions = serde_json::Map::new();
    for n in 0..30 {
        let next = format!("#/$defs/d{}", n + 1);
        definitions.insert(format!("d{n}"), json!({"allOf": [{"$ref": next}, {"$ref": next}]}));
    }
    definitions.insert("d30".to_owned(), json!({"type": "string"}));
    let bench = bench(json!({
        "tools": [
            {"name": "fine", "inputSchema": {"type": "object"}},
            {"name": "doubled", "inputSchema": {"type": "object", "$defs": definitions,
                "properties": {"a": {"$ref": "#/$defs/d0"}}}},
            {"name": "fetched", "inputSchema": {"type": "object",
                "properties": {"a": {"$ref": "http://127.0.0.1:1/x"}}}},
            {"name": "dynamic", "inputSchema": {"type": "object",
                "properties": {"a": {"$dynamicRef": "#x"}}}},
            {"name": "slow", "inputSchema": {"type": "object",
                "properties": {"a": {"type": "string", "pattern": "(((a{1,100}){1,100}){1,100}){1,100}"}}}},
        ],
        "calls": {"fine": [[{"text": "fine"}]]},
    }));
    let (mut client, _running) = client(&bench);
    for (id, name) in (1_u64..).zip(["doubled", "fetched", "dynamic", "slow"]) {
        client.call(id, &format!("s__{name}"), &json!({"a": "a"}));
        let answer = client.answer(id);
        assert!(answer.get("error").is_some(), "{name}: {answer}");
    }
    assert!(bench.saw("s").iter().all(|frame| !frame.contains("tools/call")));
    fine(&mut client, 100);
}

/// What a few bytes may come to nobody knows before they are decompressed.
#[test]
fn a_compressed_answer_of_a_server_is_refused() {
    let peer = Peer::answering(|heard| {
        if heard.method() == "tools/call" {
            return answer(
                200,
                &json!({"jsonrpc": "2.0", "id": 1, "result": {}}),
                "Content-Encoding: gzip\r\n",
            );
        }
        modern(heard, &json!([tool("act")]))
    });
    let gateway = Front::new(&peer, "/mcp", "");
    let said = act(&mut gateway.client());
    assert_eq!(said["error"]["data"]["by"], "tagout", "{said}");
    let asked = |heard: &Heard| !heard.header("accept-encoding").is_empty();
    assert!(!peer.heard().iter().any(asked), "nobody asks for it either");
}
