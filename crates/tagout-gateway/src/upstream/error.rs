//! What can go wrong with a server.
use std::time::Duration;

use tagout_sandbox::{Exit, SpawnError};
use tagout_secrets::SecretError;

/// Why a server cannot be used, or did not answer as it should.
#[derive(Clone, Debug, thiserror::Error)]
pub enum UpstreamError {
    /// It could not be started.
    #[error("cannot be started: {0}")]
    Spawn(#[source] std::sync::Arc<SpawnError>),
    /// Its program is not the one that was pinned.
    #[error("is not the program that was pinned: {0}")]
    Changed(String),
    /// Its program or the lockfile could not be looked at.
    #[error("cannot be checked against the lockfile: {0}")]
    Unchecked(String),
    /// Its command fetches what it runs.
    #[error("is not started: {0}")]
    Fetched(#[source] std::sync::Arc<tagout_supply::Unfit>),
    /// Its isolation would leave open what it must not reach.
    #[error("would not be isolated: {0}")]
    Exposed(String),
    /// It was started too often in too short a time.
    #[error("failed {starts} times within a minute and is left alone for now: {last}")]
    GivenUp {
        /// How often.
        starts: usize,
        /// What happened the last time.
        last: String,
    },
    /// It did not complete the handshake.
    #[error("did not complete the handshake: {0}")]
    Handshake(String),
    /// It did not answer in time.
    #[error("did not answer within {} s", .0.as_secs())]
    Timeout(Duration),
    /// It ended before it answered.
    #[error("ended before it answered ({})", exit.map_or_else(|| "its output closed".to_owned(), |e| e.to_string()))]
    Died {
        /// How, where that is known.
        exit: Option<Exit>,
    },
    /// Its answer, or something else that it sent meanwhile, is larger than a frame may be.
    #[error("sent more than {limit} bytes in one frame")]
    TooLarge {
        /// `limits.frame_bytes` of the configuration.
        limit: usize,
    },
    /// Nothing answers at its URL, or the connection broke.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// Its name leads where no name may.
    #[error("is not connected to: {0}")]
    Guarded(String),
    /// Its certificate is not to be trusted, or no secure connection comes about.
    #[error("does not prove who it is: {0}")]
    Untrusted(String),
    /// It lets nobody in, or not with what it was sent.
    #[error("refuses access (HTTP status {status})")]
    Unauthorised {
        /// 401 or 403.
        status: u16,
    },
    /// It answered with an HTTP status that is no answer.
    #[error("answered with HTTP status {status}{}", if (300..400).contains(status) { ", a redirect, which is not followed" } else { "" })]
    Status {
        /// The status.
        status: u16,
    },
    /// A secret that it is to be sent is not where the configuration says.
    #[error("is not given a secret: {0}")]
    Secret(#[source] SecretError),
    /// What it is to be sent fits no header.
    #[error("cannot be sent a header: {0}")]
    SecretMissing(String),
    /// It knows nothing of the session any more.
    #[error("forgot the session, and no new one came about")]
    SessionLost,
    /// It broke the protocol; after too often it is ended.
    #[error("broke the protocol: {0}")]
    Misbehaved(String),
}

impl UpstreamError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            // What the operator has to mend in the entry has a code of its own.
            Self::Spawn(error) if matches!(error.code(), "sandbox-degraded" | "sandbox-path") => {
                error.code()
            }
            Self::Spawn(_) | Self::GivenUp { .. } | Self::Handshake(_) | Self::Unchecked(_) => {
                "server-unavailable"
            }
            Self::Changed(_) => "server-changed",
            Self::Fetched(unfit) => unfit.code(),
            Self::Exposed(_) => "sandbox-path",
            Self::Unreachable(_) => "server-unreachable",
            Self::Guarded(_) => "egress-address",
            Self::Untrusted(_) => "server-untrusted",
            Self::Unauthorised { .. } => "server-unauthorised",
            Self::Status { .. } => "server-http-status",
            Self::Secret(error) => error.code(),
            Self::SecretMissing(_) => "secret-unusable",
            Self::SessionLost => "server-session-lost",
            Self::Timeout(_) => "server-timeout",
            Self::Died { .. } => "server-died",
            Self::Misbehaved(_) => "server-misbehaved",
            Self::TooLarge { .. } => "result-too-large",
        }
    }

    /// What a caller is told: nothing of paths and programs.
    #[must_use]
    pub fn for_caller(&self) -> String {
        match self {
            Self::Spawn(_) => "cannot be started".to_owned(),
            Self::Changed(_) => "is not the program that was pinned".to_owned(),
            Self::Unchecked(_) => "cannot be checked against the lockfile".to_owned(),
            Self::Fetched(_) => "would fetch what it runs".to_owned(),
            Self::Exposed(_) => "would not be isolated".to_owned(),
            Self::GivenUp { .. } => "failed too often and is left alone for now".to_owned(),
            Self::Handshake(_) => "did not complete the handshake".to_owned(),
            Self::Misbehaved(_) => "broke the protocol".to_owned(),
            Self::Unreachable(_) => "cannot be reached".to_owned(),
            Self::Guarded(_) => "is not at an address that may be connected to".to_owned(),
            Self::Untrusted(_) => "does not prove who it is".to_owned(),
            Self::Secret(_) | Self::SecretMissing(_) => {
                "is not given a secret that it wants".to_owned()
            }
            Self::Timeout(_)
            | Self::Died { .. }
            | Self::TooLarge { .. }
            | Self::Unauthorised { .. }
            | Self::Status { .. }
            | Self::SessionLost => self.to_string(),
        }
    }

    /// Whether a server that answers so to the first modern request may speak another era.
    pub(super) const fn may_be_of_era(&self) -> bool {
        match self {
            Self::Timeout(_)
            | Self::Misbehaved(_)
            | Self::TooLarge { .. }
            | Self::Status { .. }
            | Self::Handshake(_) => true,
            Self::Spawn(_)
            | Self::Changed(_)
            | Self::Unchecked(_)
            | Self::Fetched(_)
            | Self::Exposed(_)
            | Self::GivenUp { .. }
            | Self::Died { .. }
            | Self::Unreachable(_)
            | Self::Guarded(_)
            | Self::Untrusted(_)
            | Self::Unauthorised { .. }
            | Self::Secret(_)
            | Self::SecretMissing(_)
            | Self::SessionLost => false,
        }
    }
}
