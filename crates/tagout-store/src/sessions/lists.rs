//! Which sessions there are, and removing them: without the key, but for what a list shows.
use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, params};
use tagout_proto::Principal;

use super::{About, MOST_SESSIONS, Row, SessionError, SessionId, SessionPrefix, Sessions, whole};
use crate::{Store, StoreError, store::stored};

/// A session in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its identifier.
    pub id: SessionId,
    /// When its last turn was kept, as it stands in the file.
    pub updated_at: Option<Timestamp>,
    /// What is known of it.
    pub standing: Standing,
}

/// What is known of a session in a list. Its turns were not looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its head is as it was sealed.
    Sealed {
        /// What it is about.
        about: About,
        /// When it was begun.
        started_at: Timestamp,
    },
    /// It was sealed under another key.
    OtherKey,
    /// Its head is not as it was sealed.
    NotValid,
}

/// What the beginning of an identifier names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// No session of this principal.
    None,
    /// This one.
    One(SessionId),
    /// More than one.
    Several,
}

impl Sessions {
    /// The sessions, the one that was used last first.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn list(&self) -> Result<Vec<Listed>, StoreError> {
        let connection = self.store.lock_reader()?;
        let mut query = connection.prepare_cached(
            "SELECT id, key, updated_at, turns, head FROM session
             WHERE user = ?1 AND authenticated_by = ?2 ORDER BY updated_at DESC, id LIMIT ?3",
        )?;
        let mut rows = query.query(params![&*self.user, &*self.by, whole(MOST_SESSIONS)])?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            // What is not called like one is none of ours.
            let Ok(id) = row.get::<_, String>(0)?.parse() else { continue };
            let found = Row::read(row, 1)?;
            all.push(self.listed(id, &found));
        }
        Ok(all)
    }

    fn listed(&self, id: SessionId, row: &Row) -> Listed {
        let standing = match self.opened_head(&id, row) {
            Ok(head) => Standing::Sealed { about: head.about, started_at: head.started_at },
            Err(SessionError::Key { .. }) => Standing::OtherKey,
            Err(
                SessionError::NotValid { .. }
                | SessionError::Store(_)
                | SessionError::Changed { .. }
                | SessionError::Full { .. },
            ) => Standing::NotValid,
        };
        Listed { id, updated_at: row.updated_at.parse().ok(), standing }
    }
}

impl Store {
    /// The session of `principal` that was used last.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn last_session(&self, principal: &Principal) -> Result<Option<SessionId>, StoreError> {
        let connection = self.lock_reader()?;
        let mut query = connection.prepare_cached(
            "SELECT id FROM session WHERE user = ?1 AND authenticated_by = ?2
             ORDER BY updated_at DESC, id LIMIT 1",
        )?;
        let whose = params![&*principal.user, &*principal.authenticated_by];
        let id: Option<String> = query.query_row(whose, |row| row.get(0)).optional()?;
        id.map(|id| id.parse().map_err(|_| DAMAGED)).transpose()
    }

    /// The session of `principal` whose identifier begins with `prefix`.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn named_session(
        &self,
        principal: &Principal,
        prefix: &SessionPrefix,
    ) -> Result<Named, StoreError> {
        let connection = self.lock_reader()?;
        let mut query = connection.prepare_cached(
            "SELECT id FROM session WHERE user = ?1 AND authenticated_by = ?2
             AND id >= ?3 AND id < ?3 || 'g' LIMIT 2",
        )?;
        let mut rows = query.query(params![
            &*principal.user,
            &*principal.authenticated_by,
            prefix.as_str()
        ])?;
        let Some(row) = rows.next()? else { return Ok(Named::None) };
        let id = row.get::<_, String>(0)?.parse().map_err(|_| DAMAGED)?;
        Ok(if rows.next()?.is_some() { Named::Several } else { Named::One(id) })
    }

    /// The sessions of `principal`, the one that was used last first, whatever they are sealed
    /// under.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn session_ids(&self, principal: &Principal) -> Result<Vec<SessionId>, StoreError> {
        let connection = self.lock_reader()?;
        let mut query = connection.prepare_cached(
            "SELECT id FROM session WHERE user = ?1 AND authenticated_by = ?2
             ORDER BY updated_at DESC, id LIMIT ?3",
        )?;
        let (user, by) = (&*principal.user, &*principal.authenticated_by);
        let ids = query.query_map(params![user, by, whole(MOST_SESSIONS)], |row| row.get(0))?;
        let ids = ids.collect::<Result<Vec<String>, _>>()?;
        // What is not called like one is none of ours.
        Ok(ids.iter().filter_map(|id| id.parse().ok()).collect())
    }

    /// Removes the session `id` of `principal`; gives `false` if there is none. What stood there is
    /// overwritten in the file, on disk before this returns.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn delete_session(
        &self,
        principal: &Principal,
        id: &SessionId,
    ) -> Result<bool, StoreError> {
        let connection = self.lock_durable()?;
        let gone = connection.execute(
            "DELETE FROM session WHERE id = ?1 AND user = ?2 AND authenticated_by = ?3",
            params![id.as_str(), &*principal.user, &*principal.authenticated_by],
        )?;
        truncate_log(&connection)?;
        Ok(gone == 1)
    }

    /// Removes every session, of everybody, that was last used before `before`; gives how many. As
    /// [`Store::delete_session`] does it.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn expire_sessions(&self, before: Timestamp) -> Result<u64, StoreError> {
        // Each start of the assistant looks, and there is rarely anything.
        let old = params![stored(before)];
        let any: bool = self.lock_reader()?.query_row(
            "SELECT EXISTS (SELECT 1 FROM session WHERE updated_at < ?1)
             OR EXISTS (SELECT 1 FROM turn WHERE session NOT IN (SELECT id FROM session))",
            old,
            |row| row.get(0),
        )?;
        if !any {
            return Ok(0);
        }
        let connection = self.lock_durable()?;
        let gone = connection.execute("DELETE FROM session WHERE updated_at < ?1", old)?;
        connection.execute("DELETE FROM turn WHERE session NOT IN (SELECT id FROM session)", [])?;
        truncate_log(&connection)?;
        Ok(u64::try_from(gone).unwrap_or_default())
    }
}

const DAMAGED: StoreError = StoreError::Damaged { what: "session's identifier" };

/// What was there stands in the write-ahead log, too. Another process that reads may keep that a
/// while; whoever closes the file last removes it.
fn truncate_log(connection: &rusqlite::Connection) -> Result<(), StoreError> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(())
}
