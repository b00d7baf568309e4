//! Sessions of the assistant: what was said, sealed.
//!
//! A session is a head and turns, each a box of XChaCha20-Poly1305 under a key that is not in the
//! file. A turn is bound to session, principal, position and the turn before; the head, to what
//! stands beside it, and holds the number of turns and the digest of the last. So a turn that was
//! changed, removed, swapped, added or taken from elsewhere is found, and so is an end that was cut:
//! then nothing of the session is given out. What is not found is an older state of the whole
//! session that was put back, or a session that is gone as a whole: the file alone cannot know.
//!
//! What a turn holds is its caller's matter.
mod error;
mod id;
mod lists;
mod seal;

use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};
use serde::{Deserialize, Serialize};
use tagout_proto::{Digest, Principal};

use self::seal::{OVERHEAD, Sealed, Seals};
pub use self::{
    error::SessionError,
    id::{BadSessionId, SessionId, SessionPrefix},
    lists::{Listed, Named, Standing},
    seal::SessionKey,
};
use crate::{Store, StoreError, store::stored};

/// Most turns of one session.
pub const MOST_TURNS: u64 = 10_000;
/// Most bytes of one session, before they are sealed.
pub const SESSION_BYTES: u64 = 64 << 20;
/// Most sessions of one principal; when another begins, the oldest goes.
pub const MOST_SESSIONS: u64 = 10_000;
/// The longest title and the longest name of a model, in characters.
const NAME_CHARS: usize = 200;

/// What a list shows of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// What it is about; empty if nothing was said yet.
    pub title: String,
    /// The model that answers, `PROVIDER:NAME`.
    pub model: String,
    /// How many messages there are; turns may hold other things, too.
    pub messages: u64,
}

/// What only the key opens, beside the turns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    about: About,
    started_at: Timestamp,
    updated_at: Timestamp,
    turns: u64,
    bytes: u64,
    /// The digest of the last turn's box.
    last: Digest,
}

/// A session that can be gone on with, as it was when it was begun or loaded.
#[derive(Debug)]
pub struct OpenSession {
    id: SessionId,
    head: Head,
    /// The head's box as it stands in the file; nothing before the first turn.
    stored: Option<Vec<u8>>,
}

/// A session, whole and verified.
#[derive(Debug)]
pub struct Loaded {
    /// To go on with.
    pub session: OpenSession,
    /// The turns, in order.
    pub turns: Vec<Vec<u8>>,
}

/// One principal's sessions under one key.
#[derive(Clone, Debug)]
pub struct Sessions {
    store: Store,
    seals: Seals,
    user: Arc<str>,
    by: Arc<str>,
}

impl OpenSession {
    /// Its identifier.
    #[must_use]
    pub const fn id(&self) -> &SessionId {
        &self.id
    }

    /// What a list shows of it.
    #[must_use]
    pub const fn about(&self) -> &About {
        &self.head.about
    }

    /// Changes what a list shows of it, from the next turn on.
    pub fn set_about(&mut self, about: About) {
        let cut = |text: String| text.chars().take(NAME_CHARS).collect();
        self.head.about = About { title: cut(about.title), model: cut(about.model), ..about };
    }

    /// When it was begun.
    #[must_use]
    pub const fn started_at(&self) -> Timestamp {
        self.head.started_at
    }

    /// When its last turn was kept.
    #[must_use]
    pub const fn updated_at(&self) -> Timestamp {
        self.head.updated_at
    }

    /// How many turns it has.
    #[must_use]
    pub const fn turns(&self) -> u64 {
        self.head.turns
    }
}

impl Store {
    /// The sessions of `principal`, sealed and opened by `key`.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if nothing follows from the key, which does not happen.
    pub fn sessions(
        &self,
        key: &SessionKey,
        principal: &Principal,
    ) -> Result<Sessions, StoreError> {
        let seals = Seals::of(key).ok_or(StoreError::Damaged { what: "key" })?;
        let (user, by) = (&principal.user, &principal.authenticated_by);
        Ok(Sessions { store: self.clone(), seals, user: user.clone(), by: by.clone() })
    }
}

impl Sessions {
    /// Begins a session. Nothing is kept of it before its first turn.
    ///
    /// # Errors
    /// [`SessionError::Store`]: there is no randomness.
    pub fn begin(&self, about: About, now: Timestamp) -> Result<OpenSession, SessionError> {
        let id = SessionId::draw()?;
        let last = beginning(&id);
        let (started_at, updated_at) = (now, now);
        let empty = About::default();
        let head = Head { about: empty, started_at, updated_at, turns: 0, bytes: 0, last };
        let mut session = OpenSession { id, head, stored: None };
        session.set_about(about);
        Ok(session)
    }

    /// Adds a turn. Of two processes that go on with one session, the second is told.
    ///
    /// # Errors
    /// [`SessionError::Changed`] if it is not as `session` knows it any more; [`SessionError::Full`];
    /// any [`StoreError`]. Nothing was added then.
    pub fn append(
        &self,
        session: &mut OpenSession,
        turn: &[u8],
        now: Timestamp,
    ) -> Result<(), SessionError> {
        let mut head = session.head.clone();
        head.bytes = head.bytes.saturating_add(turn.len() as u64);
        let full = |limit, what| SessionError::Full { id: session.id.clone(), limit, what };
        if head.turns >= MOST_TURNS {
            return Err(full(MOST_TURNS, "turns"));
        }
        if head.bytes > SESSION_BYTES {
            return Err(full(SESSION_BYTES, "bytes"));
        }
        let place = self.place(&session.id, head.turns, &head.last);
        let sealed = self.seals.seal(Sealed::Turn, &place.parts(), turn)?;
        head.last = Digest::of(&sealed);
        head.turns += 1;
        head.updated_at = head.updated_at.max(now);
        let sealed_head = self.sealed_head(&session.id, &head)?;
        self.write(session, &head, (&sealed, &sealed_head))?;
        session.head = head;
        session.stored = Some(sealed_head);
        Ok(())
    }

    /// The session `id`, whole; nothing if this principal has none of that name.
    ///
    /// # Errors
    /// [`SessionError::NotValid`], [`SessionError::Key`], any [`StoreError`]. Then nothing of it is
    /// given out.
    pub fn load(&self, id: &SessionId) -> Result<Option<Loaded>, SessionError> {
        let connection = self.store.lock_reader()?;
        // Head and turns as of one moment, whoever goes on with it meanwhile.
        let transaction = Transaction::new_unchecked(&connection, TransactionBehavior::Deferred)?;
        let Some(row) = self.row(&transaction, id)? else { return Ok(None) };
        let row = row.ok_or_else(|| SessionError::NotValid { id: id.clone() })?;
        let head = self.opened_head(id, &row)?;
        let turns = self.opened_turns(&transaction, id, &head)?;
        Ok(Some(Loaded {
            session: OpenSession { id: id.clone(), head, stored: Some(row.head) },
            turns,
        }))
    }

    fn write(
        &self,
        session: &OpenSession,
        head: &Head,
        (turn, sealed_head): (&[u8], &[u8]),
    ) -> Result<(), SessionError> {
        let connection = self.store.lock()?;
        // Takes the write lock first, so that what was compared still holds when it is written.
        let transaction = Transaction::new_unchecked(&connection, TransactionBehavior::Immediate)?;
        let id = &session.id;
        let updated = stored(head.updated_at);
        let written = match &session.stored {
            None => self.insert(&transaction, id, (&updated, sealed_head))?,
            Some(before) => transaction.execute(
                "UPDATE session SET updated_at = ?5, turns = ?6, head = ?7
                 WHERE id = ?1 AND user = ?2 AND authenticated_by = ?3 AND head = ?4",
                params![
                    id.as_str(),
                    &*self.user,
                    &*self.by,
                    before,
                    updated,
                    whole(head.turns),
                    sealed_head
                ],
            )?,
        };
        if written == 0 {
            return Err(SessionError::Changed { id: id.clone() });
        }
        let position = whole(head.turns.saturating_sub(1));
        let added = transaction.execute(
            "INSERT INTO turn (session, position, sealed) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            params![id.as_str(), position, turn],
        )?;
        if added == 0 {
            // Somebody put a turn there without the head, which is none of ours.
            return Err(SessionError::NotValid { id: id.clone() });
        }
        transaction.commit()?;
        Ok(())
    }

    /// The first turn makes the session; the oldest of too many goes.
    fn insert(
        &self,
        connection: &Connection,
        id: &SessionId,
        (updated, sealed_head): (&str, &[u8]),
    ) -> Result<usize, SessionError> {
        let written = connection.execute(
            "INSERT INTO session (id, user, authenticated_by, key, updated_at, turns, head)
             VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6)",
            params![id.as_str(), &*self.user, &*self.by, self.seals.mark(), updated, sealed_head],
        )?;
        connection.execute(
            "DELETE FROM session WHERE id IN (SELECT id FROM session
             WHERE user = ?1 AND authenticated_by = ?2
             ORDER BY updated_at DESC, id LIMIT -1 OFFSET ?3)",
            params![&*self.user, &*self.by, whole(MOST_SESSIONS)],
        )?;
        Ok(written)
    }

    /// The row of a session, if there is one; nothing in it where no text stands in place of one.
    fn row(
        &self,
        connection: &Connection,
        id: &SessionId,
    ) -> Result<Option<Option<Row>>, SessionError> {
        let found = connection.query_row(
            "SELECT key, updated_at, turns, head FROM session
             WHERE id = ?1 AND user = ?2 AND authenticated_by = ?3",
            params![id.as_str(), &*self.user, &*self.by],
            |row| Ok(Row::read(row, 0).ok()),
        );
        Ok(found.optional()?)
    }

    fn sealed_head(&self, id: &SessionId, head: &Head) -> Result<Vec<u8>, StoreError> {
        let text = serde_json::to_vec(head)
            .map_err(|_| StoreError::Damaged { what: "session that cannot be written" })?;
        let (updated, turns) = (stored(head.updated_at), head.turns.to_be_bytes());
        self.seals.seal(Sealed::Head, &self.beside(id, &updated, &turns), &text)
    }

    /// What is in the head of a row, if the key and everything beside it are right.
    fn opened_head(&self, id: &SessionId, row: &Row) -> Result<Head, SessionError> {
        if row.key != self.seals.mark() {
            return Err(SessionError::Key { id: id.clone() });
        }
        let opened = || {
            let turns = u64::try_from(row.turns).ok()?.to_be_bytes();
            let beside = self.beside(id, &row.updated_at, &turns);
            let text = self.seals.open(Sealed::Head, &beside, &row.head)?;
            serde_json::from_slice(&text).ok()
        };
        opened().ok_or_else(|| SessionError::NotValid { id: id.clone() })
    }

    fn opened_turns(
        &self,
        connection: &Connection,
        id: &SessionId,
        head: &Head,
    ) -> Result<Vec<Vec<u8>>, SessionError> {
        let not_valid = || SessionError::NotValid { id: id.clone() };
        let (count, bytes): (i64, i64) = connection.query_row(
            "SELECT count(*), coalesce(sum(length(sealed)), 0) FROM turn WHERE session = ?1",
            params![id.as_str()],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        let expected = head.turns.saturating_mul(OVERHEAD).saturating_add(head.bytes);
        if count != whole(head.turns) || bytes != whole(expected) {
            return Err(not_valid());
        }
        let mut query = connection
            .prepare("SELECT position, sealed FROM turn WHERE session = ?1 ORDER BY position")?;
        let mut rows = query.query(params![id.as_str()])?;
        let (mut turns, mut last) = (Vec::new(), beginning(id));
        while let Some(row) = rows.next()? {
            let (position, sealed): (i64, Vec<u8>) = (row.get(0)?, row.get(1)?);
            let next = turns.len() as u64;
            if position != whole(next) {
                return Err(not_valid());
            }
            let place = self.place(id, next, &last);
            let opened = self.seals.open(Sealed::Turn, &place.parts(), &sealed);
            turns.push(opened.ok_or_else(not_valid)?);
            last = Digest::of(&sealed);
        }
        if last == head.last { Ok(turns) } else { Err(not_valid()) }
    }

    /// Everything that a head is bound to.
    fn beside<'a>(
        &'a self,
        id: &'a SessionId,
        updated: &'a str,
        turns: &'a [u8; 8],
    ) -> [&'a [u8]; 6] {
        let mark = self.seals.mark().as_bytes();
        let (user, by) = (self.user.as_bytes(), self.by.as_bytes());
        [id.as_str().as_bytes(), user, by, mark, updated.as_bytes(), turns]
    }

    fn place<'a>(&'a self, id: &'a SessionId, position: u64, before: &'a Digest) -> Place<'a> {
        let whose = [id.as_str(), &self.user, &self.by].map(str::as_bytes);
        Place { whose, position: position.to_be_bytes(), before: before.as_bytes() }
    }
}

/// Everything that a turn is bound to.
struct Place<'a> {
    whose: [&'a [u8]; 3],
    position: [u8; 8],
    before: &'a [u8; 32],
}

impl Place<'_> {
    fn parts(&self) -> [&[u8]; 5] {
        let [id, user, by] = self.whose;
        [id, user, by, &self.position, self.before]
    }
}

/// What the first turn comes after.
fn beginning(id: &SessionId) -> Digest {
    Digest::of_parts([b"tagout-session-begin-1".as_slice(), id.as_str().as_bytes()])
}

/// SQLite's whole numbers have a sign.
fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A row of the table, as somebody left it there.
struct Row {
    key: String,
    updated_at: String,
    turns: i64,
    head: Vec<u8>,
}

impl Row {
    /// Reads the columns from number `first` on.
    fn read(row: &rusqlite::Row<'_>, first: usize) -> rusqlite::Result<Self> {
        Ok(Self {
            key: row.get(first)?,
            updated_at: row.get(first + 1)?,
            turns: row.get(first + 2)?,
            head: row.get(first + 3)?,
        })
    }
}
