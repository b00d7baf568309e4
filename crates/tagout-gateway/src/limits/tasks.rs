//! Tasks that servers go on with after they answered: they keep the places of their calls.
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::permit::Permit;
use crate::config::WALL;

/// Tasks under way, by the names that clients know them by. Each holds a place of its server, so
/// there are no more than that has.
#[derive(Debug, Default)]
pub(crate) struct Tasks(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    by_name: HashMap<String, Task>,
    swept: Option<Instant>,
}

#[derive(Debug)]
struct Task {
    _permit: Permit,
    ends: Instant,
}

/// How often tasks are looked for that took too long.
const SWEEP: Duration = Duration::from_secs(1);

impl Tasks {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        // The guarded sections do not panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The task `name` goes on with what the call `permit` holds, for as long as a server may take.
    pub(crate) fn goes_on(&self, name: String, permit: &Permit, now: Instant) {
        let ends = now + permit.wall().unwrap_or(WALL);
        let before = self.kept().by_name.insert(name, Task { _permit: permit.shared(), ends });
        // Not while all wait for it.
        drop(before);
    }

    /// The task `name` is over.
    pub(crate) fn over(&self, name: &str) {
        let over = self.kept().by_name.remove(name);
        drop(over);
    }

    /// Gives up the places of those that took too long.
    pub(super) fn sweep(&self, now: Instant) {
        let mut kept = self.kept();
        if kept.swept.is_some_and(|swept| now.saturating_duration_since(swept) < SWEEP) {
            return;
        }
        kept.swept = Some(now);
        kept.by_name.retain(|_, task| task.ends > now);
    }
}
