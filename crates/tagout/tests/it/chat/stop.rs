//! Ctrl-C, Ctrl-D, signals: whatever is going on, it ends well.
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::{
    stand_in::{BEGUN, Manner, provider},
    talk::{Chair, PROMPT, Talk, file, place},
};
use crate::place::{Place, each, gone, one, tool, within_limit};

/// Prints the terminal's modes before and after, whatever happens in between.
const WATCHED: &str =
    "trap : INT TERM HUP; stty -g; \"$0\" \"$@\"; echo \"ended with $?\"; stty -g";

fn hangs() -> Place {
    place(
        "",
        json!({"tools": [tool("read_pid"), tool("read_forever")], "calls": {
            "read_pid": [["environment"]], "read_forever": [["hang"]],
        }}),
    )
}

fn hanging() -> Value {
    json!([["", ["s__read_pid"], ["s__read_forever"]], "It goes on.", "And on."])
}

/// Waits until the call that hangs has reached its server.
fn in_mid_call(place: &Place, talk: &mut Talk) {
    talk.says("wait for it");
    talk.sees("s__read_forever");
    let begun = || (place.calls("s", "read_forever") == 1).then_some(());
    within_limit(begun).unwrap_or_else(|| panic!("{}", talk.screen()));
}

/// The server's process.
fn server(place: &Place) -> u64 {
    let shown = one(&place.done(&["--json", "sessions", "show", "last"]));
    let text = shown.to_string();
    let pid = text.split(r#"\"pid\":"#).nth(1).or_else(|| text.split(r#""pid":"#).nth(1));
    let digits = pid.unwrap_or_else(|| panic!("{text}")).trim_start();
    let digits: String = digits.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

fn nothing_left(pid: u64) {
    assert!(within_limit(|| gone(pid).then_some(())).is_some(), "{pid} is still there");
}

/// Every call of the last session, and how many results it has.
#[track_caller]
fn one_result_each(place: &Place) {
    let shown = one(&place.done(&["--json", "sessions", "show", "last"])).to_string();
    let count = |what: &str| shown.matches(what).count();
    assert_eq!(count(r#""kind":"tool_call""#), count(r#""kind":"tool_result""#), "{shown}");
}

fn on_record(place: &Place, what: &str) -> Vec<Value> {
    let records = each(&place.done(&["--json", "audit", "tail", "-n", "200"]));
    records.into_iter().filter(|record| record.to_string().contains(what)).collect()
}

#[test]
fn a_turn_of_the_model_is_stopped() {
    let place = place(&provider(Manner::Stalls), json!({}));
    let mut talk = Chair::new(&place, &["chat", "--model", "slow:m"]).talk();
    talk.says("say something");
    talk.sees(BEGUN);
    talk.keys("\x03");
    talk.sees("stopped");
    talk.prompted();
    let shown = talk.answer_to("/context");
    assert!(shown.contains("messages"), "{shown}");
    talk.leaves();
    assert!(!on_record(&place, r#""what":"stopped""#).is_empty());
}

#[test]
fn a_call_is_cancelled_and_the_conversation_goes_on() {
    let place = hangs();
    let mut talk = Talk::with(&place, &hanging());
    in_mid_call(&place, &mut talk);
    talk.keys("\x03");
    talk.sees("cancelled");
    talk.prompted();
    let shown = talk.answer_to("and now?");
    assert!(shown.contains("It goes on."), "{shown}");
    talk.leaves();
    nothing_left(server(&place));
    one_result_each(&place);
    let ended = on_record(&place, "s__read_forever");
    assert!(ended.iter().any(|record| record["end"]["outcome"] == "cancelled"), "{ended:?}");
    place.done(&["audit", "verify"]);
}

#[test]
fn a_card_is_put_away_and_nothing_is_called() {
    let place = place("", json!({}));
    let turns = json!([["", ["s__write_it", {"text": "x"}]], "It goes on."]);
    let mut talk = Talk::with(&place, &turns);
    talk.says("write");
    let (_, code) = talk.card();
    talk.keys("\x03");
    talk.sees("stopped");
    talk.prompted();
    // A code that comes too late is a question like any other.
    let shown = talk.answer_to(&code);
    assert!(shown.contains("It goes on."), "{shown}");
    talk.leaves();
    assert_eq!(place.calls("s", "write_it"), 0);
    one_result_each(&place);
}

#[test]
fn twice_ends_it_with_the_terminal_as_it_was_and_nothing_left() {
    let place = hangs();
    let name = super::talk::model(&place, &hanging());
    let mut talk = Chair::new(&place, &["chat", "--model", &name]).by_shell(WATCHED).talk();
    in_mid_call(&place, &mut talk);
    let pid = server(&place);
    assert!(!gone(pid));
    talk.keys("\x03");
    talk.sees("stopped");
    talk.prompted();
    talk.keys("\x03");
    as_it_was(&mut talk);
    nothing_left(pid);
    one_result_each_after_going_on(&place);
}

/// The modes before are the modes after.
#[track_caller]
fn as_it_was(talk: &mut Talk) -> String {
    let ended = talk.sees("ended with ") + &talk.sees("\n");
    assert!(talk.ended().success(), "{}", talk.screen());
    let screen = talk.pty.screen();
    let (before, after) = (screen.lines().next().unwrap(), screen.trim_end().lines().last());
    assert!(before.contains(':'), "{screen}");
    assert_eq!(Some(before), after, "{screen}");
    ended
}

/// Whatever was cut off, a session that is gone on with is sound.
#[track_caller]
fn one_result_each_after_going_on(place: &Place) {
    let name = super::talk::model(place, &json!(["Sound."]));
    let ran = place.run(&["ask", "--continue", "--model", &name, "and?"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    one_result_each(place);
}

#[test]
fn twice_at_a_card_ends_it_too() {
    let place = place("", json!({}));
    let name = super::talk::model(&place, &json!([["", ["s__write_it", {"text": "x"}]], "No."]));
    let mut talk = Chair::new(&place, &["chat", "--model", &name]).by_shell(WATCHED).talk();
    talk.says("write");
    talk.card();
    talk.keys("\x03");
    talk.sees("stopped");
    talk.prompted();
    talk.keys("\x03");
    as_it_was(&mut talk);
    assert_eq!(place.calls("s", "write_it"), 0);
}

#[test]
fn ctrl_c_at_the_prompt_says_how_to_leave() {
    let place = place("", json!({}));
    let mut talk = Talk::with(&place, &json!(["Never asked."]));
    talk.keys("half a question\x03");
    let shown = talk.prompted();
    assert!(shown.contains("Ctrl-D"), "{shown}");
    talk.leaves();
}

#[test]
fn signals_end_it_at_the_prompt_and_at_work() {
    for signal in [Signal::TERM, Signal::HUP] {
        for at_work in [false, true] {
            let place = hangs();
            let name = super::talk::model(&place, &hanging());
            let mut talk = Chair::new(&place, &["chat", "--model", &name]).by_shell(WATCHED).talk();
            let server = at_work.then(|| {
                in_mid_call(&place, &mut talk);
                server(&place)
            });
            let shell = talk.pty.pid();
            let children = file(format!("/proc/{shell}/task/{shell}/children").as_ref());
            let chat = children.trim().parse().unwrap();
            kill_process(Pid::from_raw(chat).unwrap(), signal).unwrap();
            as_it_was(&mut talk);
            assert!(gone(u64::try_from(chat).unwrap()));
            server.into_iter().for_each(nothing_left);
            place.done(&["audit", "verify"]);
        }
    }
}

#[test]
fn a_command_that_hangs_is_given_up() {
    let place = place(
        "",
        json!({"capabilities": {"tools": {}, "resources": {}},
               "methods": {"resources/list": [[{"reply": {"resources": [{"uri": "s://a", "name": "a"}]}}]],
                           "resources/read": [["hang"]]}}),
    );
    let mut talk = Talk::with(&place, &json!(["Never asked."]));
    talk.says("look at @s:s://a");
    let (_, code) = talk.card();
    talk.says(&code);
    let asked = || {
        let seen = file(&place.path("s.seen"));
        seen.contains("resources/read").then_some(())
    };
    within_limit(asked).unwrap_or_else(|| panic!("{}", talk.screen()));
    talk.keys("\x03");
    talk.sees(PROMPT);
    talk.leaves();
}
