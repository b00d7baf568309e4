//! Tools whose definition is not the one that was reviewed.
use jiff::Timestamp;
use rusqlite::params;
use tagout_proto::{Digest, ServerName, ToolName};

use crate::{
    Store, StoreError,
    store::{stored, timestamp},
};

/// A tool whose definition changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// The server.
    pub server: ServerName,
    /// The tool.
    pub tool: ToolName,
    /// Digest of the definition that was reviewed, if any was.
    pub expected: Option<Digest>,
    /// Digest of the definition that the server shows now.
    pub got: Digest,
    /// When it was first seen.
    pub at: Timestamp,
}

impl Store {
    /// Notes that `tool` of `server` shows a definition `got` in place of `expected`. Gives `true`
    /// the first time that this definition is seen, in any process, so that it is announced once.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn quarantine(&self, found: &Quarantined) -> Result<bool, StoreError> {
        let rows = self.lock()?.execute(
            "INSERT INTO quarantine (server, tool, expected, got, at) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO NOTHING",
            params![
                found.server.as_str(),
                found.tool.as_str(),
                found.expected.map(|digest| digest.to_string()),
                found.got.to_string(),
                stored(found.at),
            ],
        )?;
        Ok(rows == 1)
    }

    /// Every tool in quarantine, by server and tool, oldest first.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn quarantined(&self) -> Result<Vec<Quarantined>, StoreError> {
        let connection = self.lock()?;
        let mut query = connection.prepare_cached(
            "SELECT server, tool, expected, got, at FROM quarantine ORDER BY server, tool, at",
        )?;
        let mut rows = query.query([])?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            all.push(read(row)?);
        }
        Ok(all)
    }

    /// Ends the quarantine of every definition of `tool` of `server`, after a review; gives
    /// `false` if there was none.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn release(&self, server: &ServerName, tool: &ToolName) -> Result<bool, StoreError> {
        let rows = self.lock()?.execute(
            "DELETE FROM quarantine WHERE server = ?1 AND tool = ?2",
            params![server.as_str(), tool.as_str()],
        )?;
        Ok(rows > 0)
    }
}

fn read(row: &rusqlite::Row<'_>) -> Result<Quarantined, StoreError> {
    let digest = |text: String| text.parse().map_err(|_| StoreError::Damaged { what: "digest" });
    let server: String = row.get(0)?;
    let tool: String = row.get(1)?;
    let at: String = row.get(4)?;
    Ok(Quarantined {
        server: server.parse().map_err(|_| StoreError::Damaged { what: "server name" })?,
        tool: tool.parse().map_err(|_| StoreError::Damaged { what: "tool name" })?,
        expected: row.get::<_, Option<String>>(2)?.map(digest).transpose()?,
        got: digest(row.get(3)?)?,
        at: timestamp(&at)?,
    })
}
