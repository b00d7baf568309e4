//! The decision.
use std::fmt;

use cedar_policy::PolicyId;
use tagout_proto::Action;

use crate::{
    facts::{Arguments, Facts, Given, Subject},
    load::Policy,
    request::question,
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
const DEFAULT_DENY: &str = "tagout:default-deny";

/// How one evaluation came out.
enum Outcome {
    Allowed { by: Option<PolicyId> },
    Denied { by: Option<PolicyId> },
    Failed { rule: Option<PolicyId>, why: String },
}

impl Policy {
    /// Decides about a call. Total: what cannot be decided is denied.
    pub fn decide(&self, facts: &Facts<'_>) -> Verdict {
        let subject = match (facts.action, facts.subject.as_ref()) {
            (Action::Session | Action::List | Action::Tell, _) => {
                let reason =
                    "it concerns the session alone; what lists hold is decided item by item";
                return built_in(Decision::Allow, "tagout:session", reason);
            }
            (
                Action::CallTool
                | Action::ReadResource
                | Action::FetchPrompt
                | Action::Complete
                | Action::FollowTask
                | Action::AskClient,
                Some(subject),
            ) => subject,
            (
                Action::CallTool
                | Action::ReadResource
                | Action::FetchPrompt
                | Action::Complete
                | Action::FollowTask
                | Action::AskClient,
                None,
            ) => return built_in(Decision::Deny, DEFAULT_DENY, "the call names nothing"),
        };
        if let Arguments::Known(_) = facts.arguments
            && let Some(settled) =
                self.known.settled(facts, subject, || self.settled(facts, subject))
        {
            return settled;
        }
        let verdict = self.asked_twice(|approved| Some(self.evaluate(facts, subject, approved)));
        verdict.unwrap_or_else(|| built_in(Decision::Deny, DEFAULT_DENY, "nothing decides it"))
    }

    /// Whether the call may be made once it has the approvals `given`: allow or deny.
    pub fn allows(&self, facts: &Facts<'_>, given: &Given) -> Verdict {
        let verdict = self.decide(facts);
        match verdict.decision {
            Decision::Ask if given.any() => {
                Verdict { decision: Decision::Allow, demand: None, ..verdict }
            }
            Decision::Ask => Verdict { decision: Decision::Deny, demand: None, ..verdict },
            Decision::Allow | Decision::Deny => verdict,
        }
    }

    /// The verdict, where every evaluation comes out.
    fn asked_twice(&self, evaluate: impl Fn(bool) -> Option<Outcome>) -> Option<Verdict> {
        let first = match evaluate(false)? {
            Outcome::Allowed { by } => return Some(self.verdict(Decision::Allow, by)),
            Outcome::Failed { rule, why } => return Some(failed(rule, &why)),
            Outcome::Denied { by } => by,
        };
        Some(match evaluate(true)? {
            // A `forbid … unless { context.approved }` is what asks, where there is one.
            Outcome::Allowed { by } => {
                let demand = Some(Given { own: true, ..Given::NONE });
                Verdict { demand, ..self.verdict(Decision::Ask, first.or(by)) }
            }
            Outcome::Failed { rule, why } => failed(rule, &why),
            Outcome::Denied { by } => self.verdict(Decision::Deny, by.or(first)),
        })
    }

    /// The verdict, if it is the same whatever the arguments are: no rule that could decide looks
    /// at them.
    fn settled(&self, facts: &Facts<'_>, subject: &Subject<'_>) -> Option<Verdict> {
        let facts = Facts { arguments: Arguments::Unknown, ..*facts };
        self.asked_twice(|approved| {
            let (request, entities) = question(&facts, subject, approved, &self.known).ok()?;
            let response = self.authorizer.is_authorized_partial(&request, &self.set, &entities);
            let open = response.nontrivial_residuals().next().is_some();
            if open { None } else { Some(outcome(&response.concretize())) }
        })
    }

    fn evaluate(&self, facts: &Facts<'_>, subject: &Subject<'_>, approved: bool) -> Outcome {
        let (request, entities) = match question(facts, subject, approved, &self.known) {
            Ok(question) => question,
            Err(why) => return Outcome::Failed { rule: None, why: why.to_string() },
        };
        match facts.arguments {
            Arguments::Known(_) => {
                outcome(&self.authorizer.is_authorized(&request, &self.set, &entities))
            }
            Arguments::Unknown => self.evaluate_unknown(&request, &entities),
        }
    }

    /// Allowed means here that some arguments might be.
    fn evaluate_unknown(
        &self,
        request: &cedar_policy::Request,
        entities: &cedar_policy::Entities,
    ) -> Outcome {
        let response = self.authorizer.is_authorized_partial(request, &self.set, entities);
        if let Some(rule) = response.definitely_errored().next() {
            let why = "it fails whatever the arguments are".to_owned();
            return Outcome::Failed { rule: Some(rule.clone()), why };
        }
        let by = response.may_be_determining().map(|policy| policy.id().clone()).min();
        match response.decision() {
            Some(cedar_policy::Decision::Allow) | None => Outcome::Allowed { by },
            Some(cedar_policy::Decision::Deny) => Outcome::Denied { by },
        }
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

fn outcome(response: &cedar_policy::Response) -> Outcome {
    let diagnostics = response.diagnostics();
    // Cedar skips a rule that fails, also a `forbid`; here the whole decision fails.
    if let Some(error) = diagnostics.errors().next() {
        let cedar_policy::AuthorizationError::PolicyEvaluationError(error) = error;
        let rule = Some(error.policy_id().clone());
        return Outcome::Failed { rule, why: error.inner().to_string() };
    }
    let by = diagnostics.reason().min().cloned();
    match response.decision() {
        cedar_policy::Decision::Allow => Outcome::Allowed { by },
        cedar_policy::Decision::Deny => Outcome::Denied { by },
    }
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
    let rule =
        rule.map_or_else(|| "tagout:unfit".to_owned(), |id| AsRef::<str>::as_ref(&id).to_owned());
    Verdict {
        decision: Decision::Deny,
        reason: format!("the rule `{rule}` could not be evaluated: {why}"),
        remedy: "guard it, for instance by `context.arguments has path &&`".to_owned(),
        rule,
        demand: None,
    }
}
