//! Refusals by limits go on record counted: one record for a principal, a limit and a second.
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
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
    by_limit: HashMap<Key, Tally>,
    /// The first second that is counted here, and the last.
    first: i64,
    last: i64,
    /// Somebody will write them down.
    is_due: bool,
}

#[derive(PartialEq, Eq, Hash)]
struct Key {
    /// The second of Unix time that they are of.
    second: i64,
    user: Arc<str>,
    whose: Whose,
    measure: Measure,
}

struct Tally {
    principal: Principal,
    bound: Arc<str>,
    count: u64,
}

/// Tallies that wait; more share one of their principal's, and far more one of all seconds.
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

    fn tallies(&self) -> MutexGuard<'_, Tallies> {
        // The guarded sections do not panic.
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one more refusal of `principal`.
    pub(crate) fn count(self: &Arc<Self>, principal: &Principal, over: &Over) {
        let second = self.clock.now().as_second();
        let (begins, is_another) = {
            let mut tallies = self.tallies();
            let is_another = !tallies.by_limit.is_empty() && tallies.last != second;
            tallies.count(second, principal, over);
            (!std::mem::replace(&mut tallies.is_due, true), is_another)
        };
        if begins {
            self.later();
        }
        if is_another && tokio::runtime::Handle::try_current().is_err() {
            self.flush_over();
        }
    }

    /// Puts on record what is counted, also of the second that is not over.
    pub(crate) fn flush(&self) {
        let due = std::mem::take(&mut self.tallies().by_limit);
        self.write(due);
    }

    /// Sees to it that what is counted is written down when its second is over, and again until it
    /// is. On a thread of its own: no call waits for the disk because of another's refusals. What
    /// such a thread does not get to is written when this is dropped.
    fn later(self: &Arc<Self>) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            self.tallies().is_due = false;
            return;
        };
        let counted = Arc::downgrade(self);
        runtime.spawn(async move {
            loop {
                tokio::time::sleep(AFTER).await;
                let Some(counted) = counted.upgrade() else { return };
                let is_done = tokio::task::spawn_blocking(move || {
                    counted.flush_over();
                    let mut tallies = counted.tallies();
                    tallies.is_due = !tallies.by_limit.is_empty();
                    !tallies.is_due
                });
                if is_done.await.unwrap_or(true) {
                    return;
                }
            }
        });
    }

    #[cfg(test)]
    pub(super) fn is_due(&self) -> bool {
        self.tallies().is_due
    }

    /// Puts on record what is counted of seconds that are over.
    fn flush_over(&self) {
        let now = self.clock.now().as_second();
        let due = self.tallies().by_limit.extract_if(|key, _| key.second != now).collect();
        self.write(due);
    }

    fn write(&self, due: HashMap<Key, Tally>) {
        let mut all: Vec<_> = due.into_iter().collect();
        all.sort_by_cached_key(|(key, _)| {
            (key.second, Arc::clone(&key.user), key.whose.to_string(), key.measure.as_str())
        });
        for (key, tally) in all {
            let subject = format!("{} of {}", key.measure.as_str(), named(&key.whose));
            let at = Timestamp::from_second(key.second).unwrap_or_default();
            let detail = format!("{} refused, limit {}, {at}", tally.count, tally.bound);
            let mut note = Note::new(self.clock.now(), "limit-exceeded");
            note.principal = Some(&tally.principal);
            note.server = key.whose.server();
            note.subject = Some(&subject);
            note.detail = Some(&detail);
            if let Err(error) = self.log.note(&note, Durability::System) {
                // Without a log nothing is called; it is tried again until there is one.
                tracing::error!(%error, subject, detail, "what a limit refused is not on record");
                self.tallies().add(key, tally);
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
    fn count(&mut self, second: i64, principal: &Principal, over: &Over) {
        self.last = second;
        let user = Arc::clone(&principal.user);
        let key = Key { second, user, whose: over.whose.clone(), measure: over.measure };
        if let Some(tally) = self.by_limit.get_mut(&key) {
            tally.count = tally.count.saturating_add(1);
            return;
        }
        let (principal, bound) = (principal.clone(), Arc::clone(&over.bound));
        self.add(key, Tally { principal, bound, count: 1 });
    }

    fn add(&mut self, mut key: Key, tally: Tally) {
        let there = self.by_limit.len();
        if there == 0 {
            self.first = key.second;
        }
        if there >= MOST {
            key.whose = Whose::Gateway;
        }
        if there >= 2 * MOST {
            key.second = self.first;
        }
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
