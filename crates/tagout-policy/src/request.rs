//! Facts as Cedar sees them.
use std::collections::HashMap;

use cedar_policy::{
    Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request, RestrictedExpression,
};
use serde_json::Value;

use crate::facts::{Arguments, Facts, Subject, SubjectKind};

/// Why facts cannot be put to Cedar; always a deny.
pub(crate) type Unfit = Box<dyn std::error::Error>;

/// The request and the entities it speaks of.
pub(crate) fn question(
    facts: &Facts<'_>,
    subject: &Subject<'_>,
    approved: bool,
) -> Result<(Request, Entities), Unfit> {
    let user = uid("User", &facts.principal.user)?;
    let thing = uid(kind(subject.kind), subject.qualified)?;
    let server = uid("Server", subject.server.as_str())?;
    let groups = facts.principal.groups.iter().map(|group| uid("Group", group));
    let groups = groups.collect::<Result<Vec<_>, _>>()?;
    let authenticated_by = text(&facts.principal.authenticated_by);
    let mut entities = vec![
        Entity::new_no_attrs(server.clone(), std::iter::empty().collect()),
        Entity::new(thing.clone(), attributes(subject), [server].into())?,
        Entity::new(
            user.clone(),
            HashMap::from([("authenticated_by".to_owned(), authenticated_by)]),
            groups.iter().cloned().collect(),
        )?,
    ];
    entities
        .extend(groups.into_iter().map(|g| Entity::new_no_attrs(g, std::iter::empty().collect())));
    let context = Context::from_pairs([
        ("approved".to_owned(), RestrictedExpression::new_bool(approved)),
        ("client".to_owned(), text(facts.client)),
        ("transport".to_owned(), text(facts.transport)),
        ("arguments".to_owned(), arguments(facts.arguments)?),
    ])?;
    let action = uid("Action", facts.action.as_str())?;
    let request = Request::new(user, action, thing, context, None)?;
    Ok((request, Entities::from_entities(entities, None)?))
}

const fn kind(kind: SubjectKind) -> &'static str {
    match kind {
        SubjectKind::Tool => "Tool",
        SubjectKind::Resource => "Resource",
        SubjectKind::Prompt => "Prompt",
        SubjectKind::Task => "Task",
        SubjectKind::Question => "Question",
    }
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

fn uid(kind: &str, id: &str) -> Result<EntityUid, Unfit> {
    let kind: EntityTypeName = kind.parse()?;
    Ok(EntityUid::from_type_name_and_id(kind, EntityId::new(id)))
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
