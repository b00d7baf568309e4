//! A server of the legacy era knows nothing of the modern one's way to ask what it is.
use rmcp::{
    ErrorData, RoleServer,
    model::{
        ClientJsonRpcMessage, ClientRequest, DiscoverRequestMethod, RequestId, ServerJsonRpcMessage,
    },
    transport::Transport,
};

/// Over this transport `server/discover` is a method like any other that does not exist.
pub(crate) struct Deaf<T>(pub(crate) T);

impl<T: Transport<RoleServer>> Transport<RoleServer> for Deaf<T> {
    type Error = T::Error;

    fn send(
        &mut self,
        item: ServerJsonRpcMessage,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        self.0.send(item)
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        loop {
            let message = self.0.receive().await?;
            let Some(id) = probe(&message) else { return Some(message) };
            let error = ErrorData::method_not_found::<DiscoverRequestMethod>();
            self.0.send(ServerJsonRpcMessage::error(error, Some(id))).await.ok()?;
        }
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.0.close().await
    }
}

/// The request's number, if it is the modern era's first question.
fn probe(message: &ClientJsonRpcMessage) -> Option<RequestId> {
    let ClientJsonRpcMessage::Request(request) = message else { return None };
    matches!(request.request, ClientRequest::DiscoverRequest(_)).then(|| request.id.clone())
}
