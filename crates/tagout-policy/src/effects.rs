//! What a tool may do.
use std::{collections::BTreeSet, fmt};

/// One thing that a tool may do.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Reads.
    Read,
    /// Changes what can be changed back.
    Write,
    /// Changes what cannot.
    Destructive,
    /// Sends something away.
    Egress,
    /// Runs code, or could.
    Exec,
}

/// What a tool may do, all told.
pub type Effects = BTreeSet<Effect>;

impl Effect {
    /// All that there are.
    pub const ALL: [Self; 5] =
        [Self::Read, Self::Write, Self::Destructive, Self::Egress, Self::Exec];

    /// The effect's name in lockfiles and policies.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Destructive => "destructive",
            Self::Egress => "egress",
            Self::Exec => "exec",
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
