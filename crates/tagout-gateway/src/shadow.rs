//! Rules on trial: asked about every call beside those that hold, and heeded in none.
use std::sync::{
    Arc, PoisonError, RwLock,
    atomic::{AtomicU64, Ordering},
};

use tagout_policy::{Decision, Facts, Policy, Verdict};

/// The rules on trial, where there are any.
#[derive(Debug, Default)]
pub(crate) struct Shadow {
    rules: RwLock<Option<Arc<Policy>>>,
    asked: AtomicU64,
    differed: AtomicU64,
}

/// What rules on trial say, where it is something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Differs {
    pub(crate) decision: Decision,
    pub(crate) rule: String,
}

impl Shadow {
    /// The rules on trial, for one call.
    pub(crate) fn now(&self) -> Option<Arc<Policy>> {
        self.rules.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on `rules` are on trial.
    pub(crate) fn replace(&self, rules: Option<Policy>) {
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = rules.map(Arc::new);
    }

    /// Puts `facts` to `rules`, and counts how it came out beside `verdict`.
    pub(crate) fn beside(
        &self,
        rules: &Policy,
        facts: &Facts<'_>,
        verdict: &Verdict,
    ) -> Option<Differs> {
        let theirs = rules.decide(facts);
        self.asked.fetch_add(1, Ordering::Relaxed);
        // One who asks for other approvals says something else, too.
        if theirs.decision == verdict.decision && theirs.demand == verdict.demand {
            return None;
        }
        self.differed.fetch_add(1, Ordering::Relaxed);
        Some(Differs { decision: theirs.decision, rule: theirs.rule })
    }

    /// Calls that were put to rules on trial so far, and how many of them came out otherwise.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.asked.load(Ordering::Relaxed), self.differed.load(Ordering::Relaxed))
    }
}
