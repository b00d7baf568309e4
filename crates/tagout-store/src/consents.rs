//! Consent: to which servers and models somebody's data may go.
use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, params};
use tagout_proto::{Digest, Principal};

use crate::{
    Store, StoreError,
    store::{stored, timestamp},
};

/// Most consents that are listed.
const LISTED: u32 = 100_000;

/// What data goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecipientKind {
    /// An MCP server.
    Server,
    /// A language model.
    Model,
}

impl RecipientKind {
    /// The word for it in records and in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Model => "model",
        }
    }

    fn read(word: &str) -> Result<Self, StoreError> {
        match word {
            "server" => Ok(Self::Server),
            "model" => Ok(Self::Model),
            _ => Err(StoreError::Damaged { what: "recipient" }),
        }
    }
}

/// To whom data may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// What it is.
    pub kind: RecipientKind,
    /// Its name: the server's in the configuration, or the model's.
    pub name: String,
    /// A digest of what stands behind the name: another program or another URL is another
    /// recipient.
    pub identity: Digest,
}

/// That somebody agreed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consent {
    /// Whose data: the user,
    pub user: String,
    /// and how that is known.
    pub authenticated_by: String,
    /// To whom it may go.
    pub recipient: Recipient,
    /// When that was agreed to.
    pub agreed_at: Timestamp,
    /// Who agreed: the user, or whoever runs the gateway for the user.
    pub by: String,
    /// By which way: `command`, `pin`, `add`, or the channel of an approval.
    pub channel: String,
    /// The record of it.
    pub record: u64,
}

impl Store {
    /// Keeps a consent, in place of an earlier one to what had the same name. It is on disk before
    /// this returns.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn agree(&self, consent: &Consent) -> Result<(), StoreError> {
        self.lock_durable()?.execute(
            "INSERT OR REPLACE INTO consent (user, authenticated_by, kind, recipient, identity,
             agreed_at, by, channel, record) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            params![
                consent.user,
                consent.authenticated_by,
                consent.recipient.kind.as_str(),
                consent.recipient.name,
                consent.recipient.identity.to_string(),
                stored(consent.agreed_at),
                consent.by,
                consent.channel,
                i64::try_from(consent.record).unwrap_or(i64::MAX),
            ],
        )?;
        Ok(())
    }

    /// Whether `principal` has agreed that data goes to `recipient`, as it is now.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn has_agreed(
        &self,
        principal: &Principal,
        recipient: &Recipient,
    ) -> Result<bool, StoreError> {
        let connection = self.lock_reader()?;
        let mut query = connection.prepare_cached(
            "SELECT identity FROM consent WHERE user = ?1 AND authenticated_by = ?2 AND kind = ?3
             AND recipient = ?4 AND revoked_at IS NULL",
        )?;
        let (user, how) = (&*principal.user, &*principal.authenticated_by);
        let whose = params![user, how, recipient.kind.as_str(), recipient.name];
        let agreed: Option<String> = query.query_row(whose, |row| row.get(0)).optional()?;
        Ok(agreed.is_some_and(|identity| identity == recipient.identity.to_string()))
    }

    /// Every consent, by user and recipient.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn consents(&self) -> Result<Vec<Consent>, StoreError> {
        let connection = self.lock_reader()?;
        let mut query = connection.prepare_cached(
            "SELECT user, authenticated_by, kind, recipient, identity, agreed_at, by, channel,
             record FROM consent WHERE revoked_at IS NULL ORDER BY user, authenticated_by, kind, recipient LIMIT ?1",
        )?;
        let mut rows = query.query(params![LISTED])?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            let identity: String = row.get(4)?;
            all.push(Consent {
                user: row.get(0)?,
                authenticated_by: row.get(1)?,
                recipient: Recipient {
                    kind: RecipientKind::read(&row.get::<_, String>(2)?)?,
                    name: row.get(3)?,
                    identity: identity
                        .parse()
                        .map_err(|_| StoreError::Damaged { what: "digest" })?,
                },
                agreed_at: timestamp(&row.get::<_, String>(5)?)?,
                by: row.get(6)?,
                channel: row.get(7)?,
                record: u64::try_from(row.get::<_, i64>(8)?).unwrap_or_default(),
            });
        }
        Ok(all)
    }

    /// Takes back the consent of `principal` to what is called `name`, and keeps when that was;
    /// gives `false` if there is none. It is on disk before this returns.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn revoke_consent(
        &self,
        principal: &Principal,
        (kind, name): (RecipientKind, &str),
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let rows = self.lock_durable()?.execute(
            "UPDATE consent SET revoked_at = ?5 WHERE user = ?1 AND authenticated_by = ?2
             AND kind = ?3 AND recipient = ?4 AND revoked_at IS NULL",
            params![
                &*principal.user,
                &*principal.authenticated_by,
                kind.as_str(),
                name,
                stored(now)
            ],
        )?;
        Ok(rows == 1)
    }

    /// When `principal` last took back a consent to what has the name of `recipient`, if it was not
    /// given again.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn consent_revoked_at(
        &self,
        principal: &Principal,
        recipient: &Recipient,
    ) -> Result<Option<Timestamp>, StoreError> {
        let connection = self.lock_reader()?;
        let mut query = connection.prepare_cached(
            "SELECT revoked_at FROM consent WHERE user = ?1 AND authenticated_by = ?2
             AND kind = ?3 AND recipient = ?4",
        )?;
        let (user, how) = (&*principal.user, &*principal.authenticated_by);
        let whose = params![user, how, recipient.kind.as_str(), recipient.name];
        let at: Option<Option<String>> = query.query_row(whose, |row| row.get(0)).optional()?;
        at.flatten().as_deref().map(timestamp).transpose()
    }
}
