//! Principals, times and a file to try things on.
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use tagout_proto::{Conversation, Digest, Origin, Principal};
use tagout_store::{Answer, Question, QuestionId, Scope, Store, Vote, VoteChannel};

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

pub(crate) fn principal(user: &str) -> Principal {
    Principal {
        user: user.into(),
        groups: ["operators".to_owned()].into(),
        authenticated_by: "os-user".into(),
    }
}

pub(crate) fn origin() -> Origin {
    Origin { transport: "stdio".into(), client: "test 1.0".into(), address: None, gateway_pid: 7 }
}

pub(crate) fn file(root: &Path) -> PathBuf {
    root.join("state/tagout.db")
}

pub(crate) fn fresh() -> (tempfile::TempDir, Store) {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(&file(root.path())).unwrap();
    (root, store)
}

/// A question of `ann`'s that is open for an hour and waited for a minute.
pub(crate) fn question(binding: &[u8], second: i64) -> Question {
    Question {
        id: QuestionId::new().unwrap(),
        binding: Digest::of(binding),
        standing: Digest::of(b"standing"),
        conversation: Conversation::new("00"),
        user: "ann".to_owned(),
        authenticated_by: "os-user".to_owned(),
        gateway_pid: 7,
        card: "{}".to_owned(),
        demand: "{}".to_owned(),
        seal: "seal".to_owned(),
        opened_at: at(second),
        waited_until: at(second + 60),
        expires_at: at(second + 3600),
        settled: None,
    }
}

pub(crate) fn vote(question: &QuestionId, user: &str, answer: Answer, second: i64) -> Vote {
    Vote {
        question: question.clone(),
        user: user.to_owned(),
        approver: format!("key of {user}"),
        answer,
        scope: Scope::Once,
        message: "é\u{202e}".to_owned(),
        channel: VoteChannel::Command,
        proof: "proof".to_owned(),
        at: at(second),
    }
}
