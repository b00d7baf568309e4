//! Questions, votes, grants and approvers.
use tagout_proto::{Conversation, Digest};
use tagout_store::{
    Answer, ApprovedCall, Asked, Enrolled, Grant, MOST_QUESTIONS_OF_ONE, Message, Question,
    QuestionId, Scope, Settled, StoredApprover, Voted,
};

use crate::sample::{at, fresh, principal, question, vote};

#[test]
fn identifiers_are_read_as_people_type_them() {
    let id = QuestionId::new().unwrap();
    assert_eq!(id.as_str().len(), 10);
    assert_eq!(id.as_str().to_uppercase().parse(), Ok(id));
    assert_eq!("O1il23456x".parse::<QuestionId>().unwrap().as_str(), "011123456x");
    for bad in ["", "012345678", "01234567890", "012345678u", "01234 6789", "é123456789"] {
        assert!(bad.parse::<QuestionId>().is_err(), "{bad:?}");
    }
}

#[test]
fn a_question_is_settled_once_and_only_while_it_is_open() {
    let (_root, store) = fresh();
    let asked = question(b"a", 1);
    assert_eq!(store.ask(&asked).unwrap(), Asked::Opened);
    assert_eq!(store.question(&asked.id).unwrap().as_ref(), Some(&asked));
    let only = std::slice::from_ref(&asked);
    assert_eq!(store.open_questions(at(2)).unwrap(), only);
    assert_eq!(store.questions_about(Digest::of(b"a"), at(2)).unwrap(), only);
    assert_eq!(store.questions_about(Digest::of(b"b"), at(2)).unwrap(), []);
    let late = at(3601);
    assert_eq!(store.open_questions(late).unwrap(), []);
    let used = ended(&asked, Settled::Used);
    assert!(!store.settle(&used, "seal", late).unwrap(), "expired");
    assert!(!store.settle(&used, "another", at(3)).unwrap(), "it was changed");
    assert!(store.settle(&used, "seal", at(3)).unwrap());
    for again in [Settled::Used, Settled::Denied] {
        assert!(!store.settle(&ended(&asked, again), "seal", at(4)).unwrap());
        assert!(!store.settle(&ended(&asked, again), "used", at(4)).unwrap());
    }
    assert_eq!(store.open_questions(at(5)).unwrap(), []);
    assert_eq!(store.question(&asked.id).unwrap(), Some(used));
}

fn ended(asked: &Question, settled: Settled) -> Question {
    let seal = settled.as_str().to_owned();
    Question { settled: Some(settled), seal, ..asked.clone() }
}

#[test]
fn a_no_ends_a_question_and_is_told_once() {
    let (_root, store) = fresh();
    let asked = question(b"a", 1);
    store.ask(&asked).unwrap();
    let denied = ended(&asked, Settled::Denied);
    let no = vote(&asked.id, "bob", Answer::Deny, 2);
    assert_eq!(store.vote(&no, &asked, Some(&denied), None).unwrap(), Voted::Kept);
    assert_eq!(store.open_questions(at(3)).unwrap(), []);
    assert!(!store.settle(&ended(&asked, Settled::Used), "seal", at(3)).unwrap());
    let yes = vote(&asked.id, "eve", Answer::Allow, 3);
    assert_eq!(store.vote(&yes, &asked, None, None).unwrap(), Voted::Closed);
    assert!(!store.wait_again(&asked.id, at(100), at(190)).unwrap());
    assert_eq!(store.questions_about(Digest::of(b"a"), at(3)).unwrap(), [denied]);
    store.told(&asked.id).unwrap();
    assert_eq!(store.questions_about(Digest::of(b"a"), at(3)).unwrap(), []);
}

#[test]
fn a_question_is_waited_for_by_one() {
    let (_root, store) = fresh();
    let asked = question(b"a", 1);
    store.ask(&asked).unwrap();
    assert!(!store.wait_again(&asked.id, at(30), at(90)).unwrap(), "somebody waits");
    store.wait_no_more(&asked.id, at(31)).unwrap();
    assert!(store.wait_again(&asked.id, at(31), at(91)).unwrap());
    assert!(!store.wait_again(&asked.id, at(32), at(92)).unwrap());
    assert!(store.wait_again(&asked.id, at(91), at(151)).unwrap(), "that one has gone");
    assert!(!store.wait_again(&asked.id, at(3700), at(3800)).unwrap(), "expired");
}

#[test]
fn one_person_has_one_vote() {
    let (_root, store) = fresh();
    let asked = question(b"a", 1);
    store.ask(&asked).unwrap();
    let no = vote(&asked.id, "bob", Answer::Deny, 4);
    for one in [
        vote(&asked.id, "bob", Answer::Allow, 2),
        vote(&asked.id, "eve", Answer::Allow, 3),
        no.clone(),
    ] {
        assert_eq!(store.vote(&one, &asked, None, None).unwrap(), Voted::Kept);
    }
    let votes = store.votes(&asked.id).unwrap();
    assert_eq!(votes, [vote(&asked.id, "eve", Answer::Allow, 3), no]);
    let unknown = vote(&QuestionId::new().unwrap(), "bob", Answer::Allow, 2);
    assert_eq!(store.vote(&unknown, &asked, None, None).unwrap(), Voted::Unknown);
    let late = vote(&asked.id, "bob", Answer::Allow, 3601);
    assert_eq!(store.vote(&late, &asked, None, None).unwrap(), Voted::Closed);
    let elsewhere = Question { seal: "another".to_owned(), ..asked.clone() };
    let soon = vote(&asked.id, "bob", Answer::Allow, 8);
    assert_eq!(store.vote(&soon, &elsewhere, None, None).unwrap(), Voted::Closed, "it was changed");
    store.settle(&ended(&asked, Settled::Used), "seal", at(9)).unwrap();
    let after = vote(&asked.id, "bob", Answer::Allow, 10);
    assert_eq!(store.vote(&after, &asked, None, None).unwrap(), Voted::Closed);
}

#[test]
fn questions_have_a_bound_and_old_ones_go() {
    let (_root, store) = fresh();
    for _ in 0..MOST_QUESTIONS_OF_ONE {
        assert_eq!(store.ask(&question(b"a", 1)).unwrap(), Asked::Opened);
    }
    assert_eq!(store.ask(&question(b"a", 1)).unwrap(), Asked::TooMany);
    let mut other = question(b"a", 1);
    other.user = "bob".to_owned();
    assert_eq!(store.ask(&other).unwrap(), Asked::Opened, "another's are another's");
    store.vote(&vote(&other.id, "ann", Answer::Allow, 2), &other, None, None).unwrap();
    let much_later = question(b"a", 200_000);
    assert_eq!(store.ask(&much_later).unwrap(), Asked::Opened);
    assert_eq!(store.question(&other.id).unwrap(), None);
    assert_eq!(store.votes(&other.id).unwrap(), []);
}

fn grant(scope: Scope, binding: &[u8], end: Option<i64>) -> Grant {
    Grant {
        id: QuestionId::new().unwrap(),
        scope,
        binding: Digest::of(binding),
        conversation: Conversation::new("00"),
        user: "ann".to_owned(),
        authenticated_by: "os-user".to_owned(),
        what: "read on grid".to_owned(),
        given: "{}".to_owned(),
        by: "bob".to_owned(),
        channel: "command".to_owned(),
        seal: "seal".to_owned(),
        at: at(1),
        expires_at: end.map(at),
        revoked_at: None,
    }
}

#[test]
fn grants_hold_until_they_end() {
    let (_root, store) = fresh();
    let (one, always) =
        (grant(Scope::Conversation, b"a", Some(60)), grant(Scope::Always, b"b", None));
    assert!(store.grant(&one).unwrap() && store.grant(&always).unwrap());
    let about = |second| {
        store.grants_about([Digest::of(b"a"), Digest::of(b"b")], at(second)).unwrap().len()
    };
    assert_eq!(store.grants(at(2)).unwrap().len(), 2);
    assert_eq!((about(59), about(60)), (2, 1));
    assert_eq!(store.grants_about([Digest::of(b"c"); 2], at(2)).unwrap(), []);
    assert_eq!(store.granted_as(&always.id).unwrap().as_ref(), Some(&always));
    let gone = Grant { revoked_at: Some(at(9)), seal: "gone".to_owned(), ..always.clone() };
    assert!(!store.revoke_grant(&gone, "another").unwrap());
    assert!(store.revoke_grant(&gone, "seal").unwrap());
    assert!(!store.revoke_grant(&gone, "seal").unwrap());
    assert_eq!(store.granted_as(&always.id).unwrap(), Some(gone));
    assert_eq!(about(10), 1);
    assert_eq!(store.erase_approvals(&principal("ann")).unwrap(), 2);
    assert_eq!(about(2), 0);
}

#[test]
fn the_last_approved_call_is_its_principals() {
    let (_root, store) = fresh();
    let call = |text: &str, second| ApprovedCall {
        arguments: text.to_owned(),
        digest: Digest::of(text.as_bytes()),
        at: at(second),
    };
    let (ann, about) = (principal("ann"), ("grid", "read"));
    store.keep_approved(&ann, about, &call("{}", 1)).unwrap();
    store.keep_approved(&ann, about, &call("[]", 2)).unwrap();
    let last = |who: &str| store.last_approved(&principal(who), "grid", "read").unwrap();
    assert_eq!(last("ann"), Some(call("[]", 2)));
    assert_eq!(last("bob"), None);
}

#[test]
fn a_message_is_taken_once_and_with_its_vote() {
    let (_root, store) = fresh();
    let asked = question(b"a", 1);
    store.ask(&asked).unwrap();
    let say = |id: &str, user: &str, second, since| {
        let message = Message { id, since: at(since) };
        let vote = vote(&asked.id, user, Answer::Allow, second);
        store.vote(&vote, &asked, None, Some(message)).unwrap()
    };
    let elsewhere = vote(&QuestionId::new().unwrap(), "bob", Answer::Allow, 9);
    let message = Some(Message { id: "a", since: at(0) });
    assert_eq!(store.vote(&elsewhere, &asked, None, message).unwrap(), Voted::Unknown);
    assert!(!store.is_taken("a").unwrap(), "what came to nothing may come again");
    assert_eq!(say("a", "bob", 10, 0), Voted::Kept);
    assert!(store.is_taken("a").unwrap());
    assert_eq!(say("a", "eve", 11, 0), Voted::Again);
    assert_eq!(store.votes(&asked.id).unwrap().len(), 1);
    assert_eq!(say("b", "bob", 99, 50), Voted::Kept);
    assert_eq!(say("a", "bob", 99, 50), Voted::Kept, "too old to be taken anyway");
}

#[test]
fn only_the_first_enrols_itself() {
    let (_root, store) = fresh();
    let approver = |name: &str, by: &str| StoredApprover {
        number: 1,
        name: name.parse().unwrap(),
        user: format!("user of {name}"),
        groups: ["supervisors".to_owned(), "night".to_owned()].into(),
        public: format!("ed25519:{name}"),
        webhook: true,
        enrolled_by: by.to_owned(),
        signature: "signature".to_owned(),
        enrolled_at: at(1),
        revoked_at: None,
        seal: String::new(),
    };
    let sealed = |one: &StoredApprover| format!("{} {:?}", one.number, one.revoked_at);
    let enrol =
        |name: &str, by: &str, listed| store.enrol(approver(name, by), listed, sealed).unwrap();
    let revoke = |name: &str| {
        let all = store.approvers().unwrap();
        let one = all.into_iter().find(|one| one.name.as_str() == name).unwrap();
        let mut gone = StoredApprover { revoked_at: Some(at(5)), ..one.clone() };
        gone.seal = sealed(&gone);
        store.revoke_approver(&gone, &one.seal).unwrap()
    };
    assert_eq!(enrol("ann", "ann", false), Enrolled::Kept);
    assert_eq!(enrol("eve", "eve", false), Enrolled::NotFirst);
    assert_eq!(enrol("ann", "ann", true), Enrolled::NameTaken);
    assert_eq!(enrol("bob", "ann", false), Enrolled::Kept);
    assert!(revoke("ann"));
    assert!(!revoke("ann"));
    // Whoever revokes everybody does not become the first.
    assert!(revoke("bob"));
    assert_eq!(enrol("eve", "eve", false), Enrolled::NotFirst);
    assert_eq!(enrol("eve", "eve", true), Enrolled::Kept);
    let all = store.approvers().unwrap();
    let mut ann = StoredApprover { revoked_at: Some(at(5)), ..approver("ann", "ann") };
    ann.seal = sealed(&ann);
    assert_eq!(all.first(), Some(&ann));
    assert_eq!(all.iter().map(|one| one.number).collect::<Vec<_>>(), [1, 2, 3]);
    let again = StoredApprover { public: ann.public.clone(), ..approver("zed", "zed") };
    assert_eq!(store.enrol(again, true, sealed).unwrap(), Enrolled::KeyTaken);
    assert_eq!(all.len(), 3);
}
