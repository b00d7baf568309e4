//! Terminals of any kind and size.
use insta::assert_snapshot;
use serde_json::{Value, json};

use super::talk::{Chair, Talk, model, place};
use crate::place::Place;

const RISK: &str = "What is the outage risk of transformer A7 at 38 C?";

fn marked() -> Value {
    let text = "# Load\n\nIt is **seven** megawatts, and *rising*:\n\n1. north\n2. south\n\n\
                | zone | MW |\n|---|---|\n| north | 7 |\n\n```\nlet x = 1;\n```\n";
    json!([[text, ["s__read_it", {"text": "load"}]], "Done, by `read_it`."])
}

#[test]
fn a_streamed_answer_as_a_terminal_shows_it() {
    let place = place("", json!({}));
    let mut talk = Talk::with(&place, &marked());
    talk.answer_to("how much is it?");
    talk.leaves();
    assert_snapshot!("streamed", talk.redacted(&place));
}

#[test]
fn rules_answer_in_words_that_are_not_torn() {
    let place = Place::new();
    let mut talk = Chair::new(&place, &["chat"]).columns(60).talk();
    let shown = talk.answer_to(RISK);
    assert!(shown.contains("Outage risk score"), "{shown}");
    talk.leaves();
    let screen = talk.screen();
    assert!(screen.lines().all(|line| line.chars().count() < 60), "{screen}");
}

#[test]
fn a_terminal_without_colours_or_without_anything() {
    let place = place("", json!({}));
    let name = model(&place, &marked());
    let chair = || Chair::new(&place, &["chat", "--model", &name]);
    let mut talk = chair().env("NO_COLOR", "1").talk();
    talk.answer_to("how much?");
    talk.leaves();
    let bytes = String::from_utf8_lossy(&talk.pty.bytes()).into_owned();
    for colour in
        ["\u{1b}[31m", "\u{1b}[32m", "\u{1b}[33m", "\u{1b}[36m", "\u{1b}[1;32m", "\u{1b}[38"]
    {
        assert!(!bytes.contains(colour), "{colour:?} in {bytes:?}");
    }
    let mut talk = chair().env("TERM", "dumb").sit();
    talk.sees("> ");
    talk.says("how much?");
    talk.sees("Done, by `read_it`.");
    talk.keys("\x04");
    assert_eq!(talk.ended().code(), Some(0));
    assert!(!talk.pty.bytes().contains(&0x1b), "{}", talk.screen());
}

#[test]
fn twenty_columns_are_enough() {
    let place = place("", json!({}));
    let name = model(&place, &json!([["", ["s__write_it", {"text": "hello"}]], "Done."]));
    let mut talk = Chair::new(&place, &["chat", "--model", &name]).columns(20).talk();
    talk.says("write");
    let (_, code) = talk.card();
    let shown = talk.answer_to(&code);
    assert!(shown.contains("Done."), "{shown}");
    talk.answer_to("/help");
    talk.answer_to("/tools");
    talk.leaves();
    assert_eq!(place.calls("s", "write_it"), 1);
}

#[test]
fn another_size_is_met() {
    let place = place("", json!({}));
    let words = "word ".repeat(60);
    let mut talk = Talk::with(&place, &json!([words, words]));
    let wide = talk.answer_to("one");
    talk.pty.resize(40, 20).unwrap();
    let narrow = talk.answer_to("two");
    let longest = |text: &str| {
        text.lines().filter(|line| line.starts_with("word")).map(str::len).max().unwrap_or(0)
    };
    assert!(longest(&wide) > 80, "{wide}");
    assert!(longest(&narrow) < 40, "{narrow}");
    talk.leaves();
}

#[test]
fn lines_go_on_behind_a_backslash() {
    let place = place("", json!({}));
    let mut talk = Talk::with(&place, &json!(["Both."]));
    talk.says("first\\");
    talk.says("second");
    let shown = talk.prompted();
    assert!(shown.contains("Both."), "{shown}");
    talk.leaves();
    let said = place.done(&["--json", "sessions", "show", "last"]);
    assert!(said.contains(r"first\nsecond"), "{said}");
}
