//! What was said is given out as it was kept, to whom it belongs, or not at all.
use std::{fs, path::Path};

use proptest::prelude::*;
use rusqlite::Connection;
use tagout_proto::{Principal, Secret};
use tagout_store::{
    About, Named, OpenSession, SESSION_BYTES, SessionError, SessionId, SessionKey, Sessions,
    Standing, Store,
};

use crate::sample::{at, file, fresh, principal};

pub(crate) fn key(byte: u8) -> SessionKey {
    SessionKey::new(Secret::new([byte; 32]))
}

pub(crate) fn of(store: &Store, user: &str) -> Sessions {
    store.sessions(&key(1), &principal(user)).unwrap()
}

pub(crate) fn about(title: &str) -> About {
    About { title: title.to_owned(), model: "offline:planner".to_owned(), messages: 2 }
}

/// A session of these turns.
pub(crate) fn kept(sessions: &Sessions, title: &str, turns: &[&str]) -> OpenSession {
    let mut session = sessions.begin(about(title), at(1)).unwrap();
    for (second, turn) in turns.iter().enumerate() {
        sessions.append(&mut session, turn.as_bytes(), at(second as i64 + 1)).unwrap();
    }
    session
}

pub(crate) fn loaded(sessions: &Sessions, id: &SessionId) -> Vec<String> {
    let loaded = sessions.load(id).unwrap().unwrap();
    loaded.turns.into_iter().map(|turn| String::from_utf8(turn).unwrap()).collect()
}

pub(crate) fn code(sessions: &Sessions, id: &SessionId) -> &'static str {
    sessions.load(id).unwrap_err().code()
}

fn contains(root: &Path, needle: &[u8]) -> bool {
    let files = file(root).parent().unwrap().read_dir().unwrap();
    files.map(|entry| fs::read(entry.unwrap().path()).unwrap()).any(|bytes| {
        assert!(!needle.is_empty());
        bytes.windows(needle.len()).any(|part| part == needle)
    })
}

#[test]
fn a_session_goes_on_where_it_was() {
    let (root, store) = fresh();
    let ann = of(&store, "ann");
    let mut first = kept(&ann, "Outage risk of A7", &["hello", "", "third"]);
    assert_eq!(loaded(&ann, first.id()), ["hello", "", "third"]);
    ann.append(&mut first, b"fourth", at(9)).unwrap();

    let again = of(&Store::open(&file(root.path())).unwrap(), "ann");
    let mut other = again.load(first.id()).unwrap().unwrap().session;
    assert_eq!((other.about(), other.turns()), (&about("Outage risk of A7"), 4));
    assert_eq!((other.started_at(), other.updated_at()), (at(1), at(9)));
    other.set_about(About { title: "x".repeat(999), ..about("") });
    // The clock may have been put back; what is later stays later.
    again.append(&mut other, b"fifth", at(2)).unwrap();
    let other = again.load(first.id()).unwrap().unwrap().session;
    assert_eq!((other.updated_at(), other.about().title.len()), (at(9), 200));
    assert_eq!(loaded(&again, first.id()).len(), 5);
}

#[test]
fn nothing_is_kept_before_something_is_said() {
    let (_root, store) = fresh();
    let ann = of(&store, "ann");
    let session = ann.begin(about("Nothing"), at(1)).unwrap();
    assert!(ann.load(session.id()).unwrap().is_none());
    assert_eq!(store.last_session(&principal("ann")).unwrap(), None);
    assert!(ann.list().unwrap().is_empty());
}

#[test]
fn others_sessions_are_as_if_they_did_not_exist() {
    let (_root, store) = fresh();
    let ann = of(&store, "ann");
    let mut session = kept(&ann, "Mine", &["hello"]);
    let namesake = Principal { authenticated_by: "api-key".into(), ..principal("ann") };
    for stranger in [principal("bob"), namesake] {
        let theirs = store.sessions(&key(1), &stranger).unwrap();
        assert!(theirs.load(session.id()).unwrap().is_none());
        assert!(theirs.list().unwrap().is_empty());
        assert_eq!(store.last_session(&stranger).unwrap(), None);
        assert!(store.session_ids(&stranger).unwrap().is_empty());
        let prefix = session.id().short().parse().unwrap();
        assert_eq!(store.named_session(&stranger, &prefix).unwrap(), Named::None);
        assert!(!store.delete_session(&stranger, session.id()).unwrap());
        let error = theirs.append(&mut session, b"me too", at(5)).unwrap_err();
        assert_eq!(error.code(), "session-changed");
    }
    // Groups come and go.
    let mut promoted = principal("ann");
    promoted.groups.clear();
    let promoted = store.sessions(&key(1), &promoted).unwrap();
    assert_eq!(loaded(&promoted, session.id()), ["hello"]);
}

/// Every way to change the file that somebody without the key has.
const CHANGES: &[(&str, &str)] = &[
    ("session-not-valid", "UPDATE session SET head = zeroblob(length(head)) WHERE id = ?1"),
    ("session-not-valid", "UPDATE session SET head = x'' WHERE id = ?1"),
    (
        "session-not-valid",
        "UPDATE session SET head = substr(head, 1, length(head) - 1) WHERE id = ?1",
    ),
    ("session-not-valid", "UPDATE session SET head = CAST(head || x'00' AS BLOB) WHERE id = ?1"),
    ("session-not-valid", "UPDATE session SET turns = turns - 1 WHERE id = ?1"),
    ("session-not-valid", "UPDATE session SET turns = -1 WHERE id = ?1"),
    ("session-not-valid", "UPDATE session SET updated_at = 'soon' WHERE id = ?1"),
    ("session-not-valid", "UPDATE session SET updated_at = '2099-01-01T00:00:00Z' WHERE id = ?1"),
    (
        "session-not-valid",
        "UPDATE session SET head = (SELECT head FROM session WHERE id = ?2) WHERE id = ?1",
    ),
    ("session-key", "UPDATE session SET key = '' WHERE id = ?1"),
    ("session-not-valid", "DELETE FROM turn WHERE session = ?1"),
    ("session-not-valid", "DELETE FROM turn WHERE session = ?1 AND position = 0"),
    ("session-not-valid", "DELETE FROM turn WHERE session = ?1 AND position = 1"),
    ("session-not-valid", "DELETE FROM turn WHERE session = ?1 AND position = 3"),
    (
        "session-not-valid",
        "UPDATE turn SET position = position + 1 WHERE session = ?1 AND position = 3",
    ),
    ("session-not-valid", "UPDATE turn SET position = -1 WHERE session = ?1 AND position = 0"),
    (
        "session-not-valid",
        "UPDATE turn SET sealed = zeroblob(length(sealed)) WHERE session = ?1 AND position = 1",
    ),
    ("session-not-valid", "UPDATE turn SET sealed = x'' WHERE session = ?1 AND position = 1"),
    (
        "session-not-valid",
        "INSERT INTO turn SELECT ?1, 4, sealed FROM turn WHERE session = ?1 AND position = 3",
    ),
    ("session-not-valid", "INSERT INTO turn VALUES (?1, 4, x'00')"),
    // Copied from elsewhere: its own, another one of its principal's, somebody else's.
    (
        "session-not-valid",
        "UPDATE turn SET sealed = (SELECT sealed FROM turn WHERE session = ?1 AND position = 1)
      WHERE session = ?1 AND position = 3",
    ),
    (
        "session-not-valid",
        "UPDATE turn SET sealed = (SELECT t.sealed FROM turn t WHERE t.session = ?2
      AND t.position = turn.position) WHERE session = ?1",
    ),
    (
        "session-not-valid",
        "UPDATE turn SET sealed = (SELECT t.sealed FROM turn t WHERE t.session = ?3
      AND t.position = turn.position) WHERE session = ?1",
    ),
    (
        "session-not-valid",
        "UPDATE turn SET sealed = (SELECT t.sealed FROM turn t WHERE t.session = ?1
      AND t.position = 3 - turn.position) WHERE session = ?1",
    ),
    (
        "session-not-valid",
        "UPDATE turn SET sealed = (SELECT t.sealed FROM turn t WHERE t.session = ?2
      AND t.position = 0) WHERE session = ?1 AND position = 0",
    ),
];

/// Statements with names for the ids of three sessions.
fn change(root: &Path, statement: &str, ids: &[&SessionId; 3]) {
    let connection = Connection::open(file(root)).unwrap();
    connection.pragma_update(None, "foreign_keys", false).unwrap();
    let mut prepared = connection.prepare(statement).unwrap();
    for (n, id) in ids.iter().enumerate().take(prepared.parameter_count()) {
        prepared.raw_bind_parameter(n + 1, id.as_str()).unwrap();
    }
    assert!(prepared.raw_execute().unwrap() > 0, "{statement}");
}

pub(crate) const TURNS: &[&str] = &["one", "two", "six", "ten"];

#[test]
fn whatever_was_changed_is_found_and_nothing_is_given_out() {
    for (expected, statement) in CHANGES {
        let (root, store) = fresh();
        let ann = of(&store, "ann");
        let (mut mine, other) = (kept(&ann, "Mine", TURNS), kept(&ann, "Mine", TURNS));
        let bobs = kept(&of(&store, "bob"), "Mine", TURNS);
        change(root.path(), statement, &[mine.id(), other.id(), bobs.id()]);
        assert_eq!(code(&ann, mine.id()), *expected, "{statement}");
        assert_eq!(loaded(&ann, other.id()), TURNS, "{statement}");
        // Whoever had it open before does not go on as if nothing were, or seal it anew.
        if ann.append(&mut mine, b"more", at(9)).is_ok() {
            match ann.load(mine.id()) {
                // What stood beside the head is written with it.
                Ok(back) => assert_eq!(back.unwrap().turns.concat(), b"onetwosixtenmore"),
                Err(error) => assert_eq!(error.code(), *expected, "{statement}"),
            }
        }
    }
}

/// A whole session under another's name.
#[test]
fn a_session_cannot_be_given_to_somebody_else() {
    for statement in [
        "UPDATE session SET user = 'bob' WHERE id = ?1",
        "UPDATE session SET authenticated_by = 'api-key', user = 'bob' WHERE id = ?1",
    ] {
        let (root, store) = fresh();
        let mine = kept(&of(&store, "ann"), "Mine", TURNS);
        change(root.path(), statement, &[mine.id(); 3]);
        let namesake = Principal { authenticated_by: "api-key".into(), ..principal("bob") };
        let codes: Vec<_> = [principal("bob"), namesake]
            .iter()
            .filter_map(|who| {
                let theirs = store.sessions(&key(1), who).unwrap();
                assert!(theirs.list().unwrap().iter().all(|l| l.standing == Standing::NotValid));
                theirs.load(mine.id()).err().map(|error| error.code())
            })
            .collect();
        assert_eq!(codes, ["session-not-valid"], "{statement}");
    }
}

#[test]
fn every_bit_counts() {
    let (root, store) = fresh();
    let ann = of(&store, "ann");
    let mine = kept(&ann, "Mine", &["hello"]);
    let connection = Connection::open(file(root.path())).unwrap();
    for (table, column, key) in [("session", "head", "id"), ("turn", "sealed", "session")] {
        let select = format!("SELECT {column} FROM {table} WHERE {key} = ?1");
        let id = mine.id().as_str();
        let whole: Vec<u8> = connection.query_row(&select, [id], |row| row.get(0)).unwrap();
        let update = format!("UPDATE {table} SET {column} = ?2 WHERE {key} = ?1");
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            connection.execute(&update, rusqlite::params![id, flipped]).unwrap();
            assert_eq!(code(&ann, mine.id()), "session-not-valid", "{table} {bit}");
        }
        connection.execute(&update, rusqlite::params![id, whole]).unwrap();
        assert_eq!(loaded(&ann, mine.id()), ["hello"]);
    }
}

#[test]
fn another_key_opens_nothing() {
    let (_root, store) = fresh();
    let mine = kept(&of(&store, "ann"), "Mine", TURNS);
    let other = store.sessions(&key(2), &principal("ann")).unwrap();
    let error = other.load(mine.id()).unwrap_err();
    assert!(matches!(error, SessionError::Key { .. }), "{error:?}");
    assert_eq!(error.code(), "session-key");
    assert_eq!(other.list().unwrap()[0].standing, Standing::OtherKey);
    // Both keys' sessions stand side by side, and may be removed without either.
    let second = kept(&other, "Second", TURNS);
    assert_eq!(loaded(&other, second.id()), TURNS);
    assert!(store.delete_session(&principal("ann"), mine.id()).unwrap());
    assert!(!format!("{:?} {other:?}", key(7)).contains('7'));
}

#[test]
fn of_two_that_go_on_the_second_is_told() {
    let (root, store) = fresh();
    let ann = of(&store, "ann");
    let id = kept(&ann, "Mine", TURNS).id().clone();
    let elsewhere = of(&Store::open(&file(root.path())).unwrap(), "ann");
    let mut one = ann.load(&id).unwrap().unwrap().session;
    let mut two = elsewhere.load(&id).unwrap().unwrap().session;
    ann.append(&mut one, b"from one", at(9)).unwrap();
    for _ in 0..2 {
        let error = elsewhere.append(&mut two, b"from two", at(9)).unwrap_err();
        assert_eq!(error.code(), "session-changed");
    }
    assert_eq!(loaded(&elsewhere, &id).last().unwrap(), "from one");
    let mut two = elsewhere.load(&id).unwrap().unwrap().session;
    elsewhere.append(&mut two, b"from two", at(9)).unwrap();
    assert_eq!(ann.append(&mut one, b"again", at(9)).unwrap_err().code(), "session-changed");
    assert!(store.delete_session(&principal("ann"), &id).unwrap());
    assert_eq!(elsewhere.append(&mut two, b"x", at(9)).unwrap_err().code(), "session-changed");
    assert!(ann.load(&id).unwrap().is_none());
}

#[test]
fn a_session_has_a_bound() {
    let (_root, store) = fresh();
    let ann = of(&store, "ann");
    let mut mine = kept(&ann, "Mine", &["hello"]);
    let much = vec![b'x'; SESSION_BYTES as usize];
    let error = ann.append(&mut mine, &much, at(9)).unwrap_err();
    assert_eq!(error.code(), "session-full");
    assert!(!error.help().is_empty());
    ann.append(&mut mine, b"a little", at(9)).unwrap();
    assert_eq!(loaded(&ann, mine.id()), ["hello", "a little"]);
}

#[test]
fn what_is_too_old_goes() {
    let (root, store) = fresh();
    let ann = of(&store, "ann");
    let old = kept(&ann, "Old", &["a", "b"]);
    let young = kept(&ann, "Young", &["a", "b", "c", "d"]);
    assert_eq!(ann.expire(at(0)).unwrap(), 0);
    assert_eq!(ann.expire(at(4)).unwrap(), 1);
    assert!(ann.load(old.id()).unwrap().is_none());
    assert_eq!(loaded(&ann, young.id()).len(), 4);
    let connection = Connection::open(file(root.path())).unwrap();
    connection.pragma_update(None, "foreign_keys", false).unwrap();
    connection.execute("DELETE FROM session", []).unwrap();
    // Turns of no session are nobody's.
    assert_eq!(ann.expire(at(0)).unwrap(), 0);
    let left = connection.query_row("SELECT count(*) FROM turn", [], |row| row.get::<_, i64>(0));
    assert_eq!(left.unwrap(), 0);
}

#[test]
fn what_others_keep_is_not_too_old_for_one() {
    let (_root, store) = fresh();
    let namesake = Principal { authenticated_by: "api-key".into(), ..principal("ann") };
    let namesake = store.sessions(&key(1), &namesake).unwrap();
    let other_key = store.sessions(&key(2), &principal("ann")).unwrap();
    let others = [of(&store, "bob"), namesake, other_key];
    let theirs: Vec<_> = others.iter().map(|sessions| kept(sessions, "Old", TURNS)).collect();
    kept(&of(&store, "ann"), "Old", TURNS);
    assert_eq!(of(&store, "ann").expire(jiff::Timestamp::MAX).unwrap(), 1);
    for (sessions, session) in others.iter().zip(&theirs) {
        assert_eq!(loaded(sessions, session.id()), TURNS);
    }
}

#[test]
fn neither_words_nor_titles_stand_in_the_file() {
    let (root, store) = fresh();
    let ann = of(&store, "ann");
    kept(&ann, "only-ann-knows-the-title", &["only-ann-knows-the-words", "more"]);
    assert!(contains(root.path(), b"os-user"));
    for needle in ["only-ann-knows", "offline:planner"] {
        assert!(!contains(root.path(), needle.as_bytes()), "{needle}");
    }
}

/// The boxes of a session, which whoever steals the key later could open.
fn boxes(root: &Path, id: &SessionId) -> Vec<Vec<u8>> {
    let connection = Connection::open(file(root)).unwrap();
    let mut query = connection
        .prepare(
            "SELECT sealed FROM turn WHERE session = ?1
             UNION SELECT head FROM session WHERE id = ?1",
        )
        .unwrap();
    let rows = query.query_map([id.as_str()], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

/// Among many, so that they were moved within the file: not a part of any box is left.
#[test]
fn what_is_deleted_leaves_nothing() {
    for way in ["delete", "expire", "forget"] {
        let (root, store) = fresh();
        let (ann, bob) = (of(&store, "ann"), of(&store, "bob"));
        let mut mine = kept(&ann, "Mine", &["short"]);
        let others: Vec<_> = (0..20).map(|_| kept(&bob, "Bob's", &["a", "b", "c"])).collect();
        let mut seen = boxes(root.path(), mine.id());
        for (n, mut other) in others.into_iter().enumerate() {
            let long = "long ".repeat(n * n * n);
            ann.append(&mut mine, long.as_bytes(), at(2)).unwrap();
            bob.append(&mut other, long.as_bytes(), at(9)).unwrap();
            seen.extend(boxes(root.path(), mine.id()));
        }
        match way {
            "delete" => assert!(store.delete_session(&principal("ann"), mine.id()).unwrap()),
            "expire" => assert_eq!(ann.expire(at(5)).unwrap(), 1),
            _ => assert_eq!(store.forget(&principal("ann")).unwrap().sessions, 1),
        }
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 21 + 21, "turns, and every head that there was");
        for sealed in seen {
            assert!(!contains(root.path(), &sealed[..24]), "{way}");
            assert!(!contains(root.path(), &sealed[sealed.len() - 24..]), "{way}");
        }
        assert!(!contains(root.path(), mine.id().as_str().as_bytes()), "{way}");
        assert_eq!(bob.list().unwrap().len(), 20);
        for listed in bob.list().unwrap() {
            assert_eq!(loaded(&bob, &listed.id).len(), 4);
        }
    }
}

#[test]
fn what_is_held_names_sessions() {
    let (_root, store) = fresh();
    let mine = kept(&of(&store, "ann"), "Mine", TURNS);
    kept(&of(&store, "bob"), "Not hers", TURNS);
    let mut rows = Vec::new();
    store.each_held(&principal("ann"), |row| rows.push(row)).unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].table, "sessions");
    assert_eq!(rows[0].columns[0].1, tagout_store::HeldValue::Text(mine.id().to_string()));
    assert_eq!(store.ways_to_know("ann").unwrap(), ["os-user".to_owned()].into());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever is said, and wherever one stops and resumes.
    #[test]
    fn what_is_kept_is_what_was_said(
        turns in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..300), any::<bool>()), 1..12),
        title in ".{0,40}",
    ) {
        let (root, store) = fresh();
        let mut sessions = of(&store, "ann");
        let mut session = sessions.begin(about(&title), at(1)).unwrap();
        for (turn, resumed) in &turns {
            if *resumed && session.turns() > 0 {
                sessions = of(&Store::open(&file(root.path())).unwrap(), "ann");
                session = sessions.load(session.id()).unwrap().unwrap().session;
            }
            sessions.append(&mut session, turn, at(2)).unwrap();
        }
        let back = sessions.load(session.id()).unwrap().unwrap();
        prop_assert_eq!(&back.session.about().title, &title);
        let said: Vec<_> = turns.into_iter().map(|(turn, _)| turn).collect();
        prop_assert_eq!(back.turns, said);
    }
}
