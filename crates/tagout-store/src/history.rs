//! What happened in conversations, each gateway's part for itself.
use jiff::Timestamp;
use rusqlite::params;
use tagout_proto::Conversation;

use crate::{Store, StoreError, store::stored};

/// The most gateways whose parts of one conversation are read.
const GATEWAYS: i64 = 64;

impl Store {
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
             ORDER BY at DESC LIMIT ?3",
        )?;
        let rows =
            query.query_map(params![conversation.as_str(), gateway, GATEWAYS], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
