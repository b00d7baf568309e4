//! What servers offer that is not what was reviewed.
use std::{borrow::Cow, collections::BTreeMap};

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, Transaction, TransactionBehavior, params};
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

/// How many definitions of one name are kept that were shown in place of what was reviewed.
const KEPT: i64 = 3;
/// The most of a server that is kept: entries, and bytes of definitions.
const ENTRIES: i64 = 10_000;
const BYTES: i64 = 1 << 20;
/// The longest name that is kept as it is, in bytes; of longer ones, the digest.
const NAME_BYTES: usize = 512;
/// A name that goes on changing is announced this often, and a server's names so many times in it.
const INTERVAL: SignedDuration = SignedDuration::from_hours(1);
const ANNOUNCED: i64 = 256;

/// What is kept of one name that is in quarantine.
#[derive(Default)]
struct Kept {
    /// This definition is among it.
    is_known: bool,
    /// When it was last announced.
    said: Option<String>,
    /// How often it changed since.
    unsaid: u32,
}

impl Store {
    /// Notes that `found`, which a server shows, is in quarantine, each with its canonical
    /// definition. Gives for each, in order, whether it is to be announced, and if so, how many
    /// other definitions it showed that were not. What is known is announced by one process once,
    /// and what goes on changing once an hour.
    ///
    /// Of a server, only the newest is kept. All is one transaction, so hand in some hundred.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn quarantine(
        &self,
        found: &[(Quarantined, &str)],
    ) -> Result<Vec<Option<u32>>, StoreError> {
        if self.knows(found)? {
            return Ok(vec![None; found.len()]);
        }
        let mut connection = self.lock()?;
        let all = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut announced = Vec::with_capacity(found.len());
        let mut servers = BTreeMap::<&str, i64>::new();
        for (one, text) in found {
            let server = one.server.as_str();
            let left = match servers.get(server) {
                Some(left) => *left,
                None => ANNOUNCED - announced_lately(&all, one)?,
            };
            let says = hold(&all, one, text, left > 0)?;
            servers.insert(server, left - i64::from(says.is_some()));
            announced.push(says);
        }
        for server in servers.keys() {
            prune(&all, server)?;
        }
        all.commit()?;
        Ok(announced)
    }

    /// Whether all of it is kept and was announced, so that nobody has to wait for the file.
    fn knows(&self, found: &[(Quarantined, &str)]) -> Result<bool, StoreError> {
        let connection = self.lock_reader()?;
        for (one, _) in found {
            let name = kept_name(&one.name);
            let key = [one.server.as_str(), one.kind.as_str(), &name, &one.reason];
            let kept = kept(&connection, key, &one.got.to_string())?;
            if !kept.is_known || kept.unsaid > 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What was put in quarantine and not released, as far as it is kept, by server, kind and name, oldest
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
    /// if there was none. What was missing stays so for lockfiles that do not say that it returned.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn release(
        &self,
        server: &ServerName,
        kind: Offering,
        name: &str,
    ) -> Result<bool, StoreError> {
        let mut connection = self.lock()?;
        let both = connection.transaction()?;
        let rows = both.execute(
            "DELETE FROM held WHERE server = ?1 AND kind = ?2 AND name = ?3",
            params![server.as_str(), kind.as_str(), kept_name(name)],
        )?;
        prune(&both, server.as_str())?;
        both.commit()?;
        Ok(rows > 0)
    }

    /// Notes that what is pinned of `server` was missing from a complete list, each with how often
    /// the lockfile says that it came back. Whoever reads [`Store::absent`] knows it from then on,
    /// in any process and after any restart.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn note_absent(
        &self,
        server: &ServerName,
        missing: &BTreeMap<(Offering, String), u32>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let mut connection = self.lock()?;
        let all = connection.transaction()?;
        for ((kind, name), returned) in missing {
            all.execute(
                "INSERT INTO absent (server, kind, name, since, returned)
                 VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (server, kind, name)
                 DO UPDATE SET since = excluded.since, returned = excluded.returned
                 WHERE excluded.returned > returned",
                params![server.as_str(), kind.as_str(), name, stored(at), returned],
            )?;
        }
        all.commit()?;
        Ok(())
    }

    /// What was missing from a list of `server`, and how often it had come back before, as far as
    /// the lockfile said. One that says more is of somebody who has looked since.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn absent(
        &self,
        server: &ServerName,
    ) -> Result<BTreeMap<(Offering, String), u32>, StoreError> {
        let connection = self.lock_reader()?;
        let mut query = connection
            .prepare_cached("SELECT kind, name, returned FROM absent WHERE server = ?1")?;
        let mut rows = query.query([server.as_str()])?;
        let mut all = BTreeMap::new();
        while let Some(row) = rows.next()? {
            all.insert((Offering::parse(&row.get::<_, String>(0)?)?, row.get(1)?), row.get(2)?);
        }
        Ok(all)
    }
}

/// A name as it is kept.
fn kept_name(name: &str) -> Cow<'_, str> {
    if name.len() <= NAME_BYTES {
        name.into()
    } else {
        Digest::of(name.as_bytes()).to_string().into()
    }
}

/// How many names of a server were announced within the last hour.
fn announced_lately(all: &Transaction<'_>, found: &Quarantined) -> Result<i64, StoreError> {
    let mut query =
        all.prepare_cached("SELECT count(*) FROM held WHERE server = ?1 AND said > ?2")?;
    let since = stored(found.at.saturating_sub(INTERVAL).unwrap_or(found.at));
    Ok(query.query_row(params![found.server.as_str(), since], |row| row.get(0))?)
}

/// Keeps one, and gives whether it is to be announced.
fn hold(
    all: &Transaction<'_>,
    found: &Quarantined,
    text: &str,
    may_announce: bool,
) -> Result<Option<u32>, StoreError> {
    let got = found.got.to_string();
    let name = kept_name(&found.name);
    let key = [found.server.as_str(), found.kind.as_str(), &name, &found.reason];
    let before = kept(all, key, &got)?;
    if before.is_known && before.unsaid == 0 {
        return Ok(None);
    }
    let since = stored(found.at.saturating_sub(INTERVAL).unwrap_or(found.at));
    let announces = may_announce && before.said.as_ref().is_none_or(|said| *said <= since);
    if !announces && before.is_known {
        return Ok(None);
    }
    if !before.is_known {
        let [server, kind, name, reason] = key;
        let expected = found.expected.map(|digest| digest.to_string());
        all.prepare_cached(
            "INSERT INTO held (server, kind, name, reason, expected, got, at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![server, kind, name, reason, expected, got, stored(found.at)])?;
        keep_newest(all, key, &got)?;
        keep_text(all, found, text)?;
    }
    let unsaid_before = if before.said.is_some() { before.unsaid } else { 0 };
    let (said, unsaid) = match announces {
        true => (Some(stored(found.at)), 0),
        false => (before.said, before.unsaid.saturating_add(1)),
    };
    let [server, kind, name, reason] = key;
    all.prepare_cached(
        "UPDATE held SET said = ?5, unsaid = ?6
         WHERE server = ?1 AND kind = ?2 AND name = ?3 AND reason = ?4",
    )?
    .execute(params![server, kind, name, reason, said, unsaid])?;
    Ok(announces.then_some(unsaid_before))
}

fn kept(all: &Connection, key: [&str; 4], got: &str) -> Result<Kept, StoreError> {
    let mut query = all.prepare_cached(
        "SELECT got, said, unsaid FROM held
         WHERE server = ?1 AND kind = ?2 AND name = ?3 AND reason = ?4",
    )?;
    let mut rows = query.query(key)?;
    let mut kept = Kept::default();
    while let Some(row) = rows.next()? {
        kept.is_known |= row.get::<_, String>(0)? == got;
        kept.said = row.get(1)?;
        kept.unsaid = row.get(2)?;
    }
    Ok(kept)
}

fn keep_newest(all: &Transaction<'_>, key: [&str; 4], got: &str) -> Result<(), StoreError> {
    let [server, kind, name, reason] = key;
    all.prepare_cached(
        "DELETE FROM held WHERE server = ?1 AND kind = ?2 AND name = ?3 AND reason = ?4
         AND got NOT IN (
             SELECT got FROM held
             WHERE server = ?1 AND kind = ?2 AND name = ?3 AND reason = ?4
             ORDER BY got = ?6 DESC, at DESC LIMIT ?5)",
    )?
    .execute(params![server, kind, name, reason, KEPT, got])?;
    Ok(())
}

fn keep_text(all: &Transaction<'_>, found: &Quarantined, text: &str) -> Result<(), StoreError> {
    let bytes = i64::try_from(text.len()).unwrap_or(i64::MAX);
    if bytes > BYTES {
        return Ok(());
    }
    all.prepare_cached(
        "INSERT INTO rejected (server, digest, text, bytes, at) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT DO UPDATE SET at = excluded.at",
    )?
    .execute(params![
        found.server.as_str(),
        found.got.to_string(),
        text,
        bytes,
        stored(found.at)
    ])?;
    Ok(())
}

/// Drops what of a server is over what is kept of it, the oldest first.
fn prune(all: &Transaction<'_>, server: &str) -> Result<(), StoreError> {
    all.prepare_cached(
        "DELETE FROM held WHERE server = ?1 AND (kind, name, reason, got) IN (
             SELECT kind, name, reason, got FROM held WHERE server = ?1
             ORDER BY at DESC, kind, name LIMIT -1 OFFSET ?2)",
    )?
    .execute(params![server, ENTRIES])?;
    all.prepare_cached(
        "DELETE FROM rejected WHERE server = ?1
         AND digest NOT IN (SELECT got FROM held WHERE server = ?1)",
    )?
    .execute([server])?;
    all.prepare_cached(
        "DELETE FROM rejected WHERE server = ?1 AND digest IN (
             SELECT digest FROM (
                 SELECT digest, sum(bytes) OVER (ORDER BY at DESC, digest) AS total
                 FROM rejected WHERE server = ?1)
             WHERE total > ?2)",
    )?
    .execute(params![server, BYTES])?;
    Ok(())
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
