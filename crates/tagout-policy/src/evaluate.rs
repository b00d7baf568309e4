//! One evaluation of rules.
use cedar_policy::{
    AuthorizationError, Decision, Entities, PolicyId, PolicySet, Request, Response,
};

use crate::{
    facts::{Arguments, Facts, Given, Subject},
    load::Policy,
    request::Question,
};

/// How one evaluation came out.
pub(crate) enum Outcome {
    /// Allowed, by the first of the rules that permit it.
    Allowed { by: Option<PolicyId> },
    /// Denied, by the first of the rules that forbid it, if any does.
    Denied { by: Option<PolicyId> },
    /// A rule cannot be evaluated, or the facts cannot be put to any.
    Failed { rule: Option<PolicyId>, why: String },
}

impl Policy {
    /// What `set` says about a call and what it is about, with these approvals: by Cedar's own
    /// authorizer.
    pub(crate) fn evaluate(
        &self,
        set: &PolicySet,
        (facts, subject): (&Facts<'_>, &Subject<'_>),
        given: &Given,
    ) -> Outcome {
        let question = Question::of(self, facts, subject, false);
        let request = question.and_then(|question| {
            let request = question.request(given)?;
            Ok((request, question.standing))
        });
        let (request, standing) = match request {
            Ok(request) => request,
            Err(why) => return Outcome::Failed { rule: None, why: why.to_string() },
        };
        match facts.arguments {
            Arguments::Known(_) => {
                outcome(&self.authorizer.is_authorized(&request, set, &standing.entities))
            }
            Arguments::Unknown => self.evaluate_unknown(set, &request, &standing.entities),
        }
    }

    /// What the rules say to a question whose arguments are known, with these approvals.
    pub(crate) fn answer(&self, question: &Question<'_>, given: &Given) -> Outcome {
        match question.request(given) {
            Ok(request) => self.prepared.decide(&request, &question.standing, &question.kept),
            Err(why) => Outcome::Failed { rule: None, why: why.to_string() },
        }
    }

    /// Allowed means here that some arguments might be.
    fn evaluate_unknown(&self, set: &PolicySet, request: &Request, entities: &Entities) -> Outcome {
        let response = self.authorizer.is_authorized_partial(request, set, entities);
        if let Some(rule) = response.definitely_errored().next() {
            let why = "it fails whatever the arguments are".to_owned();
            return Outcome::Failed { rule: Some(rule.clone()), why };
        }
        let by = response.may_be_determining().map(|policy| policy.id().clone()).min();
        match response.decision() {
            Some(Decision::Allow) | None => Outcome::Allowed { by },
            Some(Decision::Deny) => Outcome::Denied { by },
        }
    }

    /// What comes out whatever varies from call to call, if that is always the same.
    pub(crate) fn evaluate_open(&self, question: &Question<'_>, given: &Given) -> Option<Outcome> {
        let request = question.request(given).ok()?;
        let entities = &question.standing.entities;
        let response = self.authorizer.is_authorized_partial(&request, &self.set, entities);
        let open = response.nontrivial_residuals().next().is_some();
        if open { None } else { Some(outcome(&response.concretize())) }
    }
}

pub(crate) fn outcome(response: &Response) -> Outcome {
    let diagnostics = response.diagnostics();
    // Cedar skips a rule that fails, also a `forbid`; here the whole decision fails.
    if let Some(error) = diagnostics.errors().min_by_key(|error| failing(error)) {
        let AuthorizationError::PolicyEvaluationError(inner) = error;
        return Outcome::Failed {
            rule: Some(failing(error).clone()),
            why: inner.inner().to_string(),
        };
    }
    let by = diagnostics.reason().min().cloned();
    match response.decision() {
        Decision::Allow => Outcome::Allowed { by },
        Decision::Deny => Outcome::Denied { by },
    }
}

/// The rule that fails.
pub(crate) fn failing(error: &AuthorizationError) -> &PolicyId {
    let AuthorizationError::PolicyEvaluationError(error) = error;
    error.policy_id()
}
