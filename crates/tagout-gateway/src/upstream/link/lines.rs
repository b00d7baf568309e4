//! Frames as lines over a child's pipes.
use std::{sync::Weak, time::Duration};

use bytes::Bytes;
use tagout_sandbox::{Child, Exit};
use tagout_wire::{Incoming, Outgoing, WireError};

use crate::{
    egress::EgressTask,
    upstream::{Connection, UpstreamError},
};

/// How long is waited after the end of a child's output for how the child ended.
const FOR_ITS_END: Duration = Duration::from_secs(1);
/// How often that is looked for.
const LOOK: Duration = Duration::from_millis(5);

/// A child, and the pipe to it.
pub(in crate::upstream) struct Lines {
    out: Outgoing,
    child: Child,
    /// Its way out, where it has one.
    _egress: Option<EgressTask>,
}

impl Lines {
    pub(in crate::upstream) const fn new(
        child: Child,
        out: Outgoing,
        egress: Option<EgressTask>,
    ) -> Self {
        Self { out, child, _egress: egress }
    }

    /// `false` if the child is gone.
    pub(in crate::upstream) async fn send(&self, frame: Bytes) -> bool {
        self.out.send(frame).await.is_ok()
    }

    pub(super) fn offer(&self, frame: Bytes) -> bool {
        self.out.offer(frame)
    }

    pub(super) fn exit(&self) -> Option<Exit> {
        self.child.try_wait()
    }

    pub(super) const fn pid(&self) -> u32 {
        self.child.pid()
    }

    pub(super) fn close(&self) {
        self.child.stop();
    }
}

/// Takes what the child says until it ends.
pub(in crate::upstream) async fn listen<R>(connection: Weak<Connection>, mut incoming: Incoming<R>)
where
    R: tokio::io::AsyncRead + Send + Unpin,
{
    loop {
        let next = incoming.next().await;
        let Some(connection) = connection.upgrade() else { return };
        let goes_on = match next {
            Some(Ok(bytes)) => connection.take(&bytes, None).goes_on(),
            Some(Err(error @ WireError::TooLarge { limit })) => {
                connection.fail_waiting(&UpstreamError::TooLarge { limit });
                connection.wrong("server-frame-too-large", error.to_string())
            }
            Some(Err(error @ WireError::Endless { .. })) => {
                connection.over(UpstreamError::Misbehaved(error.to_string()));
                connection.wrong("server-frame-endless", error.to_string());
                false
            }
            Some(Err(WireError::Broken(_))) | None => {
                // Its pipes close a moment before all that it started is gone.
                let ended = tokio::time::timeout(FOR_ITS_END, connection.has_ended(LOOK)).await;
                drop(ended);
                false
            }
        };
        if !goes_on {
            connection.nothing_more();
            return;
        }
    }
}
