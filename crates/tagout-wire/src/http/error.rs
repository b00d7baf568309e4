//! What goes wrong with a request to a server.
use std::io;

use crate::{egress::Denied, sse::SseError};

/// Why there is no answer, or no more of it. No variant holds a header's value or a body.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The address is none that a request can be sent to.
    #[error("the address cannot be used: {problem}")]
    Address {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The host's name is not known.
    #[error("the name `{host}` cannot be resolved")]
    Dns {
        /// The name.
        host: String,
        /// Why not.
        source: io::Error,
    },
    /// No connection may be made to there.
    #[error(transparent)]
    Denied(Denied),
    /// Nobody takes the connection.
    #[error("`{address}` cannot be connected to")]
    Refused {
        /// Host and port.
        address: String,
        /// Why not, at the last of its addresses.
        source: io::Error,
    },
    /// The server is not who it should be, or no secure connection came about.
    #[error("no secure connection to `{host}`: {problem}")]
    Tls {
        /// The name that was asked for.
        host: String,
        /// What the check said.
        problem: String,
    },
    /// Somebody else than the server has taken the connection; nothing was sent.
    #[error("`{address}` is not who it should be: {problem}")]
    Stranger {
        /// Host and port.
        address: String,
        /// What the look at it said.
        problem: String,
    },
    /// It took too long.
    #[error("no answer in time")]
    TimedOut {
        /// Whether the request may have reached the server.
        reached: bool,
    },
    /// The connection broke, or what came is not HTTP.
    #[error("the connection broke: {problem}")]
    Broken {
        /// Whether the request may have reached the server.
        reached: bool,
        /// What happened.
        problem: String,
    },
    /// The answer is larger than the limit.
    #[error("the answer is longer than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The answer's event stream cannot be read.
    #[error(transparent)]
    Events(#[from] SseError),
}

impl HttpError {
    /// Whether the request may have reached the server, so that sending it again might do twice
    /// what it asks for.
    #[must_use]
    pub fn reached(&self) -> bool {
        match self {
            Self::Address { .. }
            | Self::Dns { .. }
            | Self::Denied(_)
            | Self::Refused { .. }
            | Self::Tls { .. }
            | Self::Stranger { .. } => false,
            Self::TimedOut { reached } | Self::Broken { reached, .. } => *reached,
            Self::TooLarge { .. } | Self::Events(_) => true,
        }
    }

    pub(super) fn broken(reached: bool, error: &dyn std::error::Error) -> Self {
        let mut problem = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            problem.push_str(": ");
            problem.push_str(&error.to_string());
            cause = error.source();
        }
        Self::Broken { reached, problem }
    }
}
