//! Policy decides.
use std::{sync::Arc, time::Duration};

use tagout_policy::{Decision, Facts, Policy, Verdict};

use super::{inspect::Inspected, record::Known};
use crate::{Gateway, consent, limits::Permit, refusal::Refusal};

/// A call that policy does not deny: it may go on, or a person must be asked.
#[derive(Debug)]
pub struct Decided {
    inspected: Inspected,
    verdict: Verdict,
    policy: Arc<Policy>,
    /// What it holds of its server's and its tool's shares.
    permit: Permit,
}

/// Puts the call's facts to the rules that hold, and to those on trial; notes for the record what
/// was decided on what. A call that is not denied counts from here on among what happened in its
/// conversation, and no more if it is not made after all.
///
/// # Errors
/// [`Refusal::Denied`]; [`Refusal::Approvals`]: what happened before cannot be read;
/// [`Refusal::Limit`]: the server or the tool has no share left, or the caller none of the cost.
pub fn decide(
    mut inspected: Inspected,
    gateway: &Gateway,
    known: &mut Known,
) -> Result<Decided, Refusal> {
    let policy = gateway.policies.now();
    let trial = gateway.shadow.now();
    let asks = |rules: &Policy| rules.asks_about_history();
    let history = asks(&policy) || trial.as_deref().is_some_and(asks);
    let judge = |facts: &Facts<'_>| {
        let verdict = policy.decide(facts);
        let shadow =
            trial.as_deref().and_then(|trial| gateway.shadow.beside(trial, facts, &verdict));
        known.judged((facts, history), policy.version(), shadow);
        verdict
    };
    let counts = |verdict: &Verdict| verdict.decision != Decision::Deny;
    let verdict = inspected.judged((gateway.clock.now(), history), judge, counts)?;
    let verdict = consent::asked_too(verdict, &inspected, gateway);
    let verdict = match inspected.identified().told() {
        Ok(told) => told.asked_too(verdict),
        Err(bad) => return Err(Refusal::Told(bad)),
    };
    match verdict.decision {
        Decision::Allow | Decision::Ask => {
            // Not before: what is denied takes nothing from others.
            let permit = gateway.limits.reach(&inspected)?;
            Ok(Decided { inspected, verdict, policy, permit })
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

    /// What it holds of its server's and its tool's shares.
    pub(crate) const fn permit(&self) -> &Permit {
        &self.permit
    }

    /// The longest that a server may take over it.
    pub(crate) fn wall(&self) -> Option<Duration> {
        let own = self.inspected.identified().permit().wall();
        own.into_iter().chain(self.permit.wall()).min()
    }

    /// Counts what goes back to the client.
    pub(crate) fn went_out(&self, bytes: usize) {
        self.inspected.identified().permit().went_out(bytes);
        self.permit.went_out(bytes);
    }

    /// The verdict: allow or ask.
    pub const fn verdict(&self) -> &Verdict {
        &self.verdict
    }
}
