//! The file format of age (<https://age-encryption.org/v1>), so that what Tagout keeps can be read
//! and written by the `age` tool too. Recipients are an X25519 key or a passphrase; no plugins, no
//! armour.
mod bech32;
mod header;
mod key;
mod stream;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tagout_proto::Secret;

pub use key::{Identity, Recipient};

/// What a file is sealed for, or opened by.
#[derive(Debug)]
pub enum Lock {
    /// A key.
    Identity(Identity),
    /// A passphrase; sealing stretches it with scrypt of 2 to the given power.
    Passphrase(Secret<String>, u8),
}

/// The power of two that the `age` tool stretches passphrases by.
pub const WORK: u8 = 18;
/// The most that is taken from a file: a gigabyte of memory, and seconds.
const MOST_WORK: u8 = 20;

/// Why a file cannot be opened, or made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AgeError {
    /// It is none of age's, or was cut.
    #[error("it is no age file of version 1")]
    Malformed,
    /// It is sealed for somebody else.
    #[error("it is sealed for another key, or for a passphrase where there is a key")]
    NotForUs,
    /// The passphrase is another.
    #[error("it is sealed under another passphrase")]
    WrongPassphrase,
    /// Opening would take more work than is given here.
    #[error("its passphrase is stretched by more than is taken here")]
    TooMuchWork,
    /// Somebody changed it.
    #[error("it was changed after it was sealed")]
    Changed,
    /// There is no randomness.
    #[error("no key can be drawn")]
    NoRandomness,
}

/// Seals `plain`.
///
/// # Errors
/// [`AgeError::NoRandomness`].
pub fn seal(plain: &[u8], lock: &Lock) -> Result<Vec<u8>, AgeError> {
    let mut file_key = [0; 16];
    drawn(&mut file_key)?;
    let file_key = Secret::new(file_key);
    let mut sealed = header::made(&file_key, lock)?.into_bytes();
    stream::seal(&file_key, plain, &mut sealed)?;
    Ok(sealed)
}

/// Opens what [`seal`], or the `age` tool, made.
///
/// # Errors
/// See [`AgeError`].
pub fn open(sealed: &[u8], lock: &Lock) -> Result<Secret<Vec<u8>>, AgeError> {
    let (file_key, payload) = header::opened(sealed, lock)?;
    stream::open(&file_key, payload)
}

/// Whether a file is sealed by a passphrase, as far as it says.
#[must_use]
pub fn is_under_passphrase(sealed: &[u8]) -> bool {
    let mut lines = sealed.split(|byte| *byte == b'\n');
    lines.next() == Some(header::VERSION.as_bytes())
        && lines.next().is_some_and(|line| line.starts_with(b"-> scrypt "))
}

fn drawn(bytes: &mut [u8]) -> Result<(), AgeError> {
    getrandom::fill(bytes).map_err(|_| AgeError::NoRandomness)
}

/// HKDF with SHA-256 (RFC 5869) for one block of output.
fn hkdf(key: &[u8], salt: &[u8], info: &[u8]) -> Secret<[u8; 32]> {
    let pseudorandom = Secret::new(hmac(salt, &[key]));
    Secret::new(hmac(pseudorandom.expose(), &[info, &[1]]))
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    mac(key, parts).finalize().into_bytes().into()
}

fn mac(key: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
    // A key of any length is one; the other way cannot be taken, and would fail every comparison.
    let mut mac = Hmac::<Sha256>::new_from_slice(key)
        .unwrap_or_else(|_| Hmac::<Sha256>::new(&Default::default()));
    for part in parts {
        mac.update(part);
    }
    mac
}
