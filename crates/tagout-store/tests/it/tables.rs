//! What is kept, and from whom.
use tagout_proto::{Conversation, Digest};
use tagout_store::{Answer, Approval, Quarantined, Store};

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
fn an_approval_is_used_once() {
    let (_root, store) = fresh();
    let (ann, bob) = (principal("ann"), principal("bob"));
    let id = store.open_conversation(&ann, &origin(), at(1)).unwrap();
    let call = Digest::of(b"call");
    let new =
        |answer, second| Approval::new((&id, call), answer, "ann", "terminal", at(second)).unwrap();
    let (yes, no) = (new(Answer::Allow, 2), new(Answer::Deny, 3));
    store.record_approval(&ann, &yes).unwrap();
    store.record_approval(&ann, &no).unwrap();
    assert!(store.record_approval(&ann, &yes).is_err(), "its identifier is taken");

    assert!(!store.use_once(&bob, &yes.id, at(4)).unwrap(), "another's");
    assert!(!store.use_once(&ann, &no.id, at(4)).unwrap(), "a denial");
    assert!(!store.use_once(&ann, "unknown", at(4)).unwrap());
    assert!(store.use_once(&ann, &yes.id, at(4)).unwrap());
    assert!(!store.use_once(&ann, &yes.id, at(5)).unwrap());

    let used = Approval { used_at: Some(at(4)), ..yes };
    assert_eq!(store.conversation_approvals(&ann, &id).unwrap(), [used, no]);
    assert_eq!(store.conversation_approvals(&bob, &id).unwrap(), []);
}

#[test]
fn nobody_approves_in_anothers_conversation() {
    let (_root, store) = fresh();
    let (ann, bob) = (principal("ann"), principal("bob"));
    let id = store.open_conversation(&ann, &origin(), at(1)).unwrap();
    for (who, conversation) in [(&bob, &id), (&ann, &Conversation::new("00"))] {
        let about = (conversation, Digest::of(b"call"));
        let approval = Approval::new(about, Answer::Allow, "bob", "terminal", at(2)).unwrap();
        assert_eq!(store.record_approval(who, &approval).unwrap_err().code(), "store-unavailable");
        assert!(!store.use_once(who, &approval.id, at(3)).unwrap());
    }
}

#[test]
fn a_quarantine_is_announced_once() {
    let (_root, store) = fresh();
    let found = |got: &[u8], second| Quarantined {
        server: "grid".parse().unwrap(),
        tool: "read".parse().unwrap(),
        expected: Some(Digest::of(b"reviewed")),
        got: Digest::of(got),
        at: at(second),
    };
    assert!(store.quarantine(&found(b"a", 1)).unwrap());
    assert!(!store.quarantine(&found(b"a", 2)).unwrap());
    assert!(store.quarantine(&found(b"b", 3)).unwrap(), "another change");
    let unreviewed =
        Quarantined { expected: None, tool: "write".parse().unwrap(), ..found(b"c", 4) };
    assert!(store.quarantine(&unreviewed).unwrap());
    assert_eq!(store.quarantined().unwrap(), [found(b"a", 1), found(b"b", 3), unreviewed]);
    let (server, tool) = ("grid".parse().unwrap(), "read".parse().unwrap());
    assert!(store.release(&server, &tool).unwrap());
    assert!(!store.release(&server, &tool).unwrap());
    assert_eq!(store.quarantined().unwrap().len(), 1);
    assert!(store.quarantine(&found(b"a", 5)).unwrap(), "again after a review");
}

/// Times sort as text, with and without decimals.
#[test]
fn approvals_come_in_order() {
    let (_root, store) = fresh();
    let ann = principal("ann");
    let id = store.open_conversation(&ann, &origin(), at(1)).unwrap();
    let times = [at(1), "2023-11-14T22:13:21.5Z".parse().unwrap(), at(2)];
    for time in times.into_iter().rev() {
        let about = (&id, Digest::of(b"call"));
        let approval = Approval::new(about, Answer::Deny, "ann", "terminal", time).unwrap();
        store.record_approval(&ann, &approval).unwrap();
    }
    let approvals = store.conversation_approvals(&ann, &id).unwrap();
    assert_eq!(approvals.iter().map(|approval| approval.at).collect::<Vec<_>>(), times);
}

#[test]
fn handles_go_anywhere() {
    const fn anywhere<T: Send + Sync + Clone + 'static>() {}
    anywhere::<Store>();
}
