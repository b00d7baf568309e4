//! What servers offer that is not what was reviewed.
use std::collections::BTreeSet;

use jiff::Timestamp;
use rusqlite::params;
use tagout_proto::{Digest, ServerName};

use crate::{
    Store, StoreError,
    store::{stored, timestamp},
};

/// What a server offers, by its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Offering {
    /// A tool.
    Tool,
    /// A prompt.
    Prompt,
    /// A resource template.
    Template,
    /// What it says of how to use it; it has no name.
    Instructions,
}

impl Offering {
    /// The kind as a word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tool => "tool",
            Self::Prompt => "prompt",
            Self::Template => "template",
            Self::Instructions => "instructions",
        }
    }

    fn parse(text: &str) -> Result<Self, StoreError> {
        let all = [Self::Tool, Self::Prompt, Self::Template, Self::Instructions];
        let found = all.into_iter().find(|kind| kind.as_str() == text);
        found.ok_or(StoreError::Damaged { what: "kind" })
    }
}

/// Something in quarantine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// The server.
    pub server: ServerName,
    /// What it is.
    pub kind: Offering,
    /// Its name at the server; of a template, the template.
    pub name: String,
    /// The stable code of why.
    pub reason: String,
    /// Digest of the definition that was reviewed, if any was.
    pub expected: Option<Digest>,
    /// Digest of the definition that the server shows now.
    pub got: Digest,
    /// When it was first seen.
    pub at: Timestamp,
}

impl Store {
    /// Notes that something is in quarantine. Gives `true` the first time that this definition is
    /// seen for this reason, in any process, so that it is announced once.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn quarantine(&self, found: &Quarantined) -> Result<bool, StoreError> {
        let rows = self.lock()?.execute(
            "INSERT INTO held (server, kind, name, reason, expected, got, at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
            params![
                found.server.as_str(),
                found.kind.as_str(),
                found.name,
                found.reason,
                found.expected.map(|digest| digest.to_string()),
                found.got.to_string(),
                stored(found.at),
            ],
        )?;
        Ok(rows == 1)
    }

    /// All that was ever put in quarantine and not released, by server, kind and name, oldest
    /// first.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn quarantined(&self) -> Result<Vec<Quarantined>, StoreError> {
        let connection = self.lock()?;
        let mut query = connection.prepare_cached(
            "SELECT server, kind, name, reason, expected, got, at FROM held
             ORDER BY server, kind, name, at",
        )?;
        let mut rows = query.query([])?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            all.push(read(row)?);
        }
        Ok(all)
    }

    /// Ends the quarantine of whatever `server` offers under `name`, after a review; gives `false`
    /// if there was none.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn release(
        &self,
        server: &ServerName,
        kind: Offering,
        name: &str,
    ) -> Result<bool, StoreError> {
        let key = params![server.as_str(), kind.as_str(), name];
        let mut connection = self.lock()?;
        let both = connection.transaction()?;
        let held = "DELETE FROM held WHERE server = ?1 AND kind = ?2 AND name = ?3";
        let absent = "DELETE FROM absent WHERE server = ?1 AND kind = ?2 AND name = ?3";
        let rows = both.execute(held, key)? + both.execute(absent, key)?;
        both.commit()?;
        Ok(rows > 0)
    }

    /// Notes that what is pinned of `server` was missing from a complete list. Whoever reads
    /// [`Store::absent`] knows it from then on, in any process and after any restart.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn note_absent(
        &self,
        server: &ServerName,
        missing: &BTreeSet<(Offering, String)>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let mut connection = self.lock()?;
        let all = connection.transaction()?;
        for (kind, name) in missing {
            all.execute(
                "INSERT INTO absent (server, kind, name, since) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO NOTHING",
                params![server.as_str(), kind.as_str(), name, stored(at)],
            )?;
        }
        all.commit()?;
        Ok(())
    }

    /// What was missing from a list of `server` and was not accepted again since.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn absent(&self, server: &ServerName) -> Result<BTreeSet<(Offering, String)>, StoreError> {
        let connection = self.lock()?;
        let mut query =
            connection.prepare_cached("SELECT kind, name FROM absent WHERE server = ?1")?;
        let mut rows = query.query([server.as_str()])?;
        let mut all = BTreeSet::new();
        while let Some(row) = rows.next()? {
            all.insert((Offering::parse(&row.get::<_, String>(0)?)?, row.get(1)?));
        }
        Ok(all)
    }
}

fn read(row: &rusqlite::Row<'_>) -> Result<Quarantined, StoreError> {
    let digest = |text: String| text.parse().map_err(|_| StoreError::Damaged { what: "digest" });
    let server: String = row.get(0)?;
    let at: String = row.get(6)?;
    Ok(Quarantined {
        server: server.parse().map_err(|_| StoreError::Damaged { what: "server name" })?,
        kind: Offering::parse(&row.get::<_, String>(1)?)?,
        name: row.get(2)?,
        reason: row.get(3)?,
        expected: row.get::<_, Option<String>>(4)?.map(digest).transpose()?,
        got: digest(row.get(5)?)?,
        at: timestamp(&at)?,
    })
}
