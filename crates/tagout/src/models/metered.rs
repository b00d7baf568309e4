//! What models cost.
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tagout_llm::{Facts, Provider, ProviderInfo, Sink, Turn, TurnFuture, TurnRequest, Usage};

/// A provider whose turns are counted.
pub(crate) struct Metered {
    inner: Arc<dyn Provider>,
    total: Mutex<Total>,
}

/// What came together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Total {
    /// Turns that were had.
    pub(crate) turns: usize,
    /// Turns that were asked for; those that failed may have cost something too.
    asked: usize,
    /// Tokens; nothing if a turn failed or did not say.
    pub(crate) usage: Option<Usage>,
    /// What readers should know of a turn.
    pub(crate) notes: Vec<String>,
}

impl Metered {
    pub(crate) fn new(inner: Arc<dyn Provider>) -> Self {
        Self { inner, total: Mutex::default() }
    }

    /// What came together so far.
    pub(crate) fn total(&self) -> Total {
        let mut total = self.total.lock().unwrap_or_else(PoisonError::into_inner).clone();
        total.usage = total.usage.filter(|_| total.asked == total.turns);
        total
    }

    fn asks(&self) {
        self.total.lock().unwrap_or_else(PoisonError::into_inner).asked += 1;
    }

    fn count(&self, turn: &Turn) {
        let mut total = self.total.lock().unwrap_or_else(PoisonError::into_inner);
        let before = if total.turns == 0 { Some(Usage::default()) } else { total.usage };
        total.usage = before.zip(turn.usage).map(|(before, more)| Usage {
            input_tokens: before.input_tokens.saturating_add(more.input_tokens),
            output_tokens: before.output_tokens.saturating_add(more.output_tokens),
            cached_tokens: before.cached_tokens.saturating_add(more.cached_tokens),
            reasoning_tokens: before.reasoning_tokens.saturating_add(more.reasoning_tokens),
        });
        total.turns += 1;
        for note in &turn.notes {
            if !total.notes.contains(note) {
                total.notes.push(note.clone());
            }
        }
    }
}

impl Provider for Metered {
    fn is_rule_based(&self) -> bool {
        self.inner.is_rule_based()
    }

    fn describe(&self) -> ProviderInfo {
        self.inner.describe()
    }

    fn turn<'a>(&'a self, request: TurnRequest<'a>) -> TurnFuture<'a> {
        Box::pin(async move {
            self.asks();
            let turn = self.inner.turn(request).await?;
            self.count(&turn);
            Ok(turn)
        })
    }

    fn stream<'a>(&'a self, request: TurnRequest<'a>, sink: &'a mut dyn Sink) -> TurnFuture<'a> {
        Box::pin(async move {
            self.asks();
            let turn = self.inner.stream(request, sink).await?;
            self.count(&turn);
            Ok(turn)
        })
    }
}

/// How long a turn may take. A model of this machine may have to be loaded first, and a reasoning one
/// thinks.
pub(crate) fn patience(provider: &dyn Provider) -> Duration {
    Duration::from_secs(if provider.describe().language_model { 600 } else { 120 })
}

/// What that cost, in words; never nought for what is not known.
pub(crate) fn cost(provider: &dyn Provider, facts: Option<Facts>, usage: Option<Usage>) -> String {
    if !provider.describe().language_model {
        return "no model".to_owned();
    }
    match facts.zip(usage).and_then(|(facts, usage)| facts.cost(usage)) {
        Some(dollars) if dollars > 0.0 && dollars < 0.0001 => "below 0.0001 USD".to_owned(),
        Some(dollars) => format!("{dollars:.4} USD"),
        None => "cost unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::Future,
        pin::pin,
        task::{Context, Poll, Waker},
    };

    use tagout_llm::{ProviderError, Stop};

    use super::*;

    /// Answers every other time.
    struct Every(Mutex<usize>);

    impl Provider for Every {
        fn describe(&self) -> ProviderInfo {
            ProviderInfo { name: "x:y".into(), language_model: true, note: String::new() }
        }

        fn turn<'a>(&'a self, _: TurnRequest<'a>) -> TurnFuture<'a> {
            let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            *asked += 1;
            let usage = Some(Usage { input_tokens: 10, ..Usage::default() });
            let turn = Turn { usage, ..Turn::new(Vec::new(), Stop::Complete) };
            let turn = if *asked == 2 { Err(ProviderError::NoQuestion) } else { Ok(turn) };
            Box::pin(std::future::ready(turn))
        }
    }

    #[test]
    fn what_a_failed_turn_cost_is_not_known() {
        let metered = Metered::new(Arc::new(Every(Mutex::default())));
        for known in [true, false, false] {
            let mut turn = pin!(metered.turn(TurnRequest::new(&[], &[])));
            let polled = turn.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(matches!(polled, Poll::Ready(_)));
            assert_eq!(metered.total().usage.is_some(), known);
        }
    }
}
