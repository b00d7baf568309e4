//! What servers ask of the person, and what they say meanwhile.
use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{
    stand_in::{Manner, provider},
    talk::{Chair, Talk, file, place},
};
use crate::place::{Place, tool};

fn ask(id: &str, method: &str, params: Value) -> Value {
    json!([[{"ask": {"id": id, "method": method, "params": params}}, "answer"]])
}

/// A server whose tools ask.
fn asking(config: &str) -> Place {
    let properties = json!({
        "zone": {"type": "string", "title": "Zone", "minLength": 2},
        "megawatts": {"type": "integer", "minimum": 1, "maximum": 9},
        "urgent": {"type": "boolean"},
    });
    let form = json!({"type": "object", "required": ["zone"], "properties": properties});
    let notify =
        |method: &str, params: Value| json!({"notify": {"method": method, "params": params}});
    place(
        config,
        json!({
            "capabilities": {"tools": {}, "logging": {}},
            "tools": [tool("read_form"), tool("read_visit"), tool("read_sample"), tool("read_log")],
            "calls": {
                "read_form": ask("a", "elicitation/create", json!({
                    "message": "Which zone?\u{1b}[2J", "requestedSchema": form})),
                "read_visit": ask("b", "elicitation/create", json!({"mode": "url", "elicitationId": "1",
                    "message": "Sign in", "url": "https://pay.example/in?a=1"})),
                "read_sample": ask("c", "sampling/createMessage", json!({"maxTokens": 500,
                    "systemPrompt": "Be brief.", "messages":
                    [{"role": "user", "content": {"type": "text", "text": "What is\u{1b}]52;c;aGk=\u{7} it?"}}]})),
                "read_log": [[
                    notify("notifications/message", json!({"level": "warning", "logger": "desk", "data": "it hums\u{1b}[31m"})),
                    {"wait_ms": 50}, {"text": "logged"}]],
            },
        }),
    )
}

fn calls(tool: &str) -> Value {
    json!([["", [format!("s__{tool}")]], "Done."])
}

/// What the server was answered.
fn answered(place: &Place) -> String {
    file(&place.path("s.seen"))
}

#[test]
fn a_form_is_put_field_by_field() {
    let place = asking("");
    let mut talk = Talk::with(&place, &calls("read_form"));
    talk.says("go");
    talk.sees("Which zone?");
    talk.sees("zone: ");
    talk.says("x");
    talk.sees("zone: ");
    talk.says("north");
    talk.sees("megawatts: ");
    talk.says("12");
    talk.sees("megawatts: ");
    talk.says("7");
    talk.sees("urgent: ");
    talk.says("");
    talk.sees("Send it? [y/N] ");
    talk.says("y");
    talk.sees("Done.");
    talk.prompted();
    talk.leaves();
    let answered = answered(&place);
    assert!(answered.contains(r#""content":{"zone":"north","megawatts":7}"#), "{answered}");
    assert_snapshot!("form", talk.redacted(&place).split_once("> go").unwrap().1);
}

#[test]
fn a_form_is_refused_or_put_away() {
    for (typed, action) in [("/decline", "decline"), ("/cancel", "cancel")] {
        let place = asking("");
        let mut talk = Talk::with(&place, &calls("read_form"));
        talk.says("go");
        talk.sees("zone: ");
        talk.says(typed);
        talk.sees("Done.");
        talk.prompted();
        talk.leaves();
        let answered = answered(&place);
        assert!(answered.contains(&format!(r#""action":"{action}""#)), "{answered}");
    }
}

#[test]
fn a_url_is_shown_whole_and_nothing_opens_it() {
    let place = asking("");
    let mut talk = Talk::with(&place, &calls("read_visit"));
    talk.says("go");
    let card = talk.sees("Do you go there? [y/N] ");
    assert!(card.contains("host  pay.example") || card.contains("host   pay.example"), "{card}");
    assert!(card.contains("https://pay.example/in?a=1"), "{card}");
    talk.says("y");
    talk.sees("Done.");
    talk.prompted();
    talk.leaves();
    assert!(answered(&place).contains(r#""action":"accept""#));
    assert_snapshot!("visit", talk.redacted(&place).split_once("> go").unwrap().1);
}

#[test]
fn a_server_gets_a_models_answer_only_if_the_person_says_so_twice() {
    // It asks the model of the conversation, unless the person names another.
    for (typed, then, goes) in
        [("no", None, false), ("y", Some("y"), true), ("y", Some("n"), false)]
    {
        let place = asking(&provider(Manner::Calls("s__read_sample")));
        let mut talk = Chair::new(&place, &["chat", "--model", "slow:m"]).talk();
        talk.says("go");
        // By the policy, and then for the model.
        let (_, code) = talk.card();
        talk.says(&code);
        let card = talk.sees("Let it ask? ");
        assert!(card.contains("Be brief.") && card.contains("What is<U+001B>]52"), "{card}");
        talk.says(typed);
        if let Some(then) = then {
            let shown = talk.sees("Does the server get that? [y/N] ");
            assert!(shown.contains("A hum."), "{shown}");
            talk.says(then);
        }
        talk.prompted();
        talk.leaves();
        assert_eq!(answered(&place).contains("A hum."), goes, "{typed} {then:?}");
    }
}

#[test]
fn another_model_may_answer_a_server() {
    let place = asking(&provider(Manner::Calls("s__read_sample")));
    let other = "slow:other";
    let mut talk = Chair::new(&place, &["chat", "--model", "slow:m"]).talk();
    talk.says("go");
    let (_, code) = talk.card();
    talk.says(&code);
    talk.sees("Let it ask? ");
    talk.says("no:such");
    talk.sees("[model-unknown]");
    talk.sees("how many tokens: ");
    talk.says(other);
    talk.sees("would answer, not");
    talk.sees("how many tokens: ");
    talk.says("50");
    let shown = talk.sees("Does the server get that? [y/N] ");
    assert!(shown.contains("A hum."), "{shown}");
    talk.says("y");
    talk.sees("✓");
    talk.prompted();
    talk.leaves();
    let answered = answered(&place);
    assert!(answered.contains("A hum.") && answered.contains(other), "{answered}");
    assert_snapshot!("sample", talk.redacted(&place).split_once("> go").unwrap().1);
}

#[test]
fn what_servers_log_is_shown_and_drives_nothing() {
    let place = asking("");
    let mut talk = Talk::with(&place, &calls("read_log"));
    let shown = talk.answer_to("go");
    assert!(shown.contains("│ s (desk): warning: it hums"), "{shown}");
    talk.leaves();
    assert!(!String::from_utf8_lossy(&talk.pty.bytes()).contains("hums\u{1b}[31m"));
}

/// A tool that reports progress, of the call's own token.
#[test]
fn progress_is_a_bar() {
    let place = Place::new();
    place.configure("");
    // A scripted server does not know the token of a call; one of a few lines of shell does.
    let script = include_str!("progress.sh");
    let path = place.path("server.sh");
    place.write(&path, script);
    place.configure(&format!("[server.b]\ncommand = [\"/bin/sh\", {path:?}]\n"));
    place.pin(&["b"]);
    let mut talk = Talk::with(&place, &json!([["", ["b__read_long"]], "Done."]));
    talk.says("go");
    // Unless its review says that it only reads, it is asked about.
    let shown = talk.sees("████████");
    assert!(!shown.contains("waits for your approval"), "{shown}");
    talk.sees("Done.");
    talk.prompted();
    talk.leaves();
    // It leaves nothing behind.
    let screen = talk.screen();
    assert!(!screen.contains('█') && !screen.contains("step 3"), "{screen}");
}
