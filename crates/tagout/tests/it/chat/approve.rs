//! Calls that wait for the person at the terminal.
use insta::assert_snapshot;
use serde_json::{Value, json};

use super::talk::{Talk, model, place};
use crate::{
    chat::talk::Chair,
    place::{Place, each, tool},
};

const HELLO: &str = "s__write_it";

/// A model that writes `text` and says what came of it.
fn writes(times: usize) -> Value {
    let call = json!(["I write it.", [HELLO, {"text": "hello"}]]);
    let turns = (0..times).flat_map(|_| [call.clone(), json!("That is **all**.")]);
    turns.collect()
}

fn here() -> Place {
    place("", json!({}))
}

/// What went back to the model for its last call.
fn told(place: &Place) -> String {
    place.done(&["--json", "sessions", "show", "last"])
}

#[test]
fn the_code_approves_a_call_once() {
    let place = here();
    let name = model(&place, &writes(2));
    let mut talk = Chair::new(&place, &["chat", "--model", &name]).columns(120).talk();
    talk.says("write hello");
    let (card, code) = talk.card();
    assert!(card.contains("\"text\": \"hello\""), "{card}");
    assert!(card.contains("words      \"write hello\""), "{card}");
    talk.says(&code);
    talk.sees("approved by a person");
    talk.sees("That is all.");
    talk.prompted();
    assert_eq!(place.calls("s", "write_it"), 1);
    // Once: the same again is asked again, under another code.
    talk.says("again");
    let (_, another) = talk.card();
    assert_ne!(code, another);
    talk.says(&code);
    talk.sees("refused");
    talk.prompted();
    talk.leaves();
    assert_eq!(place.calls("s", "write_it"), 1);
    assert_snapshot!("approved_once", talk.redacted(&place));
}

#[test]
fn for_the_conversation_means_just_these_arguments() {
    let place = here();
    let call = |text: &str| json!(["", [HELLO, {"text": text}]]);
    let turns = json!([call("one"), call("one"), call("two"), "Done."]);
    let mut talk = Talk::with(&place, &turns);
    talk.says("write one");
    let (_, code) = talk.card();
    talk.says(&format!("{code} conversation"));
    // The second is not asked; the third has other arguments.
    let (card, _) = talk.card();
    assert!(card.contains("\"two\""), "{card}");
    talk.says("no");
    talk.sees("Done.");
    talk.prompted();
    talk.leaves();
    assert_eq!(place.calls("s", "write_it"), 2);
}

/// A tool that only reads, of which a rule wants every call approved.
fn asks_before_reading() -> Place {
    let place = here();
    place.write(
        &place.path("config/tagout/policies/ask.cedar"),
        r#"@id("ask-me") @reason("every reading is looked at")
           forbid (principal, action in Action::"call-tool", resource)
           unless { context.approved };"#,
    );
    place
}

#[test]
fn always_is_offered_for_what_only_reads_and_holds_in_other_sessions() {
    let place = asks_before_reading();
    let turns = json!([["", ["s__read_it", {"text": "load"}]], "Read."]);
    let mut talk = Talk::with(&place, &turns);
    talk.says("read");
    let (card, code) = talk.card();
    assert!(card.contains(&format!("{code} always")), "{card}");
    talk.says(&format!("{code} always"));
    talk.sees("Read.");
    talk.prompted();
    talk.leaves();
    let mut talk = Talk::with(&place, &turns);
    let shown = talk.answer_to("read again");
    assert!(!shown.contains("waits for your approval"), "{shown}");
    assert!(shown.contains("Read."), "{shown}");
    talk.leaves();
    assert_eq!(place.calls("s", "read_it"), 2);
}

#[test]
fn always_is_not_offered_for_what_writes() {
    let place = here();
    let mut talk = Talk::with(&place, &writes(1));
    talk.says("write hello");
    let (card, code) = talk.card();
    assert!(!card.contains("always"), "{card}");
    talk.says(&format!("{code} always"));
    talk.sees("refused");
    talk.prompted();
    talk.leaves();
    assert_eq!(place.calls("s", "write_it"), 0);
}

#[test]
fn anything_else_denies_and_a_sentence_reaches_the_model() {
    let place = here();
    for (typed, told_on) in [("n", false), ("", false), ("use the other region", true)] {
        let mut talk = Talk::with(&place, &writes(1));
        talk.says("write hello");
        talk.card();
        talk.says(typed);
        talk.sees("approval-denied");
        talk.prompted();
        talk.leaves();
        assert_eq!(place.calls("s", "write_it"), 0, "{typed}");
        let told = told(&place);
        assert_eq!(told.contains("use the other region"), told_on, "{typed}: {told}");
    }
}

#[test]
fn what_was_typed_before_the_card_stood_there_is_no_answer() {
    let place = place(
        "",
        json!({"tools": [tool("read_slow")], "calls": {"read_slow": [[{"wait_ms": 400}, {"text": "x"}]]}}),
    );
    let turns = json!([["", ["s__read_slow"], [HELLO, {"text": "hello"}]], "Done."]);
    let mut talk = Talk::with(&place, &turns);
    talk.says("read, then write");
    talk.sees("s__read_slow");
    talk.says("y").says("yes").says("aaaa");
    let (_, code) = talk.card();
    talk.says(&code);
    talk.sees("approved by a person");
    talk.prompted();
    talk.leaves();
    assert_eq!(place.calls("s", "write_it"), 1);
}

#[test]
fn a_card_is_shown_whole_at_any_width() {
    let place = here();
    let long = format!("{}end of it", "all of this counts ".repeat(60));
    let turns = json!([["", [HELLO, {"text": long}]], "Done."]);
    for columns in [20, 60, 200] {
        let name = model(&place, &turns);
        let mut talk = Chair::new(&place, &["chat", "--model", &name]).columns(columns).talk();
        talk.says("go");
        let (card, code) = talk.card();
        let joined: String = card
            .lines()
            .map(|line| line.trim_start_matches("│ ").trim_start_matches("┊ "))
            .collect();
        let squeezed = |text: &str| text.split_whitespace().collect::<String>();
        assert!(squeezed(&joined).contains(&squeezed(&long)), "{columns}: {card}");
        talk.says(&code);
        talk.sees("Done.");
        talk.prompted();
        talk.leaves();
    }
}

#[test]
fn every_answer_is_on_record() {
    let place = here();
    let mut talk = Talk::with(&place, &writes(1));
    talk.says("write hello");
    let (_, code) = talk.card();
    talk.says(&code);
    talk.sees("That is all.");
    talk.prompted();
    talk.leaves();
    let records = each(&place.done(&["--json", "audit", "tail", "-n", "100"]));
    let call = records.iter().find(|record| record["begin"]["subject"] == HELLO).unwrap();
    assert_eq!(call["decision"]["approval"]["how"], "elicitation", "{call}");
    assert_eq!(call["decision"]["approval"]["decision"], "allow", "{call}");
    place.done(&["audit", "verify"]);
}
