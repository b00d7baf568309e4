//! How often somebody sends what cannot be taken: each is on record, and so must not come without
//! end.
use std::{
    collections::HashMap,
    sync::Mutex,
    time::{Duration, Instant},
};

use super::locked;

/// Refusals of one principal within [`WINDOW`]; what comes after is neither looked at nor recorded.
pub(super) const MOST: u32 = 200;
const WINDOW: Duration = Duration::from_secs(60);

/// Refusals by principal.
#[derive(Default)]
pub(super) struct Strikes(Mutex<HashMap<String, Struck>>);

struct Struck {
    since: Instant,
    times: u32,
}

impl Strikes {
    /// Counts one more of `user`; whether it is to be recorded and answered.
    pub(super) fn count(&self, user: &str) -> bool {
        let mut all = locked(&self.0);
        // No more than there are keys, as each has a name of its own.
        let struck = all.entry(user.to_owned()).or_insert_with(Struck::none);
        if struck.since.elapsed() >= WINDOW {
            *struck = Struck::none();
        }
        struck.times = struck.times.saturating_add(1);
        if struck.times == MOST + 1 {
            tracing::warn!(user, "sends so much that is refused that it is no longer recorded");
        }
        struck.times <= MOST
    }

    /// Whether nothing of `user` that has to be refused would be recorded now.
    pub(super) fn is_out(&self, user: &str) -> bool {
        let all = locked(&self.0);
        all.get(user).is_some_and(|one| one.times >= MOST && one.since.elapsed() < WINDOW)
    }

    /// Forgets what is over.
    pub(super) fn forget(&self) {
        locked(&self.0).retain(|_, struck| struck.since.elapsed() < WINDOW);
    }
}

impl Struck {
    fn none() -> Self {
        Self { since: Instant::now(), times: 0 }
    }
}
