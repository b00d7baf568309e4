//! A log of several files.
use std::fs;

use tagout_audit::{Durability, ProblemKind, Reader, record::Subject};

use crate::sample::{Sample, allow, ok};

fn many(sample: &Sample, calls: u32) {
    let log = sample.open_small(4000);
    for call in 0..calls {
        let text = format!("{{\"call\":{call}}}");
        log.begin_decided(&sample.begin(1, Some(&text)), &allow(1), Durability::System)
            .unwrap()
            .end(&ok(2), Durability::System)
            .unwrap();
    }
}

#[test]
fn a_log_goes_on_in_the_next_file() {
    let sample = Sample::new();
    many(&sample, 20);
    many(&sample, 20);
    // A writer that knows of one file only catches up over all of them.
    let behind = sample.open_small(1 << 20);
    many(&sample, 20);
    behind
        .begin(&sample.begin(3, None), Durability::Disk)
        .unwrap()
        .end(&ok(3), Durability::Disk)
        .unwrap();
    let report = sample.verify();
    assert!(report.ok, "{report}");
    assert!(report.segments > 5, "{report}");
    assert_eq!((report.calls, report.payloads.present), (61, 60));

    let reader = Reader::new(&sample.dir());
    let last = reader.last(50).unwrap();
    assert_eq!(last.len(), 50);
    assert!(last.windows(2).all(|pair| pair[0].n < pair[1].n));
    for record in &last {
        let Subject::Call(call) = &record.subject else { panic!("{record:?}") };
        assert_eq!(call.outcome(), "ok");
        assert_eq!(reader.show(record.n).unwrap().as_ref(), Some(record));
        assert_eq!(reader.show(record.n + 1).unwrap().as_ref(), Some(record), "its second line");
    }
    assert_eq!(reader.show(99_999).unwrap(), None);
    let everything = reader.last(usize::MAX).unwrap();
    assert_eq!(everything.len(), 62, "all calls and the first line");

    let mut next = 0;
    loop {
        let lines = reader.read_from(next, 7).unwrap();
        let Some(last) = lines.last() else { break };
        assert_eq!(lines[0].n, next, "no line is left out");
        next = last.n + 1;
    }
    assert_eq!(next, report.lines);
    drop(behind.begin(&sample.begin(4, None), Durability::System));
    assert_eq!(reader.read_from(next, 7).unwrap().len(), 1, "what is new is found");
    assert_eq!(reader.read_from(next, 7).unwrap().len(), 1, "also when asked again");
}

#[test]
fn a_missing_file_is_found() {
    for (remove, expected) in [(1, ProblemKind::Genesis), (3, ProblemKind::Removed)] {
        let sample = Sample::new();
        many(&sample, 40);
        fs::remove_file(sample.dir().join(format!("log-00000{remove}.jsonl"))).unwrap();
        let report = sample.verify();
        assert!(report.problems.iter().any(|p| p.kind == expected), "{report}");
    }
    let sample = Sample::new();
    many(&sample, 40);
    let report = sample.verify();
    let last = sample.dir().join(format!("log-{:06}.jsonl", report.segments));
    fs::remove_file(last).unwrap();
    let report = sample.verify();
    assert_eq!(report.problems[0].kind, ProblemKind::Cut, "{report}");
}
