//! Calls that wait for people, or for the store, hold nobody else up.
use serde_json::{Value, json};
use tagout_store::{Answer, Scope};

use crate::{
    bench::Bench,
    client::{Client, refusal},
    questions::{Desk, ONE_OTHER, calls, client, left_open, made, plan},
};

#[test]
fn who_waits_for_the_store_holds_up_nobody() {
    let bench = Bench::new(&plan(&[ONE_OTHER], &["[approval]", "keep_s = 600"]));
    let _desk = Desk::with(&bench, &["bob"]);
    let (mut client, _running) = client(&bench, "c");
    client.ask("tools/list", &json!({}));
    let state = rusqlite::Connection::open(bench.path("state/tagout/state.sqlite")).unwrap();
    state.execute_batch("BEGIN IMMEDIATE").unwrap();
    for id in 1..13 {
        client.call(id, "s__write", &json!({"text": id.to_string()}));
    }
    let listed = client.ask("tools/list", &json!({}));
    assert!(listed.get("result").is_some(), "{listed}");
    let read = client.ask("tools/call", &json!({"name": "s__read", "arguments": {"text": "r"}}));
    assert!(read.get("result").is_some(), "{read}");
    assert_eq!(client.not_asked_for(), 0, "those that wait are still waiting");
    state.execute_batch("ROLLBACK").unwrap();
    for id in 1..13 {
        // It may have waited longer than the store is waited for.
        let answer = client.answer(id);
        assert!(["approval-expired", "store-unavailable"].contains(&refusal(&answer)), "{answer}");
    }
}

fn with_meta(client: &mut Client, id: u32, meta: &Value) -> Value {
    let params = json!({"name": "s__write", "arguments": {"text": "a"}, "_meta": meta});
    client.request(id, "tools/call", &params);
    client.answer(id)
}

/// Tracers name each request anew.
#[test]
fn what_names_just_one_request_is_shown_and_does_not_bind() {
    let bench = Bench::new(&plan(&[ONE_OTHER], &["[approval]", "keep_s = 600"]));
    let desk = Desk::with(&bench, &["bob"]);
    let (mut client, _running) = client(&bench, "c");
    let traced = |id: &str| json!({"traceparent": id, "claudecode/toolUseId": id});
    let question = left_open(&with_meta(&mut client, 1, &traced("00-first")));
    let shown = bench.tagout(&["approve", "show", &question]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("00-first"), "{shown}");
    desk.says("bob", &question, Answer::Allow, Scope::Once);
    assert!(made(&with_meta(&mut client, 3, &traced("00-second"))));
    assert!(bench.saw("s").iter().any(|frame| frame.contains("00-second")), "sent as it came");
}

#[test]
fn a_call_of_the_command_line_goes_on_with_the_conversation_that_it_names() {
    let bench = Bench::new(&plan(&[ONE_OTHER], &["[approval]", "keep_s = 600"]));
    let desk = Desk::with(&bench, &["bob"]);
    let call = |more: &[&str]| {
        let args = [&["tools", "call", "s__write", "text=a"], more].concat();
        let ran = bench.tagout(&args);
        (ran.status.code(), String::from_utf8_lossy(&ran.stdout).into_owned())
    };
    let (code, said) = call(&["--conversation", "night"]);
    assert!(code == Some(4) && said.contains("is still open"), "{said}");
    desk.says("bob", &desk.question(), Answer::Allow, Scope::Once);
    let (code, said) = call(&[]);
    assert!(code == Some(4) && said.contains("--conversation NAME"), "{said}");
    let (code, said) = call(&["--conversation", "night"]);
    assert_eq!(code, Some(0), "{said}");
}

/// Nobody's no is overtaken by a yes in the client.
#[test]
fn a_no_stands_against_the_clients_own_yes() {
    let bench = Bench::new(&plan(&[], &["[approval]", "keep_s = 600"]));
    let desk = Desk::with(&bench, &["bob"]);
    let (mut client, _running) = client(&bench, "c");
    client.call(7, "s__write", &json!({"text": "a"}));
    let question = desk.question();
    desk.says("bob", &question, Answer::Deny, Scope::Once);
    let yes = json!({"action": "accept", "content": {"decision": "approve"}});
    for id in 1..4 {
        client.send(&json!({"jsonrpc": "2.0", "id": id, "result": yes}));
    }
    assert_eq!(refusal(&client.answer(7)), "approval-denied");
    assert_eq!(calls(&bench), 0);
}
