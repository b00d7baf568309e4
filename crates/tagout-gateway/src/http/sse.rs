//! HTTP+SSE, the transport of revision 2024-11-05: one stream for everything that the client
//! hears, and a place to post what it says.
use std::sync::Arc;

use bytes::Bytes;
use tagout_wire::{
    http::{BodyError, HeaderMap, Request, Response, StatusCode},
    sse::{COMMENT, Event, encode},
};
use tokio::sync::mpsc;

use super::{
    ALIVE, EVENTS, FRAMES, Front, events_type, headers,
    legacy::{Way, drive},
    length, refused,
    strikes::MOST,
    too_often,
};
use crate::{
    exchange::Abandoned,
    keys::Caller,
    news::Outlet,
    refusal::Refusal,
    session::Session,
    stage::receive::{Received, Unreceived, receive},
};

impl Front {
    /// Opens the stream of a new session.
    pub(super) fn sse_opened(self: &Arc<Self>, caller: &Caller, headers: &HeaderMap) -> Response {
        if !headers::accepts(headers, EVENTS) {
            return refused(StatusCode::NOT_ACCEPTABLE);
        }
        let Ok(opening) = self.opening(caller) else {
            return refused(StatusCode::SERVICE_UNAVAILABLE);
        };
        let session = Arc::clone(&opening.session);
        let (events, listens) = mpsc::channel(FRAMES);
        let data = format!("/messages?session={}", opening.id());
        let event = Event { id: None, event: Some("endpoint".into()), data, retry: None };
        // It is the first, so there is room.
        drop(events.try_send(encode(&event)));
        session.news.set_outlet(Some(Outlet::Events(events.clone())));
        self.clients.tasks.spawn(async move {
            loop {
                tokio::select! {
                    () = events.closed() => break,
                    () = session.ended() => break,
                    () = tokio::time::sleep(ALIVE) => {
                        drop(events.try_send(COMMENT));
                    }
                }
            }
            // The stream is the session.
            drop(opening);
        });
        Response::stream(StatusCode::OK, events_type(), listens)
    }

    /// Takes what a client says; the answer goes on its stream.
    pub(super) async fn sse_posted(
        self: &Arc<Self>,
        caller: &Caller,
        request: &mut Request,
    ) -> Response {
        let peer = request.peer.ip();
        let query = request.query.as_deref().unwrap_or_default();
        let id = query.split('&').find_map(|pair| pair.strip_prefix("session="));
        let session = id.and_then(|id| self.session(caller, id));
        let Some(session) = session else { return refused(StatusCode::NOT_FOUND) };
        let session = Arc::clone(&session.session);
        let Some(Outlet::Events(events)) = session.news.outlet() else {
            return refused(StatusCode::NOT_FOUND);
        };
        let limits = self.gateway.config.limits.frame;
        let received = match request.body(limits.frame_bytes).await {
            Ok(bytes) => {
                let live = self.gateway.watch();
                receive(&bytes, limits, &live).map(|received| received.from(peer).paid())
            }
            Err(BodyError::TooLarge { .. }) => {
                let refusal = Refusal::FrameTooLarge { limit: limits.frame_bytes };
                Err(Unreceived { refusal, id: Some("null".into()), method: None })
            }
            Err(_) => return refused(StatusCode::BAD_REQUEST),
        };
        self.sse_taken(&session, received, events).await
    }

    async fn sse_taken(
        self: &Arc<Self>,
        session: &Arc<Session>,
        received: Result<Received, Unreceived>,
        events: mpsc::Sender<Bytes>,
    ) -> Response {
        let taken = || Response::empty(StatusCode::ACCEPTED);
        let call = match received {
            Ok(Received::Answer { id, outcome }) => {
                self.gateway.limits.owes(session.principal(), 0, length(&outcome));
                session.answered(&id, outcome);
                return taken();
            }
            Ok(Received::Call(call)) => Ok(call),
            Err(unreceived) => Err(unreceived),
        };
        let id = call.as_ref().ok().and_then(|call| call.id().map(ToOwned::to_owned));
        let limit = self.gateway.config.limits.in_flight;
        let (call, withdrawn) = match (call, &id) {
            (Ok(call), Some(id)) => match session.admit(id, limit) {
                Ok(withdrawn) => (Ok(call), withdrawn),
                Err(refusal) => {
                    let (method, id) = (Some(call.method()), Some(id.as_str().into()));
                    (Err(Unreceived { refusal, id, method }), Default::default())
                }
            },
            (call, _) => (call, Default::default()),
        };
        if call.is_err() && !self.strikes.count(&session.principal().user) {
            self.gateway.limits.refused_too_often(session.principal(), MOST);
            return too_often();
        }
        if call.is_err() {
            self.gateway.limits.counts_itself(session.principal());
        }
        // What is refused has no place among what is under way, and waits here for its client to
        // read; notifications keep their order.
        let waits = call.is_err() || id.is_none();
        let exchange = self.clients.exchange(session, call, withdrawn, Abandoned::GoesOn);
        if waits {
            drive(session, exchange, None, &Way::Events(&events)).await;
            return taken();
        }
        let session = Arc::clone(session);
        self.clients.tasks.spawn(async move {
            drive(&session, exchange, None, &Way::Events(&events)).await;
            if let Some(id) = id {
                session.finished(&id);
            }
        });
        taken()
    }
}
