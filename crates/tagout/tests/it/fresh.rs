//! `tagout run` on a fresh machine, in front of an MCP client.
use std::fs;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    mcp_client::Client,
    place::{Place, gone, within_limit},
};

/// The processes that a process started and that still run.
fn children(of: u64) -> Vec<u64> {
    let running = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let pid: u64 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let stat = String::from_utf8(fs::read(format!("/proc/{pid}/stat")).ok()?).ok()?;
        let mut after_name = stat.rsplit_once(')')?.1.split_whitespace();
        let state = after_name.next()?;
        let parent: u64 = after_name.next()?.parse().ok()?;
        (parent == of && state != "Z").then_some(pid)
    });
    running.collect()
}

fn descendants(of: u64) -> Vec<u64> {
    let mut all = children(of);
    let mut next = 0;
    while let Some(pid) = all.get(next).copied() {
        all.extend(children(pid));
        next += 1;
    }
    all
}

#[test]
fn the_grid_assistant_is_there_through_the_gateway() {
    let place = Place::new();
    let mut client = Client::start(&place);
    let hello = client.frames.initialize();
    assert_eq!(hello["protocolVersion"], "2025-11-25");
    assert_eq!(hello["serverInfo"]["name"], "tagout");
    let tools = client.frames.result("tools/list", &json!({}));
    let names: Vec<_> =
        tools["tools"].as_array().unwrap().iter().map(|tool| &tool["name"]).collect();
    assert_eq!(
        names,
        [
            "grid__analyze_load_pattern",
            "grid__predict_outage_risk",
            "grid__generate_grid_visualization"
        ]
    );
    let answer = client.frames.call("grid__predict_outage_risk", &json!({"equipment_id": "A7"}));
    let result = &answer["result"];
    assert_eq!(result["structuredContent"]["risk_score"], 0.05, "{answer}");
    assert_eq!(result["_meta"]["tagout/rule"], "read-freely", "{answer}");
    let list = client.frames.result("resources/list", &json!({}));
    let uris: Vec<_> = list["resources"].as_array().unwrap().iter().map(|r| &r["uri"]).collect();
    assert!(uris.contains(&&Value::from("grid://topology/northeast")), "{uris:?}");
    let uri = json!({"uri": "grid://topology/northeast"});
    let read = client.frames.result("resources/read", &uri);
    let text = read["contents"][0]["text"].as_str().unwrap();
    assert!(text.contains("IEEE") && text.contains("39"), "{text}");
    client.leave();
    place.done(&["audit", "verify"]);
}

#[test]
fn both_revisions_are_spoken() {
    for (asked, spoken) in
        [("2025-06-18", "2025-06-18"), ("2025-11-25", "2025-11-25"), ("1999-01-01", "2025-11-25")]
    {
        let place = Place::new();
        let mut client = Client::start(&place);
        let hello = client.frames.result(
            "initialize",
            &json!({"protocolVersion": asked, "capabilities": {}, "clientInfo": {"name": "c"}}),
        );
        assert_eq!(hello["protocolVersion"], spoken);
        client.leave();
    }
}

#[test]
fn the_clients_leaving_ends_it_and_its_servers() {
    let place = Place::new();
    let mut client = Client::start(&place);
    client.frames.initialize();
    let started = descendants(client.pid());
    assert!(!started.is_empty(), "the grid server runs");
    client.leave();
    let left = within_limit(|| started.iter().all(|pid| gone(*pid)).then_some(()));
    assert!(left.is_some(), "{started:?}");
}

#[test]
fn so_do_signals() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let place = Place::new();
        let mut client = Client::start(&place);
        client.frames.initialize();
        let started = descendants(client.pid());
        client.signal(signal);
        assert_eq!(client.ended().code(), Some(0), "{signal:?}");
        let left = within_limit(|| started.iter().all(|pid| gone(*pid)).then_some(()));
        assert!(left.is_some(), "{signal:?}: {started:?}");
        place.done(&["audit", "verify"]);
    }
}

#[test]
fn a_client_that_says_nothing_is_no_trouble() {
    let place = Place::new();
    Client::start(&place).leave();
}

#[test]
fn before_the_handshake_nothing_is_done() {
    let place = Place::new();
    let mut client = Client::start(&place);
    let answer = client.frames.call("grid__predict_outage_risk", &json!({"equipment_id": "A7"}));
    assert_eq!(answer["error"]["data"]["code"], "handshake-invalid", "{answer}");
    client.frames.line("not JSON");
    let answer = client.frames.next().unwrap();
    assert_eq!(answer["error"]["code"], -32700, "{answer}");
    client.frames.initialize();
    let answer = client.frames.call("grid__predict_outage_risk", &json!({"equipment_id": "A7"}));
    assert!(answer.get("result").is_some(), "{answer}");
    client.leave();
}

/// Standard output is for frames only, whatever is said on standard error.
#[test]
fn nothing_but_frames_is_on_standard_output() {
    let place = Place::new();
    place.configure("[server.grid]\nbuiltin = \"grid\"\n[server.bad]\ncommand = [\"/no/such\"]\n");
    let mut client = Client::start_with(&place, &["-vvv", "run"]);
    client.frames.initialize();
    let tools = client.frames.result("tools/list", &json!({}));
    assert_eq!(tools["tools"].as_array().unwrap().len(), 3);
    let answer = client.frames.call("bad__x", &json!({}));
    assert_eq!(answer["error"]["data"]["code"], "server-unavailable", "{answer}");
    client.frames.close();
    while let Some(frame) = client.frames.next() {
        assert_eq!(frame["jsonrpc"], "2.0");
    }
    assert_eq!(client.ended().code(), Some(0));
}
