//! What was made before. Who calls and what is called stay the same from call to call; often only
//! the arguments are others, and often no rule looks at them.
use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use cedar_policy::{Entities, EntityId, EntityTypeName, EntityUid};
use tagout_proto::{Action, Principal};

use crate::{
    decide::Verdict,
    facts::{Facts, Subject, SubjectKind},
    request::Unfit,
};

/// How many pairs of caller and subject are remembered…
const MOST: usize = 1024;
/// …and how long, in bytes, what identifies one may be.
const LONGEST: usize = 4096;

/// Entities and verdicts, by all that they follow from.
#[derive(Debug, Default)]
pub(crate) struct Known {
    entities: Shelf<Arc<Entities>>,
    /// Nothing for what depends on the arguments.
    verdicts: Shelf<Option<Verdict>>,
}

#[derive(Debug)]
struct Shelf<T>(Mutex<HashMap<String, T>>);

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Shelf<T> {
    fn get(&self, key: &str) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    fn keep(&self, key: String, made: T) {
        if key.len() > LONGEST {
            return;
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Made again is cheaper than remembering which were used last.
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(key, made);
    }
}

impl Known {
    /// The entities of `principal` and `subject`, which `make` makes where they are not known.
    pub(crate) fn entities(
        &self,
        principal: &Principal,
        subject: &Subject<'_>,
        make: impl FnOnce() -> Result<Entities, Unfit>,
    ) -> Result<Arc<Entities>, Unfit> {
        let key = key(principal, subject);
        if let Some(known) = self.entities.get(&key) {
            return Ok(known);
        }
        let made = Arc::new(make()?);
        self.entities.keep(key, Arc::clone(&made));
        Ok(made)
    }

    /// The verdict about these facts if it is the same whatever the arguments are; `find` finds
    /// out where that is not known.
    pub(crate) fn settled(
        &self,
        facts: &Facts<'_>,
        subject: &Subject<'_>,
        find: impl FnOnce() -> Option<Verdict>,
    ) -> Option<Verdict> {
        let mut key = key(facts.principal, subject);
        for part in [facts.action.as_str(), facts.client, facts.transport] {
            push(&mut key, part);
        }
        if let Some(known) = self.verdicts.get(&key) {
            return known;
        }
        let found = find();
        self.verdicts.keep(key, found.clone());
        found
    }
}

/// All that entities are made of, each part after its length.
fn key(principal: &Principal, subject: &Subject<'_>) -> String {
    let mut key = String::with_capacity(256);
    let mut push = |part: &str| push(&mut key, part);
    push(&principal.user);
    push(&principal.authenticated_by);
    push(&principal.groups.len().to_string());
    principal.groups.iter().for_each(|group| push(group));
    push(kind(subject.kind));
    push(subject.server.as_str());
    push(subject.name);
    push(subject.qualified);
    push(if subject.reviewed { "reviewed" } else { "" });
    push(&subject.effects.len().to_string());
    subject.effects.iter().for_each(|effect| push(effect.as_str()));
    key
}

fn push(key: &mut String, part: &str) {
    key.push_str(&part.len().to_string());
    key.push(':');
    key.push_str(part);
}

/// The name of a subject's type.
pub(crate) const fn kind(kind: SubjectKind) -> &'static str {
    match kind {
        SubjectKind::Tool => "Tool",
        SubjectKind::Resource => "Resource",
        SubjectKind::Prompt => "Prompt",
        SubjectKind::Task => "Task",
        SubjectKind::Question => "Question",
    }
}

/// Types by their names: reading a name takes Cedar's whole parser.
static TYPES: LazyLock<HashMap<&'static str, EntityTypeName>> = LazyLock::new(|| {
    let names =
        ["User", "Group", "Server", "Action", "Tool", "Resource", "Prompt", "Task", "Question"];
    names.into_iter().filter_map(|name| Some((name, name.parse().ok()?))).collect()
});

/// The entity called `id` of the type called `kind`.
pub(crate) fn uid(kind: &'static str, id: &str) -> Result<EntityUid, Unfit> {
    let kind = match TYPES.get(kind) {
        Some(kind) => kind.clone(),
        None => kind.parse()?,
    };
    Ok(EntityUid::from_type_name_and_id(kind, EntityId::new(id)))
}

/// The entity of `action`.
pub(crate) fn action(action: Action) -> Result<EntityUid, Unfit> {
    uid("Action", action.as_str())
}
