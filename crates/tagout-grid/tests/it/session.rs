//! A client in one process with the server.
use rmcp::{
    RoleClient, ServiceError, ServiceExt,
    model::{
        CallToolRequestParams, CallToolResult, ClientCapabilities, ClientConfig, ErrorData,
        Implementation, ProtocolVersion,
    },
    service::RunningService,
};
use serde_json::Value;

/// A connected client.
pub(crate) type Client = RunningService<RoleClient, ClientConfig>;

/// Connects with the newest revision that has `initialize`.
pub(crate) async fn connect() -> Client {
    connect_with(ProtocolVersion::V_2025_11_25).await
}

pub(crate) async fn connect_with(revision: ProtocolVersion) -> Client {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    tokio::spawn(async move {
        let running = tagout_grid::server().serve(theirs).await.expect("the handshake succeeds");
        running.waiting().await.expect("the server ends well");
    });
    ClientConfig::new(ClientCapabilities::default(), Implementation::new("test", "0"))
        .with_protocol_version(revision)
        .serve(ours)
        .await
        .expect("the handshake succeeds")
}

/// Calls a tool.
pub(crate) async fn call(
    client: &Client,
    tool: &'static str,
    arguments: Value,
) -> Result<CallToolResult, ErrorData> {
    let arguments = arguments.as_object().expect("arguments are an object").clone();
    match client.call_tool(CallToolRequestParams::new(tool).with_arguments(arguments)).await {
        Ok(result) => Ok(result),
        Err(ServiceError::McpError(error)) => Err(error),
        Err(other) => panic!("{other}"),
    }
}

/// Calls a tool that must succeed and gives back its structured content.
pub(crate) async fn structured(client: &Client, tool: &'static str, arguments: Value) -> Value {
    let result = call(client, tool, arguments).await.expect("no protocol error");
    assert_eq!(result.is_error, Some(false), "{result:?}");
    result.structured_content.expect("structured content")
}

/// The text of a result's first block.
pub(crate) fn text(result: &CallToolResult) -> String {
    result.content.first().and_then(|block| block.as_text()).expect("text first").text.clone()
}

/// JSON as a person reads it.
pub(crate) fn pretty(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).expect("serialisable")
}
