//! One running server and the JSON-RPC spoken with it, in an id space of its own.
use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tagout_proto::{Frame, Limits, Message, Method, Revision, ServerName, Value, frame, quoted};
use tokio_util::sync::CancellationToken;

use super::{
    UpstreamError,
    calls::{Calls, UnderWay},
    era,
    events::Events,
    link::Link,
    listening::Listening,
    questions::Questions,
};
use crate::{egress::EgressRecord, lane::Lane, secrets::Secrets};

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
    /// The start of the server that the call was decided for, where it may go to no other; see
    /// [`Connection::number`].
    pub(crate) start: Option<u64>,
}

impl Request {
    /// A request of the gateway's own.
    pub(crate) fn own(id: u64, method: Method, params: String) -> Self {
        let (progress, lane, subject, mirrored) = (None, None, None, Vec::new());
        Self { id, method, params, progress, lane, subject, mirrored, start: None }
    }
}

/// A server that runs. Dropping it ends the server, or the session with it.
pub(crate) struct Connection {
    pub(super) me: Weak<Self>,
    pub(super) link: Link,
    pub(super) limits: Limits,
    pub(super) calls: Calls,
    pub(super) events: Events,
    pub(super) listening: Listening,
    pub(super) questions: Questions,
    pub(super) about: About,
    next_id: AtomicU64,
    /// Told apart from every other start of a server by this process, and every other session.
    number: AtomicU64,
    /// Cancelled when it is over.
    pub(super) ended: CancellationToken,
    /// How often its lists changed.
    changes: AtomicU64,
    /// Set once, after the handshake.
    spoken: OnceLock<Spoken>,
    log_level: Mutex<Option<String>>,
}

/// What a connection knows of both sides before it is opened.
pub(super) struct About {
    pub(super) name: ServerName,
    /// What clients can do, a JSON object.
    pub(super) capabilities: Arc<str>,
    /// Whether several clients share it, so that nothing may be told to all of them that is meant
    /// for one.
    pub(super) shared: bool,
    /// What must not come from it.
    pub(super) secrets: Secrets,
    /// Where it goes on record that it does, and whose it is.
    pub(super) record: EgressRecord,
}

/// What the handshake settled.
pub(super) struct Spoken {
    pub(super) revision: Revision,
    /// What the server declares to offer, a JSON object.
    pub(super) offers: String,
    pub(super) instructions: Option<String>,
}

/// The levels of log messages that there are, by RFC 5424.
const LEVELS: [&str; 8] =
    ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];
/// How long a server may take to set its log level.
const SET_LEVEL: Duration = Duration::from_secs(2);

/// Connections that were opened so far.
static STARTED: AtomicU64 = AtomicU64::new(1);

impl Connection {
    /// Speaks over `link`. What comes in has to be handed to [`Connection::take`].
    pub(super) fn open(link: Link, limits: Limits, (about, events): (About, Events)) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            link,
            limits,
            calls: Calls::default(),
            events,
            listening: Listening::default(),
            questions: Questions::default(),
            about,
            next_id: AtomicU64::new(1),
            number: AtomicU64::new(STARTED.fetch_add(1, Ordering::Relaxed)),
            ended: CancellationToken::new(),
            changes: AtomicU64::new(0),
            spoken: OnceLock::new(),
            log_level: Mutex::default(),
        })
    }

    pub(crate) fn lives(&self) -> bool {
        !self.ended.is_cancelled()
    }

    /// Which start of the server, or session with it, this is.
    pub(crate) fn number(&self) -> u64 {
        self.number.load(Ordering::Acquire)
    }

    /// It may be another program from now on: nothing that was found out about it holds any more.
    pub(super) fn begin_anew(&self) {
        self.number.store(STARTED.fetch_add(1, Ordering::Relaxed), Ordering::Release);
        self.changed();
    }

    /// Whether a call was decided for a start of the server before this one.
    pub(super) fn is_another_for(&self, request: &Request) -> bool {
        request.start.is_some_and(|start| start != self.number())
    }

    /// The server's process, if it has one here.
    pub(crate) const fn pid(&self) -> Option<u32> {
        self.link.pid()
    }

    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// What was asked of its lists may no longer hold.
    pub(super) fn changed(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn set_spoken(&self, spoken: Spoken) {
        self.spoken.get_or_init(|| spoken);
    }

    /// The revision that is spoken; nothing before the handshake.
    pub(super) fn settled(&self) -> Option<Revision> {
        self.spoken.get().map(|spoken| spoken.revision)
    }

    /// The revision that is spoken.
    pub(crate) fn revision(&self) -> Revision {
        self.settled().unwrap_or(Revision::LATEST_LEGACY)
    }

    /// What the server declares to offer: its capabilities, a JSON object.
    pub(crate) fn offers(&self) -> &str {
        self.spoken.get().map_or("{}", |spoken| &spoken.offers)
    }

    /// What the server says of how to use it.
    pub(crate) fn instructions(&self) -> Option<&str> {
        self.spoken.get()?.instructions.as_deref()
    }

    /// Whether it declares to offer `capability`.
    pub(crate) fn can(&self, capability: &str) -> bool {
        self.declares(|offers| offers.get(capability).is_some())
    }

    /// Whether it declares to tell when its list of `what` changes.
    pub(super) fn tells_changes_of(&self, what: &str) -> bool {
        self.declares(|offers| {
            let tells = offers.get(what).and_then(|one| one.get("listChanged")?.boolean());
            tells.unwrap_or_default()
        })
    }

    fn declares(&self, looks: impl FnOnce(Value<'_>) -> bool) -> bool {
        super::composed(self.offers()).is_ok_and(|offers| looks(offers.root()))
    }

    /// Asks the server to end; does not wait for it.
    pub(crate) fn stop(&self) {
        self.over(UpstreamError::Died { exit: None });
        self.link.close();
    }

    /// An id for a request, never used before.
    pub(crate) fn reserve(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// As [`Connection::request`], for a request of the gateway's own.
    pub(crate) async fn ask(
        &self,
        method: Method,
        params: &str,
        limit: Duration,
    ) -> Result<Frame, UpstreamError> {
        let request = Request::own(self.reserve(), method, params.to_owned());
        self.request(request, limit).await
    }

    /// Makes a request and waits for its answer: a response frame, a result or an error.
    ///
    /// Dropping the future withdraws the request.
    pub(crate) async fn request(
        &self,
        request: Request,
        limit: Duration,
    ) -> Result<Frame, UpstreamError> {
        self.request_in(self.settled(), request, limit).await
    }

    /// As [`Connection::request`], in a revision that is yet to be settled.
    pub(super) async fn request_in(
        &self,
        revision: Option<Revision>,
        mut request: Request,
        limit: Duration,
    ) -> Result<Frame, UpstreamError> {
        let modern = revision.is_some_and(Revision::is_modern);
        if modern {
            request.params = self.dressed(&request.params)?;
        }
        let call = UnderWay::of(&mut request);
        let mut withdraw = Withdraw { connection: self, id: request.id, method: request.method };
        // Boxed, so that the futures of those who wait for it stay small.
        let exchange = Box::pin(self.exchange(revision, &request, &call));
        let outcome = call.within(limit, exchange).await;
        // Nobody waits any more only where it was answered, or the server is gone.
        if !matches!(outcome, Err(UpstreamError::Timeout(_))) {
            self.calls.finished(withdraw.id);
            withdraw.id = 0;
        }
        let frame = outcome?;
        if modern { era::checked(frame) } else { Ok(frame) }
    }

    /// The level of log messages that was asked for last.
    pub(super) fn log_level(&self) -> Option<String> {
        self.log_level.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Parameters with what the standard wants in each modern request.
    pub(super) fn dressed(&self, params: &str) -> Result<String, UpstreamError> {
        era::dressed(params, &self.about.capabilities, self.log_level().as_deref())
    }

    async fn exchange(
        &self,
        revision: Option<Revision>,
        request: &Request,
        call: &Arc<UnderWay>,
    ) -> Result<Frame, UpstreamError> {
        let http = match &self.link {
            Link::Http(http) => http,
            Link::Lines(_) | Link::Sse(_) => return self.exchange_apart(request, call).await,
        };
        self.calls.begin(call)?;
        let exchange = async {
            let session = http.session().number;
            match http.exchange(self, (revision, request), call).await {
                // It did nothing, so it may be asked again; not with what was decided for the
                // session before, which comes back as it is.
                Err(UpstreamError::SessionLost) if !self.is_another_for(request) => {
                    self.renew(http, session).await?;
                    http.exchange(self, (revision, request), call).await
                }
                outcome => outcome,
            }
        };
        let outcome = self.ended.run_until_cancelled(exchange).await;
        outcome.unwrap_or_else(|| Err(self.how_it_ended()))
    }

    /// Makes a request whose answer comes by another way.
    async fn exchange_apart(
        &self,
        request: &Request,
        call: &Arc<UnderWay>,
    ) -> Result<Frame, UpstreamError> {
        let answered = self.calls.await_answer(call)?;
        let (id, method) = (request.id.to_string(), request.method.as_str());
        let frame = frame::request(&id, method, &request.params);
        match &self.link {
            Link::Lines(lines) => {
                if !lines.send(frame.into()).await {
                    return Err(self.how_it_ended());
                }
            }
            Link::Sse(sse) => sse.send(frame).await?,
            Link::Http(_) => {}
        }
        answered.await.unwrap_or_else(|_| Err(self.how_it_ended()))
    }

    /// Sends a notification; `params` is a JSON text.
    pub(crate) async fn notify(&self, method: Method, params: &str) {
        self.link.tell(self.settled(), frame::notification(method.as_str(), params)).await;
    }

    /// Has the server tell what it logs from `level` on. Anything that is no level is left out, as is
    /// what one of several clients of the same server would have.
    pub(crate) async fn set_log_level(&self, level: &str) -> Result<(), UpstreamError> {
        if self.about.shared || !LEVELS.contains(&level) {
            return Ok(());
        }
        let before = {
            let mut set = self.log_level.lock().unwrap_or_else(PoisonError::into_inner);
            set.replace(level.to_owned())
        };
        let known = before.as_deref() == Some(level);
        if known || self.revision().is_modern() || !self.can("logging") {
            return Ok(());
        }
        let params = format!(r#"{{"level":{}}}"#, quoted(level));
        let answer = self.ask(Method::SetLevel, &params, SET_LEVEL).await?;
        match answer.message() {
            Message::Response { outcome: Err(error), .. } => {
                let why = error.get("message").and_then(|message| message.text());
                let why = why.unwrap_or_default();
                Err(UpstreamError::Misbehaved(format!("it refused a log level: {why}")))
            }
            Message::Response { .. } | Message::Request { .. } | Message::Notification { .. } => {
                Ok(())
            }
        }
    }

    pub(super) fn how_it_ended(&self) -> UpstreamError {
        let over = self.calls.why_over();
        over.unwrap_or_else(|| UpstreamError::Died { exit: self.link.exit() })
    }

    /// Waits until it is known how the server's process ended, by looking again and again.
    pub(super) async fn has_ended(&self, look: Duration) {
        while self.link.exit().is_none() {
            tokio::time::sleep(look).await;
        }
    }

    /// Nothing more comes from the server.
    pub(super) fn nothing_more(&self) {
        self.over(UpstreamError::Died { exit: self.link.exit() });
        self.link.close();
    }

    /// Fails whatever waits, now and later.
    pub(super) fn over(&self, why: UpstreamError) {
        self.calls.over(why);
        self.ended.cancel();
    }

    /// The request is taken back: nobody waits for its answer.
    pub(super) fn withdraw(&self, id: u64, method: Method) {
        self.calls.withdrawn(id);
        // The standard forbids to cancel `initialize`; a server that does not know the probe may
        // not know what is taken back.
        let silent = matches!(method, Method::Initialize | Method::Discover);
        if !silent && self.lives() {
            let params = format!(r#"{{"requestId":{id},"reason":"withdrawn"}}"#);
            let frame = frame::notification(Method::Cancelled.as_str(), &params);
            // A server that does not read cannot be told.
            let _told: bool = self.link.take_back(self.settled(), frame);
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.ended.cancel();
        self.link.close();
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
        if self.id != 0 {
            self.connection.withdraw(self.id, self.method);
        }
    }
}
