//! `tagout sessions`.
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub(crate) enum SessionsCommand {
    /// One's own sessions, the one that was used last first.
    Ls,
    /// One session, whole: what was said, the calls with their arguments, decisions and records.
    Show {
        /// The session, by the first digits of its identifier; or `last`.
        id: String,
    },
    /// Write one session into a file, or to standard output.
    Export(SessionsExport),
    /// Remove sessions; what stood in the file is overwritten.
    Rm {
        /// The sessions, each by the first digits of its identifier.
        #[arg(required = true)]
        id: Vec<String>,
    },
    /// Remove what is older than `keep_days` of the configuration, as each chat does when it starts.
    Expire,
}

#[derive(Debug, Args)]
pub(crate) struct SessionsExport {
    /// The session, by the first digits of its identifier; or `last`.
    pub(crate) id: String,
    /// How.
    #[arg(long, value_enum, default_value_t = SessionFormat::Md)]
    pub(crate) format: SessionFormat,
    /// The file, readable by oneself only [default: standard output].
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Replace the file if it is there.
    #[arg(long, requires = "output")]
    pub(crate) force: bool,
}

/// How a session is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SessionFormat {
    /// Markdown, for people.
    Md,
    /// JSON, with the messages as they are.
    Json,
}
