//! What happened in a conversation, as policy sees it.
use std::collections::VecDeque;

use jiff::Timestamp;
use tagout_policy::{Effects, History};

/// Calls in the last minute are counted up to this.
const RECENT: usize = 10_000;
/// How many tools and servers are counted by name; names come from clients' calls of what there is,
/// so this is never reached by a server's honest list.
const NAMES: usize = 4096;
const MINUTE_MS: i64 = 60_000;

/// What happened in a conversation so far.
#[derive(Debug, Default)]
pub(crate) struct Happened {
    so_far: History,
    /// When the last calls were made, in milliseconds.
    recent: VecDeque<i64>,
}

impl Happened {
    /// Counts a call of the tool that clients see as `qualified`.
    pub(crate) fn called(&mut self, at: Timestamp, server: &str, qualified: &str, does: &Effects) {
        self.so_far.calls += 1;
        let count = |counts: &mut std::collections::BTreeMap<String, u64>, name: &str| {
            if let Some(count) = counts.get_mut(name) {
                *count += 1;
            } else if counts.len() < NAMES {
                counts.insert(name.to_owned(), 1);
            }
        };
        count(&mut self.so_far.by_tool, qualified);
        count(&mut self.so_far.by_server, server);
        for effect in does {
            *self.so_far.by_effect.entry(*effect).or_default() += 1;
        }
        if self.recent.len() >= RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(at.as_millisecond());
    }

    pub(crate) fn approved(&mut self, at: Timestamp) {
        self.so_far.approved_ms = Some(at.as_millisecond());
    }

    pub(crate) fn denied(&mut self, at: Timestamp) {
        self.so_far.denied_ms = Some(at.as_millisecond());
        self.so_far.denials += 1;
    }

    /// As it stands at `now`.
    pub(crate) fn at(&mut self, now: Timestamp) -> History {
        let since = now.as_millisecond() - MINUTE_MS;
        while self.recent.front().is_some_and(|at| *at < since) {
            self.recent.pop_front();
        }
        let last_minute = u64::try_from(self.recent.len()).unwrap_or(u64::MAX);
        History { last_minute, ..self.so_far.clone() }
    }
}
