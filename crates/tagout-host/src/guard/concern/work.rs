//! How much is done for one call at most.
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Looks at so many bytes, each way that they are looked at by itself.
const MOST: usize = 384 << 20;
/// So many are looked at between two looks at whether anybody still waits.
pub(super) const STEP: usize = 64 << 10;

/// What is left to be done for one call.
pub(super) struct Work {
    left: usize,
    stop: Arc<AtomicBool>,
}

impl Work {
    /// All of it, until `stop` says that nobody waits any more.
    pub(super) const fn new(stop: Arc<AtomicBool>) -> Self {
        Self { left: MOST, stop }
    }

    /// Takes `units`, about as many as there are bytes to look at; false if they are not there.
    #[must_use]
    pub(super) fn take(&mut self, units: usize) -> bool {
        let left = self.left.checked_sub(units);
        self.left = left.unwrap_or(0);
        left.is_some() && !self.stop.load(Ordering::Relaxed)
    }
}
