//! Policy decides.
use std::sync::Arc;

use tagout_policy::{Decision, Policy, Verdict};

use super::inspect::Inspected;
use crate::{Clock, refusal::Refusal};

/// A call that policy does not deny: it may go on, or a person must be asked.
#[derive(Debug)]
pub struct Decided {
    inspected: Inspected,
    verdict: Verdict,
    policy: Arc<Policy>,
}

/// Puts the call's facts to `policy`.
///
/// # Errors
/// [`Refusal::Denied`].
pub fn decide(
    inspected: Inspected,
    policy: &Arc<Policy>,
    clock: &Clock,
) -> Result<Decided, Refusal> {
    let verdict = inspected.facts(clock, policy, |facts| policy.decide(facts));
    match verdict.decision {
        Decision::Allow | Decision::Ask => {
            Ok(Decided { inspected, verdict, policy: Arc::clone(policy) })
        }
        Decision::Deny => {
            let Verdict { rule, reason, remedy, .. } = verdict;
            Err(Refusal::Denied { rule, reason, remedy })
        }
    }
}

impl Decided {
    /// The call, inspected.
    #[must_use]
    pub const fn inspected(&self) -> &Inspected {
        &self.inspected
    }

    /// The rules that decided.
    #[must_use]
    pub const fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }

    /// The verdict: allow or ask.
    pub const fn verdict(&self) -> &Verdict {
        &self.verdict
    }
}
