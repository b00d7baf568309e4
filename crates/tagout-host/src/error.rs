//! Why the host cannot go on.
use std::time::Duration;

use tagout_llm::ProviderError;

use crate::JournalError;

/// Why the host cannot go on. A call that fails is no such reason: it becomes an
/// [`crate::Outcome`] and the conversation goes on.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The other side did not complete the handshake.
    #[error("the gateway did not answer the handshake: {detail}")]
    Handshake {
        /// What happened instead.
        detail: String,
    },
    /// The handshake took too long.
    #[error("the gateway did not complete the handshake in {} s", waited.as_secs())]
    HandshakeTimeout {
        /// How long it was waited for.
        waited: Duration,
    },
    /// The tools could not be listed.
    #[error("the tools could not be listed: {detail}")]
    List {
        /// What happened instead.
        detail: String,
    },
    /// The list of tools has no end.
    #[error("the list of tools goes on beyond {limit} {what}")]
    ListTooLong {
        /// The limit.
        limit: usize,
        /// What was counted: `pages` or `tools`.
        what: &'static str,
    },
    /// The model provider gave no turn.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The model provider took too long.
    #[error("the model gave no answer in {} s", waited.as_secs())]
    ProviderTimeout {
        /// How long it was waited for.
        waited: Duration,
    },
    /// The conversation could not be kept or put on record, so it does not go on.
    #[error("the conversation cannot be kept: {0}")]
    Journal(#[from] JournalError),
}

impl HostError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Handshake { .. } => "host-handshake",
            Self::HandshakeTimeout { .. } => "host-handshake-timeout",
            Self::List { .. } => "host-list",
            Self::ListTooLong { .. } => "host-list-too-long",
            Self::Provider(error) => error.code(),
            Self::ProviderTimeout { .. } => "provider-timeout",
            Self::Journal(error) => error.code,
        }
    }
}
