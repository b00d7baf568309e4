//! The key that signs the head, and the one that verifies it.
use std::{
    fmt, fs,
    io::{Read as _, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
    str::FromStr,
};

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use tagout_proto::Digest;

use crate::{AuditError, files};

/// The key that verifies a log's head, written `ed25519:` and 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

/// Why a string is not a [`PublicKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a verifying key is `ed25519:` and 64 hexadecimal digits")]
pub struct BadPublicKey;

/// The key that signs heads.
pub(crate) struct SecretKey(SigningKey);

/// The key that makes and checks marks; it follows from the one that signs heads.
pub(crate) struct MarkKey(Digest);

impl PublicKey {
    /// The key that verifies what the signing key in `key_file` signs.
    ///
    /// # Errors
    /// [`AuditError::Key`] if there is none or it cannot be read.
    pub fn of_key_file(key_file: &Path) -> Result<Self, AuditError> {
        Ok(SecretKey::load(key_file)?.public())
    }

    /// Whether `signature`, 128 hexadecimal digits, is over `message` and by this key.
    pub(crate) fn verifies(&self, message: &[u8], signature: &str) -> bool {
        let mut bytes = [0; 64];
        let Ok(key) = VerifyingKey::from_bytes(&self.0) else { return false };
        hex::decode_to_slice(signature, &mut bytes).is_ok()
            && key.verify_strict(message, &Signature::from_bytes(&bytes)).is_ok()
    }
}

impl SecretKey {
    /// Reads the key in `path`: 64 hexadecimal digits.
    pub(crate) fn load(path: &Path) -> Result<Self, AuditError> {
        let Some(file) = files::open_existing(path)? else {
            return Err(problem(path, "there is no such file"));
        };
        let mode = file.metadata().map_err(files::unreadable(path))?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(problem(path, "others may read it: its mode must be 0600"));
        }
        let mut text = String::new();
        #[expect(clippy::disallowed_methods, reason = "bounded by `take`")]
        file.take(100).read_to_string(&mut text).map_err(files::unreadable(path))?;
        let mut seed = [0; 32];
        hex::decode_to_slice(text.trim_end(), &mut seed)
            .map_err(|_| problem(path, "it does not hold 64 hexadecimal digits"))?;
        Ok(Self(SigningKey::from_bytes(&seed)))
    }

    /// Reads the key in `path`, or draws one and puts it there.
    pub(crate) fn load_or_make(path: &Path) -> Result<Self, AuditError> {
        if !fs::exists(path).map_err(files::unreadable(path))? {
            make(path)?;
        }
        Self::load(path)
    }

    pub(crate) fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    pub(crate) fn marks(&self) -> MarkKey {
        MarkKey(Digest::of_parts([b"tagout-audit-mark-key-1".as_slice(), self.0.as_bytes()]))
    }

    /// The signature over `message`, 128 hexadecimal digits.
    pub(crate) fn sign(&self, message: &[u8]) -> String {
        hex::encode(self.0.sign(message).to_bytes())
    }
}

impl MarkKey {
    /// The code of `message`: twice through the hash, as in HMAC, so that no code says anything
    /// about that of a longer message.
    pub(crate) fn code(&self, message: &[u8]) -> Digest {
        let inner =
            Digest::of_parts([b"tagout-audit-mark-1".as_slice(), self.0.as_bytes(), message]);
        Digest::of_parts([self.0.as_bytes().as_slice(), inner.as_bytes()])
    }
}

impl fmt::Debug for MarkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// The key appears under its name whole or not at all, and never in place of another: two
/// processes that come first at once end up with one key.
fn make(path: &Path) -> Result<(), AuditError> {
    if let Some(directory) = path.parent() {
        // Others may look at a directory that holds more than this key, but not write to it.
        files::make_directory(directory, 0o022)?;
    }
    let mut seed = [0; 32];
    let mut name = [0; 8];
    getrandom::fill(&mut seed).map_err(|e| problem(path, &e.to_string()))?;
    getrandom::fill(&mut name).map_err(|e| problem(path, &e.to_string()))?;
    let draft = path.with_extension(hex::encode(name));
    let write = || {
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        file.write_all(hex::encode(seed).as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        match fs::hard_link(&draft, path) {
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
            other => other,
        }
    };
    let written = write().map_err(files::unwritable(path));
    let removed = fs::remove_file(&draft).map_err(files::unwritable(&draft));
    written.and(removed)
}

fn problem(path: &Path, problem: &str) -> AuditError {
    AuditError::Key { path: path.to_owned(), problem: problem.to_owned() }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ed25519:{}", hex::encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PublicKey {
    type Err = BadPublicKey;

    fn from_str(text: &str) -> Result<Self, BadPublicKey> {
        let digits = text.strip_prefix("ed25519:").ok_or(BadPublicKey)?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| BadPublicKey)?;
        Ok(Self(bytes))
    }
}

impl serde::Serialize for PublicKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for PublicKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
