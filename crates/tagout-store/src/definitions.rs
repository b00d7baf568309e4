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

    /// The definition whose digest is `digest`, if it was ever seen here and is kept.
    ///
    /// # Errors
    /// Any [`StoreError`]; [`StoreError::Damaged`] if what is kept has another digest.
    pub fn definition(&self, digest: Digest) -> Result<Option<String>, StoreError> {
        let text: Option<String> = self
            .lock()?
            .query_row(
                "SELECT text FROM definition WHERE digest = ?1
                 UNION ALL SELECT text FROM rejected WHERE digest = ?1 LIMIT 1",
                params![digest.to_string()],
                |row| row.get(0),
            )
            .optional()?;
        match text {
            // Somebody else may have written it.
            Some(text) if Digest::of(text.as_bytes()) != digest => {
                Err(StoreError::Damaged { what: "definition" })
            }
            text => Ok(text),
        }
    }
}
