//! `tagout tools`.
use insta::assert_snapshot;
use serde_json::json;

use crate::{
    place::{Place, each, one, tool},
    redacted,
};

fn echoing() -> Place {
    let place = Place::new();
    place.configure("[server.grid]\nbuiltin = \"grid\"\n");
    let mut reader = tool("read_it");
    reader["title"] = "Read \u{1b}[31mit\u{202e}".into();
    place.scripted(
        "s",
        json!({"tools": [reader, tool("write_it")], "calls": {
            "read_it": [["echo"]],
        }}),
    );
    place.pin(&["s"]);
    place
}

#[test]
fn what_there_is() {
    let place = echoing();
    let listed = place.done(&["tools", "ls"]);
    assert_snapshot!("tools_ls", redacted::text(&place, &listed));
    assert!(!listed.contains(['\u{1b}', '\u{202e}']), "{listed:?}");
    let listed = each(&place.done(&["--json", "tools", "ls"]));
    let mut write = listed.into_iter().find(|tool| tool["tool"] == "write_it").unwrap();
    write["digest"].take();
    assert_snapshot!("tools_ls_json", serde_json::to_string_pretty(&write).unwrap());
}

#[test]
fn one_of_them() {
    let place = echoing();
    let shown = place.done(&["tools", "inspect", "s__read_it"]);
    assert_snapshot!("tools_inspect", redacted::text(&place, &shown));
    let shown = one(&place.done(&["--json", "tools", "inspect", "s__read_it"]));
    assert_eq!(shown["rule"], "read-freely");
    assert_eq!(shown["definition"]["name"], "read_it");
}

#[test]
fn calls_say_what_came_and_under_which_number() {
    let place = echoing();
    let said = place.done(&["tools", "call", "s__read_it", "text=yes", "n=1.50"]);
    assert_snapshot!("tools_call", redacted::text(&place, &said));
    let outcome = one(&place.done(&["--json", "tools", "call", "s__read_it", "text=yes"]));
    assert_snapshot!("tools_call_json", redacted::shown(&outcome));
    let number = outcome["decision"]["record"].as_u64().unwrap();
    assert_eq!(place.record(number)["begin"]["subject"], "s__read_it");
}

#[test]
fn arguments_are_json_where_they_can_be_and_text_otherwise() {
    let place = echoing();
    let sent = |arguments: &[&str]| {
        let args = [&["--json", "tools", "call", "s__read_it"], arguments].concat();
        let outcome = one(&place.done(&args));
        one(outcome["content"][0]["text"].as_str().unwrap())
    };
    assert_eq!(sent(&[]), json!({}));
    assert_eq!(sent(&["text=plain words"]), json!({"text": "plain words"}));
    assert_eq!(sent(&["text=\"5\"", "n=5"]), json!({"text": "5", "n": 5}));
    assert_eq!(sent(&["text=a=b"]), json!({"text": "a=b"}));
    assert_eq!(sent(&["text="]), json!({"text": ""}));
    assert_eq!(sent(&[" {\"text\": \"x\"}"]), json!({"text": "x"}));
}

#[test]
fn calls_go_through_the_same_gate() {
    let place = echoing();
    let code = |arguments: &[&str]| {
        let args = [&["--json", "tools", "call"], arguments].concat();
        let ran = place.run(&args);
        (ran.code, one(&ran.stdout)["code"].as_str().unwrap_or_default().to_owned())
    };
    let refused = |code: &str| (3, code.to_owned());
    assert_eq!(code(&["s__read_it", "more=1"]), refused("arguments-invalid"));
    assert_eq!(code(&["s__read_it", "n=\"x\""]), refused("arguments-invalid"));
    assert_eq!(code(&["s__read_it", "text=a\u{202e}b"]), refused("argument-hidden-character"));
    assert_eq!(code(&["s__read_it", "text=a\u{1b}[31mb"]), refused("argument-hidden-character"));
    assert_eq!(code(&["read_it"]), refused("subject-unknown"));
    assert_eq!(code(&["grid__read_it"]), refused("subject-unknown"));
    assert_eq!(place.calls("s", "read_it"), 0);
}
