//! Facts as Cedar sees them.
use std::{collections::HashMap, sync::Arc};

use cedar_policy::{Context, Entities, Entity, Request, RestrictedExpression};
use serde_json::Value;
use tagout_proto::Principal;

use crate::{
    facts::{Arguments, Facts, Subject},
    known::{Known, action, kind, uid},
};

/// Why facts cannot be put to Cedar; always a deny.
pub(crate) type Unfit = Box<dyn std::error::Error>;

/// The request and the entities it speaks of.
pub(crate) fn question(
    facts: &Facts<'_>,
    subject: &Subject<'_>,
    approved: bool,
    known: &Known,
) -> Result<(Request, Arc<Entities>), Unfit> {
    let context = Context::from_pairs([
        ("approved".to_owned(), RestrictedExpression::new_bool(approved)),
        ("client".to_owned(), text(facts.client)),
        ("transport".to_owned(), text(facts.transport)),
        ("arguments".to_owned(), arguments(facts.arguments)?),
    ])?;
    let user = uid("User", &facts.principal.user)?;
    let thing = uid(kind(subject.kind), subject.qualified)?;
    let request = Request::new(user, action(facts.action)?, thing, context, None)?;
    let make = || entities(facts.principal, subject);
    Ok((request, known.entities(facts.principal, subject, make)?))
}

/// The caller, what is called, and what they belong to.
fn entities(principal: &Principal, subject: &Subject<'_>) -> Result<Entities, Unfit> {
    let user = uid("User", &principal.user)?;
    let thing = uid(kind(subject.kind), subject.qualified)?;
    let server = uid("Server", subject.server.as_str())?;
    let groups = principal.groups.iter().map(|group| uid("Group", group));
    let groups = groups.collect::<Result<Vec<_>, _>>()?;
    let authenticated_by = text(&principal.authenticated_by);
    let mut entities = vec![
        Entity::new_no_attrs(server.clone(), std::iter::empty().collect()),
        Entity::new(thing, attributes(subject), [server].into())?,
        Entity::new(
            user,
            HashMap::from([("authenticated_by".to_owned(), authenticated_by)]),
            groups.iter().cloned().collect(),
        )?,
    ];
    entities
        .extend(groups.into_iter().map(|g| Entity::new_no_attrs(g, std::iter::empty().collect())));
    Ok(Entities::from_entities(entities, None)?)
}

fn attributes(subject: &Subject<'_>) -> HashMap<String, RestrictedExpression> {
    let effects = subject.effects.iter().map(|effect| text(effect.as_str()));
    HashMap::from([
        ("server".to_owned(), text(subject.server.as_str())),
        ("name".to_owned(), text(subject.name)),
        ("effects".to_owned(), RestrictedExpression::new_set(effects)),
        ("reviewed".to_owned(), RestrictedExpression::new_bool(subject.reviewed)),
    ])
}

fn text(text: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(text.to_owned())
}

fn arguments(arguments: Arguments<'_>) -> Result<RestrictedExpression, Unfit> {
    match arguments {
        Arguments::Known(value) => expression(value),
        Arguments::Unknown => Ok(RestrictedExpression::new_unknown("arguments")),
    }
}

/// The number, if it is a whole one that Cedar holds, however it is written: `5`, `5.0`, `5e0`.
fn whole(number: &serde_json::Number) -> Option<i64> {
    number.as_i64().or_else(|| {
        // By its decimal digits, as it was written: `1e16` is 1 and sixteen zeros.
        let text = format!("{:e}", number.as_f64()?);
        let (mantissa, exponent) = text.split_once('e')?;
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let zeros = exponent.parse::<usize>().ok()?.checked_sub(fraction.len())?;
        if zeros > 19 {
            return None;
        }
        format!("{whole}{fraction}{}", "0".repeat(zeros)).parse().ok()
    })
}

/// What Cedar cannot hold: a record that equals no string and no number, so that no comparison
/// with one is true or false by accident.
fn tagged(tag: &str, value: RestrictedExpression) -> Result<RestrictedExpression, Unfit> {
    Ok(RestrictedExpression::new_record([(tag.to_owned(), value)])?)
}

/// A JSON value as Cedar can hold it; what it cannot is there as a tagged text, never dropped.
fn expression(value: &Value) -> Result<RestrictedExpression, Unfit> {
    Ok(match value {
        Value::Null => tagged("null", RestrictedExpression::new_bool(true))?,
        Value::Bool(truth) => RestrictedExpression::new_bool(*truth),
        Value::Number(number) => match whole(number) {
            Some(whole) => RestrictedExpression::new_long(whole),
            None => tagged("number", text(&number.to_string()))?,
        },
        Value::String(string) => text(string),
        Value::Array(elements) => {
            let elements = elements.iter().map(expression).collect::<Result<Vec<_>, _>>()?;
            RestrictedExpression::new_set(elements)
        }
        Value::Object(members) => {
            let members = members.iter().map(|(key, value)| Ok((key.clone(), expression(value)?)));
            RestrictedExpression::new_record(members.collect::<Result<Vec<_>, Unfit>>()?)?
        }
    })
}
