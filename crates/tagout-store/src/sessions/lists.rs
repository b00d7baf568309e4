//! Which sessions there are, and removing them: without the key, but for what a list shows.
use jiff::Timestamp;
use rusqlite::params;
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
    /// There was no key to look with.
    KeyMissing,
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
            let Some(id) = identifier(row) else { continue };
            all.push(match Row::read(row, 1) {
                Ok(found) => self.listed(id, &found),
                // Nobody who keeps sessions writes what is no text.
                Err(_) => Listed { id, updated_at: None, standing: Standing::NotValid },
            });
        }
        Ok(all)
    }

    /// Removes those of this principal under this key that were last used before `before`; gives how
    /// many. What others keep, or the same person under another key, is not this one's to remove. As
    /// [`Store::delete_session`] does it.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn expire(&self, before: Timestamp) -> Result<u64, StoreError> {
        const OLD: &str = "session
            WHERE user = ?1 AND authenticated_by = ?2 AND key = ?3 AND updated_at < ?4";
        let old = params![&*self.user, &*self.by, self.seals.mark(), stored(before)];
        // Each start of the assistant looks, and there is rarely anything.
        let connection = self.store.lock_reader()?;
        let any =
            connection.query_row(&format!("SELECT EXISTS (SELECT 1 FROM {OLD})"), old, |row| {
                row.get(0)
            })?;
        let turns: bool = connection.query_row(
            "SELECT EXISTS (SELECT 1 FROM turn WHERE session NOT IN (SELECT id FROM session))",
            [],
            |row| row.get(0),
        )?;
        drop(connection);
        if !(any || turns) {
            return Ok(0);
        }
        let connection = self.store.lock_durable()?;
        let gone = connection.execute(&format!("DELETE FROM {OLD}"), old)?;
        // Turns of no session are nobody's.
        connection.execute("DELETE FROM turn WHERE session NOT IN (SELECT id FROM session)", [])?;
        truncate_log(&connection)?;
        Ok(u64::try_from(gone).unwrap_or_default())
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
             ORDER BY updated_at DESC, id",
        )?;
        let mut rows = query.query(params![&*principal.user, &*principal.authenticated_by])?;
        while let Some(row) = rows.next()? {
            if let Some(id) = identifier(row) {
                return Ok(Some(id));
            }
        }
        Ok(None)
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
             AND id >= ?3 AND id < ?3 || 'g'",
        )?;
        let mut rows = query.query(params![
            &*principal.user,
            &*principal.authenticated_by,
            prefix.as_str()
        ])?;
        let mut named = Named::None;
        while let Some(row) = rows.next()? {
            let Some(id) = identifier(row) else { continue };
            if named != Named::None {
                return Ok(Named::Several);
            }
            named = Named::One(id);
        }
        Ok(named)
    }

    /// The sessions of `principal`, the one that was used last first, whatever they are sealed
    /// under: what can be known of them without a key.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn unopened_sessions(&self, principal: &Principal) -> Result<Vec<Listed>, StoreError> {
        let connection = self.lock_reader()?;
        let mut query = connection.prepare_cached(
            "SELECT id, updated_at FROM session
             WHERE user = ?1 AND authenticated_by = ?2 ORDER BY updated_at DESC, id LIMIT ?3",
        )?;
        let (user, by) = (&*principal.user, &*principal.authenticated_by);
        let mut rows = query.query(params![user, by, whole(MOST_SESSIONS)])?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            let Some(id) = identifier(row) else { continue };
            let updated_at = row.get_ref(1)?.as_str().ok().and_then(|at| at.parse().ok());
            all.push(Listed { id, updated_at, standing: Standing::KeyMissing });
        }
        Ok(all)
    }

    /// The identifiers of [`Store::unopened_sessions`].
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn session_ids(&self, principal: &Principal) -> Result<Vec<SessionId>, StoreError> {
        Ok(self.unopened_sessions(principal)?.into_iter().map(|listed| listed.id).collect())
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
}

/// What a row's session is called; what is not called like one is none of ours.
fn identifier(row: &rusqlite::Row<'_>) -> Option<SessionId> {
    row.get_ref(0).ok()?.as_str().ok()?.parse().ok()
}

/// What was there stands in the write-ahead log, too. Another process that reads may keep that a
/// while; whoever closes the file last removes it.
fn truncate_log(connection: &rusqlite::Connection) -> Result<(), StoreError> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(())
}
