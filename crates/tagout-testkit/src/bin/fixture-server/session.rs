//! Sessions over HTTP in the legacy era, whose streams a tool can close before it has answered.
use std::time::Duration;

use rmcp::{
    model::{ClientJsonRpcMessage, GetExtensions as _, ServerJsonRpcMessage},
    transport::{
        common::server_side_http::{ServerSseMessage, SessionId},
        streamable_http_server::{
            SessionManager,
            session::local::{LocalSessionHandle, LocalSessionManager, LocalSessionManagerError},
        },
    },
};
use tokio_stream::{Stream, wrappers::ReceiverStream};

type Error = LocalSessionManagerError;

/// When the client is told to come back.
pub(crate) const RETRY: Duration = Duration::from_millis(100);

/// The stream that a request's answer goes to, found in the request's extensions.
#[derive(Clone)]
pub(crate) struct OpenStream {
    session: LocalSessionHandle,
    id: u64,
}

impl OpenStream {
    /// Closes it; what is sent from now on waits for the client to come back for it.
    pub(crate) async fn hang_up(&self) {
        // A stream that is closed already is what was wanted.
        self.session.close_sse_stream(self.id, Some(RETRY)).await.ok();
    }
}

/// The library's sessions, with [`OpenStream`] in every request.
#[derive(Default)]
pub(crate) struct Sessions(pub(crate) LocalSessionManager);

impl SessionManager for Sessions {
    type Error = Error;
    type Transport = <LocalSessionManager as SessionManager>::Transport;

    async fn create_session(&self) -> Result<(SessionId, Self::Transport), Error> {
        self.0.create_session().await
    }

    async fn initialize_session(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<ServerJsonRpcMessage, Error> {
        self.0.initialize_session(id, message).await
    }

    async fn has_session(&self, id: &SessionId) -> Result<bool, Error> {
        self.0.has_session(id).await
    }

    async fn close_session(&self, id: &SessionId) -> Result<(), Error> {
        self.0.close_session(id).await
    }

    async fn create_stream(
        &self,
        id: &SessionId,
        mut message: ClientJsonRpcMessage,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Error> {
        let session = self.0.sessions.read().await.get(id).cloned();
        let session = session.ok_or_else(|| Error::SessionNotFound(id.clone()))?;
        let stream = session.establish_request_wise_channel().await?;
        if let (ClientJsonRpcMessage::Request(request), Some(id)) =
            (&mut message, stream.http_request_id)
        {
            let open = OpenStream { session: session.clone(), id };
            request.request.extensions_mut().insert(open);
        }
        session.push_message(message, stream.http_request_id).await?;
        Ok(ReceiverStream::new(stream.inner))
    }

    async fn accept_message(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<(), Error> {
        self.0.accept_message(id, message).await
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Error> {
        self.0.create_standalone_stream(id).await
    }

    async fn resume(
        &self,
        id: &SessionId,
        last_event_id: String,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Error> {
        self.0.resume(id, last_event_id).await
    }
}
