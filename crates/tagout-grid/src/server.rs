//! The MCP server around data, tools and resources.
use rmcp::{
    ErrorData, RoleServer, ServerHandler, ServiceExt,
    model::{
        CallToolRequestParams, CallToolResponse, Implementation, ListResourceTemplatesResult,
        ListResourcesResult, ListToolsResult, PaginatedRequestParams, ReadResourceRequestParams,
        ReadResourceResponse, ServerCapabilities, ServerConfig, Tool,
    },
    service::{QuitReason, RequestContext, ServerInitializeError},
    transport::{async_rw::AsyncRwTransport, stdio_pipes},
};
use tokio::task::{JoinError, spawn_blocking};

use crate::{
    resources,
    tools::{self, TOOLS},
};

/// Longest message taken, in bytes. The largest sensible call has a few hundred.
const LINE_BYTES: usize = 1 << 20;

const INSTRUCTIONS: &str = "Grid Operations Assistant: load analysis, outage risk and charts on \
    data that ships with it. Networks are test cases. Every figure carries its unit in its field \
    name. Read `grid://datasets` for what can be asked about. Nothing here changes anything.";

/// How serving over stdio failed.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The client did not complete the MCP handshake.
    #[error("the client did not complete the handshake")]
    Handshake(#[source] Box<ServerInitializeError>),
    /// The server's own task failed.
    #[error("the server's task failed")]
    Task(#[source] JoinError),
}

/// The assistant, ready to be served over any transport of `rmcp`. MCP revisions up to 2025-11-25
/// are negotiated by `initialize`, later ones by `server/discover`.
#[must_use]
pub fn server() -> impl ServerHandler {
    GridServer
}

/// Serves the assistant over standard input and output until the client closes its end. Standard
/// output carries nothing but protocol messages.
///
/// Cancel safe: dropping the future ends the server; no call leaves anything half done.
///
/// # Errors
/// [`ServeError::Handshake`] when the client leaves or misbehaves before the session begins;
/// [`ServeError::Task`] when the server's task fails.
pub async fn serve_stdio() -> Result<(), ServeError> {
    let (input, output) = stdio_pipes();
    let transport = AsyncRwTransport::new_server(input, output).with_max_line_length(LINE_BYTES);
    let running = GridServer
        .serve(transport)
        .await
        .map_err(|error| ServeError::Handshake(Box::new(error)))?;
    // Any other reason is the client's way to say goodbye.
    if let QuitReason::JoinError(error) = running.waiting().await.map_err(ServeError::Task)? {
        return Err(ServeError::Task(error));
    }
    Ok(())
}

/// Holds nothing: all data is static.
struct GridServer;

impl ServerHandler for GridServer {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().enable_resources().build();
        let identity = Implementation::new("tagout-grid", env!("CARGO_PKG_VERSION"))
            .with_title("Grid Operations Assistant");
        ServerConfig::new(capabilities).with_server_info(identity).with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(TOOLS.to_vec()))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        TOOLS.iter().find(|tool| tool.name == name).cloned()
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = request.arguments.unwrap_or_default();
        // Drawing takes tens of milliseconds; the connection must stay responsive meanwhile.
        spawn_blocking(move || tools::call(&request.name, arguments))
            .await
            .map_err(|error| ErrorData::internal_error(error.to_string(), None))?
            .map(CallToolResponse::from)
    }

    async fn list_resources(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        Ok(ListResourcesResult::with_all_items(resources::list()))
    }

    async fn list_resource_templates(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(ListResourceTemplatesResult::with_all_items(resources::templates()))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        resources::read(&request.uri).map(ReadResourceResponse::from)
    }
}
