//! What is kept, and from whom.
use tagout_proto::{Conversation, Digest, Origin, Principal};
use tagout_store::Store;

use crate::sample::{at, file, fresh, origin, principal};

#[test]
fn a_conversation_is_its_principals() {
    let (root, store) = fresh();
    let ann = principal("ann");
    let id = store.open_conversation(&ann, &origin(), at(1)).unwrap();
    assert_eq!(id.as_str().len(), 32);
    assert!(id.as_str().bytes().all(|b| b.is_ascii_hexdigit()));
    assert_ne!(id, store.open_conversation(&ann, &origin(), at(1)).unwrap());
    assert!(store.touch(&ann, &id, at(5)).unwrap());

    let again = Store::open(&file(root.path())).unwrap();
    let found = again.conversation(&ann, id.as_str()).unwrap().unwrap();
    assert_eq!((found.id, found.origin), (id.clone(), origin()));
    assert_eq!((found.opened_at, found.touched_at), (at(1), at(5)));
    // Groups come and go while a conversation goes on.
    let mut promoted = ann.clone();
    promoted.groups.clear();
    assert!(store.conversation(&promoted, id.as_str()).unwrap().is_some());
    // The same name from another source is somebody else.
    let mut namesake = ann;
    namesake.authenticated_by = "token".into();
    for stranger in [principal("bob"), namesake] {
        assert_eq!(store.conversation(&stranger, id.as_str()).unwrap(), None);
        assert!(!store.touch(&stranger, &id, at(9)).unwrap());
    }
    for unknown in ["", "00", "' OR 1=1 --"] {
        assert_eq!(store.conversation(&promoted, unknown).unwrap(), None);
    }
}

#[test]
fn an_old_touch_does_not_turn_time_back() {
    let (_root, store) = fresh();
    let ann = principal("ann");
    let id = store.open_conversation(&ann, &origin(), at(1)).unwrap();
    assert!(store.touch(&ann, &id, at(9)).unwrap());
    assert!(store.touch(&ann, &id, at(5)).unwrap());
    assert_eq!(store.conversation(&ann, id.as_str()).unwrap().unwrap().touched_at, at(9));
}

#[test]
fn definitions_are_kept_once() {
    let (_root, store) = fresh();
    let text = "{\"name\":\"read\",\"description\":\"é\\u0000\"}";
    let digest = Digest::of(text.as_bytes());
    assert_eq!(store.definition(digest).unwrap(), None);
    store.remember_definition(digest, text).unwrap();
    store.remember_definition(digest, text).unwrap();
    assert_eq!(store.definition(digest).unwrap().as_deref(), Some(text));
}

#[test]
fn a_conversation_is_resumed_within_its_time_and_by_its_own() {
    let (_root, store) = fresh();
    let (ann, bob) = (principal("ann"), principal("bob"));
    let begun = store.open_conversation(&ann, &origin(), at(1)).unwrap();
    let old = store.open_conversation(&ann, &origin(), at(1)).unwrap();
    let last = store.open_conversation(&ann, &origin(), at(2)).unwrap();
    store.conversation_goes_on(&old).unwrap();
    store.conversation_goes_on(&last).unwrap();
    let resumed = |who: &Principal, origin: &Origin, second| {
        store.resume_conversation(who, origin, at(second), |_| true).unwrap()
    };
    assert!(store.touch(&ann, &begun, at(3)).unwrap(), "a handshake began it");
    assert_eq!(resumed(&ann, &origin(), 0), Some(last));
    assert!(store.touch(&ann, &old, at(9)).unwrap());
    assert_eq!(resumed(&ann, &origin(), 5), Some(old));
    assert_eq!(resumed(&ann, &origin(), 10), None);
    assert_eq!(resumed(&bob, &origin(), 0), None);
    for change in ["http", "other"] {
        let mut other = origin();
        if change == "http" {
            other.transport = change.into()
        } else {
            other.client = change.into()
        }
        assert_eq!(resumed(&ann, &other, 0), None, "{change}");
    }
}

#[test]
fn a_conversation_of_another_gateway_is_taken_over_once_that_is_gone() {
    let (_root, store) = fresh();
    let ann = principal("ann");
    let opened = store.open_conversation(&ann, &origin(), at(1)).unwrap();
    store.conversation_goes_on(&opened).unwrap();
    let other = Origin { gateway_pid: 8, ..origin() };
    let by = |origin: &Origin, lives: bool| {
        store.resume_conversation(&ann, origin, at(0), |_| lives).unwrap()
    };
    assert_eq!(by(&other, true), None);
    assert_eq!(by(&other, false), Some(opened.clone()));
    assert_eq!(by(&origin(), true), None, "it has gone over");
    assert_eq!(by(&other, true), Some(opened));
}

#[test]
fn what_happened_is_kept_by_gateway() {
    let (_root, store) = fresh();
    let ann = principal("ann");
    let opened = store.open_conversation(&ann, &origin(), at(1)).unwrap();
    for (gateway, happened, second) in [("a", "1", 1), ("b", "2", 2), ("a", "3", 3)] {
        store.keep_history(&opened, gateway, happened, at(second)).unwrap();
    }
    assert_eq!(store.history_elsewhere(&opened, "a").unwrap(), ["2"]);
    assert_eq!(store.history_elsewhere(&opened, "c").unwrap(), ["3", "2"]);
    let taken = store.take_up_history(
        &opened,
        ("c", at(4)),
        |of| of == "a",
        |parts| {
            assert_eq!(parts, ["3"]);
            Ok("4".to_owned())
        },
    );
    assert_eq!(taken.unwrap().as_deref(), Some("4"));
    assert_eq!(store.history_elsewhere(&opened, "").unwrap(), ["4", "2"], "and no more of a");
    let nobodys = Conversation::new("0123456789abcdef0123456789abcdef");
    assert_eq!(store.history_elsewhere(&nobodys, "a").unwrap(), [""; 0]);
    assert!(store.keep_history(&nobodys, "a", "1", at(1)).is_err());
}

#[test]
fn a_conversation_that_nobody_uses_is_forgotten() {
    let (_root, store) = fresh();
    let (ann, bob) = (principal("ann"), principal("bob"));
    let [old, used, of_bob] =
        [&ann, &ann, &bob].map(|who| store.open_conversation(who, &origin(), at(0)).unwrap());
    let day = 24 * 3600;
    store.touch(&ann, &used, at(day)).unwrap();
    store.open_conversation(&ann, &origin(), at(90 * day + 1)).unwrap();
    let there = |who, id: &Conversation| store.conversation(who, id.as_str()).unwrap().is_some();
    assert!(!there(&ann, &old) && there(&ann, &used) && there(&bob, &of_bob));
}

#[test]
fn a_named_conversation_is_its_principals() {
    let (_root, store) = fresh();
    let (ann, bob) = (principal("ann"), principal("bob"));
    let named =
        |who, name, second| store.named_conversation(who, &origin(), (name, at(second))).unwrap();
    let opened = store.open_conversation(&ann, &origin(), at(1)).unwrap();
    assert_eq!(named(&ann, opened.as_str(), 2), opened);
    assert_ne!(named(&bob, opened.as_str(), 2), opened, "another's is as if it did not exist");
    let mine = named(&ann, "night shift", 3);
    assert_eq!(named(&ann, "night shift", 4), mine);
    assert_eq!(named(&ann, mine.as_str(), 5), mine);
    assert_ne!(named(&bob, "night shift", 4), mine);
    let resumed = store.resume_conversation(&ann, &origin(), at(0), |_| true).unwrap();
    assert_eq!(resumed, None, "never one that has a name, or that a handshake began");
}

#[test]
fn handles_go_anywhere() {
    const fn anywhere<T: Send + Sync + Clone + 'static>() {}
    anywhere::<Store>();
}
