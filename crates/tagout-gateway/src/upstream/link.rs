//! How frames travel to a server and back.
mod credentials;
mod events;
mod http;
mod lines;
mod sse;

use std::sync::Arc;

use bytes::Bytes;
use tagout_proto::Revision;
use tagout_sandbox::Exit;
use tagout_wire::{http::HttpError, sse::SseError};

pub(super) use credentials::Credentials;
pub(super) use events::follow;
pub(super) use http::Http;
pub(super) use lines::{Lines, listen as listen_to_lines};
pub(super) use sse::{Sse, listen as listen_to_events};

use super::UpstreamError;

/// How frames travel to a server and back.
pub(super) enum Link {
    /// One a line, over a child's pipes.
    Lines(Lines),
    /// Each in a POST of its own.
    Http(Arc<Http>),
    /// To the server by POST, from it by one stream, as in 2024.
    Sse(Arc<Sse>),
}

impl Link {
    /// Sends a notification or a response; a server that is gone needs none.
    pub(super) async fn tell(&self, revision: Option<Revision>, frame: String) {
        match self {
            Self::Lines(lines) => drop(lines.send(Bytes::from(frame)).await),
            Self::Http(http) => http.tell(revision, frame).await,
            Self::Sse(sse) => drop(sse.send(frame).await),
        }
    }

    /// As [`Link::tell`], without waiting; `false` if it cannot be sent now.
    pub(super) fn offer(&self, revision: Option<Revision>, frame: String) -> bool {
        match self {
            Self::Lines(lines) => lines.offer(Bytes::from(frame)),
            Self::Http(http) => http.offer(revision, frame),
            Self::Sse(sse) => sse.offer(frame),
        }
    }

    /// Tells the server that a request is taken back; where closing its stream does not do that.
    pub(super) fn take_back(&self, revision: Option<Revision>, frame: String) -> bool {
        let by_closing = matches!(self, Self::Http(_)) && revision.is_none_or(Revision::is_modern);
        by_closing || self.offer(revision, frame)
    }

    /// How the server's process ended, if it has one and it did.
    pub(super) fn exit(&self) -> Option<Exit> {
        match self {
            Self::Lines(lines) => lines.exit(),
            Self::Http(_) | Self::Sse(_) => None,
        }
    }

    /// The server's process, if it has one here.
    pub(super) const fn pid(&self) -> Option<u32> {
        match self {
            Self::Lines(lines) => Some(lines.pid()),
            Self::Http(_) | Self::Sse(_) => None,
        }
    }

    /// Nothing is sent any more; does not wait for the server.
    pub(super) fn close(&self) {
        match self {
            Self::Lines(lines) => lines.close(),
            Self::Http(http) => http.close(),
            // Its stream ends with the connection.
            Self::Sse(_) => {}
        }
    }
}

/// What a problem of HTTP means.
fn problem(error: HttpError) -> UpstreamError {
    match error {
        HttpError::Address { .. } | HttpError::Dns { .. } | HttpError::Refused { .. } => {
            UpstreamError::Unreachable(error.to_string())
        }
        HttpError::Denied(denied) => UpstreamError::Guarded(denied.to_string()),
        HttpError::Tls { .. } | HttpError::Stranger { .. } => {
            UpstreamError::Untrusted(error.to_string())
        }
        HttpError::TimedOut { reached: false } | HttpError::Broken { reached: false, .. } => {
            UpstreamError::Unreachable(error.to_string())
        }
        // Nobody knows what the server did.
        HttpError::TimedOut { reached: true } | HttpError::Broken { reached: true, .. } => {
            UpstreamError::Died { exit: None }
        }
        HttpError::TooLarge { limit } | HttpError::Events(SseError::TooLarge { limit }) => {
            UpstreamError::TooLarge { limit }
        }
        HttpError::Events(SseError::NotUtf8) => UpstreamError::Misbehaved(error.to_string()),
    }
}
