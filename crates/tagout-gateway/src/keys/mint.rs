//! Making, listing and revoking keys: each is on the audit log.
use jiff::Timestamp;
use tagout_audit::{AuditError, Durability, Note};
use tagout_proto::Secret;
use tagout_store::{KeyAdded, KeyGroups, KeyName, KeyPlace, StoreError, StoredKey};

use super::{Keys, form, hash, in_future};
use crate::Gateway;

/// A key to be made.
#[derive(Clone, Debug)]
pub struct KeyRequest {
    /// What it and whoever presents it is called.
    pub name: KeyName,
    /// The groups of whoever presents it.
    pub groups: KeyGroups,
    /// From when on it is no longer good.
    pub expires: Option<Timestamp>,
}

/// A key that was made. This is the only time that it can be seen.
#[derive(Debug)]
pub struct Minted {
    /// Its identifier.
    pub id: String,
    /// The key.
    pub key: Secret<String>,
}

/// A key that was revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// Its identifier.
    pub id: String,
    /// Its name.
    pub name: KeyName,
}

/// Why a key is not made or not revoked.
#[derive(Debug, thiserror::Error)]
pub enum KeyTrouble {
    /// A live key has the name.
    #[error("there is a key `{0}` already")]
    Exists(KeyName),
    /// There are as many keys as there may be.
    #[error("there are {} keys already", tagout_store::MOST_KEYS)]
    Full,
    /// It would have expired before it is made.
    #[error("the key would have expired already")]
    Past,
    /// No key has that name or identifier.
    #[error("there is no live key of that name or identifier")]
    Unknown,
    /// One key has it for its name, and another for its identifier.
    #[error("one key is called so, and another has it for its identifier")]
    Ambiguous,
    /// No hash can be made.
    #[error("no hash of a key can be made")]
    Unhashed,
    /// It cannot be put on record.
    #[error("it cannot be put on record")]
    Audit(#[from] AuditError),
    /// It was revoked, and that could not be put on record.
    #[error("the key is revoked, and that could not be put on record")]
    RevokedUnrecorded(#[source] AuditError),
    /// The state cannot be read or written.
    #[error("the keys cannot be read or written")]
    Store(#[from] StoreError),
}

impl KeyTrouble {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Exists(_) => "key-exists",
            Self::Full => "key-full",
            Self::Past => "key-expiry",
            Self::Unknown | Self::Ambiguous => "key-unknown",
            Self::Unhashed => "store-unavailable",
            Self::Audit(error) | Self::RevokedUnrecorded(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }

    /// What the operator can do now.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        match self {
            Self::Exists(_) => "choose another name, or revoke that key first",
            Self::Full => {
                "revoked keys count too, so that records keep their meaning; move the \
                           state file away to start with none"
            }
            Self::Past => "choose a later time",
            Self::Unknown => "see `tagout key list`",
            Self::Ambiguous => "revoke it by its identifier, as `tagout key list` shows it",
            Self::Unhashed => "try again; it takes 19 MiB of memory",
            Self::Audit(error) | Self::RevokedUnrecorded(error) => error.help(),
            Self::Store(error) => error.help(),
        }
    }
}

impl Gateway {
    /// Makes a key. It is on record before it holds. Takes tens of milliseconds.
    ///
    /// # Errors
    /// See [`KeyTrouble`].
    pub fn add_key(&self, request: &KeyRequest) -> Result<Minted, KeyTrouble> {
        match self.mint(request, KeyPlace::NameIsFree)? {
            Some(minted) => Ok(minted),
            None => Err(KeyTrouble::Exists(request.name.clone())),
        }
    }

    /// Every key, those that are no longer good among them.
    ///
    /// # Errors
    /// [`KeyTrouble::Store`].
    pub fn keys(&self) -> Result<Vec<StoredKey>, KeyTrouble> {
        Ok(self.store.keys()?)
    }

    /// Revokes the live key called `which`, or the one with that identifier. Gateways that run see
    /// it within a second or two. A log that cannot be written does not keep a key alive.
    ///
    /// # Errors
    /// See [`KeyTrouble`].
    pub fn revoke_key(&self, which: &str) -> Result<Revoked, KeyTrouble> {
        let now = self.clock.now();
        let all = self.store.keys()?;
        let named = all.iter().find(|key| key.name.as_str() == which && key.is_live(now));
        let numbered = all.iter().find(|key| key.id == which && key.revoked_at.is_none());
        let key = match (named, numbered) {
            (Some(one), Some(other)) if one.id != other.id => return Err(KeyTrouble::Ambiguous),
            (Some(key), _) | (None, Some(key)) => key,
            (None, None) => return Err(KeyTrouble::Unknown),
        };
        let recorded = self.note_key("key-revoked", &key.name, &format!("id {}", key.id));
        if !self.store.revoke_key(&key.id, now)? {
            return Err(KeyTrouble::Unknown);
        }
        recorded.map_err(KeyTrouble::RevokedUnrecorded)?;
        Ok(Revoked { id: key.id.clone(), name: key.name.clone() })
    }

    fn mint(&self, request: &KeyRequest, place: KeyPlace) -> Result<Option<Minted>, KeyTrouble> {
        let now = self.clock.now();
        if !in_future(request.expires, now) {
            return Err(KeyTrouble::Past);
        }
        let stands_in_the_way = |key: &StoredKey| {
            key.is_live(now) && (place == KeyPlace::NoneIsLive || key.name == request.name)
        };
        // Before the hash and the record; whether it still is so when it is added, the store says.
        if self.store.keys()?.iter().any(stands_in_the_way) {
            return Ok(None);
        }
        let (id, key) = form::draw().map_err(StoreError::Random)?;
        let stored = StoredKey {
            id: id.clone(),
            name: request.name.clone(),
            groups: request.groups.clone(),
            hash: hash::made(&key).map_err(|_| KeyTrouble::Unhashed)?,
            created_at: now,
            expires_at: request.expires,
            revoked_at: None,
            used_on: None,
        };
        self.note_key("key-added", &request.name, &described(&stored))?;
        let added = self.store.add_key(&stored, place, now);
        if !matches!(added, Ok(KeyAdded::Added)) {
            self.note_key("key-not-added", &request.name, &format!("id {id}"))?;
        }
        match added? {
            KeyAdded::Added => Ok(Some(Minted { id, key })),
            KeyAdded::Taken => Ok(None),
            KeyAdded::Full => Err(KeyTrouble::Full),
        }
    }

    fn note_key(&self, event: &str, name: &KeyName, detail: &str) -> Result<(), AuditError> {
        let mut note = Note::new(self.clock.now(), event);
        note.principal = Some(&self.principal);
        note.subject = Some(name.as_str());
        note.detail = Some(detail);
        self.audit.note(&note, Durability::Disk).map(drop)
    }
}

impl Keys {
    /// Makes a key called `local`, without groups, if there is no live key: of several processes one
    /// makes it. It is given back to be shown once. Takes tens of milliseconds the first time.
    ///
    /// # Errors
    /// See [`KeyTrouble`].
    pub fn ensure_first(&self, gateway: &Gateway) -> Result<Option<Minted>, KeyTrouble> {
        let name = "local".parse().map_err(|_| KeyTrouble::Unknown)?;
        let request = KeyRequest { name, groups: KeyGroups::default(), expires: None };
        gateway.mint(&request, KeyPlace::NoneIsLive)
    }
}

/// What the log says of a new key; names and groups hold no commas of ours, so they are quoted.
fn described(key: &StoredKey) -> String {
    let groups: Vec<_> = key.groups.as_set().iter().map(|group| format!("`{group}`")).collect();
    let expires = key.expires_at.map_or("never".to_owned(), |at| at.to_string());
    format!("id {}; groups {}; expires {expires}", key.id, groups.join(", "))
}
