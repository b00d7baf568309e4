//! What servers tell of their own accord, on its way to one client.
use std::{
    collections::BTreeSet,
    pin::pin,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tagout_proto::{Method, Value, frame};
use tagout_wire::Outgoing;
use tokio::{
    sync::{Notify, mpsc},
    time::timeout,
};

use crate::{lane::Lane, upstream::composed};

/// How long a notification waits for a client that does not read.
const TOLD: Duration = Duration::from_millis(500);
/// Subscriptions of one client.
const LISTENERS: usize = 16;
/// Resources that one subscription watches.
const WATCHED: usize = 256;
/// The key that says which subscription a message belongs to.
pub(crate) const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

/// Where news go.
#[derive(Default)]
pub(crate) struct News {
    outlet: Mutex<Option<Outlet>>,
    /// Somebody waits for another outlet to take the place of theirs.
    changed: Notify,
    listeners: Mutex<Vec<Listener>>,
    /// Subscriptions so far: several clients of one kind may choose the same id.
    subscriptions: AtomicU64,
}

/// The way to a client that has a session.
#[derive(Clone)]
pub(crate) enum Outlet {
    /// The stream that everything goes through.
    Lines(Outgoing),
    /// A stream of events that the client opened for news, event by event.
    Events(mpsc::Sender<Bytes>),
}

/// One subscription.
struct Listener {
    number: u64,
    /// The id of the request that opened it, a JSON text.
    id: String,
    wants: Wants,
    lane: Lane,
}

/// What a subscription is about.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wants {
    pub(crate) tools: bool,
    pub(crate) prompts: bool,
    pub(crate) resources: bool,
    pub(crate) watched: BTreeSet<String>,
    pub(crate) tasks: BTreeSet<String>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The guarded sections do not panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl News {
    /// News go to `outlet` from now on; gives the one before.
    pub(crate) fn set_outlet(&self, outlet: Option<Outlet>) -> Option<Outlet> {
        let before = std::mem::replace(&mut *locked(&self.outlet), outlet);
        self.changed.notify_waiters();
        before
    }

    /// When news no longer go to `events`.
    pub(crate) async fn left(&self, events: &mpsc::Sender<Bytes>) {
        loop {
            let mut changed = pin!(self.changed.notified());
            // From here on no change is missed.
            changed.as_mut().enable();
            let still = match &*locked(&self.outlet) {
                Some(Outlet::Events(now)) => now.same_channel(events),
                Some(Outlet::Lines(_)) | None => false,
            };
            if !still {
                return;
            }
            changed.await;
        }
    }

    /// Where news go.
    pub(crate) fn outlet(&self) -> Option<Outlet> {
        locked(&self.outlet).clone()
    }

    /// Whether anybody is there to hear them.
    pub(crate) fn is_wanted(&self) -> bool {
        let open = match &*locked(&self.outlet) {
            Some(Outlet::Events(events)) => !events.is_closed(),
            Some(Outlet::Lines(_)) => true,
            None => false,
        };
        open || !locked(&self.listeners).is_empty()
    }

    /// Adds a subscription, until the guard is dropped; nothing where there are too many.
    pub(crate) fn subscribe(&self, id: &str, wants: Wants, lane: Lane) -> Option<Subscribed<'_>> {
        let mut listeners = locked(&self.listeners);
        if listeners.len() >= LISTENERS {
            return None;
        }
        let number = self.subscriptions.fetch_add(1, Ordering::Relaxed);
        listeners.push(Listener { number, id: id.to_owned(), wants, lane });
        Some(Subscribed { news: self, number })
    }

    /// Whether a subscription watches `uri`.
    pub(crate) fn watches(&self, uri: &str) -> bool {
        locked(&self.listeners).iter().any(|listener| listener.wants.watched.contains(uri))
    }

    /// Passes on a notification whose parameters are fit to be heard; `false` where the client
    /// does not read.
    pub(crate) async fn publish(&self, method: Method, params: &str) -> bool {
        for listener in &*locked(&self.listeners) {
            if listener.wants.include(method, params) {
                listener.lane.tell(method, &tagged(params, &listener.id));
            }
        }
        let outlet = locked(&self.outlet).clone();
        let frame = || Bytes::from(frame::notification(method.as_str(), params));
        match outlet {
            None => true,
            // The client is gone; that is noticed elsewhere.
            Some(Outlet::Lines(out)) => timeout(TOLD, out.send(frame())).await.is_ok(),
            Some(Outlet::Events(events)) => {
                let event = tagout_wire::sse::message(&frame());
                timeout(TOLD, events.send(event)).await.is_ok()
            }
        }
    }
}

/// A subscription that lasts as long as this does.
pub(crate) struct Subscribed<'a> {
    news: &'a News,
    number: u64,
}

impl Drop for Subscribed<'_> {
    fn drop(&mut self) {
        locked(&self.news.listeners).retain(|listener| listener.number != self.number);
    }
}

impl Wants {
    /// What the filter of a `subscriptions/listen` asks for.
    pub(crate) fn of(filter: Value<'_>) -> Self {
        let yes = |key: &str| filter.get(key).and_then(|v| v.boolean()) == Some(true);
        let texts = |key: &str| {
            let list = filter.get(key);
            let texts = list.into_iter().flat_map(|list| list.elements());
            let texts = texts.filter_map(|text| Some(text.text()?.into_owned()));
            texts.take(WATCHED).collect()
        };
        Self {
            tools: yes("toolsListChanged"),
            prompts: yes("promptsListChanged"),
            resources: yes("resourcesListChanged"),
            watched: texts("resourceSubscriptions"),
            tasks: texts("taskIds"),
        }
    }

    /// The filter of what is honoured, a JSON object.
    pub(crate) fn text(&self) -> String {
        let mut members = Vec::new();
        for (key, wanted) in [
            ("toolsListChanged", self.tools),
            ("promptsListChanged", self.prompts),
            ("resourcesListChanged", self.resources),
        ] {
            if wanted {
                members.push(format!(r#""{key}":true"#));
            }
        }
        for (key, texts) in [("resourceSubscriptions", &self.watched), ("taskIds", &self.tasks)] {
            if !texts.is_empty() {
                let texts: Vec<_> = texts.iter().map(|t| tagout_proto::quoted(t)).collect();
                members.push(format!(r#""{key}":[{}]"#, texts.join(",")));
            }
        }
        format!("{{{}}}", members.join(","))
    }

    fn include(&self, method: Method, params: &str) -> bool {
        let named = |key: &str, among: &BTreeSet<String>| {
            let document = composed(params).ok();
            let name = document.as_ref().and_then(|d| d.root().get(key)?.text());
            name.is_some_and(|name| among.contains(name.as_ref()))
        };
        (method == Method::ToolsListChanged && self.tools)
            || (method == Method::PromptsListChanged && self.prompts)
            || (method == Method::ResourcesListChanged && self.resources)
            || (method == Method::ResourceUpdated && named("uri", &self.watched))
            || (method == Method::TaskStatus && named("taskId", &self.tasks))
    }
}

/// Parameters that say to which subscription they belong.
pub(crate) fn tagged(params: &str, id: &str) -> String {
    let Ok(document) = composed(params) else { return params.to_owned() };
    let meta = document.root().get("_meta").map_or("{}", |meta| meta.raw());
    let meta = composed(meta).map(|meta| meta.root().with(&[(SUBSCRIPTION, Some(id))]));
    let Ok(meta) = meta else { return params.to_owned() };
    document.root().with(&[("_meta", Some(&meta))])
}
