//! What the audit log says of answers that were used up or taken back. Who can write the state can
//! put an older copy of a row there, code and all; the log they cannot change without a trace.
use std::{
    collections::HashMap,
    path::Path,
    sync::{Mutex, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use tagout_audit::{AuditError, Line, Reader, record::Event};
use tagout_store::QuestionId;

/// Lines that are read at a time.
const LINES: usize = 1024;
/// No question stays open for longer, and no approval for a conversation holds for longer.
const LONGEST: SignedDuration = SignedDuration::from_hours(25);

/// What was read of the log, and where it goes on.
#[derive(Debug)]
pub(crate) struct Spent {
    reader: Reader,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// From when on the log was read; nothing if it was not.
    since: Option<Timestamp>,
    /// The number of the next line.
    next: u64,
    /// Questions that calls have used, or that somebody said no to, and when.
    closed: HashMap<String, Timestamp>,
    /// Approvals for more than one call that were taken back.
    revoked: HashMap<String, Timestamp>,
}

impl Spent {
    /// Of the log in `directory`, which is read when it is asked for.
    pub(crate) fn of(directory: &Path) -> Self {
        Self { reader: Reader::new(directory), seen: Mutex::default() }
    }

    /// Whether a call has used the question `id`, asked at `at`, or somebody said no to it.
    ///
    /// # Errors
    /// [`AuditError::Unreadable`].
    pub(crate) fn is_closed(
        &self,
        id: &QuestionId,
        at: Timestamp,
        now: Timestamp,
    ) -> Result<bool, AuditError> {
        self.up_to_now(at, now, |seen| seen.closed.contains_key(id.as_str()))
    }

    /// Whether the approval for more than one call with the name `id`, given at `at`, was taken
    /// back. Of one that is older than any question can be, only what happened since this gateway
    /// first looked is known.
    ///
    /// # Errors
    /// [`AuditError::Unreadable`].
    pub(crate) fn is_revoked(
        &self,
        id: &QuestionId,
        at: Timestamp,
        now: Timestamp,
    ) -> Result<bool, AuditError> {
        self.up_to_now(at, now, |seen| seen.revoked.contains_key(id.as_str()))
    }

    fn up_to_now(
        &self,
        at: Timestamp,
        now: Timestamp,
        ask: impl FnOnce(&Seen) -> bool,
    ) -> Result<bool, AuditError> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = now.checked_sub(LONGEST).unwrap_or(Timestamp::MIN);
        let from = at.max(oldest);
        if seen.since.is_none_or(|since| from < since) {
            // The clocks of two gateways may differ a little.
            let from = from.checked_sub(SignedDuration::from_mins(1)).unwrap_or(from);
            self.reader.back_to(from, |line| seen.note(&line))?;
            seen.since = Some(from);
        }
        loop {
            let lines = self.reader.read_from(seen.next, LINES)?;
            lines.iter().for_each(|line| seen.note(line));
            if lines.len() < LINES {
                break;
            }
        }
        seen.closed.retain(|_, at| *at >= oldest);
        Ok(ask(&seen))
    }
}

impl Seen {
    fn note(&mut self, line: &Line) {
        self.next = self.next.max(line.n.saturating_add(1));
        match &line.event {
            Event::Decision(decided) => {
                let approval = decided.approval.as_ref().filter(|one| one.how != "granted");
                if let Some(question) = approval.and_then(|one| one.question.clone()) {
                    self.closed.insert(question, line.at);
                }
            }
            Event::Note(noted) => {
                let detail = noted.detail.as_deref().unwrap_or_default();
                let question = detail.rsplit_once("question ").map(|(_, id)| id.to_owned());
                match (&*noted.event, question) {
                    ("approval-answered", Some(id)) if detail.starts_with("deny,") => {
                        self.closed.insert(id, line.at);
                    }
                    ("approval-revoked", Some(id)) => {
                        self.revoked.insert(id, line.at);
                    }
                    (_, _) => {}
                }
            }
            Event::Genesis(_)
            | Event::Begin(_)
            | Event::End(_)
            | Event::Said(_)
            | Event::Torn(_)
            | Event::Adopted(_)
            | Event::Lost(_)
            | Event::Erased(_)
            | Event::Rotated {} => {}
        }
    }
}
