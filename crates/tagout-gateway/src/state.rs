//! What a client carries for the gateway between two requests of one call: sealed, bound to who may
//! bring it back and with what, and good for one time.
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// What a handle starts with.
const PREFIX: &str = "tagout1.";
/// Bytes of the nonce.
const NONCE: usize = 24;
/// The longest handle that is looked at, in bytes.
pub const HANDLE_BYTES: usize = 256 << 10;
/// Handles of one principal that are remembered as used, until they expire.
const SPENT: usize = 10_000;
/// Principals of whom some are remembered.
const PRINCIPALS: usize = 10_000;

/// To whom and to what a handle is bound; whoever brings it back with anything else has none.
#[derive(Clone, Copy, Debug)]
pub struct Bound<'a> {
    /// User, and how the user is known.
    pub principal: [&'a str; 2],
    /// The method.
    pub method: &'a str,
    /// A digest of the parameters without what differs between the requests of one call.
    pub params: [u8; 32],
}

/// What a handle holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Held {
    /// A call that waits in this process, under this number.
    Parked {
        /// Its number.
        number: u128,
    },
    /// A call that a server will know again by its own state.
    Passed(Passed),
}

/// A call that a server will know again, as the gateway will.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Passed {
    /// The server.
    pub server: String,
    /// Which start of it.
    pub connection: u64,
    /// The server's own state, if it gave one.
    pub state: Option<String>,
    /// What it asked, by key; nothing else is answered.
    pub keys: Vec<String>,
    /// The digest of the definition that the call was decided on; empty for what is no tool.
    pub definition: String,
    /// What the client's user approved, if that was asked: the digest of all that was sent.
    pub approved: Option<String>,
    /// And when.
    pub approved_at: Option<Timestamp>,
    /// How often the call was made so far.
    pub rounds: u32,
    /// Until when it is good, in seconds of Unix time; later rounds do not put it off.
    pub until: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    /// Until when, in seconds of Unix time.
    until: i64,
    held: Held,
}

/// Why a handle is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// It was not made here, or for somebody or something else, or was changed.
    #[error("it was not made for this request")]
    Foreign,
    /// It is too old.
    #[error("it has expired")]
    Expired,
    /// It was used before.
    #[error("it was used before")]
    Spent,
    /// It cannot be made: there is no randomness.
    #[error("it cannot be made")]
    Unmade,
}

/// Makes handles, and opens them once.
pub struct Sealer {
    cipher: XChaCha20Poly1305,
    /// Which were opened, by principal, and until when they would be good. One principal cannot use
    /// up another's room.
    spent: Mutex<HashMap<[String; 2], Spent>>,
}

type Spent = HashMap<[u8; NONCE], i64>;

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer")
    }
}

impl Sealer {
    /// A sealer with a key of its own: what it seals, no other opens.
    ///
    /// # Errors
    /// [`StateError::Unmade`].
    pub fn new() -> Result<Self, StateError> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|_| StateError::Unmade)?;
        Ok(Self { cipher: XChaCha20Poly1305::new(&key.into()), spent: Mutex::default() })
    }

    /// A handle that holds `held` and is good from `now` for `lasts`.
    ///
    /// # Errors
    /// [`StateError::Unmade`].
    pub fn seal(
        &self,
        bound: &Bound<'_>,
        held: Held,
        now: Timestamp,
        lasts: SignedDuration,
    ) -> Result<String, StateError> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(|_| StateError::Unmade)?;
        let until = now.as_second().saturating_add(lasts.as_secs());
        let text = serde_json::to_vec(&Sealed { until, held }).map_err(|_| StateError::Unmade)?;
        let aad = associated(bound);
        let payload = Payload { msg: &text, aad: &aad };
        let sealed = self.cipher.encrypt(&XNonce::from(nonce), payload);
        let mut bytes = nonce.to_vec();
        bytes.extend(sealed.map_err(|_| StateError::Unmade)?);
        Ok(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// Opens a handle, which is then spent.
    ///
    /// # Errors
    /// [`StateError::Foreign`], [`StateError::Expired`], [`StateError::Spent`].
    pub fn open(
        &self,
        handle: &str,
        bound: &Bound<'_>,
        now: Timestamp,
    ) -> Result<Held, StateError> {
        let encoded = handle.strip_prefix(PREFIX).filter(|_| handle.len() <= HANDLE_BYTES);
        let bytes = encoded.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        let bytes = bytes.ok_or(StateError::Foreign)?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE>().ok_or(StateError::Foreign)?;
        let aad = associated(bound);
        let opened = self.cipher.decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: &aad });
        let opened = opened.map_err(|_| StateError::Foreign)?;
        let Sealed { until, held } =
            serde_json::from_slice(&opened).map_err(|_| StateError::Foreign)?;
        let now = now.as_second();
        if now > until {
            return Err(StateError::Expired);
        }
        // What waits in this process is taken up once, whatever is remembered here.
        if matches!(held, Held::Passed(_)) {
            self.spend(bound.principal.map(ToOwned::to_owned), *nonce, (now, until))?;
        }
        Ok(held)
    }

    /// Notes that a handle was used.
    fn spend(
        &self,
        principal: [String; 2],
        nonce: [u8; NONCE],
        (now, until): (i64, i64),
    ) -> Result<(), StateError> {
        let mut all = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= PRINCIPALS {
            all.retain(|_, spent| spent.values().any(|until| *until >= now));
        }
        if all.len() >= PRINCIPALS && !all.contains_key(&principal) {
            return Err(StateError::Spent);
        }
        let spent = all.entry(principal).or_default();
        if spent.len() >= SPENT {
            spent.retain(|_, until| *until >= now);
        }
        // Full of what is still good: nothing may be opened twice, so nothing is opened.
        if spent.len() >= SPENT || spent.insert(nonce, until).is_some() {
            return Err(StateError::Spent);
        }
        Ok(())
    }
}

fn associated(bound: &Bound<'_>) -> Vec<u8> {
    let [user, by] = bound.principal;
    let mut aad = Vec::new();
    for part in [user.as_bytes(), by.as_bytes(), bound.method.as_bytes(), &bound.params] {
        // Each with its length, so that no two ways to cut the same bytes are the same.
        aad.extend(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        aad.extend(part);
    }
    aad
}
