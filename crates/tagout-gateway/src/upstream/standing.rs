//! How what a server offers stands with the lockfile.
use tagout_proto::Digest;

use crate::refusal::Refusal;

/// Of a text that nobody looks through for names.
pub(crate) const TOO_LONG: &str =
    "it says too much to be looked through for words about other servers' tools";

/// How a tool, a prompt or a template stands with the lockfile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A person has reviewed this definition.
    Reviewed,
    /// Nobody has; a tool counts as `exec`.
    Unreviewed,
    /// It is hidden from lists and refused.
    Quarantined(Quarantine),
}

/// Why something is in quarantine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Quarantine {
    /// The definition that was pinned is another.
    Changed {
        /// Digest of that one.
        expected: Digest,
    },
    /// Its server is pinned, and it does not stand in the lockfile.
    New,
    /// It is pinned, was missing from a list, and is there again.
    Returned,
    /// Its name passes for another.
    Lookalike {
        /// The other, as clients see it.
        of: String,
    },
    /// What it says of itself is about another server's tool, or too long to be looked through.
    Shadowing {
        /// The other, as clients see it.
        of: Option<String>,
    },
}

impl Standing {
    /// Why it is in quarantine, if it is.
    #[must_use]
    pub const fn quarantine(&self) -> Option<&Quarantine> {
        match self {
            Self::Reviewed | Self::Unreviewed => None,
            Self::Quarantined(why) => Some(why),
        }
    }

    /// As a word.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Reviewed => "reviewed",
            Self::Unreviewed => "unreviewed",
            Self::Quarantined(Quarantine::Changed { .. }) => "changed",
            Self::Quarantined(Quarantine::New) => "new",
            Self::Quarantined(Quarantine::Returned) => "returned",
            Self::Quarantined(Quarantine::Lookalike { .. }) => "lookalike",
            Self::Quarantined(Quarantine::Shadowing { .. }) => "shadowing",
        }
    }
}

impl Quarantine {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Changed { .. } => "definition-changed",
            Self::New => "definition-new",
            Self::Returned => "definition-returned",
            Self::Lookalike { .. } => "name-lookalike",
            Self::Shadowing { .. } => "name-shadowing",
        }
    }

    /// What happened, for operators.
    #[must_use]
    pub fn detail(&self) -> String {
        match self {
            Self::Changed { expected } => format!("it was pinned as {expected}"),
            Self::New => "it does not stand in the lockfile, and its server does".to_owned(),
            Self::Returned => "it was missing from a list, and is there again".to_owned(),
            Self::Lookalike { of } => format!("its name passes for `{of}`"),
            Self::Shadowing { of: Some(of) } => format!("it speaks of another server's `{of}`"),
            Self::Shadowing { of: None } => TOO_LONG.to_owned(),
        }
    }

    /// What was pinned, where that is another.
    #[must_use]
    pub const fn expected(&self) -> Option<Digest> {
        match self {
            Self::Changed { expected } => Some(*expected),
            Self::New | Self::Returned | Self::Lookalike { .. } | Self::Shadowing { .. } => None,
        }
    }

    /// Why a call of what clients see as `name` is refused.
    pub(crate) fn refusal(&self, name: String, got: Option<Digest>) -> Refusal {
        match self {
            Self::Changed { expected } => {
                Refusal::DefinitionChanged { tool: name, expected: *expected, got }
            }
            Self::New => Refusal::DefinitionNew { name },
            Self::Returned => Refusal::DefinitionReturned { name },
            Self::Lookalike { .. } => Refusal::NameLookalike { name },
            Self::Shadowing { .. } => Refusal::NameShadowing { name },
        }
    }
}
