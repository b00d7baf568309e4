//! Every way to change a log, and what must be found.
use std::fs;

use tagout_audit::{
    AuditError, Durability, Log, Note,
    ProblemKind::{self, Changed, Cut, Genesis, Head, Inserted, Removed, Reordered, Unlinked},
    Report, verify,
};
use tagout_proto::Digest;

use crate::sample::{Sample, at, key_file};

type Change = fn(&mut Vec<Vec<u8>>);
type ChangeFiles = fn(&Sample);
type Expected = &'static [(ProblemKind, Option<u64>)];

fn found(report: &Report) -> Vec<(ProblemKind, Option<u64>)> {
    report.problems.iter().map(|problem| (problem.kind, problem.n)).collect()
}

/// The line with its hash computed anew: what somebody does who knows the format.
fn forge(line: &[u8], change: impl Fn(String) -> String) -> Vec<u8> {
    let text = String::from_utf8(line.to_vec()).unwrap();
    let (body, _) = text.rsplit_once(",\"hash\":").unwrap();
    let body = change(body.to_owned());
    let prev = body.split("\"prev\":\"").nth(1).unwrap().split('"').next().unwrap();
    let prev: Digest = prev.parse().unwrap();
    let hash =
        Digest::of_parts([b"tagout-audit-line-1".as_slice(), prev.as_bytes(), body.as_bytes()]);
    format!("{body},\"hash\":\"{hash}\"}}\n").into_bytes()
}

#[test]
fn an_honest_log_verifies() {
    let sample = Sample::new();
    drop(sample.write());
    let report = sample.verify();
    assert!(report.ok, "{report}");
    assert_eq!((report.lines, report.calls), (10, 2 + 1));
    assert_eq!(report.open.iter().map(|open| open.n).collect::<Vec<_>>(), [8]);
    assert_eq!(report.open[0].verdict, None);
    assert_eq!(report.head.as_ref().map(|head| (head.n, head.uncovered)), Some((9, 0)));
    assert_eq!((report.payloads.present, report.payloads.missing), (2, 0));
    assert!(report.to_string().contains("cannot be detected"), "{report}");
    serde_json::to_string(&report).unwrap();
}

/// One line per case: what is done, what is found.
const CASES: &[(&str, Change, Expected)] = &[
    ("remove one", |l| drop(l.remove(4)), &[(Removed, Some(4))]),
    ("remove three", |l| drop(l.drain(4..7)), &[(Removed, Some(4))]),
    ("remove the first", |l| drop(l.remove(0)), &[(Removed, Some(0)), (Genesis, None)]),
    ("cut one", |l| drop(l.pop()), &[(Cut, Some(9))]),
    ("cut many", |l| l.truncate(3), &[(Cut, Some(3))]),
    ("cut all but the first", |l| l.truncate(1), &[(Cut, Some(1))]),
    ("empty", Vec::clear, &[(Genesis, None), (Cut, Some(0))]),
    ("cut within a line", |l| l[9].truncate(50), &[(Cut, Some(9))]),
    ("swap neighbours", |l| l.swap(5, 6), &[(Reordered, Some(6))]),
    ("swap distant ones", |l| l.swap(3, 7), &[(Reordered, Some(7)), (Reordered, Some(3))]),
    (
        "move down",
        |l| {
            let line = l.remove(2);
            l.insert(6, line);
        },
        &[(Reordered, Some(2))],
    ),
    ("repeat at once", |l| l.insert(5, l[4].clone()), &[(Inserted, Some(4))]),
    ("repeat later", |l| l.insert(8, l[4].clone()), &[(Inserted, Some(4))]),
    ("repeat at the end", |l| l.push(l[4].clone()), &[(Inserted, Some(4))]),
    ("insert garbage", |l| l.insert(5, b"garbage\n".to_vec()), &[(Inserted, None)]),
    ("insert an empty line", |l| l.insert(5, b"\n".to_vec()), &[(Inserted, None)]),
    ("replace by garbage", |l| l[5] = b"garbage\n".to_vec(), &[(Changed, Some(5))]),
    ("replace the last by garbage", |l| l[9] = b"{}\n".to_vec(), &[(Changed, Some(9))]),
    (
        "insert a forged line with a right link",
        |l| l.insert(5, forge(&l[5], |b| b.replace("tools/call", "tools/list"))),
        &[(Inserted, Some(5))],
    ),
    (
        "insert a forged line with a wrong link",
        |l| {
            let line = forge(&l[8], |b| b.replace("\"n\":8", "\"n\":5"));
            l.insert(5, line);
        },
        &[(Inserted, Some(5))],
    ),
    (
        "insert a forged line with a high number",
        |l| {
            let line = forge(&l[8], |b| b.replace("\"n\":8", "\"n\":99999999999"));
            l.insert(5, line);
        },
        &[(Inserted, Some(99_999_999_999))],
    ),
    (
        "replace by a forged line",
        |l| l[4] = forge(&l[4], |b| b.replace("\"ok\"", "\"error\"")),
        &[(Unlinked, Some(5))],
    ),
    (
        "replace the last by a forged line",
        |l| l[9] = forge(&l[9], |b| b.replace("quarantined", "released")),
        &[(Head, Some(9))],
    ),
    ("join two lines", |l| l[4].retain(|&b| b != b'\n'), &[(Changed, Some(4)), (Removed, Some(5))]),
    ("split a line", |l| l[4].insert(100, b'\n'), &[(Changed, Some(4)), (Changed, None)]),
];

#[test]
fn changes_to_whole_lines() {
    for (name, change, expected) in CASES {
        let sample = Sample::new();
        drop(sample.write());
        let mut lines = sample.lines();
        change(&mut lines);
        sample.put(&lines);
        let report = sample.verify();
        assert_eq!(found(&report), *expected, "{name}: {report}");
        assert!(!report.ok);
    }
}

/// One byte anywhere in the log.
#[test]
fn changes_to_one_byte() {
    let sample = Sample::new();
    drop(sample.write());
    let honest = sample.lines();
    for n in 0..honest.len() {
        let length = honest[n].len();
        let ends = [1, 2, 3, 4, 70, 74, 80, 81, 83].map(|back| length - back);
        for position in (0..length).step_by(17).chain(ends) {
            let mut lines = honest.clone();
            lines[n][position] ^= [1, 0x20, 0x80][position % 3];
            sample.put(&lines);
            let report = sample.verify();
            assert!(!report.ok, "line {n}, byte {position}: {report}");
            let names_it = |k: &(ProblemKind, Option<u64>)| k.1 == Some(n as u64);
            assert!(found(&report).iter().any(names_it), "line {n}, byte {position}: {report}");
        }
    }
}

#[test]
fn changes_to_the_head() {
    let sample = Sample::new();
    drop(sample.write());
    let path = sample.dir().join("head");
    let honest = fs::read(&path).unwrap();
    assert_eq!(honest.len(), 512);
    let text = honest.iter().rposition(|&b| b == b'}').unwrap();
    for position in (0..text).step_by(11).chain([text, 511]) {
        let mut bytes = honest.clone();
        bytes[position] ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert_eq!(found(&sample.verify()), [(ProblemKind::Head, None)], "byte {position}");
        let opened = Log::open(&sample.dir(), &key_file(sample.root.path()), at(9));
        assert_eq!(opened.map_err(|e| e.code()).err(), Some("audit-corrupt"));
    }
    fs::remove_file(&path).unwrap();
    assert_eq!(found(&sample.verify()), [(ProblemKind::Head, None)]);
    let opened = Log::open(&sample.dir(), &key_file(sample.root.path()), at(9));
    assert_eq!(opened.map_err(|e| e.code()).err(), Some("audit-corrupt"));
}

#[test]
fn another_key_is_no_key() {
    let sample = Sample::new();
    drop(sample.write());
    let other = Sample::new();
    drop(other.write());
    let report = verify(&sample.dir(), Some(&other.key())).unwrap();
    assert_eq!(found(&report), [(ProblemKind::Genesis, None), (ProblemKind::Head, None)]);
    let report = verify(&sample.dir(), None).unwrap();
    assert!(report.ok && !report.key_given, "{report}");
    // A missing key is not made anew under a log that was begun with it.
    fs::remove_file(key_file(sample.root.path())).unwrap();
    let opened = Log::open(&sample.dir(), &key_file(sample.root.path()), at(9));
    assert_eq!(opened.map_err(|e| e.code()).err(), Some("audit-key"));
    fs::copy(key_file(other.root.path()), key_file(sample.root.path())).unwrap();
    let opened = Log::open(&sample.dir(), &key_file(sample.root.path()), at(9));
    assert_eq!(opened.map_err(|e| e.code()).err(), Some("audit-key"));
}

#[test]
fn lines_that_nobody_signed_are_adopted_and_named() {
    let sample = Sample::new();
    let log = sample.open();
    log.note(&Note::new(at(1), "a"), Durability::System).unwrap();
    log.force().unwrap();
    let before = ["head", "mark"].map(|file| (file, fs::read(sample.dir().join(file)).unwrap()));
    log.note(&Note::new(at(2), "b"), Durability::System).unwrap();
    log.note(&Note::new(at(2), "c"), Durability::System).unwrap();
    drop(log);
    for (file, bytes) in before {
        fs::write(sample.dir().join(file), bytes).unwrap();
    }
    let report = sample.verify();
    assert!(report.ok, "{report}");
    assert_eq!(report.head.map(|head| (head.n, head.uncovered)), Some((1, 2)));
    let log = sample.open();
    assert_eq!(log.note(&Note::new(at(3), "d"), Durability::System).unwrap(), 5);
    let report = sample.verify();
    assert!(report.ok, "{report}");
    assert!(report.to_string().contains("line 4 adopts lines 2 to 3"), "{report}");
}

/// A log that changes under a running writer stops it.
#[test]
fn a_running_writer_fails_closed() {
    let cases: &[(&str, ChangeFiles)] = &[
        ("cut", |s| s.put(&s.lines()[..5])),
        ("emptied", |s| s.put(&[])),
        ("removed", |s| fs::remove_file(s.file()).unwrap()),
        ("replaced", |s| {
            let lines = s.lines();
            fs::remove_file(s.file()).unwrap();
            s.put(&lines);
        }),
        ("forged on", |s| {
            let mut lines = s.lines();
            lines.push(b"{\"n\":10}\n".to_vec());
            s.put(&lines);
        }),
        ("lock removed", |s| fs::remove_file(s.dir().join("lock")).unwrap()),
    ];
    for (name, change) in cases {
        let sample = Sample::new();
        let log = sample.write();
        change(&sample);
        let error = log.note(&Note::new(at(9), "x"), Durability::System).unwrap_err();
        let closed = matches!(error, AuditError::Replaced { .. } | AuditError::Corrupt { .. });
        assert!(closed, "{name}: {error:?}");
    }
}

/// A log that was cut while nobody used it is not continued: beyond what a power failure can
/// explain it is refused, up to there it is noted for ever.
#[test]
fn a_cut_log_is_not_continued_quietly() {
    let sample = Sample::new();
    let log = sample.write();
    log.force().unwrap();
    log.note(&Note::new(at(9), "a"), Durability::System).unwrap();
    log.note(&Note::new(at(9), "b"), Durability::System).unwrap();
    drop(log);
    let honest = sample.lines();
    sample.put(&honest[..9]);
    let opened = Log::open(&sample.dir(), &key_file(sample.root.path()), at(10));
    assert_eq!(opened.map_err(|e| e.code()).err(), Some("audit-replaced"));
    sample.put(&honest[..11]);
    let log = sample.open();
    // Line 11 was lost, 12 says so, and no number is given out twice.
    assert_eq!(log.note(&Note::new(at(11), "c"), Durability::System).unwrap(), 13);
    assert_eq!(found(&sample.verify()), [(ProblemKind::Lost, Some(11))]);
    fs::remove_file(sample.file()).unwrap();
    let opened = Log::open(&sample.dir(), &key_file(sample.root.path()), at(12));
    assert_eq!(opened.map_err(|e| e.code()).err(), Some("audit-replaced"));
}

/// Lines are signed in groups; until then their mark stands for them, for those who hold the key.
#[test]
fn what_is_not_signed_yet_is_marked() {
    let sample = Sample::new();
    let log = sample.open();
    let file = |name: &str| fs::read(sample.dir().join(name)).unwrap();
    let put = |name: &str, bytes: &[u8]| fs::write(sample.dir().join(name), bytes).unwrap();
    let (old_head, old_mark) = (file("head"), file("mark"));
    for second in 1..4 {
        log.note(&Note::new(at(second), "x"), Durability::System).unwrap();
    }
    drop(log);
    // As a writer leaves it that was killed before it could sign.
    let (head, mark, lines) = (file("head"), file("mark"), sample.lines());
    put("head", &old_head);
    let report = sample.verify();
    assert!(report.ok, "{report}");
    assert_eq!(report.head.map(|h| (h.n, h.marked, h.uncovered)), Some((0, 3, 0)));
    let refused = || Log::open(&sample.dir(), &key_file(sample.root.path()), at(9)).err();
    let code = || refused().map(|error| error.code());
    // A cut shows, also to those who have no key.
    sample.put(&lines[..3]);
    assert_eq!(found(&sample.verify()), [(ProblemKind::Cut, Some(3))]);
    assert_eq!(found(&verify(&sample.dir(), None).unwrap()), [(ProblemKind::Cut, Some(3))]);
    // Neither no mark nor one that somebody else made will do.
    let mut forged = mark.clone();
    forged[60] ^= 1;
    let shorter = String::from_utf8(mark.clone()).unwrap().replace("\"n\":3", "\"n\":2");
    for mark in [&forged[..], shorter.as_bytes(), &[], &mark[1..]] {
        put("mark", mark);
        assert_eq!(found(&sample.verify()), [(ProblemKind::Head, None)]);
        assert_eq!(code(), Some("audit-corrupt"));
    }
    fs::remove_file(sample.dir().join("mark")).unwrap();
    assert_eq!(found(&sample.verify()), [(ProblemKind::Head, None)]);
    assert_eq!(code(), Some("audit-corrupt"));
    // The next writer finds all as it was, and has nothing to say about it.
    sample.put(&lines);
    put("mark", &mark);
    let log = sample.open();
    assert_eq!(log.note(&Note::new(at(9), "y"), Durability::Disk).unwrap(), 4);
    let report = sample.verify();
    assert!(report.ok && report.notices.is_empty(), "{report}");
    assert_eq!(report.head.map(|h| (h.n, h.marked)), Some((4, 0)));
    // An older mark beside a newer head says nothing less.
    drop(log);
    put("mark", &old_mark);
    assert!(sample.verify().ok);
    put("head", &head);
    put("mark", &mark);
    sample.put(&lines);
    assert!(sample.verify().ok);
}

/// What nobody waits for is signed soon, and what somebody waits for at once.
#[test]
fn signing_follows() {
    let sample = Sample::new();
    let log = sample.open();
    let signed = || sample.verify().head.map(|head| head.n);
    log.note(&Note::new(at(1), "x"), Durability::Disk).unwrap();
    assert_eq!(signed(), Some(1));
    log.note(&Note::new(at(2), "y"), Durability::System).unwrap();
    let mut waits = 0;
    while signed() != Some(2) && waits < 1000 {
        std::thread::sleep(std::time::Duration::from_millis(10));
        waits += 1;
    }
    assert_eq!(signed(), Some(2));
}
