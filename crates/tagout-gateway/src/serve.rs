//! Serving one client over a byte stream, in whatever revision it speaks.
use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use tagout_proto::{FrameError, Method, frame};
use tagout_wire::{Incoming, Outgoing, WireError, outgoing};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::{
    Gateway,
    clients::Clients,
    exchange::{Abandoned, Exchange, Next},
    news::Outlet,
    parked::{Resumed, Step, bound},
    refusal::Refusal,
    session::Session,
    stage::receive::{Call, Received, Unreceived, VERSION, receive, receive_batch},
    state::Bound,
};

/// How long calls that are under way may take when their client has gone.
const GRACE: Duration = Duration::from_secs(2);
/// Frames in a row that may be refused before they are understood; each is on record, and a client
/// that sends nothing else would fill the disk with them.
const UNREADABLE: usize = 200;
/// Messages in one batch.
pub(crate) const BATCH: usize = 100;

/// One stream and who speaks on it.
struct Line {
    clients: Arc<Clients>,
    /// The client with a handshake; ids of requests are its own whichever way it speaks.
    session: Arc<Session>,
    out: Outgoing,
}

/// Where an answer goes.
#[derive(Clone)]
enum Answers {
    /// Out, by itself.
    Single,
    /// To the batch that the request came in.
    Batch(mpsc::Sender<Bytes>),
}

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
        let clients = Clients::new(self, transport);
        let session = clients.session(&self.principal);
        let (out, mut written) = outgoing(writer);
        session.news.set_outlet(Some(Outlet::Lines(out.clone())));
        let line = Arc::new(Line { clients, session, out });
        let mut incoming = Incoming::new(reader, self.config.limits.frame.frame_bytes);
        let mut unreadable = 0;
        while let Some(Some(next)) = stop.run_until_cancelled(incoming.next()).await {
            let received = match next {
                Ok(bytes) => line.received(&bytes),
                Err(WireError::TooLarge { limit }) => One(Err(Unreceived {
                    refusal: Refusal::FrameTooLarge { limit },
                    id: Some("null".into()),
                    method: None,
                })),
                Err(WireError::Endless { .. } | WireError::Broken(_)) => break,
            };
            unreadable = if received.is_unreadable() { unreadable + 1 } else { 0 };
            if unreadable > UNREADABLE {
                tracing::warn!("the client sent nothing that can be read for too long");
                break;
            }
            if stop.run_until_cancelled(line.take(received)).await.is_none() {
                break;
            }
        }
        line.close(&mut written).await
    }
}

/// What a frame holds.
enum Frames {
    /// One message.
    One(Result<Received, Unreceived>),
    /// Several, whose answers are to come together.
    Several(Vec<Result<Received, Unreceived>>),
}

use Frames::{One, Several};

impl Frames {
    const fn is_unreadable(&self) -> bool {
        matches!(self, Self::One(Err(_)))
    }
}

impl Line {
    fn received(&self, bytes: &Bytes) -> Frames {
        let limits = self.clients.gateway.config.limits.frame;
        let live = self.clients.gateway.watch();
        let batches = self.session.opened().is_some_and(|opened| opened.revision.has_batches());
        if batches && bytes.trim_ascii_start().first() == Some(&b'[') {
            return Several(receive_batch(bytes, (limits, &live), BATCH));
        }
        One(receive(bytes, limits, &live))
    }

    async fn take(self: &Arc<Self>, received: Frames) {
        match received {
            One(received) => self.dispatch(received, &Answers::Single).await,
            Several(all) => {
                let (answers, mut answered) = mpsc::channel(BATCH);
                for received in all {
                    self.dispatch(received, &Answers::Batch(answers.clone())).await;
                }
                let line = Arc::clone(self);
                self.clients.tasks.spawn(async move {
                    drop(answers);
                    let mut batch = Vec::new();
                    while let Some(answer) = answered.recv().await {
                        batch.push(answer);
                    }
                    if !batch.is_empty() {
                        line.send(Some(Bytes::from(array(&batch)))).await;
                    }
                });
            }
        }
    }

    /// Starts a request on its way, and takes notifications and answers at once, so that they keep
    /// their order.
    async fn dispatch(self: &Arc<Self>, received: Result<Received, Unreceived>, answers: &Answers) {
        let received = match received {
            Ok(Received::Answer { id, outcome }) => {
                if self.session.answered(&id, outcome) {
                    return;
                }
                let refusal = Refusal::Frame(FrameError::Shape("nothing was asked of the client"));
                Err(Unreceived { refusal, id: None, method: None })
            }
            Ok(Received::Call(call)) => Ok(call),
            Err(unreceived) => Err(unreceived),
        };
        let (id, method) = match &received {
            Ok(call) => (call.id().map(ToOwned::to_owned), Some(call.method())),
            Err(_) => (None, None),
        };
        let Some(id) = id else {
            return self.answered_here(received, answers).await;
        };
        let limit = self.clients.gateway.config.limits.in_flight;
        let unreceived = |refusal| Unreceived { refusal, id: Some(id.clone().into()), method };
        let withdrawn = match self.session.admit(&id, limit) {
            Ok(withdrawn) => withdrawn,
            Err(refusal) => {
                return self.answered_here(Err(unreceived(refusal)), answers).await;
            }
        };
        let prepared = received.and_then(|call| {
            let session = self.prepared(&call).map_err(unreceived)?;
            Ok((session, call))
        });
        let (session, received) = match prepared {
            Ok((session, call)) => (session, Ok(call)),
            Err(unreceived) => (Arc::clone(&self.session), Err(unreceived)),
        };
        let line = Arc::clone(self);
        // What follows `initialize` may rely on it.
        let opens = method == Some(Method::Initialize);
        let handshake = if opens { self.session.begin_handshake() } else { None };
        let answers = answers.clone();
        self.clients.tasks.spawn(async move {
            if handshake.is_none() && method != Some(Method::Ping) {
                // What is taken back meanwhile is refused as such by the pipeline.
                let _done = withdrawn.run_until_cancelled(line.session.handshake_done()).await;
            }
            let _handshake = handshake;
            let frame = line.drive(&session, received, &id, withdrawn).await;
            // Not before there is room for the answer: a client that does not read must not have
            // ever more under way. But before the answer, which tells the client that it is over.
            let room = line.out.room().await;
            line.session.finished(&id);
            match (room, frame, answers) {
                (Ok(room), Some(frame), Answers::Single) => room.take(frame),
                (room, frame, answers) => {
                    drop(room);
                    line.answer(frame, &answers).await;
                }
            }
        });
    }

    /// Answers what needs no waiting.
    async fn answered_here(&self, received: Result<Box<Call>, Unreceived>, answers: &Answers) {
        let mut exchange = self.exchange(&self.session, received, CancellationToken::new());
        if let Next::Done(recorded) = exchange.next().await {
            self.answer(recorded.into_frame(), answers).await;
        }
    }

    /// Whose call it is: of the client with the handshake, or of one whose requests stand for
    /// themselves.
    fn prepared(&self, call: &Call) -> Result<Arc<Session>, Refusal> {
        // A client that has shaken hands may say what it likes in `_meta`.
        let needs_none = call.method().is_spoken(self.session.revision());
        if needs_none && (call.meta(VERSION).is_none() || self.session.opened().is_some()) {
            return Ok(Arc::clone(&self.session));
        }
        if !needs_none && self.session.opened().is_some() {
            return Err(Refusal::Method { method: call.method().to_string() });
        }
        self.clients.sessionless(self.session.principal(), call)
    }

    fn exchange(
        &self,
        session: &Arc<Session>,
        received: Result<Box<Call>, Unreceived>,
        withdrawn: CancellationToken,
    ) -> Exchange {
        self.clients.exchange(session, received, withdrawn, Abandoned::GoesOn)
    }

    /// Drives one request to the frame that answers it.
    async fn drive(
        &self,
        session: &Arc<Session>,
        received: Result<Box<Call>, Unreceived>,
        id: &str,
        withdrawn: CancellationToken,
    ) -> Option<Bytes> {
        if session.revision().is_modern() {
            return self.drive_sessionless(session, received, id, withdrawn).await;
        }
        let mut exchange = self.exchange(session, received, withdrawn);
        loop {
            match exchange.next().await {
                Next::Tell(frame) => self.send(Some(Bytes::from(frame))).await,
                Next::Ask(question) => {
                    // Where too much is unanswered, whoever asks learns that by the dropped sender.
                    let Some(id) = session.asks(question.answer) else { continue };
                    let method = question.method.as_str();
                    let asked = frame::request(&id.to_string(), method, &question.params);
                    self.send(Some(Bytes::from(asked))).await;
                }
                Next::Done(recorded) => return recorded.into_frame(),
            }
        }
    }

    async fn drive_sessionless(
        &self,
        session: &Arc<Session>,
        received: Result<Box<Call>, Unreceived>,
        id: &str,
        withdrawn: CancellationToken,
    ) -> Option<Bytes> {
        let mut call = match received {
            Ok(call) => call,
            Err(unreceived) => {
                let mut exchange = self.exchange(session, Err(unreceived), withdrawn);
                let Next::Done(recorded) = exchange.next().await else { return None };
                return recorded.into_frame();
            }
        };
        let bound = bound(session, &call);
        let resumed = self.clients.resumed(session, &mut call, id);
        let mut exchange = match resumed {
            Ok(Some(Resumed::AskedAgain(frame))) => return Some(frame),
            Ok(Some(Resumed::Running(exchange))) => {
                // Its first request is over; what takes back this one ends it.
                let mut exchange = Some(exchange);
                let steps = self.stepped(&mut exchange, &bound, id);
                return withdrawn.run_until_cancelled(steps).await.flatten();
            }
            Ok(None) => Some(self.exchange(session, Ok(call), withdrawn)),
            Err(refusal) => {
                let method = Some(call.method());
                let refused = Unreceived { refusal, id: Some(id.into()), method };
                Some(self.exchange(session, Err(refused), withdrawn))
            }
        };
        self.stepped(&mut exchange, &bound, id).await
    }

    /// From step to step, to the frame that answers.
    async fn stepped(
        &self,
        exchange: &mut Option<Exchange>,
        bound: &Bound<'_>,
        id: &str,
    ) -> Option<Bytes> {
        loop {
            match self.clients.step(exchange, bound, id).await {
                Step::Tell(frame) => self.send(Some(Bytes::from(frame))).await,
                Step::Later(frame) => return Some(frame),
                Step::Done(recorded) => return recorded.into_frame(),
            }
        }
    }

    async fn answer(&self, frame: Option<Bytes>, answers: &Answers) {
        match answers {
            Answers::Single => self.send(frame).await,
            Answers::Batch(batch) => {
                if let Some(frame) = frame {
                    // There is room for an answer to each message.
                    drop(batch.send(frame).await);
                }
            }
        }
    }

    async fn send(&self, frame: Option<Bytes>) {
        if let Some(frame) = frame {
            // The client is gone; its answer is on record.
            drop(self.out.send(frame).await);
        }
    }

    /// The client has gone: ends what is under way, and every server that was started for it.
    async fn close(
        self: Arc<Self>,
        written: &mut tokio::task::JoinHandle<io::Result<()>>,
    ) -> io::Result<()> {
        let (session, clients) = (Arc::clone(&self.session), Arc::clone(&self.clients));
        session.client_is_gone();
        clients.end();
        session.news.set_outlet(None);
        clients.tasks.close();
        if timeout(GRACE, clients.tasks.wait()).await.is_err() {
            session.withdraw_all();
            if timeout(GRACE, clients.tasks.wait()).await.is_err() {
                // They wait for a client that does not read.
                written.abort();
                clients.over();
                clients.tasks.wait().await;
            }
        }
        session.end();
        clients.over();
        drop((self, session));
        clients.tasks.wait().await;
        clients.gateway.limits.counted.flush();
        match timeout(GRACE, &mut *written).await {
            Ok(Ok(written)) => written,
            Ok(Err(_)) | Err(_) => {
                written.abort();
                Err(io::ErrorKind::BrokenPipe.into())
            }
        }
    }
}

/// Frames as one batch.
pub(crate) fn array(frames: &[Bytes]) -> Vec<u8> {
    let mut text = vec![b'['];
    for (n, frame) in frames.iter().enumerate() {
        if n > 0 {
            text.push(b',');
        }
        text.extend_from_slice(frame);
    }
    text.push(b']');
    text
}
