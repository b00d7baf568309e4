//! Clients with a session, over Streamable HTTP.
use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tagout_proto::{Method, Principal, Revision, frame};
use tagout_wire::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use tokio::{sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{
    ALIVE, EVENTS, FRAMES, Front, SESSIONS, answered, events_type, finished, headers, locked,
    refused,
    replay::{Stream, Streams},
};
use crate::{
    exchange::{Abandoned, Exchange, Next},
    news::Outlet,
    refusal::Refusal,
    session::Session,
    stage::receive::{Call, Received, Unreceived},
};

const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");

/// How long a request may take to be answered by itself.
const AT_ONCE: Duration = Duration::from_millis(80);

/// A session and what its streams said.
pub(super) struct HttpSession {
    pub(super) session: Arc<Session>,
    pub(super) streams: Streams,
}

impl HttpSession {
    pub(super) fn end(&self) {
        self.session.news.set_outlet(None);
        self.session.end();
    }
}

/// A name that nobody guesses.
pub(super) fn unguessable() -> Option<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).ok()?;
    Some(hex::encode(bytes))
}

impl Front {
    /// The session `id` of this principal; another's is as if it did not exist.
    pub(super) fn session(&self, principal: &Principal, id: &str) -> Option<Arc<HttpSession>> {
        let session = locked(&self.sessions).get(id).cloned()?;
        let owner = session.session.principal();
        let same = owner.user == principal.user
            && owner.authenticated_by == principal.authenticated_by
            && owner.groups == principal.groups;
        if same {
            session.session.touch();
        }
        same.then_some(session)
    }

    /// Keeps a session under a name of its own.
    pub(super) fn keep_session(&self, session: &Arc<Session>) -> Result<String, Refusal> {
        let too_many = Refusal::TooMany { what: "sessions" };
        let id = unguessable().ok_or(Refusal::TooMany { what: "sessions" })?;
        let mut sessions = locked(&self.sessions);
        let user = &session.principal().user;
        let own = sessions.values().filter(|other| other.session.principal().user == *user);
        if own.count() >= SESSIONS {
            return Err(too_many);
        }
        let kept = HttpSession { session: Arc::clone(session), streams: Streams::default() };
        sessions.insert(id.clone(), Arc::new(kept));
        Ok(id)
    }

    pub(super) async fn legacy(
        self: &Arc<Self>,
        principal: &Principal,
        call: Box<Call>,
        (session, said): (Option<&str>, Option<&str>),
        prefers_events: bool,
    ) -> Response {
        if call.method() == Method::Initialize {
            return self.initialized(principal, call).await;
        }
        let (id, method) = (call.id().map(ToOwned::to_owned), Some(call.method()));
        let refuse = async |refusal, status| {
            let stranger = self.clients.session(principal);
            let unreceived = Unreceived { refusal, id: id.clone().map(Into::into), method };
            self.one_refused(&stranger, unreceived, status).await
        };
        let Some(session) = session else {
            let problem = "there is no session: send `initialize`, then its `Mcp-Session-Id`";
            return refuse(Refusal::Handshake(problem), StatusCode::BAD_REQUEST).await;
        };
        let Some(session) = self.session(principal, session) else {
            let problem = "there is no such session, or no longer: send `initialize` again";
            return refuse(Refusal::Handshake(problem), StatusCode::NOT_FOUND).await;
        };
        if said.is_some_and(|said| said != session.session.revision().as_str()) {
            let header = "mcp-protocol-version".into();
            let problem = "is not the revision that `initialize` settled on";
            return refuse(Refusal::Header { header, problem }, StatusCode::BAD_REQUEST).await;
        }
        match id {
            None => {
                let exchange = self.with_session(&session.session, Ok(call), None);
                self.told(exchange).await
            }
            Some(id) => self.requested(&session, call, &id, prefers_events).await,
        }
    }

    async fn initialized(self: &Arc<Self>, principal: &Principal, call: Box<Call>) -> Response {
        let session = self.clients.session(principal);
        let mut exchange = self.with_session(&session, Ok(call), None);
        let Next::Done(recorded) = exchange.next().await else {
            session.end();
            return refused(StatusCode::INTERNAL_SERVER_ERROR);
        };
        if session.opened().is_none() {
            session.end();
            return finished(recorded, StatusCode::OK);
        }
        let kept = self.keep_session(&session).and_then(|id| {
            HeaderValue::from_str(&id).map_err(|_| Refusal::TooMany { what: "sessions" })
        });
        match kept {
            Ok(id) => finished(recorded, StatusCode::OK).header(SESSION, id),
            Err(refusal) => {
                session.end();
                let unreceived = Unreceived { refusal, id: Some("null".into()), method: None };
                self.one_refused(&session, unreceived, StatusCode::SERVICE_UNAVAILABLE).await
            }
        }
    }

    fn with_session(
        &self,
        session: &Arc<Session>,
        received: Result<Box<Call>, Unreceived>,
        withdrawn: Option<CancellationToken>,
    ) -> Exchange {
        let withdrawn = withdrawn.unwrap_or_default();
        // These revisions take a lost connection for nothing but that.
        self.clients.exchange(session, received, withdrawn, Abandoned::GoesOn)
    }

    /// A notification: nothing to answer but that it came.
    async fn told(&self, mut exchange: Exchange) -> Response {
        match exchange.next().await {
            Next::Done(recorded) => finished(recorded, StatusCode::ACCEPTED),
            Next::Tell(_) | Next::Ask(_) => Response::empty(StatusCode::ACCEPTED),
        }
    }

    /// A request: answered by itself, or by a stream where something comes before the answer.
    async fn requested(
        self: &Arc<Self>,
        session: &Arc<HttpSession>,
        call: Box<Call>,
        id: &str,
        prefers_events: bool,
    ) -> Response {
        let mut exchange = match self.admitted(session, call, id) {
            Ok(exchange) => exchange,
            Err(exchange) => return self.told(*exchange).await,
        };
        let finishing = Finishing { session: Arc::clone(session), id: id.to_owned() };
        // What takes longer is answered by a stream, which shows that it is alive and can be taken
        // up again when the connection breaks.
        let resumable = session.session.revision() >= Revision::V2025_11_25;
        let first = if prefers_events && resumable {
            None
        } else {
            match timeout(AT_ONCE, exchange.next()).await {
                Ok(Next::Done(recorded)) => {
                    return answered(recorded, StatusCode::OK, prefers_events);
                }
                Ok(first @ (Next::Tell(_) | Next::Ask(_))) => Some(first),
                Err(_) => None,
            }
        };
        let (stream, listens) = session.streams.open();
        self.clients.tasks.spawn(async move {
            if resumable {
                stream.prime().await;
            }
            drive(&finishing.session.session, exchange, first, &Way::Stream(&stream)).await;
            stream.end();
        });
        Response::stream(StatusCode::OK, events_type(), listens)
    }

    /// A request that is under way; or one that tells why it is not.
    fn admitted(
        &self,
        session: &Arc<HttpSession>,
        call: Box<Call>,
        id: &str,
    ) -> Result<Exchange, Box<Exchange>> {
        let session = &session.session;
        match session.admit(id, self.gateway.config.limits.in_flight) {
            Ok(withdrawn) => Ok(self.with_session(session, Ok(call), Some(withdrawn))),
            Err(refusal) => {
                let method = Some(call.method());
                let refused = Unreceived { refusal, id: Some(id.into()), method };
                Err(Box::new(self.with_session(session, Err(refused), None)))
            }
        }
    }

    /// The messages of one batch, each answered on one stream.
    pub(super) async fn legacy_batch(
        self: &Arc<Self>,
        session: &Arc<HttpSession>,
        all: Vec<Result<Received, Unreceived>>,
    ) -> Response {
        let mut exchanges = Vec::new();
        for received in all {
            let call = match received {
                Ok(Received::Answer { id, outcome }) => {
                    session.session.answered(&id, outcome);
                    continue;
                }
                Ok(Received::Call(call)) => call,
                Err(unreceived) => {
                    let exchange = self.with_session(&session.session, Err(unreceived), None);
                    exchanges.push((exchange, None));
                    continue;
                }
            };
            let Some(id) = call.id().map(ToOwned::to_owned) else {
                let mut exchange = self.with_session(&session.session, Ok(call), None);
                // Notifications answer nothing.
                drop(exchange.next().await);
                continue;
            };
            match self.admitted(session, call, &id) {
                Ok(exchange) => {
                    let finishing = Finishing { session: Arc::clone(session), id };
                    exchanges.push((exchange, Some(finishing)));
                }
                Err(exchange) => exchanges.push((*exchange, None)),
            }
        }
        if exchanges.is_empty() {
            return Response::empty(StatusCode::ACCEPTED);
        }
        let (stream, listens) = session.streams.open();
        let (session, tasks) = (Arc::clone(session), self.clients.tasks.clone());
        self.clients.tasks.spawn(async move {
            let running: Vec<_> = exchanges
                .into_iter()
                .map(|(exchange, finishing)| {
                    let (session, stream) = (Arc::clone(&session), Arc::clone(&stream));
                    tasks.spawn(async move {
                        drive(&session.session, exchange, None, &Way::Stream(&stream)).await;
                        drop(finishing);
                    })
                })
                .collect();
            for one in running {
                // One that failed has nothing more to say.
                drop(one.await);
            }
            stream.end();
        });
        Response::stream(StatusCode::OK, events_type(), listens)
    }

    /// The client's answer to what it was asked.
    pub(super) fn answered(
        &self,
        principal: &Principal,
        session: Option<&str>,
        id: &str,
        outcome: Result<String, String>,
    ) -> Response {
        let Some(session) = session else { return refused(StatusCode::BAD_REQUEST) };
        let Some(session) = self.session(principal, session) else {
            return refused(StatusCode::NOT_FOUND);
        };
        // An answer that comes too late is no fault of the client's.
        session.session.answered(id, outcome);
        Response::empty(StatusCode::ACCEPTED)
    }

    /// A stream for news, or the rest of one that was lost.
    pub(super) fn news(&self, principal: &Principal, headers: &HeaderMap) -> Response {
        if headers::revision(headers) == Some(Revision::LATEST.as_str()) {
            return refused(StatusCode::METHOD_NOT_ALLOWED)
                .header(header::ALLOW, HeaderValue::from_static("POST"));
        }
        if !headers::accepts(headers, EVENTS) {
            return refused(StatusCode::NOT_ACCEPTABLE);
        }
        let session = match self.named(principal, headers) {
            Ok(session) => session,
            Err(status) => return refused(status),
        };
        if let Ok(Some(last)) = headers::one(headers, "last-event-id")
            && let Some(rest) = session.streams.resume(last)
        {
            return Response::stream(StatusCode::OK, events_type(), rest);
        }
        let (events, listens) = mpsc::channel(FRAMES);
        // One stream at a time: what is said must not be said twice.
        session.session.news.set_outlet(Some(Outlet::Events(events.clone())));
        let session = Arc::clone(&session.session);
        self.clients.tasks.spawn(async move {
            loop {
                tokio::select! {
                    () = events.closed() => return,
                    () = session.ended() => return,
                    // Its end tells whoever still reads it that another took its place.
                    () = session.news.left(&events) => return,
                    () = tokio::time::sleep(ALIVE) => {
                        drop(events.try_send(tagout_wire::sse::COMMENT));
                    }
                }
            }
        });
        Response::stream(StatusCode::OK, events_type(), listens)
    }

    pub(super) fn deleted(&self, principal: &Principal, headers: &HeaderMap) -> Response {
        if headers::revision(headers) == Some(Revision::LATEST.as_str()) {
            return refused(StatusCode::METHOD_NOT_ALLOWED)
                .header(header::ALLOW, HeaderValue::from_static("POST"));
        }
        if let Err(status) = self.named(principal, headers) {
            return refused(status);
        }
        let id = headers::one(headers, "mcp-session-id").ok().flatten().unwrap_or_default();
        if let Some(session) = locked(&self.sessions).remove(id) {
            session.end();
        }
        Response::empty(StatusCode::OK)
    }

    /// The session that the headers name.
    fn named(
        &self,
        principal: &Principal,
        headers: &HeaderMap,
    ) -> Result<Arc<HttpSession>, StatusCode> {
        let id = headers::one(headers, "mcp-session-id").map_err(|_| StatusCode::BAD_REQUEST)?;
        let id = id.ok_or(StatusCode::BAD_REQUEST)?;
        self.session(principal, id).ok_or(StatusCode::NOT_FOUND)
    }
}

/// Notes that a request is over.
struct Finishing {
    session: Arc<HttpSession>,
    id: String,
}

impl Drop for Finishing {
    fn drop(&mut self) {
        self.session.session.finished(&self.id);
        self.session.session.touch();
    }
}

/// Where what a request says goes.
pub(super) enum Way<'a> {
    /// On a stream that can be taken up again.
    Stream(&'a Stream),
    /// On the one stream of a session of the oldest transport, event by event.
    Events(&'a mpsc::Sender<Bytes>),
}

impl Way<'_> {
    async fn say(&self, frame: &[u8]) {
        match self {
            Self::Stream(stream) => stream.say(frame).await,
            // The client is gone; what it was to hear is on record.
            Self::Events(events) => drop(events.send(tagout_wire::sse::message(frame)).await),
        }
    }

    fn keep_alive(&self) {
        match self {
            Self::Stream(stream) => stream.keep_alive(),
            Self::Events(_) => {}
        }
    }
}

/// Drives a request of a client with a session to its answer.
pub(super) async fn drive(
    session: &Session,
    mut exchange: Exchange,
    first: Option<Next>,
    way: &Way<'_>,
) {
    let mut due = first;
    loop {
        let next = match due.take() {
            Some(next) => next,
            None => match timeout(ALIVE, exchange.next()).await {
                Ok(next) => next,
                Err(_) => {
                    way.keep_alive();
                    continue;
                }
            },
        };
        match next {
            Next::Tell(frame) => way.say(frame.as_bytes()).await,
            Next::Ask(question) => {
                // Where too much is unanswered, whoever asks learns that by the dropped sender.
                let Some(id) = session.asks(question.answer) else { continue };
                let method = question.method.as_str();
                let asked = frame::request(&id.to_string(), method, &question.params);
                way.say(asked.as_bytes()).await;
            }
            Next::Done(recorded) => {
                if let Some(frame) = recorded.into_frame() {
                    way.say(&frame).await;
                }
                return;
            }
        }
    }
}
