//! What people answered when they were asked.
use jiff::Timestamp;
use rusqlite::params;
use tagout_proto::{Conversation, Digest, Principal};

use crate::{
    Store, StoreError,
    conversations::random_id,
    store::{stored, timestamp},
};

/// What a person answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Go ahead.
    Allow,
    /// Stop.
    Deny,
}

/// An answer about one call of one conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// Its identifier, made by [`Approval::new`].
    pub id: String,
    /// The conversation.
    pub conversation: Conversation,
    /// Digest of everything that the answer binds to: server identity, definition, arguments,
    /// principal and policy version.
    pub call: Digest,
    /// The answer.
    pub answer: Answer,
    /// Who answered.
    pub by: String,
    /// Where they were asked: `terminal`.
    pub channel: String,
    /// When they answered.
    pub at: Timestamp,
    /// When the answer was used; an answer is used once.
    pub used_at: Option<Timestamp>,
}

impl Approval {
    /// An answer that has not been used, with a random identifier; `by` is who answered and
    /// `channel` where.
    ///
    /// # Errors
    /// [`StoreError::Random`].
    pub fn new(
        about: (&Conversation, Digest),
        answer: Answer,
        by: &str,
        channel: &str,
        at: Timestamp,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            id: random_id()?,
            conversation: about.0.clone(),
            call: about.1,
            answer,
            by: by.to_owned(),
            channel: channel.to_owned(),
            at,
            used_at: None,
        })
    }
}

impl Store {
    /// Keeps `approval`, given in a conversation of `principal`.
    ///
    /// # Errors
    /// Any [`StoreError`]; [`StoreError::Database`] also if `principal` has no such conversation or
    /// the identifier is taken.
    pub fn record_approval(
        &self,
        principal: &Principal,
        approval: &Approval,
    ) -> Result<(), StoreError> {
        let answer = match approval.answer {
            Answer::Allow => "allow",
            Answer::Deny => "deny",
        };
        // The conversation is looked up under its principal; a stranger's gives no row, hence NULL,
        // which the column refuses.
        self.lock()?.execute(
            "INSERT INTO approval (id, conversation, user, authenticated_by, call, answer, by,
             channel, at, used_at) VALUES (?1, (SELECT id FROM conversation WHERE id = ?2
             AND user = ?3 AND authenticated_by = ?4), ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            params![
                approval.id,
                approval.conversation.as_str(),
                &*principal.user,
                &*principal.authenticated_by,
                approval.call.to_string(),
                answer,
                approval.by,
                approval.channel,
                stored(approval.at),
                approval.used_at.map(stored),
            ],
        )?;
        Ok(())
    }

    /// Uses the approval called `id` of `principal`: gives `true` to exactly one caller, of any
    /// process, and only if the answer was to allow. It is on disk before this returns.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn use_once(
        &self,
        principal: &Principal,
        id: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        // A power failure must not give back what was used.
        let rows = self.lock_durable()?.execute(
            "UPDATE approval SET used_at = ?4 WHERE id = ?1 AND user = ?2 AND
             authenticated_by = ?3 AND answer = 'allow' AND used_at IS NULL",
            params![id, &*principal.user, &*principal.authenticated_by, stored(now)],
        )?;
        Ok(rows == 1)
    }

    /// What was answered in `principal`'s conversation `id`, oldest first.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn conversation_approvals(
        &self,
        principal: &Principal,
        id: &Conversation,
    ) -> Result<Vec<Approval>, StoreError> {
        let connection = self.lock()?;
        let mut query = connection.prepare_cached(
            "SELECT id, call, answer, by, channel, at, used_at FROM approval
             WHERE conversation = ?1 AND user = ?2 AND authenticated_by = ?3 ORDER BY at, rowid",
        )?;
        let mut rows =
            query.query(params![id.as_str(), &*principal.user, &*principal.authenticated_by])?;
        let mut approvals = Vec::new();
        while let Some(row) = rows.next()? {
            approvals.push(read(id, row)?);
        }
        Ok(approvals)
    }
}

fn read(conversation: &Conversation, row: &rusqlite::Row<'_>) -> Result<Approval, StoreError> {
    let call: String = row.get(1)?;
    let answer: String = row.get(2)?;
    let at: String = row.get(5)?;
    let used_at: Option<String> = row.get(6)?;
    Ok(Approval {
        id: row.get(0)?,
        conversation: conversation.clone(),
        call: call.parse().map_err(|_| StoreError::Damaged { what: "digest" })?,
        answer: match answer.as_str() {
            "allow" => Answer::Allow,
            "deny" => Answer::Deny,
            _ => return Err(StoreError::Damaged { what: "answer" }),
        },
        by: row.get(3)?,
        channel: row.get(4)?,
        at: timestamp(&at)?,
        used_at: used_at.as_deref().map(timestamp).transpose()?,
    })
}
