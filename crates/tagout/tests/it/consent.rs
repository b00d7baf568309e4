//! Nothing of somebody's goes to a server before they have agreed to that.
use std::fs;

use serde_json::{Value, json};

use crate::place::{Place, each, one, tool};

/// A server whose tool only reads, reviewed, to which nobody has agreed to send anything.
fn reviewed() -> Place {
    let place = Place::new();
    place.scripted(
        "s",
        json!({"tools": [tool("read_it")], "calls": {"read_it": [[{"text": "done"}]]}}),
    );
    place.pin(&["s"]);
    place.done(&["consent", "revoke", "s"]);
    place
}

fn call(place: &Place) -> (i32, Value) {
    let ran = place.run(&["--json", "tools", "call", "s__read_it", "{}"]);
    (ran.code, one(ran.stdout.lines().last().unwrap_or("null")))
}

fn events(place: &Place) -> Vec<String> {
    let records = each(&place.done(&["--json", "audit", "tail", "-n", "1000"]));
    let events = records.iter().filter_map(|record| record["event"]["event"].as_str());
    events.filter(|event| event.starts_with("consent-")).map(ToOwned::to_owned).collect()
}

#[test]
fn who_reviews_a_server_agrees_and_may_take_that_back() {
    let place = Place::new();
    place.scripted(
        "s",
        json!({"tools": [tool("read_it")], "calls": {"read_it": [[{"text": "done"}]]}}),
    );
    place.done(&["pin"]);
    assert_eq!(each(&place.done(&["--json", "consent", "ls"])), Vec::<Value>::new());
    let said = place.done(&["pin", "--accept", "s"]);
    assert!(said.contains("what you send may go to s from now on"), "{said}");
    let listed = each(&place.done(&["--json", "consent", "ls"]));
    assert_eq!(listed.len(), 1);
    let expected = json!(["server", "s", "pin", true]);
    let got = ["kind", "recipient", "channel", "holds"].map(|key| listed[0][key].clone());
    assert_eq!(json!(got), expected);
    assert_eq!(call(&place).0, 0);
    place.done(&["consent", "revoke", "s"]);
    assert_eq!(place.run(&["consent", "revoke", "s"]).code, 2);
    assert_eq!(events(&place), ["consent-given", "consent-revoked"]);
    place.done(&["audit", "verify"]);
}

#[test]
fn what_policy_allows_is_asked_all_the_same() {
    let place = reviewed();
    let (code, answer) = call(&place);
    assert_eq!(code, 4, "{answer}");
    assert_eq!(place.calls("s", "read_it"), 0);
    assert!(answer.to_string().contains("tagout:consent"), "{answer}");
    place.done(&["consent", "give", "s"]);
    assert_eq!(call(&place).0, 0);
    assert_eq!(place.calls("s", "read_it"), 1);
}

#[test]
fn another_program_of_the_same_name_is_asked_about_again() {
    let place = reviewed();
    place.done(&["consent", "give", "s"]);
    // Not pinned any more, so that nothing else stops it.
    fs::remove_file(place.lockfile()).unwrap();
    let rule = "@id(\"all\")\npermit(principal, action, resource);\n";
    place.write(&place.path("config/tagout/policies/all.cedar"), rule);
    let text = String::from_utf8(fs::read(place.config_file()).unwrap()).unwrap();
    place.configure(&format!("profile = \"none\"\n{text}"));
    assert_eq!(call(&place).0, 0);
    let line = text.lines().find(|line| line.starts_with("command")).unwrap();
    let other = line.replace(']', ", \"--other\"]");
    place.configure(&format!("profile = \"none\"\n{}", text.replace(line, &other)));
    assert_eq!(call(&place).0, 4);
    assert_eq!(each(&place.done(&["--json", "consent", "ls"]))[0]["holds"], false);
    place.done(&["consent", "give", "s"]);
    assert_eq!(call(&place).0, 0);
}

#[test]
fn the_operator_may_agree_for_everybody() {
    let place = reviewed();
    let text = String::from_utf8(fs::read(place.config_file()).unwrap()).unwrap();
    place.configure(&format!("{text}\n[consent]\nagreed = [\"s\"]\n"));
    assert_eq!(call(&place).0, 0);
    let said = place.done(&["consent", "ls"]);
    assert!(said.contains("everybody, to server s"), "{said}");
    place.configure(&format!("{text}\n[consent]\nagreed = [\"t\"]\n"));
    let ran = place.run(&["check"]);
    assert!(ran.code == 2 && ran.stderr.contains("there is no server \"t\""), "{ran:?}");
}

#[test]
fn built_in_servers_need_none() {
    let place = Place::new();
    place.done(&["tools", "call", "grid__predict_outage_risk", "equipment_id=A7"]);
    place.configure("[server.grid]\nbuiltin = \"grid\"\n");
    let ran = place.run(&["consent", "give", "grid"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("[consent-needless]"), "{ran:?}");
    assert!(place.run(&["consent", "give", "nope"]).stderr.contains("[server-unknown]"));
}

#[test]
fn consent_is_of_one_user_and_one_recipient() {
    let place = reviewed();
    place.done(&["consent", "give", "s", "--for", "ann"]);
    place.done(&["consent", "give", "openai:s", "--model"]);
    assert_eq!(call(&place).0, 4);
    let listed = each(&place.done(&["--json", "consent", "ls"]));
    let whose: Vec<_> = listed.iter().map(|one| (&one["authenticated_by"], &one["kind"])).collect();
    let expected = [(json!("api-key"), json!("server")), (json!("os-user"), json!("model"))];
    assert_eq!(whose, expected.each_ref().map(|(a, b)| (a, b)));
    assert_eq!(place.run(&["consent", "revoke", "s"]).code, 2);
    place.done(&["consent", "revoke", "s", "--for", "ann"]);
    place.done(&["consent", "revoke", "openai:s", "--model"]);
}
