//! Protocol revisions.
use std::fmt;

/// A revision that the gateway speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Revision {
    /// 2025-06-18
    V2025_06_18,
    /// 2025-11-25
    V2025_11_25,
}

impl Revision {
    /// Every one, the oldest first.
    pub const ALL: &[Self] = &[Self::V2025_06_18, Self::V2025_11_25];

    /// The newest with an `initialize` handshake: what is offered where the peer asks for one that
    /// is unknown, as the standard's version negotiation has it.
    pub const LATEST_LEGACY: Self = Self::V2025_11_25;

    /// As it stands on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
        }
    }

    /// The revision called `text`, if it is spoken here.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|revision| revision.as_str() == text)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
