//! A person approves, on the terminal and nowhere else.
use std::{io::Write as _, process::ExitStatus};

use insta::assert_snapshot;
use serde_json::{Value, json};
use tagout_testkit::{
    Pty,
    pty::{Seat, Streams},
};

use crate::{
    mcp_client::Frames,
    place::{LIMIT, Place, TAGOUT, finish, one, reading, tool},
    redacted,
    terminal::seat,
};

const QUESTION: &str = "anything else denies: ";
const WRITE: [&str; 5] = ["--json", "tools", "call", "s__write_it", "text=hello"];

fn place() -> Place {
    let place = Place::new();
    place.scripted("s", script());
    place.pin(&["s"]);
    place
}

fn script() -> Value {
    json!({"tools": [tool("write_it"), tool("read_it")], "calls": {
        "write_it": [[{"text": "written"}]],
        "read_it": [[{"text": "read"}]],
    }})
}

/// How a call came out, by the binary itself.
struct Outcome {
    status: ExitStatus,
    said: Value,
    screen: String,
}

/// Makes the call and answers the question with what `typed` makes of the code that approves it.
fn answered(place: &Place, typed: impl FnOnce(&str) -> String) -> Outcome {
    let mut pty = Pty::spawn(&seat(place, &WRITE)).unwrap();
    let card = pty.expect(QUESTION, LIMIT).unwrap();
    pty.send(&typed(code_on(&card))).unwrap();
    ended(pty)
}

fn yes(code: &str) -> String {
    format!("{code}\n")
}

fn no(_code: &str) -> String {
    "no\n".to_owned()
}

/// What is to be typed to approve the call on a card.
#[track_caller]
fn code_on(card: &str) -> &str {
    let code = card.rsplit("Type ").next().and_then(|rest| rest.split(' ').next());
    let code = code.unwrap_or_default();
    assert!(code.len() == 4 && code.chars().all(|c| c.is_ascii_hexdigit()), "{card}");
    code
}

/// The code that approves the call, which it has whenever it is made.
fn known_code(place: &Place) -> String {
    let mut known = String::new();
    let outcome = answered(place, |code| {
        known = code.to_owned();
        no(code)
    });
    assert_eq!(outcome.status.code(), Some(3));
    known
}

fn ended(mut pty: Pty) -> Outcome {
    let stdout = reading(pty.stdout.take().unwrap());
    let status = pty.wait(LIMIT).unwrap();
    let said = stdout.join().unwrap();
    Outcome { status, said: serde_json::from_str(&said).unwrap_or_default(), screen: pty.screen() }
}

fn record_of(place: &Place, outcome: &Outcome) -> Value {
    place.record(outcome.said["decision"]["record"].as_u64().unwrap())
}

#[test]
fn the_code_runs_the_call_exactly_once_and_is_on_record() {
    let place = place();
    let outcome = answered(&place, yes);
    assert_eq!(outcome.status.code(), Some(0), "{}", outcome.said);
    assert_eq!(outcome.said["content"][0]["text"], "written");
    assert_eq!(outcome.said["decision"]["verdict"], "ask");
    assert!(outcome.screen.contains("approved, once"), "{}", outcome.screen);
    assert_eq!(place.calls("s", "write_it"), 1);

    let record = record_of(&place, &outcome);
    let approval = &record["decision"]["approval"];
    assert_eq!(record["decision"]["rule"], "ask-before-writes");
    assert_eq!(approval["how"], "terminal");
    assert_eq!(approval["decision"], "allow");
    assert_eq!(approval["by"], record["begin"]["principal"]["user"]);
    let shown = place.done(&["audit", "show", &record["n"].to_string()]);
    assert!(shown.contains("asked on: terminal"), "{shown}");
    // What rules were told of it is on record, so that the decision can be explained with it.
    assert_eq!(approval["given"], json!({"own": true}));
    let explained = place.done(&["policy", "explain", &record["n"].to_string()]);
    let with =
        "today    the same: allow by `ask-before-writes`, with approval by the caller's own user";
    assert!(explained.contains("\n         approved by the caller's own user\n"), "{explained}");
    assert!(explained.contains(with), "{explained}");
    // Another call asks again.
    let outcome = answered(&place, no);
    assert_eq!(outcome.status.code(), Some(3));
    assert_eq!(place.calls("s", "write_it"), 1);
}

#[test]
fn the_card_says_all_that_there_is_to_know() {
    let place = place();
    let mut pty = Pty::spawn(&seat(&place, &WRITE)).unwrap();
    let card = pty.expect(QUESTION, LIMIT).unwrap();
    let lines = card.lines().map(|line| match line.trim_start().split(' ').next() {
        Some("for") => "   for        <who>",
        _ => line,
    });
    let card: Vec<_> = lines.collect();
    assert_snapshot!("card", redacted::text(&place, &card.join("\n")));
    pty.send("no\n").unwrap();
    assert_eq!(ended(pty).status.code(), Some(3));
}

#[test]
fn case_and_spaces_do_not_matter() {
    let ways: [fn(&str) -> String; 2] =
        [|code| format!("{}\n", code.to_uppercase()), |code| format!("  {code} \n")];
    for way in ways {
        let place = place();
        assert_eq!(answered(&place, way).status.code(), Some(0), "{}", way("code"));
        assert_eq!(place.calls("s", "write_it"), 1, "{}", way("code"));
    }
}

#[test]
fn anything_else_denies() {
    let ways: [fn(&str) -> String; 11] = [
        no,
        |_| "yes\n".to_owned(),
        |_| "\n".to_owned(),
        |_| "\x04".to_owned(),
        |code| format!("{code}0\n"),
        |code| format!("{}\n", code.chars().take(3).collect::<String>()),
        |code| format!("{}\n", code.chars().rev().chain(['x']).collect::<String>()),
        |code| format!("{code} {code}\n"),
        |code| format!("{code} please\n"),
        |code| format!("{}{code}\n", " ".repeat(200)),
        |code| format!("no\n{code}\n"),
    ];
    for no in ways {
        let place = place();
        let outcome = answered(&place, no);
        let no = no("code");
        assert_eq!(outcome.status.code(), Some(3), "{no:?}: {}", outcome.screen);
        assert_eq!(outcome.said["code"], "approval-denied", "{no:?}");
        assert_eq!(place.calls("s", "write_it"), 0, "{no:?}");
        let record = record_of(&place, &outcome);
        assert_eq!(record["end"]["outcome"], "refused", "{no:?}");
        assert_eq!(record["end"]["approval"]["decision"], "deny", "{no:?}");
        assert_eq!(record["end"]["approval"]["how"], "terminal", "{no:?}");
    }
}

#[test]
fn interrupting_is_no_approval() {
    let place = place();
    let outcome = answered(&place, |_| "\x03".to_owned());
    assert_ne!(outcome.status.code(), Some(0), "{}", outcome.screen);
    assert_eq!(place.calls("s", "write_it"), 0);
    place.done(&["audit", "verify"]);
}

/// What is in the terminal's queue when the question comes was typed for something else.
#[test]
fn what_was_typed_ahead_is_no_answer() {
    let place = place();
    let code = known_code(&place);
    let mut slow = script();
    slow["methods"] = json!({"initialize": [[{"wait_ms": 700}, "initialize"]]});
    place.script("s", slow);
    let mut pty = Pty::spawn(&seat(&place, &WRITE)).unwrap();
    pty.send(&format!("{code}\n{code}\n")).unwrap();
    pty.expect(QUESTION, LIMIT).unwrap();
    pty.send("no\n").unwrap();
    let outcome = ended(pty);
    assert_eq!(outcome.status.code(), Some(3), "{}", outcome.screen);
    assert_eq!(place.calls("s", "write_it"), 0);
}

#[test]
fn standard_input_cannot_approve() {
    let place = place();
    let code = known_code(&place);
    let mut pty = Pty::spawn(&seat(&place, &WRITE)).unwrap();
    let mut stdin = pty.stdin.take().unwrap();
    stdin.write_all(format!("{code}\n{code}\n").as_bytes()).unwrap();
    drop(stdin);
    pty.expect(QUESTION, LIMIT).unwrap();
    pty.send("no\n").unwrap();
    assert_eq!(ended(pty).status.code(), Some(3));
    assert_eq!(place.calls("s", "write_it"), 0);
}

/// The model's side of `tagout run` is standard input: it can ask for the call and not grant it.
#[test]
fn nor_can_the_client_of_run() {
    let place = place();
    let mut pty = Pty::spawn(&seat(&place, &["run"])).unwrap();
    let mut frames = Frames::new(pty.stdin.take().unwrap(), pty.stdout.take().unwrap());
    frames.initialize();
    let call = json!({"name": "s__write_it", "arguments": {"text": "from a client"}});
    let id = frames.ask("tools/call", &call);
    let card = pty.expect(QUESTION, LIMIT).unwrap();
    assert!(card.contains("raw 1") && card.contains("from a client"), "{card}");
    frames.line(code_on(&card));
    // Four digits are JSON, other codes are not; a message is neither.
    let refused = frames.next().unwrap()["error"]["code"].as_i64();
    assert!(matches!(refused, Some(-32700 | -32600)), "{refused:?}");
    frames.result("ping", &json!({}));
    assert_eq!(place.calls("s", "write_it"), 0);
    // Reading goes on meanwhile.
    let read = frames.call("s__read_it", &json!({}));
    assert_eq!(read["result"]["content"][0]["text"], "read");
    pty.send(&yes(code_on(&card))).unwrap();
    assert_eq!(frames.answer(id)["result"]["content"][0]["text"], "written");
    assert_eq!(place.calls("s", "write_it"), 1);
    frames.close();
    assert_eq!(pty.wait(LIMIT).unwrap().code(), Some(0));
}

#[test]
fn two_calls_are_asked_one_after_the_other() {
    let place = place();
    let mut pty = Pty::spawn(&seat(&place, &["run"])).unwrap();
    let mut frames = Frames::new(pty.stdin.take().unwrap(), pty.stdout.take().unwrap());
    frames.initialize();
    let call = |text: &str| json!({"name": "s__write_it", "arguments": {"text": text}});
    let ids = [frames.ask("tools/call", &call("one")), frames.ask("tools/call", &call("two"))];
    let first = pty.expect(QUESTION, LIMIT).unwrap();
    assert_ne!(first.contains("\"one\""), first.contains("\"two\""), "{first}");
    // A yes is for one card, whatever stands there a moment later.
    let code = code_on(&first);
    pty.send(&format!("{code}\n{code}\n")).unwrap();
    let second = pty.expect(QUESTION, LIMIT).unwrap();
    assert_ne!(first.contains("\"one\""), second.contains("\"one\""), "{second}");
    assert_ne!(code, code_on(&second));
    pty.send(&format!("{code}\n")).unwrap();
    let answers = ids.map(|id| frames.answer_in_any_order(id));
    let approved = answers.iter().filter(|answer| answer.get("result").is_some()).count();
    assert_eq!(approved, 1, "{answers:?}");
    assert_eq!(place.calls("s", "write_it"), 1);
    frames.close();
    pty.wait(LIMIT).unwrap();
}

#[test]
fn a_call_that_its_client_takes_back_is_not_approved_any_more() {
    let place = place();
    let mut pty = Pty::spawn(&seat(&place, &["run"])).unwrap();
    let mut frames = Frames::new(pty.stdin.take().unwrap(), pty.stdout.take().unwrap());
    frames.initialize();
    let id = frames.ask("tools/call", &json!({"name": "s__write_it", "arguments": {}}));
    let card = pty.expect(QUESTION, LIMIT).unwrap();
    let cancel = json!({
        "jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}
    });
    frames.line(&cancel.to_string());
    pty.expect("withdrawn", LIMIT).unwrap();
    pty.send(&yes(code_on(&card))).unwrap();
    frames.result("ping", &json!({}));
    assert_eq!(place.calls("s", "write_it"), 0);
    frames.close();
    pty.wait(LIMIT).unwrap();
}

#[test]
fn without_a_terminal_nobody_approves() {
    let place = place();
    let args = [&["--wait", TAGOUT][..], &WRITE].concat();
    let ran = finish(place.program("/usr/bin/setsid", &args));
    assert_eq!(ran.code, 4, "{ran:?}");
    assert_eq!(one(&ran.stdout)["code"], "approval-unavailable");
    assert_eq!(place.calls("s", "write_it"), 0);
}

#[test]
fn in_the_background_nobody_is_asked() {
    let place = place();
    let mut shell = Seat { program: "/bin/sh".into(), ..seat(&place, &[]) };
    shell.streams = Streams::Terminal;
    let script = "set -m; \"$0\" \"$@\" </dev/null & wait $!; echo ended with $?";
    shell.args = [&["-c", script, TAGOUT][..], &WRITE].concat().iter().map(Into::into).collect();
    let mut pty = Pty::spawn(&shell).unwrap();
    pty.expect("ended with 4", LIMIT).unwrap();
    assert!(!pty.screen().contains(QUESTION), "{}", pty.screen());
    assert_eq!(place.calls("s", "write_it"), 0);
}

#[test]
fn nobody_answering_is_no() {
    let place = Place::new();
    place.configure("[limits]\napproval_s = 1\n");
    place.scripted("s", script());
    place.pin(&["s"]);
    let mut pty = Pty::spawn(&seat(&place, &WRITE)).unwrap();
    pty.expect(QUESTION, LIMIT).unwrap();
    let outcome = ended(pty);
    assert_eq!(outcome.status.code(), Some(4), "{}", outcome.screen);
    assert_eq!(outcome.said["code"], "approval-expired");
    assert_eq!(place.calls("s", "write_it"), 0);
    assert_eq!(record_of(&place, &outcome)["end"]["approval"]["decision"], "none");
}

/// Nothing is left out of the card, and nothing in it can pass for something else.
#[test]
fn arguments_are_shown_in_full_and_cannot_play_tricks() {
    let place = place();
    let long = "x".repeat(5000);
    let text = format!("{long}\nType yes to approve\t\u{3a3}\u{200d} \"end\"");
    let mut pty = Pty::spawn(&seat(&place, &["run"])).unwrap();
    let mut frames = Frames::new(pty.stdin.take().unwrap(), pty.stdout.take().unwrap());
    frames.initialize();
    // A joiner between letters that need none is refused before anybody is asked.
    let refused = frames.call("s__write_it", &json!({"text": text}));
    assert_eq!(refused["error"]["data"]["code"], "argument-hidden-character", "{refused}");
    assert!(!pty.screen().contains(QUESTION));

    let text = text.replace('\u{200d}', "");
    let arguments = format!(r#"{{"text":{},"n":1.50e+1}}"#, json!(text));
    frames.line(&format!(
        r#"{{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{{"name":"s__write_it","arguments":{arguments}}}}}"#
    ));
    let card = pty.expect(QUESTION, LIMIT).unwrap();
    assert!(card.contains(&long), "{card}");
    assert!(card.contains(r#"\nType yes to approve\t"#), "{card}");
    assert!(card.contains("1.50e+1"), "numbers as they were written: {card}");
    pty.send("no\n").unwrap();
    frames.close();
    pty.wait(LIMIT).unwrap();
}
