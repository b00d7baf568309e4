//! How frames travel to a server and back.
mod lines;

use bytes::Bytes;
use tagout_proto::Revision;
use tagout_sandbox::Exit;

pub(super) use lines::{Lines, listen as listen_to_lines};

/// How frames travel to a server and back.
pub(super) enum Link {
    /// One a line, over a child's pipes.
    Lines(Lines),
}

impl Link {
    /// Sends a notification or a response; a server that is gone needs none.
    pub(super) async fn tell(&self, _revision: Option<Revision>, frame: String) {
        match self {
            Self::Lines(lines) => lines.send(Bytes::from(frame)).await,
        };
    }

    /// As [`Link::tell`], without waiting; `false` if it cannot be sent now.
    pub(super) fn offer(&self, _revision: Option<Revision>, frame: String) -> bool {
        match self {
            Self::Lines(lines) => lines.offer(Bytes::from(frame)),
        }
    }

    /// Tells the server that a request is taken back; where closing its stream does not do that.
    pub(super) fn take_back(&self, revision: Option<Revision>, frame: String) -> bool {
        self.offer(revision, frame)
    }

    /// How the server's process ended, if it has one and it did.
    pub(super) fn exit(&self) -> Option<Exit> {
        match self {
            Self::Lines(lines) => lines.exit(),
        }
    }

    /// The server's process, if it has one here.
    pub(super) const fn pid(&self) -> Option<u32> {
        match self {
            Self::Lines(lines) => Some(lines.pid()),
        }
    }

    /// Nothing is sent any more; does not wait for the server.
    pub(super) fn close(&self) {
        match self {
            Self::Lines(lines) => lines.close(),
        }
    }
}
