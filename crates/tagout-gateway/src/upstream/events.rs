//! What servers do of their own accord, and who is told.
use std::sync::{Arc, Mutex, PoisonError};

use tagout_audit::{Durability, Log, Note};
use tagout_proto::{Method, ServerName};
use tokio::sync::mpsc;

use super::Catalogue;
use crate::Clock;

/// What a server does of its own accord.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// It says that a list of its own changed.
    ListChanged(Method),
    /// How far a request is; a JSON text with the client's own token.
    Progress { params: String },
    /// Anything else that it tells: a log message, a watched resource that changed.
    Tells { method: Method, params: String },
    /// It was asked what it offers, and a tool of it is another than was pinned.
    Quarantines(Arc<Catalogue>),
    /// It was started; as which process.
    Started { how: String },
    /// It did what it should not; for the audit log.
    Wrong { event: &'static str, detail: String },
}

/// Where a session takes events.
pub(crate) type Listener = mpsc::Sender<(ServerName, Event)>;

/// Who is told of a server's events: one session, or all that share the server.
#[derive(Clone, Default)]
pub(super) struct Events {
    listeners: Arc<Mutex<Vec<Listener>>>,
    /// Where a shared server's doings go on record: they are nobody's in particular.
    record: Option<Record>,
}

/// The record, and the time on it.
#[derive(Clone)]
pub(super) struct Record {
    pub(super) audit: Log,
    pub(super) clock: Clock,
}

impl Record {
    fn note(&self, server: &ServerName, (event, detail): (&str, &str)) {
        let mut note = Note::new(self.clock.now(), event);
        note.server = Some(server);
        note.detail = Some(detail);
        if let Err(error) = self.audit.note(&note, Durability::System) {
            tracing::error!(%error, event, "what a server did is not on record");
        }
    }
}

/// Places in the queue of events that are kept for what goes on record.
const KEPT_FREE: usize = 32;

impl Events {
    pub(super) fn of(listener: &Listener) -> Self {
        let events = Self::default();
        events.join(listener);
        events
    }

    /// Of a server that several sessions share.
    pub(super) fn shared(record: Record) -> Self {
        Self { record: Some(record), ..Self::default() }
    }

    fn listeners(&self) -> std::sync::MutexGuard<'_, Vec<Listener>> {
        // The guarded sections do not panic.
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more session shares the server; those that have ended do no more.
    pub(super) fn join(&self, listener: &Listener) {
        let mut listeners = self.listeners();
        listeners.retain(|one| !one.is_closed());
        listeners.push(listener.clone());
    }

    /// Tells everybody; what a server tells may be lost, and a queue that others could fill must
    /// not swallow what goes on record.
    pub(super) fn tell(&self, server: &ServerName, event: &Event) {
        for listener in self.listeners().iter().filter(|one| one.capacity() > KEPT_FREE) {
            drop(listener.try_send((server.clone(), event.clone())));
        }
    }

    /// For the record: told once. The queue is full only when nobody listens any more.
    pub(super) fn note(&self, server: &ServerName, event: Event) {
        match (&self.record, &event) {
            (Some(record), Event::Wrong { event, detail }) => {
                tracing::warn!(%server, event, "{detail}");
                return record.note(server, (event, detail));
            }
            (Some(record), Event::Started { how }) => {
                return record.note(server, ("server-started", how));
            }
            (
                _,
                Event::ListChanged(_)
                | Event::Progress { .. }
                | Event::Tells { .. }
                | Event::Quarantines(_)
                | Event::Started { .. }
                | Event::Wrong { .. },
            ) => {}
        }
        let mut listeners = self.listeners();
        listeners.retain(|one| !one.is_closed());
        match listeners.first() {
            Some(first) => drop(first.try_send((server.clone(), event))),
            None => tracing::warn!(%server, ?event, "nobody is there to put it on record"),
        }
    }
}
