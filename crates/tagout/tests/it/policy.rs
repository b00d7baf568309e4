//! `tagout policy`: rules checked, tested, explained, tried out and learnt, and rules that change
//! while calls are made.
use std::fs;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::{
    mcp_client::Client,
    place::{Place, each, one, within_limit},
};

/// A server of files, pinned and reviewed.
fn files() -> Place {
    let place = Place::new();
    let tool = |name: &str, annotations: Value| {
        json!({
            "name": name, "description": format!("Does {name}."), "annotations": annotations,
            "inputSchema": {
                "type": "object", "required": ["path"],
                "properties": {
                    "path": {"type": "string"}, "depth": {"type": "integer"},
                    "token": {"type": "string"}
                }
            }
        })
    };
    let script = json!({
        "tools": [
            tool("read_file", json!({"readOnlyHint": true})),
            tool("write_file", json!({"readOnlyHint": false, "destructiveHint": false})),
        ],
        "calls": {"read_file": [[{"text": "text"}]], "write_file": [[{"text": "written"}]]}
    });
    place.scripted("files", script);
    place.pin(&["files"]);
    place
}

const OWN: &str = r#"@id("write-notes")
permit (principal, action == Action::"files__write_file", resource)
when { context.arguments.path like "/srv/notes/*" };

@id("not-deep")
@reason("nobody reads that deep")
forbid (principal, action == Action::"files__read_file", resource)
when { context.arguments has depth && context.arguments.depth > 3 };
"#;

impl Place {
    fn rules(&self, folder: &str, text: &str) {
        self.write(&self.path(folder).join("own.cedar"), text);
    }
}

/// The folder of rules that hold.
const HOLD: &str = "config/tagout/policies";

/// The code of a refusal, or `ok`.
fn code(answer: &Value) -> &str {
    answer["error"]["data"]["code"].as_str().unwrap_or("ok")
}

/// Some calls on record.
fn traffic(place: &Place) {
    let mut client = Client::start(place);
    client.frames.initialize();
    for n in 1..4 {
        let path = format!("/srv/notes/{n}.md");
        client.frames.call("files__read_file", &json!({"path": path, "depth": n}));
        client.frames.call("files__write_file", &json!({"path": path}));
    }
    client.frames.call("files__read_file", &json!({"path": "/", "depth": 9}));
    client.frames.call("files__write_file", &json!({"path": "/etc/passwd"}));
    client.frames.call("files__read_file", &json!({"path": "/srv", "token": "ghp_000000"}));
    client.leave();
}

/// The numbers of the records of calls with this outcome.
fn numbers(place: &Place, refusal: &str) -> Vec<u64> {
    let records = each(&place.done(&["--json", "audit", "tail", "-n", "200"]));
    let refused = records.iter().filter(|record| record["end"]["refusal"] == refusal);
    refused.map(|record| record["n"].as_u64().unwrap()).collect()
}

#[test]
fn rules_are_checked_against_what_is_pinned() {
    let place = files();
    place.rules(HOLD, OWN);
    let checked = one(&place.done(&["--json", "policy", "check"]));
    assert_eq!(checked["tools"], json!(["files__read_file", "files__write_file"]));
    let ids: Vec<_> = checked["rules"].as_array().unwrap().iter().map(|r| &r["id"]).collect();
    assert!(ids.contains(&&json!("not-deep")), "{checked}");
    assert!(place.done(&["policy", "check"]).ends_with("all is well\n"));
    let schema = place.done(&["policy", "schema"]);
    assert!(schema.contains("files__read_file"), "{schema}");

    place.rules("other", &OWN.replace("depth > 3", "dept > 3"));
    let ran = place.run(&["policy", "check", place.path("other").to_str().unwrap()]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("own.cedar:8"), "{}", ran.stderr);
    let ran = place.run(&["policy", "check", "nowhere"]);
    assert_eq!(ran.code, 1, "{ran:?}");
}

#[test]
fn rules_that_would_not_be_read_are_errors() {
    let forbid = "@id(\"no\")\nforbid (principal, action, resource);\n";
    for (entry, said) in [
        ("RULES.Cedar", "in small letters"),
        ("x.CEDAR", "in small letters"),
        ("more/x.cedar", "folders in a folder of rules are not read"),
    ] {
        let place = files();
        place.rules(HOLD, OWN);
        let path = place.path(HOLD).join(entry);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        place.write(&path, forbid);
        let ran = place.run(&["policy", "check"]);
        assert_eq!(ran.code, 1, "{ran:?}");
        let name = entry.split('/').next().unwrap();
        assert!(ran.stderr.contains(name) && ran.stderr.contains(said), "{}", ran.stderr);
    }
    // What keeps a folder in order is nobody's rule.
    let place = files();
    place.rules(HOLD, OWN);
    fs::create_dir(place.path(HOLD).join(".git")).unwrap();
    place.write(&place.path(HOLD).join("README.md"), "rules of ours");
    place.done(&["policy", "check"]);
}

#[test]
fn what_is_not_there_is_said_to_be_missing() {
    let place = files();
    let error = |arguments: &[&str]| {
        let ran = place.run(&[&["--json"], arguments].concat());
        let error = one(&ran.stdout)["error"].take();
        (ran.code, error["code"].clone(), error["message"].as_str().unwrap().to_owned())
    };
    let (exit, code, message) = error(&["policy", "test", "nothing.toml"]);
    assert_eq!((exit, code), (1, json!("file-unusable")));
    assert_eq!(message, "there is no file `nothing.toml`");
    let fresh = Place::new().run(&["--json", "policy", "explain", "1"]);
    let said = one(&fresh.stdout)["error"].take();
    assert_eq!((fresh.code, &said["code"]), (2, &json!("record-unknown")));
    let message = said["message"].as_str().unwrap();
    assert!(message.starts_with("nothing is recorded yet in `"), "{message}");
    let (exit, code, message) = error(&["policy", "replay", "--candidate", "nope"]);
    assert_eq!((exit, code), (1, json!("file-unusable")));
    assert_eq!(message, "`nope`: there is no such folder");
}

#[test]
fn cases_are_put_to_rules() {
    let place = files();
    place.rules(HOLD, OWN);
    let cases = r#"
        [[case]]
        name = "notes are written"
        as = "ann"
        tool = "files__write_file"
        arguments = { path = "/srv/notes/a" }
        expect = "allow"
        rule = "write-notes"

        [[case]]
        name = "elsewhere a person is asked"
        tool = "files__write_file"
        arguments = { path = "/etc/passwd" }
        expect = "ask"
        demand = { own = true }

        [[case]]
        name = "and then it may be"
        tool = "files__write_file"
        arguments = { path = "/etc/passwd" }
        approval = { own = true }
        expect = "allow"

        [[case]]
        name = "a tool as if it were not reviewed"
        tool = "files__read_file"
        reviewed = false
        arguments = { path = "/srv" }
        expect = "ask"

        [[case]]
        name = "resources of a server that nobody looked at"
        server = "files"
        resource = "note:1"
        expect = "ask"
    "#;
    let file = place.path("cases.toml");
    place.write(&file, cases);
    let file = file.to_str().unwrap();
    assert_snapshot!(place.done(&["policy", "test", file]), @r"
    ok      notes are written: allow by `write-notes`
    ok      elsewhere a person is asked: ask by `ask-before-writes`
    ok      and then it may be: allow by `ask-before-writes`
    ok      a tool as if it were not reviewed: ask by `ask-before-writes`
    ok      resources of a server that nobody looked at: ask by `ask-before-writes`

    5 of 5 cases passed
    ");
    // The same cases fail under other rules, and each says how.
    fs::create_dir(place.path("none")).unwrap();
    let none = place.path("none");
    let ran = place.run(&["policy", "test", file, "--policies", none.to_str().unwrap()]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert_snapshot!(ran.stdout, @r"
    FAILED  notes are written: expected allow, got ask; expected by `write-notes`, got by `ask-before-writes`
            ask by `ask-before-writes`: it is not reviewed as only reading, so a person must approve it
    ok      elsewhere a person is asked: ask by `ask-before-writes`
    ok      and then it may be: allow by `ask-before-writes`
    ok      a tool as if it were not reviewed: ask by `ask-before-writes`
    ok      resources of a server that nobody looked at: ask by `ask-before-writes`

    4 of 5 cases passed
    ");
}

#[test]
fn cases_that_say_nothing_are_errors() {
    let place = files();
    let file = place.path("cases.toml");
    let case = "[[case]]\nname = \"a\"\nexpect = \"deny\"\n";
    for (text, problem) in [
        (String::new(), "no `[[case]]`"),
        (case.to_owned(), "about one thing"),
        (format!("{case}tool = \"files__raed\"\n"), "no tool `files__raed` is pinned"),
        (format!("{case}tool = \"files__read_file\"\ngrups = []\n"), "unknown field `grups`"),
        (format!("{case}tool = \"files__read_file\"\nprompt = \"p\"\n"), "about one thing"),
        (format!("{case}resource = \"note:1\"\n"), "some server's"),
        (format!("{case}tool = \"files__read_file\"\nnow = 2026-01-01\n"), "no moment"),
        (
            format!("{case}tool = \"files__read_file\"\narguments = {{ at = 2026-01-01 }}\n"),
            "is a date",
        ),
    ] {
        place.write(&file, &text);
        let ran = place.run(&["--json", "policy", "test", file.to_str().unwrap()]);
        let error = &one(&ran.stdout)["error"];
        assert_eq!((ran.code, &error["code"]), (2, &json!("cases-invalid")), "{text}");
        assert!(error["message"].as_str().unwrap().contains(problem), "{text}: {error}");
    }
}

#[test]
fn a_refusal_is_explained_with_what_would_decide_otherwise() {
    let place = files();
    place.rules(HOLD, OWN);
    traffic(&place);
    let denied = numbers(&place, "policy-denied");
    let [denied] = denied.as_slice() else { panic!("{denied:?}") };
    let record = place.record(*denied);
    let number = denied.to_string();
    // The caller gets no more than a code, the rule and the record; the operator the rest.
    let explained = one(&place.done(&["--json", "policy", "explain", &number]));
    assert_eq!(explained["decided"], "deny");
    assert_eq!(explained["rule"], "not-deep");
    assert_eq!(explained["today"]["same"], true);
    assert_eq!(explained["today"]["policy_version"], record["end"]["policy"]);
    assert_eq!(explained["rules"][0]["id"], "not-deep");
    assert_eq!(explained["changes"][0]["what"], json!({"without-rule": "not-deep"}));
    let text = place.done(&["policy", "explain", &number]);
    assert!(text.contains("nobody reads that deep"), "{text}");
    let shown = place.done(&["audit", "show", &number]);
    assert!(shown.contains("remedy"), "{shown}");

    // Other rules today: it says so.
    place.rules(HOLD, &OWN.replace("> 3", "> 30"));
    let explained = one(&place.done(&["--json", "policy", "explain", &number]));
    assert_eq!(explained["today"]["same"], false);
    assert_eq!(explained["today"]["verdict"]["decision"], "allow");

    let asked = numbers(&place, "approval-unavailable")[0].to_string();
    let text = place.done(&["policy", "explain", &asked]);
    assert!(text.contains("tagout approve"), "{text}");
    // What never came to a decision cannot be explained.
    let records = each(&place.done(&["--json", "audit", "tail", "-n", "200"]));
    let first = records.iter().find(|r| r["begin"]["method"] == "initialize").unwrap();
    let ran = place.run(&["--json", "policy", "explain", &first["n"].to_string()]);
    assert_eq!(one(&ran.stdout)["error"]["code"], "record-not-decided");
}

#[test]
fn recorded_traffic_is_put_to_a_candidate() {
    let place = files();
    place.rules(HOLD, OWN);
    traffic(&place);
    let candidate = OWN.replace("depth > 3", "depth > 1").replace("/srv/notes/*", "/etc/*");
    place.rules("candidate", &candidate);
    let folder = place.path("candidate");
    let folder = folder.to_str().unwrap();
    let replayed = one(&place.done(&["--json", "policy", "replay", "--candidate", folder]));
    assert_eq!(replayed["decided"], 8, "{replayed}");
    let changes: Vec<_> = replayed["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| json!([c["from"], c["to"], c["subject"], c["rule"], c["candidate"], c["count"]]))
        .collect();
    assert_eq!(
        json!(changes),
        json!([
            ["ask", "allow", "files__write_file", "ask-before-writes", "write-notes", 1],
            ["allow", "deny", "files__read_file", "read-freely", "not-deep", 2],
            ["allow", "ask", "files__write_file", "write-notes", "ask-before-writes", 3],
        ])
    );
    // A secret was taken out of one call, and the rules look at that call's arguments.
    assert_eq!(replayed["left_out"][0]["count"], 1, "{replayed}");
    let text = place.done(&["policy", "replay", "--candidate", folder]);
    assert!(text.starts_with("8 calls decided again, 6 of them otherwise\n"), "{text}");
    // Against the rules that hold nothing differs.
    let hold = place.path(HOLD);
    let same = place.done(&["--json", "policy", "replay", "--candidate", hold.to_str().unwrap()]);
    assert_eq!(one(&same)["changes"], json!([]));
    let ran = place.run(&["--json", "policy", "replay", "nowhere", "--candidate", folder]);
    assert_eq!(one(&ran.stdout)["error"]["code"], "log-missing");
}

#[test]
fn learnt_rules_let_through_what_was_let_through() {
    let place = files();
    place.rules(HOLD, OWN);
    traffic(&place);
    let ran = place.run(&["policy", "learn"]);
    // What a call said of which a secret was taken out is not known, and so opens nothing.
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("a secret was taken out of its arguments"), "{}", ran.stderr);
    assert!(ran.stderr.contains("1 of 7 calls on record are not covered"), "{}", ran.stderr);
    place.rules("learnt", &ran.stdout);
    let folder = place.path("learnt");
    let folder = folder.to_str().unwrap();
    place.done(&["policy", "check", folder, "--profile", "none"]);
    let replay = ["--json", "policy", "replay", "--candidate", folder, "--profile", "none"];
    let replayed = one(&place.done(&replay));
    for change in replayed["changes"].as_array().unwrap() {
        // Only what nobody had let through either.
        assert_ne!(change["from"], "allow", "{replayed}");
    }
    let nothing = Place::new();
    let ran = nothing.run(&["--json", "policy", "learn"]);
    assert_eq!(one(&ran.stdout)["error"]["code"], "log-missing");
}

/// Waits until the log has `count` notes of `event`.
#[track_caller]
fn noted(place: &Place, event: &str, count: usize) -> Value {
    let found = within_limit(|| {
        let records = each(&place.done(&["--json", "audit", "tail", "-n", "200"]));
        let mut notes: Vec<_> = records
            .into_iter()
            .map(|mut r| r["event"].take())
            .filter(|e| e["event"] == event)
            .collect();
        (notes.len() >= count).then(|| notes.swap_remove(count - 1))
    });
    found.unwrap_or_else(|| panic!("no {event}"))
}

#[test]
fn rules_change_whole_or_not_at_all_while_calls_are_made() {
    let place = files();
    place.rules(HOLD, OWN);
    let mut client = Client::start(&place);
    client.frames.initialize();
    let shallow = json!({"path": "/", "depth": 2});
    assert_eq!(code(&client.frames.call("files__read_file", &shallow)), "ok");

    place.rules(HOLD, &OWN.replace("depth > 3", "depth > 1"));
    let loaded = noted(&place, "policy-loaded", 1);
    assert!(loaded["digest"].as_str().unwrap().starts_with("sha256:"), "{loaded}");
    // They are on record before they hold.
    within_limit(|| {
        (code(&client.frames.call("files__read_file", &shallow)) == "policy-denied").then_some(())
    })
    .unwrap();

    // A file that is wrong changes nothing, not even in what is right in it.
    place.rules(HOLD, &OWN.replace("depth > 3", "dept > 1").replace("/srv/notes/*", "/*"));
    let rejected = noted(&place, "policy-rejected", 1);
    assert!(rejected["detail"].as_str().unwrap().contains("own.cedar:8:"), "{rejected}");
    assert_eq!(code(&client.frames.call("files__read_file", &shallow)), "policy-denied");
    let elsewhere = json!({"path": "/etc/passwd"});
    assert_eq!(code(&client.frames.call("files__write_file", &elsewhere)), "approval-unavailable");

    // Rules that are gone may have been what forbids.
    fs::rename(place.path(HOLD), place.path("away")).unwrap();
    noted(&place, "policy-rejected", 2);
    assert_eq!(code(&client.frames.call("files__read_file", &shallow)), "policy-denied");
    fs::rename(place.path("away"), place.path(HOLD)).unwrap();

    // Lists are by the rules, so the client hears that they may be others.
    place.rules(
        HOLD,
        "@id(\"none\")\nforbid (principal, action in Action::\"call-tool\", resource);",
    );
    noted(&place, "policy-loaded", 2);
    loop {
        let frame = client.frames.next().unwrap();
        if frame["method"] == "notifications/tools/list_changed" {
            break;
        }
    }
    let listed = client.frames.result("tools/list", &json!({}));
    assert_eq!(listed["tools"], json!([]));
    client.leave();
}

#[test]
fn rules_on_trial_are_asked_and_not_heeded() {
    let place = files();
    place.rules(HOLD, OWN);
    place.rules("trial", &OWN.replace("depth > 3", "depth > 1"));
    let config = fs::read(place.config_file()).unwrap();
    let config = String::from_utf8(config).unwrap();
    let trial = place.path("trial");
    place.configure(&format!("{config}\n[shadow]\npolicies = {:?}\n", trial.to_str().unwrap()));
    let mut client = Client::start(&place);
    client.frames.initialize();
    let answer = client.frames.call("files__read_file", &json!({"path": "/", "depth": 2}));
    assert_eq!(code(&answer), "ok");
    let record = answer["result"]["_meta"]["tagout/record"].as_u64().unwrap();
    client.frames.call("files__read_file", &json!({"path": "/", "depth": 1}));
    // On trial that are wrong, none are; and what holds is followed all the same.
    place.rules("trial", "forbid");
    noted(&place, "policy-rejected", 1);
    place.rules(HOLD, &OWN.replace("depth > 3", "depth > 0"));
    noted(&place, "policy-loaded", 1);
    let answer = client.frames.call("files__read_file", &json!({"path": "/", "depth": 1}));
    assert_eq!(code(&answer), "policy-denied");
    client.leave();
    let record = place.record(record);
    assert_eq!(record["decision"]["shadow"], json!({"verdict": "deny", "rule": "not-deep"}));
    let tail = place.done(&["audit", "tail", "-n", "50"]);
    assert_eq!(tail.matches("on trial: deny by not-deep").count(), 1, "{tail}");
    place.rules("trial", OWN);
    let folder = trial.to_str().unwrap();
    let replayed = one(&place.done(&["--json", "policy", "replay", "--candidate", folder]));
    let shadow = replayed["shadow"].as_array().unwrap();
    assert!(
        shadow.iter().any(|change| change["to"] == "deny" && change["count"] == 1),
        "{shadow:?}"
    );
}

/// The cases that the manual shows pass.
#[test]
fn the_manual_s_cases_pass() {
    let page = include_str!("../../../../docs/policy-tools.md");
    let cases = page.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let place = files();
    let file = place.path("cases.toml");
    place.write(&file, cases);
    let said = place.done(&["policy", "test", file.to_str().unwrap()]);
    let shown = page.split("$ tagout policy test cases.toml\n").nth(1).unwrap();
    assert_eq!(said, shown.split("```").next().unwrap());
}
