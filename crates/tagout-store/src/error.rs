//! Why state cannot be read or written.
use std::{io, path::PathBuf};

/// Why state cannot be read or written. Whatever depended on it is denied.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file or its directory cannot be created or made private.
    #[error("the state file `{path}` cannot be prepared")]
    File {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// The database said no: locked for too long, disk full, damaged.
    #[error("the state cannot be read or written")]
    Database(#[from] rusqlite::Error),
    /// The file was written by a later version.
    #[error("the state file has version {found}, this program knows {known}")]
    Newer {
        /// The file's version.
        found: i64,
        /// The latest version that is known here.
        known: i64,
    },
    /// Something in the file is not what was put there.
    #[error("the state file holds a {what} that cannot be read")]
    Damaged {
        /// What it is.
        what: &'static str,
    },
    /// The operating system has no random numbers.
    #[error("no random numbers")]
    Random(#[source] getrandom::Error),
    /// A thread panicked while it used the file.
    #[error("an earlier use of the state file panicked")]
    Poisoned,
}

impl StoreError {
    /// The stable code that the manual's error index uses.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::File { .. } | Self::Database(_) | Self::Random(_) | Self::Poisoned => {
                "store-unavailable"
            }
            Self::Newer { .. } => "store-newer",
            Self::Damaged { .. } => "store-damaged",
        }
    }

    /// What the operator can do now.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        match self {
            Self::File { .. } | Self::Database(_) => {
                "check the state directory's owner, permissions and free space"
            }
            Self::Newer { .. } => "use the newer version, or another state directory",
            Self::Damaged { .. } => "move the state file away to start with an empty one",
            Self::Random(_) | Self::Poisoned => "start again",
        }
    }
}
