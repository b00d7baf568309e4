//! What all sessions of one gateway share of their servers.
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use tagout_proto::ServerName;
use tagout_wire::http::Client;

use super::{
    Upstream,
    events::{Events, Listener, Record},
    maker::Made,
    neighbours::Neighbours,
};
use crate::egress::Budgets;

/// What all sessions of one gateway share of their servers.
#[derive(Default)]
pub(crate) struct Shared {
    pub(super) known: Arc<Known>,
    upstreams: Mutex<BTreeMap<ServerName, (Arc<Upstream>, Events)>>,
}

/// What is known of servers, whoever asked.
#[derive(Default)]
pub(super) struct Known {
    speaks: Mutex<BTreeMap<ServerName, Speaks>>,
    clients: Mutex<BTreeMap<ServerName, Client>>,
    pub(super) made: Made,
    pub(super) budgets: Budgets,
    neighbours: OnceLock<Arc<Neighbours>>,
}

/// What a server turned out to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaks {
    /// Each request for itself.
    Modern,
    /// A handshake first.
    Legacy,
    /// A handshake first, over the transport of 2024.
    Sse,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The guarded sections do not panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Known {
    /// What the server spoke when it was last started.
    pub(super) fn speaks(&self, server: &ServerName) -> Option<Speaks> {
        locked(&self.speaks).get(server).copied()
    }

    pub(super) fn learn(&self, server: &ServerName, speaks: Speaks) {
        locked(&self.speaks).insert(server.clone(), speaks);
    }

    /// What is pinned of all servers, which stays as it is for as long as the gateway runs.
    pub(super) fn neighbours(&self, make: impl FnOnce() -> Neighbours) -> Arc<Neighbours> {
        Arc::clone(self.neighbours.get_or_init(|| Arc::new(make())))
    }

    /// The client that keeps the connections to a server, if there is one yet.
    pub(super) fn client(&self, server: &ServerName) -> Option<Client> {
        locked(&self.clients).get(server).cloned()
    }

    /// Keeps a client for the next; gives the one that was there first.
    pub(super) fn keep_client(&self, server: &ServerName, client: Client) -> Client {
        locked(&self.clients).entry(server.clone()).or_insert(client).clone()
    }

    /// It no longer speaks what it did.
    pub(super) fn forget(&self, server: &ServerName) {
        locked(&self.speaks).remove(server);
    }
}

impl Shared {
    /// The server that all clients use, told of to `listener` from now on; made when it is first
    /// needed.
    pub(super) fn upstream(
        &self,
        name: &ServerName,
        (listener, record): (&Listener, impl FnOnce() -> Record),
        make: impl FnOnce(Events) -> Upstream,
    ) -> Arc<Upstream> {
        let mut upstreams = locked(&self.upstreams);
        let (upstream, events) = upstreams.entry(name.clone()).or_insert_with(|| {
            let events = Events::shared(record());
            (Arc::new(make(events.clone())), events)
        });
        events.join(listener);
        Arc::clone(upstream)
    }
}
