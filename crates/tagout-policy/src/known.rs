//! What was made before. Who calls and what is called stay the same from call to call; often only
//! the arguments are others, and often no rule looks at them.
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    decide::Verdict,
    facts::{Facts, Subject},
    names::kind,
    request::{Standing, Unfit},
};

/// How many pairs of caller and subject are remembered…
const MOST: usize = 1024;
/// …and how long, in bytes, what identifies one may be.
const LONGEST: usize = 4096;

/// Entities, rules in scope, and verdicts, by all that they follow from.
#[derive(Debug, Default)]
pub(crate) struct Known {
    standing: Shelf<Arc<Standing>>,
    /// Nothing for what depends on arguments, history or time.
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
    /// What stays the same about `facts`, which `make` makes where it is not known.
    pub(crate) fn standing(
        &self,
        facts: &Facts<'_>,
        subject: &Subject<'_>,
        make: impl FnOnce() -> Result<Standing, Unfit>,
    ) -> Result<Arc<Standing>, Unfit> {
        let key = key(facts, subject);
        if let Some(known) = self.standing.get(&key) {
            return Ok(known);
        }
        let made = Arc::new(make()?);
        self.standing.keep(key, Arc::clone(&made));
        Ok(made)
    }

    /// The verdict about these facts if it is the same whatever the arguments, the history and the
    /// time are; `find` finds out where that is not known. What cannot be kept is not asked.
    pub(crate) fn settled(
        &self,
        facts: &Facts<'_>,
        subject: &Subject<'_>,
        find: impl FnOnce() -> Option<Verdict>,
    ) -> Option<Verdict> {
        let mut key = key(facts, subject);
        for part in [facts.client, facts.transport, facts.method] {
            push(&mut key, part);
        }
        if let Some(address) = facts.address {
            push(&mut key, &address.to_canonical().to_string());
        }
        if key.len() > LONGEST {
            return None;
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
fn key(facts: &Facts<'_>, subject: &Subject<'_>) -> String {
    let principal = facts.principal;
    let mut key = String::with_capacity(320);
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
    let labels = subject.labels;
    push(&labels.names().collect::<Vec<_>>().join(","));
    for names in [&labels.destinations, &labels.payloads] {
        push(&names.len().to_string());
        names.iter().for_each(|name| push(name));
    }
    push(facts.action.as_str());
    key
}

fn push(key: &mut String, part: &str) {
    key.push_str(&part.len().to_string());
    key.push(':');
    key.push_str(part);
}
