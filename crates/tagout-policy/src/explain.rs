//! Why a call was decided as it was, and what would have decided otherwise.
mod changes;

use std::fmt;

use cedar_policy::PolicySet;
use serde::Serialize;

use crate::{
    decide::{Decision, Verdict},
    effects::Effects,
    evaluate::Outcome,
    facts::{Facts, Given, Subject},
    load::Policy,
};

/// Why a call was decided as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The decision: of [`Policy::decide`] where nothing was given, else of [`Policy::allows`].
    pub verdict: Verdict,
    /// The rules that hold for the call, or fail on it: those that decided first, then by their ids.
    pub deciding: Vec<RuleSaid>,
    /// What alone would have decided otherwise, each tried out, and the least first.
    pub changes: Vec<Change>,
}

/// What a rule says to a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleSaid {
    /// The rule's id.
    pub id: String,
    /// Whether it permits or forbids.
    pub effect: RuleEffect,
    /// Whether its conditions are met.
    pub satisfied: bool,
    /// Whether the decision is its doing.
    pub decided: bool,
    /// Why it cannot be evaluated, if it cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The text that it stands in, and its line there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<(String, usize)>,
}

/// What a rule does where its conditions are met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleEffect {
    /// Permits.
    Permit,
    /// Forbids.
    Forbid,
}

/// A change that would have decided otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What would have to be otherwise.
    pub what: Alteration,
    /// What would then be decided.
    pub then: Decision,
    /// By which rule.
    pub by: String,
}

/// One thing that could be otherwise, from the least to the most.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Alteration {
    /// These approvals of the very call.
    Approval(Given),
    /// A review that says that the tool has these effects.
    Review(Effects),
    /// A review that says that the tool has all its effects but this one.
    WithoutEffect(crate::effects::Effect),
    /// The caller is in this group.
    Group(String),
    /// There is this rule beside the others, given as Cedar text.
    Permit(String),
    /// There is no such rule.
    WithoutRule(String),
}

impl fmt::Display for Alteration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Approval(given) => write!(f, "approval by {given}"),
            Self::Review(effects) => {
                let effects: Vec<_> = effects.iter().map(|effect| effect.as_str()).collect();
                write!(f, "a review as {}", effects.join(", "))
            }
            Self::WithoutEffect(effect) => write!(f, "a review without the effect `{effect}`"),
            Self::Group(group) => write!(f, "the caller being in the group `{group}`"),
            Self::Permit(text) => write!(f, "one more rule:\n{text}"),
            Self::WithoutRule(id) => write!(f, "doing without the rule `{id}`"),
        }
    }
}

impl Policy {
    /// Explains what is decided about a call that has the approvals `given`. Slow: every rule is
    /// evaluated by itself, and every change is tried out.
    #[must_use]
    pub fn explain(&self, facts: &Facts<'_>, given: &Given) -> Explanation {
        let verdict = self.verdict_with(&self.set, facts, given);
        match self.about(facts) {
            Ok(subject) => {
                let deciding = self.said((facts, subject), given, &verdict);
                let changes = self.changes((facts, subject), given, &verdict);
                Explanation { verdict, deciding, changes }
            }
            Err(_) => Explanation { verdict, deciding: Vec::new(), changes: Vec::new() },
        }
    }

    /// What `set` says, with nothing kept.
    pub(crate) fn verdict_with(
        &self,
        set: &PolicySet,
        facts: &Facts<'_>,
        given: &Given,
    ) -> Verdict {
        match self.about(facts) {
            Ok(subject) if *given == Given::NONE => self.decided(set, facts, subject),
            Ok(subject) => self.allowed(set, (facts, subject), given),
            Err(verdict) => verdict,
        }
    }

    /// What each rule says by itself, where it says anything.
    fn said(
        &self,
        call: (&Facts<'_>, &Subject<'_>),
        given: &Given,
        verdict: &Verdict,
    ) -> Vec<RuleSaid> {
        let mut said: Vec<_> = self
            .set
            .policies()
            .filter_map(|rule| {
                let mut alone = PolicySet::new();
                alone.add(rule.clone()).ok()?;
                let (satisfied, error) = match self.evaluate(&alone, call, given) {
                    Outcome::Allowed { .. } | Outcome::Denied { by: Some(_) } => (true, None),
                    Outcome::Denied { by: None } => (false, None),
                    Outcome::Failed { why, .. } => (false, Some(why)),
                };
                let id: &str = rule.id().as_ref();
                let decided = id == verdict.rule;
                let place = self.rule_place(id).map(|(file, line)| (file.to_owned(), line));
                (satisfied || error.is_some() || decided).then(|| RuleSaid {
                    id: id.to_owned(),
                    effect: match rule.effect() {
                        cedar_policy::Effect::Permit => RuleEffect::Permit,
                        cedar_policy::Effect::Forbid => RuleEffect::Forbid,
                    },
                    satisfied,
                    decided,
                    error,
                    place,
                })
            })
            .collect();
        said.sort_by(|a, b| (!a.decided, &a.id).cmp(&(!b.decided, &b.id)));
        said
    }
}
