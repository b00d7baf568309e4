//! A request to the gateway that nobody is asked about while it is under way.
use std::time::Duration;

use rmcp::{
    model::{ClientRequest, ErrorCode},
    service::{PeerRequestOptions, ServiceError},
};
use serde_json::Value;

use crate::{Session, call::CancelOnDrop};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct NoAnswer(ServiceError);

impl NoAnswer {
    /// Whether the other side does not know such requests at all.
    pub(super) fn is_unknown_method(&self) -> bool {
        matches!(&self.0, ServiceError::McpError(error) if error.code == ErrorCode::METHOD_NOT_FOUND)
    }

    pub(super) fn into_inner(self) -> ServiceError {
        self.0
    }
}

impl Session {
    /// Sends a request and waits for its answer, no longer than so.
    ///
    /// Cancel safe: the gateway is told that nobody waits any more.
    pub(super) async fn request(
        &mut self,
        request: ClientRequest,
        waited: Duration,
    ) -> Result<Value, NoAnswer> {
        let peer = self.client.peer().clone();
        let limit = PeerRequestOptions::with_timeout(waited);
        let handle = peer.send_request_with_option(request, limit).await.map_err(NoAnswer)?;
        let mut cancel = CancelOnDrop::of(peer, handle.id.clone());
        let answer = handle.await_response().await;
        cancel.disarm();
        // What came off the wire as JSON goes back to it.
        answer.map(|result| serde_json::to_value(result).unwrap_or_default()).map_err(NoAnswer)
    }
}
