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
    /// Records of theirs.
    calls: BTreeSet<u64>,
}

impl<'a> About<'a> {
    /// Picks those about `principal`.
    #[must_use]
    pub const fn new(principal: &'a Principal) -> Self {
        Self { principal, calls: BTreeSet::new() }
    }

    /// Whether `line` is about them: their calls with what became of them, what they did, and what
    /// they answered about others' calls.
    pub fn picks(&mut self, line: &Line) -> bool {
        let theirs =
            |who: &Option<Principal>| who.as_ref().is_some_and(|who| is_same(who, self.principal));
        let answered = |by: Option<&str>| {
            by.is_some_and(|by| users_in(by).iter().any(|user| **user == *self.principal.user))
        };
        match &line.event {
            Event::Begin(begun) => {
                let theirs = theirs(&begun.principal);
                if theirs {
                    self.calls.insert(line.n);
                }
                theirs
            }
            Event::Note(noted) => theirs(&noted.principal),
            Event::Decision(decided) => {
                let by = decided.approval.as_ref().and_then(|approval| approval.by.as_deref());
                self.calls.contains(&decided.of) || answered(by)
            }
            Event::End(ended) => {
                let by = ended.approval.as_ref().and_then(|approval| approval.by.as_deref());
                self.calls.contains(&ended.of) || answered(by)
            }
            Event::Erased(erased) => self.calls.contains(&erased.of),
            Event::Genesis(_)
            | Event::Torn(_)
            | Event::Adopted(_)
            | Event::Lost(_)
            | Event::Rotated {} => false,
        }
    }
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
            if let Event::Begin(begun) = &line.event
                && begun.payload.is_some()
                && begun.principal.as_ref().is_some_and(|who| is_same(who, principal))
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
