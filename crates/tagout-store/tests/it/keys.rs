//! API keys as they are kept.
use jiff::civil::date;
use tagout_proto::Secret;
use tagout_store::{
    BadKeyName, KeyAdded, KeyGroups, KeyName, KeyPlace, MOST_KEYS, Store, StoredKey,
};

use crate::sample::{at, file, fresh};

fn key(id: &str, name: &str) -> StoredKey {
    StoredKey {
        id: id.to_owned(),
        name: name.parse().unwrap(),
        groups: KeyGroups::new(["operators".to_owned(), "night shift".to_owned()]).unwrap(),
        hash: Secret::new(format!("$argon2id$of-{id}")),
        created_at: at(1),
        expires_at: None,
        revoked_at: None,
        used_on: None,
    }
}

fn add(store: &Store, key: &StoredKey, second: i64) -> KeyAdded {
    store.add_key(key, KeyPlace::NameIsFree, at(second)).unwrap()
}

fn ids(store: &Store) -> Vec<String> {
    store.keys().unwrap().into_iter().map(|key| key.id).collect()
}

#[test]
fn what_is_added_is_there() {
    let (root, store) = fresh();
    let mut added = key("aaaaaaaa", "ann's laptop");
    added.expires_at = Some(at(100));
    assert_eq!(add(&store, &added, 1), KeyAdded::Added);
    let again = Store::open(&file(root.path())).unwrap();
    let found = again.keys().unwrap().pop().unwrap();
    assert_eq!((&found.id, &found.name, &found.groups), (&added.id, &added.name, &added.groups));
    assert_eq!(found.hash.expose(), added.hash.expose());
    assert_eq!((found.created_at, found.expires_at), (at(1), Some(at(100))));
    assert_eq!((found.revoked_at, found.used_on), (None, None));
    assert!(found.is_live(at(99)) && !found.is_live(at(100)));
    assert!(!format!("{found:?}").contains("argon2"), "{found:?}");
}

#[test]
fn a_name_is_one_live_keys() {
    let (_root, store) = fresh();
    let mut first = key("aaaaaaaa", "ann");
    first.expires_at = Some(at(10));
    assert_eq!(add(&store, &first, 1), KeyAdded::Added);
    assert_eq!(add(&store, &key("bbbbbbbb", "ann"), 9), KeyAdded::Taken);
    // Expired, so its name is free again.
    assert_eq!(add(&store, &key("bbbbbbbb", "ann"), 10), KeyAdded::Added);
    assert_eq!(add(&store, &key("cccccccc", "ann"), 10), KeyAdded::Taken);
    assert!(store.revoke_key("bbbbbbbb", at(11)).unwrap());
    assert!(!store.revoke_key("bbbbbbbb", at(12)).unwrap(), "once");
    assert!(!store.revoke_key("dddddddd", at(12)).unwrap(), "unknown");
    assert_eq!(add(&store, &key("cccccccc", "ann"), 12), KeyAdded::Added);
    assert_eq!(ids(&store), ["aaaaaaaa", "bbbbbbbb", "cccccccc"]);
    assert_eq!(store.keys().unwrap().get(1).unwrap().revoked_at, Some(at(11)));
    // An identifier is never given twice.
    let twice = store.add_key(&key("aaaaaaaa", "bob"), KeyPlace::NameIsFree, at(13));
    assert_eq!(twice.unwrap_err().code(), "store-unavailable");
}

#[test]
fn a_first_key_is_the_only_live_one() {
    let (_root, store) = fresh();
    let first = |id, second| store.add_key(&key(id, "local"), KeyPlace::NoneIsLive, at(second));
    let mut old = key("aaaaaaaa", "ann");
    old.expires_at = Some(at(5));
    assert_eq!(add(&store, &old, 1), KeyAdded::Added);
    assert_eq!(first("bbbbbbbb", 4).unwrap(), KeyAdded::Taken);
    assert_eq!(first("bbbbbbbb", 5).unwrap(), KeyAdded::Added);
    assert_eq!(first("cccccccc", 6).unwrap(), KeyAdded::Taken);
}

#[test]
fn every_change_counts_and_use_does_not() {
    let (root, store) = fresh();
    let other = Store::open(&file(root.path())).unwrap();
    let mut seen = vec![other.key_changes().unwrap()];
    add(&store, &key("aaaaaaaa", "ann"), 1);
    seen.push(other.key_changes().unwrap());
    store.key_used("aaaaaaaa", date(2026, 11, 21)).unwrap();
    store.key_used("aaaaaaaa", date(2026, 11, 20)).unwrap();
    assert_eq!(other.key_changes().unwrap(), *seen.last().unwrap());
    assert_eq!(other.keys().unwrap().pop().unwrap().used_on, Some(date(2026, 11, 21)));
    store.revoke_key("aaaaaaaa", at(2)).unwrap();
    seen.push(other.key_changes().unwrap());
    // Whoever edits the file by hand is heard too.
    let connection = rusqlite::Connection::open(file(root.path())).unwrap();
    connection.execute("UPDATE key SET revoked_at = NULL", []).unwrap();
    seen.push(other.key_changes().unwrap());
    connection.execute("DELETE FROM key", []).unwrap();
    seen.push(other.key_changes().unwrap());
    assert!(seen.is_sorted_by(|a, b| a < b), "{seen:?}");
}

#[test]
fn of_many_at_once_one_has_the_name() {
    let root = tempfile::tempdir().unwrap();
    let path = file(root.path());
    let added: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|n| {
                let path = &path;
                scope.spawn(move || {
                    let store = Store::open(path).unwrap();
                    add(&store, &key(&format!("aaaaaaa{n}"), "ann"), 1)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(added.iter().filter(|added| **added == KeyAdded::Added).count(), 1, "{added:?}");
}

#[test]
fn names_and_groups_are_checked() {
    for (text, fits) in [
        ("ann", true),
        ("Ann's laptop (2026)", true),
        ("", false),
        (" ann", false),
        ("ann ", false),
        ("an\nn", false),
        ("ann\u{7f}", false),
        ("\u{430}nn", false),
        (&"x".repeat(64), true),
        (&"x".repeat(65), false),
    ] {
        assert_eq!(text.parse::<KeyName>().is_ok(), fits, "{text:?}");
        assert_eq!(KeyGroups::new([text.to_owned()]).is_ok(), fits, "{text:?}");
    }
    assert_eq!(KeyGroups::new(["unix:root".to_owned()]), Err(BadKeyName::Reserved));
    let many = (0..65).map(|n| format!("group-{n}"));
    assert_eq!(KeyGroups::new(many), Err(BadKeyName::TooMany));
}

#[test]
fn there_is_an_end_to_keys() {
    let (root, store) = fresh();
    let connection = rusqlite::Connection::open(file(root.path())).unwrap();
    let most = i64::try_from(MOST_KEYS).unwrap();
    connection
        .execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
             INSERT INTO key (id, name, groups, hash, created_at)
             SELECT 'id-' || i, 'name-' || i, '', '', '2026-01-01T00:00:00Z' FROM n",
            [most],
        )
        .unwrap();
    assert_eq!(add(&store, &key("aaaaaaaa", "ann"), 1), KeyAdded::Full);
}

#[test]
fn a_file_of_the_first_version_is_brought_up_to_date() {
    let root = tempfile::tempdir().unwrap();
    let path = file(root.path());
    std::fs::create_dir(path.parent().unwrap()).unwrap();
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute_batch(include_str!("../../src/schema-1.sql")).unwrap();
    connection.pragma_update(None, "user_version", 1).unwrap();
    drop(connection);
    let store = Store::open(&path).unwrap();
    assert_eq!(add(&store, &key("aaaaaaaa", "ann"), 1), KeyAdded::Added);
}

#[test]
fn damaged_keys_are_errors() {
    let (root, store) = fresh();
    add(&store, &key("aaaaaaaa", "ann"), 1);
    let connection = rusqlite::Connection::open(file(root.path())).unwrap();
    for (column, value) in
        [("expires_at", "later"), ("name", ""), ("groups", "unix:root"), ("used_on", "today")]
    {
        connection.execute(&format!("UPDATE key SET {column} = ?1"), [value]).unwrap();
        assert_eq!(store.keys().unwrap_err().code(), "store-damaged", "{column}");
        connection.execute("UPDATE key SET expires_at = NULL, name = 'ann'", []).unwrap();
        connection.execute("UPDATE key SET groups = '', used_on = NULL", []).unwrap();
    }
}
