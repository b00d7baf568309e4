//! One question at a time in a process: who is second waits until the first has let go of the
//! terminal, with its modes as they were.
use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::Withdrawn;

/// Whether somebody is asked.
static ASKING: Mutex<bool> = Mutex::new(false);
/// Somebody let go, or a question was withdrawn.
static CHANGED: Condvar = Condvar::new();

/// The terminal is this question's until it is dropped.
#[derive(Debug)]
pub(super) struct Turn(());

/// What came of waiting for it.
#[derive(Debug)]
pub(super) enum Waited {
    Ours(Turn),
    TimedOut,
    Withdrawn,
}

/// How long a question waits, for its turn and for its answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    began: Instant,
    whole: Duration,
}

impl Limit {
    pub(super) fn from_now(whole: Duration) -> Self {
        Self { began: Instant::now(), whole }
    }

    pub(super) fn left(self) -> Duration {
        self.whole.saturating_sub(self.began.elapsed())
    }
}

fn asking() -> MutexGuard<'static, bool> {
    ASKING.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn wait(limit: Limit, withdrawn: &Withdrawn) -> Waited {
    let mut asking = asking();
    loop {
        let left = limit.left();
        if withdrawn.is_so() {
            return Waited::Withdrawn;
        }
        if !*asking {
            *asking = true;
            return Waited::Ours(Turn(()));
        }
        if left.is_zero() {
            return Waited::TimedOut;
        }
        let waited = CHANGED.wait_timeout(asking, left);
        (asking, _) = waited.unwrap_or_else(PoisonError::into_inner);
    }
}

/// Lets all who wait see whether they still have to.
pub(super) fn look() {
    // Nobody is between looking and waiting while this is held.
    let asking = asking();
    CHANGED.notify_all();
    drop(asking);
}

impl Drop for Turn {
    fn drop(&mut self) {
        *asking() = false;
        CHANGED.notify_all();
    }
}
