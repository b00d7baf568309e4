//! How commands end, for scripts.
use serde_json::{Value, json};

use crate::place::{Place, Ran, one, tool};

struct Case {
    args: &'static [&'static str],
    code: i32,
    /// The stable code of what went wrong; empty where nothing did.
    error: &'static str,
}

const fn case(args: &'static [&'static str], code: i32, error: &'static str) -> Case {
    Case { args, code, error }
}

const RISK: &str = "grid__predict_outage_risk";

/// Where the error's code is in JSON: the error that ended the command, or the call's outcome.
fn code_of(output: &str) -> Value {
    let last = one(output.lines().last().unwrap_or("null"));
    let places = ["/error/code", "/code", "/answer/calls/0/outcome/code"];
    let refused = places.iter().find_map(|place| last.pointer(place));
    refused.cloned().unwrap_or_default()
}

#[track_caller]
fn check(place: &Place, cases: &[Case]) {
    for Case { args, code, error } in cases {
        let ran = place.run(args);
        assert_eq!(ran.code, *code, "{args:?}: {ran:?}");
        let said = format!("{}{}", ran.stdout, ran.stderr);
        let marked = [format!("[{error}]"), format!("({error})"), format!("{error}\n")];
        assert!(error.is_empty() || marked.iter().any(|m| said.contains(m)), "{args:?}: {said}");
        assert_eq!(ran.stderr.is_empty(), *code != 2 && !said.contains("tagout: "), "{ran:?}");

        let with_json: Vec<_> = ["--json"].iter().chain(*args).collect();
        let ran = place.run(&with_json);
        assert_eq!(ran.code, *code, "{with_json:?}: {ran:?}");
        assert_eq!(ran.stderr, "", "{with_json:?}");
        if !error.is_empty() {
            assert_eq!(code_of(&ran.stdout), *error, "{with_json:?}: {}", ran.stdout);
        }
    }
}

#[test]
fn without_configuration() {
    let place = Place::new();
    check(
        &place,
        &[
            case(&["check"], 0, ""),
            case(&["audit", "verify"], 0, ""),
            case(&["list"], 0, ""),
            case(&["tools", "ls"], 0, ""),
            case(&["tools", "inspect", RISK], 0, ""),
            case(&["tools", "call", RISK, "equipment_id=A7"], 0, ""),
            case(&["tools", "call", RISK, r#"{"equipment_id":"A7"}"#], 0, ""),
            case(&["ask", "What is the outage risk of A7 at 20 C?"], 0, ""),
            case(&["pin"], 0, ""),
            case(&["pin", "--check"], 0, ""),
            case(&["audit", "verify"], 0, ""),
            case(&["audit", "tail"], 0, ""),
            case(&["audit", "show", "1"], 0, ""),
            // The tool itself says that it failed.
            case(&["tools", "call", RISK, "equipment_id=C99"], 1, ""),
            case(&["ask", "Delete all records"], 1, ""),
            case(&["ask", "What about A7?", "--model", "no:such"], 2, "model-unknown"),
            case(&["ask", "What about A7?", "--model", ""], 2, "model-unknown"),
            case(&["--config", "none.toml", "check"], 2, "config-missing"),
            case(&["audit", "show", "999999"], 2, "record-unknown"),
            case(&["tools", "inspect", "grid__none"], 2, "tool-unknown"),
            case(&["tools", "call", RISK, "equipment_id"], 2, "arguments-unreadable"),
            case(&["tools", "call", RISK, "{"], 2, "arguments-unreadable"),
            case(&["tools", "call", RISK, "a=1", "a=2"], 2, "arguments-unreadable"),
            case(&["tools", "call", RISK, r#"{"a":1,"a":2}"#], 2, "arguments-unreadable"),
            case(&["tools", "call", RISK, r#"a={"b":1,"b":2}"#], 2, "arguments-unreadable"),
            case(&["pin", "--accept", "none"], 2, "server-unknown"),
            case(&["pin", "--accept", "grid/"], 2, "server-unknown"),
            case(&["tools", "call", "grid__none"], 3, "subject-unknown"),
            case(&["tools", "call", "none"], 3, "subject-unknown"),
            case(&["tools", "call", RISK, "equipment_id=7"], 3, "arguments-invalid"),
            case(&["tools", "call", RISK, "equipment_id=A7", "x=1"], 3, "arguments-invalid"),
        ],
    );
}

#[test]
fn usage() {
    let place = Place::new();
    let wrong: [&[&str]; 9] = [
        &[],
        &["--no-such-flag"],
        &["no-such-command"],
        &["ask"],
        &["ask", "two", "questions"],
        &["audit", "show", "none"],
        &["audit", "tail", "-n", "-1"],
        &["add", "files"],
        &["tools"],
    ];
    for args in wrong {
        let ran = place.run(args);
        assert_eq!(ran.code, 2, "{args:?}: {ran:?}");
        assert!(
            ran.stderr.contains("Usage: tagout") || ran.stderr.contains("--help"),
            "{args:?}: {ran:?}"
        );
        assert_eq!(ran.stdout, "", "{args:?}");
        let ran = place.run(&[&["--json"], args].concat());
        assert_eq!((ran.code, ran.stderr.as_str()), (2, ""), "{args:?}: {ran:?}");
        assert_eq!(code_of(&ran.stdout), "usage-invalid", "{args:?}");
    }
    for args in [["--help"], ["--version"]] {
        let ran = place.run(&args);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
    }
}

fn writing() -> Value {
    json!({"tools": [tool("read_it"), tool("write_it")], "calls": {
        "read_it": [[{"text": "done"}]],
        "write_it": [[{"text": "done"}]],
    }})
}

#[test]
fn what_nobody_reviewed_needs_a_person() {
    let place = Place::new();
    place.scripted("s", writing());
    let unreviewed = [
        case(&["tools", "call", "s__read_it"], 4, "approval-unavailable"),
        case(&["tools", "call", "s__write_it", "text=x"], 4, "approval-unavailable"),
        case(&["pin", "--check"], 1, "pin-differs"),
    ];
    check(&place, &unreviewed);
    place.pin(&["s"]);
    let reviewed = [
        case(&["pin", "--check"], 0, ""),
        case(&["tools", "call", "s__read_it"], 0, ""),
        case(&["tools", "call", "s__write_it", "text=x"], 4, "approval-unavailable"),
    ];
    check(&place, &reviewed);
    assert_eq!(place.calls("s", "write_it"), 0);
    assert_eq!(place.calls("s", "read_it"), 2);
}

#[test]
fn policy_refuses() {
    let place = Place::new();
    place.configure("profile = \"read-only\"\n");
    place.scripted("s", writing());
    place.pin(&["s"]);
    let cases = [
        case(&["tools", "call", "s__read_it"], 0, ""),
        case(&["tools", "call", "s__write_it", "text=x"], 3, "policy-denied"),
    ];
    check(&place, &cases);
    place.write(
        &place.path("config/tagout/policies/own.cedar"),
        "@id(\"no-reading\")\nforbid (principal, action, resource);\n",
    );
    check(&place, &[case(&["tools", "call", "s__read_it"], 3, "policy-denied")]);
    let record = one(place.done(&["--json", "audit", "tail", "-n", "1"]).trim());
    assert_eq!(record["end"]["rule"], "no-reading", "{record}");
    assert_eq!(place.calls("s", "write_it"), 0);
}

#[test]
fn a_server_that_does_not_start_fails_what_needs_it() {
    let place = Place::new();
    place.configure("[server.grid]\nbuiltin = \"grid\"\n[server.bad]\ncommand = [\"/no/such\"]\n");
    let cases = [
        case(&["tools", "ls"], 1, "server-unavailable"),
        case(&["pin"], 1, "pin-incomplete"),
        case(&["tools", "call", "bad__x"], 1, ""),
        // The other servers are there all the same.
        case(&["tools", "call", "grid__predict_outage_risk", "equipment_id=A7"], 0, ""),
        case(&["check"], 0, ""),
    ];
    check(&place, &cases);
    let Ran { stdout, .. } = place.run(&["tools", "ls"]);
    assert!(stdout.contains("grid__predict_outage_risk"), "{stdout}");
}
