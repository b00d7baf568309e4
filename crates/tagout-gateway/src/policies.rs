//! The rules that hold now. Others may take their place while the gateway runs, whole or not at all.
use std::sync::{Arc, PoisonError, RwLock};

use tagout_policy::Policy;

/// The rules that hold now.
#[derive(Debug)]
pub(crate) struct Policies(RwLock<Arc<Policy>>);

impl Policies {
    pub(crate) fn new(policy: Policy) -> Self {
        Self(RwLock::new(Arc::new(policy)))
    }

    /// The rules that hold now, for one decision.
    pub(crate) fn now(&self) -> Arc<Policy> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on `policy` holds.
    #[expect(dead_code, reason = "nothing reloads rules yet")]
    pub(crate) fn replace(&self, policy: Policy) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(policy);
    }
}
