//! Signatures of lockfiles, in the format of [minisign](https://jedisct1.github.io/minisign/): made
//! and verified by that program as well. Ed25519 over the BLAKE2b-512 of the file, and a comment
//! that is signed along.
mod secret;

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use blake2::{Blake2b512, Digest as _};
use ed25519_dalek::{Signature as Bare, VerifyingKey};

pub use self::secret::{SigningKeyFile, SigningKeyTrouble};

/// Ed25519 of a file's BLAKE2b-512.
const HASHED: [u8; 2] = *b"ED";
/// A key, and Ed25519 of the file itself, which nobody makes any more.
const PLAIN: [u8; 2] = *b"Ed";
/// The longest signature file, in bytes.
pub const MOST_BYTES: usize = 16 << 10;
const UNTRUSTED: &str = "untrusted comment: ";
const TRUSTED: &str = "trusted comment: ";

/// A key that lockfiles may be signed by: `RW…`, as minisign prints it, after a name for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// What it is called here; empty if it has no name.
    pub name: String,
    id: [u8; 8],
    key: VerifyingKey,
}

/// Why a text is no public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "it is no public key of minisign: 56 characters that begin with `RW`, after a name or alone"
)]
pub struct BadPublicKey;

/// A signature that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The comment that was signed along.
    pub comment: String,
    /// The key that it was signed by.
    pub by: PublicKey,
}

/// Why a lockfile does not count as signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// There is none.
    #[error("the lockfile is not signed, and `lockfile.signed_by` wants that")]
    Missing,
    /// It is not of the format.
    #[error("the lockfile's signature cannot be read: {0}")]
    Malformed(&'static str),
    /// It is by a key that is not among those that count.
    #[error("the lockfile is signed by the key {id}, which `lockfile.signed_by` does not name")]
    OtherKey {
        /// The key's identifier, as minisign shows it.
        id: String,
    },
    /// It is of another file, or of this one before it was changed.
    #[error("the lockfile is not what was signed by the key {id}")]
    Wrong {
        /// The key's identifier, as minisign shows it.
        id: String,
    },
}

impl SignatureError {
    /// The stable codes.
    pub const CODES: &[&str] = &["lockfile-unsigned", "lockfile-signature"];

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Missing => "lockfile-unsigned",
            Self::Malformed(_) | Self::OtherKey { .. } | Self::Wrong { .. } => "lockfile-signature",
        }
    }
}

impl FromStr for PublicKey {
    type Err = BadPublicKey;

    fn from_str(text: &str) -> Result<Self, BadPublicKey> {
        let (name, key) = text.trim().rsplit_once(' ').unwrap_or(("", text.trim()));
        let bytes: [u8; 42] =
            STANDARD.decode(key).ok().and_then(|b| b.try_into().ok()).ok_or(BadPublicKey)?;
        let (kind, id, key) = (part(&bytes, 0), part(&bytes, 2), part(&bytes, 10));
        let key = VerifyingKey::from_bytes(&key).map_err(|_| BadPublicKey)?;
        if kind != PLAIN || key.is_weak() {
            return Err(BadPublicKey);
        }
        Ok(Self { name: name.trim().to_owned(), id, key })
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes: Vec<_> =
            PLAIN.iter().chain(&self.id).chain(self.key.as_bytes()).copied().collect();
        f.write_str(&STANDARD.encode(bytes))
    }
}

/// Verifies that one of `keys` has signed `file`, whose signature file says `signature`.
///
/// # Errors
/// See [`SignatureError`].
pub fn verify(
    file: &[u8],
    signature: Option<&str>,
    keys: &[PublicKey],
) -> Result<Signed, SignatureError> {
    let malformed = SignatureError::Malformed;
    let signature = signature.ok_or(SignatureError::Missing)?;
    if signature.len() > MOST_BYTES {
        return Err(malformed("it is too long"));
    }
    let mut lines = signature.lines();
    let mut line = || lines.next().unwrap_or_default();
    line().strip_prefix(UNTRUSTED).ok_or(malformed("its first line is no comment"))?;
    let decoded = |line: &str| STANDARD.decode(line).ok();
    let first: Option<[u8; 74]> = decoded(line()).and_then(|bytes| bytes.try_into().ok());
    let first = first.ok_or(malformed("its second line is no signature"))?;
    let comment = line().strip_prefix(TRUSTED).ok_or(malformed("it has no trusted comment"))?;
    let second: Option<[u8; 64]> = decoded(line()).and_then(|bytes| bytes.try_into().ok());
    let second = second.ok_or(malformed("its comment is not signed"))?;
    if part(&first, 0) != HASHED {
        return Err(malformed("it is of another kind; sign with a minisign of this decade"));
    }
    let (id, bare) = (part::<8>(&first, 2), part::<64>(&first, 10));
    let shown = shown_id(&id);
    let Some(key) = keys.iter().find(|key| key.id == id) else {
        return Err(SignatureError::OtherKey { id: shown });
    };
    let holds = |message: &[u8], bytes: &[u8; 64]| {
        key.key.verify_strict(message, &Bare::from_bytes(bytes)).is_ok()
    };
    let with_comment: Vec<_> = bare.iter().chain(comment.as_bytes()).copied().collect();
    if !holds(&Blake2b512::digest(file), &bare) || !holds(&with_comment, &second) {
        return Err(SignatureError::Wrong { id: shown });
    }
    Ok(Signed { comment: comment.to_owned(), by: key.clone() })
}

/// A key's identifier as minisign shows it.
fn shown_id(id: &[u8; 8]) -> String {
    format!("{:016X}", u64::from_le_bytes(*id))
}

/// `N` bytes from `at` on; zeros where there are fewer.
fn part<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes.get(at..at + N).and_then(|part| part.try_into().ok()).unwrap_or([0; N])
}
