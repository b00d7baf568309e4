//! Keys: an identity opens, its recipient seals.
use curve25519_dalek::MontgomeryPoint;
use tagout_proto::Secret;

use super::{AgeError, bech32, drawn};

/// What opens: the secret half of an X25519 key.
#[derive(Debug)]
pub struct Identity(Secret<[u8; 32]>);

/// What is sealed for: its public half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recipient(pub(super) [u8; 32]);

const IDENTITY: &str = "age-secret-key-";
const RECIPIENT: &str = "age";

impl Identity {
    /// A new one.
    ///
    /// # Errors
    /// [`AgeError::NoRandomness`].
    pub fn drawn() -> Result<Self, AgeError> {
        let mut bytes = [0; 32];
        drawn(&mut bytes)?;
        Ok(Self(Secret::new(bytes)))
    }

    /// As `age-keygen` writes it: lines of comments, and one `AGE-SECRET-KEY-1…`.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let mut lines = text.lines().map(str::trim);
        let line = lines.find(|line| !line.is_empty() && !line.starts_with('#'))?;
        let alone = lines.all(|line| line.is_empty() || line.starts_with('#'));
        Some(Self(bech32::decoded(IDENTITY, line)?)).filter(|_| alone)
    }

    /// The secret half as text: `AGE-SECRET-KEY-1…`.
    #[must_use]
    pub fn to_text(&self) -> Secret<String> {
        let lower = Secret::new(bech32::encoded(IDENTITY, self.0.expose()));
        Secret::new(lower.expose().to_ascii_uppercase())
    }

    /// Its public half.
    #[must_use]
    pub fn recipient(&self) -> Recipient {
        Recipient(MontgomeryPoint::mul_base_clamped(*self.0.expose()).to_bytes())
    }

    /// What both sides know; nothing where the other side's share is none.
    pub(super) fn agreed(&self, share: [u8; 32]) -> Option<Secret<[u8; 32]>> {
        let agreed = MontgomeryPoint(share).mul_clamped(*self.0.expose()).to_bytes();
        let agreed = Secret::new(agreed);
        (agreed.expose() != &[0; 32]).then_some(agreed)
    }
}

impl std::fmt::Display for Recipient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&bech32::encoded(RECIPIENT, &self.0))
    }
}
