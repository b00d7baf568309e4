//! Rules made ready: Cedar's authorizer composes each rule's condition anew in every decision and
//! looks at every rule's scope. Here both are done once. Explanations still take the authorizer,
//! and tests hold the one against the other.
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
            prepared.rules.push(Ready { id: rule.id().clone(), forbids, condition });
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
    pub(crate) fn decide(&self, request: &Request, standing: &Standing) -> Outcome {
        let (entities, extensions) = (standing.entities.as_ref(), Extensions::all_available());
        let evaluator = Evaluator::new(request.as_ref().clone(), entities, extensions);
        let slots = SlotEnv::new();
        let (mut permitted, mut forbidden) = (None, None);
        for place in &standing.rules {
            let Some(rule) = self.rules.get(*place) else {
                let why = "the rules are not those that it was asked of".to_owned();
                return Outcome::Failed { rule: None, why };
            };
            let satisfied = match &rule.condition {
                None => Ok(true),
                Some(condition) => match evaluator.interpret(condition, &slots) {
                    Ok(value) => truth(value.value_kind()),
                    Err(error) => Err(error.to_string()),
                },
            };
            match satisfied {
                Err(why) => return Outcome::Failed { rule: Some(rule.id.clone()), why },
                Ok(true) if rule.forbids => forbidden = forbidden.or(Some(&rule.id)),
                Ok(true) => permitted = permitted.or(Some(&rule.id)),
                Ok(false) => {}
            }
        }
        match (forbidden, permitted) {
            (None, Some(by)) => Outcome::Allowed { by: Some(by.clone()) },
            (by, _) => Outcome::Denied { by: by.cloned() },
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
