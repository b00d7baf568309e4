//! What alone would have decided otherwise: tried out, one thing at a time.
use std::collections::BTreeSet;

use cedar_policy::{Policy as CedarPolicy, PolicyId, PolicySet};
use tagout_proto::{Action, Principal};

use super::{Alteration, Change};
use crate::{
    decide::{Decision, Verdict},
    effects::{Effect, Effects},
    facts::{Facts, Given, Subject},
    ladder::ladder,
    load::{Policy, Source},
    names,
};

/// The most groups and rules that are tried.
const MOST: usize = 64;

type Call<'a, 'f> = (&'a Facts<'f>, &'a Subject<'f>);

impl Policy {
    /// All single changes after which another decision is made, from the least.
    pub(super) fn changes(
        &self,
        call: Call<'_, '_>,
        given: &Given,
        verdict: &Verdict,
    ) -> Vec<Change> {
        let trial = Trial { policy: self, call, given, before: verdict.decision };
        let mut changes = Vec::new();
        changes.extend(trial.approval());
        changes.extend(trial.review());
        changes.extend(trial.effects());
        changes.extend(trial.groups());
        changes.extend(trial.permit());
        changes.extend(trial.without_rule());
        changes
    }
}

struct Trial<'a, 'f> {
    policy: &'a Policy,
    call: Call<'a, 'f>,
    given: &'a Given,
    before: Decision,
}

impl Trial<'_, '_> {
    /// The change, if with these rules and facts the call fares better, or worse where it is
    /// allowed.
    fn otherwise(&self, set: &PolicySet, facts: &Facts<'_>, what: Alteration) -> Option<Change> {
        let then = self.policy.verdict_with(set, facts, self.given);
        let otherwise = match self.before {
            Decision::Deny => then.decision != Decision::Deny,
            Decision::Ask => then.decision == Decision::Allow,
            Decision::Allow => then.decision != Decision::Allow,
        };
        otherwise.then_some(Change { what, then: then.decision, by: then.rule })
    }

    fn with_subject(&self, subject: Subject<'_>, what: Alteration) -> Option<Change> {
        let facts = Facts { subject: Some(subject), ..*self.call.0 };
        self.otherwise(&self.policy.set, &facts, what)
    }

    fn approval(&self) -> Option<Change> {
        let (facts, _) = self.call;
        if self.before == Decision::Allow {
            return None;
        }
        ladder(&self.policy.asks, &facts.principal.groups).into_iter().find_map(|given| {
            let verdict = self.policy.allows(facts, &given);
            (verdict.decision == Decision::Allow).then_some(Change {
                what: Alteration::Approval(given),
                then: verdict.decision,
                by: verdict.rule,
            })
        })
    }

    /// Reviewed as it stands, or else as only reading.
    fn review(&self) -> Option<Change> {
        let (_, subject) = self.call;
        if subject.reviewed {
            return None;
        }
        let reading = Effects::from([Effect::Read]);
        [subject.effects, &reading].into_iter().find_map(|effects| {
            let reviewed = Subject { reviewed: true, effects, ..*subject };
            self.with_subject(reviewed, Alteration::Review(effects.clone()))
        })
    }

    fn effects(&self) -> Vec<Change> {
        let (_, subject) = self.call;
        let without = |effect: &Effect| {
            let mut effects = subject.effects.clone();
            effects.remove(effect);
            let fewer = Subject { effects: &effects, ..*subject };
            self.with_subject(fewer, Alteration::WithoutEffect(*effect))
        };
        subject.effects.iter().filter_map(without).collect()
    }

    fn groups(&self) -> Vec<Change> {
        let (facts, _) = self.call;
        let literals = self.policy.set.policies().flat_map(CedarPolicy::entity_literals);
        let mut names: BTreeSet<String> = literals
            .filter(|uid| uid.type_name().to_string() == "Group")
            .map(|uid| uid.id().unescaped().to_owned())
            .collect();
        names.retain(|name| !facts.principal.groups.contains(name));
        let join = |name: String| {
            let mut principal: Principal = facts.principal.clone();
            principal.groups.insert(name.clone());
            let joined = Facts { principal: &principal, ..*facts };
            self.otherwise(&self.policy.set, &joined, Alteration::Group(name))
        };
        names.into_iter().take(MOST).filter_map(join).collect()
    }

    fn permit(&self) -> Option<Change> {
        if self.before == Decision::Allow {
            return None;
        }
        let text = self.text()?;
        let name = "this rule".to_owned();
        let source = Source { name, text };
        let rule = CedarPolicy::parse(None, &source.text).ok()?;
        let id = PolicyId::new(rule.annotation("id")?);
        let rule = rule.new_id(id);
        let mut alone = PolicySet::new();
        alone.add(rule.clone()).ok()?;
        self.policy.checker.check(&alone, &source).ok()?;
        let mut set = self.policy.set.clone();
        set.add(rule).ok()?;
        self.otherwise(&set, self.call.0, Alteration::Permit(source.text))
    }

    /// The narrowest rule that permits the call whatever its arguments are.
    fn text(&self) -> Option<String> {
        let (facts, subject) = self.call;
        let user = names::uid("User", &facts.principal.user).ok()?;
        let thing = names::uid(names::kind(subject.kind), subject.qualified).ok()?;
        let action = names::action(facts, subject).ok()?;
        let id = self.new_id(facts, subject);
        let is_tool = facts.action == Action::CallTool;
        if is_tool && !self.policy.checker.knows_tool(subject.qualified) {
            let word = |text: &str| format!("\"{}\"", text.escape_default());
            let (server, name) = (word(subject.server.as_str()), word(subject.name));
            return Some(format!(
                "@id(\"{id}\")\npermit (principal == {user}, action in Action::\"call-tool\", \
                 resource)\nwhen {{ resource.server == {server} && resource.name == {name} }};"
            ));
        }
        Some(format!(
            "@id(\"{id}\")\npermit (principal == {user}, action == {action}, resource == {thing});"
        ))
    }

    /// An id that no rule has, of letters that need no quoting.
    fn new_id(&self, facts: &Facts<'_>, subject: &Subject<'_>) -> String {
        let whole = format!("{}-for-{}", subject.qualified, facts.principal.user);
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
        let mut id: String = "allow-".chars().chain(whole.chars().map(plain).take(80)).collect();
        while self.policy.rules.contains_key(&PolicyId::new(&id)) {
            id.push_str("-too");
        }
        id
    }

    /// Without a rule that holds for the call: what forbids it, or what lets it through.
    fn without_rule(&self) -> Vec<Change> {
        let rules = self.policy.set.policies().map(|rule| rule.id().clone());
        let rules: BTreeSet<PolicyId> = rules.collect();
        let without = |id: PolicyId| {
            let mut set = self.policy.set.clone();
            set.remove_static(id.clone()).ok()?;
            let what = Alteration::WithoutRule(AsRef::<str>::as_ref(&id).to_owned());
            self.otherwise(&set, self.call.0, what)
        };
        rules.into_iter().filter_map(without).collect()
    }
}
