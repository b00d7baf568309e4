//! Serving one client over a byte stream.
use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use tagout_audit::{Durability, Note};
use tagout_inspect::screen::made_safe;
use tagout_proto::{Method, ServerName, frame};
use tagout_wire::{Incoming, Outgoing, WireError, outgoing};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Gateway,
    refusal::Refusal,
    session::Session,
    stage::{
        forward::without_ours,
        receive::{Unreceived, receive},
    },
    upstream::{Event, composed},
};

/// How long calls that are under way may take when their client has gone.
const GRACE: Duration = Duration::from_secs(2);
/// Frames in a row that may be refused before they are understood; each is on record, and a client
/// that sends nothing else would fill the disk with them.
const UNREADABLE: usize = 200;
/// How long a notification waits for a client that does not read.
const TOLD: Duration = Duration::from_millis(500);
/// Events of servers that wait to be passed on.
const EVENTS: usize = 96;

impl Gateway {
    /// Serves one client until it closes its side, breaks off, or `stop` is cancelled; then ends
    /// what is under way and every server that was started for it.
    ///
    /// # Errors
    /// The client's stream broke while it was being written to.
    pub async fn serve<R, W>(
        self: &Arc<Self>,
        (reader, writer): (R, W),
        transport: &'static str,
        stop: &CancellationToken,
    ) -> io::Result<()>
    where
        R: AsyncRead + Send + Unpin + 'static,
        W: AsyncWrite + Send + Unpin + 'static,
    {
        let (events, happened) = mpsc::channel(EVENTS);
        let session = Arc::new(Session::new(self, transport, &events));
        drop(events);
        let (out, mut written) = outgoing(writer);
        let calls = TaskTracker::new();
        let starting = Arc::clone(&session);
        calls.spawn(async move { starting.while_client_is_there(starting.start()).await });
        let over = CancellationToken::new();
        let telling = tokio::spawn(tell(
            Arc::clone(self),
            Arc::clone(&session),
            happened,
            (out.clone(), over.clone()),
        ));

        let mut incoming = Incoming::new(reader, self.config.limits.frame.frame_bytes);
        let mut unreadable = 0;
        while let Some(Some(next)) = stop.run_until_cancelled(incoming.next()).await {
            let received = match next {
                Ok(bytes) => receive(&bytes, self.config.limits.frame),
                Err(WireError::TooLarge { limit }) => Err(Unreceived {
                    refusal: Refusal::FrameTooLarge { limit },
                    id: Some("null".into()),
                    method: None,
                }),
                Err(WireError::Endless { .. } | WireError::Broken(_)) => break,
            };
            unreadable = if received.is_err() { unreadable + 1 } else { 0 };
            if unreadable > UNREADABLE {
                tracing::warn!("the client sent nothing that can be read for too long");
                break;
            }
            let dispatched = self.dispatch(&session, received, &out, &calls);
            if stop.run_until_cancelled(dispatched).await.is_none() {
                break;
            }
        }

        session.client_is_gone();
        calls.close();
        if timeout(GRACE, calls.wait()).await.is_err() {
            session.withdraw_all();
            if timeout(GRACE, calls.wait()).await.is_err() {
                // They wait for a client that does not read.
                written.abort();
                calls.wait().await;
            }
        }
        session.fleet().stop();
        over.cancel();
        drop((out, session));
        match telling.await {
            Ok(()) | Err(_) => {}
        }
        match timeout(GRACE, &mut written).await {
            Ok(Ok(written)) => written,
            Ok(Err(_)) | Err(_) => {
                written.abort();
                Err(io::ErrorKind::BrokenPipe.into())
            }
        }
    }

    /// Starts a request on its way, and takes notifications at once, so that they keep their order.
    async fn dispatch(
        self: &Arc<Self>,
        session: &Arc<Session>,
        received: Result<crate::stage::receive::Call, Unreceived>,
        out: &Outgoing,
        calls: &TaskTracker,
    ) {
        let (id, method) = match &received {
            Ok(call) => (call.id().map(ToOwned::to_owned), Some(call.method())),
            Err(_) => (None, None),
        };
        let Some(id) = id else {
            let recorded = self.handle(session, received, &CancellationToken::new()).await;
            send(out, recorded.into_frame()).await;
            return;
        };
        let withdrawn = match session.admit(&id, self.config.limits.in_flight) {
            Ok(withdrawn) => withdrawn,
            Err(refusal) => {
                let refused = Err(Unreceived { refusal, id: Some(id.into()), method });
                let recorded = self.handle(session, refused, &CancellationToken::new()).await;
                return send(out, recorded.into_frame()).await;
            }
        };
        let (gateway, session, out) = (Arc::clone(self), Arc::clone(session), out.clone());
        // What follows `initialize` may rely on it.
        let opens = method == Some(Method::Initialize);
        let handshake = if opens { session.begin_handshake() } else { None };
        let call = async move {
            if handshake.is_none() && method != Some(Method::Ping) {
                // What is taken back meanwhile is refused as such by the pipeline.
                let _done = withdrawn.run_until_cancelled(session.handshake_done()).await;
            }
            let _handshake = handshake;
            let recorded = gateway.handle(&session, received, &withdrawn).await;
            // Not before there is room for the answer: a client that does not read must not have
            // ever more under way. But before the answer, which tells the client that it is over.
            let room = out.room().await;
            session.finished(&id);
            if let (Ok(room), Some(frame)) = (room, recorded.into_frame()) {
                room.take(frame);
            }
        };
        calls.spawn(call);
    }
}

async fn send(out: &Outgoing, frame: Option<Bytes>) {
    if let Some(frame) = frame {
        // The client is gone; its answer is on record.
        drop(out.send(frame).await);
    }
}

/// Passes on what servers tell of their own accord, and puts on record what they do wrong; once
/// the session is `over`, only the latter, of what happened until then.
async fn tell(
    gateway: Arc<Gateway>,
    session: Arc<Session>,
    mut happened: mpsc::Receiver<(ServerName, Event)>,
    (out, over): (Outgoing, CancellationToken),
) {
    loop {
        let next = match over.run_until_cancelled(happened.recv()).await {
            Some(next) => next,
            None => {
                happened.close();
                happened.recv().await
            }
        };
        let Some((server, event)) = next else { return };
        let (method, params) = match event {
            Event::Wrong { event, detail } => {
                tracing::warn!(%server, event, "{detail}");
                note(&gateway, &session, &server, (event, &detail));
                continue;
            }
            Event::Started { pid } => {
                let detail = format!("process {pid}");
                note(&gateway, &session, &server, ("server-started", &detail));
                continue;
            }
            Event::Quarantines(catalogue) => {
                gateway.announce_changes(&catalogue);
                continue;
            }
            // Before the handshake there is nobody to tell.
            _ if session.opened().is_none() => continue,
            Event::ListChanged(method) => (method, "{}".to_owned()),
            Event::Progress { params } => (Method::Progress, params),
            Event::Tells { method: Method::ResourceUpdated, params } => {
                let uri = composed(&params)
                    .ok()
                    .and_then(|d| Some(d.root().get("uri")?.text()?.into_owned()));
                if !uri.is_some_and(|uri| session.watches(&uri)) {
                    continue;
                }
                (Method::ResourceUpdated, params)
            }
            Event::Tells { method, params } => (method, params),
        };
        if let Some(params) = fit_to_tell(&params) {
            let frame = Bytes::from(frame::notification(method.as_str(), &params));
            let telling = over.run_until_cancelled(send(&out, Some(frame)));
            // A client that does not read must not keep things from the record.
            if timeout(TOLD, telling).await.is_err() {
                tracing::warn!(%server, %method, "the client does not read");
            }
        }
    }
}

/// A notification's parameters without what hides and without what is the gateway's to say.
fn fit_to_tell(params: &str) -> Option<String> {
    let document = composed(params).ok()?;
    let meta = document.root().get("_meta").map(without_ours);
    let params = meta.map(|meta| document.root().with(&[("_meta", Some(&meta))]));
    let document = params.map_or(Some(document), |params| composed(&params).ok())?;
    let text = || document.root().raw().to_owned();
    Some(made_safe(document.root()).map_or_else(text, |(safe, _)| safe))
}

fn note(gateway: &Gateway, session: &Session, server: &ServerName, (event, detail): (&str, &str)) {
    let mut note = Note::new(gateway.clock.now(), event);
    note.principal = Some(session.principal());
    note.server = Some(server);
    note.detail = Some(detail);
    if let Err(error) = gateway.audit.note(&note, Durability::System) {
        tracing::error!(%error, event, "what a server did is not on record");
    }
}
