//! Serving over HTTP, on the loopback interface only.
use std::{
    io::{self, Write as _},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, combinators::BoxBody};
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    header::CONTENT_TYPE,
    server::conn::http1,
    service::{Service as _, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde_json::json;
use tokio::{net::TcpListener, sync::Semaphore};

use crate::{
    Failure,
    era::Era,
    handler::{Fixture, Shared},
    session::{RETRY, Sessions},
};

/// Connections beyond this many wait.
const CONNECTIONS: usize = 256;
const HEADERS_WITHIN: Duration = Duration::from_secs(10);
/// Who may call from a browser.
const ORIGINS: [&str; 3] = ["http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*"];

type Mcp = TowerToHyperService<StreamableHttpService<Fixture, Sessions>>;
type Answer = Response<BoxBody<Bytes, std::convert::Infallible>>;

/// Says where it listens, then serves for ever.
pub(crate) async fn serve(address: SocketAddr, shared: Arc<Shared>) -> Result<(), Failure> {
    let listener = TcpListener::bind(address).await?;
    writeln!(io::stdout(), "http://{}/mcp", listener.local_addr()?)?;
    let era = shared.era;
    let mcp = mcp(shared);
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let permit = Arc::clone(&connections).acquire_owned().await.map_err(io::Error::other)?;
        let mcp = mcp.clone();
        tokio::spawn(async move {
            let answer = service_fn(|request| answer(era, &mcp, request));
            let mut server = http1::Builder::new();
            server.timer(TokioTimer::new()).header_read_timeout(HEADERS_WITHIN);
            // A connection that breaks is its client's own affair.
            server.serve_connection(TokioIo::new(stream), answer).await.ok();
            drop(permit);
        });
    }
}

fn mcp(shared: Arc<Shared>) -> Mcp {
    let config = StreamableHttpServerConfig::default()
        .with_allowed_origins(ORIGINS)
        .enforce_origin_validation()
        .with_legacy_session_mode(shared.era != Era::Modern)
        .with_sse_retry(Some(RETRY));
    let mut sessions = Sessions::default();
    sessions.0.session_config.sse_retry = Some(RETRY);
    let fixture = move || Ok(Fixture::new(Arc::clone(&shared)));
    TowerToHyperService::new(StreamableHttpService::new(fixture, Arc::new(sessions), config))
}

async fn answer(era: Era, mcp: &Mcp, request: Request<Incoming>) -> Result<Answer, io::Error> {
    if request.uri().path() != "/mcp" {
        return refuse(StatusCode::NOT_FOUND, "there is only /mcp");
    }
    if era == Era::Legacy && !names_known_revision(&request) {
        // As servers did that were written before there was a modern era.
        return refuse(StatusCode::BAD_REQUEST, "Bad Request: Unsupported protocol version");
    }
    match mcp.call(request).await {
        Ok(answer) => Ok(answer),
        Err(never) => match never {},
    }
}

/// Whether the request names no revision, or one of the legacy era.
fn names_known_revision(request: &Request<Incoming>) -> bool {
    let known = Era::Legacy.revisions();
    request.headers().get("mcp-protocol-version").is_none_or(|named| {
        known.iter().any(|revision| revision.as_str().as_bytes() == named.as_bytes())
    })
}

fn refuse(status: StatusCode, message: &str) -> Result<Answer, io::Error> {
    let body = json!({"jsonrpc": "2.0", "id": null, "error": {"code": -32000, "message": message}});
    let body = Full::new(Bytes::from(body.to_string())).boxed();
    let answer = Response::builder().status(status).header(CONTENT_TYPE, "application/json");
    answer.body(body).map_err(io::Error::other)
}
