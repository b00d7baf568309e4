//! Sessions in the chat: gone on with, cleared, given out.
use insta::assert_snapshot;
use serde_json::{Value, json};

use super::talk::{Chair, Talk, file, model, place};
use crate::place::{Place, each, one};

fn ids(place: &Place) -> Vec<String> {
    let listed = each(&place.done(&["--json", "sessions", "ls"]));
    let id = |one: &Value| one["id"].as_str().unwrap().to_owned();
    listed.iter().map(id).collect()
}

/// Some of its first digits.
fn short(id: &str, digits: usize) -> &str {
    id.get(..digits).unwrap()
}

/// A session in which something was said.
fn said(place: &Place, question: &str, answer: &str) {
    let mut talk = Talk::with(place, &json!([answer]));
    let shown = talk.answer_to(question);
    assert!(shown.contains(&answer.replace('*', "")), "{shown}");
    talk.leaves();
}

#[test]
fn continue_goes_on_and_shows_what_was_said_last() {
    let place = place("", json!({}));
    said(&place, "how much is it?", "It is **seven**.");
    let name = model(&place, &json!(["Still seven."]));
    let mut talk = Chair::new(&place, &["chat", "--continue", "--model", &name]).columns(60).talk();
    let shown = talk.answer_to("and now?");
    assert!(shown.contains("Still seven."), "{shown}");
    talk.leaves();
    let screen = talk.redacted(&place).replace(short(&ids(&place)[0], 8), "<id>");
    assert_snapshot!("continued", screen);
    assert_eq!(ids(&place).len(), 1);
    // The arrow key goes back to what was asked before.
    let name = model(&place, &json!(["Nothing."]));
    let mut talk = Chair::new(&place, &["chat", "--continue", "--model", &name]).talk();
    talk.keys("\x1b[A\x1b[A");
    talk.sees("how much is it?");
    talk.keys("\x03");
    talk.sees("Once more");
    // What is typed before the prompt stands there may be taken for nothing.
    talk.sees("> ");
    talk.leaves();
}

#[test]
fn resume_goes_on_with_the_one_that_is_named() {
    let place = place("", json!({}));
    said(&place, "first question", "First answer.");
    let first = ids(&place)[0].clone();
    said(&place, "second question", "Second answer.");
    let name = model(&place, &json!(["Third answer."]));
    let args = ["chat", "--resume", short(&first, 6), "--model", &name];
    let mut talk = Chair::new(&place, &args).sit();
    talk.sees("First answer.");
    talk.prompted();
    talk.leaves();
    // From inside.
    let mut talk = Talk::with(&place, &json!(["Third answer."]));
    let listed = talk.answer_to("/resume");
    assert!(listed.contains("first question") && listed.contains("second question"), "{listed}");
    let shown = talk.answer_to(&format!("/resume {}", short(&first, 6)));
    assert!(shown.contains("First answer."), "{shown}");
    let shown = talk.answer_to("go on");
    assert!(shown.contains("Third answer."), "{shown}");
    let shown = talk.answer_to("/resume ffffffff");
    assert!(shown.contains("session-unknown"), "{shown}");
    talk.leaves();
    let shown = place.done(&["sessions", "show", &first]);
    assert!(shown.contains("Third answer."), "{shown}");
}

#[test]
fn a_session_that_is_not_there_is_said_before_anything_starts() {
    let place = place("", json!({}));
    for args in [&["chat", "--resume", "ffffffff"][..], &["chat", "--continue"]] {
        let mut talk = Chair::new(&place, args).sit();
        assert_eq!(talk.ended().code(), Some(2));
        assert!(talk.screen().contains("[session-unknown]"), "{}", talk.screen());
        assert!(talk.screen().contains("help: see `tagout sessions ls`"), "{}", talk.screen());
    }
}

#[test]
fn clear_begins_a_new_one_and_quit_ends() {
    let place = place("", json!({}));
    let mut talk = Talk::with(&place, &json!(["First.", "Second."]));
    talk.answer_to("one");
    let shown = talk.answer_to("/clear");
    assert!(shown.contains("A new session."), "{shown}");
    let shown = talk.answer_to("/context");
    assert!(shown.contains("0 messages"), "{shown}");
    let shown = talk.answer_to("two");
    assert!(shown.contains("Second."), "{shown}");
    talk.says("/quit");
    assert_eq!(talk.ended().code(), Some(0));
    assert_eq!(ids(&place).len(), 2);
    assert!(talk.screen().contains("Go on with `tagout chat --resume"), "{}", talk.screen());
}

#[test]
fn export_writes_what_was_said() {
    let place = place("", json!({}));
    let mut talk = Talk::with(&place, &json!(["It is **seven**."]));
    let shown = talk.answer_to("/export early.md");
    assert!(shown.contains("chat-command"), "{shown}");
    talk.answer_to("how much?");
    let shown = talk.answer_to("/export out.md");
    assert!(shown.contains("written to out.md"), "{shown}");
    talk.answer_to("/export out.json");
    let shown = talk.answer_to("/export /nonexistent/out.md");
    assert!(shown.contains("[file-unusable]"), "{shown}");
    talk.leaves();
    let markdown = file(&place.path("out.md"));
    assert!(markdown.contains("how much?") && markdown.contains("seven"), "{markdown}");
    let json = one(&file(&place.path("out.json")));
    assert!(json.to_string().contains("how much?"), "{json}");
}

#[test]
fn what_is_not_to_be_kept_is_not() {
    let place = place("", json!({}));
    let name = model(&place, &json!(["Seven."]));
    let mut talk = Chair::new(&place, &["chat", "--no-keep", "--model", &name]).talk();
    talk.answer_to("how much?");
    talk.leaves();
    assert_eq!(ids(&place), Vec::<String>::new());
}
