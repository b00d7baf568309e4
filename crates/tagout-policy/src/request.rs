//! Facts as Cedar sees them.
use std::{
    cell::OnceCell,
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use cedar_policy::{Context, Entities, Entity, EntityUid, Request, RestrictedExpression};
use cedar_policy_core::ast;
use serde_json::Value;

use crate::{
    asks::Asks,
    effects::Effect,
    facts::{Arguments, Facts, Given, History, Subject},
    load::Policy,
    names::{self, CALL_TOOL, kind, uid},
    prepared::Said,
    shape::Shape,
    time,
    value::{Held, all, canonical, constructed, made, text, typed, untyped},
};

/// Why facts cannot be put to Cedar; always a deny.
pub(crate) type Unfit = Box<dyn std::error::Error>;

/// A question to rules, but for the approvals.
pub(crate) struct Question<'a> {
    asks: &'a Asks,
    user: EntityUid,
    action: EntityUid,
    thing: EntityUid,
    /// The attributes of the context that are known.
    context: BTreeMap<&'static str, Held>,
    /// Those that are not.
    unknown: Vec<&'static str>,
    /// What stays the same from call to call.
    pub(crate) standing: Arc<Standing>,
    /// What the rules said that do not look at approvals.
    pub(crate) kept: OnceCell<Said>,
}

/// What stays the same from call to call: the entities, and the rules whose scope they are in.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(crate) entities: Entities,
    pub(crate) rules: Box<[usize]>,
}

impl<'a> Question<'a> {
    /// The question about `facts`; `open` leaves all unknown that varies from call to call.
    pub(crate) fn of(
        policy: &'a Policy,
        facts: &Facts<'_>,
        subject: &Subject<'_>,
        open: bool,
    ) -> Result<Self, Unfit> {
        let user = uid("User", &facts.principal.user)?;
        let thing = uid(kind(subject.kind), subject.qualified)?;
        let action = names::action(facts, subject)?;
        let make = || {
            let entities = entities(facts, subject)?;
            let scope = (user.clone(), action.clone(), thing.clone());
            let rules = policy.prepared.in_scope(scope, &entities)?;
            Ok(Standing { entities, rules })
        };
        let standing = policy.known.standing(facts, subject, make)?;
        let (context, unknown) = (BTreeMap::new(), Vec::new());
        let asks = &policy.asks;
        let kept = OnceCell::new();
        let mut question = Self { asks, user, action, thing, context, unknown, standing, kept };
        question.who(facts);
        question.varying(policy, (facts, subject), open)?;
        Ok(question)
    }

    /// What no rule looks at is not made.
    fn say(&mut self, name: &'static str, value: impl FnOnce() -> Held) {
        if self.asks.about(name) {
            self.context.insert(name, value());
        }
    }

    fn who(&mut self, facts: &Facts<'_>) {
        self.say("client", || text(facts.client));
        self.say("transport", || text(facts.transport));
        self.say("method", || text(facts.method));
        if let Some(address) = facts.address.filter(|_| self.asks.about("address")) {
            let address = RestrictedExpression::new_ip(address.to_canonical().to_string());
            self.context.extend(constructed(&address).map(|address| ("address", address)));
        }
    }

    fn varying(
        &mut self,
        policy: &Policy,
        (facts, subject): (&Facts<'_>, &Subject<'_>),
        open: bool,
    ) -> Result<(), Unfit> {
        let asks = self.asks;
        if open {
            let varying = ["now", "history", "arguments", "undeclared"].into_iter();
            self.unknown.extend(varying.filter(|name| asks.about(name)));
            return Ok(());
        }
        if asks.about("now") {
            let now = RestrictedExpression::new_datetime(time::datetime(facts.now_ms));
            let now = constructed(&now).ok_or("the time cannot be put to rules")?;
            self.context.insert("now", now);
        }
        self.say("history", || history(facts, subject));
        if asks.about("arguments") || asks.about("undeclared") {
            match facts.arguments {
                Arguments::Known(value) => {
                    let shape = names::shape(policy, facts, subject);
                    let (declared, undeclared) = arguments(value, shape)?;
                    self.context.insert("arguments", declared);
                    self.context.insert("undeclared", undeclared);
                }
                Arguments::Unknown => self.unknown.extend(["arguments", "undeclared"]),
            }
        }
        Ok(())
    }

    /// The request, with these approvals.
    pub(crate) fn request(&self, given: &Given) -> Result<Request, Unfit> {
        let mut context = self.context.clone();
        if self.asks.about("approved") {
            context.insert("approved", given.any().into());
        }
        if self.asks.about("approval") {
            context.insert("approval", approval(given));
        }
        let context = if self.unknown.is_empty() {
            let known = context.into_iter().map(|(name, value)| (name.into(), value));
            ast::Context::Value(Arc::new(known.collect())).into()
        } else {
            let known = context.into_iter().map(|(name, value)| {
                let value = RestrictedExpression::from(ast::RestrictedExpr::from(value));
                (name.to_owned(), value)
            });
            let unknown = self
                .unknown
                .iter()
                .map(|name| ((*name).to_owned(), RestrictedExpression::new_unknown(name)));
            Context::from_pairs(known.chain(unknown))?
        };
        let (user, action, thing) = (self.user.clone(), self.action.clone(), self.thing.clone());
        Ok(Request::new(user, action, thing, context, None)?)
    }
}

fn arguments(value: &Value, shape: Option<&Shape>) -> Result<(Held, Held), Unfit> {
    let Some(shape) = shape else {
        // Nothing of it is declared by anything that rules were checked against.
        return Ok((untyped(value), text(&canonical(value))));
    };
    let (declared, undeclared) = typed(value, shape)?;
    let undeclared = undeclared.as_ref().map_or_else(|| "{}".to_owned(), canonical);
    Ok((declared, text(&undeclared)))
}

fn approval(given: &Given) -> Held {
    made([
        ("own", given.own.into()),
        ("people", i64::from(given.people).into()),
        ("outside", given.outside.into()),
        ("groups", Held::set(given.groups.iter().map(|group| text(group)), None)),
    ])
}

fn long(count: u64) -> Held {
    i64::try_from(count).unwrap_or(i64::MAX).into()
}

fn history(facts: &Facts<'_>, subject: &Subject<'_>) -> Held {
    let History { calls, by_tool, by_server, by_effect, last_minute, .. } = facts.history;
    let counts = |counts: &BTreeMap<String, u64>| {
        all(counts.iter().map(|(name, count)| (name.clone(), long(*count))).collect())
    };
    let effects = Effect::ALL.iter().map(|effect| {
        let count = by_effect.get(effect).copied().unwrap_or_default();
        (effect.as_str().to_owned(), long(count))
    });
    let of = |counts: &BTreeMap<String, u64>, name: &str| {
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
            members.push((name.to_owned(), seconds.into()));
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
        ("authenticated_by".to_owned(), written(&principal.authenticated_by)),
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
        ("server".to_owned(), written(subject.server.as_str())),
        ("name".to_owned(), written(subject.name)),
        ("effects".to_owned(), set(subject.effects.iter().map(|effect| effect.as_str()))),
        ("reviewed".to_owned(), RestrictedExpression::new_bool(subject.reviewed)),
        ("labels".to_owned(), set(labels.names())),
        ("destinations".to_owned(), set(labels.destinations.iter().map(String::as_str))),
        ("payloads".to_owned(), set(labels.payloads.iter().map(String::as_str))),
    ])
}

fn set<'a>(texts: impl Iterator<Item = &'a str>) -> RestrictedExpression {
    RestrictedExpression::new_set(texts.map(written))
}

fn written(text: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(text.to_owned())
}
