//! The key that signs: a file of minisign's, mostly under a passphrase.
use base64::{Engine as _, engine::general_purpose::STANDARD};
use blake2::{Blake2b, Blake2b512, Digest as _, digest::consts::U32};
use ed25519_dalek::{Signer as _, SigningKey};
use tagout_proto::Secret;

use super::{HASHED, PLAIN, PublicKey, TRUSTED, UNTRUSTED, part};

/// The key is under a passphrase, stretched by scrypt.
const SCRYPT: [u8; 2] = *b"Sc";
/// It is not.
const BARE: [u8; 2] = [0; 2];
const BLAKE2B: [u8; 2] = *b"B2";
/// The most memory that a passphrase is stretched with, in bytes: that of minisign itself.
const MOST_MEMORY: u64 = 1 << 30;
/// The most work for it, as minisign counts it: four times its own.
const MOST_WORK: u64 = 1 << 27;
/// The shortest passphrase of a new key, in characters.
const SHORTEST: usize = 10;
/// What a key made here is stretched with: scrypt with N = 2^17, r = 8, p = 1.
const WORK: u64 = 1 << 22;
const MEMORY: u64 = 1 << 27;
/// Key identifier, seed, public key and checksum, which the passphrase hides.
const HIDDEN: usize = 104;
/// Where they begin.
const HIDDEN_AT: usize = 54;

/// Why a key cannot sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SigningKeyTrouble {
    /// It is no secret key of minisign.
    #[error("the file holds no secret key of minisign")]
    Malformed,
    /// Its passphrase would take more memory or work than is given here.
    #[error("its passphrase is stretched by more than is taken here")]
    TooMuch,
    /// The passphrase is another, or the file was changed.
    #[error("the passphrase is wrong, or the key was changed")]
    Passphrase,
    /// The passphrase of a new key is too short to be one.
    #[error("a passphrase has at least {SHORTEST} characters")]
    Short,
    /// It is under no passphrase.
    #[error("the key is under no passphrase, so whatever can read its file would sign")]
    Bare,
    /// There is no randomness.
    #[error("no key can be made")]
    Unmade,
}

impl SigningKeyTrouble {
    /// The stable codes.
    pub const CODES: &[&str] = &["signing-key"];

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed
            | Self::TooMuch
            | Self::Passphrase
            | Self::Short
            | Self::Bare
            | Self::Unmade => "signing-key",
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        match self {
            Self::Malformed => "name the secret key, not the public one; see `minisign -G`",
            Self::TooMuch => "make another with `tagout pin --new-signing-key FILE`",
            Self::Short => "several words that nobody would guess are easy to remember",
            Self::Bare => "put it under one: minisign -C -s FILE",
            Self::Passphrase | Self::Unmade => "try again",
        }
    }
}

/// A secret key as it stands in its file.
pub struct SigningKeyFile {
    is_hidden: bool,
    salt: [u8; 32],
    work: u64,
    memory: u64,
    hidden: Secret<[u8; HIDDEN]>,
}

impl std::fmt::Debug for SigningKeyFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKeyFile")
    }
}

/// A key that signs.
struct Opened {
    id: [u8; 8],
    key: SigningKey,
}

impl SigningKeyFile {
    /// Reads the text of a key file.
    ///
    /// # Errors
    /// [`SigningKeyTrouble::Malformed`], [`SigningKeyTrouble::TooMuch`].
    pub fn parse(text: &str) -> Result<Self, SigningKeyTrouble> {
        let malformed = SigningKeyTrouble::Malformed;
        let mut lines = text.lines();
        lines.next().filter(|line| line.starts_with(UNTRUSTED)).ok_or(malformed)?;
        let bytes = lines.next().and_then(|line| STANDARD.decode(line).ok());
        let bytes: [u8; HIDDEN_AT + HIDDEN] =
            bytes.and_then(|bytes| bytes.try_into().ok()).ok_or(malformed)?;
        let stretched: [u8; 2] = part(&bytes, 2);
        let known = part(&bytes, 0) == PLAIN && part(&bytes, 4) == BLAKE2B;
        if !known || (stretched != SCRYPT && stretched != BARE) {
            return Err(malformed);
        }
        let (work, memory) =
            (u64::from_le_bytes(part(&bytes, 38)), u64::from_le_bytes(part(&bytes, 46)));
        if work > MOST_WORK || memory > MOST_MEMORY {
            return Err(SigningKeyTrouble::TooMuch);
        }
        let hidden = Secret::new(part(&bytes, HIDDEN_AT));
        Ok(Self { is_hidden: stretched == SCRYPT, salt: part(&bytes, 6), work, memory, hidden })
    }

    /// Makes a new key under a passphrase; gives its file's text and its public key.
    ///
    /// # Errors
    /// [`SigningKeyTrouble::Short`], [`SigningKeyTrouble::Unmade`].
    pub fn generate(passphrase: &Secret<String>) -> Result<(String, PublicKey), SigningKeyTrouble> {
        if passphrase.expose().chars().count() < SHORTEST {
            return Err(SigningKeyTrouble::Short);
        }
        let unmade = |_| SigningKeyTrouble::Unmade;
        let (mut id, mut seed, mut salt) = ([0; 8], [0; 32], [0; 32]);
        for bytes in [&mut id[..], &mut seed[..], &mut salt[..]] {
            getrandom::fill(bytes).map_err(unmade)?;
        }
        let key = SigningKey::from_bytes(&seed);
        let public = PublicKey { name: String::new(), id, key: key.verifying_key() };
        let mut plain = [0; HIDDEN];
        let pair = key.to_keypair_bytes();
        let checksum = checksum(&id, &pair);
        let parts = id.iter().chain(&pair).chain(&checksum);
        plain.iter_mut().zip(parts).for_each(|(to, from)| *to = *from);
        let hidden = Secret::new(plain);
        let file = Self { is_hidden: true, salt, work: WORK, memory: MEMORY, hidden };
        let hidden = file.unhidden(passphrase)?;
        let bytes: Vec<_> = [&PLAIN[..], &SCRYPT, &BLAKE2B, &salt]
            .into_iter()
            .flatten()
            .chain(&WORK.to_le_bytes())
            .chain(&MEMORY.to_le_bytes())
            .chain(hidden.expose())
            .copied()
            .collect();
        let text = STANDARD.encode(bytes);
        Ok((format!("{UNTRUSTED}minisign encrypted secret key\n{text}\n"), public))
    }

    /// Whether a passphrase opens it.
    #[must_use]
    pub const fn needs_passphrase(&self) -> bool {
        self.is_hidden
    }

    /// Signs `file` with a comment; gives the text of the signature file and the key that verifies
    /// it. Takes seconds, and as much memory as the key says, where it is under a passphrase.
    ///
    /// # Errors
    /// [`SigningKeyTrouble::Passphrase`], [`SigningKeyTrouble::TooMuch`]; [`SigningKeyTrouble::Bare`]
    /// where there is no passphrase, since nobody would have to be there.
    pub fn sign(
        &self,
        passphrase: &Secret<String>,
        file: &[u8],
        comment: &str,
    ) -> Result<(String, PublicKey), SigningKeyTrouble> {
        if !self.is_hidden {
            return Err(SigningKeyTrouble::Bare);
        }
        let Opened { id, key } = self.open(passphrase)?;
        let comment: String = comment.chars().filter(|c| !matches!(c, '\n' | '\r')).collect();
        let bare = key.sign(&Blake2b512::digest(file)).to_bytes();
        let first: Vec<_> = HASHED.iter().chain(&id).chain(&bare).copied().collect();
        let with_comment: Vec<_> = bare.iter().chain(comment.as_bytes()).copied().collect();
        let second = key.sign(&with_comment).to_bytes();
        let text = format!(
            "{UNTRUSTED}signature of a lockfile of Tagout\n{}\n{TRUSTED}{comment}\n{}\n",
            STANDARD.encode(first),
            STANDARD.encode(second)
        );
        Ok((text, PublicKey { name: String::new(), id, key: key.verifying_key() }))
    }

    fn open(&self, passphrase: &Secret<String>) -> Result<Opened, SigningKeyTrouble> {
        let plain = self.unhidden(passphrase)?;
        let (id, pair): ([u8; 8], [u8; 64]) = (part(plain.expose(), 0), part(plain.expose(), 8));
        if checksum(&id, &pair) != part::<32>(plain.expose(), 72) {
            return Err(SigningKeyTrouble::Passphrase);
        }
        let key = SigningKey::from_keypair_bytes(&pair);
        Ok(Opened { id, key: key.map_err(|_| SigningKeyTrouble::Malformed)? })
    }

    /// The part that the passphrase hides, or the same hidden.
    fn unhidden(
        &self,
        passphrase: &Secret<String>,
    ) -> Result<Secret<[u8; HIDDEN]>, SigningKeyTrouble> {
        let mut plain = *self.hidden.expose();
        if self.is_hidden {
            let mut stream = [0; HIDDEN];
            let params = params(self.work, self.memory).ok_or(SigningKeyTrouble::TooMuch)?;
            scrypt::scrypt(passphrase.expose().as_bytes(), &self.salt, &params, &mut stream)
                .map_err(|_| SigningKeyTrouble::TooMuch)?;
            plain.iter_mut().zip(stream).for_each(|(byte, mask)| *byte ^= mask);
        }
        Ok(Secret::new(plain))
    }
}

/// What minisign, by libsodium, makes of its two limits.
fn params(work: u64, memory: u64) -> Option<scrypt::Params> {
    const BLOCK: u64 = 8;
    let work = work.max(1 << 15);
    let tight = work < memory / 32;
    let most = if tight { work / (BLOCK * 4) } else { memory / (BLOCK * 128) };
    let log_n = (1..30_u8).find(|log_n| 1 << log_n > most / 2)?;
    let lanes = if tight { 1 } else { ((work / 4) >> log_n) / BLOCK };
    scrypt::Params::new(log_n, 8, u32::try_from(lanes).ok()?).ok()
}

fn checksum(id: &[u8; 8], pair: &[u8; 64]) -> [u8; 32] {
    let hash = Blake2b::<U32>::new().chain_update(PLAIN).chain_update(id).chain_update(pair);
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_become_what_minisign_makes_of_them() {
        for (work, memory, expected) in [
            (33_554_432, 1_073_741_824, (20, 1)),
            (WORK, MEMORY, (17, 1)),
            (1_048_576, 33_554_432, (15, 1)),
            (524_288, 16_777_216, (14, 1)),
        ] {
            let params = params(work, memory).unwrap();
            assert_eq!((params.log_n(), params.p()), expected, "{work} {memory}");
        }
    }
}
