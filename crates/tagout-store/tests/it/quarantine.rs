//! What is held back, and what was missing.
use std::collections::BTreeSet;

use tagout_proto::Digest;
use tagout_store::{Offering, Quarantined};

use crate::sample::{at, fresh};

#[test]
fn a_quarantine_is_announced_once() {
    let (_root, store) = fresh();
    let found = |got: &[u8], second| Quarantined {
        server: "grid".parse().unwrap(),
        kind: Offering::Tool,
        name: "read".to_owned(),
        reason: "definition-changed".to_owned(),
        expected: Some(Digest::of(b"reviewed")),
        got: Digest::of(got),
        at: at(second),
    };
    assert!(store.quarantine(&found(b"a", 1)).unwrap());
    assert!(!store.quarantine(&found(b"a", 2)).unwrap());
    assert!(store.quarantine(&found(b"b", 3)).unwrap(), "another change");
    let other = Quarantined { reason: "definition-returned".to_owned(), ..found(b"a", 4) };
    assert!(store.quarantine(&other).unwrap(), "another reason");
    let unreviewed = Quarantined {
        expected: None,
        kind: Offering::Prompt,
        name: "w\u{f6}rd".into(),
        ..found(b"c", 4)
    };
    assert!(store.quarantine(&unreviewed).unwrap());
    let all = store.quarantined().unwrap();
    assert_eq!(all, [unreviewed, found(b"a", 1), found(b"b", 3), other]);
    let server = "grid".parse().unwrap();
    assert!(!store.release(&server, Offering::Prompt, "read").unwrap(), "a prompt is no tool");
    assert!(store.release(&server, Offering::Tool, "read").unwrap());
    assert!(!store.release(&server, Offering::Tool, "read").unwrap());
    assert_eq!(store.quarantined().unwrap().len(), 1);
    assert!(store.quarantine(&found(b"a", 5)).unwrap(), "again after a review");
}

#[test]
fn what_was_missing_is_remembered_until_it_is_accepted() {
    let (_root, store) = fresh();
    let (grid, other) = ("grid".parse().unwrap(), "other".parse().unwrap());
    let missing = BTreeSet::from([
        (Offering::Tool, "read".to_owned()),
        (Offering::Template, "file:///{path}".to_owned()),
    ]);
    store.note_absent(&grid, &missing, at(1)).unwrap();
    store.note_absent(&grid, &missing, at(2)).unwrap();
    assert_eq!(store.absent(&grid).unwrap(), missing);
    assert!(store.absent(&other).unwrap().is_empty());
    assert!(store.release(&grid, Offering::Tool, "read").unwrap());
    assert_eq!(store.absent(&grid).unwrap().len(), 1);
}
