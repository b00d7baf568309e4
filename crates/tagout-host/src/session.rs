//! One connection to the gateway, and the conversation that goes over it.
use std::{sync::Arc, time::Duration};

use rmcp::{
    RoleClient,
    model::{
        CallToolRequest, CallToolRequestParams, CancelledNotificationParam, ClientCapabilities,
        ClientConfig, ClientRequest, Implementation, PaginatedRequestParams, ProtocolVersion,
        RequestId, ServerResult, Tool,
    },
    service::{PeerRequestOptions, RunningService, ServiceError, serve_client},
};
use serde::Serialize;
use serde_json::{Map, Value};
use tagout_llm::{Message, Part, Planner, Provider, Role, ToolSpec};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::{Failure, HostError, Outcome};

/// How many pages a list of tools may have.
const PAGES: usize = 256;
/// How many tools are taken at most.
const TOOLS: usize = 4_096;

/// What a session may do, and how long it waits.
#[derive(Clone)]
pub struct Options {
    /// What proposes calls and writes answers.
    pub provider: Arc<dyn Provider>,
    /// How many turns one question may take.
    pub rounds: usize,
    /// How many calls one turn may hold; the rest are answered with an error.
    pub calls_per_round: usize,
    /// How long the handshake and each page of the list of tools may take.
    pub connect_timeout: Duration,
    /// How long one call may take, a person's approval included.
    pub call_timeout: Duration,
    /// How long the provider may take for one turn.
    pub turn_timeout: Duration,
    /// Cancelled to stop the question that is being worked on. Open calls are cancelled.
    pub stop: CancellationToken,
    /// The name of the conversation to go on with; a new one each time where there is none.
    pub conversation: Option<String>,
}

/// A connection to the gateway and the conversation that goes over it.
pub struct Session {
    client: RunningService<RoleClient, ClientConfig>,
    pub(crate) tools: Vec<ToolSpec>,
    pub(crate) options: Options,
    pub(crate) messages: Vec<Message>,
}

/// What the other side says it is. Unverified: for people only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Peer {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The protocol revision that both sides speak.
    pub protocol: String,
}

impl Default for Options {
    fn default() -> Self {
        Self::new(Arc::new(Planner::new()))
    }
}

impl Options {
    /// The usual limits with `provider`: 8 rounds of 8 calls, 10 s to connect, 330 s for a call
    /// (five minutes for a person to decide, and half a minute to run), 120 s for a turn.
    #[must_use]
    pub fn new(provider: Arc<dyn Provider>) -> Self {
        Self {
            provider,
            rounds: 8,
            calls_per_round: 8,
            connect_timeout: Duration::from_secs(10),
            call_timeout: Duration::from_secs(330),
            turn_timeout: Duration::from_secs(120),
            stop: CancellationToken::new(),
            conversation: None,
        }
    }
}

impl Session {
    /// Shakes hands over `io`, behind which the gateway must sit, and lists the tools.
    ///
    /// Not cancel safe: dropped in the middle, `io` is lost with it.
    ///
    /// # Errors
    /// [`HostError::Handshake`], [`HostError::HandshakeTimeout`], [`HostError::List`] or
    /// [`HostError::ListTooLong`].
    pub async fn connect<T>(io: T, options: Options) -> Result<Self, HostError>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let waited = options.connect_timeout;
        let client =
            timeout(waited, serve_client(introduction(options.conversation.as_deref()), io))
                .await
                .map_err(|_| HostError::HandshakeTimeout { waited })?
                .map_err(|error| HostError::Handshake { detail: error.to_string() })?;
        let mut session = Self { client, tools: Vec::new(), options, messages: Vec::new() };
        session.refresh().await?;
        Ok(session)
    }

    /// Lists the tools again.
    ///
    /// Cancel safe: the list stays as it was until the new one is complete.
    ///
    /// # Errors
    /// [`HostError::List`] or [`HostError::ListTooLong`]; the list is then as it was.
    pub async fn refresh(&mut self) -> Result<(), HostError> {
        let failed = |detail: String| HostError::List { detail };
        let mut tools: Vec<ToolSpec> = Vec::new();
        let mut cursor = None;
        for _ in 0..PAGES {
            let page = PaginatedRequestParams::default().with_cursor(cursor);
            let page = timeout(self.options.connect_timeout, self.client.list_tools(Some(page)))
                .await
                .map_err(|_| failed("no answer in time".into()))?
                .map_err(|error| failed(error.to_string()))?;
            tools.extend(page.tools.into_iter().map(spec));
            if tools.len() > TOOLS {
                return Err(HostError::ListTooLong { limit: TOOLS, what: "tools" });
            }
            cursor = page.next_cursor;
            if cursor.is_none() {
                self.tools = tools;
                return Ok(());
            }
        }
        Err(HostError::ListTooLong { limit: PAGES, what: "pages" })
    }

    /// The tools, in the gateway's order.
    #[must_use]
    pub fn tools(&self) -> &[ToolSpec] {
        &self.tools
    }

    /// What the other side says it is.
    #[must_use]
    pub fn peer(&self) -> Option<Peer> {
        let info = self.client.peer_info()?;
        let (name, version) = info
            .server_info
            .as_ref()
            .map(|server| (server.name.clone(), server.version.clone()))
            .unwrap_or_default();
        Some(Peer { name, version, protocol: info.protocol_version.to_string() })
    }

    /// The conversation so far; every call in it has its result.
    #[must_use]
    pub fn conversation(&self) -> &[Message] {
        &self.messages
    }

    /// Sends one call to the gateway, as a person and not a model asks for it. The arguments are
    /// not checked here: the gateway does that for everybody.
    ///
    /// Dropped in the middle, the gateway is told that the call is cancelled; whether the tool ran
    /// is then for its audit log to say.
    pub async fn call(&self, tool: &str, arguments: Map<String, Value>) -> Outcome {
        tokio::select! {
            biased;
            () = self.options.stop.cancelled() => {
                Outcome::lost(Failure::Cancelled, "the call was cancelled")
            }
            outcome = self.send(tool, arguments) => outcome,
        }
    }

    async fn send(&self, tool: &str, arguments: Map<String, Value>) -> Outcome {
        let params = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
        let request = ClientRequest::CallToolRequest(CallToolRequest::new(params));
        let limit = PeerRequestOptions::with_timeout(self.options.call_timeout);
        let peer = self.client.peer();
        let handle = match peer.send_request_with_option(request, limit).await {
            Ok(handle) => handle,
            Err(error) => return failure(error),
        };
        let mut cancel = CancelOnDrop { peer: peer.clone(), id: Some(handle.id.clone()) };
        let answer = handle.await_response().await;
        cancel.id = None;
        match answer {
            Ok(result) => outcome(result),
            Err(error) => failure(error),
        }
    }

    /// Ends the connection and waits until it is closed.
    pub async fn close(self) {
        // Whether the background task was cancelled or ended by itself makes no difference here.
        drop(self.client.cancel().await);
    }

    /// Gives every call that has no result one that says so, so that the conversation can go on
    /// after a question was dropped in the middle.
    pub(crate) fn repair(&mut self) {
        let answered = |messages: &[Message], id: &str| {
            messages
                .iter()
                .flat_map(|message| &message.parts)
                .any(|part| matches!(part, Part::ToolResult(result) if result.call_id == id))
        };
        let mut results = Vec::new();
        for part in self.messages.iter().flat_map(|message| &message.parts) {
            if let Part::ToolCall(call) = part
                && !answered(&self.messages, &call.id)
            {
                let lost = Outcome::lost(Failure::Cancelled, "the call was cancelled");
                results.push(Part::ToolResult(lost.to_result(&call.id)));
            }
        }
        if !results.is_empty() {
            self.messages.push(Message { role: Role::Tool, parts: results });
        }
    }
}

/// Tells the gateway that nobody waits any more.
struct CancelOnDrop {
    peer: rmcp::Peer<RoleClient>,
    id: Option<RequestId>,
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let peer = self.peer.clone();
        runtime.spawn(async move {
            let cancelled = CancelledNotificationParam::new(Some(id), Some("stopped".into()));
            // The connection may be gone; then there is nobody left to tell.
            drop(peer.notify_cancelled(cancelled).await);
        });
    }
}

fn introduction(conversation: Option<&str>) -> ClientConfig {
    let name = Implementation::new("tagout-host", env!("CARGO_PKG_VERSION"));
    let mut introduction = ClientConfig::new(ClientCapabilities::default(), name)
        .with_protocol_version(ProtocolVersion::V_2025_11_25);
    introduction.meta = conversation.map(|named| {
        let mut meta = Map::new();
        meta.insert("tagout/conversation".to_owned(), named.into());
        meta.into()
    });
    introduction
}

fn spec(tool: Tool) -> ToolSpec {
    let title = tool.title.or_else(|| tool.annotations.and_then(|hints| hints.title));
    ToolSpec {
        name: tool.name.into_owned(),
        title,
        description: tool.description.map(std::borrow::Cow::into_owned),
        input_schema: Value::Object(tool.input_schema.as_ref().clone()),
        output_schema: tool.output_schema.map(|schema| Value::Object(schema.as_ref().clone())),
    }
}

/// The SDK sorts results by shape: one with content of a kind that it does not know comes as a
/// custom result, which is a tool result all the same.
fn outcome(result: ServerResult) -> Outcome {
    serde_json::to_value(result).map_or_else(
        |error| Outcome::lost(Failure::Malformed, error.to_string()),
        Outcome::from_result,
    )
}

fn failure(error: ServiceError) -> Outcome {
    match error {
        ServiceError::McpError(error) => {
            Outcome::from_rpc_error(error.code.0, error.message.into_owned(), error.data.as_ref())
        }
        ServiceError::Timeout { timeout } => Outcome::lost(
            Failure::Timeout,
            format!("there was no answer in {} s", timeout.as_secs()),
        ),
        ServiceError::Cancelled { .. } => {
            Outcome::lost(Failure::Cancelled, "the call was cancelled")
        }
        ServiceError::TransportClosed | ServiceError::TransportSend(_) => Outcome::lost(
            Failure::Disconnected,
            "the connection to the gateway ended before the answer came",
        ),
        // The SDK may add causes; whatever they are, there is no answer.
        other @ (ServiceError::UnexpectedResponse
        | ServiceError::SubscriptionLagged { .. }
        | ServiceError::InputRequiredRoundsExceeded { .. }
        | _) => Outcome::lost(Failure::Malformed, other.to_string()),
    }
}
