//! Calls that rules do not let through after all, and what is done about them.
use std::collections::{BTreeMap, BTreeSet};

use tagout_policy::{Decision, Facts, Given, Policy, PolicyError, Subject, Surface};

use super::{Learner, Rule, Seen, conditions::joined, load, shape};

/// Lets everything through: what it does not, no rule does.
const ALL: &str = "@id(\"all\")\npermit (principal, action, resource);\n";

/// A condition that a rule does without, since a call does not meet it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Relaxed {
    /// The rule.
    pub rule: String,
    /// The condition, as Cedar text.
    pub condition: String,
    /// The record of the call.
    pub record: u64,
}

impl Seen {
    /// The call as it would be put to rules today: with the types that are pinned now.
    fn today<T>(&self, surface: &Surface, judge: impl FnOnce(&Facts<'_>) -> T) -> T {
        let facts = self.case.facts();
        let shape = shape(&self.case, surface);
        let subject = facts.subject.map(|subject| Subject { shape, ..subject });
        judge(&Facts { subject, ..facts })
    }

    /// The approvals that it had; where they are not on record, the caller's own.
    fn given(&self) -> Given {
        let own = || Given { own: self.asked, ..Given::NONE };
        self.given.clone().unwrap_or_else(own)
    }
}

impl Rule {
    /// Leaves out the condition at `place`, with what makes sense only with it.
    fn without(&mut self, place: usize) -> String {
        let guards = self.conditions.get(place).map_or(0, |condition| condition.guards);
        let end = self.conditions.len().min(place + 1 + guards);
        let gone: Vec<_> = self.conditions.drain(place..end).collect();
        for (at, before) in self.conditions.iter_mut().take(place).enumerate() {
            if at + before.guards >= place {
                before.guards = before.guards.saturating_sub(gone.len());
            }
        }
        joined(&gone)
    }
}

impl Learner {
    /// The places of calls that no rule can be made for, and why: it is not known what they said,
    /// or that does not fit what is pinned.
    pub(super) fn unknown(
        &self,
        surface: &Surface,
    ) -> Result<BTreeMap<usize, String>, PolicyError> {
        let all = load(ALL, surface)?;
        let of_tools = surface.tools.iter().map(|tool| &tool.server);
        let servers: BTreeSet<&String> = of_tools.chain(&surface.servers).collect();
        let unknown = self.seen.iter().enumerate().filter_map(|(place, seen)| {
            if seen.redacted {
                return Some((place, "a secret was taken out of its arguments".to_owned()));
            }
            if !servers.iter().any(|server| *server == seen.case.server.as_str()) {
                return Some((place, "there is no such server any more".to_owned()));
            }
            let verdict = seen.today(surface, |facts| all.decide(facts));
            (verdict.decision != Decision::Allow).then_some((place, verdict.reason))
        });
        Ok(unknown.collect())
    }

    /// The places of calls that `policy` does not let through, by their rule's place.
    pub(super) fn misses(
        &self,
        rules: &[Rule],
        policy: &Policy,
        surface: &Surface,
    ) -> BTreeMap<usize, Vec<usize>> {
        let mut misses: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (number, rule) in rules.iter().enumerate() {
            for place in rule.calls.iter().copied() {
                let Some(seen) = self.seen.get(place) else { continue };
                let through = seen.today(surface, |facts| match policy.decide(facts).decision {
                    Decision::Allow => true,
                    Decision::Ask => {
                        seen.asked
                            && policy.allows(facts, &seen.given()).decision == Decision::Allow
                    }
                    Decision::Deny => false,
                });
                if !through {
                    misses.entry(number).or_default().push(place);
                }
            }
        }
        misses
    }

    /// Why a call is not let through.
    pub(super) fn why(&self, place: usize, policy: &Policy, surface: &Surface) -> String {
        let seen = self.seen.get(place);
        seen.map(|seen| seen.today(surface, |facts| policy.decide(facts)).reason)
            .unwrap_or_default()
    }

    /// Takes that condition out of `rule` which is the first that one of the calls at `missing`
    /// does not meet. What it is about is never taken out.
    pub(super) fn relax(
        &self,
        rule: &mut Rule,
        missing: &[usize],
        surface: &Surface,
    ) -> Result<Option<Relaxed>, PolicyError> {
        // The rule with all its conditions, with one less, and so on; in the order of their ids.
        let most = rule.conditions.len();
        let id = |held: usize| format!("{:08}", most - held);
        let probes: String = (0..=most).map(|held| rule.permit(&id(held), held)).collect();
        let probes = load(&probes, surface)?;
        for seen in missing.iter().filter_map(|place| self.seen.get(*place)) {
            let verdict = seen.today(surface, |facts| probes.allows(facts, &seen.given()));
            let missed = verdict.rule.parse::<usize>().ok();
            let met = missed.and_then(|missed| most.checked_sub(missed));
            if let Some(met) = met.filter(|met| verdict.decision == Decision::Allow && *met < most)
            {
                let (name, condition) = (rule.id.clone(), rule.without(met));
                return Ok(Some(Relaxed { rule: name, condition, record: seen.n }));
            }
        }
        Ok(None)
    }
}
