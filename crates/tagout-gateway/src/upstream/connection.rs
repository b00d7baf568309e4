//! One running server and the JSON-RPC spoken with it, in an id space of its own.
use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tagout_inspect::characters::made_visible;
use tagout_proto::{Frame, Id, Limits, Message, Method, ServerName, Value, frame};
use tagout_sandbox::Child;
use tagout_wire::{Incoming, Outgoing, WireError};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{Catalogue, UpstreamError};
use crate::lane::Lane;

/// What a server does of its own accord.
#[derive(Debug)]
pub(crate) enum Event {
    /// It says that a list of its own changed.
    ListChanged(Method),
    /// How far a request is; a JSON text with the client's own token.
    Progress { params: String },
    /// Anything else that it tells: a log message, a watched resource that changed.
    Tells { method: Method, params: String },
    /// It was asked what it offers, and a tool of it is another than was pinned.
    Quarantines(Arc<Catalogue>),
    /// It was started.
    Started { pid: u32 },
    /// It did what it should not; for the audit log.
    Wrong { event: &'static str, detail: String },
}

/// A request to a server.
pub(crate) struct Request {
    /// As [`Connection::reserve`] gave it.
    pub(crate) id: u64,
    pub(crate) method: Method,
    /// An object, as JSON text.
    pub(crate) params: String,
    /// The client's progress token, a JSON text; the server gets the request's id in its place.
    pub(crate) progress: Option<String>,
    /// The way back to the client, for what the server says on its way to the answer.
    pub(crate) lane: Option<Lane>,
    /// The tool's or prompt's name at the server, or the URI: what HTTP headers repeat.
    pub(crate) subject: Option<String>,
    /// The arguments that HTTP headers repeat: the names of the headers' ends, and the values.
    pub(crate) mirrored: Vec<(String, String)>,
}

impl Request {
    /// A request of the gateway's own.
    pub(crate) fn own(id: u64, method: Method, params: String) -> Self {
        let (progress, lane, subject, mirrored) = (None, None, None, Vec::new());
        Self { id, method, params, progress, lane, subject, mirrored }
    }
}

/// A server that runs. Dropping it ends the server.
pub(crate) struct Connection {
    out: Outgoing,
    child: Child,
    limits: Limits,
    next_id: AtomicU64,
    /// Told apart from every other connection of this process.
    number: u64,
    calls: Mutex<Calls>,
    ended: CancellationToken,
    /// How often its lists changed.
    changes: AtomicU64,
    /// The names of what it declared to offer, set once after the handshake.
    capabilities: OnceLock<Vec<String>>,
    name: ServerName,
    events: mpsc::Sender<(ServerName, Event)>,
}

#[derive(Default)]
struct Calls {
    waiting: HashMap<u64, Waiting>,
    /// Withdrawn of late, so that an answer to them is nothing to speak of.
    withdrawn: VecDeque<u64>,
    wrongs: u32,
    over: Option<UpstreamError>,
}

struct Waiting {
    answer: oneshot::Sender<Result<Frame, UpstreamError>>,
    /// The client's progress token, a JSON text.
    progress: Option<String>,
}

/// Connections that were opened so far.
static STARTED: AtomicU64 = AtomicU64::new(1);

/// Places in the queue of events that are kept for what goes on record.
const KEPT_FREE: usize = 32;
/// Withdrawn ids that are remembered.
const WITHDRAWN: usize = 256;
/// The largest notification that is passed on, in bytes.
const TELLS_BYTES: usize = 64 << 10;
/// How often a server may break the protocol before it is ended.
const WRONGS: u32 = 20;

impl Connection {
    /// Speaks with a started server; `child`'s output is read until it ends.
    pub(crate) fn open<R>(
        child: Child,
        (incoming, out): (Incoming<R>, Outgoing),
        limits: Limits,
        (name, events): (ServerName, mpsc::Sender<(ServerName, Event)>),
    ) -> Arc<Self>
    where
        R: tokio::io::AsyncRead + Send + Unpin + 'static,
    {
        let connection = Arc::new(Self {
            out,
            child,
            limits,
            next_id: AtomicU64::new(1),
            number: STARTED.fetch_add(1, Ordering::Relaxed),
            calls: Mutex::default(),
            ended: CancellationToken::new(),
            changes: AtomicU64::new(0),
            capabilities: OnceLock::new(),
            name,
            events,
        });
        let ended = connection.ended.clone();
        let reader = Arc::downgrade(&connection);
        tokio::spawn(ended.clone().run_until_cancelled_owned(async move {
            listen(reader, incoming).await;
            ended.cancel();
        }));
        connection
    }

    pub(crate) fn lives(&self) -> bool {
        !self.ended.is_cancelled()
    }

    pub(crate) const fn number(&self) -> u64 {
        self.number
    }

    pub(crate) const fn pid(&self) -> u32 {
        self.child.pid()
    }

    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Notes what the server declares to offer.
    pub(crate) fn set_capabilities(&self, capabilities: Value<'_>) {
        let names = capabilities.members().map(|(name, _)| name.into_owned()).collect();
        self.capabilities.get_or_init(|| names);
    }

    /// Whether it declares to offer `capability`.
    pub(crate) fn can(&self, capability: &str) -> bool {
        self.capabilities.get().is_some_and(|all| all.iter().any(|one| one == capability))
    }

    /// Asks the server to end; does not wait for it.
    pub(crate) fn stop(&self) {
        self.over(UpstreamError::Died { exit: None });
        self.child.stop();
    }

    fn calls(&self) -> std::sync::MutexGuard<'_, Calls> {
        // The guarded sections do not panic; if one did, the calls are still the calls.
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An id for a request, never used before.
    pub(crate) fn reserve(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// As [`Connection::request`], without progress.
    pub(crate) async fn ask(
        &self,
        method: Method,
        params: &str,
        limit: Duration,
    ) -> Result<Frame, UpstreamError> {
        let (id, params) = (self.reserve(), params.to_owned());
        self.request(Request::own(id, method, params), limit).await
    }

    /// Makes a request and waits for its answer: a response frame, a result or an error.
    ///
    /// Dropping the future withdraws the request.
    pub(crate) async fn request(
        &self,
        request: Request,
        limit: Duration,
    ) -> Result<Frame, UpstreamError> {
        let Request { id, method, params, progress, .. } = request;
        let (answer, answered) = oneshot::channel();
        {
            let mut calls = self.calls();
            if let Some(over) = &calls.over {
                return Err(over.clone());
            }
            calls.waiting.insert(id, Waiting { answer, progress });
        }
        let mut withdraw = Withdraw { connection: self, id, method };
        let exchange = async {
            let frame = frame::request(&id.to_string(), method.as_str(), &params);
            if self.out.send(Bytes::from(frame)).await.is_err() {
                return Err(self.how_it_ended());
            }
            answered.await.unwrap_or_else(|_| Err(self.how_it_ended()))
        };
        let outcome = tokio::time::timeout(limit, exchange).await;
        if outcome.is_ok() {
            withdraw.id = 0;
        }
        outcome.unwrap_or(Err(UpstreamError::Timeout(limit)))
    }

    /// Sends a notification; `params` is a JSON text.
    pub(crate) async fn notify(&self, method: Method, params: &str) {
        let frame = frame::notification(method.as_str(), params);
        // A server that is gone needs no telling.
        drop(self.out.send(Bytes::from(frame)).await);
    }

    fn how_it_ended(&self) -> UpstreamError {
        let over = self.calls().over.clone();
        over.unwrap_or_else(|| UpstreamError::Died { exit: self.child.try_wait() })
    }

    /// Fails whatever waits, now and later.
    fn over(&self, why: UpstreamError) {
        let waiting = {
            let mut calls = self.calls();
            calls.over.get_or_insert(why.clone());
            std::mem::take(&mut calls.waiting)
        };
        for (_, waiting) in waiting {
            // Whoever no longer waits needs no answer.
            drop(waiting.answer.send(Err(why.clone())));
        }
        self.ended.cancel();
    }

    /// Notes that the server broke the protocol; `false` when that was once too often.
    fn wrong(&self, event: &'static str, detail: String) -> bool {
        let wrongs = {
            let mut calls = self.calls();
            calls.wrongs += 1;
            calls.wrongs
        };
        let detail: String = made_visible(&detail).0.chars().take(300).collect();
        // The queue is full only when nobody listens any more.
        let wrong = Event::Wrong { event, detail: detail.clone() };
        drop(self.events.try_send((self.name.clone(), wrong)));
        if wrongs < WRONGS {
            return true;
        }
        self.over(UpstreamError::Misbehaved(detail));
        false
    }

    /// An unreadable frame may have been the answer to anything that waits.
    fn fail_waiting(&self, why: &UpstreamError) {
        let waiting = std::mem::take(&mut self.calls().waiting);
        for (_, waiting) in waiting {
            drop(waiting.answer.send(Err(why.clone())));
        }
    }

    /// Takes what the server said; `false` when no more is to be read.
    fn take(&self, bytes: &[u8]) -> bool {
        let frame = match Frame::read(bytes, self.limits) {
            Ok(frame) => frame,
            Err(_) if !matches!(bytes.trim_ascii_start().first(), Some(b'{' | b'[')) => {
                // Many servers greet on standard output, against the standard.
                return self.wrong("server-noise", String::from_utf8_lossy(bytes).into_owned());
            }
            Err(error) => {
                self.fail_waiting(&UpstreamError::Misbehaved(
                    "a frame that cannot be read".to_owned(),
                ));
                return self.wrong("server-frame-malformed", error.to_string());
            }
        };
        match frame.message() {
            Message::Response { id, .. } => {
                let id = id.raw().parse::<u64>().ok();
                self.answered(id, frame)
            }
            Message::Request { id, method, .. } => self.asked(id, method),
            Message::Notification { method, params } => self.told(method, params),
        }
    }

    fn answered(&self, id: Option<u64>, frame: Frame) -> bool {
        let waiting = {
            let mut calls = self.calls();
            let waiting = id.and_then(|id| calls.waiting.remove(&id));
            if waiting.is_none() && id.is_some_and(|id| calls.withdrawn.contains(&id)) {
                return true;
            }
            waiting
        };
        match waiting {
            Some(waiting) => {
                drop(waiting.answer.send(Ok(frame)));
                true
            }
            None => {
                let id = id.map_or_else(|| "no id of ours".to_owned(), |id| id.to_string());
                self.wrong("server-answer-stray", format!("an answer to {id}, which nobody awaits"))
            }
        }
    }

    fn asked(&self, id: Id<'_>, method: Value<'_>) -> bool {
        let method = method.text().unwrap_or_default();
        if Method::parse(&method) == Some(Method::Ping) {
            return self.out.offer(Bytes::from(frame::result(id.raw(), "{}")));
        }
        let error = r#"{"code":-32601,"message":"this client offers nothing to servers"}"#;
        let sent = self.out.offer(Bytes::from(frame::error(id.raw(), error)));
        self.wrong("server-request-refused", format!("it asked for `{method}`")) && sent
    }

    fn told(&self, method: Value<'_>, params: Option<Value<'_>>) -> bool {
        let text = method.text().unwrap_or_default();
        let params_text = params.map_or("{}", |params| params.raw());
        if params_text.len() > TELLS_BYTES {
            let detail = format!("`{text}` of {} bytes", params_text.len());
            return self.wrong("server-notification-too-large", detail);
        }
        let known = Method::parse(&text).filter(|method| method.direction().server_tells());
        let event = match known {
            Some(
                changed @ (Method::ToolsListChanged
                | Method::ResourcesListChanged
                | Method::PromptsListChanged),
            ) => {
                self.changes.fetch_add(1, Ordering::AcqRel);
                Event::ListChanged(changed)
            }
            Some(Method::Progress) => match self.progress(params) {
                Some(event) => event,
                None => return true,
            },
            Some(method @ (Method::LogMessage | Method::ResourceUpdated)) => {
                Event::Tells { method, params: params_text.to_owned() }
            }
            // A request of the server's own that it takes back; all were answered at once.
            Some(Method::Cancelled) => return true,
            Some(_) | None => {
                return self.wrong("server-notification-unknown", format!("it sent `{text}`"));
            }
        };
        // What a server tells may be lost; what it answers may not.
        // A queue that others could fill must not swallow what goes on record.
        if self.events.capacity() > KEPT_FREE {
            drop(self.events.try_send((self.name.clone(), event)));
        }
        true
    }

    fn progress(&self, params: Option<Value<'_>>) -> Option<Event> {
        let params = params?;
        let id = u64::try_from(params.get("progressToken")?.integer()?).ok()?;
        let token = self.calls().waiting.get(&id)?.progress.clone()?;
        let params = params.with(&[("progressToken", Some(&token))]);
        Some(Event::Progress { params })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.ended.cancel();
    }
}

async fn listen<R>(connection: std::sync::Weak<Connection>, mut incoming: Incoming<R>)
where
    R: tokio::io::AsyncRead + Send + Unpin,
{
    loop {
        let next = incoming.next().await;
        let Some(connection) = connection.upgrade() else { return };
        let goes_on = match next {
            Some(Ok(bytes)) => connection.take(&bytes),
            Some(Err(error @ WireError::TooLarge { limit })) => {
                connection.fail_waiting(&UpstreamError::TooLarge { limit });
                connection.wrong("server-frame-too-large", error.to_string())
            }
            Some(Err(error @ WireError::Endless { .. })) => {
                connection.over(UpstreamError::Misbehaved(error.to_string()));
                connection.wrong("server-frame-endless", error.to_string());
                false
            }
            Some(Err(WireError::Broken(_))) | None => false,
        };
        if !goes_on {
            let exit = connection.child.try_wait();
            connection.over(UpstreamError::Died { exit });
            connection.child.stop();
            return;
        }
    }
}

/// Takes a request back if its future is dropped before it is answered.
struct Withdraw<'a> {
    connection: &'a Connection,
    /// 0 when there is nothing to take back.
    id: u64,
    method: Method,
}

impl Drop for Withdraw<'_> {
    fn drop(&mut self) {
        if self.id == 0 {
            return;
        }
        {
            let mut calls = self.connection.calls();
            calls.waiting.remove(&self.id);
            calls.withdrawn.push_back(self.id);
            if calls.withdrawn.len() > WITHDRAWN {
                calls.withdrawn.pop_front();
            }
        }
        // The standard forbids to cancel `initialize`.
        if self.method != Method::Initialize {
            let params = format!(r#"{{"requestId":{},"reason":"withdrawn"}}"#, self.id);
            let frame = frame::notification(Method::Cancelled.as_str(), &params);
            // A server that does not read cannot be told.
            let _told: bool = self.connection.out.offer(Bytes::from(frame));
        }
    }
}
