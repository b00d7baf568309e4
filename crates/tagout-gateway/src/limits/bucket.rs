//! So much per time, exactly: the generic cell rate algorithm.
use std::time::{Duration, Instant};

use crate::config::Rate;

/// What is left of a rate. It is one number: until when what was taken lasts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    rate: Rate,
    /// When all that was taken is made good, in nanoseconds since the table began.
    paid: u64,
}

impl Bucket {
    pub(super) const fn new(rate: Rate) -> Self {
        Self { rate, paid: 0 }
    }

    pub(super) const fn rate(&self) -> Rate {
        self.rate
    }

    /// Whether `n` may be taken at `now`; if not, how long it is until they may. More than may
    /// come at once may be taken when nothing is owed, and is owed then.
    pub(super) fn fits(&self, n: u64, now: u64) -> Result<(), Duration> {
        let burst = self.rate.burst();
        let room = self.rate.time_of(burst.saturating_sub(n));
        let owed = self.paid.saturating_sub(now);
        if owed <= room { Ok(()) } else { Err(Duration::from_nanos(owed - room)) }
    }

    /// Takes `n`, whether they fit or not.
    pub(super) fn take(&mut self, n: u64, now: u64) {
        self.paid = self.paid.max(now).saturating_add(self.rate.time_of(n));
    }

    /// Gives back `n` that were taken and not used.
    pub(super) fn give_back(&mut self, n: u64) {
        self.paid = self.paid.saturating_sub(self.rate.time_of(n));
    }

    /// Whether nothing is owed.
    pub(super) const fn is_full(&self, now: u64) -> bool {
        self.paid <= now
    }
}

/// Nanoseconds from `start` to `now`.
pub(super) fn nanos(start: Instant, now: Instant) -> u64 {
    u64::try_from(now.saturating_duration_since(start).as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::Unit;

    fn bucket(text: &str, unit: Unit) -> Bucket {
        Bucket::new(Rate::parse(text, unit).unwrap())
    }

    fn taken(bucket: &mut Bucket, n: u64, now: u64) -> bool {
        let fits = bucket.fits(n, now).is_ok();
        if fits {
            bucket.take(n, now);
        }
        fits
    }

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn ten_times_the_rate_for_a_minute_gets_the_rate_and_one_burst() {
        let mut bucket = bucket("100/s burst 20", Unit::Calls);
        let offered = (0..60 * 1000_u64).map(|n| n * SECOND / 1000);
        let accepted = offered.filter(|at| taken(&mut bucket, 1, *at)).count();
        assert!((6018..=6020).contains(&accepted), "{accepted}");
    }

    #[test]
    fn who_is_refused_may_come_when_told() {
        let mut bucket = bucket("2/s", Unit::Calls);
        assert!(taken(&mut bucket, 1, 0) && taken(&mut bucket, 1, 0));
        let wait = bucket.fits(1, 0).unwrap_err();
        assert_eq!(wait, Duration::from_millis(500));
        let then = u64::try_from(wait.as_nanos()).unwrap();
        assert!(!taken(&mut bucket, 1, then - 1));
        assert!(taken(&mut bucket, 1, then));
    }

    #[test]
    fn what_is_larger_than_a_burst_is_owed() {
        let mut bucket = bucket("1 KiB/s", Unit::Bytes);
        assert!(taken(&mut bucket, 10 << 10, 0));
        assert!(!taken(&mut bucket, 1, 8 * SECOND));
        assert!(taken(&mut bucket, 1, 10 * SECOND));
        bucket.give_back(u64::MAX);
        assert!(bucket.is_full(0));
    }

    proptest! {
        #[test]
        fn in_no_time_more_than_a_burst_and_the_rate(
            amount in 1_u64..1000,
            burst in 1_u64..100,
            steps in prop::collection::vec((0_u64..SECOND, 1_u64..5), 1..300),
        ) {
            let mut bucket = bucket(&format!("{amount}/s burst {burst}"), Unit::Calls);
            let (mut now, mut got) = (0, 0);
            for (wait, n) in steps {
                now += wait;
                if taken(&mut bucket, n.min(burst), now) {
                    got += n.min(burst);
                }
            }
            let most = u128::from(burst) + u128::from(amount) * u128::from(now) / u128::from(SECOND);
            prop_assert!(u128::from(got) <= most + 1, "{got} of {most}");
        }
    }
}
