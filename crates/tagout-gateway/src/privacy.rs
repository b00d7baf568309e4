//! Forgetting somebody. The chain of the audit log stays as it is: what it holds of people are
//! names, times and digests; what they sent stands beside it and goes.
use std::collections::BTreeSet;

use tagout_audit::{AuditError, Durability, Line, Note, Reader, record::Event};
use tagout_proto::Principal;
use tagout_store::{Forgotten, StoreError};

use crate::{Gateway, approval::users_in};

/// What was erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// The record of it.
    pub record: u64,
    /// Records whose payloads are gone.
    pub payloads: u64,
    /// What is gone from the store.
    pub forgotten: Forgotten,
}

/// Why somebody is not forgotten, or not wholly: try again.
#[derive(Debug, thiserror::Error)]
pub enum PrivacyTrouble {
    /// The audit log cannot be read, or not be written.
    #[error("what is on record cannot be erased")]
    Audit(#[from] AuditError),
    /// The state store is away.
    #[error("what is in the state store cannot be erased")]
    Store(#[from] StoreError),
}

impl PrivacyTrouble {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Audit(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        match self {
            Self::Audit(error) => error.help(),
            Self::Store(error) => error.help(),
        }
    }
}

/// Whether both are one, whatever groups they were in when.
#[must_use]
pub fn is_same(one: &Principal, other: &Principal) -> bool {
    one.user == other.user && one.authenticated_by == other.authenticated_by
}

/// Picks the lines that are about one principal, in the log's order.
#[derive(Debug)]
pub struct About<'a> {
    principal: &'a Principal,
    /// Records of theirs: calls, and what they and their models said.
    calls: BTreeSet<u64>,
    /// The names of keys that they answer others' questions with.
    keys: BTreeSet<String>,
}

impl<'a> About<'a> {
    /// Picks those about `principal`.
    #[must_use]
    pub const fn new(principal: &'a Principal) -> Self {
        Self { principal, calls: BTreeSet::new(), keys: BTreeSet::new() }
    }

    /// Whether `line` is about them: their calls with what became of them, what they did, and what
    /// they answered about others' calls.
    pub fn picks(&mut self, line: &Line) -> bool {
        let theirs =
            |who: &Option<Principal>| who.as_ref().is_some_and(|who| is_same(who, self.principal));
        let answers = self.answers(line);
        match &line.event {
            Event::Begin(begun) => {
                let theirs = theirs(&begun.principal);
                if theirs {
                    self.calls.insert(line.n);
                }
                theirs
            }
            Event::Note(noted) => answers || theirs(&noted.principal),
            Event::Said(said) => {
                let theirs = is_same(&said.principal, self.principal);
                if theirs {
                    self.calls.insert(line.n);
                }
                theirs
            }
            Event::Decision(decided) => answers || self.calls.contains(&decided.of),
            Event::End(ended) => answers || self.calls.contains(&ended.of),
            Event::Erased(erased) => self.calls.contains(&erased.of),
            Event::Genesis(_)
            | Event::Torn(_)
            | Event::Adopted(_)
            | Event::Lost(_)
            | Event::Rotated {} => false,
        }
    }

    /// Whether `line` says that they answer, or have answered, questions about others' calls. That
    /// goes by the user: an approver's name is what a key is called.
    pub fn answers(&mut self, line: &Line) -> bool {
        let user = &*self.principal.user;
        let approved = |by: Option<&str>| {
            by.is_some_and(|by| users_in(by).iter().any(|named| *named == *user))
        };
        match &line.event {
            Event::Decision(decided) => {
                approved(decided.approval.as_ref().and_then(|approval| approval.by.as_deref()))
            }
            Event::End(ended) => {
                approved(ended.approval.as_ref().and_then(|approval| approval.by.as_deref()))
            }
            Event::Note(noted) => {
                let (key, detail) = (noted.subject.as_deref(), noted.detail.as_deref());
                let (key, detail) = (key.unwrap_or_default(), detail.unwrap_or_default());
                match noted.event.as_str() {
                    "approval-answered" => answered_by(detail) == Some(user),
                    "approver-enrolled" => {
                        let theirs = enrolled_user(detail) == Some(user);
                        if theirs {
                            self.keys.insert(key.to_owned());
                        }
                        theirs
                    }
                    "approver-revoked" => self.keys.contains(key),
                    _ => false,
                }
            }
            Event::Begin(_)
            | Event::Genesis(_)
            | Event::Said(_)
            | Event::Torn(_)
            | Event::Adopted(_)
            | Event::Lost(_)
            | Event::Erased(_)
            | Event::Rotated {} => false,
        }
    }
}

/// The user in ``allow, once, by `NAME` (USER), through command, question …``.
fn answered_by(detail: &str) -> Option<&str> {
    let (_, after) = detail.split_once("` (")?;
    after.rsplit_once("), through ").map(|(user, _)| user)
}

/// The user in `user USER, key ed25519:…, by …`.
fn enrolled_user(detail: &str) -> Option<&str> {
    detail.strip_prefix("user ")?.rsplit_once(", key ").map(|(user, _)| user)
}

impl Gateway {
    /// Erases what `principal` sent and what the store holds of them, on behalf of whoever runs
    /// this; on record before it is done. `log` reads the audit log that this gateway writes.
    ///
    /// # Errors
    /// See [`PrivacyTrouble`].
    pub fn erase(&self, principal: &Principal, log: &Reader) -> Result<Erasure, PrivacyTrouble> {
        let now = self.clock.now();
        let mut calls = BTreeSet::new();
        log.each(|line, _| {
            if line.event.payload().is_some()
                && line.event.principal().is_some_and(|who| is_same(who, principal))
            {
                calls.insert(line.n);
            }
            true
        })?;
        let mut note = Note::new(now, "privacy-erased");
        let detail = format!("by way of `{}`", principal.authenticated_by);
        note.principal = Some(&self.principal);
        note.subject = Some(&principal.user);
        note.detail = Some(&detail);
        let record = self.audit.note(&note, Durability::Disk)?;
        let payloads = self.audit.erase_payloads(&calls, now)?;
        let forgotten = self.store.forget(principal)?;
        Ok(Erasure { record, payloads, forgotten })
    }
}
