//! Facts as Cedar sees them.
use std::{collections::HashMap, sync::Arc};

use cedar_policy::{Context, Entities, Entity, Request, RestrictedExpression};
use serde_json::Value;

use crate::{
    asks::Asks,
    effects::Effect,
    facts::{Arguments, Facts, Given, History, Subject},
    known::Known,
    names::{self, CALL_TOOL, kind, uid},
    time,
    value::{all, canonical, made, text, typed, untyped},
};

/// Why facts cannot be put to Cedar; always a deny.
pub(crate) type Unfit = Box<dyn std::error::Error>;

/// Who puts the question: what rules look at, and what was made before.
#[derive(Clone, Copy)]
pub(crate) struct Asker<'a> {
    pub(crate) asks: &'a Asks,
    pub(crate) known: &'a Known,
    /// Whether all that varies from call to call is left unknown.
    pub(crate) open: bool,
}

/// The request and the entities it speaks of.
pub(crate) fn question(
    facts: &Facts<'_>,
    subject: &Subject<'_>,
    given: &Given,
    asker: Asker<'_>,
) -> Result<(Request, Arc<Entities>), Unfit> {
    let context = context(facts, subject, given, asker)?;
    let user = uid("User", &facts.principal.user)?;
    let thing = uid(kind(subject.kind), subject.qualified)?;
    let request = Request::new(user, names::action(facts, subject)?, thing, context, None)?;
    let make = || entities(facts, subject);
    Ok((request, asker.known.entities(facts, subject, make)?))
}

/// What no rule looks at is not made.
fn context(
    facts: &Facts<'_>,
    subject: &Subject<'_>,
    given: &Given,
    asker: Asker<'_>,
) -> Result<Context, Unfit> {
    let about = |attribute: &str| asker.asks.about(attribute);
    let mut pairs = Vec::with_capacity(10);
    let mut say = |name: &str, value| pairs.push((name.to_owned(), value));
    if about("approved") {
        say("approved", RestrictedExpression::new_bool(given.any()));
    }
    if about("approval") {
        say("approval", approval(given));
    }
    for (name, said) in
        [("client", facts.client), ("transport", facts.transport), ("method", facts.method)]
    {
        if about(name) {
            say(name, text(said));
        }
    }
    if let Some(address) = facts.address.filter(|_| about("address")) {
        let address = address.to_canonical().to_string();
        say("address", RestrictedExpression::new_ip(address));
    }
    let unknown = RestrictedExpression::new_unknown;
    if about("now") {
        let now = RestrictedExpression::new_datetime(time::datetime(facts.now_ms));
        say("now", if asker.open { unknown("now") } else { now });
    }
    if about("history") {
        let open = asker.open;
        say("history", if open { unknown("history") } else { history(facts, subject) });
    }
    if about("arguments") || about("undeclared") {
        let (declared, undeclared) = match facts.arguments {
            Arguments::Known(value) if !asker.open => arguments(value, facts, subject)?,
            Arguments::Known(_) | Arguments::Unknown => {
                (unknown("arguments"), unknown("undeclared"))
            }
        };
        say("arguments", declared);
        say("undeclared", undeclared);
    }
    Ok(Context::from_pairs(pairs)?)
}

fn arguments(
    value: &Value,
    facts: &Facts<'_>,
    subject: &Subject<'_>,
) -> Result<(RestrictedExpression, RestrictedExpression), Unfit> {
    let Some(shape) = names::shape(facts, subject) else {
        return Ok((untyped(value), text("{}")));
    };
    let (declared, undeclared) = typed(value, shape)?;
    let undeclared = undeclared.as_ref().map_or_else(|| "{}".to_owned(), canonical);
    Ok((declared, text(&undeclared)))
}

fn approval(given: &Given) -> RestrictedExpression {
    let groups = given.groups.iter().map(|group| text(group));
    made([
        ("own", RestrictedExpression::new_bool(given.own)),
        ("people", RestrictedExpression::new_long(given.people.into())),
        ("outside", RestrictedExpression::new_bool(given.outside)),
        ("groups", RestrictedExpression::new_set(groups)),
    ])
}

fn long(count: u64) -> RestrictedExpression {
    RestrictedExpression::new_long(i64::try_from(count).unwrap_or(i64::MAX))
}

fn history(facts: &Facts<'_>, subject: &Subject<'_>) -> RestrictedExpression {
    let History { calls, by_tool, by_server, by_effect, last_minute, .. } = facts.history;
    let counts = |counts: &std::collections::BTreeMap<String, u64>| {
        all(counts.iter().map(|(name, count)| (name.clone(), long(*count))).collect())
    };
    let effects = Effect::ALL.iter().map(|effect| {
        let count = by_effect.get(effect).copied().unwrap_or_default();
        (effect.as_str().to_owned(), long(count))
    });
    let of = |counts: &std::collections::BTreeMap<String, u64>, name: &str| {
        long(counts.get(name).copied().unwrap_or_default())
    };
    let mut members = vec![
        ("calls".to_owned(), long(*calls)),
        ("denials".to_owned(), long(facts.history.denials)),
        ("last_minute".to_owned(), long(*last_minute)),
        ("tools".to_owned(), counts(by_tool)),
        ("servers".to_owned(), counts(by_server)),
        ("effects".to_owned(), all(effects.collect())),
        ("this_tool".to_owned(), of(by_tool, subject.qualified)),
        ("this_server".to_owned(), of(by_server, subject.server.as_str())),
    ];
    for (name, at) in
        [("approved_s", facts.history.approved_ms), ("denied_s", facts.history.denied_ms)]
    {
        if let Some(at) = at {
            let seconds = facts.now_ms.saturating_sub(at).max(0) / 1000;
            members.push((name.to_owned(), RestrictedExpression::new_long(seconds)));
        }
    }
    all(members)
}

/// The caller, what is called, what is done, and what they belong to.
fn entities(facts: &Facts<'_>, subject: &Subject<'_>) -> Result<Entities, Unfit> {
    let principal = facts.principal;
    let thing = uid(kind(subject.kind), subject.qualified)?;
    let server = uid("Server", subject.server.as_str())?;
    let groups = principal.groups.iter().map(|group| uid("Group", group));
    let groups = groups.collect::<Result<Vec<_>, _>>()?;
    let about_user = HashMap::from([
        ("authenticated_by".to_owned(), text(&principal.authenticated_by)),
        ("groups".to_owned(), set(principal.groups.iter().map(String::as_str))),
    ]);
    let mut entities = vec![
        Entity::new_no_attrs(server.clone(), std::iter::empty().collect()),
        Entity::new(thing, attributes(subject), [server].into())?,
        Entity::new(uid("User", &principal.user)?, about_user, groups.iter().cloned().collect())?,
    ];
    if facts.action == tagout_proto::Action::CallTool {
        let calls = uid("Action", CALL_TOOL)?;
        entities.push(Entity::new_no_attrs(calls.clone(), std::iter::empty().collect()));
        entities.push(Entity::new_no_attrs(names::action(facts, subject)?, [calls].into()));
    }
    entities
        .extend(groups.into_iter().map(|g| Entity::new_no_attrs(g, std::iter::empty().collect())));
    Ok(Entities::from_entities(entities, None)?)
}

fn attributes(subject: &Subject<'_>) -> HashMap<String, RestrictedExpression> {
    let labels = subject.labels;
    HashMap::from([
        ("server".to_owned(), text(subject.server.as_str())),
        ("name".to_owned(), text(subject.name)),
        ("effects".to_owned(), set(subject.effects.iter().map(|effect| effect.as_str()))),
        ("reviewed".to_owned(), RestrictedExpression::new_bool(subject.reviewed)),
        ("labels".to_owned(), set(labels.names())),
        ("destinations".to_owned(), set(labels.destinations.iter().map(String::as_str))),
        ("payloads".to_owned(), set(labels.payloads.iter().map(String::as_str))),
    ])
}

fn set<'a>(texts: impl Iterator<Item = &'a str>) -> RestrictedExpression {
    RestrictedExpression::new_set(texts.map(text))
}
