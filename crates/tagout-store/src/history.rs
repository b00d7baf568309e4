//! What happened in conversations, each gateway's part for itself.
use jiff::Timestamp;
use rusqlite::{TransactionBehavior, params};
use tagout_proto::Conversation;

use crate::{Store, StoreError, store::stored};

impl Store {
    /// Takes up what was kept of `conversation` by `gateway` before, and by those that are `over`:
    /// `added` makes one part of these, which is `gateway`'s from now on, in one step. Gives that
    /// part; nothing if there was none.
    ///
    /// # Errors
    /// Any [`StoreError`], and those of `added`.
    pub fn take_up_history(
        &self,
        conversation: &Conversation,
        (gateway, now): (&str, Timestamp),
        over: impl Fn(&str) -> bool,
        added: impl FnOnce(Vec<String>) -> Result<String, StoreError>,
    ) -> Result<Option<String>, StoreError> {
        let mut connection = self.lock()?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut parts: Vec<(String, String)> = transaction
            .prepare_cached("SELECT gateway, happened FROM history WHERE conversation = ?1")?
            .query_map([conversation.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        parts.retain(|(of, _)| of == gateway || over(of));
        if parts.is_empty() {
            return Ok(None);
        }
        let (of, happened): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        let added = added(happened)?;
        for of in of {
            transaction.execute(
                "DELETE FROM history WHERE conversation = ?1 AND gateway = ?2",
                params![conversation.as_str(), of],
            )?;
        }
        transaction.execute(
            "INSERT INTO history (conversation, gateway, happened, at) VALUES (?1, ?2, ?3, ?4)",
            params![conversation.as_str(), gateway, added, stored(now)],
        )?;
        transaction.commit()?;
        Ok(Some(added))
    }

    /// Keeps what `gateway` saw happen in `conversation`, in place of what it kept before.
    ///
    /// # Errors
    /// Any [`StoreError`]; [`StoreError::Database`] also if there is no such conversation.
    pub fn keep_history(
        &self,
        conversation: &Conversation,
        gateway: &str,
        happened: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.lock()?
            .prepare_cached(
                "INSERT INTO history (conversation, gateway, happened, at) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO UPDATE SET happened = excluded.happened, at = excluded.at",
            )?
            .execute(params![conversation.as_str(), gateway, happened, stored(now)])?;
        Ok(())
    }

    /// What other gateways than `gateway` saw happen in `conversation`, those before it among them.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn history_elsewhere(
        &self,
        conversation: &Conversation,
        gateway: &str,
    ) -> Result<Vec<String>, StoreError> {
        let connection = self.lock()?;
        let mut query = connection.prepare_cached(
            "SELECT happened FROM history WHERE conversation = ?1 AND gateway <> ?2
             ORDER BY at DESC",
        )?;
        let rows = query.query_map(params![conversation.as_str(), gateway], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
