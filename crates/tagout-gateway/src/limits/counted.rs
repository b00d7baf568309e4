//! Refusals by limits go on record counted: one record for a principal, a limit and a second.
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tagout_audit::{Durability, Log, Note};
use tagout_proto::Principal;

use super::over::{Measure, Over, Whose};
use crate::Clock;

/// Refusals that are not on record yet. What is left goes there when this is dropped.
pub(crate) struct Counted {
    log: Log,
    clock: Clock,
    tallies: Mutex<Tallies>,
}

#[derive(Default)]
struct Tallies {
    /// The second of Unix time that they are of.
    second: i64,
    by_limit: HashMap<Key, Tally>,
}

#[derive(PartialEq, Eq, Hash)]
struct Key {
    user: Arc<str>,
    whose: Whose,
    measure: Measure,
}

struct Tally {
    principal: Principal,
    bound: Arc<str>,
    count: u64,
}

/// Tallies of one second; more share one of their principal's.
const MOST: usize = 4096;
/// When a second is written down: a little after it is over.
const AFTER: Duration = Duration::from_millis(1050);

impl std::fmt::Debug for Counted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Counted")
    }
}

impl Counted {
    pub(super) fn new(log: Log, clock: Clock) -> Arc<Self> {
        Arc::new(Self { log, clock, tallies: Mutex::default() })
    }

    /// Counts one more refusal of `principal`.
    pub(crate) fn count(self: &Arc<Self>, principal: &Principal, over: &Over) {
        let second = self.clock.now().as_second();
        let (due, begins) = {
            // The guarded sections do not panic.
            let mut tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
            let due = (tallies.second != second).then(|| tallies.begin(second));
            let begins = tallies.by_limit.is_empty();
            tallies.count(principal, over);
            (due, begins)
        };
        if let Some(due) = due {
            self.write(due);
        }
        if begins {
            self.later();
        }
    }

    /// Puts on record what is counted, also of the second that is not over.
    pub(crate) fn flush(&self) {
        let due = {
            let mut tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
            let second = tallies.second;
            tallies.begin(second)
        };
        self.write(due);
    }

    /// Sees to it that this second is written down though nothing follows it.
    fn later(self: &Arc<Self>) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let counted = Arc::downgrade(self);
        runtime.spawn(async move {
            tokio::time::sleep(AFTER).await;
            if let Some(counted) = counted.upgrade() {
                counted.flush_over();
            }
        });
    }

    fn flush_over(self: &Arc<Self>) {
        let second = self.clock.now().as_second();
        let due = {
            let mut tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
            (tallies.second != second).then(|| tallies.begin(second))
        };
        if let Some(due) = due {
            self.write(due);
        }
    }

    fn write(&self, due: Tallies) {
        let Tallies { second, by_limit } = due;
        let mut all: Vec<_> = by_limit.into_iter().collect();
        all.sort_by(|(one, _), (other, _)| {
            let order =
                |key: &Key| (Arc::clone(&key.user), key.whose.to_string(), key.measure.as_str());
            order(one).cmp(&order(other))
        });
        for (key, tally) in all {
            let subject = format!("{} of {}", key.measure.as_str(), named(&key.whose));
            let at = Timestamp::from_second(second).unwrap_or_default();
            let detail = format!("{} refused, limit {}, {at}", tally.count, tally.bound);
            let mut note = Note::new(self.clock.now(), "limit-exceeded");
            note.principal = Some(&tally.principal);
            note.server = key.whose.server();
            note.subject = Some(&subject);
            note.detail = Some(&detail);
            if let Err(error) = self.log.note(&note, Durability::System) {
                // Without a log nothing is called; they are counted on until there is one.
                tracing::error!(%error, subject, detail, "what a limit refused is not on record");
                let mut tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
                tallies.add(key, tally);
            }
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.flush();
    }
}

impl Tallies {
    /// What was counted until now; from here on it is another second.
    fn begin(&mut self, second: i64) -> Self {
        std::mem::replace(self, Self { second, by_limit: HashMap::new() })
    }

    fn count(&mut self, principal: &Principal, over: &Over) {
        let user = Arc::clone(&principal.user);
        let key = Key { user, whose: over.whose.clone(), measure: over.measure };
        if let Some(tally) = self.by_limit.get_mut(&key) {
            tally.count = tally.count.saturating_add(1);
            return;
        }
        let (principal, bound) = (principal.clone(), Arc::clone(&over.bound));
        self.add(key, Tally { principal, bound, count: 1 });
    }

    fn add(&mut self, key: Key, tally: Tally) {
        let full = self.by_limit.len() >= MOST;
        let key = if full { Key { whose: Whose::Gateway, ..key } } else { key };
        let count = tally.count;
        self.by_limit
            .entry(key)
            .and_modify(|other| other.count = other.count.saturating_add(count))
            .or_insert(tally);
    }
}

fn named(whose: &Whose) -> String {
    match whose {
        Whose::Principal | Whose::Client | Whose::Gateway => whose.kind().to_owned(),
        Whose::Server(server) => format!("server {server}"),
        Whose::Tool(_, tool) => format!("tool {tool}"),
    }
}
