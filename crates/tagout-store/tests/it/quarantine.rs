//! What is held back, and what was missing.
use std::collections::BTreeMap;

use tagout_proto::Digest;
use tagout_store::{Offering, Quarantined, Store};

use crate::sample::{at, file, fresh};

const HOUR: i64 = 3600;

/// A tool `read` whose definition is `got`.
fn tool(got: &str, second: i64) -> Quarantined {
    Quarantined {
        server: "grid".parse().unwrap(),
        kind: Offering::Tool,
        name: "read".to_owned(),
        reason: "definition-changed".to_owned(),
        expected: Some(Digest::of(b"reviewed")),
        got: Digest::of(got.as_bytes()),
        at: at(second),
    }
}

fn held(store: &Store, found: &Quarantined) -> Option<u32> {
    store.quarantine(&[(found.clone(), "text")]).unwrap().pop().unwrap()
}

#[test]
fn a_quarantine_is_announced_once() {
    let (_root, store) = fresh();
    assert_eq!(held(&store, &tool("a", 1)), Some(0));
    assert_eq!(held(&store, &tool("a", 2)), None);
    let other = Quarantined { reason: "definition-returned".to_owned(), ..tool("a", 4) };
    assert_eq!(held(&store, &other), Some(0), "another reason");
    let unreviewed = Quarantined {
        expected: None,
        kind: Offering::Prompt,
        name: "w\u{f6}rd".into(),
        ..tool("c", 4)
    };
    assert_eq!(held(&store, &unreviewed), Some(0));
    let all = store.quarantined().unwrap();
    assert_eq!(all, [unreviewed, tool("a", 1), other]);
    let server = "grid".parse().unwrap();
    assert!(!store.release(&server, Offering::Prompt, "read").unwrap(), "a prompt is no tool");
    assert!(store.release(&server, Offering::Tool, "read").unwrap());
    assert!(!store.release(&server, Offering::Tool, "read").unwrap());
    assert_eq!(store.quarantined().unwrap().len(), 1);
    assert_eq!(held(&store, &tool("a", 5)), Some(0), "again after a review");
}

#[test]
fn what_goes_on_changing_is_announced_once_an_hour() {
    let (_root, store) = fresh();
    assert_eq!(held(&store, &tool("a", 0)), Some(0));
    for second in 1..40 {
        assert_eq!(held(&store, &tool(&format!("{second}"), second)), None);
    }
    // What stays so is said once the hour is over, with how many there were.
    assert_eq!(held(&store, &tool("39", HOUR - 1)), None);
    assert_eq!(held(&store, &tool("39", HOUR)), Some(39));
    assert_eq!(held(&store, &tool("39", HOUR + 1)), None);
    assert_eq!(held(&store, &tool("b", HOUR + 2)), None);
    assert_eq!(held(&store, &tool("c", 3 * HOUR)), Some(1));
}

/// A server that shows another long definition each time it is asked, or other names.
#[test]
fn what_is_kept_of_a_server_has_a_bound() {
    let (root, store) = fresh();
    for round in 0..40 {
        let text = format!("{round} {}", "x".repeat(200 << 10));
        store.quarantine(&[(tool(&text, round), &text)]).unwrap();
    }
    assert_eq!(store.quarantined().unwrap().len(), 3);
    let newest = format!("39 {}", "x".repeat(200 << 10));
    let kept = store.definition(Digest::of(newest.as_bytes())).unwrap();
    assert_eq!(kept.as_deref(), Some(newest.as_str()));

    let named = |name: String, text: &str| Quarantined { name, ..tool(text, 50) };
    let mut announced = 0;
    for round in 0..40 {
        let text = format!("{round} {}", "y".repeat(30 << 10));
        let all: Vec<_> =
            (0..300).map(|at| (named(format!("{round} {at}"), &text), text.as_str())).collect();
        announced += store.quarantine(&all).unwrap().iter().flatten().count();
    }
    assert_eq!(announced, 256);
    assert_eq!(store.quarantined().unwrap().len(), 10_000);
    let connection = rusqlite::Connection::open(file(root.path())).unwrap();
    let bytes: i64 = connection
        .query_row("SELECT sum(length(text)) FROM rejected", [], |row| row.get(0))
        .unwrap();
    assert!(bytes <= 1 << 20, "{bytes}");
    let long = Quarantined { at: at(51), ..named("n".repeat(1 << 20), "z") };
    held(&store, &long);
    let names = store.quarantined().unwrap();
    assert!(names.iter().all(|one| one.name.len() <= 512));
    assert!(store.release(&long.server, Offering::Tool, &long.name).unwrap());
}

#[test]
fn a_definition_that_somebody_exchanged_is_damaged() {
    let (root, store) = fresh();
    let digest = Digest::of(b"as reviewed");
    store.remember_definition(digest, "as reviewed").unwrap();
    let connection = rusqlite::Connection::open(file(root.path())).unwrap();
    connection.execute("UPDATE definition SET text = 'as it is now'", []).unwrap();
    assert_eq!(store.definition(digest).unwrap_err().code(), "store-damaged");
}

#[test]
fn what_was_missing_is_remembered_until_a_lockfile_says_that_it_returned() {
    let (_root, store) = fresh();
    let (grid, other) = ("grid".parse().unwrap(), "other".parse().unwrap());
    let read = (Offering::Tool, "read".to_owned());
    let missing = |returned| {
        BTreeMap::from([
            (read.clone(), returned),
            ((Offering::Template, "file:///{path}".to_owned()), 0),
        ])
    };
    store.note_absent(&grid, &missing(0), at(1)).unwrap();
    store.note_absent(&grid, &missing(0), at(2)).unwrap();
    assert_eq!(store.absent(&grid).unwrap(), missing(0));
    assert!(store.absent(&other).unwrap().is_empty());
    // The store alone ends nothing.
    assert!(!store.release(&grid, Offering::Tool, "read").unwrap());
    store.note_absent(&grid, &missing(1), at(3)).unwrap();
    assert_eq!(store.absent(&grid).unwrap(), missing(1));
    store.note_absent(&grid, &missing(0), at(4)).unwrap();
    assert_eq!(store.absent(&grid).unwrap(), missing(1), "an older lockfile");
}
