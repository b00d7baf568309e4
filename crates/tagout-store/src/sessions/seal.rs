//! Boxes that only the key opens, each bound to its place.
use std::fmt;

use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use tagout_proto::{Digest, Secret};

use crate::StoreError;

/// Bytes of the nonce, which stands before what is sealed.
const NONCE: usize = 24;
/// Bytes by which a box is larger than what is in it.
pub(super) const OVERHEAD: u64 = 24 + 16;

/// The key that sessions are sealed under; what is used for each purpose follows from it.
pub struct SessionKey(Secret<[u8; 32]>);

impl SessionKey {
    /// The key of these bytes, which must be drawn at random.
    #[must_use]
    pub const fn new(bytes: Secret<[u8; 32]>) -> Self {
        Self(bytes)
    }

    /// HMAC-SHA-256 of the purpose: whoever learns one follows none of the others from it.
    fn derived(&self, purpose: &str) -> Option<[u8; 32]> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.expose()).ok()?;
        mac.update(purpose.as_bytes());
        Some(mac.finalize().into_bytes().into())
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// What a box is.
#[derive(Clone, Copy)]
pub(super) enum Sealed {
    Head,
    Turn,
}

/// Seals and opens.
#[derive(Clone)]
pub(super) struct Seals {
    heads: XChaCha20Poly1305,
    turns: XChaCha20Poly1305,
    mark: String,
}

impl Seals {
    /// What follows from `key`; nothing only if the hash takes no keys of that length, which it does.
    pub(super) fn of(key: &SessionKey) -> Option<Self> {
        let cipher = |purpose| Some(XChaCha20Poly1305::new(&key.derived(purpose)?.into()));
        let mark = key.derived("tagout-session-mark-1")?;
        Some(Self {
            heads: cipher("tagout-session-head-1")?,
            turns: cipher("tagout-session-turn-1")?,
            mark: hex::encode(mark.get(..8)?),
        })
    }

    /// What tells this key from another.
    pub(super) fn mark(&self) -> &str {
        &self.mark
    }

    /// Seals `text` to its place, which is `parts`.
    pub(super) fn seal(
        &self,
        kind: Sealed,
        parts: &[&[u8]],
        text: &[u8],
    ) -> Result<Vec<u8>, StoreError> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(StoreError::Random)?;
        let aad = associated(kind, parts);
        let sealed = self
            .cipher(kind)
            .encrypt(&XNonce::from(nonce), Payload { msg: text, aad: &aad })
            .map_err(|_| StoreError::Damaged { what: "message too long to seal" })?;
        let mut bytes = nonce.to_vec();
        bytes.extend(sealed);
        Ok(bytes)
    }

    /// Opens a box, if it was sealed to this place and nobody has changed it.
    pub(super) fn open(&self, kind: Sealed, parts: &[&[u8]], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE>()?;
        let aad = associated(kind, parts);
        self.cipher(kind).decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: &aad }).ok()
    }

    const fn cipher(&self, kind: Sealed) -> &XChaCha20Poly1305 {
        match kind {
            Sealed::Head => &self.heads,
            Sealed::Turn => &self.turns,
        }
    }
}

impl fmt::Debug for Seals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// A digest of the place: no two lists of parts have one.
fn associated(kind: Sealed, parts: &[&[u8]]) -> [u8; 32] {
    let label: &[u8] = match kind {
        Sealed::Head => b"tagout-session-head-1",
        Sealed::Turn => b"tagout-session-turn-1",
    };
    *Digest::of_parts([label].into_iter().chain(parts.iter().copied())).as_bytes()
}
