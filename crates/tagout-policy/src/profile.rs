//! The rules that ship with Tagout.
use std::fmt;

/// Rules that ship with Tagout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// Only what is reviewed as reading.
    ReadOnly,
    /// What is reviewed as reading runs; everything else asks.
    #[default]
    AskBeforeWrites,
    /// Everything asks; what is not reviewed, destroys or executes is denied.
    Strict,
    /// No rules but one's own.
    None,
}

impl Profile {
    /// The profile's name in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReadOnly => "read-only",
            Self::AskBeforeWrites => "ask-before-writes",
            Self::Strict => "strict",
            Self::None => "none",
        }
    }

    /// The rules, as Cedar text.
    #[must_use]
    pub const fn rules(self) -> &'static str {
        match self {
            Self::ReadOnly => include_str!("../profiles/read-only.cedar"),
            Self::AskBeforeWrites => include_str!("../profiles/ask-before-writes.cedar"),
            Self::Strict => include_str!("../profiles/strict.cedar"),
            Self::None => "",
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
