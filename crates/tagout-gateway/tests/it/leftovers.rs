//! No process outlives the gateway that it was started for, however that ends.
use std::{
    fs,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tagout_testkit::Script;

use crate::{
    bench::{Bench, PATIENCE, Plan, Running},
    client::Client,
};

/// A server that starts a process which leaves its session; and one that reads nothing any more.
fn plan() -> Plan {
    let tool = json!({"name": "stay", "inputSchema": {"type": "object"}});
    let script = |steps: serde_json::Value| -> Script {
        serde_json::from_value(json!({"tools": [tool], "calls": {"stay": [steps]}})).unwrap()
    };
    let reviewed = |server: &str| (format!("{server}/stay"), vec!["read".to_owned()]);
    Plan {
        servers: [
            ("daemon".to_owned(), script(json!(["daemon"]))),
            ("deaf".to_owned(), script(json!([{"notify": {"method": "notifications/message", "params": {"level": "info", "data": "deaf"}}}, "hang"]))),
        ]
        .into(),
        reviewed: vec![reviewed("daemon"), reviewed("deaf")],
        ..Plan::default()
    }
}

/// A process by number and start, since numbers are used again.
type Process = (u32, String);

fn process(pid: u32) -> Option<(Process, u32)> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat).into_owned();
    // The name, in parentheses, may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<_> = rest.split_whitespace().collect();
    let dead = matches!(fields[0], "Z" | "X");
    (!dead).then(|| ((pid, fields[19].to_owned()), fields[1].parse().unwrap()))
}

fn descendants(of: u32) -> Vec<Process> {
    let pids = fs::read_dir("/proc").unwrap().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let all: Vec<_> = pids.filter_map(process).collect();
    let mut family = vec![of];
    let mut found = Vec::new();
    while let Some(parent) = family.pop() {
        for (child, _) in all.iter().filter(|(_, ppid)| *ppid == parent) {
            family.push(child.0);
            found.push(child.clone());
        }
    }
    found
}

/// Starts both servers and has them misbehave, ends the gateway by `end`, and looks for its family.
#[track_caller]
fn none_is_left_after(end: impl FnOnce(&mut Running, Client)) {
    let bench = Bench::new(&plan());
    let mut gateway = bench.run();
    let streams = (gateway.0.stdin.take().unwrap(), gateway.0.stdout.take().unwrap());
    let mut client = Client::open(streams.0, streams.1);
    client.call(1, "daemon__stay", &json!({}));
    let daemon = client.answer(1)["result"]["structuredContent"]["pid"].as_u64().unwrap();
    client.call(2, "deaf__stay", &json!({}));
    client.told("notifications/message");

    let family = descendants(gateway.0.id());
    let pids: Vec<_> = family.iter().map(|(pid, _)| u64::from(*pid)).collect();
    assert!(
        family.len() >= 5 && pids.contains(&daemon),
        "two jailers, two servers and {daemon}: {pids:?}"
    );
    end(&mut gateway, client);
    let until = Instant::now() + PATIENCE;
    let lives = |(pid, start): &&Process| process(*pid).is_some_and(|(now, _)| now.1 == *start);
    while family.iter().any(|one| lives(&one)) {
        let left: Vec<_> = family.iter().filter(lives).collect();
        assert!(Instant::now() < until, "{left:?} are left");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(bench.left_behind(), Vec::<String>::new());
    // The calls that were under way are on record, whatever became of them.
    let records = bench.records().unwrap();
    assert!(records.iter().any(|record| record["begin"]["subject"] == "deaf__stay"));
}

fn signal(gateway: &Running, signal: Signal) {
    kill_process(Pid::from_child(&gateway.0), signal).unwrap();
}

#[test]
fn none_is_left_after_the_client_closes_its_side() {
    none_is_left_after(|gateway, client| {
        client.close();
        gateway.ended().unwrap();
    });
}

#[test]
fn none_is_left_after_the_gateway_is_asked_to_end() {
    none_is_left_after(|gateway, _client| {
        signal(gateway, Signal::TERM);
        gateway.ended().unwrap();
    });
}

#[test]
fn none_is_left_after_the_gateway_is_killed() {
    none_is_left_after(|gateway, _client| {
        signal(gateway, Signal::KILL);
        gateway.0.wait().unwrap();
    });
}
