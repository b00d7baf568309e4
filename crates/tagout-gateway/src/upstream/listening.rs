//! News of changes: one subscription of a modern server, and what legacy servers are told to watch.
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tagout_proto::{Frame, Message, Method, frame, quoted};
use tokio::{
    sync::oneshot,
    time::{sleep, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    Connection, UpstreamError,
    calls::{Answer, UnderWay},
    composed,
    connection::Request,
    events::Event,
    link::Link,
};

/// What is listened to.
#[derive(Default)]
pub(super) struct Listening {
    /// Watched resources, and how many clients watch each.
    watched: Mutex<BTreeMap<String, usize>>,
    /// The subscription that is open; held by whoever changes it.
    open: tokio::sync::Mutex<Option<Subscription>>,
    /// Ids of subscriptions, and who waits for the server's word on each.
    ids: Mutex<HashMap<u64, Standing>>,
}

/// How a subscription stands.
struct Standing {
    word: Option<Acknowledging>,
    acknowledged: bool,
}

type Acknowledging = oneshot::Sender<Acknowledged>;

/// What a server says of a subscription: its parameters, or why not.
type Acknowledged = Result<String, Refused>;

/// A subscription that stays open until this is dropped.
struct Subscription(#[expect(dead_code, reason = "dropping it ends the subscription")] DropGuard);

/// Why there is no subscription.
#[derive(Debug)]
enum Refused {
    /// The server's error object, a JSON text.
    Error(String),
    Failed(UpstreamError),
}

/// The most resources that are watched at one server.
const WATCHED: usize = 1024;
/// How long to wait before a subscription that broke is opened again, at first and at most.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How often in a row a subscription may break before it is given up.
const TRIES: u32 = 20;

/// Lists that can change: the capability, the filter's key, and what says so.
const LISTS: &[(&str, &str, Method)] = &[
    ("tools", "toolsListChanged", Method::ToolsListChanged),
    ("prompts", "promptsListChanged", Method::PromptsListChanged),
    ("resources", "resourcesListChanged", Method::ResourcesListChanged),
];

impl Listening {
    fn watched(&self) -> MutexGuard<'_, BTreeMap<String, usize>> {
        // The guarded sections do not panic.
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ids(&self) -> MutexGuard<'_, HashMap<u64, Standing>> {
        // The guarded sections do not panic.
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All resources that are watched.
    pub(super) fn all_watched(&self) -> Vec<String> {
        self.watched().keys().cloned().collect()
    }

    /// Whether `id` is a subscription of ours.
    pub(super) fn knows(&self, id: u64) -> bool {
        self.ids().contains_key(&id)
    }

    /// The server says what of a subscription it will honour.
    pub(super) fn acknowledged(&self, id: u64, params: String) {
        let mut ids = self.ids();
        let Some(standing) = ids.get_mut(&id) else { return };
        standing.acknowledged = true;
        if let Some(word) = standing.word.take() {
            // Whoever no longer waits has given it up.
            drop(word.send(Ok(params)));
        }
    }

    /// Notes one watcher more or less; gives whether the server has to be told.
    fn note(&self, uri: &str, wants: bool) -> Result<bool, UpstreamError> {
        let mut watched = self.watched();
        if wants {
            if watched.len() >= WATCHED && !watched.contains_key(uri) {
                let why = format!("more than {WATCHED} of its resources are watched");
                return Err(UpstreamError::Misbehaved(why));
            }
            let watchers = watched.entry(uri.to_owned()).or_default();
            *watchers += 1;
            return Ok(*watchers == 1);
        }
        let Some(watchers) = watched.get_mut(uri) else { return Ok(false) };
        *watchers = watchers.saturating_sub(1);
        let last = *watchers == 0;
        if last {
            watched.remove(uri);
        }
        Ok(last)
    }
}

impl Connection {
    /// Has the server tell when `uri` changes, or no more. The outer error is about the server, the
    /// inner one the error object that it answered.
    pub(crate) async fn watch(
        &self,
        uri: &str,
        wants: bool,
        limit: Duration,
    ) -> Result<Result<(), String>, UpstreamError> {
        // One after the other, so that what the server was told last is what is wanted.
        let mut open = self.listening.open.lock().await;
        let matters = self.listening.note(uri, wants)?;
        let done = match (self.revision().is_modern(), matters) {
            (true, true) => self.resubscribe(&mut open, Some(uri).filter(|_| wants), limit).await,
            (true, false) => Ok(Ok(())),
            // A shared session goes on for the others.
            (false, false) if self.about.shared && !wants => Ok(Ok(())),
            (false, _) => self.subscribe(uri, wants, limit).await,
        };
        if wants && !matches!(done, Ok(Ok(()))) {
            self.listening.note(uri, false)?;
        }
        done
    }

    async fn subscribe(
        &self,
        uri: &str,
        wants: bool,
        limit: Duration,
    ) -> Result<Result<(), String>, UpstreamError> {
        let method = if wants { Method::ResourcesSubscribe } else { Method::ResourcesUnsubscribe };
        let answer = self.ask(method, &format!(r#"{{"uri":{}}}"#, quoted(uri)), limit).await?;
        Ok(match answer.message() {
            Message::Response { outcome: Err(error), .. } => Err(error.raw().to_owned()),
            Message::Response { .. } | Message::Request { .. } | Message::Notification { .. } => {
                Ok(())
            }
        })
    }

    /// Listens to what a modern server tells of its lists, if it does. A server that offers news
    /// and refuses them is used without.
    pub(super) async fn begin_listening(&self, limit: Duration) {
        if !self.revision().is_modern() || self.filter().is_none() {
            return;
        }
        let mut open = self.listening.open.lock().await;
        match self.resubscribe(&mut open, None, limit).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(server = %self.about.name, error, "tells no news"),
            Err(error) => tracing::warn!(server = %self.about.name, %error, "tells no news"),
        }
    }

    /// The server did not tell for a while, so anything may have changed.
    fn may_have_missed(&self) {
        for (what, _, method) in LISTS.iter().filter(|(what, ..)| self.tells_changes_of(what)) {
            tracing::debug!(server = %self.about.name, what, "may have changed meanwhile");
            self.changed();
            self.events.tell(&self.about.name, &Event::ListChanged(*method));
        }
    }

    /// What is to be told, a JSON object; nothing where there is nothing.
    fn filter(&self) -> Option<String> {
        let mut wanted: Vec<_> = LISTS
            .iter()
            .filter(|(what, ..)| self.tells_changes_of(what))
            .map(|(_, key, _)| format!(r#""{key}":true"#))
            .collect();
        let watched: Vec<_> = self.listening.watched().keys().map(|uri| quoted(uri)).collect();
        if !watched.is_empty() {
            wanted.push(format!(r#""resourceSubscriptions":[{}]"#, watched.join(",")));
        }
        (!wanted.is_empty()).then(|| format!("{{{}}}", wanted.join(",")))
    }

    /// Opens a subscription to what is wanted now in place of the one that is open, which ends only
    /// then, so that nothing is missed. `uri` has to be among what the server will tell.
    async fn resubscribe(
        &self,
        open: &mut Option<Subscription>,
        uri: Option<&str>,
        limit: Duration,
    ) -> Result<Result<(), String>, UpstreamError> {
        let Some(filter) = self.filter() else {
            *open = None;
            return Ok(Ok(()));
        };
        let (word, said) = oneshot::channel();
        let stop = self.ended.child_token();
        let fresh = Subscription(stop.clone().drop_guard());
        tokio::spawn(keep(self.me.clone(), filter, stop, word));
        let said = timeout(limit, said).await.map_err(|_| UpstreamError::Timeout(limit))?;
        match said.unwrap_or_else(|_| Err(Refused::Failed(self.how_it_ended()))) {
            Ok(params) if uri.is_none_or(|uri| honours(&params, uri)) => {
                *open = Some(fresh);
                Ok(Ok(()))
            }
            Ok(_) => {
                let error =
                    r#"{"code":-32603,"message":"the server does not tell about this resource"}"#;
                Ok(Err(error.to_owned()))
            }
            Err(Refused::Error(error)) => Ok(Err(error)),
            Err(Refused::Failed(why)) => Err(why),
        }
    }
}

/// Whether a server will tell when `uri` changes. One that does not say what it honours is taken
/// at its word.
fn honours(params: &str, uri: &str) -> bool {
    let Ok(document) = composed(params) else { return false };
    let honoured = document.root().get("notifications");
    let uris = honoured.and_then(|filter| filter.get("resourceSubscriptions"));
    match (honoured, uris) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(_), Some(uris)) => uris.elements().any(|one| one.text().as_deref() == Some(uri)),
    }
}

/// Keeps a subscription open until `stop`: opens it again when it breaks.
async fn keep(
    connection: Weak<Connection>,
    filter: String,
    stop: CancellationToken,
    word: Acknowledging,
) {
    let mut word = Some(word);
    let (mut failures, mut pause) = (0, PAUSE);
    while failures < TRIES {
        let first = word.is_some();
        let round = stop.run_until_cancelled(once(&connection, &filter, word.take())).await;
        let Some(Some(acknowledged)) = round else { return };
        match (acknowledged, first) {
            (true, _) => (failures, pause) = (0, PAUSE),
            // Whoever wanted it knows.
            (false, true) => return,
            (false, false) => failures += 1,
        }
        if stop.run_until_cancelled(sleep(pause)).await.is_none() {
            return;
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
        match connection.upgrade() {
            Some(connection) => connection.may_have_missed(),
            None => return,
        }
    }
}

/// Opens a subscription and waits until it ends; gives whether the server had acknowledged it, and
/// nothing if there is no server any more.
async fn once(
    connection: &Weak<Connection>,
    filter: &str,
    word: Option<Acknowledging>,
) -> Option<bool> {
    let mut entry = {
        let connection = connection.upgrade()?;
        let id = connection.reserve();
        connection.listening.ids().insert(id, Standing { word, acknowledged: false });
        Entry { connection: connection.me.clone(), id, answered: false }
    };
    let outcome = listen(connection, entry.id, filter).await;
    entry.answered = true;
    let standing = {
        let connection = connection.upgrade()?;
        connection.calls.finished(entry.id);
        connection.listening.ids().remove(&entry.id)?
    };
    let refused = match outcome.as_ref().map(Frame::message) {
        Ok(Message::Response { outcome: Err(error), .. }) => Refused::Error(error.raw().to_owned()),
        Ok(Message::Response { .. } | Message::Request { .. } | Message::Notification { .. }) => {
            let why = "it ended a subscription before it acknowledged it";
            Refused::Failed(UpstreamError::Misbehaved(why.to_owned()))
        }
        Err(error) => Refused::Failed(error.clone()),
    };
    if let Some(word) = standing.word {
        // Whoever no longer waits has given it up.
        drop(word.send(Err(refused)));
    }
    Some(standing.acknowledged)
}

/// Waits for the answer to a request to listen. Holds the connection only where it must.
async fn listen(connection: &Weak<Connection>, id: u64, filter: &str) -> Answer {
    let gone = || UpstreamError::Died { exit: None };
    let call = UnderWay::new(id, None, None);
    let (http, request) = {
        let connection = connection.upgrade().ok_or_else(gone)?;
        let params = connection.dressed(&format!(r#"{{"notifications":{filter}}}"#))?;
        let request = Request::own(id, Method::Listen, params);
        match &connection.link {
            Link::Http(http) => {
                connection.calls.begin(&call)?;
                (Arc::clone(http), request)
            }
            Link::Lines(lines) => {
                let answered = connection.calls.await_answer(&call)?;
                let (id, method) = (id.to_string(), request.method.as_str());
                let frame = frame::request(&id, method, &request.params);
                if !lines.send(frame.into()).await {
                    return Err(connection.how_it_ended());
                }
                drop(connection);
                return answered.await.unwrap_or_else(|_| Err(gone()));
            }
            Link::Sse(_) => return Err(gone()),
        }
    };
    http.subscribe(connection, (request, call)).await
}

/// A subscription's id, known as long as this lives; taken back if it was not answered.
struct Entry {
    connection: Weak<Connection>,
    id: u64,
    answered: bool,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let Some(connection) = self.connection.upgrade().filter(|_| !self.answered) else { return };
        connection.listening.ids().remove(&self.id);
        connection.withdraw(self.id, Method::Listen);
    }
}
