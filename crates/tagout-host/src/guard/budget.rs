//! How much one question may take.
use std::time::Duration;

use tagout_llm::{Facts, Usage};
use tokio::time::Instant;

use crate::{Limits, Status};

/// What one question has taken so far.
pub(crate) struct Budget {
    limits: Limits,
    facts: Option<Facts>,
    calls: usize,
    tokens: u64,
    cost_usd: f64,
    began: Instant,
    /// How long people thought.
    thought: Duration,
}

impl Budget {
    pub(crate) fn new(limits: Limits, facts: Option<Facts>) -> Self {
        let began = Instant::now();
        Self { limits, facts, calls: 0, tokens: 0, cost_usd: 0.0, began, thought: Duration::ZERO }
    }

    /// The limit that is reached before another turn, in words.
    pub(crate) fn exhausted(&self) -> Option<(Status, String)> {
        if self.limits.tokens.is_some_and(|most| self.tokens >= most) {
            let text = format!("stopped after {} tokens without an answer", self.tokens);
            return Some((Status::TokenLimit, text));
        }
        if self.limits.cost_usd.is_some_and(|most| self.cost_usd >= most) {
            let text = format!("stopped after US$ {:.4} without an answer", self.cost_usd);
            return Some((Status::CostLimit, text));
        }
        if self.calls >= self.limits.calls {
            let text = format!("stopped after {} calls without an answer", self.calls);
            return Some((Status::CallLimit, text));
        }
        if self.left().is_zero() {
            let text = format!("stopped after {} s without an answer", self.limits.time.as_secs());
            return Some((Status::TimeLimit, text));
        }
        None
    }

    /// How much time is left.
    pub(crate) fn left(&self) -> Duration {
        let worked = self.began.elapsed().saturating_sub(self.thought);
        self.limits.time.saturating_sub(worked)
    }

    /// Whether one more call may be made; counts it.
    pub(crate) fn one_more_call(&mut self) -> bool {
        let more = self.calls < self.limits.calls;
        self.calls += usize::from(more);
        more
    }

    /// Counts a turn. What its provider does not count is taken for nothing, and said so by the
    /// provider's notes.
    pub(crate) fn turn(&mut self, usage: Option<Usage>) {
        let Some(usage) = usage else { return };
        let tokens = usage.input_tokens.saturating_add(usage.output_tokens);
        self.tokens = self.tokens.saturating_add(tokens);
        self.cost_usd += self.facts.and_then(|facts| facts.cost(usage)).unwrap_or_default();
    }

    /// Somebody thought for so long.
    pub(crate) fn thought(&mut self, time: Duration) {
        self.thought = self.thought.saturating_add(time);
    }
}
