//! However many clients there are and whatever ids they choose: each gets its own answers.
use std::{collections::BTreeSet, sync::Arc, thread};

use serde_json::{Value, json};
use tagout_gateway::{
    Clock, Gateway, Parts, approval::Nobody, config::Config, identity::os_user, lockfile::Lockfile,
};
use tagout_policy::{Policy, Profile, Surface};
use tagout_testkit::Script;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio_util::sync::CancellationToken;

use crate::{
    bench::{Bench, Plan},
    client::Client,
};

const CLIENTS: usize = 4;
const CALLS: usize = 50;

/// A gateway without servers, which start this very program again and so need the real one.
fn gateway(state: &std::path::Path) -> Arc<Gateway> {
    let config = Config::parse("tagout.toml", "", state).unwrap();
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    let parts = Parts {
        policy: Policy::load(Profile::default(), &[], &Surface::default()).unwrap(),
        lockfile: Lockfile::default(),
        shipped: Lockfile::default(),
        own_program: "/nowhere".into(),
        own_files: std::collections::BTreeSet::new(),
        principal: os_user(&config),
        approver: Arc::new(Nobody),
        clock: Clock::new(move || now),
        config,
    };
    Gateway::open(parts, state, &state.join("head.key")).unwrap()
}

/// Asks for tools that are not there, all at once, and gives the frames that came back.
async fn ask_for(gateway: Arc<Gateway>, client: usize) -> Vec<Value> {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let stop = CancellationToken::new();
    let serving = tokio::spawn(async move {
        gateway.serve(tokio::io::split(theirs), "memory", &stop).await.unwrap();
    });
    let (reader, mut writer) = tokio::io::split(ours);
    let hello = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {}});
    let mut text = frame(&json!("hello"), "initialize", &hello);
    for id in 0..CALLS {
        let name = format!("nobody__{client}_{id}");
        text += &frame(&json!(id), "tools/call", &json!({"name": name, "arguments": {}}));
    }
    let sending = async {
        writer.write_all(text.as_bytes()).await.unwrap();
    };
    let receiving = async {
        let mut frames = Vec::new();
        let mut lines = BufReader::new(reader.take(1 << 20)).lines();
        while frames.len() < CALLS + 1 {
            let line = lines.next_line().await.unwrap().unwrap();
            frames.push(serde_json::from_str::<Value>(&line).unwrap());
        }
        frames
    };
    let ((), frames) = tokio::join!(sending, receiving);
    writer.shutdown().await.unwrap();
    serving.await.unwrap();
    frames
}

fn frame(id: &Value, method: &str, params: &Value) -> String {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string() + "\n"
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_one_gateway_get_their_own_answers() {
    let dir = tempfile::tempdir().unwrap();
    let gateway = gateway(dir.path());
    let asking = (0..CLIENTS).map(|client| tokio::spawn(ask_for(Arc::clone(&gateway), client)));
    let mut records = BTreeSet::new();
    for (client, asking) in asking.collect::<Vec<_>>().into_iter().enumerate() {
        let frames = asking.await.unwrap();
        let answers: BTreeSet<_> = frames.iter().map(|frame| frame["id"].to_string()).collect();
        assert_eq!(answers.len(), CALLS + 1, "one answer to each");
        for frame in frames.iter().filter(|frame| frame["id"].is_number()) {
            let expected = format!("there is no tool `nobody__{client}_{}` here", frame["id"]);
            assert_eq!(frame["error"]["message"], expected);
            let record = frame["error"]["data"]["record"].as_u64().unwrap();
            assert!(records.insert(record), "two calls share record {record}");
        }
    }
    assert_eq!(records.len(), CLIENTS * CALLS);
}

/// An answer frees its id: a client may count on it as soon as it has the answer.
#[test]
fn an_id_is_free_once_it_is_answered() {
    let bench = Bench::new(&Plan::default());
    let mut gateway = bench.run();
    let streams = (gateway.0.stdin.take().unwrap(), gateway.0.stdout.take().unwrap());
    let mut client = Client::open(streams.0, streams.1);
    for _ in 0..5000 {
        let answer = client.ask("ping", &json!({}));
        assert!(answer.get("result").is_some(), "{answer}");
    }
    assert_eq!(client.close(), Vec::<Value>::new());
    gateway.ended().unwrap();
}

/// A server whose answers overtake each other.
fn overtaking() -> Script {
    let turns: Vec<_> = (0..CALLS)
        .map(|n| match n % 3 {
            0 => json!([{"wait_ms": 30}, "echo"]),
            1 => json!(["echo"]),
            _ => json!([{"wait_ms": 5}, "echo"]),
        })
        .collect();
    let echo =
        json!({"name": "echo", "inputSchema": {"type": "object", "properties": {"text": {}}}});
    serde_json::from_value(json!({"tools": [echo], "calls": {"echo": turns}})).unwrap()
}

fn echo_all(bench: &Bench, client: usize) {
    let mut gateway = bench.run();
    let streams = (gateway.0.stdin.take().unwrap(), gateway.0.stdout.take().unwrap());
    let mut peer = Client::open(streams.0, streams.1);
    for id in 0..CALLS {
        peer.call(id, "s__echo", &json!({"text": format!("{client}/{id}")}));
    }
    for id in 0..CALLS {
        let answer = peer.answer(id);
        let text = &answer["result"]["content"][0]["text"];
        assert_eq!(*text, json!({"text": format!("{client}/{id}")}).to_string(), "{answer}");
    }
    assert_eq!(peer.close(), Vec::<Value>::new());
    gateway.ended().unwrap();
}

#[test]
fn gateways_over_one_state_keep_one_log() {
    let bench = Bench::new(&Plan {
        servers: [("s".to_owned(), overtaking())].into(),
        reviewed: vec![("s/echo".to_owned(), vec!["read".to_owned()])],
        ..Plan::default()
    });
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let bench = &bench;
            scope.spawn(move || echo_all(bench, client));
        }
    });
    let records = bench.records().unwrap();
    let calls = records.iter().filter(|record| record["begin"]["method"] == "tools/call");
    let ok = calls.filter(|record| record["end"]["outcome"] == "ok").count();
    assert_eq!(ok, CLIENTS * CALLS);
    assert_eq!(bench.left_behind(), Vec::<String>::new());
}
