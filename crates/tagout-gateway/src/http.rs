//! Clients over HTTP: who they are, which transport they speak, and their sessions.
//!
//! Three things are served: Streamable HTTP at `/mcp`, for clients with a session and without, and
//! HTTP+SSE at `/sse` and `/messages`. Nothing is answered without a credential, but `ok` at
//! [`HEALTH`].
mod approvals;
mod headers;
mod kept;
mod legacy;
mod modern;
mod replay;
mod sse;
mod strikes;

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tagout_proto::{Method, Revision, frame};
use tagout_wire::http::{
    self, Handler, HeaderMap, HeaderValue, Request, Response, StatusCode, header,
};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use self::{
    kept::{HttpSession, Stranger},
    strikes::Strikes,
};
use crate::{
    Gateway,
    clients::Clients,
    exchange::{Abandoned, Next},
    keys::{Caller, KeyError, Keys},
    limits::Over,
    refusal::Refusal,
    serve::BATCH,
    session::Session,
    stage::{
        receive::{Call, Received, Unreceived, VERSION, receive, receive_batch},
        record::Recorded,
    },
};

/// How often sessions are looked for that are idle or whose key is no longer good.
const SWEEP: Duration = Duration::from_secs(1);
/// How long calls that are under way may take when the gateway is to end.
const GRACE: Duration = Duration::from_secs(2);
/// How often a quiet stream says that it is alive.
const ALIVE: Duration = Duration::from_secs(15);
/// How long a frame waits for a client that does not read.
const PATIENCE: Duration = Duration::from_secs(5);
/// Frames that wait for a client that reads slowly.
const FRAMES: usize = 64;

/// Where whoever asks is told that the gateway lives, and nothing else.
pub const HEALTH: &str = "/healthz";

const EVENTS: &str = "text/event-stream";

const fn json() -> HeaderValue {
    HeaderValue::from_static("application/json")
}

const fn events_type() -> HeaderValue {
    HeaderValue::from_static(EVENTS)
}

/// The HTTP side of a gateway.
pub struct Front {
    gateway: Arc<Gateway>,
    keys: Arc<Keys>,
    clients: Arc<Clients>,
    sessions: Mutex<HashMap<String, Arc<HttpSession>>>,
    strikes: Strikes,
    idle: Duration,
}

impl std::fmt::Debug for Front {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Front")
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The guarded sections do not panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Front {
    /// The codes of what is refused before there is a call, for the manual's index of errors.
    pub const CODES: &[&str] = &[
        "credential-busy",
        "credential-invalid",
        "http-refused",
        "overloaded",
        "webhook-again",
        "webhook-malformed",
        "webhook-mismatch",
    ];

    /// The HTTP side of `gateway`, for whoever has a key. A session that is idle for `idle` ends.
    #[must_use]
    pub fn new(gateway: &Arc<Gateway>, keys: Arc<Keys>, idle: Duration) -> Arc<Self> {
        let clients = Clients::new(gateway, "http");
        let (gateway, sessions) = (Arc::clone(gateway), Mutex::default());
        let strikes = Strikes::default();
        Arc::new(Self { gateway, keys, clients, sessions, strikes, idle })
    }

    /// Ends sessions that are idle, or whose key is no longer good, until `stop` is cancelled; then
    /// ends all of them, and what is under way.
    pub async fn keep(&self, stop: &CancellationToken) {
        while timeout(SWEEP, stop.cancelled()).await.is_err() {
            self.sweep().await;
            self.strikes.forget();
        }
        let sessions = std::mem::take(&mut *locked(&self.sessions));
        for session in sessions.values() {
            session.session.client_is_gone();
        }
        self.clients.tasks.close();
        drop(timeout(GRACE, self.clients.tasks.wait()).await);
        sessions.values().for_each(|session| session.end());
        self.clients.end();
        self.clients.over();
        drop(timeout(GRACE, self.clients.tasks.wait()).await);
        self.gateway.limits.counted.flush();
    }

    /// Who calls, by the key that the request carries.
    async fn caller(&self, headers: &HeaderMap) -> Result<Caller, KeyError> {
        let mut given = headers.get_all("authorization").iter();
        let (Some(value), None) = (given.next(), given.next()) else {
            return Err(KeyError::Malformed);
        };
        let parts = value.to_str().ok().and_then(|value| value.split_once(' '));
        let (scheme, key) = parts.ok_or(KeyError::Malformed)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(KeyError::Malformed);
        }
        self.keys.caller(key.trim()).await
    }

    async fn answer(self: &Arc<Self>, mut request: Request) -> Response {
        if let Some(id) = self.question_of(&request) {
            return self.webhook(id, &mut request).await;
        }
        let caller = match self.caller(&request.headers).await {
            Ok(caller) => caller,
            Err(KeyError::Busy | KeyError::Store(_)) => return not_now(),
            Err(
                error @ (KeyError::Malformed
                | KeyError::Unknown
                | KeyError::Wrong
                | KeyError::Expired
                | KeyError::Revoked
                | KeyError::Guessed),
            ) => {
                tracing::info!(%error, peer = %request.peer, "a caller without a key that is known");
                return unauthenticated();
            }
        };
        request.vouch();
        // Before its body is read: who sends too much must not cost more than saying so.
        if let Err(over) = self.gateway.limits.enter(&caller.principal) {
            return self.beyond(&caller, &mut request, over).await;
        }
        let path = request.path.clone();
        match (path.as_str(), request.method.as_str()) {
            ("/mcp", "POST") => self.posted(&caller, &mut request).await,
            ("/mcp", "GET") => self.news(&caller, &request.headers),
            ("/mcp", "DELETE") => self.deleted(&caller, &request.headers),
            ("/sse", "GET") => self.sse_opened(&caller, &request.headers),
            ("/messages", "POST") => self.sse_posted(&caller, &mut request).await,
            ("/mcp", _) => refused(StatusCode::METHOD_NOT_ALLOWED)
                .header(header::ALLOW, HeaderValue::from_static("POST, GET, DELETE")),
            ("/sse", _) => refused(StatusCode::METHOD_NOT_ALLOWED)
                .header(header::ALLOW, HeaderValue::from_static("GET")),
            ("/messages", _) => refused(StatusCode::METHOD_NOT_ALLOWED)
                .header(header::ALLOW, HeaderValue::from_static("POST")),
            _ => refused(StatusCode::NOT_FOUND),
        }
    }

    /// A request of who has had enough: at most it takes back what is under way.
    async fn beyond(
        self: &Arc<Self>,
        caller: &Caller,
        request: &mut Request,
        over: Over,
    ) -> Response {
        if let Some(exchange) = self.taking_back(caller, request).await {
            return self.told(exchange).await;
        }
        self.gateway.limits.counted.count(&caller.principal, &over);
        limited(over)
    }

    /// A frame, or several, of a client.
    async fn posted(self: &Arc<Self>, caller: &Caller, request: &mut Request) -> Response {
        if let Some(status) = headers::unfit(&request.headers) {
            return refused(status);
        }
        let limits = self.gateway.config.limits.frame;
        let bytes = match request.body(limits.frame_bytes).await {
            Ok(bytes) => bytes,
            Err(http::BodyError::TooLarge { .. }) => {
                self.gateway.limits.owes(&caller.principal, 0, bytes(limits.frame_bytes));
                let refusal = Refusal::FrameTooLarge { limit: limits.frame_bytes };
                let status = StatusCode::PAYLOAD_TOO_LARGE;
                return self.unreceived(caller, refusal, status).await;
            }
            Err(_) => return refused(StatusCode::BAD_REQUEST),
        };
        let peer = request.peer.ip();
        let said = headers::revision(&request.headers);
        // Clients without sessions may say there what they like.
        let sessions = said != Some(Revision::LATEST.as_str());
        let session = sessions.then(|| headers::one(&request.headers, "mcp-session-id"));
        let session = match session.unwrap_or(Ok(None)) {
            Ok(session) => session,
            Err(refusal) => {
                return self.unreceived(caller, refusal, StatusCode::BAD_REQUEST).await;
            }
        };
        if bytes.trim_ascii_start().first() == Some(&b'[') {
            return self.batch((caller, peer), session, &bytes).await;
        }
        let live = self.gateway.watch();
        match receive(&bytes, limits, &live).map(|received| received.from(peer).paid()) {
            Err(unreceived) => {
                // A method that is not known is one that is not there.
                let unknown = matches!(unreceived.refusal, Refusal::Method { .. });
                let modern = said == Some(Revision::LATEST.as_str());
                let status = match (unknown, modern, unreceived.id.is_some()) {
                    (true, true, _) => StatusCode::NOT_FOUND,
                    // It belongs to no session, and says of no revision that has none.
                    (true, false, true) if session.is_none() => StatusCode::BAD_REQUEST,
                    (true, false, true) => StatusCode::OK,
                    (true, false, false) => StatusCode::ACCEPTED,
                    (false, _, _) => StatusCode::BAD_REQUEST,
                };
                self.stranger_refused(caller, unreceived, status).await
            }
            Ok(Received::Answer { id, outcome }) => self.answered(caller, session, &id, outcome),
            Ok(Received::Call(call)) if is_modern(&call, said, session) => {
                self.modern(caller, call, &request.headers).await
            }
            Ok(Received::Call(call)) => {
                let prefers_events = headers::prefers_events(&request.headers);
                self.legacy(caller, call, (session, said), prefers_events).await
            }
        }
    }

    async fn batch(
        self: &Arc<Self>,
        (caller, peer): (&Caller, IpAddr),
        session: Option<&str>,
        bytes: &Bytes,
    ) -> Response {
        let session = session.and_then(|id| self.session(caller, id));
        let session =
            session.filter(|s| s.session.opened().is_some_and(|o| o.revision.has_batches()));
        let limits = self.gateway.config.limits.frame;
        let Some(session) = session else {
            let refusal = Refusal::Frame(tagout_proto::FrameError::Batch);
            return self.unreceived(caller, refusal, StatusCode::BAD_REQUEST).await;
        };
        let live = self.gateway.watch();
        let all = receive_batch(bytes, (limits, &live), BATCH).into_iter();
        let all = all.map(|one| one.map(|received| received.from(peer)));
        self.legacy_batch(&session, all.collect()).await
    }

    /// Answers what could not be understood, once that is on record.
    async fn unreceived(
        self: &Arc<Self>,
        caller: &Caller,
        refusal: Refusal,
        status: StatusCode,
    ) -> Response {
        let unreceived = Unreceived { refusal, id: Some("null".into()), method: None };
        self.stranger_refused(caller, unreceived, status).await
    }

    /// Answers what belongs to no session, once that is on record.
    async fn stranger_refused(
        self: &Arc<Self>,
        caller: &Caller,
        unreceived: Unreceived,
        status: StatusCode,
    ) -> Response {
        let stranger = Stranger(self.clients.session_of(caller));
        self.one_refused(&stranger.0, unreceived, status).await
    }

    async fn one_refused(
        self: &Arc<Self>,
        session: &Arc<Session>,
        unreceived: Unreceived,
        status: StatusCode,
    ) -> Response {
        if !self.strikes.count(&session.principal().user) {
            self.gateway.limits.refused_too_often(session.principal(), strikes::MOST);
            return too_often();
        }
        self.gateway.limits.counts_itself(session.principal());
        let token = CancellationToken::new();
        let mut exchange =
            self.clients.exchange(session, Err(unreceived), token, Abandoned::GoesOn);
        match exchange.next().await {
            Next::Done(recorded) => finished(recorded, status),
            Next::Tell(_) | Next::Ask(_) => refused(status),
        }
    }
}

fn bytes(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// How long what a client answers is, in bytes.
fn length(outcome: &Result<String, String>) -> u64 {
    let (Ok(text) | Err(text)) = outcome;
    bytes(text.len())
}

/// Whether a call is of a client without a session.
fn is_modern(call: &Call, said: Option<&str>, session: Option<&str>) -> bool {
    let version = call.meta(VERSION).and_then(|version| version.text());
    let newest = Some(Revision::LATEST.as_str());
    if call.method() == Method::Initialize {
        // Only a client that never shakes hands says such a thing; it is told so.
        return said == newest || version.as_deref() == newest;
    }
    if session.is_some() {
        return false;
    }
    let legacy = said.is_some_and(|said| Revision::parse_legacy(said).is_some());
    call.meta(VERSION).is_some() || said.is_some_and(|_| !legacy)
}

/// The answer to a request: a single one, or for who would rather have that a stream that holds
/// nothing else.
fn answered(recorded: Recorded, status: StatusCode, prefers_events: bool) -> Response {
    if !prefers_events || status != StatusCode::OK {
        return finished(recorded, status);
    }
    match recorded.into_frame() {
        Some(frame) => Response::full(status, events_type(), tagout_wire::sse::message(&frame)),
        None => Response::empty(StatusCode::ACCEPTED),
    }
}

/// The answer's frame with a status; only the status where there is none.
fn finished(recorded: Recorded, status: StatusCode) -> Response {
    let wait = recorded.retry_after_s();
    match recorded.into_frame() {
        Some(frame) => try_again(Response::full(status, json(), frame), wait),
        None => {
            Response::empty(if status == StatusCode::OK { StatusCode::ACCEPTED } else { status })
        }
    }
}

fn unauthenticated() -> Response {
    let text = r#"{"code":-32600,"message":"no key, or none that is known here; send `Authorization: Bearer KEY` with a key of `tagout key add`","data":{"by":"tagout","code":"credential-invalid"}}"#;
    let frame = Bytes::from(frame::error("null", text));
    Response::full(StatusCode::UNAUTHORIZED, json(), frame)
        .header(header::WWW_AUTHENTICATE, HeaderValue::from_static(r#"Bearer realm="tagout""#))
}

/// Whether the key is known cannot be said now.
fn not_now() -> Response {
    let text = r#"{"code":-32603,"message":"the key cannot be looked at now; try again","data":{"by":"tagout","code":"credential-busy"}}"#;
    let frame = Bytes::from(frame::error("null", text));
    Response::full(StatusCode::SERVICE_UNAVAILABLE, json(), frame)
        .header(header::RETRY_AFTER, HeaderValue::from_static("1"))
}

/// Says when to try again, where that is known.
fn try_again(response: Response, wait_s: Option<u64>) -> Response {
    match wait_s {
        Some(wait) => response.header(header::RETRY_AFTER, HeaderValue::from(wait)),
        None => response,
    }
}

/// This principal has had its share.
fn limited(over: Over) -> Response {
    let wait = over.retry_after_s();
    let error = Refusal::Limit(over).for_caller(None);
    let frame = Bytes::from(frame::error("null", &error));
    try_again(Response::full(StatusCode::TOO_MANY_REQUESTS, json(), frame), Some(wait))
}

/// So much of this principal's was refused that nothing more of it is looked at for now.
fn too_often() -> Response {
    refused(StatusCode::TOO_MANY_REQUESTS)
        .header(header::RETRY_AFTER, HeaderValue::from_static("60"))
}

/// A refusal of the request itself, before there is a call.
fn refused(status: StatusCode) -> Response {
    let reason = status.canonical_reason().unwrap_or("refused");
    let text = format!(
        r#"{{"code":-32600,"message":"{reason}","data":{{"by":"tagout","code":"http-refused"}}}}"#
    );
    Response::full(status, json(), Bytes::from(frame::error("null", &text)))
}

impl Handler for Front {
    async fn handle(self: &Arc<Self>, request: Request) -> Response {
        self.answer(request).await
    }
}
