//! What all sessions of one gateway share of their servers.
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tagout_proto::ServerName;

use super::{
    Upstream,
    events::{Events, Listener},
};

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
}

/// What a server turned out to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaks {
    /// Each request for itself.
    Modern,
    /// A handshake first.
    Legacy,
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
        listener: &Listener,
        make: impl FnOnce(Events) -> Upstream,
    ) -> Arc<Upstream> {
        let mut upstreams = locked(&self.upstreams);
        let (upstream, events) = upstreams.entry(name.clone()).or_insert_with(|| {
            let events = Events::default();
            (Arc::new(make(events.clone())), events)
        });
        events.join(listener);
        Arc::clone(upstream)
    }
}
