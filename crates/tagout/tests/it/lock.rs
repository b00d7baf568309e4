//! `tagout pin`, and what it guards against.
use std::{fs, io::Write as _};

use insta::assert_snapshot;
use serde_json::{Value, json};
use tagout_testkit::program;

use crate::{
    place::{Place, each, one, tool},
    redacted,
};

fn script(tools: &[Value]) -> Value {
    let calls: serde_json::Map<String, Value> = tools
        .iter()
        .map(|tool| (tool["name"].as_str().unwrap().to_owned(), json!([[{"text": "done"}]])))
        .collect();
    json!({"tools": tools, "calls": calls})
}

fn tools() -> Vec<Value> {
    let annotated = |name: &str, annotations: Value| {
        let mut tool = tool(name);
        tool["annotations"] = annotations;
        tool
    };
    vec![
        tool("read_it"),
        tool("delete_it"),
        annotated("do_it", json!({"readOnlyHint": false, "openWorldHint": true})),
        tool("wobble"),
    ]
}

fn pinned() -> Place {
    let place = Place::new();
    place.scripted("s", script(&tools()));
    place.pin(&[]);
    place
}

fn lockfile(place: &Place) -> String {
    String::from_utf8(fs::read(place.lockfile()).unwrap()).unwrap()
}

/// Name and standing of every tool.
fn standing(place: &Place) -> Vec<(String, String)> {
    let text = |tool: &Value, key: &str| tool[key].as_str().unwrap().to_owned();
    let listed = each(&place.done(&["--json", "tools", "ls"]));
    listed.iter().map(|tool| (text(tool, "tool"), text(tool, "standing"))).collect()
}

fn stands(place: &Place, tool: &str) -> String {
    standing(place).into_iter().find(|(name, _)| name == tool).unwrap().1
}

fn called(place: &Place, tool: &str) -> (i32, Value) {
    let ran = place.run(&["--json", "tools", "call", &format!("s__{tool}")]);
    (ran.code, one(&ran.stdout)["code"].clone())
}

#[test]
fn what_is_new_is_written_down_unreviewed_and_with_reasons() {
    let place = Place::new();
    place.scripted("s", script(&tools()));
    let said = place.done(&["pin"]);
    assert_snapshot!("pinned", redacted::text(&place, &said));
    assert_snapshot!("lockfile", redacted::text(&place, &lockfile(&place)));
    assert!(standing(&place).iter().all(|(_, standing)| standing == "unreviewed"));
    assert_eq!(called(&place, "read_it"), (4, "approval-unavailable".into()));
    assert_eq!(place.calls("s", "read_it"), 0);
}

#[test]
fn pinning_again_changes_nothing() {
    let place = pinned();
    place.done(&["pin", "--check"]);
    let before = lockfile(&place);
    let again = one(&place.done(&["--json", "pin"]));
    assert_snapshot!("pinned_again_json", redacted::shown(&again));
    assert_eq!(again["written"], false);
    assert_eq!(again["changes"], json!([]));
    assert_eq!(lockfile(&place), before);
}

#[test]
fn one_tool_is_accepted_or_all_of_a_server() {
    let place = pinned();
    place.pin(&["s/read_it"]);
    assert_eq!(stands(&place, "read_it"), "reviewed");
    assert_eq!(stands(&place, "delete_it"), "unreviewed");
    assert_eq!(called(&place, "read_it").0, 0);
    place.pin(&["s"]);
    assert!(standing(&place).iter().all(|(_, standing)| standing == "reviewed"));
    // Reviewed, and still no reader.
    for asks in ["delete_it", "do_it", "wobble"] {
        assert_eq!(called(&place, asks), (4, "approval-unavailable".into()), "{asks}");
    }
    assert_eq!(place.calls("s", "read_it"), 1);
    assert_snapshot!("lockfile_accepted", redacted::text(&place, &lockfile(&place)));
}

#[test]
fn only_what_could_be_looked_at_is_accepted() {
    let place = Place::new();
    place.scripted("s", script(&tools()));
    let ran = place.run(&["--json", "pin", "--accept", "s"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert_eq!(each(&ran.stdout)[1]["error"]["code"], "pin-not-seen");
    assert_eq!(stands(&place, "read_it"), "unreviewed");
    // Now it stands there, and on a server that is pinned for the first time nothing is held.
    // What changes in between does not stand there.
    let mut changed = tools();
    changed[0]["description"] = "Reads it, and posts it elsewhere.".into();
    place.script("s", script(&changed));
    let ran = place.run(&["--json", "pin", "--accept", "s"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert_eq!(stands(&place, "read_it"), "changed");
    place.done(&["pin", "--accept", "s"]);
    assert_eq!(stands(&place, "read_it"), "reviewed");
}

#[test]
fn accepting_a_tool_that_is_not_there_is_an_error() {
    let place = pinned();
    let before = lockfile(&place);
    let ran = place.run(&["--json", "pin", "--accept", "s/red_it"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert_eq!(one(ran.stdout.lines().last().unwrap())["error"]["code"], "tool-unknown");
    assert_eq!(lockfile(&place), before);
}

#[test]
fn effects_that_a_person_wrote_stand_until_the_definition_changes() {
    let place = pinned();
    let (before, wobble) = lockfile(&place)
        .split_once("[server.s.tool.\"wobble\"]")
        .map(|(before, after)| (before.to_owned(), after.to_owned()))
        .unwrap();
    let wobble = wobble
        .replace("effects = [\"exec\"]", "effects = [\"read\"]")
        .replace("reviewed = false", "reviewed = true");
    let text = format!("{before}[server.s.tool.\"wobble\"]{wobble}");
    place.write(&place.lockfile(), &text);
    place.done(&["pin", "--check"]);
    place.pin(&["s/read_it"]);
    assert_eq!(called(&place, "wobble").0, 0, "{}", lockfile(&place));
    let mut changed = tools();
    changed[3]["description"] = "It wobbles more.".into();
    place.script("s", script(&changed));
    place.pin(&[]);
    assert_eq!(stands(&place, "wobble"), "changed");
    assert!(lockfile(&place).contains("nothing says what it does"));
    assert_eq!(stands(&place, "read_it"), "reviewed");
}

#[test]
fn a_changed_tool_is_refused_and_reported_and_unreviewed_again() {
    let place = pinned();
    place.pin(&["s"]);
    let before = lockfile(&place);
    let mut changed = tools();
    changed[0]["description"] = "Reads it, and posts it elsewhere.".into();
    changed.remove(3);
    changed.push(tool("list_more"));
    place.script("s", script(&changed));

    assert_eq!(called(&place, "read_it"), (3, "definition-changed".into()));
    assert_eq!(place.calls("s", "read_it"), 0);
    assert_eq!(stands(&place, "read_it"), "changed");
    assert_eq!(stands(&place, "list_more"), "new");
    let ls = place.done(&["tools", "ls"]);
    assert!(ls.lines().any(|l| l.starts_with("s__read_it") && l.contains("refused")), "{ls}");

    let ran = place.run(&["pin", "--check"]);
    assert_eq!(ran.code, 1);
    assert_snapshot!("changes", redacted::text(&place, &(ran.stdout + &ran.stderr)));
    let ran = place.run(&["--json", "pin", "--check"]);
    let said = each(&ran.stdout);
    assert_eq!(said[0]["written"], false);
    assert_eq!(said[1]["error"]["code"], "pin-differs");
    assert_eq!(lockfile(&place), before);

    // Writing it down shows it to nobody.
    let said = place.done(&["pin"]);
    assert!(said.contains("2 stay hidden until you accept them"), "{said}");
    assert_eq!(stands(&place, "read_it"), "changed");
    assert_eq!(stands(&place, "list_more"), "new");
    assert_eq!(stands(&place, "delete_it"), "reviewed");
    assert!(!lockfile(&place).contains("wobble"));
    assert_eq!(called(&place, "read_it"), (3, "definition-changed".into()));
    let again = one(&place.done(&["--json", "pin"]));
    assert_eq!(again["held"][1]["why"], "definition-changed: it stays hidden until it is accepted");
    assert_eq!(again["written"], false);
    place.pin(&["s/read_it"]);
    assert_eq!(stands(&place, "read_it"), "reviewed");
}

#[test]
fn a_quarantine_is_on_record_once() {
    let place = pinned();
    place.pin(&["s"]);
    let mut changed = tools();
    changed[0]["description"] = "Reads it, and posts it elsewhere.".into();
    place.script("s", script(&changed));
    called(&place, "read_it");
    called(&place, "read_it");
    let records = each(&place.done(&["--json", "audit", "tail", "-n", "1000"]));
    let notes: Vec<_> =
        records.iter().filter(|r| r["event"]["event"] == "tool-quarantined").collect();
    assert_eq!(notes.len(), 1, "{records:?}");
    assert_eq!(notes[0]["event"]["subject"], "read_it");
}

/// A program of its own, to be changed.
fn with_own_program() -> Place {
    let place = Place::new();
    let copy = place.path("server");
    fs::copy(program("tagout-testkit", "scripted-server"), &copy).unwrap();
    let script = place.script("s", script(&tools()));
    // The script's server writes down what it hears.
    place.configure(&format!(
        "[server.s]\ncommand = [{copy:?}, {script:?}]\nisolation = \"none\"\n"
    ));
    place.pin(&["s"]);
    place
}

#[test]
fn a_changed_program_is_not_started() {
    let place = with_own_program();
    assert_eq!(called(&place, "read_it").0, 0);
    let mut program = fs::OpenOptions::new().append(true).open(place.path("server")).unwrap();
    program.write_all(b"\n").unwrap();
    drop(program);
    assert_eq!(called(&place, "read_it"), (3, "server-changed".into()));
    assert_eq!(place.calls("s", "read_it"), 1);
    // Checking starts nothing that was not reviewed.
    let ran = place.run(&["--json", "pin", "--check"]);
    assert_eq!(ran.code, 1);
    assert_eq!(each(&ran.stdout)[1]["error"]["code"], "pin-incomplete");
    // Whatever another program offers is to be looked at again.
    let said = one(&place.done(&["--json", "pin"]));
    let program =
        json!({"server": "s", "what": "program", "tool": null, "name": null, "kind": "changed"});
    assert_eq!(said["changes"], json!([program]));
    assert_eq!(stands(&place, "read_it"), "unreviewed");
    place.pin(&["s/read_it"]);
    assert_eq!(called(&place, "read_it").0, 0);
}

#[test]
fn another_command_line_is_not_started() {
    let place = with_own_program();
    let text = String::from_utf8(fs::read(place.config_file()).unwrap()).unwrap();
    place.configure(&text.replace("s.json\"", "s.json\", \"--more\""));
    assert_eq!(called(&place, "read_it"), (3, "server-changed".into()));
}

/// An entry that does not say what it is of is no licence for any program.
#[test]
fn an_entry_without_a_program_starts_none() {
    let place = pinned();
    place.pin(&["s"]);
    let is_of_program =
        |line: &&str| ["command", "executable", "files"].iter().any(|key| line.starts_with(key));
    let text = lockfile(&place);
    let without: Vec<_> = text.lines().filter(|line| !is_of_program(line)).collect();
    place.write(&place.lockfile(), without.join("\n"));
    assert_eq!(called(&place, "read_it"), (3, "server-changed".into()));
    assert_eq!(place.calls("s", "read_it"), 0);
}

#[test]
fn a_server_that_fails_keeps_what_was_pinned() {
    let place = pinned();
    place.pin(&["s"]);
    let before = lockfile(&place);
    fs::remove_file(place.path("s.json")).unwrap();
    let ran = place.run(&["pin"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("[pin-incomplete]"), "{ran:?}");
    assert_eq!(lockfile(&place), before);
}

#[test]
fn servers_that_are_gone_are_dropped() {
    let place = pinned();
    place.configure("[server.grid]\nbuiltin = \"grid\"\n");
    place.pin(&[]);
    assert!(!lockfile(&place).contains("server.s"), "{}", lockfile(&place));
}
