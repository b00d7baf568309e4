//! Cells by name, of which there is a bounded number: nobody can fill the memory with names.
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Something that is as good as new after a while.
pub(super) trait Lapses {
    /// Whether nothing is lost with it.
    fn is_idle(&self, now: Instant) -> bool;
}

/// What is kept by name.
#[derive(Debug)]
pub(super) struct Table<T> {
    most: usize,
    state: Mutex<State<T>>,
}

#[derive(Debug)]
struct State<T> {
    by_name: HashMap<Arc<str>, Arc<T>>,
    /// For all names that there is no room for.
    others: Option<Arc<T>>,
    swept: Option<Instant>,
}

/// How often what is idle is looked for where there is no room.
const SWEEP: Duration = Duration::from_secs(1);

impl<T: Lapses> Table<T> {
    pub(super) fn new(most: usize) -> Self {
        let state = State { by_name: HashMap::new(), others: None, swept: None };
        Self { most, state: Mutex::new(state) }
    }

    /// What is kept under `name`, made anew where nothing is. Where there is no room and nothing
    /// can go, all further names share one.
    pub(super) fn of(&self, name: &str, now: Instant, new: impl FnOnce() -> Arc<T>) -> Arc<T> {
        // The guarded sections do not panic.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = state.by_name.get(name) {
            return Arc::clone(found);
        }
        if state.by_name.len() >= self.most {
            state.sweep(now);
        }
        if state.by_name.len() >= self.most {
            return Arc::clone(state.others.get_or_insert_with(new));
        }
        let made = new();
        state.by_name.insert(name.into(), Arc::clone(&made));
        made
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.state.lock().unwrap().by_name.len()
    }
}

impl<T: Lapses> State<T> {
    fn sweep(&mut self, now: Instant) {
        if self.swept.is_some_and(|swept| now.saturating_duration_since(swept) < SWEEP) {
            return;
        }
        self.swept = Some(now);
        // One that somebody holds is about to be used.
        self.by_name.retain(|_, one| Arc::strong_count(one) > 1 || !one.is_idle(now));
    }
}
