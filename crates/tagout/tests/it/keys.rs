//! `tagout key`.
use crate::place::{Place, each, one};

const ADD: [&str; 4] = ["--json", "key", "add", "ann"];

#[test]
fn a_key_is_printed_once_and_alone() {
    let place = Place::new();
    let ran = place.run(&["key", "add", "ann", "--group", "operators", "--expires", "30d"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let key = ran.stdout.strip_suffix('\n').unwrap();
    assert_eq!(key.len(), 68, "{ran:?}");
    assert!(key.starts_with("tagout_") && !key.contains(char::is_whitespace));
    assert!(ran.stderr.contains("Authorization: Bearer <key>"), "{}", ran.stderr);
    assert!(!ran.stderr.contains(key));
    let secret = key.rsplit_once('_').unwrap().1;
    for file in ["state/tagout/state.sqlite", "state/tagout/state.sqlite-wal"] {
        let bytes = std::fs::read(place.path(file)).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&bytes).contains(secret), "{file}");
    }
    let listed = place.done(&["key", "list"]);
    assert!(listed.contains("ann") && listed.contains("operators") && listed.contains("live"));
    assert!(!listed.contains(secret) && !listed.contains("argon2"), "{listed}");
}

#[test]
fn a_key_for_programs() {
    let place = Place::new();
    let added = one(&place.run(&ADD).stdout);
    assert_eq!(added["name"], "ann");
    assert!(added["key"].as_str().unwrap().contains(added["id"].as_str().unwrap()));
    let listed = each(&place.done(&["--json", "key", "list"]));
    assert_eq!((&listed[0]["id"], &listed[0]["standing"]), (&added["id"], &"live".into()));
    assert_eq!(listed[0]["key"], serde_json::Value::Null);
    let revoked = one(&place.done(&["--json", "key", "revoke", "ann"]));
    assert_eq!(revoked["revoked"]["id"], added["id"]);
    let listed = each(&place.done(&["--json", "key", "list"]));
    assert_eq!(listed[0]["standing"], "revoked");
}

#[test]
fn what_is_done_with_keys_is_on_record() {
    let place = Place::new();
    place.run(&ADD);
    place.done(&["key", "revoke", "ann"]);
    let tail = place.done(&["audit", "tail"]);
    assert!(tail.contains("key-added") && tail.contains("key-revoked"), "{tail}");
    place.done(&["audit", "verify"]);
}

#[test]
fn what_cannot_be_done_says_why() {
    let place = Place::new();
    place.run(&ADD);
    let wrong: [(&[&str], &str); 8] = [
        (&["key", "add", "ann"], "key-exists"),
        (&["key", "add", ""], "key-name"),
        (&["key", "add", "b\u{1b}[31mob"], "key-name"),
        (&["key", "add", "bob", "--group", "unix:root"], "key-name"),
        (&["key", "add", "bob", "--expires", "soon"], "key-expiry"),
        (&["key", "add", "bob", "--expires", "2020-01-01"], "key-expiry"),
        (&["key", "revoke", "bob"], "key-unknown"),
        (&["key", "revoke", ""], "key-unknown"),
    ];
    for (args, code) in wrong {
        let ran = place.run(&[&["--json"], args].concat());
        assert_eq!(ran.code, 2, "{args:?}: {ran:?}");
        assert_eq!(one(&ran.stdout)["error"]["code"], code, "{args:?}");
    }
    assert_eq!(each(&place.done(&["--json", "key", "list"])).len(), 1);
}
