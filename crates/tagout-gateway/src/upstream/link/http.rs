//! Streamable HTTP: every message is a POST of its own, and the answer is read by whoever asks.
use std::{
    sync::{
        Arc, PoisonError, RwLock, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tagout_proto::{Frame, Message, Method, Revision, frame};
use tagout_wire::{
    header_value,
    http::{self, Answer, Body, Client, HeaderMap, HeaderName, HeaderValue, Uri, header},
};
use tokio::{sync::Semaphore, time::timeout};

use super::{
    credentials::Credentials,
    events::{Cursor, FINISH, read},
    problem,
};
use crate::upstream::{
    Connection, UpstreamError, calls::UnderWay, connection::Request, hear::Taken,
};

/// An endpoint, and the session there.
pub(in crate::upstream) struct Http {
    pub(super) client: Client,
    pub(super) uri: Uri,
    credentials: Arc<Credentials>,
    pub(super) frame_bytes: usize,
    session: RwLock<Session>,
    /// Held by whoever opens a new session.
    pub(in crate::upstream) renewing: tokio::sync::Mutex<()>,
    /// Messages that are sent without waiting.
    asides: Arc<Semaphore>,
}

/// A legacy session.
#[derive(Clone, Default)]
pub(in crate::upstream) struct Session {
    id: Option<HeaderValue>,
    /// Told apart from the sessions before it.
    pub(in crate::upstream) number: u64,
}

/// Where the server says which session it opened, and the client which one it means.
const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");
pub(super) const LAST_EVENT: HeaderName = HeaderName::from_static("last-event-id");

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const BOTH: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");

/// The longest session id, event id or repeated argument, in bytes.
pub(super) const HEADER_BYTES: usize = 4096;
/// The longest body of an answer that refuses, in bytes.
const ERROR_BYTES: usize = 256 << 10;
/// Messages that may be on their way without anybody waiting.
const ASIDES: usize = 16;
/// How long such a message may take.
const ASIDE: Duration = Duration::from_secs(10);
/// How often a stream may break without anything new before it is given up.
const BARREN: u32 = 4;

/// What a server answered, by its form.
enum Form {
    Json(Body),
    Events(Body),
    /// A JSON-RPC error with a status that is none of success.
    Refusal(Frame),
    /// Taken, and nothing to say.
    Nothing,
}

impl Http {
    pub(in crate::upstream) fn new(
        client: Client,
        uri: Uri,
        credentials: Arc<Credentials>,
        frame_bytes: usize,
    ) -> Self {
        Self {
            client,
            uri,
            credentials,
            frame_bytes,
            session: RwLock::default(),
            renewing: tokio::sync::Mutex::default(),
            asides: Arc::new(Semaphore::new(ASIDES)),
        }
    }

    pub(in crate::upstream) fn session(&self) -> Session {
        self.session.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn open_session(&self, id: Option<HeaderValue>) {
        static SESSIONS: AtomicU64 = AtomicU64::new(1);
        let number = SESSIONS.fetch_add(1, Ordering::Relaxed);
        *self.session.write().unwrap_or_else(PoisonError::into_inner) = Session { id, number };
    }

    /// Sends with what the configuration has sent along.
    async fn send(
        &self,
        method: http::Method,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answer, UpstreamError> {
        self.credentials.send(&self.client, (method, &self.uri), headers, body).await
    }

    /// Headers of a message in the session, if `revision` has sessions.
    fn base(&self, revision: Option<Revision>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let Some(revision) = revision else { return headers };
        if revision >= Revision::V2025_06_18 {
            headers.insert(VERSION, HeaderValue::from_static(revision.as_str()));
        }
        if let (Some(id), false) = (self.session().id, revision.is_modern()) {
            headers.insert(SESSION, id);
        }
        headers
    }

    fn of_request(&self, revision: Option<Revision>, request: &Request) -> HeaderMap {
        let mut headers = self.base(revision);
        headers.insert(header::ACCEPT, BOTH);
        headers.insert(header::CONTENT_TYPE, JSON);
        if !revision.is_some_and(Revision::is_modern) {
            return headers;
        }
        headers.insert(METHOD, HeaderValue::from_static(request.method.as_str()));
        if let Some(subject) = &request.subject {
            headers.insert(NAME, header_value::encode(subject));
        }
        for (end, value) in &request.mirrored {
            let name = format!("mcp-param-{}", end.to_ascii_lowercase());
            let fits = value.len() <= HEADER_BYTES;
            if let (Ok(name), true) = (HeaderName::from_bytes(name.as_bytes()), fits) {
                headers.insert(name, header_value::encode(value));
            }
        }
        headers
    }

    /// Makes a request and reads its answer. Dropping the future closes the connection.
    ///
    /// # Errors
    /// [`UpstreamError::SessionLost`]: the server does not know the session and did nothing, or the
    /// call was decided for another.
    pub(in crate::upstream) async fn exchange(
        &self,
        connection: &Connection,
        (revision, request): (Option<Revision>, &Request),
        call: &Arc<UnderWay>,
    ) -> Result<Frame, UpstreamError> {
        let id = request.id.to_string();
        let body = frame::request(&id, request.method.as_str(), &request.params);
        let session = self.session().number;
        let headers = self.of_request(revision, request);
        // Asked after the session was read, so that the session is the one that is meant.
        if connection.is_another_for(request) {
            return Err(UpstreamError::SessionLost);
        }
        let sent = self.send(http::Method::POST, headers, Bytes::from(body));
        let answer = sent.await?;
        if request.method == Method::Initialize && answer.status.is_success() {
            self.open_session(session_of(&answer)?);
        }
        match self.form(connection, answer, request.id).await? {
            Form::Refusal(frame) => Ok(frame),
            Form::Json(body) => {
                let bytes = body.collect(self.frame_bytes).await.map_err(problem)?;
                whole(connection, connection.take(&bytes, Some(call)))
            }
            Form::Events(body) => {
                // A session that is opened has no number before its answer.
                let opened = request.method == Method::Initialize;
                let session = if opened { self.session().number } else { session };
                self.streamed(connection, (revision, body, session), call).await
            }
            Form::Nothing => {
                let why = "it took a request and does not answer it";
                Err(UpstreamError::Misbehaved(why.to_owned()))
            }
        }
    }

    async fn form(
        &self,
        connection: &Connection,
        answer: Answer,
        id: u64,
    ) -> Result<Form, UpstreamError> {
        let status = answer.status;
        if status.is_success() {
            return match kind(&answer.headers) {
                Some(Kind::Json) => Ok(Form::Json(answer.body)),
                Some(Kind::Events) => Ok(Form::Events(answer.body)),
                None if matches!(status.as_u16(), 202 | 204) => Ok(Form::Nothing),
                None => {
                    let why = "its answer is neither JSON nor a stream of events";
                    Err(UpstreamError::Misbehaved(why.to_owned()))
                }
            };
        }
        let code = status.as_u16();
        if matches!(code, 401 | 403) {
            return Err(UpstreamError::Unauthorised { status: code });
        }
        let legacy = connection.settled().is_some_and(|revision| !revision.is_modern());
        if code == 404 && legacy && self.session().id.is_some() {
            return Err(UpstreamError::SessionLost);
        }
        let refused = UpstreamError::Status { status: code };
        if status.is_redirection() || kind(&answer.headers) != Some(Kind::Json) {
            return Err(refused);
        }
        let limit = ERROR_BYTES.min(self.frame_bytes);
        let bytes = answer.body.collect(limit).await.map_err(problem)?;
        let frame = Frame::read(&bytes, connection.limits)
            .and_then(|frame| connection.cleaned(frame, None));
        let frame = frame.map_err(|_| refused.clone())?;
        let ours = match frame.message() {
            Message::Response { id: got, outcome: Err(_) } => {
                got.raw() == "null" || got.raw() == id.to_string()
            }
            Message::Response { .. } | Message::Request { .. } | Message::Notification { .. } => {
                false
            }
        };
        if ours { Ok(Form::Refusal(frame)) } else { Err(refused) }
    }

    /// Reads a stream until the answer comes. Where it breaks, and the server of a session has
    /// numbered its events, it is asked for the rest.
    async fn streamed(
        &self,
        connection: &Connection,
        (revision, body, session): (Option<Revision>, Body, u64),
        call: &Arc<UnderWay>,
    ) -> Result<Frame, UpstreamError> {
        let modern = revision.is_some_and(Revision::is_modern);
        let mut cursor = Cursor::default();
        let mut events = Some(body.events(self.frame_bytes));
        let mut barren = 0;
        loop {
            let before = cursor.seen();
            if let Some(mut events) = events.take()
                && let Some(frame) =
                    read(&connection.me, &mut events, Some(call), &mut cursor).await?
            {
                events.finish(FINISH).await;
                return Ok(frame);
            }
            barren = if cursor.seen() > before { 0 } else { barren + 1 };
            if modern || !cursor.can_resume() || barren > BARREN {
                return Err(UpstreamError::Died { exit: None });
            }
            tokio::time::sleep(cursor.pause()).await;
            // What a new session calls by the same number is something else.
            if self.session().number != session {
                return Err(UpstreamError::Died { exit: None });
            }
            events = match self.listen(revision, &cursor).await {
                Ok(events) => Some(events),
                // It may be away for a moment.
                Err(UpstreamError::Unreachable(_) | UpstreamError::Died { .. }) => None,
                Err(error) => return Err(error),
            };
        }
    }

    /// Asks for a stream of what the server says of its own accord, or for the rest of one.
    pub(super) async fn listen(
        &self,
        revision: Option<Revision>,
        cursor: &Cursor,
    ) -> Result<http::Events, UpstreamError> {
        let mut headers = self.base(revision);
        headers.insert(header::ACCEPT, EVENTS);
        cursor.put(&mut headers);
        let sent = self.send(http::Method::GET, headers, Bytes::new());
        let answer = sent.await?;
        let status = answer.status.as_u16();
        match (status, kind(&answer.headers)) {
            (200, Some(Kind::Events)) => Ok(answer.body.events(self.frame_bytes)),
            (401 | 403, _) => Err(UpstreamError::Unauthorised { status }),
            (_, _) => Err(UpstreamError::Status { status }),
        }
    }

    /// Opens a stream by a request that is answered only when the stream ends.
    pub(in crate::upstream) async fn subscribe(
        &self,
        connection: &Weak<Connection>,
        (request, call): (Request, Arc<UnderWay>),
    ) -> Result<Frame, UpstreamError> {
        let revision = Some(Revision::LATEST);
        let body = frame::request(&call.id.to_string(), request.method.as_str(), &request.params);
        let headers = self.of_request(revision, &request);
        let sent = self.send(http::Method::POST, headers, Bytes::from(body));
        let answer = sent.await?;
        let gone = UpstreamError::Died { exit: None };
        let form = {
            let connection = connection.upgrade().ok_or_else(|| gone.clone())?;
            self.form(&connection, answer, call.id).await?
        };
        match form {
            Form::Refusal(frame) => Ok(frame),
            Form::Json(body) => {
                let bytes = body.collect(self.frame_bytes).await.map_err(problem)?;
                let connection = connection.upgrade().ok_or(gone)?;
                whole(&connection, connection.take(&bytes, Some(&call)))
            }
            Form::Events(body) => {
                let mut events = body.events(self.frame_bytes);
                let mut cursor = Cursor::endless();
                read(connection, &mut events, Some(&call), &mut cursor).await?.ok_or(gone)
            }
            Form::Nothing => Err(gone),
        }
    }

    /// Sends a notification or a response.
    pub(super) async fn tell(&self, revision: Option<Revision>, frame: String) {
        let mut headers = self.base(revision);
        headers.insert(header::ACCEPT, BOTH);
        headers.insert(header::CONTENT_TYPE, JSON);
        let sending = self.send(http::Method::POST, headers, frame.into());
        match timeout(ASIDE, sending).await {
            Ok(Ok(answer)) if answer.status.is_success() => {}
            Ok(Ok(answer)) => tracing::debug!(status = %answer.status, "a message is refused"),
            Ok(Err(error)) => tracing::debug!(%error, "a message is not sent"),
            Err(_) => tracing::debug!("a message is not taken in time"),
        }
    }

    /// As [`Http::tell`], without waiting; `false` if too much is on its way already.
    pub(super) fn offer(self: &Arc<Self>, revision: Option<Revision>, frame: String) -> bool {
        let (Ok(permit), Ok(runtime)) =
            (Arc::clone(&self.asides).try_acquire_owned(), tokio::runtime::Handle::try_current())
        else {
            return false;
        };
        let this = Arc::clone(self);
        runtime.spawn(async move {
            this.tell(revision, frame).await;
            drop(permit);
        });
        true
    }

    /// Ends the session, if there is one; does not wait for the server.
    pub(super) fn close(self: &Arc<Self>) {
        let open = {
            let mut session = self.session.write().unwrap_or_else(PoisonError::into_inner);
            session.id.take()
        };
        let (Some(id), Ok(runtime)) = (open, tokio::runtime::Handle::try_current()) else { return };
        let this = Arc::clone(self);
        runtime.spawn(async move {
            let mut headers = HeaderMap::new();
            headers.insert(SESSION, id);
            let sending = this.send(http::Method::DELETE, headers, Bytes::new());
            // It is a courtesy: sessions end by themselves.
            drop(timeout(ASIDE, sending).await);
        });
    }
}

/// What came in one piece, which has to be the answer.
fn whole(connection: &Connection, taken: Taken) -> Result<Frame, UpstreamError> {
    match taken {
        Taken::Answer(frame) => Ok(frame),
        Taken::Unreadable(why) => Err(why),
        Taken::Other => {
            Err(UpstreamError::Misbehaved("it answered something that was not asked".to_owned()))
        }
        Taken::Over => Err(connection.how_it_ended()),
    }
}

/// The session that a server opened.
fn session_of(answer: &Answer) -> Result<Option<HeaderValue>, UpstreamError> {
    let Some(id) = answer.headers.get(&SESSION) else { return Ok(None) };
    let visible = id.as_bytes().iter().all(u8::is_ascii_graphic);
    if !visible || id.is_empty() || id.len() > HEADER_BYTES {
        return Err(UpstreamError::Misbehaved("its session id is none".to_owned()));
    }
    Ok(Some(id.clone()))
}

/// What a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Json,
    Events,
}

pub(super) fn kind(headers: &HeaderMap) -> Option<Kind> {
    // None was asked for, and nothing is decompressed here: what it comes to nobody knows before.
    if headers.get_all(header::CONTENT_ENCODING).iter().any(|coding| coding != "identity") {
        return None;
    }
    let text = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "application/json" => Some(Kind::Json),
        "text/event-stream" => Some(Kind::Events),
        _ => None,
    }
}
