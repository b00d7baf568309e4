//! What a writer leaves that is killed.
use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    time::Duration,
};

use tagout_audit::{Durability, Log, Note, Notice, Reader, Verdict, record::Subject};

use crate::{
    processes::{self, Child},
    sample::{Sample, allow, at, key_file, ok},
};

#[test]
fn a_call_that_was_cut_off_shows_what_was_decided() {
    let sample = Sample::new();
    let mut child = Child::start("mid-call", sample.root.path());
    child.wait_for("ready");
    child.kill();
    let report = sample.verify();
    assert!(report.ok, "{report}");
    assert_eq!(report.open.len(), 1);
    let open = &report.open[0];
    assert_eq!((open.user.as_deref(), open.subject.as_deref()), (Some("ann"), Some("read")));
    assert_eq!(open.verdict, Some(Verdict::Ask));
    assert!(report.to_string().contains("outcome unknown"), "{report}");
    let record = Reader::new(&sample.dir()).show(open.n).unwrap().unwrap();
    let Subject::Call(call) = record.subject else { panic!("no call") };
    assert_eq!(call.outcome(), "unknown");
    assert_eq!(call.decision.unwrap().rule.as_deref(), Some("ask-before-writes"));
    // The log goes on.
    let log = sample.open();
    log.begin(&sample.begin(9, None), Durability::System)
        .unwrap()
        .end(&ok(9), Durability::System)
        .unwrap();
    assert!(sample.verify().ok);
}

/// Killed at any moment, again and again: nothing but the last lines' outcome is ever unknown.
#[test]
fn writers_killed_at_random_leave_a_log_that_verifies() {
    let sample = Sample::new();
    drop(sample.open());
    for round in 0..8 {
        let mut children: Vec<Child> =
            (0..2).map(|_| Child::start("endless", sample.root.path())).collect();
        for child in &mut children {
            child.wait_for("ready");
        }
        std::thread::sleep(Duration::from_millis(20 + round * 7));
        children.iter_mut().for_each(Child::kill);
        let report = sample.verify();
        assert!(report.ok, "{report}");
        assert!(report.open.len() <= 2 * (round as usize + 1), "{report}");
    }
}

/// Half a line at the end, in every length, with and without a running writer.
#[test]
fn a_torn_line_is_kept_and_explained() {
    let sample = Sample::new();
    let log = sample.write();
    let line = sample.lines()[5].clone();
    let mut expected = 0;
    for (round, length) in [1, 2, 40, 200, line.len() - 1].into_iter().enumerate() {
        let mut file = OpenOptions::new().append(true).open(sample.file()).unwrap();
        file.write_all(&line[..length]).unwrap();
        let report = sample.verify();
        assert!(report.ok, "{report}");
        let tail = Notice::TornTail { bytes: length as u64 };
        assert!(report.notices.contains(&tail), "{report}");
        let writer = if round % 2 == 0 { log.clone() } else { sample.open() };
        let n = writer.note(&Note::new(at(9), "x"), Durability::System).unwrap();
        let report = sample.verify();
        assert!(report.ok, "{report}");
        expected += 1;
        let torn = report.notices.iter().filter(|n| matches!(n, Notice::Torn { .. })).count();
        assert_eq!(torn, expected);
        let record = Reader::new(&sample.dir()).show(n - 1).unwrap().unwrap();
        let shown = serde_json::to_string(&record).unwrap();
        let kept: String = line[..length].iter().map(|b| format!("{b:02x}")).collect();
        assert!(shown.contains(&kept), "{shown}");
    }
}

#[test]
fn a_torn_line_of_any_size_is_survived() {
    let sample = Sample::new();
    drop(sample.write());
    let mut file = OpenOptions::new().append(true).open(sample.file()).unwrap();
    file.write_all(&vec![0; 700_000]).unwrap();
    let log = sample.open();
    log.note(&Note::new(at(9), "x"), Durability::Disk).unwrap();
    let report = sample.verify();
    assert!(report.ok, "{report}");
    assert!(report.to_string().contains("700000 bytes"), "{report}");
}

#[test]
fn a_writer_that_died_while_it_began_the_log() {
    for keep in [0, 30, usize::MAX] {
        let sample = Sample::new();
        drop(sample.open());
        let line = fs::read(sample.file()).unwrap();
        fs::write(sample.file(), &line[..keep.min(line.len())]).unwrap();
        fs::remove_file(sample.dir().join("head")).unwrap();
        let log = sample.open();
        log.begin_decided(&sample.begin(1, Some("{}")), &allow(1), Durability::System)
            .unwrap()
            .end(&ok(2), Durability::System)
            .unwrap();
        let report = sample.verify();
        assert!(report.ok, "{keep}: {report}");
    }
}

/// A writer that dies between payload and line leaves a payload of nobody; the number goes to
/// another record.
#[test]
fn an_orphaned_payload_harms_nothing() {
    let sample = Sample::new();
    drop(sample.write());
    let path = sample.dir().join("payloads-000001.jsonl");
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b"{\"n\":10,\"salt\":\"00\",\"payload\":\"x\"}\n{\"n\":10,\"sal").unwrap();
    let log = Log::open(&sample.dir(), &key_file(sample.root.path()), at(9)).unwrap();
    let entry = log.begin(&sample.begin(10, Some("{\"c\":3}")), Durability::System).unwrap();
    assert_eq!(entry.end(&ok(11), Durability::System).unwrap(), 10);
    let report = sample.verify();
    assert!(report.ok, "{report}");
    assert_eq!(report.payloads.present, 3);
    processes::check_modes(sample.root.path());
}
