//! A server that answers as the gateway does: `_meta` on results, refusals as errors.
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ErrorCode,
        Implementation, ListToolsResult, MetaObject, PaginatedRequestParams, ServerCapabilities,
        ServerConfig, Tool,
    },
    service::{RequestContext, serve_server},
};
use serde_json::{Value, json};
use tagout_host::{HostError, Options, Session};
use tokio::{io::DuplexStream, task::JoinHandle};

#[derive(Clone, Default)]
pub(crate) struct Gateway {
    /// How many calls arrived.
    pub(crate) calls: Arc<AtomicUsize>,
    /// How many cancellations arrived.
    pub(crate) cancelled: Arc<AtomicUsize>,
    /// What clients said they are.
    pub(crate) client: Arc<std::sync::Mutex<String>>,
}

fn object(value: Value) -> serde_json::Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => panic!("{other}"),
    }
}

fn tool(name: &'static str, description: &'static str, schema: Value) -> Tool {
    Tool::new(name, description, object(schema))
}

impl ServerHandler for Gateway {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("test-gateway", "1"))
    }

    /// Two pages.
    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let client = context.peer.peer_info().unwrap();
        *self.client.lock().unwrap() =
            format!("{} {}", client.client_info.name, client.protocol_version);
        let id = json!({"type": "object", "required": ["equipment_id"], "additionalProperties": false, "properties": {
            "equipment_id": {"type": "string", "pattern": "^[A-Z][0-9]+$"},
            "temp_c": {"type": "number", "x-unit": "celsius"},
        }});
        let none = json!({"type": "object", "additionalProperties": false});
        let mut result = ListToolsResult::default();
        if request.and_then(|page| page.cursor).is_none() {
            result.tools = vec![
                tool("grid__predict_outage_risk", "How likely equipment is to fail", id.clone()),
                tool("grid__draw_chart", "Draws a chart", none.clone()),
            ];
            result.next_cursor = Some("2".into());
        } else {
            result.tools = vec![
                tool("grid__secret", "Denied", none.clone()),
                tool("grid__hang", "Never answers", none.clone()),
                tool("grid__die", "Ends the connection", none.clone()),
                tool("grid__broken", "Fails with a protocol error", none.clone()),
                tool("grid__gone", "Its server has died", none),
            ];
        }
        Ok(result)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let record = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        let meta = json!({"tagout/record": record, "tagout/rule": "allow-reads", "tagout/verdict": "allow"});
        match request.name.as_ref() {
            "grid__predict_outage_risk" => {
                let id = request.arguments.as_ref().unwrap()["equipment_id"].clone();
                let mut result =
                    CallToolResult::structured(json!({"equipment_id": id, "risk_score": 0.239}));
                result.meta = Some(MetaObject(object(meta)));
                Ok(CallToolResponse::Complete(result))
            }
            "grid__draw_chart" => {
                let mut result = CallToolResult::success(vec![
                    ContentBlock::text("One week of hourly load"),
                    ContentBlock::image("iVBORw0KGgo=", "image/png"),
                ]);
                result.meta = Some(MetaObject(object(meta)));
                Ok(CallToolResponse::Complete(result))
            }
            "grid__secret" => Err(ErrorData::new(
                ErrorCode(-32_003),
                "not allowed",
                Some(
                    json!({"by": "tagout", "code": "policy-denied", "rule": "deny-by-default", "record": 12}),
                ),
            )),
            "grid__gone" => Err(ErrorData::new(
                ErrorCode(-32_000),
                "server `grid`: it ended",
                Some(json!({"by": "tagout", "code": "server-died", "record": 13})),
            )),
            "grid__broken" => Err(ErrorData::internal_error("it broke", None)),
            _ => {
                // Never answers; whether the host said that it no longer waits shows in the count.
                context.ct.cancelled().await;
                self.cancelled.fetch_add(1, Ordering::SeqCst);
                Err(ErrorData::internal_error("cancelled", None))
            }
        }
    }
}

/// A session with a gateway behind it. The task is the gateway: aborting it ends the connection.
pub(crate) async fn session(options: Options) -> (Session, Gateway, JoinHandle<()>) {
    let (near, far) = tokio::io::duplex(1 << 16);
    let gateway = Gateway::default();
    let serving = tokio::spawn(serve(gateway.clone(), far));
    let session = Session::connect(near, options).await.unwrap();
    (session, gateway, serving)
}

async fn serve(gateway: Gateway, io: DuplexStream) {
    let running = serve_server(gateway, io).await.unwrap();
    running.waiting().await.unwrap();
}

#[tokio::test]
async fn the_handshake_says_who_it_is_and_every_page_is_listed() {
    let (session, gateway, _serving) = session(Options::default()).await;
    assert_eq!(*gateway.client.lock().unwrap(), "tagout-host 2025-11-25");
    let names: Vec<&str> = session.tools().iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "grid__predict_outage_risk",
            "grid__draw_chart",
            "grid__secret",
            "grid__hang",
            "grid__die",
            "grid__broken",
            "grid__gone"
        ]
    );
    let peer = session.peer().unwrap();
    assert_eq!((peer.name.as_str(), peer.protocol.as_str()), ("test-gateway", "2025-11-25"));
    session.close().await;
}

#[tokio::test]
async fn nobody_there_is_a_typed_error() {
    let (near, far) = tokio::io::duplex(64);
    drop(far);
    let error = Session::connect(near, Options::default()).await.err().unwrap();
    assert_eq!(error.code(), "host-handshake");
    let (near, _far) = tokio::io::duplex(1 << 16);
    let connect_timeout = std::time::Duration::from_millis(20);
    let options = Options { connect_timeout, ..Options::default() };
    let error = Session::connect(near, options).await.err().unwrap();
    assert!(matches!(error, HostError::HandshakeTimeout { .. }), "{error}");
}
