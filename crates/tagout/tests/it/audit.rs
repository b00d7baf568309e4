//! Reading the audit log.
use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use insta::assert_snapshot;
use serde_json::json;

use crate::{
    mcp_client::Client,
    place::{Place, TAGOUT, each, finish, one},
    redacted,
};

const CALL: [&str; 4] = ["tools", "call", "grid__predict_outage_risk", "equipment_id=A7"];

#[test]
fn records_as_text_and_as_json() {
    let place = Place::new();
    let outcome = one(&place.done(&[&["--json"], &CALL[..]].concat()));
    let number = outcome["decision"]["record"].to_string();
    let record = place.done(&["audit", "show", &number]);
    assert_snapshot!("audit_show", redacted::text(&place, &record));
    let record = one(&place.done(&["--json", "audit", "show", &number]));
    assert_snapshot!("audit_show_json", redacted::shown(&record));
    let payload = one(record["payload"]["text"].as_str().unwrap());
    assert_eq!(payload["arguments"], json!({"equipment_id": "A7"}), "{payload}");
    assert_eq!(record["begin"]["origin"]["transport"], "memory");
    assert_eq!(record["begin"]["conversation"].as_str().unwrap().len(), 32);

    let tail = place.done(&["audit", "tail"]);
    let user = record["begin"]["principal"]["user"].as_str().unwrap();
    let tail = tail.replace(&format!("Z  {user}"), "Z  <user>");
    // Servers start beside the first calls.
    let calls = tail.lines().filter(|line| !line.contains("server-started"));
    let calls: Vec<_> = calls.map(|l| l.trim_start_matches(|c: char| c.is_ascii_digit())).collect();
    assert_snapshot!("audit_tail", redacted::text(&place, &calls.join("\n")));
    let records = each(&place.done(&["--json", "audit", "tail", "-n", "1"]));
    assert_eq!(records, [record]);
    assert_eq!(place.done(&["audit", "tail", "-n", "0"]), "");
}

#[test]
fn a_report_as_text_and_as_json() {
    let place = Place::new();
    place.done(&CALL);
    let report = place.done(&["audit", "verify"]);
    assert_snapshot!("audit_verify", redacted::text(&place, &report));
    let report = one(&place.done(&["--json", "audit", "verify"]));
    assert_snapshot!("audit_verify_json", redacted::shown(&report));
    assert_eq!(report["ok"], true);
    assert_eq!(report["key_given"], true);
    // Reading leaves no trace.
    assert_eq!(one(&place.done(&["--json", "audit", "verify"]))["lines"], report["lines"]);
}

/// A model chooses names and URIs; none of them can look like a record of its own.
#[test]
fn a_record_is_one_line_whatever_it_is_about() {
    let place = Place::new();
    let mut client = Client::start(&place);
    client.frames.initialize();
    let forged = "none\n99  2026-01-02 03:04:05Z  root  tools/call files: ok  ok\r\tx";
    client.frames.call(forged, &json!({}));
    client.frames.request("resources/read", &json!({"uri": forged}));
    client.leave();
    let tail = place.done(&["audit", "tail"]);
    assert!(!tail.lines().any(|line| line.starts_with("99 ")), "{tail}");
    assert!(!tail.contains(['\r', '\t']), "{tail}");
    let number = each(&place.done(&["--json", "audit", "tail", "-n", "1"]))[0]["n"].to_string();
    let shown = place.done(&["audit", "show", &number]);
    assert!(!shown.lines().any(|line| line.starts_with("99 ")), "{shown}");
    assert!(shown.contains("none<U+000A>99"), "{shown}");
}

#[test]
fn what_was_never_recorded_cannot_be_read() {
    let place = Place::new();
    let said = place.done(&["audit", "verify"]);
    assert!(said.starts_with("nothing is recorded yet"), "{said}");
    assert_eq!(one(&place.done(&["--json", "audit", "verify"]))["ok"], true);
    for args in [&["audit", "tail"][..], &["audit", "show", "0"]] {
        assert!(place.done(args).starts_with("nothing is recorded yet"), "{args:?}");
    }
    assert!(!place.path("state").exists(), "reading writes nothing");
}

#[test]
fn a_log_that_was_taken_away_is_missed() {
    let place = Place::new();
    place.done(&CALL);
    fs::remove_dir_all(place.path("state/tagout/audit")).unwrap();
    assert_eq!(place.run(&["audit", "verify"]).code, 1);
    // No key, no log: but the head of the log names the key, and its owner has it.
    let place = Place::new();
    place.done(&CALL);
    fs::remove_dir_all(place.path("data")).unwrap();
    let report = one(&place.done(&["--json", "audit", "verify"]));
    assert_eq!(report["key_given"], false);
}

#[test]
fn four_gateways_keep_one_log() {
    const CALLS: u64 = 50;
    let place = Place::new();
    let mut clients: Vec<_> = (0..4).map(|_| Client::start(&place)).collect();
    for client in &mut clients {
        client.frames.initialize();
    }
    // All of them at once: nobody waits for an answer before everything is asked.
    let mut asked = Vec::new();
    for n in 0..CALLS {
        for client in &mut clients {
            let arguments = json!({"equipment_id": "A7", "weather_data": {"temp_c": n}});
            let call = json!({"name": "grid__predict_outage_risk", "arguments": arguments});
            asked.push(client.frames.ask("tools/call", &call));
        }
    }
    for (n, id) in asked.into_iter().enumerate() {
        let answer = clients[n % 4].frames.answer_in_any_order(id);
        assert!(answer["result"]["_meta"]["tagout/record"].is_u64(), "{answer}");
    }
    clients.into_iter().for_each(Client::leave);

    let report = one(&place.done(&["--json", "audit", "verify"]));
    assert_eq!(report["open"], json!([]));
    let records = each(&place.done(&["--json", "audit", "tail", "-n", "10000"]));
    let of = |pid: &serde_json::Value| {
        let calls = records.iter().filter(|record| {
            record["begin"]["method"] == "tools/call"
                && record["begin"]["origin"]["gateway_pid"] == *pid
        });
        calls.count() as u64
    };
    let mut pids: Vec<_> =
        records.iter().filter_map(|r| r.pointer("/begin/origin/gateway_pid")).collect();
    pids.sort_by_key(|pid| pid.as_u64());
    pids.dedup();
    assert_eq!(pids.iter().map(|pid| of(pid)).collect::<Vec<_>>(), [CALLS; 4]);
    let conversations: std::collections::BTreeSet<_> = records
        .iter()
        .filter_map(|record| record.pointer("/begin/conversation")?.as_str())
        .collect();
    assert_eq!(conversations.len(), 4);
}

fn modes(folder: &Path, found: &mut Vec<(String, u32)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let mode = fs::symlink_metadata(&path).unwrap().permissions().mode() & 0o7777;
        found.push((path.display().to_string(), mode));
        if path.is_dir() {
            modes(&path, found);
        }
    }
}

#[test]
fn what_is_kept_is_its_owners_whatever_the_umask() {
    let place = Place::new();
    let script = "umask 000; exec \"$0\" \"$@\"";
    for args in [&["ask", "Show me the hourly load profile"][..], &CALL, &["pin"]] {
        let args = [&["-c", script, TAGOUT], args].concat();
        let ran = finish(place.program("/bin/sh", &args));
        assert_eq!(ran.code, 0, "{ran:?}");
    }
    let mut found = Vec::new();
    modes(place.root(), &mut found);
    assert!(found.len() > 8, "{found:?}");
    for (path, mode) in found {
        let wanted = if Path::new(&path).is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode, wanted, "{path} has {mode:o}");
    }
}
