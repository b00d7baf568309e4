//! Protocol revisions.
use std::fmt;

/// A revision that the gateway speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Revision {
    /// 2024-11-05
    V2024_11_05,
    /// 2025-03-26
    V2025_03_26,
    /// 2025-06-18
    V2025_06_18,
    /// 2025-11-25
    V2025_11_25,
    /// 2026-07-28
    V2026_07_28,
}

impl Revision {
    /// Every one, the oldest first.
    pub const ALL: &[Self] = &[
        Self::V2024_11_05,
        Self::V2025_03_26,
        Self::V2025_06_18,
        Self::V2025_11_25,
        Self::V2026_07_28,
    ];

    /// The newest with an `initialize` handshake: what is offered where the peer asks for one that
    /// is unknown, as the standard's version negotiation has it.
    pub const LATEST_LEGACY: Self = Self::V2025_11_25;

    /// The newest without one.
    pub const LATEST: Self = Self::V2026_07_28;

    /// As it stands on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    /// The revision called `text`, if it is spoken here.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|revision| revision.as_str() == text)
    }

    /// The revision called `text`, if it is one that `initialize` can settle on.
    #[must_use]
    pub fn parse_legacy(text: &str) -> Option<Self> {
        Self::parse(text).filter(|revision| !revision.is_modern())
    }

    /// Whether each request stands for itself: no handshake, no session, and servers ask by
    /// answering.
    #[must_use]
    pub const fn is_modern(self) -> bool {
        match self {
            Self::V2026_07_28 => true,
            Self::V2024_11_05 | Self::V2025_03_26 | Self::V2025_06_18 | Self::V2025_11_25 => false,
        }
    }

    /// Whether a frame may be an array of messages.
    #[must_use]
    pub const fn has_batches(self) -> bool {
        matches!(self, Self::V2025_03_26)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
