//! Payloads stand beside the chain.
use std::fs;

use tagout_audit::{
    ProblemKind, Reader,
    record::{Payload, Subject},
};

use crate::sample::{Sample, at};

type Change = fn(String) -> String;
type Expected = &'static [(ProblemKind, u64)];

fn payload(sample: &Sample, n: u64) -> Payload {
    let record = Reader::new(&sample.dir()).show(n).unwrap().unwrap();
    let last = Reader::new(&sample.dir()).last(1000).unwrap();
    assert!(last.contains(&record), "both ways of reading agree");
    match record.subject {
        Subject::Call(call) => call.payload,
        Subject::Said { payload, .. } => payload,
        Subject::Other { event } => panic!("{event:?}"),
    }
}

#[test]
fn an_erased_payload_leaves_the_chain_valid() {
    let sample = Sample::new();
    let log = sample.write();
    assert_eq!(payload(&sample, 2), Payload::Present("{\"a\":1}".into()));
    assert!(log.erase_payload(2, at(20)).unwrap());
    assert!(!log.erase_payload(2, at(20)).unwrap());
    assert!(!log.erase_payload(8, at(20)).unwrap(), "it has none");
    assert!(!log.erase_payload(999, at(20)).unwrap());
    assert_eq!(payload(&sample, 2), Payload::Erased);
    assert_eq!(payload(&sample, 5), Payload::Present("{\"b\":2}".into()));
    let report = sample.verify();
    assert!(report.ok, "{report}");
    assert_eq!((report.payloads.present, report.payloads.erased), (1, 1));
    let bytes = fs::read(sample.dir().join("payloads-000001.jsonl")).unwrap();
    assert!(!String::from_utf8(bytes).unwrap().contains("\\\"a\\\""));
}

#[test]
fn many_payloads_are_erased_at_once() {
    let sample = Sample::new();
    let log = sample.open();
    let begin = |n: usize| {
        let text = format!("{{\"of\":{n}}}");
        log.begin(&sample.begin(1, Some(&text)), tagout_audit::Durability::System).unwrap().number()
    };
    let numbers: Vec<u64> = (0..700).map(begin).collect();
    let odd: std::collections::BTreeSet<u64> = numbers.iter().copied().skip(1).step_by(2).collect();
    let asked = odd.iter().copied().chain([0, 99_999]).collect();
    assert_eq!(log.erase_payloads(&asked, at(30)).unwrap(), 350);
    assert_eq!(log.erase_payloads(&asked, at(30)).unwrap(), 0);
    let report = sample.verify();
    assert!(report.ok, "{report}");
    assert_eq!((report.payloads.present, report.payloads.erased), (350, 350));
    assert_eq!(payload(&sample, numbers[699]), Payload::Erased);
    assert_eq!(payload(&sample, numbers[698]), Payload::Present("{\"of\":698}".into()));
}

#[test]
fn payloads_that_were_tampered_with_are_found() {
    let cases: &[(&str, Change, Expected)] = &[
        ("text", |t| t.replace("\\\"a\\\":1", "\\\"a\\\":2"), &[(ProblemKind::PayloadChanged, 2)]),
        ("number", |t| t.replace("\"n\":2", "\"n\":1"), &[(ProblemKind::PayloadMissing, 2)]),
        ("line", |t| t.replace("{\"n\":2", "{\"n\":"), &[(ProblemKind::PayloadMissing, 2)]),
        (
            "exchanged",
            |t| t.replace("\"n\":2", "\"n\":X").replace("\"n\":5", "\"n\":2").replace('X', "5"),
            &[(ProblemKind::PayloadChanged, 5), (ProblemKind::PayloadMissing, 2)],
        ),
        (
            "all",
            |_| String::new(),
            &[(ProblemKind::PayloadMissing, 2), (ProblemKind::PayloadMissing, 5)],
        ),
    ];
    for (name, change, expected) in cases {
        let sample = Sample::new();
        drop(sample.write());
        let path = sample.dir().join("payloads-000001.jsonl");
        let text = String::from_utf8(fs::read(&path).unwrap()).unwrap();
        fs::write(&path, change(text)).unwrap();
        let report = sample.verify();
        let found: Vec<_> =
            report.problems.iter().map(|problem| (problem.kind, problem.n.unwrap())).collect();
        assert_eq!(found, *expected, "{name}: {report}");
    }
}

#[test]
fn equal_payloads_do_not_look_equal_in_the_chain() {
    let sample = Sample::new();
    let log = sample.open();
    for second in 0..2 {
        drop(log.begin(&sample.begin(second, Some("same")), tagout_audit::Durability::System));
    }
    let digests: Vec<String> = sample
        .lines()
        .iter()
        .filter_map(|line| {
            let text = String::from_utf8(line.clone()).unwrap();
            text.split("\"payload\":\"").nth(1).map(|rest| rest.chars().take(71).collect())
        })
        .collect();
    assert_eq!(digests.len(), 2);
    assert_ne!(digests[0], digests[1]);
}
