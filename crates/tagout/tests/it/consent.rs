//! Nothing of somebody's goes to a server before they have agreed to that.
use std::fs;

use serde_json::{Value, json};

use crate::{
    chat::{
        stand_in::{Manner, Seen, watched},
        talk::{self, Chair, Talk},
    },
    place::{Place, each, one, tool},
};

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

/// Model `slow:m`, at an address that is this machine and does not say so.
fn elsewhere(manner: Manner) -> (Place, Seen) {
    let (config, seen) = watched(manner);
    let url = config.replace("127.0.0.1", "0.0.0.0");
    let config = url.replace("wire =", "allow_plain_http = true\nwire =");
    (talk::place(&config, json!({})), seen)
}

fn asked(seen: &Seen) -> usize {
    seen.lock().unwrap().len()
}

fn sits(place: &Place) -> Talk {
    place.done(&["consent", "give", "slow:m", "--model"]);
    Chair::new(place, &["chat", "--model", "slow:m"]).talk()
}

fn revoke(place: &Place) {
    place.done(&["consent", "revoke", "slow:m", "--model"]);
}

#[test]
fn who_takes_it_back_is_asked_anew_at_the_next_question() {
    let (place, seen) = elsewhere(Manner::Answers);
    let mut talk = sits(&place);
    talk.answer_to("hello");
    assert_eq!(asked(&seen), 1);
    revoke(&place);
    talk.says("hello again").sees("Agree? Type `yes` to go ahead:");
    let shown = talk.answer_to("y");
    assert!(shown.contains("[consent-model]"), "{shown}");
    talk.says("once more").sees("Agree? Type `yes` to go ahead:");
    let shown = talk.keys("\x03").prompted();
    assert!(shown.contains("[consent-model]"), "{shown}");
    assert_eq!(asked(&seen), 1, "nothing was sent");
    talk.says("so be it").sees("Agree? Type `yes` to go ahead:");
    talk.answer_to("yes");
    assert_eq!(asked(&seen), 2);
    talk.answer_to("and now?");
    assert_eq!(asked(&seen), 3, "it is asked once");
    talk.leaves();
    let events = events(&place);
    assert!(events.ends_with(&["consent-revoked".into(), "consent-given".into()]), "{events:?}");
}

#[test]
fn what_is_taken_back_in_the_middle_of_a_question_holds_at_once() {
    let (place, seen) = elsewhere(Manner::Calls("s__write_it"));
    let mut talk = sits(&place);
    talk.says("write it");
    let (_, code) = talk.card();
    revoke(&place);
    let shown = talk.answer_to(&code);
    assert!(shown.contains("[consent-model]"), "{shown}");
    assert_eq!((place.calls("s", "write_it"), asked(&seen)), (1, 1), "its result went nowhere");
    talk.leaves();
}

#[test]
fn who_changes_to_a_model_elsewhere_is_asked_without_another_gateway() {
    let (place, seen) = elsewhere(Manner::Answers);
    let mut talk = Chair::new(&place, &["chat"]).talk();
    talk.says("/model slow:m").sees("Agree? Type `yes` to go ahead:");
    let shown = talk.answer_to("no");
    assert!(shown.contains("[consent-model]"), "{shown}");
    let shown = talk.answer_to("/model");
    assert!(shown.contains("offline:planner"), "{shown}");
    talk.says("/model slow:m").sees("Agree? Type `yes` to go ahead:");
    let shown = talk.answer_to("yes");
    assert!(shown.contains("slow:m answers from now on"), "{shown}");
    talk.answer_to("hello");
    assert_eq!(asked(&seen), 1);
    talk.leaves();
    place.done(&["audit", "verify"]);
}
