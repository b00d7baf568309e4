//! Clients with a session, over Streamable HTTP.
use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tagout_proto::{Method, Revision, frame};
use tagout_wire::http::{
    HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header,
};
use tokio::{sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{
    ALIVE, EVENTS, FRAMES, Front, PATIENCE, answered, events_type, finished, headers,
    kept::HttpSession, length, locked, modern::SerialId, refused, replay::Stream, strikes::MOST,
    too_often,
};
use crate::{
    exchange::{Abandoned, Exchange, Next},
    keys::Caller,
    news::Outlet,
    refusal::Refusal,
    session::Session,
    stage::receive::{Call, Received, Unreceived, receive},
};

const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");

/// Bytes of a request that takes another back: an id and a reason.
const TAKES_BACK: usize = 1 << 10;
/// How long a request may take to be answered by itself.
const AT_ONCE: Duration = Duration::from_millis(80);

impl Front {
    pub(super) async fn legacy(
        self: &Arc<Self>,
        caller: &Caller,
        call: Box<Call>,
        (session, said): (Option<&str>, Option<&str>),
        prefers_events: bool,
    ) -> Response {
        if call.method() == Method::Initialize {
            return self.initialized(caller, call).await;
        }
        let (id, method) = (call.id().map(ToOwned::to_owned), Some(call.method()));
        let refuse = async |refusal, status| {
            let unreceived = Unreceived { refusal, id: id.clone().map(Into::into), method };
            self.stranger_refused(caller, unreceived, status).await
        };
        let Some(session) = session else {
            let problem = "there is no session: send `initialize`, then its `Mcp-Session-Id`";
            return refuse(Refusal::Handshake(problem), StatusCode::BAD_REQUEST).await;
        };
        let Some(session) = self.session(caller, session) else {
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

    /// A handshake. A client that goes before it is answered takes the session with it: nobody
    /// knows its name.
    async fn initialized(self: &Arc<Self>, caller: &Caller, call: Box<Call>) -> Response {
        let opening = match self.opening(caller) {
            Ok(opening) => opening,
            Err(refusal) => {
                let (id, method) = (call.id().map(Into::into), Some(call.method()));
                let unreceived = Unreceived { refusal, id, method };
                let status = StatusCode::SERVICE_UNAVAILABLE;
                return self.stranger_refused(caller, unreceived, status).await;
            }
        };
        let session = &opening.session;
        // It is under way, and so neither idle nor out of reach of whoever ends it.
        let Ok(own) = SerialId::admit(session, 1) else {
            return refused(StatusCode::INTERNAL_SERVER_ERROR);
        };
        let (withdrawn, abandoned) = (own.withdrawn.clone(), Abandoned::IsWithdrawn);
        let mut exchange = self.clients.exchange(session, Ok(call), withdrawn, abandoned);
        let Next::Done(recorded) = exchange.next().await else {
            return refused(StatusCode::INTERNAL_SERVER_ERROR);
        };
        if session.opened().is_none() {
            return finished(recorded, StatusCode::OK);
        }
        let Ok(id) = HeaderValue::from_str(opening.id()) else {
            return refused(StatusCode::INTERNAL_SERVER_ERROR);
        };
        drop(own);
        opening.keep();
        finished(recorded, StatusCode::OK).header(SESSION, id)
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

    /// A request that only takes back another, which is under way in a session of this caller's.
    /// Nothing long is read for it.
    pub(super) async fn taking_back(
        &self,
        caller: &Caller,
        request: &mut Request,
    ) -> Option<Exchange> {
        let query = request.query.as_deref().unwrap_or_default();
        let named = query.split('&').find_map(|pair| pair.strip_prefix("session="));
        let id = headers::one(&request.headers, "mcp-session-id").ok()?.or(named)?;
        let session = Arc::clone(&self.session(caller, id)?.session);
        let length = request.headers.get(header::CONTENT_LENGTH)?.to_str().ok()?;
        length.parse().ok().filter(|length: &usize| *length <= TAKES_BACK)?;
        let peer = request.peer.ip();
        let bytes = request.body(TAKES_BACK).await.ok()?;
        let (limits, live) = (self.gateway.config.limits.frame, self.gateway.watch());
        let Ok(Received::Call(call)) = receive(&bytes, limits, &live).map(|one| one.from(peer))
        else {
            return None;
        };
        let withdrawn = call.takes_back().and_then(|id| session.under_way(id))?;
        (!withdrawn.is_cancelled()).then(|| self.with_session(&session, Ok(call), None))
    }

    /// A notification: nothing to answer but that it came.
    pub(super) async fn told(&self, mut exchange: Exchange) -> Response {
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
            Err(refused) => {
                return self.one_refused(&session.session, refused, StatusCode::OK).await;
            }
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
        });
        Response::stream(StatusCode::OK, events_type(), listens)
    }

    /// A request that is under way; or why it is not.
    fn admitted(
        &self,
        session: &Arc<HttpSession>,
        call: Box<Call>,
        id: &str,
    ) -> Result<Exchange, Unreceived> {
        let session = &session.session;
        match session.admit(id, self.gateway.config.limits.in_flight) {
            Ok(withdrawn) => Ok(self.with_session(session, Ok(call), Some(withdrawn))),
            Err(refusal) => {
                let method = Some(call.method());
                Err(Unreceived { refusal, id: Some(id.into()), method })
            }
        }
    }

    /// A refusal among others, which counts as one.
    fn refusing(&self, session: &Arc<Session>, unreceived: Unreceived) -> Exchange {
        self.strikes.count(&session.principal().user);
        self.with_session(session, Err(unreceived), None)
    }

    /// The messages of one batch, each answered on one stream.
    pub(super) async fn legacy_batch(
        self: &Arc<Self>,
        session: &Arc<HttpSession>,
        all: Vec<Result<Received, Unreceived>>,
    ) -> Response {
        if self.strikes.is_out(&session.session.principal().user) {
            self.gateway.limits.refused_too_often(session.session.principal(), MOST);
            return too_often();
        }
        self.gateway.limits.counts_itself(session.session.principal());
        let mut exchanges = Vec::new();
        for received in all {
            let call = match received {
                Ok(Received::Answer { id, outcome }) => {
                    let (limits, whose) = (&self.gateway.limits, session.session.principal());
                    limits.owes(whose, 1, length(&outcome));
                    session.session.answered(&id, outcome);
                    continue;
                }
                Ok(Received::Call(call)) => call,
                Err(unreceived) => {
                    exchanges.push((self.refusing(&session.session, unreceived), None));
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
                Err(refused) => {
                    exchanges.push((self.refusing(&session.session, refused), None));
                }
            }
        }
        if exchanges.is_empty() {
            return Response::empty(StatusCode::ACCEPTED);
        }
        let (stream, listens) = session.streams.open();
        let stream = Arc::new(stream);
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
        });
        Response::stream(StatusCode::OK, events_type(), listens)
    }

    /// The client's answer to what it was asked.
    pub(super) fn answered(
        &self,
        caller: &Caller,
        session: Option<&str>,
        id: &str,
        outcome: Result<String, String>,
    ) -> Response {
        self.gateway.limits.owes(&caller.principal, 0, length(&outcome));
        let Some(session) = session else { return refused(StatusCode::BAD_REQUEST) };
        let Some(session) = self.session(caller, session) else {
            return refused(StatusCode::NOT_FOUND);
        };
        // An answer that comes too late is no fault of the client's.
        session.session.answered(id, outcome);
        Response::empty(StatusCode::ACCEPTED)
    }

    /// A stream for news, or the rest of one that was lost.
    pub(super) fn news(&self, caller: &Caller, headers: &HeaderMap) -> Response {
        if headers::revision(headers) == Some(Revision::LATEST.as_str()) {
            return refused(StatusCode::METHOD_NOT_ALLOWED)
                .header(header::ALLOW, HeaderValue::from_static("POST"));
        }
        if !headers::accepts(headers, EVENTS) {
            return refused(StatusCode::NOT_ACCEPTABLE);
        }
        let session = match self.named(caller, headers) {
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

    pub(super) fn deleted(&self, caller: &Caller, headers: &HeaderMap) -> Response {
        if headers::revision(headers) == Some(Revision::LATEST.as_str()) {
            return refused(StatusCode::METHOD_NOT_ALLOWED)
                .header(header::ALLOW, HeaderValue::from_static("POST"));
        }
        if let Err(status) = self.named(caller, headers) {
            return refused(status);
        }
        let id = headers::one(headers, "mcp-session-id").ok().flatten().unwrap_or_default();
        if let Some(session) = locked(&self.sessions).remove(id) {
            session.end();
        }
        Response::empty(StatusCode::OK)
    }

    /// The session that the headers name.
    fn named(&self, caller: &Caller, headers: &HeaderMap) -> Result<Arc<HttpSession>, StatusCode> {
        let id = headers::one(headers, "mcp-session-id").map_err(|_| StatusCode::BAD_REQUEST)?;
        let id = id.ok_or(StatusCode::BAD_REQUEST)?;
        self.session(caller, id).ok_or(StatusCode::NOT_FOUND)
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
    /// Whether there still is a way: a client that does not read its only stream has none.
    async fn say(&self, frame: &[u8]) -> bool {
        match self {
            Self::Stream(stream) => {
                stream.say(frame).await;
                true
            }
            Self::Events(events) => {
                let event = tagout_wire::sse::message(frame);
                matches!(timeout(PATIENCE, events.send(event)).await, Ok(Ok(())))
            }
        }
    }

    fn keep_alive(&self) {
        match self {
            Self::Stream(stream) => stream.keep_alive(),
            Self::Events(_) => {}
        }
    }
}

/// Drives a request of a client with a session to its answer. The session ends where there is no
/// way to the client.
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
        let (frame, last) = match next {
            Next::Tell(frame) => (Some(Bytes::from(frame)), false),
            Next::Ask(question) => {
                // Where too much is unanswered, whoever asks learns that by the dropped sender.
                let Some(id) = session.asks(question.answer) else { continue };
                let method = question.method.as_str();
                let asked = frame::request(&id.to_string(), method, &question.params);
                (Some(Bytes::from(asked)), false)
            }
            Next::Done(recorded) => (recorded.into_frame(), true),
        };
        if let Some(frame) = frame
            && !way.say(&frame).await
        {
            // What it was to hear is on record, and what is under way ends with its session.
            session.end();
            return;
        }
        if last {
            return;
        }
    }
}
