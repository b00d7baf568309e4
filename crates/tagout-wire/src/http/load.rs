//! When there is too much to do: requests that are not begun any more, and how late timers are.
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// How much there is to do.
#[derive(Debug)]
pub(super) struct Load {
    under_way: AtomicUsize,
    most: usize,
    /// How late timers were of late, in milliseconds.
    late_ms: AtomicU64,
    most_late: Duration,
}

/// A request that is worked on until this is dropped.
#[derive(Debug)]
pub(super) struct UnderWay(Arc<Load>);

/// How often it is looked whether timers are late.
const LOOK: Duration = Duration::from_millis(50);

impl Load {
    pub(super) fn new(most: usize, most_late: Duration) -> Arc<Self> {
        let (under_way, late_ms) = (AtomicUsize::new(0), AtomicU64::new(0));
        Arc::new(Self { under_way, most, late_ms, most_late })
    }

    /// Begins one more request; nothing if there is too much to do already.
    pub(super) fn begin(self: &Arc<Self>) -> Option<UnderWay> {
        if Duration::from_millis(self.late_ms.load(Ordering::Relaxed)) > self.most_late {
            return None;
        }
        let under_way = UnderWay(Arc::clone(self));
        // Dropped again where it is one too many.
        let before = self.under_way.fetch_add(1, Ordering::AcqRel);
        (before < self.most).then_some(under_way)
    }

    /// Measures how late timers are until `stop` is cancelled: that is how long whatever is ready
    /// waits for its turn.
    pub(super) async fn watch(self: Arc<Self>, stop: CancellationToken) {
        loop {
            let begun = Instant::now();
            if stop.run_until_cancelled(sleep(LOOK)).await.is_none() {
                return;
            }
            self.noted(begun.elapsed().saturating_sub(LOOK));
        }
    }

    /// One moment's delay fades; a lasting one stays.
    fn noted(&self, late: Duration) {
        let late = u64::try_from(late.as_millis()).unwrap_or(u64::MAX);
        let before = self.late_ms.load(Ordering::Relaxed);
        self.late_ms.store(late.max(before / 2), Ordering::Relaxed);
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_are_begun_than_there_is_room_for() {
        let load = Load::new(2, Duration::from_secs(1));
        let (one, two) = (load.begin().unwrap(), load.begin().unwrap());
        assert!(load.begin().is_none() && load.begin().is_none());
        drop(one);
        let three = load.begin().unwrap();
        assert!(load.begin().is_none());
        drop((two, three));
        assert_eq!(load.under_way.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn nothing_is_begun_while_timers_are_late() {
        let load = Load::new(2, Duration::from_secs(1));
        load.noted(Duration::from_secs(3));
        assert!(load.begin().is_none());
        load.noted(Duration::ZERO);
        assert!(load.begin().is_none());
        load.noted(Duration::ZERO);
        assert!(load.begin().is_some());
    }
}
