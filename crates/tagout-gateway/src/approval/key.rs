//! An approver's key: Ed25519, its private part under a passphrase.
use std::{
    fs::{self, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use tagout_proto::Secret;
use tagout_store::KeyName;

/// Memory in KiB, passes and lanes of Argon2id: a key that is stolen is guessed at leisure, so this
/// costs more than what guards an API key.
const MEMORY: u32 = 65_536;
const PASSES: u32 = 3;
const LANES: u32 = 1;
/// The shortest passphrase, in characters.
pub const SHORTEST: usize = 10;
/// Key files are small; more of one is not read.
const FILE_BYTES: u64 = 4096;

/// Why an approver's key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileTrouble {
    /// There is no such file, or it cannot be read or written.
    #[error("the key file `{path}`: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Others may read the file, or it is not what was written.
    #[error("the key file `{path}` {problem}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: &'static str,
    },
    /// The passphrase does not open it.
    #[error("the passphrase is wrong")]
    Passphrase,
    /// The passphrase is too short to be one.
    #[error("a passphrase has at least {SHORTEST} characters")]
    Short,
    /// There is no randomness, or no memory.
    #[error("no key can be made")]
    Unmade,
}

impl KeyFileTrouble {
    /// The stable codes.
    pub const CODES: &[&str] = &["approver-key", "approver-passphrase"];

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::File { .. } | Self::Unusable { .. } | Self::Unmade => "approver-key",
            Self::Passphrase | Self::Short => "approver-passphrase",
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        match self {
            Self::File { .. } => {
                "make a key with `tagout approver add NAME`, or say which by `--as`"
            }
            Self::Unusable { .. } => "its mode must be 0600; a file that was changed is of no use",
            Self::Passphrase => "try again; who forgot it is enrolled anew under another name",
            Self::Short => "several words that nobody would guess are easy to remember",
            Self::Unmade => "try again",
        }
    }
}

/// A key under its passphrase, as it stands in its file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApproverKey {
    version: u32,
    name: String,
    public: String,
    salt: String,
    nonce: String,
    sealed: String,
}

/// A key that can sign.
pub struct ApproverSigner {
    name: KeyName,
    key: SigningKey,
}

impl std::fmt::Debug for ApproverSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ApproverSigner({})", self.name)
    }
}

/// Where `name`'s key is, in the folder of keys.
#[must_use]
pub fn key_file(folder: &Path, name: &KeyName) -> PathBuf {
    // A name may hold what a file's name may not.
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
    let written: String = name
        .as_str()
        .bytes()
        .map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02x}") })
        .collect();
    folder.join(format!("approver-{written}.key"))
}

impl ApproverKey {
    /// A new key for `name`, and the same ready to sign.
    ///
    /// # Errors
    /// [`KeyFileTrouble::Short`], [`KeyFileTrouble::Unmade`].
    pub fn make(
        name: &KeyName,
        passphrase: &Secret<String>,
    ) -> Result<(Self, ApproverSigner), KeyFileTrouble> {
        if passphrase.expose().chars().count() < SHORTEST {
            return Err(KeyFileTrouble::Short);
        }
        let (mut seed, mut salt, mut nonce) = ([0; 32], [0; 16], [0; 24]);
        for bytes in [seed.as_mut_slice(), &mut salt, &mut nonce] {
            getrandom::fill(bytes).map_err(|_| KeyFileTrouble::Unmade)?;
        }
        let key = SigningKey::from_bytes(&seed);
        let public = written(&key.verifying_key());
        let aad = associated(name.as_str(), &public);
        let cipher = cipher(passphrase, &salt)?;
        let sealed = cipher
            .encrypt(&XNonce::from(nonce), Payload { msg: &seed, aad: &aad })
            .map_err(|_| KeyFileTrouble::Unmade)?;
        let file = Self {
            version: 1,
            name: name.to_string(),
            public,
            salt: hex::encode(salt),
            nonce: hex::encode(nonce),
            sealed: hex::encode(sealed),
        };
        Ok((file, ApproverSigner { name: name.clone(), key }))
    }

    /// Puts it into `path`, which must not be there yet; for its owner only.
    ///
    /// # Errors
    /// [`KeyFileTrouble::File`].
    pub fn save(&self, path: &Path) -> Result<(), KeyFileTrouble> {
        let failed = |source| KeyFileTrouble::File { path: path.to_owned(), source };
        let write = || {
            if let Some(folder) = path.parent() {
                fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            }
            let text = serde_json::to_string(self).map_err(io::Error::other)?;
            let mut file =
                OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
            writeln!(file, "{text}")?;
            file.sync_all()
        };
        write().map_err(failed)
    }

    /// Reads what is in `path`.
    ///
    /// # Errors
    /// [`KeyFileTrouble::File`], [`KeyFileTrouble::Unusable`].
    pub fn load(path: &Path) -> Result<Self, KeyFileTrouble> {
        let failed = |source| KeyFileTrouble::File { path: path.to_owned(), source };
        let unusable = |problem| KeyFileTrouble::Unusable { path: path.to_owned(), problem };
        let file = fs::File::open(path).map_err(failed)?;
        let mode = file.metadata().map_err(failed)?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(unusable("may be read by others"));
        }
        let mut text = String::new();
        #[expect(clippy::disallowed_methods, reason = "bounded by `take`")]
        file.take(FILE_BYTES).read_to_string(&mut text).map_err(failed)?;
        let key: Self =
            serde_json::from_str(&text).map_err(|_| unusable("is no approver's key"))?;
        if key.version == 1 { Ok(key) } else { Err(unusable("was written by a later version")) }
    }

    /// Whose key it is.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> &str {
        &self.public
    }

    /// The key, ready to sign. Takes some hundred milliseconds.
    ///
    /// # Errors
    /// [`KeyFileTrouble::Passphrase`], also where the file was changed.
    pub fn open(&self, passphrase: &Secret<String>) -> Result<ApproverSigner, KeyFileTrouble> {
        const WRONG: KeyFileTrouble = KeyFileTrouble::Passphrase;
        let (mut salt, mut nonce) = ([0; 16], [0; 24]);
        hex::decode_to_slice(&self.salt, &mut salt).map_err(|_| WRONG)?;
        hex::decode_to_slice(&self.nonce, &mut nonce).map_err(|_| WRONG)?;
        let sealed = hex::decode(&self.sealed).map_err(|_| WRONG)?;
        let aad = associated(&self.name, &self.public);
        let payload = Payload { msg: &sealed, aad: &aad };
        let opened = cipher(passphrase, &salt)?.decrypt(&XNonce::from(nonce), payload);
        let seed: [u8; 32] = opened.map_err(|_| WRONG)?.try_into().map_err(|_| WRONG)?;
        let name = self.name.parse().map_err(|_| WRONG)?;
        Ok(ApproverSigner { name, key: SigningKey::from_bytes(&seed) })
    }
}

impl ApproverSigner {
    /// Whose key it is.
    #[must_use]
    pub const fn name(&self) -> &KeyName {
        &self.name
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> String {
        written(&self.key.verifying_key())
    }

    pub(super) fn sign(&self, message: &[u8]) -> String {
        hex::encode(self.key.sign(message).to_bytes())
    }
}

/// Whether `signature` is over `message` and by the private part of `public`.
pub(super) fn verifies(public: &str, message: &[u8], signature: &str) -> bool {
    let (mut key, mut bytes) = ([0; 32], [0; 64]);
    let digits = public.strip_prefix("ed25519:").unwrap_or_default();
    if hex::decode_to_slice(digits, &mut key).is_err()
        || hex::decode_to_slice(signature, &mut bytes).is_err()
    {
        return false;
    }
    let Ok(key) = VerifyingKey::from_bytes(&key) else { return false };
    key.verify_strict(message, &Signature::from_bytes(&bytes)).is_ok()
}

/// Whether `text` is written as a public key is.
pub(crate) fn is_public_key(text: &str) -> bool {
    let digits = text.strip_prefix("ed25519:").unwrap_or_default();
    digits.len() == 64 && digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn written(key: &VerifyingKey) -> String {
    format!("ed25519:{}", hex::encode(key.to_bytes()))
}

fn associated(name: &str, public: &str) -> Vec<u8> {
    super::seal::message("tagout-approver-key-1", &[name.as_bytes(), public.as_bytes()])
}

fn cipher(
    passphrase: &Secret<String>,
    salt: &[u8; 16],
) -> Result<XChaCha20Poly1305, KeyFileTrouble> {
    let params =
        Params::new(MEMORY, PASSES, LANES, Some(32)).map_err(|_| KeyFileTrouble::Unmade)?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut key = [0; 32];
    argon2
        .hash_password_into(passphrase.expose().as_bytes(), salt, &mut key)
        .map_err(|_| KeyFileTrouble::Unmade)?;
    Ok(XChaCha20Poly1305::new(&key.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_opens_by_its_passphrase_alone() {
        let name: KeyName = "ann/2".parse().unwrap();
        let secret = |text: &str| Secret::new(text.to_owned());
        let short = ApproverKey::make(&name, &secret("ninechars")).unwrap_err();
        assert_eq!(short.code(), "approver-passphrase");
        let (file, signer) = ApproverKey::make(&name, &secret("correct horse")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = key_file(folder.path(), &name);
        assert!(path.ends_with("approver-ann%2f2.key"));
        file.save(&path).unwrap();
        assert!(file.save(&path).is_err(), "it is never written over");
        let file = ApproverKey::load(&path).unwrap();
        let opened = file.open(&secret("correct horse")).unwrap();
        assert_eq!(opened.public(), signer.public());
        let signature = opened.sign(b"a");
        assert!(verifies(&signer.public(), b"a", &signature));
        assert!(!verifies(&signer.public(), b"b", &signature));
        assert!(!verifies("", b"a", &signature));
        assert!(file.open(&secret("correct hors")).is_err());
        // A file that says it is somebody else's opens for nobody.
        let stolen = ApproverKey { name: "eve".to_owned(), ..file };
        assert!(stolen.open(&secret("correct horse")).is_err());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(ApproverKey::load(&path).unwrap_err().code(), "approver-key");
    }
}
