//! What was approved for more than one call, and the last approved call of each tool.
use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, params};
use tagout_proto::{Conversation, Digest, Principal};

use crate::{
    QuestionId, Scope, Store, StoreError,
    store::{stored, timestamp},
};

/// Approvals for more than one call of one principal that may hold at once.
const MOST_GRANTS: u32 = 1024;

/// An approval for more than one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The question that it was the answer to.
    pub id: QuestionId,
    /// [`Scope::Conversation`] or [`Scope::Always`].
    pub scope: Scope,
    /// Digest of everything that it binds to; of [`Scope::Always`] without the conversation.
    pub binding: Digest,
    /// The conversation in which it was given.
    pub conversation: Conversation,
    /// For whose calls: the user,
    pub user: String,
    /// and how that is known.
    pub authenticated_by: String,
    /// The tool and its server, for people.
    pub what: String,
    /// What policy is told of it, as JSON.
    pub given: String,
    /// Who gave it.
    pub by: String,
    /// By which way.
    pub channel: String,
    /// The gateway's code over the above.
    pub seal: String,
    /// When.
    pub at: Timestamp,
    /// Until when; nothing for [`Scope::Always`].
    pub expires_at: Option<Timestamp>,
    /// When it was taken back.
    pub revoked_at: Option<Timestamp>,
}

impl Grant {
    /// Whether it holds at `now`.
    #[must_use]
    pub fn holds(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

/// A call that was approved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApprovedCall {
    /// Its arguments for people, redacted.
    pub arguments: String,
    /// Digest of the arguments as they were.
    pub digest: Digest,
    /// When.
    pub at: Timestamp,
}

impl Store {
    /// Keeps an approval for more than one call; gives `false` where its principal has too many.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn grant(&self, new: &Grant) -> Result<bool, StoreError> {
        let connection = self.lock_durable()?;
        let now = stored(new.at);
        connection.execute(
            "DELETE FROM \"grant\" WHERE expires_at < ?1 OR revoked_at IS NOT NULL",
            params![now],
        )?;
        let rows = connection.execute(
            "INSERT OR IGNORE INTO \"grant\" (id, scope, binding, conversation, user,
             authenticated_by, what, given, by, channel, seal, at, expires_at)
             SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13
             WHERE (SELECT count(*) FROM \"grant\" WHERE user = ?5 AND authenticated_by = ?6) < ?14",
            params![
                new.id.as_str(),
                new.scope.as_str(),
                new.binding.to_string(),
                new.conversation.as_str(),
                new.user,
                new.authenticated_by,
                new.what,
                new.given,
                new.by,
                new.channel,
                new.seal,
                now,
                new.expires_at.map(stored),
                MOST_GRANTS,
            ],
        )?;
        Ok(rows == 1)
    }

    /// What holds at `now` and binds to one of `bindings`.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn grants_about(
        &self,
        bindings: [Digest; 2],
        now: Timestamp,
    ) -> Result<Vec<Grant>, StoreError> {
        let [one, other] = bindings.map(|binding| binding.to_string());
        let query = format!("{COLUMNS} WHERE binding IN (?1, ?2) LIMIT {MOST_GRANTS}");
        let mut grants = self.read_grants(&query, &[&one, &other])?;
        grants.retain(|grant| grant.holds(now));
        Ok(grants)
    }

    /// Every approval for more than one call that holds at `now`, oldest first.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn grants(&self, now: Timestamp) -> Result<Vec<Grant>, StoreError> {
        let mut grants = self.read_grants(&format!("{COLUMNS} ORDER BY at, id"), &[])?;
        grants.retain(|grant| grant.holds(now));
        Ok(grants)
    }

    /// The approval for more than one call that was the answer to the question `id`.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn granted_as(&self, id: &QuestionId) -> Result<Option<Grant>, StoreError> {
        Ok(self.read_grants(&format!("{COLUMNS} WHERE id = ?1"), &[id.as_str()])?.pop())
    }

    /// Puts the approval as it is `revoked` in place of the one that had the code `before`; gives
    /// `false` if there is none such.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn revoke_grant(&self, revoked: &Grant, before: &str) -> Result<bool, StoreError> {
        let rows = self.lock_durable()?.execute(
            "UPDATE \"grant\" SET revoked_at = ?3, seal = ?4
             WHERE id = ?1 AND seal = ?2 AND revoked_at IS NULL",
            params![revoked.id.as_str(), before, revoked.revoked_at.map(stored), revoked.seal],
        )?;
        Ok(rows == 1)
    }

    fn read_grants(&self, query: &str, values: &[&str]) -> Result<Vec<Grant>, StoreError> {
        let connection = self.lock_reader()?;
        let mut statement = connection.prepare_cached(query)?;
        let mut rows = statement.query(rusqlite::params_from_iter(values))?;
        let mut grants = Vec::new();
        while let Some(row) = rows.next()? {
            grants.push(read(row)?);
        }
        Ok(grants)
    }

    /// The last call of `subject` at `server` that was approved for `principal`.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn last_approved(
        &self,
        principal: &Principal,
        server: &str,
        subject: &str,
    ) -> Result<Option<ApprovedCall>, StoreError> {
        let row = self
            .lock_reader()?
            .query_row(
                "SELECT arguments, digest, at FROM approved_call WHERE user = ?1
                 AND authenticated_by = ?2 AND server = ?3 AND subject = ?4",
                params![&*principal.user, &*principal.authenticated_by, server, subject],
                |row| Ok((row.get(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?)),
            )
            .optional()?;
        let Some((arguments, digest, at)) = row else { return Ok(None) };
        let digest = digest.parse().map_err(|_| StoreError::Damaged { what: "digest" })?;
        Ok(Some(ApprovedCall { arguments, digest, at: timestamp(&at)? }))
    }

    /// Keeps `call` as the last one of `subject` at `server` that was approved for `principal`.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn keep_approved(
        &self,
        principal: &Principal,
        (server, subject): (&str, &str),
        call: &ApprovedCall,
    ) -> Result<(), StoreError> {
        self.lock()?.execute(
            "INSERT OR REPLACE INTO approved_call (user, authenticated_by, server, subject,
             arguments, digest, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                &*principal.user,
                &*principal.authenticated_by,
                server,
                subject,
                call.arguments,
                call.digest.to_string(),
                stored(call.at),
            ],
        )?;
        Ok(())
    }
}

const COLUMNS: &str = "SELECT id, scope, binding, conversation, user, authenticated_by, what, given, by, channel, seal, at, expires_at, revoked_at FROM \"grant\"";

fn read(row: &rusqlite::Row<'_>) -> Result<Grant, StoreError> {
    let text = |column: usize| row.get::<_, String>(column);
    let time = |column: usize| -> Result<Option<Timestamp>, StoreError> {
        let written: Option<String> = row.get(column)?;
        written.as_deref().map(timestamp).transpose()
    };
    Ok(Grant {
        id: text(0)?.parse().map_err(|_| StoreError::Damaged { what: "question" })?,
        scope: Scope::read(&text(1)?)?,
        binding: text(2)?.parse().map_err(|_| StoreError::Damaged { what: "digest" })?,
        conversation: Conversation::new(&text(3)?),
        user: text(4)?,
        authenticated_by: text(5)?,
        what: text(6)?,
        given: text(7)?,
        by: text(8)?,
        channel: text(9)?,
        seal: text(10)?,
        at: timestamp(&text(11)?)?,
        expires_at: time(12)?,
        revoked_at: time(13)?,
    })
}
