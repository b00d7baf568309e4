//! `kill -9` in mid-call.
use std::fs;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    mcp_client::Client,
    place::{Place, gone, one, tool, within_limit},
};

/// A client whose call will never be answered, and all processes behind it.
fn in_mid_call(place: &Place) -> (Client, Vec<u64>) {
    place.scripted(
        "s",
        json!({
            "tools": [tool("read_pid"), tool("read_daemon"), tool("read_forever")],
            "calls": {
                "read_pid": [["environment"]],
                "read_daemon": [["daemon"]],
                "read_forever": [["hang"]],
            }
        }),
    );
    place.pin(&["s"]);
    let mut client = Client::start(place);
    client.frames.initialize();
    let mut pid = |tool: &str| {
        let answer = client.frames.call(tool, &json!({}));
        answer["result"]["structuredContent"]["pid"].as_u64().unwrap_or_else(|| panic!("{answer}"))
    };
    let mut pids = vec![pid("s__read_pid"), pid("s__read_daemon")];
    client.frames.ask("tools/call", &json!({"name": "s__read_forever", "arguments": {}}));
    let begun = || (place.calls("s", "read_forever") == 1).then_some(());
    within_limit(begun).unwrap_or_else(|| panic!("the call does not reach the server"));
    pids.extend(jailer_of(pids[0]));
    assert!(pids.iter().all(|pid| !gone(*pid)), "{pids:?}");
    (client, pids)
}

/// What started the server and watches over it.
fn jailer_of(pid: u64) -> Option<u64> {
    let stat = String::from_utf8(fs::read(format!("/proc/{pid}/stat")).ok()?).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

fn unknown(place: &Place) -> Value {
    let report = one(&place.done(&["--json", "audit", "verify"]));
    let open = report["open"].as_array().unwrap().clone();
    assert_eq!(open.len(), 1, "{report}");
    open[0].clone()
}

#[test]
fn a_killed_gateway_takes_its_servers_along_and_its_log_verifies() {
    let place = Place::new();
    let (mut client, pids) = in_mid_call(&place);
    client.signal(Signal::KILL);
    client.ended();
    let left = within_limit(|| pids.iter().all(|pid| gone(*pid)).then_some(()));
    assert!(left.is_some(), "{:?}", pids.iter().map(|pid| (pid, gone(*pid))).collect::<Vec<_>>());

    let open = unknown(&place);
    assert_eq!(open["subject"], "s__read_forever");
    assert_eq!(open["verdict"], "allow");
    let text = place.done(&["audit", "verify"]);
    assert!(text.contains("outcome unknown"), "{text}");
    let number = open["n"].as_u64().unwrap();
    let shown = place.done(&["audit", "show", &number.to_string()]);
    assert!(shown.lines().any(|l| l.starts_with("outcome") && l.contains("unknown")), "{shown}");
    let record = place.record(number);
    assert!(record["end"].is_null(), "{record}");
    // The next one goes on from there.
    place.done(&["tools", "call", "s__read_pid"]);
    assert_eq!(unknown(&place)["n"], number);
}

#[test]
fn a_client_that_leaves_in_mid_call_leaves_nothing_running_and_nothing_open() {
    let place = Place::new();
    let (mut client, pids) = in_mid_call(&place);
    client.frames.close();
    assert_eq!(client.ended().code(), Some(0));
    let left = within_limit(|| pids.iter().all(|pid| gone(*pid)).then_some(()));
    assert!(left.is_some(), "{pids:?}");
    let report = one(&place.done(&["--json", "audit", "verify"]));
    assert_eq!(report["open"], json!([]), "{report}");
}
