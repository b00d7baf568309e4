//! Consent, and what is held of people.
use std::fs;

use tagout_proto::{Digest, Principal};
use tagout_store::{
    Answer, Consent, Forgotten, HeldRow, HeldValue, Recipient, RecipientKind, Store,
};

use crate::sample::{at, file, fresh, origin, principal, question, vote};

fn recipient(name: &str, identity: &[u8]) -> Recipient {
    Recipient { kind: RecipientKind::Server, name: name.to_owned(), identity: Digest::of(identity) }
}

fn consent(user: &str, recipient: &Recipient) -> Consent {
    Consent {
        user: user.to_owned(),
        authenticated_by: "os-user".to_owned(),
        recipient: recipient.clone(),
        agreed_at: at(1),
        by: user.to_owned(),
        channel: "command".to_owned(),
        record: 7,
    }
}

fn keyed(user: &str) -> Principal {
    Principal { authenticated_by: "api-key".into(), ..principal(user) }
}

#[test]
fn a_consent_is_of_one_principal_to_one_recipient_as_it_is() {
    let (_root, store) = fresh();
    let files = recipient("files", b"program 1");
    store.agree(&consent("ann", &files)).unwrap();
    let model = Recipient { kind: RecipientKind::Model, ..files.clone() };
    for (who, to, agreed) in [
        (principal("ann"), files.clone(), true),
        (principal("Ann"), files.clone(), false),
        (principal("ben"), files.clone(), false),
        (keyed("ann"), files.clone(), false),
        (principal("ann"), recipient("files", b"program 2"), false),
        (principal("ann"), recipient("mail", b"program 1"), false),
        (principal("ann"), model, false),
    ] {
        assert_eq!(store.has_agreed(&who, &to).unwrap(), agreed, "{who:?} {to:?}");
    }
}

#[test]
fn a_consent_is_listed_replaced_and_taken_back() {
    let (root, store) = fresh();
    let (old, new) = (recipient("files", b"1"), recipient("files", b"2"));
    store.agree(&consent("ann", &old)).unwrap();
    store.agree(&consent("ann", &new)).unwrap();
    store.agree(&consent("ben", &old)).unwrap();
    let all = [consent("ann", &new), consent("ben", &old)];
    assert_eq!(store.consents().unwrap(), all);
    let other = Store::open(&file(root.path())).unwrap();
    let revoke = |name| {
        other.revoke_consent(&principal("ann"), (RecipientKind::Server, name), at(9)).unwrap()
    };
    assert!(!revoke("mail"));
    assert!(revoke("files"));
    assert!(!revoke("files"));
    assert!(!store.has_agreed(&principal("ann"), &new).unwrap());
    let revoked_at = |to| store.consent_revoked_at(&principal("ann"), to).unwrap();
    assert_eq!((revoked_at(&old), revoked_at(&recipient("mail", b"1"))), (Some(at(9)), None));
    assert!(store.has_agreed(&principal("ben"), &old).unwrap());
}

fn held(store: &Store, who: &Principal) -> Vec<HeldRow> {
    let mut rows = Vec::new();
    store.each_held(who, |row| rows.push(row)).unwrap();
    rows
}

fn column<'a>(row: &'a HeldRow, name: &str) -> Option<&'a HeldValue> {
    row.columns.iter().find(|(column, _)| column == name).map(|(_, value)| value)
}

/// `ann` and `ben` each with a conversation, a question with an answer of the other, a consent.
fn two_people(store: &Store) {
    for (user, other) in [("ann", "ben"), ("ben", "ann")] {
        let mut origin = origin();
        origin.client = format!("client of {user}").into();
        let id = store.open_conversation(&principal(user), &origin, at(0)).unwrap();
        let mut asked = question(user.as_bytes(), 1);
        asked.user = user.to_owned();
        asked.conversation = id;
        asked.card = format!(r#"{{"secret of":"{user}"}}"#);
        store.ask(&asked).unwrap();
        store.vote(&vote(&asked.id, other, Answer::Allow, 2), &asked, None, None).unwrap();
        store.agree(&consent(user, &recipient("files", b"1"))).unwrap();
    }
}

#[test]
fn what_is_held_of_somebody_is_given_whole_and_without_seals() {
    let (_root, store) = fresh();
    two_people(&store);
    let rows = held(&store, &principal("ann"));
    let tables: Vec<_> = rows.iter().map(|row| row.table).collect();
    // Her answer to Ben's question, and his to hers.
    assert_eq!(tables, ["conversations", "questions", "votes", "votes", "consents"]);
    let known = Store::tables_of_people();
    assert!(tables.iter().all(|table| known.contains(table)));
    let text = format!("{rows:?}");
    assert!(text.contains("client of ann") && text.contains("secret of"), "{text}");
    for others in ["client of ben", "\"seal\"", "proof", "hash"] {
        assert!(!text.contains(others), "{others}: {text}");
    }
    assert_eq!(column(&rows[4], "record"), Some(&HeldValue::Whole(7)));
    assert_eq!(held(&store, &keyed("ann")).len(), 1, "an answer by a user of that name");
    assert!(held(&store, &principal("cem")).is_empty());
    let ways = store.ways_to_know("ann").unwrap();
    assert_eq!(ways, ["os-user".to_owned()].into());
    assert!(store.ways_to_know("cem").unwrap().is_empty());
    assert!(store.is_approver("ann").unwrap() && !store.is_approver("cem").unwrap());
}

#[test]
fn what_is_forgotten_is_in_no_file_and_others_keep_theirs() {
    let (root, store) = fresh();
    two_people(&store);
    let before = held(&store, &principal("ben")).len();
    let expected =
        Forgotten { conversations: 1, approvals: 1, consents: 1, answers: 1, sessions: 0 };
    assert_eq!(store.forget(&principal("ann")).unwrap(), expected);
    assert_eq!(store.forget(&principal("ann")).unwrap(), Forgotten::default());
    let left: Vec<_> = held(&store, &principal("ann")).iter().map(|row| row.table).collect();
    // That there was a conversation.
    assert_eq!(left, ["conversations"]);
    // But for her question, with his answer to it, and her answer to his.
    assert_eq!(held(&store, &principal("ben")).len(), before - 2);
    let folder = file(root.path()).parent().unwrap().to_owned();
    for entry in fs::read_dir(folder).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        let holds = |needle: &[u8]| bytes.windows(needle.len()).any(|part| part == needle);
        assert!(!holds(b"client of ann"));
        assert!(!holds(br#"{"secret of":"ann"}"#));
    }
}
