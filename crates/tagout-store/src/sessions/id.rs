//! What sessions are called.
use std::{fmt, str::FromStr, sync::Arc};

use crate::{StoreError, conversations::random_id};

/// Hexadecimal digits of an identifier.
const DIGITS: usize = 32;
/// The fewest digits that stand for a whole identifier.
const PREFIX: usize = 4;

/// The identifier of a session: 32 hexadecimal digits, drawn at random. It authorises nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(Arc<str>);

/// The beginning of an identifier: 4 to 32 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionPrefix(String);

/// Why a text is no identifier of a session, and no beginning of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a session is called by 4 to 32 hexadecimal digits")]
pub struct BadSessionId;

impl SessionId {
    /// A new one, which nobody can guess.
    pub(super) fn draw() -> Result<Self, StoreError> {
        Ok(Self(random_id()?.into()))
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first eight digits, for people.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.get(..8).unwrap_or(&self.0)
    }
}

impl SessionPrefix {
    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn hexadecimal(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

impl FromStr for SessionId {
    type Err = BadSessionId;

    fn from_str(text: &str) -> Result<Self, BadSessionId> {
        let sound = text.len() == DIGITS && hexadecimal(text);
        if sound { Ok(Self(text.into())) } else { Err(BadSessionId) }
    }
}

impl FromStr for SessionPrefix {
    type Err = BadSessionId;

    fn from_str(text: &str) -> Result<Self, BadSessionId> {
        let text = text.to_ascii_lowercase();
        let sound = (PREFIX..=DIGITS).contains(&text.len()) && hexadecimal(&text);
        if sound { Ok(Self(text)) } else { Err(BadSessionId) }
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
