//! Changes to the files of the audit log show, whatever they are.
use std::{fs, path::PathBuf};

use serde_json::Value;

use crate::place::{Place, each, tool};

/// A log with every kind of line that calls make.
fn recorded() -> Place {
    let place = Place::new();
    place.configure("[server.grid]\nbuiltin = \"grid\"\n");
    place.scripted("s", serde_json::json!({"tools": [tool("write_it")]}));
    place.pin(&["s"]);
    place.done(&["tools", "call", "grid__predict_outage_risk", "equipment_id=A7"]);
    assert_eq!(place.run(&["tools", "call", "s__write_it", "text=x"]).code, 4);
    place.done(&["tools", "call", "grid__predict_outage_risk", "equipment_id=B7"]);
    place.done(&["audit", "verify"]);
    place
}

fn log(place: &Place) -> PathBuf {
    place.audit("log-000001.jsonl")
}

fn lines(path: &PathBuf) -> Vec<Vec<u8>> {
    let bytes = fs::read(path).unwrap();
    bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

/// The kinds of problems, and the numbers that go with them.
#[track_caller]
fn problems(place: &Place) -> Vec<(String, Option<u64>)> {
    let ran = place.run(&["--json", "audit", "verify"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (1, ""), "{ran:?}");
    let said = each(&ran.stdout);
    let last = said.last().unwrap();
    let code = last["error"]["code"].as_str().unwrap();
    assert!(["audit-not-valid", "audit-corrupt", "audit-key"].contains(&code), "{last}");
    let text = place.run(&["audit", "verify"]);
    assert_eq!(text.code, 1);
    assert!(text.stderr.contains(&format!("[{code}]")), "{text:?}");
    let kind = |problem: &Value| problem["kind"].as_str().unwrap().to_owned();
    let listed = said[0]["problems"].as_array().cloned().unwrap_or_default();
    listed.iter().map(|problem| (kind(problem), problem["n"].as_u64())).collect()
}

#[test]
fn one_changed_byte_in_any_kind_of_line() {
    let place = recorded();
    let log = log(&place);
    let before = lines(&log);
    for kind in ["genesis", "begin", "decision", "end"] {
        let marked = format!("\"kind\":\"{kind}\"");
        let is_one = |line: &Vec<u8>| String::from_utf8_lossy(line).contains(&marked);
        let number = before.iter().position(is_one).unwrap_or_else(|| panic!("no {kind}"));
        let length = before[number].len();
        // Numbers, names, digests, quotes, the line's own hash.
        for at in [2, length / 4, length / 2, length * 3 / 4, length - 4] {
            let mut after = before.clone();
            after[number][at] ^= 1;
            fs::write(&log, after.concat()).unwrap();
            let problems = problems(&place);
            let near = |n: Option<u64>| n.is_none_or(|n| n.abs_diff(number as u64) <= 1);
            assert!(!problems.is_empty(), "{kind}, byte {at}");
            assert!(problems.iter().any(|(_, n)| near(*n)), "{kind}, byte {at}: {problems:?}");
        }
    }
    fs::write(&log, before.concat()).unwrap();
    place.done(&["audit", "verify"]);
}

#[test]
fn one_changed_byte_beside_the_chain() {
    for file in ["payloads-000001.jsonl", "head"] {
        let place = recorded();
        let path = place.audit(file);
        let before = fs::read(&path).unwrap();
        for at in [3, before.len() / 2, before.len() - 5] {
            let mut after = before.clone();
            after[at] ^= 1;
            fs::write(&path, after).unwrap();
            let problems = problems(&place);
            let right = |(kind, _): &(String, _)| match file {
                "head" => kind == "head" || kind == "cut",
                _ => kind.starts_with("payload"),
            };
            assert!(problems.iter().any(right), "{file}, byte {at}: {problems:?}");
        }
        fs::write(&path, before).unwrap();
        place.done(&["audit", "verify"]);
    }
}

#[test]
fn lines_that_are_gone_or_elsewhere_or_too_many() {
    let place = recorded();
    let log = log(&place);
    let before = lines(&log);
    let middle = before.len() / 2;
    type Change = fn(&mut Vec<Vec<u8>>, usize);
    let changes: [(&str, Change); 5] = [
        ("removed", |lines, at| drop(lines.remove(at))),
        ("reordered", |lines, at| lines.swap(at, at + 1)),
        ("inserted", |lines, at| lines.insert(at, lines[at].clone())),
        ("cut", |lines, _| drop(lines.pop())),
        ("cut", |lines, at| lines.truncate(at)),
    ];
    for (kind, change) in changes {
        let mut after = before.clone();
        change(&mut after, middle);
        fs::write(&log, after.concat()).unwrap();
        let problems = problems(&place);
        assert!(problems.iter().any(|(found, _)| found == kind), "{kind}: {problems:?}");
    }
    fs::write(&log, b"").unwrap();
    assert!(!problems(&place).is_empty());
    fs::write(&log, before.concat()).unwrap();
    place.done(&["audit", "verify"]);
}

#[test]
fn files_that_are_gone() {
    for file in ["head", "log-000001.jsonl", "payloads-000001.jsonl"] {
        let place = recorded();
        fs::remove_file(place.audit(file)).unwrap();
        problems(&place);
    }
}

/// What was cut is missed before it is written over, too.
#[test]
fn a_cut_tail_stops_the_next_writer_or_stays_on_record() {
    let place = recorded();
    let log = log(&place);
    let mut after = lines(&log);
    after.truncate(after.len() - 4);
    fs::write(&log, after.concat()).unwrap();
    place.run(&["tools", "call", "grid__predict_outage_risk", "equipment_id=A7"]);
    let problems = problems(&place);
    assert!(!problems.is_empty(), "a later call must not heal the log");
}
