//! The decision.
use std::fmt;

use cedar_policy::{PolicyId, PolicySet};
use tagout_proto::Action;

use crate::{
    evaluate::Outcome,
    facts::{Arguments, Facts, Given, Subject},
    ladder::ladder,
    load::Policy,
    names,
    request::Question,
    value::fits,
};

/// What is decided about a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// It may be made.
    Allow,
    /// It may be made once a person has approved it.
    Ask,
    /// It may not be made.
    Deny,
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allow => "allow",
            Self::Ask => "ask",
            Self::Deny => "deny",
        })
    }
}

/// A decision, and why.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[must_use]
pub struct Verdict {
    /// What is decided.
    pub decision: Decision,
    /// The rule that decided, by its id. Ids that start with `tagout:` are built in.
    pub rule: String,
    /// Why, for people.
    pub reason: String,
    /// What an operator can do about it; empty where there is nothing to do.
    pub remedy: String,
    /// Of [`Decision::Ask`]: the least approvals that would do. [`Policy::allows`] has the last word.
    pub demand: Option<Given>,
}

/// The rule of a deny that no rule asked for.
pub(crate) const DEFAULT_DENY: &str = "tagout:default-deny";
/// The rule of a deny of what cannot be put to any rule.
const UNFIT: &str = "tagout:unfit";

impl Policy {
    /// Decides about a call. Total: what cannot be decided is denied.
    pub fn decide(&self, facts: &Facts<'_>) -> Verdict {
        let subject = match self.about(facts) {
            Ok(subject) => subject,
            Err(verdict) => return verdict,
        };
        if let Arguments::Known(_) = facts.arguments
            && let Some(settled) =
                self.known.settled(facts, subject, || self.settled(facts, subject))
        {
            return settled;
        }
        match facts.arguments {
            Arguments::Known(_) => match Question::of(self, facts, subject, false) {
                Ok(question) => {
                    whole(self.climb(facts, |given| Some(self.answer(&question, given))))
                }
                Err(why) => failed(None, &why.to_string()),
            },
            Arguments::Unknown => self.decided(&self.set, facts, subject),
        }
    }

    /// Whether the call may be made once it has the approvals `given`: allow or deny.
    pub fn allows(&self, facts: &Facts<'_>, given: &Given) -> Verdict {
        match self.about(facts) {
            Ok(subject) => match (facts.arguments, Question::of(self, facts, subject, false)) {
                (Arguments::Known(_), Ok(question)) => self.told(self.answer(&question, given)),
                (Arguments::Unknown, _) => self.allowed(&self.set, (facts, subject), given),
                (_, Err(why)) => failed(None, &why.to_string()),
            },
            Err(verdict) => verdict,
        }
    }

    /// What `set` says with exactly these approvals.
    pub(crate) fn allowed(
        &self,
        set: &PolicySet,
        call: (&Facts<'_>, &Subject<'_>),
        given: &Given,
    ) -> Verdict {
        self.told(self.evaluate(set, call, given))
    }

    fn told(&self, outcome: Outcome) -> Verdict {
        match outcome {
            Outcome::Allowed { by } => self.verdict(Decision::Allow, by),
            Outcome::Denied { by } => self.verdict(Decision::Deny, by),
            Outcome::Failed { rule, why } => failed(rule, &why),
        }
    }

    /// What `set` says, without looking at what was decided before.
    pub(crate) fn decided(
        &self,
        set: &PolicySet,
        facts: &Facts<'_>,
        subject: &Subject<'_>,
    ) -> Verdict {
        let climbed = self.climb(facts, |given| Some(self.evaluate(set, (facts, subject), given)));
        whole(climbed)
    }

    /// The verdict, where every evaluation comes out: without an approval, and if that denies, with
    /// the least that allow. A rule that fails on the way there denies.
    fn climb(
        &self,
        facts: &Facts<'_>,
        evaluate: impl Fn(&Given) -> Option<Outcome>,
    ) -> Option<Verdict> {
        let denied_by = match evaluate(&Given::NONE)? {
            Outcome::Allowed { by } => return Some(self.verdict(Decision::Allow, by)),
            Outcome::Failed { rule, why } => return Some(failed(rule, &why)),
            Outcome::Denied { by } => by,
        };
        let mut denied_at_last_by = None;
        for given in ladder(&self.asks, &facts.principal.groups) {
            match evaluate(&given)? {
                // A `forbid … unless { context.approved }` is what asks, where there is one.
                Outcome::Allowed { by } => {
                    let verdict = self.verdict(Decision::Ask, denied_by.or(by));
                    return Some(Verdict { demand: Some(given), ..verdict });
                }
                Outcome::Failed { rule, why } => return Some(failed(rule, &why)),
                Outcome::Denied { by } => denied_at_last_by = by,
            }
        }
        // What denies whatever people say is what is to be told.
        Some(self.verdict(Decision::Deny, denied_at_last_by.or(denied_by)))
    }

    /// The verdict, if it is the same whatever the arguments, the history and the time are.
    fn settled(&self, facts: &Facts<'_>, subject: &Subject<'_>) -> Option<Verdict> {
        let question = Question::of(self, facts, subject, true).ok()?;
        self.climb(facts, |given| self.evaluate_open(&question, given))
    }

    /// What a call is about, or what is decided without asking any rule.
    pub(crate) fn about<'a, 'f>(&self, facts: &'a Facts<'f>) -> Result<&'a Subject<'f>, Verdict> {
        match facts.action {
            Action::Session | Action::List | Action::Tell => {
                let reason =
                    "it concerns the session alone; what lists hold is decided item by item";
                return Err(built_in(Decision::Allow, "tagout:session", reason));
            }
            Action::CallTool
            | Action::ReadResource
            | Action::FetchPrompt
            | Action::Complete
            | Action::FollowTask
            | Action::AskClient => {}
        }
        let Some(subject) = facts.subject.as_ref() else {
            return Err(built_in(Decision::Deny, DEFAULT_DENY, "the call names nothing"));
        };
        // Held against the types whatever the rules look at, so that a rule less never allows more.
        if let (Arguments::Known(value), Some(shape)) =
            (facts.arguments, names::shape(self, facts, subject))
            && let Err(misfit) = fits(value, shape)
        {
            return Err(Verdict {
                remedy: "look at the call; if it is right, pin the tool anew with `tagout pin`"
                    .into(),
                ..built_in(Decision::Deny, UNFIT, &misfit.to_string())
            });
        }
        Ok(subject)
    }

    fn verdict(&self, decision: Decision, rule: Option<PolicyId>) -> Verdict {
        let Some(id) = rule else {
            return built_in(Decision::Deny, DEFAULT_DENY, "no rule allows it");
        };
        let rule = self.rules.get(&id).cloned().unwrap_or_default();
        let id: &str = id.as_ref();
        let reason = match (rule.reason.is_empty(), rule.forbids) {
            (false, _) => rule.reason,
            (true, true) => format!("the rule `{id}` forbids it"),
            (true, false) => format!("the rule `{id}` permits it"),
        };
        Verdict { decision, rule: id.to_owned(), reason, remedy: rule.remedy, demand: None }
    }
}

/// The verdict, where every evaluation came out, as it does where nothing is left open.
fn whole(climbed: Option<Verdict>) -> Verdict {
    climbed.unwrap_or_else(|| built_in(Decision::Deny, DEFAULT_DENY, "nothing decides it"))
}

fn built_in(decision: Decision, rule: &str, reason: &str) -> Verdict {
    let remedy =
        if rule == DEFAULT_DENY { "write a rule that permits it in `policies/`" } else { "" };
    Verdict {
        decision,
        rule: rule.to_owned(),
        reason: reason.to_owned(),
        remedy: remedy.to_owned(),
        demand: None,
    }
}

fn failed(rule: Option<PolicyId>, why: &str) -> Verdict {
    let rule = rule.map_or_else(|| UNFIT.to_owned(), |id| AsRef::<str>::as_ref(&id).to_owned());
    Verdict {
        decision: Decision::Deny,
        reason: format!("the rule `{rule}` could not be evaluated: {why}"),
        remedy: "guard it, for instance by `context.arguments has path &&`".to_owned(),
        rule,
        demand: None,
    }
}
