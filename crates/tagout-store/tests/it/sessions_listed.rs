//! Which sessions there are, whatever else stands in the file.
use rusqlite::Connection;
use tagout_store::{Named, Sessions, Standing};

use crate::{
    sample::{at, file, fresh, principal},
    sessions::{TURNS, about, code, kept, of},
};

#[test]
fn sessions_are_found_by_their_first_digits() {
    let (root, store) = fresh();
    let ann = of(&store, "ann");
    let ids: Vec<_> = (0..3).map(|_| kept(&ann, "One", &["hello"]).id().clone()).collect();
    let named = |text: &str| store.named_session(&principal("ann"), &text.parse().unwrap());
    assert_eq!(named(ids[0].as_str()).unwrap(), Named::One(ids[0].clone()));
    assert_eq!(named(&ids[0].short().to_uppercase()).unwrap(), Named::One(ids[0].clone()));
    let connection = Connection::open(file(root.path())).unwrap();
    connection.pragma_update(None, "foreign_keys", false).unwrap();
    let renamed = ["aaaa0", "aaaa1"].map(|start| format!("{start}{}", "0".repeat(27)));
    for (id, to) in ids.iter().zip(&renamed) {
        connection.execute("UPDATE session SET id = ?2 WHERE id = ?1", [id.as_str(), to]).unwrap();
    }
    assert_eq!(named("aaaa").unwrap(), Named::Several);
    assert_eq!(named("aaaa1").unwrap(), Named::One(renamed[1].parse().unwrap()));
    for bad in ["", "aaa", "aaag", "aaaa'", &"a".repeat(33), "%%%%"] {
        assert!(bad.parse::<tagout_store::SessionPrefix>().is_err(), "{bad}");
    }
}

#[test]
fn a_list_has_the_last_one_first() {
    let (_root, store) = fresh();
    let ann = of(&store, "ann");
    let old = kept(&ann, "Old", &["a", "b"]);
    let new = kept(&ann, "New", &["a", "b", "c"]);
    kept(&of(&store, "bob"), "Not hers", &["a", "b", "c", "d"]);
    let titles = |sessions: &Sessions| -> Vec<_> {
        let all = sessions.list().unwrap().into_iter();
        all.map(|listed| (listed.id, listed.updated_at.unwrap(), listed.standing)).collect()
    };
    let sealed = |title: &str| Standing::Sealed { about: about(title), started_at: at(1) };
    let ids = [new.id().clone(), old.id().clone()];
    assert_eq!(store.session_ids(&principal("ann")).unwrap(), ids);
    let expected =
        [(new.id().clone(), at(3), sealed("New")), (old.id().clone(), at(2), sealed("Old"))];
    assert_eq!(titles(&ann), expected);
    assert_eq!(store.last_session(&principal("ann")).unwrap().as_ref(), Some(new.id()));
}

/// Rows that somebody put there, the ones used last, and among those that begin like a session.
#[test]
fn what_is_called_like_no_session_is_in_nobodys_way() {
    let (root, store) = fresh();
    let (ann, who) = (of(&store, "ann"), principal("ann"));
    let mine = kept(&ann, "Mine", TURNS);
    let connection = Connection::open(file(root.path())).unwrap();
    let near = format!("{}!", mine.id().short());
    for forged in ["'zzz'", "''", "CAST(x'ff80' AS TEXT)", &format!("'{near}'")] {
        let insert = format!(
            "INSERT INTO session SELECT {forged}, user, authenticated_by, key,
             '9999-12-31T23:59:59Z', turns, head FROM session WHERE id = ?1"
        );
        connection.execute(&insert, [mine.id().as_str()]).unwrap();
    }
    assert_eq!(store.last_session(&who).unwrap().as_ref(), Some(mine.id()));
    let prefix = mine.id().short().parse().unwrap();
    assert_eq!(store.named_session(&who, &prefix).unwrap(), Named::One(mine.id().clone()));
    assert_eq!(store.session_ids(&who).unwrap(), [mine.id().clone()]);
    assert_eq!(ann.list().unwrap().len(), 1);
    // What is called like one and holds no text is one that was changed.
    for column in ["updated_at", "key"] {
        let other = kept(&ann, "Other", TURNS);
        let update = format!("UPDATE session SET {column} = CAST(x'ff80' AS TEXT) WHERE id = ?1");
        connection.execute(&update, [other.id().as_str()]).unwrap();
        assert_eq!(code(&ann, other.id()), "session-not-valid", "{column}");
        let listed = ann.list().unwrap().into_iter().find(|listed| listed.id == *other.id());
        assert_eq!(listed.unwrap().standing, Standing::NotValid, "{column}");
        assert!(store.delete_session(&who, other.id()).unwrap(), "{column}");
    }
}

#[test]
fn sessions_are_named_without_a_key() {
    let (_root, store) = fresh();
    let mine = kept(&of(&store, "ann"), "Mine", TURNS);
    kept(&of(&store, "bob"), "Not hers", TURNS);
    let listed = store.unopened_sessions(&principal("ann")).unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((&listed[0].id, listed[0].updated_at), (mine.id(), Some(at(4))));
    assert_eq!(listed[0].standing, Standing::KeyMissing);
}
