//! Why the log cannot be written or read.
use std::{io, path::PathBuf};

/// Why the log cannot be written or read. Whoever wanted to write must not go on.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// A file cannot be created, locked or written.
    #[error("the audit log cannot be written at `{path}`")]
    Unwritable {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// A file cannot be read.
    #[error("the audit log cannot be read at `{path}`")]
    Unreadable {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// What stands in the files is not a log, or was changed.
    #[error("the audit log is damaged at `{path}`: {problem}")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The log was cut short or replaced while it was in use, or while nobody used it.
    #[error("the audit log was cut short or replaced at `{path}`: {problem}")]
    Replaced {
        /// The file.
        path: PathBuf,
        /// What shows it.
        problem: String,
    },
    /// The signing key is missing, unreadable, or not the one that the log was begun with.
    #[error("the audit log's signing key at `{path}` cannot be used: {problem}")]
    Key {
        /// The key file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// One record is larger than the log takes.
    #[error("the audit record has {got} bytes, the limit is {limit}")]
    TooLarge {
        /// Its size, in bytes.
        got: usize,
        /// The most, in bytes.
        limit: usize,
    },
    /// An earlier write to disk failed, or a writer panicked, so that nothing after it can be
    /// relied on.
    #[error("an earlier write of the audit log failed; restart to check it and go on")]
    Broken,
}

impl AuditError {
    /// The stable code that the manual's error index uses.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unwritable { .. } | Self::Broken => "audit-unwritable",
            Self::Unreadable { .. } => "audit-unreadable",
            Self::Corrupt { .. } => "audit-corrupt",
            Self::Replaced { .. } => "audit-replaced",
            Self::Key { .. } => "audit-key",
            Self::TooLarge { .. } => "audit-record-too-large",
        }
    }

    /// What the operator can do now.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        match self {
            Self::Unwritable { .. } => "check the directory's owner, permissions and free space",
            Self::Unreadable { .. } => "check the directory's owner and permissions",
            Self::Corrupt { .. } | Self::Replaced { .. } => {
                "run `tagout audit verify`, keep a copy of the directory, then move it away to start a new log"
            }
            Self::Key { .. } => {
                "restore the key file, or move the audit directory away to start a new log with a new key"
            }
            Self::TooLarge { .. } => "lower `limits.frame_bytes`",
            Self::Broken => "check the disk, then start again",
        }
    }
}
