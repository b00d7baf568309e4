//! What begins with a slash, and what is attached.
use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{
    stand_in::{Manner, provider, watched},
    talk::{Chair, Talk, model, place},
};
use crate::place::{Place, tool};

fn reply(result: Value) -> Value {
    json!([[{ "reply": result }]])
}

/// A server that offers prompts and resources.
fn offering() -> Place {
    let argument = |name: &str, required: bool| json!({"name": name, "required": required, "description": format!("Which {name}.")});
    place(
        "",
        json!({
            "capabilities": {"tools": {}, "prompts": {}, "resources": {}},
            "methods": {
                "prompts/list": reply(json!({"prompts": [
                    {"name": "brief", "title": "A briefing", "arguments": [argument("zone", true), argument("day", false)]},
                    {"name": "plain", "description": "Without arguments."}]})),
                "prompts/get": reply(json!({"messages": [
                    {"role": "user", "content": {"type": "text", "text": "Brief me about the north."}}]})),
                "resources/list": reply(json!({"resources": [
                    {"uri": "s://notes", "name": "notes", "title": "The notes"}]})),
                "resources/read": reply(json!({"contents": [
                    {"uri": "s://notes", "mimeType": "text/plain", "text": "the substation hums"}]})),
            },
        }),
    )
}

/// What the model was asked last.
fn asked(place: &Place) -> String {
    place.done(&["--json", "sessions", "show", "last"])
}

#[test]
fn help_is_readable_on_a_narrow_terminal() {
    let place = place("", json!({}));
    let name = model(&place, &json!([]));
    let mut talk = Chair::new(&place, &["chat", "--model", &name]).columns(60).talk();
    talk.answer_to("/help");
    talk.leaves();
    assert_snapshot!("help", talk.redacted(&place).split_once("> /help").unwrap().1);
}

#[test]
fn what_is_no_command_is_not_sent_to_the_model() {
    let place = place("", json!({}));
    let mut talk = Talk::with(&place, &json!(["A question."]));
    let shown = talk.answer_to("/nonsense and more");
    assert!(shown.contains("there is no command and no prompt `/nonsense`"), "{shown}");
    assert!(shown.contains("see /help"), "{shown}");
    let shown = talk.answer_to("//etc is full");
    assert!(shown.contains("A question."), "{shown}");
    talk.leaves();
    assert!(asked(&place).contains("/etc is full"));
}

#[test]
fn tools_are_listed_and_shown_in_full() {
    let place = place("", json!({}));
    let name = model(&place, &json!([]));
    let mut talk = Chair::new(&place, &["chat", "--model", &name, "--tool", "s__read*"]).talk();
    talk.answer_to("/tools");
    talk.answer_to("/tools s__write_it");
    let shown = talk.answer_to("/tools s__nothing");
    assert!(shown.contains("there is no tool `s__nothing`"), "{shown}");
    talk.leaves();
    assert_snapshot!("tools", talk.redacted(&place).split_once("> /tools").unwrap().1);
}

#[test]
fn permissions_narrow_and_never_widen() {
    let place = place("", json!({}));
    let call = json!(["", ["s__write_it", {"text": "x"}]]);
    let turns = json!([call, "Told.", call, "Told again."]);
    let name = model(&place, &turns);
    let mut talk = Chair::new(&place, &["chat", "--model", &name, "--tool", "s__*"]).talk();
    let shown = talk.answer_to("/permissions s__read*");
    assert!(shown.contains("1 of 2 tools"), "{shown}");
    // Off: not callable, and nobody is asked.
    let shown = talk.answer_to("write x");
    assert!(!shown.contains("waits for your approval"), "{shown}");
    assert!(shown.contains("Told."), "{shown}");
    let shown = talk.answer_to("/permissions *");
    assert!(shown.contains("2 of 2 tools"), "{shown}");
    talk.answer_to("/permissions s__read*");
    let shown = talk.answer_to("/permissions reset");
    assert!(shown.contains("2 of 2 tools"), "{shown}");
    let shown = talk.answer_to("/permissions grid__*");
    assert!(shown.contains("0 of 2 tools"), "{shown}");
    let shown = talk.answer_to("/permissions 'not a tool'");
    assert!(shown.contains("is no name of a tool"), "{shown}");
    talk.leaves();
    assert_eq!(place.calls("s", "write_it"), 0);

    // What the operator left out stays out.
    let name = model(&place, &turns);
    let mut talk = Chair::new(&place, &["chat", "--model", &name, "--tool", "s__read*"]).talk();
    let shown = talk.answer_to("/permissions *");
    assert!(shown.contains("1 of 2 tools"), "{shown}");
    talk.answer_to("write x");
    talk.leaves();
    assert_eq!(place.calls("s", "write_it"), 0);
}

#[test]
fn a_tool_that_is_off_is_not_sent_to_the_model() {
    let (config, seen) = watched(Manner::Answers);
    let place = place(&config, json!({}));
    let mut talk = Chair::new(&place, &["chat", "--model", "slow:m"]).talk();
    talk.answer_to("/permissions s__read*");
    let shown = talk.answer_to("hello");
    assert!(shown.contains("It is seven megawatts."), "{shown}");
    talk.leaves();
    let sent = seen.lock().unwrap().clone();
    let names = |body: &Value| -> Vec<String> {
        let tools = body["tools"].as_array().unwrap();
        tools.iter().map(|tool| tool["function"]["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(sent.iter().map(names).collect::<Vec<_>>(), [["s__read_it"]]);
}

#[test]
fn prompts_speak_for_the_person() {
    let place = offering();
    let mut talk = Talk::with(&place, &json!(["Briefed.", "Briefed again.", "Third."]));
    talk.answer_to("/prompts");
    let shown = talk.answer_to("/brief zone=north");
    assert!(shown.contains("Briefed."), "{shown}");
    // The argument that it needs is asked for.
    talk.says("/brief");
    talk.sees("Which zone.");
    talk.sees("zone: ");
    talk.says("south");
    talk.sees("Briefed again.");
    talk.prompted();
    // Nobody says: nothing is asked.
    talk.says("/s__brief day=today");
    talk.sees("zone: ");
    talk.says("");
    let shown = talk.prompted();
    assert!(shown.contains("`s__brief` needs `zone`"), "{shown}");
    let shown = talk.answer_to("/plain too much");
    assert!(shown.contains("`too` belongs to no argument"), "{shown}");
    talk.leaves();
    let asked = asked(&place);
    assert!(asked.contains("Brief me about the north."), "{asked}");
    assert!(!asked.contains(r#""text":"/brief"#), "the words only name the prompt: {asked}");
    assert_snapshot!("prompts", talk.redacted(&place).split_once("> /prompts").unwrap().1);
}

#[test]
fn resources_are_listed_completed_and_attached() {
    let place = offering();
    let mut talk = Talk::with(&place, &json!(["It hums."]));
    let shown = talk.answer_to("/resources");
    assert!(shown.contains("@s:s://notes"), "{shown}");
    talk.keys("what of @s:\t");
    talk.sees("@s:s://notes");
    talk.says(" then?");
    // What a server's resource holds is not reviewed by anybody.
    let (_, code) = talk.card();
    let shown = talk.answer_to(&code);
    assert!(shown.contains("attached s://notes of s"), "{shown}");
    assert!(shown.contains("It hums."), "{shown}");
    let shown = talk.answer_to("and @nobody:x://y?");
    assert!(!shown.contains("It hums."), "{shown}");
    talk.leaves();
    assert!(asked(&place).contains("the substation hums"));
}

#[test]
fn models_change_under_a_conversation() {
    let place = place("", json!({}));
    let other = model(&place, &json!(["From another."]));
    let mut talk = Talk::with(&place, &json!(["From the first."]));
    talk.answer_to("one");
    let shown = talk.answer_to(&format!("/model {other}"));
    assert!(shown.contains("answers from now on"), "{shown}");
    let shown = talk.answer_to("two");
    assert!(shown.contains("From another."), "{shown}");
    let shown = talk.answer_to("/model no:such");
    assert!(shown.contains("[model-unknown]"), "{shown}");
    let shown = talk.answer_to("/model");
    assert!(shown.contains("script:"), "{shown}");
    talk.keys("/model off\t");
    talk.sees("offline:planner");
    let shown = talk.answer_to("");
    assert!(shown.contains("offline:planner answers from now on"), "{shown}");
    talk.leaves();
    assert!(asked(&place).contains("From the first."));
}

/// What is typed goes elsewhere only if the person agrees, also inside the chat.
#[test]
fn another_model_elsewhere_is_asked_about() {
    let elsewhere = "[provider.far]\nurl = \"https://far.invalid/v1\"\nwire = \"openai-chat\"\n";
    let place = place(elsewhere, json!({}));
    let mut talk = Talk::with(&place, &json!(["Here."]));
    talk.says("/model far:m");
    talk.sees("Type `yes` to go ahead:");
    talk.says("no");
    let shown = talk.prompted();
    assert!(shown.contains("[consent-model]"), "{shown}");
    talk.says("/model far:m");
    talk.sees("Type `yes` to go ahead:");
    talk.says("yes");
    let shown = talk.prompted();
    assert!(shown.contains("far:m answers from now on"), "{shown}");
    talk.leaves();
}

#[test]
fn what_it_cost_is_told_and_added_up() {
    let place = place(&provider(Manner::Answers), json!({}));
    let mut talk = Chair::new(&place, &["chat", "--model", "slow:m"]).talk();
    let shown = talk.answer_to("one");
    assert!(shown.contains("1000 tokens in, 100 out, 0.0020 USD"), "{shown}");
    talk.answer_to("two");
    let shown = talk.answer_to("/cost");
    assert!(shown.contains("│ 2     │ 2000      │ 200 │ 0.0040 USD"), "{shown}");
    let shown = talk.answer_to("/context");
    assert!(shown.contains("8000 tokens"), "{shown}");
    talk.leaves();
    // What was spent before is counted when it is taken up again.
    let mut talk = Chair::new(&place, &["chat", "--continue", "--model", "slow:m"]).talk();
    let shown = talk.answer_to("/cost");
    assert!(shown.contains("before it was taken up again"), "{shown}");
    assert!(shown.contains("2000"), "{shown}");
    talk.leaves();
}

#[test]
fn the_audit_log_is_at_hand() {
    let place = place("", json!({"tools": [tool("read_more")]}));
    let mut talk = Talk::with(&place, &json!([["", ["s__read_it"]], "Read."]));
    talk.answer_to("read");
    let shown = talk.answer_to("/audit 4");
    assert!(shown.contains("tools/call s: s__read_it"), "{shown}");
    assert!(shown.contains("read-freely"), "{shown}");
    assert!(shown.contains("`tagout audit trace NUMBER`"), "{shown}");
    let shown = talk.answer_to("/audit many");
    assert!(shown.contains("how many is a number"), "{shown}");
    talk.leaves();
}
