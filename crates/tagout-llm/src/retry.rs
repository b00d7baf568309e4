//! When a request is sent again: only before the first byte of an answer, only where another try may
//! do better, a few times, and later each time.
use std::time::Duration;

use crate::transport::Clock;

/// Requests for one turn, at most.
pub(crate) const TRIES: u32 = 4;
/// Before the second try, at least half of this.
const FIRST: Duration = Duration::from_millis(800);
/// The longest that is waited before a try.
const LONGEST: Duration = Duration::from_secs(30);

/// How long to wait before try number `next` (2, 3, …); nothing if it is not worth it.
pub(crate) fn wait(next: u32, asked: Option<Duration>, clock: &dyn Clock) -> Option<Duration> {
    if next > TRIES || asked.is_some_and(|asked| asked > LONGEST) {
        return None;
    }
    let doubled = FIRST.saturating_mul(1 << next.saturating_sub(2).min(8)).min(LONGEST);
    let spread = clock.jitter().clamp(0.0, 1.0);
    let ours = doubled.mul_f64(0.5 + spread / 2.0);
    // What the provider asks for is the least; the spread comes on top.
    Some(asked.map_or(ours, |asked| asked + FIRST.mul_f64(spread)))
}

/// What `retry-after` says: seconds, or a date.
pub(crate) fn asked(millis: Option<&str>, after: Option<&str>, now_s: i64) -> Option<Duration> {
    let millis = millis.and_then(|text| text.trim().parse().ok()).map(Duration::from_millis);
    millis.or_else(|| {
        let text = after?.trim();
        if let Ok(seconds) = text.parse::<f64>() {
            return Duration::try_from_secs_f64(seconds).ok();
        }
        let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
        u64::try_from(date.as_second().saturating_sub(now_s)).ok().map(Duration::from_secs)
    })
}

/// Whether a status may pass.
pub(crate) const fn passes(status: u16) -> bool {
    matches!(status, 408 | 429 | 500..=599)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::Waiting;

    struct Still(f64);

    impl Clock for Still {
        fn now_s(&self) -> i64 {
            0
        }
        fn sleep(&self, _: Duration) -> Waiting<'_, ()> {
            Box::pin(std::future::ready(()))
        }
        fn jitter(&self) -> f64 {
            self.0
        }
    }

    #[test]
    fn waits_grow_and_end() {
        let waits = |jitter| {
            let millis = |next| wait(next, None, &Still(jitter)).map(|wait| wait.as_millis());
            [2, 3, 4, 5].map(millis)
        };
        assert_eq!(waits(0.0), [Some(400), Some(800), Some(1600), None]);
        assert_eq!(waits(1.0), [Some(800), Some(1600), Some(3200), None]);
    }

    #[test]
    fn what_is_asked_for_is_the_least_and_has_a_limit() {
        let asked = |s| wait(2, Some(Duration::from_secs(s)), &Still(0.5)).map(|w| w.as_millis());
        assert_eq!(asked(7), Some(7400));
        assert_eq!(asked(31), None);
    }

    #[test]
    fn retry_after_is_read_in_both_forms() {
        let date = "Thu, 01 Jan 1970 00:01:40 GMT";
        assert_eq!(asked(None, Some(date), 90), Some(Duration::from_secs(10)));
        assert_eq!(asked(None, Some(date), 200), None);
        assert_eq!(asked(None, Some("3"), 0), Some(Duration::from_secs(3)));
        assert_eq!(asked(Some("1500"), Some("3"), 0), Some(Duration::from_millis(1500)));
        assert_eq!(asked(None, Some("soon"), 0), None);
        assert_eq!(asked(None, Some("-1"), 0), None);
        assert_eq!(asked(None, Some("1e300"), 0), None);
    }
}
