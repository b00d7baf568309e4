//! One client and its session.
use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tagout_inspect::{characters::one_line, screen::made_safe};
use tagout_policy::History;
use tagout_proto::{Conversation, Method, Origin, Principal, Revision, ServerName, Value};
use tokio::sync::{OnceCell, OwnedRwLockWriteGuard, RwLock, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::{
    Gateway,
    capabilities::Capabilities,
    history::{Conversed, Counted, Happened},
    news::News,
    refusal::Refusal,
    stage::{forward::without_ours, receive::Call},
    upstream::{Event, Fleet, composed},
};

/// One client: who it speaks for, its servers, and what is under way.
pub struct Session {
    gateway: Arc<Gateway>,
    principal: Principal,
    /// The identifier of the key that it was opened with, where there is one.
    key: Option<Arc<str>>,
    transport: &'static str,
    events: mpsc::Sender<(ServerName, Event)>,
    /// Made when it is known what the client can do for servers.
    fleet: OnceLock<Fleet>,
    capabilities: OnceLock<Capabilities>,
    started: OnceCell<()>,
    /// Written while `initialize` is under way; others wait for that.
    handshake: Arc<RwLock<()>>,
    opened: OnceLock<Opened>,
    /// What the client calls its conversation, where it may.
    named: OnceLock<String>,
    /// When its conversation was last noted as used, in seconds of Unix time.
    noted: AtomicI64,
    /// Held by whoever opens the conversation.
    opening: tokio::sync::Mutex<()>,
    over: AtomicBool,
    under_way: Mutex<HashMap<String, CancellationToken>>,
    /// What the client was asked and has not answered yet.
    asked: Mutex<Asked>,
    watched: Mutex<BTreeSet<String>>,
    /// The level of log messages that the client wants.
    log_level: Mutex<Option<String>>,
    pub(crate) news: News,
    gone: CancellationToken,
    used: Mutex<Instant>,
    serials: AtomicU64,
}

/// What the handshake settled; for a client without one, what its first request said.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) origin: Origin,
    pub(crate) conversation: Conversation,
    pub(crate) revision: Revision,
    /// What happened in the conversation.
    pub(crate) happened: Arc<Conversed>,
}

#[derive(Default)]
struct Asked {
    last: u64,
    waiting: HashMap<u64, oneshot::Sender<Result<String, String>>>,
}

/// Whether a process is there; another may have its number by now, and is then taken for it.
fn lives(pid: u32) -> bool {
    std::path::Path::new("/proc").join(pid.to_string()).exists()
}

const AGAIN: Refusal = Refusal::Handshake("this session is initialised already");

/// The key of `_meta` by which a client says which conversation it goes on with.
const CONVERSATION: &str = "tagout/conversation";
/// The longest name of a conversation, in bytes.
const NAME_BYTES: usize = 128;
/// How often it is noted that a conversation is used, in seconds.
const NOTED_S: i64 = 30;

/// The name of a conversation that `call` says, where nobody but the program that started this one
/// can say it.
///
/// # Errors
/// [`Refusal::Meta`].
pub(crate) fn conversation_of(call: &Call, transport: &str) -> Result<Option<String>, Refusal> {
    let Some(named) = call.meta(CONVERSATION).filter(|_| transport != "http") else {
        return Ok(None);
    };
    let fits = |text: &str| {
        let plain = text.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
        plain && (1..=NAME_BYTES).contains(&text.len())
    };
    let text = named.text().filter(|text| fits(text));
    Ok(Some(text.ok_or(Refusal::Meta { key: CONVERSATION })?.into_owned()))
}

/// Questions that a client may leave unanswered at once.
const ASKED: usize = 64;

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session({}, {:?})", self.principal.user, self.opened)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The guarded sections do not panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Session {
    pub(crate) fn new(
        gateway: &Arc<Gateway>,
        (principal, key): (Principal, Option<Arc<str>>),
        transport: &'static str,
        events: mpsc::Sender<(ServerName, Event)>,
    ) -> Self {
        Self {
            gateway: Arc::clone(gateway),
            principal,
            key,
            transport,
            events,
            fleet: OnceLock::new(),
            capabilities: OnceLock::new(),
            started: OnceCell::new(),
            handshake: Arc::default(),
            opened: OnceLock::new(),
            named: OnceLock::new(),
            noted: AtomicI64::new(0),
            opening: tokio::sync::Mutex::default(),
            over: AtomicBool::new(false),
            under_way: Mutex::default(),
            asked: Mutex::default(),
            watched: Mutex::default(),
            log_level: Mutex::default(),
            news: News::default(),
            gone: CancellationToken::new(),
            used: Mutex::new(Instant::now()),
            serials: AtomicU64::new(0),
        }
    }

    pub(crate) const fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The identifier of the key that it was opened with; nothing where none was needed.
    pub(crate) const fn key(&self) -> Option<&Arc<str>> {
        self.key.as_ref()
    }

    pub(crate) const fn transport(&self) -> &'static str {
        self.transport
    }

    /// Its servers; what the client can do for them is settled by then. None is started any more
    /// once the session has ended.
    pub(crate) fn fleet(&self) -> &Fleet {
        let made = || {
            let capabilities = self.capabilities().text();
            Fleet::new(&self.gateway, &self.principal, &self.events, capabilities)
        };
        let fleet = self.fleet.get_or_init(made);
        // Whoever ends the session notes that first and stops what is there: one of both sees it.
        if self.over.load(Ordering::SeqCst) {
            fleet.stop();
        }
        fleet
    }

    /// What the client can do for servers; nothing before it was declared.
    pub(crate) fn capabilities(&self) -> &Capabilities {
        static NONE: OnceLock<Capabilities> = OnceLock::new();
        self.capabilities.get().unwrap_or_else(|| NONE.get_or_init(Capabilities::default))
    }

    /// Notes what the client can do for servers, once.
    pub(crate) fn declare(&self, capabilities: Capabilities) {
        self.capabilities.get_or_init(|| capabilities);
    }

    pub(crate) fn opened(&self) -> Option<&Opened> {
        self.opened.get()
    }

    /// What happened in the conversation, as it stands at `now`, without a call that is counted.
    pub(crate) fn history(&self, now: Timestamp, without: Option<&Counted>) -> History {
        let opened = self.opened.get();
        opened.map_or_else(History::default, |opened| opened.happened.history(now, without))
    }

    /// Adds to what happened in the conversation.
    pub(crate) fn note(&self, add: impl FnOnce(&mut Happened)) {
        let Some(opened) = self.opened.get() else { return };
        let kept = self.gateway.policies.now().asks_about_history();
        opened.happened.note((self.gateway.clock.now(), kept), add);
    }

    /// The revision that the client speaks; before it said so, the newest with a handshake.
    pub(crate) fn revision(&self) -> Revision {
        self.opened.get().map_or(Revision::LATEST_LEGACY, |opened| opened.revision)
    }

    /// Starts the servers, once, and waits until each is ready or has failed.
    pub(crate) async fn start(&self) {
        self.started.get_or_init(|| self.fleet().start()).await;
    }

    /// Keeps others waiting until the guard is dropped; nothing if somebody holds it already.
    pub(crate) fn begin_handshake(&self) -> Option<OwnedRwLockWriteGuard<()>> {
        Arc::clone(&self.handshake).try_write_owned().ok()
    }

    /// Waits for the handshake that is under way, if one is.
    pub(crate) async fn handshake_done(&self) {
        drop(self.handshake.read().await);
    }

    /// Opens the session's conversation, beside the threads that serve.
    ///
    /// # Errors
    /// [`Refusal::Handshake`]: two `initialize` raced, or the store is away;
    /// [`Refusal::Cancelled`]: the session has ended meanwhile.
    pub(crate) async fn open(&self, origin: &Origin, revision: Revision) -> Result<(), Refusal> {
        let _one_at_a_time = self.opening.lock().await;
        if self.over.load(Ordering::SeqCst) {
            return Err(Refusal::Cancelled);
        }
        if self.opened.get().is_some() {
            return Err(AGAIN);
        }
        let opened = tokio::task::spawn_blocking(self.opener(origin, revision)).await;
        let opened = opened.map_err(|_| Refusal::Handshake("the state store is away"))??;
        self.opened.set(opened).map_err(|_| AGAIN)
    }

    /// As [`Session::open`], on this thread: for where there is one client only.
    ///
    /// # Errors
    /// As [`Session::open`].
    pub(crate) fn open_here(&self, origin: &Origin, revision: Revision) -> Result<(), Refusal> {
        let opened = self.opener(origin, revision)()?;
        self.opened.set(opened).map_err(|_| AGAIN)
    }

    fn opener(
        &self,
        origin: &Origin,
        revision: Revision,
    ) -> impl FnOnce() -> Result<Opened, Refusal> + Send + use<> {
        let (gateway, principal) = (Arc::clone(&self.gateway), self.principal.clone());
        let (origin, now) = (origin.clone(), self.gateway.clock.now());
        let named = self.named.get().cloned();
        move || {
            let store = &gateway.store;
            let since = now.checked_sub(gateway.config.listen.idle).unwrap_or(now);
            let opened = match named {
                Some(name) => store.named_conversation(&principal, &origin, (&name, now)),
                // Who never shakes hands does not say when a conversation begins.
                None if revision.is_modern() => {
                    match store.resume_conversation(&principal, &origin, since, lives) {
                        Ok(Some(found)) => Ok(found),
                        Ok(None) => {
                            let new = store.open_conversation(&principal, &origin, now);
                            new.and_then(|new| store.conversation_goes_on(&new).map(|()| new))
                        }
                        Err(error) => Err(error),
                    }
                }
                None => store.open_conversation(&principal, &origin, now),
            };
            let conversation = opened.map_err(|error| {
                tracing::error!(%error, "no conversation can be opened");
                Refusal::Handshake("the state store is away")
            })?;
            let happened = gateway.histories.of(&conversation, (store, now), lives)?;
            Ok(Opened { origin, conversation, revision, happened })
        }
    }

    /// Notes what the client calls its conversation: one that it had before, or a new one.
    pub(crate) fn is_about(&self, named: Option<String>) {
        if let Some(named) = named {
            self.named.get_or_init(|| named);
        }
    }

    /// Notes that the conversation was used, now and then, so that it can be taken up again.
    pub(crate) fn note_use(&self) {
        let (Some(opened), now) = (self.opened.get(), self.gateway.clock.now()) else { return };
        let last = self.noted.load(Ordering::Acquire);
        if now.as_second().saturating_sub(last) < NOTED_S {
            return;
        }
        self.noted.store(now.as_second(), Ordering::Release);
        let (gateway, principal) = (Arc::clone(&self.gateway), self.principal.clone());
        let conversation = opened.conversation.clone();
        drop(tokio::task::spawn_blocking(move || {
            if let Err(error) = gateway.store.touch(&principal, &conversation, now) {
                tracing::warn!(%error, "that a conversation goes on is not stored");
            }
        }));
    }

    /// Where a client that says `info` of itself comes from.
    pub(crate) fn origin_of(&self, info: Option<Value<'_>>) -> Origin {
        let text = |key| info.and_then(|info| info.get(key)?.text()).unwrap_or_default();
        let client = format!("{} {}", text("name"), text("version"));
        let client: String = one_line(client.trim()).chars().take(120).collect();
        self.origin(if client.is_empty() { "unnamed" } else { &client })
    }

    pub(crate) fn origin_unknown(&self) -> Origin {
        self.origin("unnamed")
    }

    fn origin(&self, client: &str) -> Origin {
        Origin {
            transport: self.transport.into(),
            client: client.into(),
            address: None,
            gateway_pid: std::process::id(),
        }
    }

    /// A name for a request that no client can choose as its id.
    pub(crate) fn serial(&self) -> String {
        format!("#{}", self.serials.fetch_add(1, Ordering::Relaxed))
    }

    /// Notes that the request `id` is under way.
    ///
    /// # Errors
    /// [`Refusal::IdInUse`], [`Refusal::TooManyCalls`].
    pub(crate) fn admit(&self, id: &str, limit: usize) -> Result<CancellationToken, Refusal> {
        let mut under_way = locked(&self.under_way);
        if under_way.contains_key(id) {
            return Err(Refusal::IdInUse);
        }
        if under_way.len() >= limit {
            return Err(Refusal::TooManyCalls { limit });
        }
        let withdrawn = CancellationToken::new();
        under_way.insert(id.to_owned(), withdrawn.clone());
        Ok(withdrawn)
    }

    pub(crate) fn finished(&self, id: &str) {
        locked(&self.under_way).remove(id);
    }

    /// What takes the request `id` back, while it is under way.
    pub(crate) fn under_way(&self, id: &str) -> Option<CancellationToken> {
        locked(&self.under_way).get(id).cloned()
    }

    pub(crate) fn withdraw_all(&self) {
        locked(&self.under_way).values().for_each(CancellationToken::cancel);
    }

    /// The client closed its side.
    pub(crate) fn client_is_gone(&self) {
        self.gone.cancel();
    }

    /// When the client is gone, or the gateway ends.
    pub(crate) async fn ended(&self) {
        self.gone.cancelled().await;
    }

    /// What `future` gives; nothing if it has to wait and the client goes meanwhile, or is gone.
    pub(crate) async fn while_client_is_there<F: Future>(&self, future: F) -> Option<F::Output> {
        tokio::select! {
            biased;
            output = future => Some(output),
            () = self.gone.cancelled() => None,
        }
    }

    /// Keeps `answer` until the client has answered the request whose id this gives; nothing where
    /// it has too much to answer already.
    pub(crate) fn asks(&self, answer: oneshot::Sender<Result<String, String>>) -> Option<u64> {
        let mut asked = locked(&self.asked);
        asked.waiting.retain(|_, answer| !answer.is_closed());
        if asked.waiting.len() >= ASKED {
            return None;
        }
        asked.last += 1;
        let id = asked.last;
        asked.waiting.insert(id, answer);
        Some(id)
    }

    /// The client's answer to the request `id`; whether it was asked.
    pub(crate) fn answered(&self, id: &str, outcome: Result<String, String>) -> bool {
        let waiting = id.parse().ok().and_then(|id: u64| locked(&self.asked).waiting.remove(&id));
        // Whoever asked may have given up.
        waiting.is_some_and(|answer| answer.send(outcome).is_ok())
    }

    /// A notification's parameters as this client is to hear them; nothing if it is not to.
    pub(crate) fn fit_to_hear(&self, method: Method, params: &str) -> Option<String> {
        if !method.is_spoken(self.revision()) {
            return None;
        }
        let document = composed(params).ok()?;
        let meta = document.root().get("_meta").map(without_ours);
        let params = meta.map(|meta| document.root().with(&[("_meta", Some(&meta))]));
        let document = params.map_or(Some(document), |params| composed(&params).ok())?;
        let text = || document.root().raw().to_owned();
        Some(made_safe(document.root()).map_or_else(text, |(safe, _)| safe))
    }

    /// Notes that the client has been heard of.
    pub(crate) fn touch(&self) {
        *locked(&self.used) = Instant::now();
    }

    /// How long nothing has been heard of the client; no time while something is under way.
    pub(crate) fn idle(&self) -> Duration {
        let busy = !locked(&self.under_way).is_empty() || self.news.is_wanted();
        if busy { Duration::ZERO } else { locked(&self.used).elapsed() }
    }

    /// Ends the session: what is under way, and its servers.
    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
        self.client_is_gone();
        self.withdraw_all();
        if let Some(fleet) = self.fleet.get() {
            fleet.stop();
        }
    }

    /// The level of log messages that was asked for.
    pub(crate) fn log_level(&self) -> Option<String> {
        locked(&self.log_level).clone()
    }

    /// Whether the client wants to know about changes of `uri` from now on; gives whether that is
    /// new.
    pub(crate) fn watch(&self, uri: &str, wants: bool) -> bool {
        let mut watched = locked(&self.watched);
        if wants { watched.insert(uri.to_owned()) } else { watched.remove(uri) }
    }

    pub(crate) fn watches(&self, uri: &str) -> bool {
        locked(&self.watched).contains(uri)
    }

    pub(crate) async fn any_server_can(&self, capability: &str) -> bool {
        for upstream in self.fleet().all() {
            if upstream.known().is_none() {
                continue;
            }
            if upstream.ready().await.is_ok_and(|(connection, _)| connection.can(capability)) {
                return true;
            }
        }
        false
    }

    /// Hands the log level on to every server that logs, at once, and waits a little for them.
    pub(crate) async fn set_log_level(&self, level: &str) {
        *locked(&self.log_level) = Some(level.to_owned());
        let setting = self.fleet().all().iter().map(|upstream| {
            let (upstream, level) = (Arc::clone(upstream), level.to_owned());
            let set = async move {
                let Ok((connection, _)) = upstream.ready().await else { return };
                if let Err(error) = connection.set_log_level(&level).await {
                    tracing::warn!(server = %upstream.name(), %error, "the log level is not set");
                }
            };
            tokio::spawn(tokio::time::timeout(LEVEL, set))
        });
        for one in setting.collect::<Vec<_>>() {
            // Whether it was set or took too long, the client has done what it could.
            drop(one.await);
        }
    }
}

/// How long a server may take to set its log level.
const LEVEL: Duration = Duration::from_secs(2);
