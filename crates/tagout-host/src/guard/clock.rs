//! The time that a question takes, people's thinking left out.
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tagout_llm::{Candidate, MissingSlot};
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

use crate::{
    ApprovalAnswer, ApprovalCard, Asking, Event, Form, FormAnswer, Sampled, Sampling,
    SamplingAnswer, Ui, Visit, VisitAnswer,
};

/// A clock that stands still while somebody is asked.
#[derive(Clone)]
pub(crate) struct Clock(Arc<Shared>);

struct Shared {
    limit: Duration,
    hand: Mutex<Hand>,
    goes_on: Notify,
}

struct Hand {
    /// What has passed before it went on last.
    passed: Duration,
    /// Since when it goes; it stands still otherwise.
    since: Option<Instant>,
}

impl Hand {
    fn passed(&self) -> Duration {
        self.passed + self.since.map_or(Duration::ZERO, |since| since.elapsed())
    }
}

impl Clock {
    pub(crate) fn new(limit: Duration) -> Self {
        let hand = Hand { passed: Duration::ZERO, since: Some(Instant::now()) };
        Self(Arc::new(Shared { limit, hand: Mutex::new(hand), goes_on: Notify::new() }))
    }

    /// How much time is left.
    pub(crate) fn left(&self) -> Duration {
        let hand = self.0.hand.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.limit.saturating_sub(hand.passed())
    }

    /// Waits until there is none.
    ///
    /// Cancel safe.
    pub(crate) async fn ran_out(&self) {
        loop {
            let goes_on = self.0.goes_on.notified();
            let left = self.left();
            if left.is_zero() {
                return;
            }
            if self.goes() {
                sleep(left).await;
            } else {
                goes_on.await;
            }
        }
    }

    fn goes(&self) -> bool {
        let hand = self.0.hand.lock().unwrap_or_else(PoisonError::into_inner);
        hand.since.is_some()
    }

    fn stop(&self) {
        let mut hand = self.0.hand.lock().unwrap_or_else(PoisonError::into_inner);
        hand.passed = hand.passed();
        hand.since = None;
    }

    fn go_on(&self) {
        let mut hand = self.0.hand.lock().unwrap_or_else(PoisonError::into_inner);
        hand.passed = hand.passed();
        hand.since = Some(Instant::now());
        drop(hand);
        self.0.goes_on.notify_waiters();
    }
}

/// The person, with the clock stopped while they think.
pub(crate) struct Timed<'a> {
    ui: &'a mut dyn Ui,
    clock: Clock,
}

/// The clock stands still while this is there.
struct Still(Clock);

impl Drop for Still {
    fn drop(&mut self) {
        self.0.go_on();
    }
}

impl<'a> Timed<'a> {
    pub(crate) fn new(ui: &'a mut dyn Ui, clock: &Clock) -> Self {
        Self { ui, clock: clock.clone() }
    }

    fn ask<'b, T: Send + 'b>(
        &'b mut self,
        question: impl FnOnce(&'b mut dyn Ui) -> Asking<'b, T>,
    ) -> Asking<'b, T> {
        let clock = self.clock.clone();
        let asking = question(&mut *self.ui);
        Box::pin(async move {
            clock.stop();
            let still = Still(clock);
            let answer = asking.await;
            drop(still);
            answer
        })
    }
}

impl Ui for Timed<'_> {
    fn event(&mut self, event: &Event) {
        self.ui.event(event);
    }

    fn fill<'a>(&'a mut self, slot: &'a MissingSlot) -> Asking<'a, Option<String>> {
        self.ask(|ui| ui.fill(slot))
    }

    fn choose<'a>(&'a mut self, candidates: &'a [Candidate]) -> Asking<'a, Option<usize>> {
        self.ask(|ui| ui.choose(candidates))
    }

    fn approve<'a>(&'a mut self, card: &'a ApprovalCard) -> Asking<'a, ApprovalAnswer> {
        self.ask(|ui| ui.approve(card))
    }

    fn form<'a>(&'a mut self, form: &'a Form) -> Asking<'a, FormAnswer> {
        self.ask(|ui| ui.form(form))
    }

    fn visit<'a>(&'a mut self, visit: &'a Visit) -> Asking<'a, VisitAnswer> {
        self.ask(|ui| ui.visit(visit))
    }

    fn sample<'a>(&'a mut self, sampling: &'a Sampling) -> Asking<'a, SamplingAnswer> {
        self.ask(|ui| ui.sample(sampling))
    }

    fn sampled<'a>(&'a mut self, sampled: &'a Sampled) -> Asking<'a, bool> {
        self.ask(|ui| ui.sampled(sampled))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_stands_still_while_somebody_thinks() {
        let clock = Clock::new(Duration::from_millis(50));
        clock.stop();
        let still = Still(clock.clone());
        let left = clock.left();
        sleep(Duration::from_millis(60)).await;
        assert_eq!(clock.left(), left);
        let waits = clock.clone();
        let waiting = tokio::spawn(async move { waits.ran_out().await });
        sleep(Duration::from_millis(60)).await;
        assert!(!waiting.is_finished());
        drop(still);
        waiting.await.unwrap();
        assert!(clock.left().is_zero());
    }
}
