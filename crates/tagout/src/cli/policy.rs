//! `tagout policy`.
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use tagout_policy::Profile;

#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Check rules against the pinned tools, and list them.
    Check(Candidate),
    /// Why a call was decided as it was, and what would have decided otherwise.
    Explain {
        /// The number of its record.
        record: u64,
    },
    /// Put the calls of a file to the rules, and compare with what it expects.
    Test {
        /// The file of cases.
        file: PathBuf,
        #[command(flatten)]
        rules: Rules,
    },
    /// What recorded traffic would have met under other rules.
    Replay(Replay),
    /// The least rules that recorded traffic needs.
    Learn {
        /// The folder of a log [default: this machine's].
        #[arg(value_name = "LOG")]
        log: Option<PathBuf>,
    },
    /// What rules may speak of, as a Cedar schema.
    Schema,
}

/// Rules other than those that hold.
#[derive(Debug, Args)]
pub(crate) struct Candidate {
    /// The folder of the rules [default: those that hold].
    #[arg(value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,
    /// The profile that they go with [default: the one that holds].
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<ProfileName>,
}

/// The same where something else comes first.
#[derive(Debug, Args)]
pub(crate) struct Rules {
    /// The folder of the rules [default: those that hold].
    #[arg(long = "policies", value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,
    /// The profile that they go with [default: the one that holds].
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<ProfileName>,
}

#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// The folder of a log [default: this machine's].
    #[arg(value_name = "LOG")]
    pub(crate) log: Option<PathBuf>,
    /// The folder of the rules to compare with those that hold.
    #[arg(long, value_name = "DIR")]
    pub(crate) candidate: PathBuf,
    /// The profile that they go with [default: the one that holds].
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<ProfileName>,
}

/// A profile, by its name in the configuration.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ProfileName {
    ReadOnly,
    AskBeforeWrites,
    Strict,
    None,
}

impl From<ProfileName> for Profile {
    fn from(name: ProfileName) -> Self {
        match name {
            ProfileName::ReadOnly => Self::ReadOnly,
            ProfileName::AskBeforeWrites => Self::AskBeforeWrites,
            ProfileName::Strict => Self::Strict,
            ProfileName::None => Self::None,
        }
    }
}
