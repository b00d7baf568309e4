//! Rules made ready: Cedar's authorizer composes each rule's condition anew in every decision and
//! looks at every rule's scope. Here both are done once. Explanations still take the authorizer,
//! and tests hold the one against the other.
use std::cell::OnceCell;

use cedar_policy::{
    Authorizer, Entities, EntityUid, Policy as CedarPolicy, PolicyId, PolicySet, Request,
};
use cedar_policy_core::{
    ast::{Expr, Literal, SlotEnv, ValueKind},
    evaluator::Evaluator,
    extensions::Extensions,
};
use serde_json::{Value, json};

use crate::{
    asks::Asks,
    evaluate::Outcome,
    request::{Standing, Unfit},
};

/// Rules made ready, sorted by their ids.
#[derive(Debug, Default)]
pub(crate) struct Prepared {
    rules: Vec<Ready>,
    /// The rules' scopes: permits under the rules' places in the list, without their conditions.
    scopes: PolicySet,
}

#[derive(Debug)]
struct Ready {
    id: PolicyId,
    forbids: bool,
    /// Whether it looks at approvals: what the others say stays the same from one to the next.
    about_approvals: bool,
    /// Nothing where the scope is all.
    condition: Option<Expr>,
}

impl Prepared {
    /// Makes all rules of `set` ready.
    pub(crate) fn of(set: &PolicySet) -> Result<Self, Unfit> {
        let mut rules: Vec<&CedarPolicy> = set.policies().collect();
        rules.sort_by(|a, b| a.id().cmp(b.id()));
        let mut prepared = Self::default();
        for (place, rule) in rules.into_iter().enumerate() {
            let json = rule.to_json()?;
            let scope = with(&json, [("effect", json!("permit")), ("conditions", json!([]))]);
            let id = PolicyId::new(place.to_string());
            prepared.scopes.add(CedarPolicy::from_json(Some(id), scope)?)?;
            // From JSON: so it does not carry places in a text through each step of a decision.
            let bare = CedarPolicy::from_json(Some(rule.id().clone()), json)?;
            let condition = bare.as_ref().non_scope_constraints().cloned();
            let forbids = rule.effect() == cedar_policy::Effect::Forbid;
            let mut asks = Asks::default();
            asks.add(&rule.to_json()?);
            let (id, about_approvals) = (rule.id().clone(), asks.about_approvals());
            prepared.rules.push(Ready { id, forbids, about_approvals, condition });
        }
        Ok(prepared)
    }

    /// The places of the rules whose scope this is in, in their order.
    pub(crate) fn in_scope(
        &self,
        (user, action, thing): (EntityUid, EntityUid, EntityUid),
        entities: &Entities,
    ) -> Result<Box<[usize]>, Unfit> {
        let context = cedar_policy::Context::empty();
        let request = Request::new(user, action, thing, context, None)?;
        let response = Authorizer::new().is_authorized(&request, &self.scopes, entities);
        if let Some(error) = response.diagnostics().errors().next() {
            return Err(error.to_string().into());
        }
        let place = |id: &PolicyId| AsRef::<str>::as_ref(id).parse::<usize>();
        let mut places =
            response.diagnostics().reason().map(place).collect::<Result<Vec<_>, _>>()?;
        places.sort_unstable();
        Ok(places.into())
    }

    /// What the rules say: a rule that fails denies, then any `forbid`, then any `permit` allows.
    /// `kept` is what the rules said that do not look at approvals, of the same question.
    pub(crate) fn decide(
        &self,
        request: &Request,
        standing: &Standing,
        kept: &OnceCell<Said>,
    ) -> Outcome {
        let (entities, extensions) = (standing.entities.as_ref(), Extensions::all_available());
        let evaluator = Evaluator::new(request.as_ref().clone(), entities, extensions);
        let kept = kept.get_or_init(|| self.said(&evaluator, standing, false));
        let said = self.said(&evaluator, standing, true).or(kept);
        let id = |place: usize| self.rules.get(place).map(|rule| rule.id.clone());
        match said {
            Said { failed: Some((place, why)), .. } => Outcome::Failed { rule: id(place), why },
            Said { forbidden: Some(place), .. } => Outcome::Denied { by: id(place) },
            Said { permitted: Some(place), .. } => Outcome::Allowed { by: id(place) },
            Said { failed: None, forbidden: None, permitted: None } => Outcome::Denied { by: None },
        }
    }

    /// What those rules say that look at approvals, or those that do not.
    fn said(&self, evaluator: &Evaluator<'_>, standing: &Standing, about_approvals: bool) -> Said {
        let (mut said, slots) = (Said::default(), SlotEnv::new());
        for place in standing.rules.iter().copied() {
            let Some(rule) = self.rules.get(place) else {
                let why = "the rules are not those that it was asked of".to_owned();
                return Said { failed: Some((place, why)), ..Said::default() };
            };
            if rule.about_approvals != about_approvals {
                continue;
            }
            let satisfied = match &rule.condition {
                None => Ok(true),
                Some(condition) => match evaluator.interpret(condition, &slots) {
                    Ok(value) => truth(value.value_kind()),
                    Err(error) => Err(error.to_string()),
                },
            };
            match satisfied {
                Err(why) => return Said { failed: Some((place, why)), ..Said::default() },
                Ok(true) if rule.forbids => said.forbidden = said.forbidden.or(Some(place)),
                Ok(true) => said.permitted = said.permitted.or(Some(place)),
                Ok(false) => {}
            }
        }
        said
    }
}

/// What some rules say: the places of the first of each kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    failed: Option<(usize, String)>,
    forbidden: Option<usize>,
    permitted: Option<usize>,
}

impl Said {
    /// What both say.
    fn or(self, other: &Self) -> Self {
        let first = |a: Option<usize>, b: Option<usize>| a.into_iter().chain(b).min();
        Self {
            failed: self.failed.into_iter().chain(other.failed.clone()).min(),
            forbidden: first(self.forbidden, other.forbidden),
            permitted: first(self.permitted, other.permitted),
        }
    }
}

fn truth(value: &ValueKind) -> Result<bool, String> {
    match value {
        ValueKind::Lit(Literal::Bool(truth)) => Ok(*truth),
        ValueKind::Lit(Literal::Long(_) | Literal::String(_) | Literal::EntityUID(_))
        | ValueKind::Set(_)
        | ValueKind::Record(_)
        | ValueKind::ExtensionValue(_) => Err("its condition is neither true nor false".to_owned()),
    }
}

fn with<const N: usize>(json: &Value, changes: [(&str, Value); N]) -> Value {
    let mut json = json.clone();
    if let Some(members) = json.as_object_mut() {
        members.extend(changes.map(|(name, value)| (name.to_owned(), value)));
    }
    json
}
