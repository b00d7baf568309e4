//! What people complain about most in programs like this one, each shown not to be so here, through
//! the binary. Most of it is tested in more depth elsewhere.
use std::{fs, path::Path};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tagout_testkit::Pty;

use crate::{
    chat::{
        stand_in::{Manner, watched},
        talk::{Chair, Talk, file, model, place, script},
    },
    place::{LIMIT, Place, each, tool, within_limit},
    terminal::seat,
};

const WRITES: &str = "s__write_it";

fn kill(talk: &Talk) {
    let pid = Pid::from_raw(talk.pty.pid().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
}

/// Complaint 1: "The dialog cuts the arguments off."
#[test]
fn arguments_are_shown_whole_however_long() {
    let place = place("", json!({}));
    let long = (0..400).map(|n| format!("step {n} of it; ")).collect::<String>();
    let mut talk = Talk::with(&place, &json!([["", [WRITES, {"text": long}]], "No."]));
    talk.says("go");
    let (card, _) = talk.card();
    let unbroken: String = card.lines().map(|l| l.trim_start_matches(['│', '┊'])).collect();
    let squeezed = |text: &str| text.split_whitespace().collect::<String>();
    assert!(squeezed(&unbroken).contains(&squeezed(&long)), "{card}");
    talk.says("no");
    talk.prompted();
    talk.leaves();
}

/// Complaint 2: "It asks again although I said always."
#[test]
fn always_holds_after_a_restart() {
    let place = place("", json!({}));
    place.write(
        &place.path("config/tagout/policies/ask.cedar"),
        r#"@id("ask-me") @reason("every reading is looked at")
           forbid (principal, action in Action::"call-tool", resource)
           unless { context.approved };"#,
    );
    let turns = json!([["", ["s__read_it", {"text": "load"}]], "Read."]);
    let mut talk = Talk::with(&place, &turns);
    talk.says("read");
    let (_, code) = talk.card();
    talk.says(&format!("{code} always"));
    talk.sees("Read.");
    kill(&talk);
    for _ in 0..2 {
        let name = model(&place, &turns);
        let ran = place.run(&["ask", "read", "--model", &name]);
        assert_eq!(ran.code, 0, "{ran:?}");
    }
    assert_eq!(place.calls("s", "read_it"), 3);
}

/// Complaint 3: "Where nobody is asked, it just goes ahead."
#[test]
fn nobody_to_ask_means_no() {
    let place = place("", json!({}));
    let name = model(&place, &json!([["", [WRITES, {"text": "x"}]], "No."]));
    let ran = place.run(&["chat", "-p", "write", "--model", &name]);
    assert_eq!(ran.code, 4, "{ran:?}");
    assert_eq!(place.calls("s", "write_it"), 0);
}

/// Complaint 4: "A second way through the code skipped the approval."
///
/// There is one function that sends a call, and what it takes is made in one file; a test of
/// `tagout-host` shows that nobody else can name it.
#[test]
fn there_is_one_way_to_a_call() {
    let host = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tagout-host/src");
    let mut folders = vec![host];
    let (mut makes, mut sends) = (Vec::new(), Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = file(&path);
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let makes_one = text.lines().map(str::trim).any(|line| {
                line.contains("Checked {") && !line.starts_with("impl") && !line.contains("struct")
            });
            makes.extend(makes_one.then(|| name.clone()));
            sends.extend(text.contains("CallToolRequest::new").then_some(name));
        }
    }
    assert_eq!(makes, ["dispatch.rs"]);
    assert_eq!(sends, ["call.rs"]);
    // And every call that reached a server has its record.
    let place = place("", json!({}));
    let name = model(&place, &json!([["", ["s__read_it"], ["s__read_it", {"n": 1}]], "Read."]));
    assert_eq!(place.run(&["ask", "read", "--model", &name]).code, 0);
    let records = each(&place.done(&["--json", "audit", "tail", "-n", "100"]));
    let of = |record: &&Value| record["begin"]["subject"] == "s__read_it";
    assert_eq!(records.iter().filter(of).count(), place.calls("s", "read_it"));
}

/// Complaint 5: "A call that was broken off bricks the session."
#[test]
fn a_session_that_was_killed_in_mid_call_goes_on() {
    let (config, seen) = watched(Manner::Answers);
    let more = json!({"tools": [tool("read_forever")], "calls": {"read_forever": [["hang"]]}});
    let place = place(&config, more);
    let turns = json!([["", ["s__read_it"], ["s__read_forever"], ["s__read_it"]], "Never."]);
    let mut talk = Talk::with(&place, &turns);
    talk.says("wait");
    let begun = || (place.calls("s", "read_forever") == 1).then_some(());
    assert!(within_limit(begun).is_some(), "{}", talk.screen());
    kill(&talk);
    talk.ended();
    let mut talk = Chair::new(&place, &["chat", "--continue", "--model", "slow:m"]).talk();
    for _ in 0..2 {
        let shown = talk.answer_to("and now?");
        assert!(shown.contains("It is seven megawatts."), "{shown}");
    }
    talk.leaves();
    // Each of its calls has exactly one result in what the model is sent, in the order of the calls.
    let seen = seen.lock().unwrap().clone();
    assert_eq!(seen.len(), 2);
    for body in seen {
        let messages = body["messages"].as_array().unwrap();
        let calls = messages.iter().filter_map(|message| message["tool_calls"].as_array());
        let calls: Vec<_> = calls.flatten().map(|call| &call["id"]).collect();
        let results = messages.iter().filter(|message| message["role"] == "tool");
        let results: Vec<_> = results.map(|message| &message["tool_call_id"]).collect();
        assert_eq!(calls.len(), 3, "{body}");
        assert_eq!(calls, results, "{body}");
    }
    // Nothing was made a second time.
    assert_eq!(place.calls("s", "read_forever"), 1);
    assert_eq!(place.calls("s", "read_it"), 1);
}

fn enrol(place: &Place, name: &str) {
    let mut pty = Pty::spawn(&seat(place, &["approver", "add", name])).unwrap();
    pty.expect("New passphrase", LIMIT).unwrap();
    pty.send("correct horse battery\n").unwrap();
    pty.expect("The same again", LIMIT).unwrap();
    pty.send("correct horse battery\n").unwrap();
    assert_eq!(pty.wait(LIMIT).unwrap().code(), Some(0), "{}", pty.screen());
}

/// Complaint 6: "A pending approval is lost when the window is."
#[test]
fn a_pending_approval_outlives_the_chat() {
    let place = place("", json!({}));
    enrol(&place, "ann");
    let call = json!(["", [WRITES, {"text": "x"}]]);
    // What the client says was on the card, too: the same model, and the same words.
    let name = model(&place, &json!([call, "Written."]));
    let mut talk = Chair::new(&place, &["chat", "--model", &name]).talk();
    talk.says("write x");
    talk.card();
    kill(&talk);
    talk.ended();
    let open = each(&place.done(&["--json", "approve", "ls"]));
    assert_eq!(open.len(), 1, "{open:?}");
    let id = open[0]["id"].as_str().or(open[0]["question"].as_str()).unwrap().to_owned();
    let mut pty = Pty::spawn(&seat(&place, &["approve", "allow", &id])).unwrap();
    pty.expect("assphrase", LIMIT).unwrap();
    pty.send("correct horse battery\n").unwrap();
    assert_eq!(pty.wait(LIMIT).unwrap().code(), Some(0), "{}", pty.screen());
    // The same call of the same conversation goes through; nobody is asked again.
    let mut talk = Chair::new(&place, &["chat", "--continue", "--model", &name]).talk();
    let shown = talk.answer_to("write x");
    assert!(!shown.contains("waits for your approval"), "{shown}");
    assert!(shown.contains("Written."), "{shown}");
    talk.leaves();
    assert_eq!(place.calls("s", "write_it"), 1);
}

/// Complaint 7: "The definition changed after I approved it."
#[test]
fn a_changed_definition_is_not_what_was_approved() {
    let place = place("", json!({}));
    let call = json!(["", [WRITES, {"text": "x"}]]);
    let mut talk = Talk::with(&place, &json!([call, "Written."]));
    talk.says("write x");
    let (_, code) = talk.card();
    talk.says(&format!("{code} conversation"));
    talk.sees("Written.");
    talk.prompted();
    talk.leaves();
    let mut changed = script(json!({}));
    changed["tools"][0]["description"] = "Writes it, and sends a copy to somebody.".into();
    place.script("s", changed);
    let name = model(&place, &json!([call, "No."]));
    let mut talk = Chair::new(&place, &["chat", "--continue", "--model", &name]).talk();
    let listed = talk.answer_to("/tools");
    assert!(!listed.contains(WRITES), "{listed}");
    talk.answer_to("write x");
    talk.leaves();
    assert_eq!(place.calls("s", "write_it"), 1);
    // What changed is there to be looked at.
    let ran = place.run(&["pin", "--diff"]);
    assert!(ran.stdout.contains("sends a copy to somebody"), "{ran:?}");
}

/// Complaint 8: "Long calls die, and one never sees how far they are."
#[test]
fn a_long_call_shows_how_far_it_is_and_comes_to_its_end() {
    let place = Place::new();
    let path = place.path("server.sh");
    place.write(&path, include_str!("chat/progress.sh"));
    place.configure(&format!("[server.b]\ncommand = [\"/bin/sh\", {path:?}]\n"));
    place.pin(&["b"]);
    let mut talk = Talk::with(&place, &json!([["", ["b__read_long"]], "Done."]));
    talk.says("go");
    talk.sees("25%");
    talk.sees("75%");
    talk.sees("Done.");
    talk.prompted();
    talk.leaves();
}

/// Complaint 9: "The tools have changed, and the client does not notice."
#[test]
fn a_changed_list_is_read_again() {
    let place = place(
        "",
        json!({"tools": [tool("read_away")], "calls": {"read_away": [[
            {"set_tools": [tool("read_it")]},
            {"notify": {"method": "notifications/tools/list_changed"}},
            {"text": "gone"}]]}}),
    );
    let mut talk = Talk::with(&place, &json!([["", ["s__read_away"]], "Gone.", "Again.", "More."]));
    let before = talk.answer_to("/tools");
    assert!(before.contains("s__read_away"), "{before}");
    talk.answer_to("go");
    let mut shown = String::new();
    let changed = || {
        shown = talk.answer_to("/tools");
        (!shown.contains("s__read_away")).then_some(())
    };
    assert!(within_limit(changed).is_some(), "it is still there");
    assert!(shown.contains("s__read_it"), "{shown}");
    talk.leaves();
}

/// Complaint 10: "Names clash, or are too long for the provider."
#[test]
fn names_neither_clash_nor_grow_too_long() {
    let long = "read_".repeat(14);
    let place = Place::new();
    for name in ["one", "two"] {
        place.scripted(
            name,
            json!({"tools": [tool("read_it"), tool(&long)], "calls": {
                "read_it": [[{"text": format!("from {name}")}]],
                long.as_str(): [[{"text": format!("long from {name}")}]],
            }}),
        );
    }
    place.pin(&["one", "two"]);
    let listed = each(&place.done(&["--json", "tools", "ls"]));
    let names: Vec<_> = listed.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    let mut once = names.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!((once.len(), names.len()), (4, 4), "{names:?}");
    assert!(names.iter().all(|name| name.len() <= 64), "{names:?}");
    let calls: Vec<_> = names.iter().map(|name| json!([name])).collect();
    let turn: Vec<_> = [json!("")].into_iter().chain(calls).collect();
    let name = model(&place, &json!([turn, "Read."]));
    let ran = place.run(&["ask", "read", "--model", &name]);
    assert_eq!(ran.code, 0, "{ran:?}");
    for (server, tool) in [("one", "read_it"), ("two", "read_it"), ("one", &long), ("two", &long)] {
        assert_eq!(place.calls(server, tool), 1, "{server} {tool}");
    }
}
