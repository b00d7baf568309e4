//! Names of secrets in Tagout's own store.
use std::fmt;

/// A name of a secret: a letter or a digit, then up to 63 of `a-z A-Z 0-9 . _ -`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretName(String);

/// What cannot name a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a secret's name is one to 64 letters, digits, dots, dashes and underscores, and begins with a letter or a digit"
)]
pub struct BadName;

const LONGEST: usize = 64;

impl SecretName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<&str> for SecretName {
    type Error = BadName;

    fn try_from(text: &str) -> Result<Self, BadName> {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        let begins = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
        let sound = begins && text.len() <= LONGEST && text.bytes().all(fits);
        sound.then(|| Self(text.to_owned())).ok_or(BadName)
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
