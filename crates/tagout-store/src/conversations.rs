//! Conversations: each belongs to one principal.
use jiff::{SignedDuration, Timestamp};
use rusqlite::{OptionalExtension as _, params};
use tagout_proto::{Conversation, Digest, Origin, Principal};

use crate::{
    Store, StoreError,
    store::{stored, timestamp},
};

/// How long a conversation is kept that nobody uses.
const KEPT: SignedDuration = SignedDuration::from_hours(90 * 24);

/// A conversation as it was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenedConversation {
    /// Its identifier.
    pub id: Conversation,
    /// Where it was opened from.
    pub origin: Origin,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When it was last used.
    pub touched_at: Timestamp,
}

impl Store {
    /// Opens a conversation of `principal`, with 128 random bits for an identifier, and forgets some
    /// of those of the same principal that nobody has used for 90 days.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn open_conversation(
        &self,
        principal: &Principal,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Conversation, StoreError> {
        let id = random_id()?;
        let connection = self.lock()?;
        let old = now.checked_sub(KEPT).map(stored).unwrap_or_default();
        connection.execute(
            "DELETE FROM conversation WHERE id IN (SELECT id FROM conversation
             WHERE authenticated_by = ?1 AND user = ?2 AND touched_at < ?3 LIMIT 64)",
            params![&*principal.authenticated_by, &*principal.user, old],
        )?;
        connection.execute(
            "INSERT INTO conversation (id, user, authenticated_by, transport, client, gateway_pid,
             opened_at, touched_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)",
            params![
                id,
                &*principal.user,
                &*principal.authenticated_by,
                &*origin.transport,
                &*origin.client,
                origin.gateway_pid,
                stored(now),
            ],
        )?;
        Ok(Conversation::new(&id))
    }

    /// The conversation called `id`, if it is `principal`'s; that of anybody else is as if it did
    /// not exist. A principal is known by its user's name and by how that was authenticated: its
    /// groups may change while a conversation goes on.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn conversation(
        &self,
        principal: &Principal,
        id: &str,
    ) -> Result<Option<OpenedConversation>, StoreError> {
        let row = self
            .lock()?
            .query_row(
                "SELECT transport, client, gateway_pid, opened_at, touched_at FROM conversation
                 WHERE id = ?1 AND user = ?2 AND authenticated_by = ?3",
                params![id, &*principal.user, &*principal.authenticated_by],
                |row| {
                    let origin = Origin {
                        transport: row.get::<_, String>(0)?.into(),
                        client: row.get::<_, String>(1)?.into(),
                        address: None,
                        gateway_pid: row.get(2)?,
                    };
                    Ok((origin, row.get::<_, String>(3)?, row.get::<_, String>(4)?))
                },
            )
            .optional()?;
        let Some((origin, opened, touched)) = row else { return Ok(None) };
        Ok(Some(OpenedConversation {
            id: Conversation::new(id),
            origin,
            opened_at: timestamp(&opened)?,
            touched_at: timestamp(&touched)?,
        }))
    }

    /// The conversation of `principal` that was last used, since `since`, by the client and over the
    /// transport of `origin`, and begun by no handshake and under no name; it goes over to the
    /// gateway of `origin`. One of another gateway is that one's for as long as it `lives`.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn resume_conversation(
        &self,
        principal: &Principal,
        origin: &Origin,
        since: Timestamp,
        lives: impl Fn(u32) -> bool,
    ) -> Result<Option<Conversation>, StoreError> {
        let connection = self.lock()?;
        let mut query = connection.prepare_cached(
            "SELECT id, gateway_pid FROM conversation WHERE authenticated_by = ?1 AND user = ?2
             AND touched_at >= ?3 AND transport = ?4 AND client = ?5 AND NOT named AND NOT begun
             ORDER BY touched_at DESC, id LIMIT 16",
        )?;
        let mut rows = query.query(params![
            &*principal.authenticated_by,
            &*principal.user,
            stored(since),
            &*origin.transport,
            &*origin.client,
        ])?;
        while let Some(row) = rows.next()? {
            let (id, pid): (String, u32) = (row.get(0)?, row.get(1)?);
            if pid != origin.gateway_pid && lives(pid) {
                continue;
            }
            // Of two that come at once, one gets it.
            let taken = connection.execute(
                "UPDATE conversation SET gateway_pid = ?3 WHERE id = ?1 AND gateway_pid = ?2",
                params![id, pid, origin.gateway_pid],
            )?;
            if taken == 1 {
                return Ok(Some(Conversation::new(&id)));
            }
        }
        Ok(None)
    }

    /// Notes that the conversation `id` was begun by no handshake, so that it can be taken up again.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn conversation_goes_on(&self, id: &Conversation) -> Result<(), StoreError> {
        self.lock()?.execute("UPDATE conversation SET begun = 0 WHERE id = ?1", [id.as_str()])?;
        Ok(())
    }

    /// The conversation that `principal` calls `name`: one of its own by its identifier, or else by
    /// a name that its client has made up; made if it is new. Another's of the same name is another.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn named_conversation(
        &self,
        principal: &Principal,
        origin: &Origin,
        (name, now): (&str, Timestamp),
    ) -> Result<Conversation, StoreError> {
        if let Some(found) = self.conversation(principal, name)? {
            return Ok(found.id);
        }
        let parts = [
            b"tagout-conversation-1".as_slice(),
            principal.authenticated_by.as_bytes(),
            principal.user.as_bytes(),
            name.as_bytes(),
        ];
        let id: String = Digest::of_parts(parts).hex().chars().take(32).collect();
        self.lock()?.execute(
            "INSERT OR IGNORE INTO conversation (id, user, authenticated_by, transport, client,
             gateway_pid, opened_at, touched_at, named) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, 1)",
            params![
                id,
                &*principal.user,
                &*principal.authenticated_by,
                &*origin.transport,
                &*origin.client,
                origin.gateway_pid,
                stored(now),
            ],
        )?;
        Ok(Conversation::new(&id))
    }

    /// Notes that `principal`'s conversation `id` was used; gives `false` if there is none.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn touch(
        &self,
        principal: &Principal,
        id: &Conversation,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let rows = self.lock()?.execute(
            "UPDATE conversation SET touched_at = max(touched_at, ?4)
             WHERE id = ?1 AND user = ?2 AND authenticated_by = ?3",
            params![id.as_str(), &*principal.user, &*principal.authenticated_by, stored(now)],
        )?;
        Ok(rows == 1)
    }
}

/// 32 hexadecimal digits that nobody can guess.
pub(crate) fn random_id() -> Result<String, StoreError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(StoreError::Random)?;
    Ok(hex::encode(bytes))
}
