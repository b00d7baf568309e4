//! The clients of one listener: their sessions, and calls that wait for them.
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tagout_audit::{Durability, Note};
use tagout_inspect::characters::made_visible;
use tagout_proto::{Kind, Method, Principal, Revision, ServerName, Value};
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Gateway,
    capabilities::Capabilities,
    exchange::{Abandoned, Exchange},
    keys::Caller,
    lane::Lane,
    parked::Parked,
    refusal::Refusal,
    session::{Session, conversation_of},
    stage::receive::{CAPABILITIES, CLIENT, Call, Unreceived, VERSION},
    upstream::{Catalogue, Event, composed},
};

/// Events of servers that wait to be passed on.
const EVENTS: usize = 96;

/// The clients of one listener.
pub(crate) struct Clients {
    pub(crate) gateway: Arc<Gateway>,
    transport: &'static str,
    /// Clients without a session, by principal, key and what they say of themselves.
    sessionless: Mutex<HashMap<Vec<String>, Arc<Session>>>,
    pub(crate) parked: Parked,
    /// Everything that runs for a client.
    pub(crate) tasks: TaskTracker,
    over: CancellationToken,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The guarded sections do not panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Clients {
    pub(crate) fn new(gateway: &Arc<Gateway>, transport: &'static str) -> Arc<Self> {
        Arc::new(Self {
            gateway: Arc::clone(gateway),
            transport,
            sessionless: Mutex::default(),
            parked: Parked::default(),
            tasks: TaskTracker::new(),
            over: CancellationToken::new(),
        })
    }

    /// A session for one client, whose servers' news it hears.
    pub(crate) fn session(&self, principal: &Principal) -> Arc<Session> {
        self.session_for(principal, None)
    }

    /// The same, for who came with a key.
    pub(crate) fn session_of(&self, caller: &Caller) -> Arc<Session> {
        self.session_for(&caller.principal, Some(&caller.key))
    }

    fn session_for(&self, principal: &Principal, key: Option<&Arc<str>>) -> Arc<Session> {
        let (events, happened) = mpsc::channel(EVENTS);
        let who = (principal.clone(), key.cloned());
        let session = Arc::new(Session::new(&self.gateway, who, self.transport, events));
        let (gateway, over) = (Arc::clone(&self.gateway), self.over.clone());
        self.tasks.spawn(tell(gateway, Arc::clone(&session), happened, over));
        session
    }

    /// The session of a client whose requests each stand for themselves, where there is one
    /// principal only.
    ///
    /// # Errors
    /// [`Refusal::Meta`], [`Refusal::Revision`]: the request does not say what it must.
    pub(crate) fn sessionless(
        &self,
        principal: &Principal,
        call: &Call,
    ) -> Result<Arc<Session>, Refusal> {
        let said = Said::of(call, self.transport)?;
        let session = self.of_kind((principal, None), &said)?;
        if session.opened().is_none() {
            session.open_here(&session.origin_of(said.info), said.revision)?;
        }
        Ok(session)
    }

    /// The session of a client who came with a key and whose requests each stand for themselves.
    ///
    /// # Errors
    /// As [`Clients::sessionless`].
    pub(crate) async fn sessionless_of(
        &self,
        caller: &Caller,
        call: &Call,
    ) -> Result<Arc<Session>, Refusal> {
        let said = Said::of(call, self.transport)?;
        let session = self.of_kind((&caller.principal, Some(&caller.key)), &said)?;
        if session.opened().is_none() {
            let opened = session.open(&session.origin_of(said.info), said.revision).await;
            // Another request of its kind may have been faster.
            if session.opened().is_none() {
                opened?;
            }
        }
        Ok(session)
    }

    /// The session of a kind of client; whoever needs it first opens its conversation.
    fn of_kind(
        &self,
        (principal, key): (&Principal, Option<&Arc<str>>),
        said: &Said<'_>,
    ) -> Result<Arc<Session>, Refusal> {
        let mut kind = vec![principal.user.to_string(), principal.authenticated_by.to_string()];
        kind.push(key.map_or_else(String::new, ToString::to_string));
        let declared = composed(said.declared.text()).map(|document| document.root().canonical());
        kind.push(declared.unwrap_or_default());
        kind.push(self.origin_name(said.info));
        // Each conversation has a session of its own, and so its history.
        kind.push(said.named.clone().unwrap_or_default());
        kind.extend(principal.groups.iter().cloned());
        let mut sessions = locked(&self.sessionless);
        if let Some(session) = sessions.get(&kind) {
            session.touch();
            session.note_use();
            return Ok(Arc::clone(session));
        }
        let own = kind.iter().take(2).collect::<Vec<_>>();
        let kinds = sessions.keys().filter(|other| other.iter().take(2).eq(own.iter().copied()));
        if kinds.count() >= self.gateway.config.shares.quotas.clients {
            return Err(Refusal::TooMany { what: "kinds of client" });
        }
        let session = self.session_for(principal, key);
        session.is_about(said.named.clone());
        session.declare(said.declared.clone());
        sessions.insert(kind, Arc::clone(&session));
        Ok(session)
    }

    fn origin_name(&self, info: Option<Value<'_>>) -> String {
        let text = |key| info.and_then(|info| info.get(key)?.text()).unwrap_or_default();
        format!("{}\0{}\0{}", self.transport, text("name"), text("version"))
    }

    /// Ends the sessions of clients without one that are `over`.
    pub(crate) fn forget(&self, over: impl Fn(&Session) -> bool) {
        locked(&self.sessionless).retain(|_, session| {
            let ends = over(session);
            if ends {
                session.end();
            }
            !ends
        });
    }

    /// A request on its way; `withdrawn` ends it, and so does its client's going where `abandoned`
    /// says so.
    pub(crate) fn exchange(
        &self,
        session: &Arc<Session>,
        received: Result<Box<Call>, Unreceived>,
        withdrawn: CancellationToken,
        abandoned: Abandoned,
    ) -> Exchange {
        let gateway = Arc::clone(&self.gateway);
        let (mut lane, asides) = Lane::new(&gateway, session);
        if let Ok(call) = &received {
            lane.hears_logs_of(call);
        }
        let token = withdrawn.clone();
        let work = async move { gateway.handle(received, lane, &token).await };
        Exchange::new(work, asides, withdrawn, (abandoned, self.tasks.clone()))
    }

    /// Ends all sessions without one, and what waits.
    pub(crate) fn end(&self) {
        self.parked.forget_all();
        for (_, session) in std::mem::take(&mut *locked(&self.sessionless)) {
            session.end();
        }
    }

    /// Lets nobody hear of servers any more, but puts on record what they did until now.
    pub(crate) fn over(&self) {
        self.over.cancel();
    }
}

/// What a request says that stands for itself.
struct Said<'a> {
    revision: Revision,
    declared: Capabilities,
    info: Option<Value<'a>>,
    /// What it calls its conversation.
    named: Option<String>,
}

impl<'a> Said<'a> {
    fn of(call: &'a Call, transport: &str) -> Result<Self, Refusal> {
        let version = call.meta(VERSION).ok_or(Refusal::Meta { key: VERSION })?;
        let version = version.text().ok_or(Refusal::Meta { key: VERSION })?;
        let revision = Revision::parse(&version).filter(|revision| revision.is_modern());
        let unknown = || {
            let requested: String = version.chars().take(40).collect();
            Refusal::Revision { requested: made_visible(&requested).0.into_owned() }
        };
        let revision = revision.ok_or_else(unknown)?;
        let declared = call.meta(CAPABILITIES).filter(|v| v.kind() == Kind::Object);
        let declared = declared.ok_or(Refusal::Meta { key: CAPABILITIES })?;
        let declared = Capabilities::of(Some(declared), revision);
        let info = call.meta(CLIENT);
        if info.is_some_and(|info| info.kind() != Kind::Object) {
            return Err(Refusal::Meta { key: CLIENT });
        }
        Ok(Self { revision, declared, info, named: conversation_of(call, transport)? })
    }
}

/// Passes on what servers tell of their own accord, and puts on record what they do wrong; once
/// it is `over`, only the latter, of what happened until then.
async fn tell(
    gateway: Arc<Gateway>,
    session: Arc<Session>,
    mut happened: mpsc::Receiver<(ServerName, Event)>,
    over: CancellationToken,
) {
    let mut rules = gateway.policies.changes();
    loop {
        let ended = async {
            tokio::select! {
                () = over.cancelled() => {}
                () = session.ended() => {}
            }
        };
        let next = tokio::select! {
            next = happened.recv() => next,
            // The gateway lives as long as this does, and so do its rules.
            Ok(()) = rules.changed() => {
                other_rules(&session).await;
                continue;
            }
            () = ended => {
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
            Event::Started { how } => {
                note(&gateway, &session, &server, ("server-started", &how));
                continue;
            }
            Event::Quarantines(catalogue) => {
                gateway.announce_changes(&catalogue).await;
                continue;
            }
            // Before the handshake there is nobody to tell.
            _ if session.opened().is_none() || happened.is_closed() => continue,
            Event::ListChanged(method) => (method, "{}".to_owned()),
            Event::Progress { params } => (Method::Progress, params),
            Event::Tells { method: Method::ResourceUpdated, params } => {
                let uri = composed(&params)
                    .ok()
                    .and_then(|d| Some(d.root().get("uri")?.text()?.into_owned()));
                if !uri.is_some_and(|uri| session.watches(&uri) || session.news.watches(&uri)) {
                    continue;
                }
                (Method::ResourceUpdated, params)
            }
            Event::Tells { method, params } => (method, params),
        };
        let Some(params) = session.fit_to_hear(method, &params) else { continue };
        // A client that does not read must not keep things from the record.
        if !session.news.publish(method, &params).await {
            tracing::warn!(%server, %method, "the client does not read");
        }
    }
}

/// Tells the client of `session` that other rules hold: they decide what lists show.
async fn other_rules(session: &Session) {
    if session.opened().is_none() {
        return;
    }
    let any = |offers: fn(&Catalogue) -> bool| {
        let mut all = session.fleet().all().iter();
        all.any(|upstream| upstream.known().is_some_and(|known| offers(&known)))
    };
    let prompts = any(|known| !known.prompts.is_empty());
    let resources = any(|known| !known.resources.is_empty() || !known.templates.is_empty());
    for (method, there) in [
        (Method::ToolsListChanged, true),
        (Method::PromptsListChanged, prompts),
        (Method::ResourcesListChanged, resources),
    ] {
        let Some(params) = session.fit_to_hear(method, "{}").filter(|_| there) else { continue };
        if !session.news.publish(method, &params).await {
            tracing::warn!(%method, "the client does not read");
        }
    }
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
