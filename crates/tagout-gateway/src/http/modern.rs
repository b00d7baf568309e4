//! Clients whose requests each stand for themselves.
use std::sync::Arc;

use bytes::Bytes;
use tagout_wire::{
    http::{HeaderMap, Response, StatusCode},
    sse,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{ALIVE, FRAMES, Front, answered, events_type, headers, json, refused};
use crate::{
    exchange::{Abandoned, Exchange},
    keys::Caller,
    parked::{Resumed, Step, bound},
    refusal::Refusal,
    session::Session,
    stage::{
        receive::{Call, Unreceived},
        record::Recorded,
    },
    state::Bound,
};

impl Front {
    pub(super) async fn modern(
        self: &Arc<Self>,
        caller: &Caller,
        mut call: Box<Call>,
        headers: &HeaderMap,
    ) -> Response {
        let (id, method) = (call.id().map(ToOwned::to_owned), call.method());
        let session = match self.of_kind(caller, &mut call, headers).await {
            Ok(session) => session,
            Err(refusal) => {
                let id = id.map(Into::into);
                let unreceived = Unreceived { refusal, id, method: Some(method) };
                return self.stranger_refused(caller, unreceived, StatusCode::BAD_REQUEST).await;
            }
        };
        let Some(id) = id else {
            self.gateway.limits.owes(session.principal(), 0, call.bytes());
            return Response::empty(StatusCode::ACCEPTED);
        };
        let own = SerialId::admit(&session, self.gateway.config.limits.in_flight);
        let own = match own {
            Ok(own) => own,
            Err(refusal) => {
                let unreceived = Unreceived { refusal, id: Some(id.into()), method: Some(method) };
                return self.one_refused(&session, unreceived, StatusCode::OK).await;
            }
        };
        let bound = bound(&session, &call);
        let running = match self.resumed(&session, &mut call, &id) {
            Ok(Some(Resumed::AskedAgain(frame))) => {
                return Response::full(StatusCode::OK, json(), frame);
            }
            Ok(Some(Resumed::Running(exchange))) => exchange,
            Ok(None) => self.start(&session, Ok(call), &own),
            Err(refusal) => {
                let unreceived =
                    Unreceived { refusal, id: Some(id.as_str().into()), method: Some(method) };
                self.start(&session, Err(unreceived), &own)
            }
        };
        let mut exchange = Some(running);
        let first =
            tokio::time::timeout(ALIVE, self.clients.step(&mut exchange, &bound, &id)).await;
        let first = match first {
            Ok(first) => first,
            // A status has to wait for the answer, but not for ever.
            Err(_) => {
                let Some(exchange) = exchange else { return refused(StatusCode::OK) };
                return self.streamed(exchange, (bound_of(&bound), id), None, own);
            }
        };
        match first {
            Step::Done(recorded) => {
                let status = status(&recorded);
                answered(recorded, status, headers::prefers_events(headers))
            }
            Step::Later(frame) => Response::full(StatusCode::OK, json(), frame),
            Step::Tell(first) => {
                let Some(exchange) = exchange else { return refused(StatusCode::OK) };
                self.streamed(exchange, (bound_of(&bound), id), Some(first), own)
            }
        }
    }

    /// What the request goes on with, and its bytes counted: no other call does that.
    fn resumed(
        &self,
        session: &Session,
        call: &mut Call,
        id: &str,
    ) -> Result<Option<Resumed>, Refusal> {
        let (limits, principal) = (&self.gateway.limits, session.principal());
        let bytes = call.bytes();
        let resumed = self.clients.resumed(session, call, id);
        match &resumed {
            Ok(Some(_)) => limits.owes(principal, 0, bytes),
            Ok(None) => {}
            Err(_) => limits.counts_itself(principal),
        }
        resumed
    }

    /// The session of the client's kind. Headers are held against the body before anything else.
    async fn of_kind(
        &self,
        caller: &Caller,
        call: &mut Call,
        headers: &HeaderMap,
    ) -> Result<Arc<Session>, Refusal> {
        let mirrored = headers::mirrored(headers, call)?;
        // As the body is by now: both must say the same.
        let clean = |(end, value): (_, String)| (end, self.gateway.secrets.clean(&value));
        call.set_mirrored(mirrored.into_iter().map(clean).collect());
        self.clients.sessionless_of(caller, call).await
    }

    fn start(
        &self,
        session: &Arc<Session>,
        received: Result<Box<Call>, Unreceived>,
        own: &SerialId,
    ) -> Exchange {
        self.clients.exchange(session, received, own.withdrawn.clone(), Abandoned::IsWithdrawn)
    }

    /// An answer with something before it: a stream of events, whose end by the client takes the
    /// request back.
    fn streamed(
        self: &Arc<Self>,
        exchange: Exchange,
        (bound, id): (OwnBound, String),
        first: Option<String>,
        own: SerialId,
    ) -> Response {
        let (events, stream) = mpsc::channel(FRAMES);
        let clients = Arc::clone(&self.clients);
        self.clients.tasks.spawn(async move {
            // Dropping the exchange withdraws it.
            let mut exchange = Some(exchange);
            let telling = async {
                let first = first.map_or(sse::COMMENT, |first| sse::message(first.as_bytes()));
                events.send(first).await.ok()?;
                loop {
                    let bound = bound.borrowed();
                    let step = clients.step(&mut exchange, &bound, &id);
                    let step = tokio::time::timeout(ALIVE, step).await;
                    let (frame, last) = match step {
                        Err(_) => {
                            events.send(sse::COMMENT).await.ok()?;
                            continue;
                        }
                        Ok(Step::Tell(frame)) => (Some(Bytes::from(frame)), false),
                        Ok(Step::Later(frame)) => (Some(frame), true),
                        Ok(Step::Done(recorded)) => (recorded.into_frame(), true),
                    };
                    if let Some(frame) = frame {
                        events.send(sse::message(&frame)).await.ok()?;
                    }
                    if last {
                        return Some(());
                    }
                }
            };
            tokio::select! {
                _ = telling => {}
                () = events.closed() => {}
            }
            drop((exchange, own));
        });
        Response::stream(StatusCode::OK, events_type(), stream)
    }
}

/// The HTTP status that this revision wants beside an error, whoever made it.
fn status(recorded: &Recorded) -> StatusCode {
    match (recorded.rpc_code(), recorded.code()) {
        (Some(-32601), _) => StatusCode::NOT_FOUND,
        _ if recorded.retry_after_s().is_some() => StatusCode::TOO_MANY_REQUESTS,
        (Some(-32020 | -32021 | -32022 | -32700), _)
        | (_, Some("meta-missing" | "frame-malformed" | "frame-ambiguous")) => {
            StatusCode::BAD_REQUEST
        }
        _ => StatusCode::OK,
    }
}

/// A request under a name of its own: clients of one kind share a session and may choose the same
/// ids.
pub(super) struct SerialId {
    session: Arc<Session>,
    id: String,
    pub(super) withdrawn: CancellationToken,
}

impl SerialId {
    pub(super) fn admit(session: &Arc<Session>, limit: usize) -> Result<Self, Refusal> {
        let id = session.serial();
        let withdrawn = session.admit(&id, limit)?;
        Ok(Self { session: Arc::clone(session), id, withdrawn })
    }
}

impl Drop for SerialId {
    fn drop(&mut self) {
        self.session.finished(&self.id);
        self.session.touch();
    }
}

/// A [`Bound`] that borrows nothing.
struct OwnBound {
    principal: [String; 2],
    method: String,
    params: [u8; 32],
}

fn bound_of(bound: &Bound<'_>) -> OwnBound {
    let principal = bound.principal.map(ToOwned::to_owned);
    OwnBound { principal, method: bound.method.to_owned(), params: bound.params }
}

impl OwnBound {
    fn borrowed(&self) -> Bound<'_> {
        let [user, by] = &self.principal;
        Bound { principal: [user, by], method: &self.method, params: self.params }
    }
}
