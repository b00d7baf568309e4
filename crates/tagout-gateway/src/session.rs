//! One client and its session.
use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use tagout_inspect::characters::one_line;
use tagout_proto::{Conversation, Method, Origin, Principal, ServerName};
use tokio::sync::{OnceCell, OwnedRwLockWriteGuard, RwLock, mpsc};
use tokio_util::sync::CancellationToken;

use crate::{
    Gateway,
    refusal::Refusal,
    stage::receive::Call,
    upstream::{Event, Fleet},
};

/// One client: who it speaks for, its servers, and what is under way.
pub struct Session {
    principal: Principal,
    transport: &'static str,
    fleet: Fleet,
    started: OnceCell<()>,
    /// Written while `initialize` is under way; others wait for that.
    handshake: Arc<RwLock<()>>,
    opened: OnceLock<Opened>,
    under_way: Mutex<HashMap<String, CancellationToken>>,
    watched: Mutex<BTreeSet<String>>,
    gone: CancellationToken,
}

/// What the handshake settled.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) origin: Origin,
    pub(crate) conversation: Conversation,
}

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
        gateway: &Gateway,
        transport: &'static str,
        events: &mpsc::Sender<(ServerName, Event)>,
    ) -> Self {
        Self {
            principal: gateway.principal.clone(),
            transport,
            fleet: Fleet::new(gateway, events, "{}"),
            started: OnceCell::new(),
            handshake: Arc::default(),
            opened: OnceLock::new(),
            under_way: Mutex::default(),
            watched: Mutex::default(),
            gone: CancellationToken::new(),
        }
    }

    pub(crate) const fn principal(&self) -> &Principal {
        &self.principal
    }

    pub(crate) const fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    pub(crate) fn opened(&self) -> Option<&Opened> {
        self.opened.get()
    }

    /// Starts the servers, once, and waits until each is ready or has failed.
    pub(crate) async fn start(&self) {
        self.started.get_or_init(|| self.fleet.start()).await;
    }

    /// Keeps others waiting until the guard is dropped; nothing if somebody holds it already.
    pub(crate) fn begin_handshake(&self) -> Option<OwnedRwLockWriteGuard<()>> {
        Arc::clone(&self.handshake).try_write_owned().ok()
    }

    /// Waits for the handshake that is under way, if one is.
    pub(crate) async fn handshake_done(&self) {
        drop(self.handshake.read().await);
    }

    /// Opens the session's conversation.
    ///
    /// # Errors
    /// [`Refusal::Handshake`]: two `initialize` raced, or the store is away.
    pub(crate) fn open(&self, origin: &Origin, gateway: &Gateway) -> Result<(), Refusal> {
        let opened = gateway.store.open_conversation(&self.principal, origin, gateway.clock.now());
        let conversation = opened.map_err(|error| {
            tracing::error!(%error, "no conversation can be opened");
            Refusal::Handshake("the state store is away")
        })?;
        let opened = Opened { origin: origin.clone(), conversation };
        let again = Refusal::Handshake("this session is initialised already");
        self.opened.set(opened).map_err(|_| again)
    }

    /// Where `initialize` says that it comes from.
    pub(crate) fn origin_of(&self, call: &Call) -> Origin {
        let info = call.params().and_then(|params| params.get("clientInfo"));
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
            gateway_pid: std::process::id(),
        }
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

    /// The client takes the request `id` back.
    pub(crate) fn withdraw(&self, id: &str) {
        if let Some(withdrawn) = locked(&self.under_way).get(id) {
            withdrawn.cancel();
        }
    }

    pub(crate) fn withdraw_all(&self) {
        locked(&self.under_way).values().for_each(CancellationToken::cancel);
    }

    /// The client closed its side.
    pub(crate) fn client_is_gone(&self) {
        self.gone.cancel();
    }

    /// What `future` gives; nothing if it has to wait and the client goes meanwhile, or is gone.
    pub(crate) async fn while_client_is_there<F: Future>(&self, future: F) -> Option<F::Output> {
        tokio::select! {
            biased;
            output = future => Some(output),
            () = self.gone.cancelled() => None,
        }
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
        for upstream in self.fleet.all() {
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
        let setting = self.fleet.all().iter().map(|upstream| {
            let (upstream, params) = (Arc::clone(upstream), format!(r#"{{"level":"{level}"}}"#));
            let set = async move {
                let Ok((connection, _)) = upstream.ready().await else { return };
                if !connection.can("logging") {
                    return;
                }
                if let Err(error) = connection.ask(Method::SetLevel, &params, LEVEL).await {
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
