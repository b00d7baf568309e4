//! The rules that hold now. Others may take their place while the gateway runs, whole or not at all.
use std::sync::Arc;

use tagout_policy::Policy;
use tokio::sync::watch;

/// The rules that hold now.
#[derive(Debug)]
pub(crate) struct Policies(watch::Sender<Arc<Policy>>);

impl Policies {
    pub(crate) fn new(policy: Policy) -> Self {
        Self(watch::Sender::new(Arc::new(policy)))
    }

    /// The rules that hold now, for one decision.
    pub(crate) fn now(&self) -> Arc<Policy> {
        Arc::clone(&self.0.borrow())
    }

    /// From now on `policy` holds, and whoever follows hears of it.
    pub(crate) fn replace(&self, policy: Policy) {
        self.0.send_replace(Arc::new(policy));
    }

    /// Tells of every change from now on; of several at once only that there were some.
    pub(crate) fn changes(&self) -> watch::Receiver<Arc<Policy>> {
        self.0.subscribe()
    }
}
