//! What was said stands in the same chain as the calls that came of it.
use std::fs;

use tagout_audit::{
    Durability, ProblemKind, Reader, Said, SaidCall, SaidResult, Tokens, What,
    record::{Payload, Subject},
};
use tagout_proto::Digest;

use crate::sample::{Sample, at};

pub(crate) fn said(sample: &Sample, what: What) -> Said<'_> {
    Said {
        at: at(10),
        what,
        principal: &sample.principal,
        conversation: &sample.conversation,
        cause: None,
        model: Some("offline:planner"),
        content: Digest::of(b"salted"),
        bytes: 6,
        calls: &[],
        results: &[],
        left_out: 0,
        tokens: None,
        payload: None,
    }
}

fn payload(sample: &Sample, n: u64) -> Payload {
    let record = Reader::new(&sample.dir()).show(n).unwrap().unwrap();
    assert_eq!(Reader::new(&sample.dir()).last(1000).unwrap().last(), Some(&record));
    let Subject::Said { payload, .. } = record.subject else { panic!("{record:?}") };
    payload
}

#[test]
fn what_is_said_is_read_again_and_verifies() {
    let sample = Sample::new();
    let log = sample.write();
    let calls = [SaidCall { id: "c1".into(), tool: "grid__x".into() }];
    let results = [SaidResult { id: "c1".into(), record: Some(2) }];
    let whole = Said {
        cause: Some(2),
        calls: &calls,
        results: &results,
        tokens: Some(Tokens { input: 7, output: 9 }),
        payload: Some("{\"content\":\"hello\"}"),
        ..said(&sample, What::Response)
    };
    let n = log.say(&whole, Durability::System).unwrap();
    let record = Reader::new(&sample.dir()).show(n).unwrap().unwrap();
    let Subject::Said { said: read, .. } = record.subject else { panic!("{record:?}") };
    assert_eq!((read.what, read.cause, read.bytes), (What::Response, Some(2), 6));
    assert_eq!((read.calls.as_slice(), read.results.as_slice()), (&calls[..], &results[..]));
    assert_eq!(read.tokens, Some(Tokens { input: 7, output: 9 }));
    assert_eq!((&read.principal, &read.conversation), (&sample.principal, &sample.conversation));
    assert_eq!(payload(&sample, n), Payload::Present("{\"content\":\"hello\"}".into()));
    let report = sample.verify();
    assert!(report.ok, "{report}");
    assert_eq!((report.calls, report.payloads.present), (3, 3));
}

#[test]
fn words_are_erased_and_missed_like_arguments() {
    let sample = Sample::new();
    let log = sample.open();
    let one = Said { payload: Some("{\"content\":\"a secret\"}"), ..said(&sample, What::Prompt) };
    let n = log.say(&one, Durability::System).unwrap();
    let path = sample.dir().join("payloads-000001.jsonl");
    let before = fs::read(&path).unwrap();
    let text = String::from_utf8(before.clone()).unwrap();
    fs::write(&path, text.replace("a secret", "no secret")).unwrap();
    assert_eq!(sample.verify().problems[0].kind, ProblemKind::PayloadChanged);
    fs::write(&path, "").unwrap();
    assert_eq!(sample.verify().problems[0].kind, ProblemKind::PayloadMissing);
    fs::write(&path, before).unwrap();
    assert!(log.erase_payload(n, at(20)).unwrap());
    assert!(sample.verify().ok);
    let record = Reader::new(&sample.dir()).show(n).unwrap().unwrap();
    assert!(matches!(record.subject, Subject::Said { payload: Payload::Erased, .. }));
    let bytes = fs::read(&path).unwrap();
    assert!(!String::from_utf8(bytes).unwrap().contains("secret"));
}

#[test]
fn a_changed_word_in_the_chain_is_found() {
    let sample = Sample::new();
    let log = sample.open();
    let n = log.say(&said(&sample, What::Prompt), Durability::System).unwrap();
    log.say(&said(&sample, What::Stopped), Durability::System).unwrap();
    drop(log);
    let mut lines = sample.lines();
    let line = String::from_utf8(lines[1].clone()).unwrap();
    lines[1] = line.replace("offline:planner", "offline:scanner").into_bytes();
    sample.put(&lines);
    let report = sample.verify();
    let found = (report.problems[0].kind, report.problems[0].n);
    assert_eq!(found, (ProblemKind::Changed, Some(n)), "{report}");
}

/// A log that an older Tagout wrote has none of the new members.
#[test]
fn an_older_begin_line_is_read() {
    let sample = Sample::new();
    drop(sample.write());
    let text = String::from_utf8(sample.lines().concat()).unwrap();
    assert!(!text.contains("\"cause\"") && !text.contains("\"words\""), "{text}");
    assert!(sample.verify().ok);
}
