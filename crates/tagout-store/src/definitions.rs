//! The text of every tool definition that was ever seen, so that a change can be shown.
use rusqlite::{OptionalExtension as _, params};
use tagout_proto::Digest;

use crate::{Store, StoreError};

impl Store {
    /// Keeps `text`, the canonical definition whose digest is `digest`.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn remember_definition(&self, digest: Digest, text: &str) -> Result<(), StoreError> {
        self.lock()?.execute(
            "INSERT INTO definition (digest, text) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            params![digest.to_string(), text],
        )?;
        Ok(())
    }

    /// The definition whose digest is `digest`, if it was ever seen here.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn definition(&self, digest: Digest) -> Result<Option<String>, StoreError> {
        let text = self
            .lock()?
            .query_row(
                "SELECT text FROM definition WHERE digest = ?1",
                params![digest.to_string()],
                |row| row.get(0),
            )
            .optional()?;
        Ok(text)
    }
}
