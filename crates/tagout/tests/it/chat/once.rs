//! One question, for people and for programs; and nobody there to be asked.
use std::io::Write as _;

use serde_json::{Value, json};
use tagout_testkit::Pty;

use super::{
    stand_in::{Manner, provider},
    talk::{model, place},
};
use crate::{
    place::{LIMIT, Place, Ran, each, one, reading},
    terminal::seat,
};

const WRITES: &str = "s__write_it";

fn asks(place: &Place, turns: &Value, args: &[&str]) -> Ran {
    let name = model(place, turns);
    place.run(&[args, &["--model", &name]].concat())
}

#[test]
fn a_question_behind_p_is_answered_as_by_ask() {
    let place = place("", json!({}));
    let turns = json!([["I look.", ["s__read_it", {"text": "load"}]], "It is **7 MW**."]);
    let by_ask = asks(&place, &turns, &["ask", "how much?"]);
    let by_chat = asks(&place, &turns, &["chat", "-p", "how much?"]);
    assert_eq!((by_ask.code, by_chat.code), (0, 0), "{by_ask:?} {by_chat:?}");
    for ran in [&by_ask, &by_chat] {
        assert!(ran.stdout.contains("Call       s__read_it"), "{ran:?}");
        assert!(ran.stdout.contains("It is **7 MW**."), "{ran:?}");
        assert!(!ran.stdout.contains('\u{1b}'), "{ran:?}");
    }
}

#[test]
fn a_question_on_standard_input() {
    let place = place("", json!({}));
    let name = model(&place, &json!(["Seven."]));
    let args = ["chat", "-p", "--model", &name];
    let mut command = place.command(&args);
    command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"how much?\nin the north\n").unwrap();
    let stdout = reading(child.stdout.take().unwrap());
    assert!(crate::place::ended(&mut child).unwrap().success());
    assert!(stdout.join().unwrap().contains("Seven."));
    let shown = place.done(&["--json", "sessions", "show", "last"]);
    assert!(shown.contains(r"how much?\nin the north"), "{shown}");
    // None at all.
    let ran = place.run(&args);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("[question-missing]"), "{ran:?}");
}

#[test]
fn programs_get_one_object_or_one_for_each_event() {
    let place = place("", json!({}));
    let turns = json!([["I look.", ["s__read_it"]], "Seven."]);
    for args in [&["--json", "ask", "q"][..], &["ask", "q", "--output", "json"]] {
        let ran = asks(&place, &turns, args);
        let answer = one(&ran.stdout);
        assert_eq!(answer["answer"]["text"], "Seven.");
        assert_eq!(answer["answer"]["calls"][0]["tool"], "s__read_it");
    }
    let ran = asks(&place, &turns, &["chat", "-p", "q", "--output", "stream-json"]);
    let events = each(&ran.stdout);
    let names: Vec<_> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    for name in ["asked", "turned", "proposed", "decided", "finished", "answered"] {
        assert!(names.contains(&name), "{names:?}");
    }
    assert_eq!(names.first(), Some(&"asked"));
    assert_eq!(names.last(), Some(&"answered"));
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
}

#[test]
fn without_a_terminal_nobody_is_asked_and_the_answer_is_no() {
    let place = place("", json!({}));
    let turns = json!([["", [WRITES, {"text": "x"}]], "It may not."]);
    for output in ["text", "json", "stream-json"] {
        let ran = asks(&place, &turns, &["ask", "write", "--output", output]);
        assert_eq!(ran.code, 4, "{ran:?}");
        assert!(ran.stdout.contains("approval-unavailable"), "{ran:?}");
        assert!(!ran.stdout.contains("waits for your approval"), "{ran:?}");
    }
    assert_eq!(place.calls("s", "write_it"), 0);
    let ran = place.run(&["chat"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("[chat-no-terminal]"), "{ran:?}");
}

#[test]
fn the_exit_code_says_how_it_went() {
    let place = place("", json!({}));
    let read = json!([["", ["s__read_it"]], "Read."]);
    assert_eq!(asks(&place, &read, &["ask", "q"]).code, 0);
    // The model has no more to say than was written for it.
    assert_eq!(asks(&place, &json!([]), &["ask", "q"]).code, 1);
    assert_eq!(asks(&place, &read, &["ask", "q", "--resume", "ffffffff"]).code, 2);
    assert_eq!(asks(&place, &read, &["ask", "q", "--tool", "not a tool"]).code, 2);
    let ran = asks(&place, &read, &["ask", "q", "--tool", "grid__*"]);
    assert!(ran.stdout.contains("Read."), "{ran:?}");
    assert_eq!(place.calls("s", "read_it"), 1);
    place.configure("[host]\ninstructions = \"file:///nonexistent/instructions.md\"\n");
    let ran = place.run(&["ask", "q"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("[instructions-missing]"), "{ran:?}");
}

#[test]
fn ask_goes_on_with_a_session() {
    let place = place("", json!({}));
    assert_eq!(asks(&place, &json!(["First."]), &["ask", "one"]).code, 0);
    let ran = asks(&place, &json!(["Second."]), &["ask", "two", "--continue"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let listed = each(&place.done(&["--json", "sessions", "ls"]));
    assert_eq!(listed.len(), 1, "{listed:?}");
    let shown = place.done(&["--json", "sessions", "show", "last"]);
    assert!(shown.contains("one") && shown.contains("Second."), "{shown}");
}

#[test]
fn a_question_that_is_too_long_or_a_conversation_as_json_is_refused() {
    let place = place("", json!({}));
    let name = model(&place, &json!(["Never."]));
    let mut command = place.command(&["chat", "-p", "--model", &name]);
    command.stdin(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    // Nobody reads to the end.
    drop(child.stdin.take().unwrap().write_all(&vec![b'x'; (1 << 20) + 2]));
    let stderr = reading(child.stderr.take().unwrap());
    assert_eq!(crate::place::ended(&mut child).unwrap().code(), Some(2));
    assert!(stderr.join().unwrap().contains("[question-too-long]"));
    let ran = place.run(&["--json", "chat"]);
    assert_eq!(ran.code, 2);
    assert_eq!(one(&ran.stdout)["error"]["code"], "usage-invalid");
}

/// A terminal beside pipes is not asked on for the host; what is printed is plain.
#[test]
fn at_a_terminal_a_language_model_streams() {
    let place = place(&provider(Manner::Answers), json!({}));
    let mut wanted = seat(&place, &["ask", "how much?", "--model", "slow:m"]);
    wanted.streams = tagout_testkit::pty::Streams::Terminal;
    let mut pty = Pty::spawn(&wanted).unwrap();
    pty.expect("It is seven megawatts.", LIMIT).unwrap();
    pty.expect("0.0020 USD (1000 tokens in, 100 out)", LIMIT).unwrap();
    assert_eq!(pty.wait(LIMIT).unwrap().code(), Some(0));
}
