//! API keys: who presents one is the principal that it names.
//!
//! A key that was right once is known again by a keyed digest of it, in microseconds; the slow hash
//! is for the first time only. The stored keys are held in memory and read again when
//! they change, which is looked for once a second; what was revoked is forgotten then.
//!
//! About timing: identifiers are no secrets (`tagout key list` shows them), so nothing hides that
//! an identifier is unknown, revoked, expired or guessed for: these are refused at once, without a
//! hash, and cost next to nothing. The secret is compared as a keyed digest and as a hash, both in
//! constant time.
mod form;
mod hash;
mod known;
mod mint;

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::{Timestamp, tz::TimeZone};
use sha2::Sha256;
use tagout_proto::{Principal, Secret};
use tagout_store::{Store, StoreError, StoredKey};
use tokio::sync::Semaphore;

pub use form::PREFIX;
pub use mint::{KeyRequest, KeyTrouble, Minted, Revoked};

use crate::{Clock, Gateway};
use form::Presented;
use hash::HashError;
use known::{Hit, Known, Tag};

/// Hashes under way at once; each takes 19 MiB.
const HASHES: usize = 2;
/// Keys that may wait for a hash.
const WAITING: usize = 256;
/// How long one may wait.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often the stored keys are looked at, in milliseconds.
const LOOK_MS: i64 = 1000;

/// Why a key lets nobody in. Callers learn [`KeyError::code`] only, which does not tell the first
/// six apart.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It is not written as a key is.
    #[error("it is not written as a key is")]
    Malformed,
    /// No key has its identifier.
    #[error("no key has this identifier")]
    Unknown,
    /// Its secret is wrong.
    #[error("the secret is wrong")]
    Wrong,
    /// It has expired.
    #[error("the key has expired")]
    Expired,
    /// It was revoked.
    #[error("the key was revoked")]
    Revoked,
    /// Its identifier was presented with wrong secrets so often that nothing is looked at for now.
    #[error("too many wrong secrets for this identifier; it is left alone for a minute")]
    Guessed,
    /// Too many keys wait to be looked at.
    #[error("too many keys wait to be looked at")]
    Busy,
    /// The state cannot be read.
    #[error("the keys cannot be read")]
    Store(#[from] StoreError),
}

impl KeyError {
    /// The stable code, which a caller may see.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed
            | Self::Unknown
            | Self::Wrong
            | Self::Expired
            | Self::Revoked
            | Self::Guessed => "credential-invalid",
            Self::Busy => "credential-busy",
            Self::Store(error) => error.code(),
        }
    }
}

/// Somebody who presented a key, and which key that was: another one may be called the same later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Who it is.
    pub principal: Principal,
    /// The identifier of the key.
    pub key: Arc<str>,
}

/// Who gets in by a key.
pub struct Keys {
    store: Store,
    clock: Clock,
    /// A block of random bytes, of this process only; makes digests of presented keys useless to anybody else.
    digest_key: Secret<[u8; 64]>,
    known: Mutex<Known>,
    /// When the stored keys were last looked at, in milliseconds of Unix time.
    looked_at: AtomicI64,
    look: tokio::sync::Mutex<()>,
    waiting: Semaphore,
    hashes: Arc<Semaphore>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys")
    }
}

impl Keys {
    /// The keys of `store`, by the time of `clock`.
    ///
    /// # Errors
    /// [`KeyError::Store`].
    pub fn new(store: Store, clock: Clock) -> Result<Self, KeyError> {
        let mut digest_key = [0; 64];
        getrandom::fill(&mut digest_key).map_err(StoreError::Random)?;
        Ok(Self {
            store,
            clock,
            digest_key: Secret::new(digest_key),
            known: Mutex::default(),
            looked_at: AtomicI64::new(i64::MIN),
            look: tokio::sync::Mutex::new(()),
            waiting: Semaphore::new(WAITING),
            hashes: Arc::new(Semaphore::new(HASHES)),
        })
    }

    /// The keys of `gateway`'s store, by its clock.
    ///
    /// # Errors
    /// [`KeyError::Store`].
    pub fn of(gateway: &Gateway) -> Result<Self, KeyError> {
        Self::new(gateway.store.clone(), gateway.clock.clone())
    }

    /// As [`Keys::caller`], without the key.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub async fn verify(&self, presented: &str) -> Result<Principal, KeyError> {
        Ok(self.caller(presented).await?.principal)
    }

    /// Who presents the key `presented`: a user called as the key is, in its groups, authenticated
    /// by `api-key`. Needs the runtime. Cancel safe: what was begun is finished and forgotten.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub async fn caller(&self, presented: &str) -> Result<Caller, KeyError> {
        let presented = Presented::parse(presented).ok_or(KeyError::Malformed)?;
        self.look_again().await?;
        let tag = self.tag(presented.whole);
        let hit = self.known().hit(presented.id, &tag, self.clock.now())?;
        let hit = match hit {
            Some(hit) => hit,
            None => self.hashed(&presented, tag).await?,
        };
        if hit.first_today {
            self.note_use(presented.id);
        }
        Ok(Caller { principal: hit.principal, key: presented.id.into() })
    }

    /// Whether the key `id` is still good, as far as was last seen; reads nothing, so that many can
    /// be asked for after [`Keys::look_again`].
    #[must_use]
    pub fn is_live(&self, id: &str) -> bool {
        self.known().is_live(id, self.clock.now())
    }

    /// Looks at a key that is not known to be right.
    async fn hashed(&self, presented: &Presented<'_>, tag: Tag) -> Result<Hit, KeyError> {
        let id = presented.id;
        self.known().worth_hashing(id, self.clock.now())?;
        let _place = self.waiting.try_acquire().map_err(|_| KeyError::Busy)?;
        let turn = tokio::time::timeout(PATIENCE, Arc::clone(&self.hashes).acquire_owned());
        let turn = turn.await.map_err(|_| KeyError::Busy)?.map_err(|_| KeyError::Busy)?;
        // While it waited, the same key may have been found right, or another one wrong.
        let key = {
            let (mut known, now) = (self.known(), self.clock.now());
            if let Some(hit) = known.hit(id, &tag, now)? {
                return Ok(hit);
            }
            known.hashing(id, now)?
        };
        let (stored, whole) = (Arc::clone(&key), Secret::new(presented.whole.to_owned()));
        let holds = tokio::task::spawn_blocking(move || {
            // Held until the hash is done, also if nobody waits for it any more.
            let _turn = turn;
            hash::holds(&stored.hash, &whole)
        });
        let holds = holds.await.map_err(|_| StoreError::Poisoned)?;
        if !holds.map_err(unhashed)? {
            return Err(KeyError::Wrong);
        }
        // What changed while it was hashed counts.
        self.look_again().await?;
        self.known().right(&key, tag, self.clock.now())
    }

    /// Reads the stored keys if they have changed, once a second. A store that cannot be read lets
    /// nobody in.
    ///
    /// # Errors
    /// [`KeyError::Store`].
    pub async fn look_again(&self) -> Result<(), KeyError> {
        if self.is_fresh() {
            return Ok(());
        }
        let _one_at_a_time = self.look.lock().await;
        if self.is_fresh() {
            return Ok(());
        }
        let now = self.clock.now().as_millisecond();
        let (store, before) = (self.store.clone(), self.known().changes);
        let found = tokio::task::spawn_blocking(move || read(&store, before)).await;
        if let Some((changes, keys)) = found.map_err(|_| StoreError::Poisoned)?? {
            self.known().take(changes, keys);
        }
        self.looked_at.store(now, Ordering::Release);
        Ok(())
    }

    /// A clock that was set back makes it look again.
    fn is_fresh(&self) -> bool {
        let now = self.clock.now().as_millisecond();
        let looked_at = self.looked_at.load(Ordering::Acquire);
        (looked_at..looked_at.saturating_add(LOOK_MS)).contains(&now)
    }

    fn tag(&self, whole: &str) -> Tag {
        let mac = Hmac::<Sha256>::new(self.digest_key.expose().into());
        mac.chain_update(whole.as_bytes()).finalize().into_bytes().into()
    }

    /// Aside: that it was used is for people, and a day's precision is enough.
    fn note_use(&self, id: &str) {
        let (store, id) = (self.store.clone(), id.to_owned());
        let day = self.clock.now().to_zoned(TimeZone::UTC).date();
        tokio::task::spawn_blocking(move || {
            if let Err(error) = store.key_used(&id, day) {
                tracing::warn!(%error, "that a key was used is not stored");
            }
        });
    }

    /// Whoever panicked here left nothing half done: every change of it is one statement.
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The keys, if their number of changes is not `before` any more. The number is read first: a change
/// in between is then seen the next time.
fn read(store: &Store, before: Option<i64>) -> Result<Option<(i64, Vec<StoredKey>)>, StoreError> {
    let changes = store.key_changes()?;
    if before == Some(changes) { Ok(None) } else { Ok(Some((changes, store.keys()?))) }
}

fn unhashed(error: HashError) -> KeyError {
    match error {
        HashError::Unmade => KeyError::Busy,
        HashError::Unreadable => StoreError::Damaged { what: "hash of a key" }.into(),
    }
}

/// Whether a key that is good until `expires` is good now.
fn in_future(expires: Option<Timestamp>, now: Timestamp) -> bool {
    expires.is_none_or(|expires| now < expires)
}
