//! API keys: what is known of them. A key itself is nowhere here, only its hash.
use std::{collections::BTreeSet, fmt, sync::Arc};

use jiff::{Timestamp, civil::Date};
use rusqlite::{OptionalExtension as _, Transaction, TransactionBehavior, params};
use tagout_proto::Secret;

use crate::{
    Store, StoreError,
    store::{stored, timestamp},
};

/// Most keys that one file holds, revoked ones among them.
pub const MOST_KEYS: usize = 10_000;
/// Most groups that one key is in.
pub const MOST_GROUPS: usize = 64;
/// The longest name and the longest group, in bytes.
const NAME_BYTES: usize = 64;

/// Why a text does not name a key or a group.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKeyName {
    /// Empty or too long.
    #[error("a {what} has 1 to {NAME_BYTES} bytes, this one has {got}")]
    Length {
        /// Which kind of name.
        what: &'static str,
        /// How many bytes it has.
        got: usize,
    },
    /// Holds what looks like something else, or like nothing.
    #[error("a {what} is printable ASCII without spaces around it")]
    Character {
        /// Which kind of name.
        what: &'static str,
    },
    /// Says that it comes from the operating system.
    #[error("groups that begin with `unix:` are the operating system's")]
    Reserved,
    /// More groups than a key may have.
    #[error("a key has at most {MOST_GROUPS} groups")]
    TooMany,
}

/// The name of a key: printable ASCII, 1 to 64 bytes, no spaces around it. Whoever presents the key
/// is called so.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyName(Arc<str>);

impl KeyName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for KeyName {
    type Err = BadKeyName;

    fn from_str(text: &str) -> Result<Self, BadKeyName> {
        check("key's name", text)?;
        Ok(Self(text.into()))
    }
}

/// The groups of a key, each written as its name is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyGroups(BTreeSet<String>);

impl KeyGroups {
    /// `groups`, checked.
    ///
    /// # Errors
    /// See [`BadKeyName`].
    pub fn new(groups: impl IntoIterator<Item = String>) -> Result<Self, BadKeyName> {
        let mut checked = BTreeSet::new();
        for group in groups {
            check("group", &group)?;
            if group.starts_with("unix:") {
                return Err(BadKeyName::Reserved);
            }
            checked.insert(group);
            if checked.len() > MOST_GROUPS {
                return Err(BadKeyName::TooMany);
            }
        }
        Ok(Self(checked))
    }

    /// The groups.
    #[must_use]
    pub const fn as_set(&self) -> &BTreeSet<String> {
        &self.0
    }

    /// One a line; no group holds a line's end.
    pub(crate) fn written(&self) -> String {
        self.0.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }
}

fn check(what: &'static str, text: &str) -> Result<(), BadKeyName> {
    if !(1..=NAME_BYTES).contains(&text.len()) {
        return Err(BadKeyName::Length { what, got: text.len() });
    }
    let printable = text.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
    if printable && text.trim() == text { Ok(()) } else { Err(BadKeyName::Character { what }) }
}

/// What is known of a key.
#[derive(Debug)]
pub struct StoredKey {
    /// Its identifier, which is part of the key and no secret.
    pub id: String,
    /// Its name, which no other live key has.
    pub name: KeyName,
    /// The groups of whoever presents it.
    pub groups: KeyGroups,
    /// The hash of the key, as a PHC string.
    pub hash: Secret<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is no longer good.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// The last day, in UTC, on which it was presented.
    pub used_on: Option<Date>,
}

impl StoredKey {
    /// Whether it is neither revoked nor expired.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|expires| now < expires)
    }
}

/// When a key may be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyPlace {
    /// If no live key has its name.
    NameIsFree,
    /// If there is no live key at all.
    NoneIsLive,
}

/// Whether a key was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyAdded {
    /// It was.
    Added,
    /// What [`KeyPlace`] asks for is not so.
    Taken,
    /// There are [`MOST_KEYS`] already.
    Full,
}

impl Store {
    /// Adds `key`, of several processes in one only, if its place is free at `now`. It is on disk
    /// before this returns.
    ///
    /// # Errors
    /// Any [`StoreError`]; [`StoreError::Database`] also if its identifier is taken.
    pub fn add_key(
        &self,
        key: &StoredKey,
        place: KeyPlace,
        now: Timestamp,
    ) -> Result<KeyAdded, StoreError> {
        let connection = self.lock_durable()?;
        // Takes the write lock first, so that what is looked up still holds when it is written.
        let transaction = Transaction::new_unchecked(&connection, TransactionBehavior::Immediate)?;
        let live: i64 = transaction.query_row(
            "SELECT count(*) FROM key WHERE revoked_at IS NULL
             AND (expires_at IS NULL OR expires_at > ?1) AND (name = ?2 OR ?3)",
            params![stored(now), key.name.as_str(), place == KeyPlace::NoneIsLive],
            |row| row.get(0),
        )?;
        let all: i64 = transaction.query_row("SELECT count(*) FROM key", [], |row| row.get(0))?;
        if live > 0 {
            return Ok(KeyAdded::Taken);
        }
        if usize::try_from(all).is_ok_and(|all| all >= MOST_KEYS) {
            return Ok(KeyAdded::Full);
        }
        transaction.execute(
            "INSERT INTO key (id, name, groups, hash, created_at, expires_at, revoked_at, used_on)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                key.id,
                key.name.as_str(),
                key.groups.written(),
                key.hash.expose(),
                stored(key.created_at),
                key.expires_at.map(stored),
                key.revoked_at.map(stored),
                key.used_on.map(|day| day.to_string()),
            ],
        )?;
        transaction.commit()?;
        Ok(KeyAdded::Added)
    }

    /// Every key, those that are no longer good among them, by name and then oldest first.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn keys(&self) -> Result<Vec<StoredKey>, StoreError> {
        let connection = self.lock()?;
        let mut query = connection.prepare_cached(
            "SELECT id, name, groups, hash, created_at, expires_at, revoked_at, used_on FROM key
             ORDER BY name, created_at, id",
        )?;
        let mut rows = query.query([])?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            all.push(read(row)?);
        }
        Ok(all)
    }

    /// Revokes the key `id`; gives `false` if there is none or it was revoked before. It is on disk
    /// before this returns.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn revoke_key(&self, id: &str, now: Timestamp) -> Result<bool, StoreError> {
        let rows = self.lock_durable()?.execute(
            "UPDATE key SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL",
            params![id, stored(now)],
        )?;
        Ok(rows == 1)
    }

    /// Notes that the key `id` was presented on `day`, in UTC; an earlier day changes nothing.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn key_used(&self, id: &str, day: Date) -> Result<(), StoreError> {
        self.lock()?.execute(
            "UPDATE key SET used_on = ?2 WHERE id = ?1 AND (used_on IS NULL OR used_on < ?2)",
            params![id, day.to_string()],
        )?;
        Ok(())
    }

    /// A number that is another one after every change of the keys, in any process; that one was
    /// used is no change.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn key_changes(&self) -> Result<i64, StoreError> {
        let connection = self.lock()?;
        let mut query = connection.prepare_cached("SELECT count FROM key_changes")?;
        let count = query.query_row([], |row| row.get(0)).optional()?;
        count.ok_or(StoreError::Damaged { what: "number of key changes" })
    }
}

fn read(row: &rusqlite::Row<'_>) -> Result<StoredKey, StoreError> {
    let damaged = |what| StoreError::Damaged { what };
    let time = |text: Option<String>| text.map(|text| timestamp(&text)).transpose();
    let name: String = row.get(1)?;
    let groups: String = row.get(2)?;
    let groups = groups.lines().map(str::to_owned);
    let created: String = row.get(4)?;
    let used: Option<String> = row.get(7)?;
    Ok(StoredKey {
        id: row.get(0)?,
        name: name.parse().map_err(|_| damaged("key name"))?,
        groups: KeyGroups::new(groups).map_err(|_| damaged("key group"))?,
        hash: Secret::new(row.get(3)?),
        created_at: timestamp(&created)?,
        expires_at: time(row.get(5)?)?,
        revoked_at: time(row.get(6)?)?,
        used_on: used.map(|day| day.parse()).transpose().map_err(|_| damaged("day"))?,
    })
}
