//! Why a session is not kept, or not given out.
use super::SessionId;
use crate::StoreError;

/// Why a session is not kept, or not given out.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The state store is away.
    #[error("the session cannot be read or written")]
    Store(#[from] StoreError),
    /// It is not what was put there: changed, cut, added to, mixed with another.
    #[error("the session `{id}` is not as it was kept")]
    NotValid {
        /// Which one.
        id: SessionId,
    },
    /// It was sealed under another key.
    #[error("the session `{id}` was sealed under another key")]
    Key {
        /// Which one.
        id: SessionId,
    },
    /// Another process went on with it, or removed it.
    #[error("the session `{id}` was changed or removed meanwhile")]
    Changed {
        /// Which one.
        id: SessionId,
    },
    /// It has reached a limit.
    #[error("the session `{id}` holds no more than {limit} {what}")]
    Full {
        /// Which one.
        id: SessionId,
        /// The limit.
        limit: u64,
        /// Of what.
        what: &'static str,
    },
}

impl SessionError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Store(error) => error.code(),
            Self::NotValid { .. } => "session-not-valid",
            Self::Key { .. } => "session-key",
            Self::Changed { .. } => "session-changed",
            Self::Full { .. } => "session-full",
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        match self {
            Self::Store(error) => error.help(),
            Self::NotValid { .. } => {
                "nothing of it is given out; find out who writes to the state directory, then \
                 remove it with `tagout sessions rm`"
            }
            Self::Key { .. } => {
                "set `key` under `[sessions]` to the key that was there, or remove the session"
            }
            Self::Changed { .. } => "resume it, so that what was added is seen, or begin another",
            Self::Full { .. } => "begin another session",
        }
    }
}

impl From<rusqlite::Error> for SessionError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}
