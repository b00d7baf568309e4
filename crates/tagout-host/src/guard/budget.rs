//! How much one question may take.
use tagout_llm::{Facts, Message, Part, ToolSpec, Turn, Usage};

use super::clock::Clock;
use crate::{HostError, Limits, Status};

/// What one question has taken so far.
pub(crate) struct Budget {
    limits: Limits,
    facts: Option<Facts>,
    calls: usize,
    /// More calls were proposed than may be made.
    beyond: bool,
    tokens: u64,
    cost_usd: f64,
    /// Tokens of the conversation when it was counted last, and its bytes then.
    measured: Option<(u64, u64)>,
    clock: Clock,
}

/// What models took that servers asked, until it counts for a question.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Owed {
    tokens: u64,
    cost_usd: f64,
}

impl Owed {
    /// Adds what one turn took of a model of which `facts` are known.
    pub(crate) fn add(&mut self, usage: Usage, facts: Option<Facts>) {
        let tokens = usage.input_tokens.saturating_add(usage.output_tokens);
        self.tokens = self.tokens.saturating_add(tokens);
        self.cost_usd += facts.and_then(|facts| facts.cost(usage)).unwrap_or_default();
    }
}

/// Bytes of a token, about; the fewer, the earlier a limit is reached.
const TOKEN_BYTES: u64 = 4;
/// Tokens of a picture, about.
const PICTURE_TOKENS: u64 = 1_600;
/// A conversation that takes more of the model's context than this, in percent, is mentioned.
const CROWDED: u64 = 80;
/// Said of a turn that its provider does not count.
const ESTIMATED: &str = "the provider counts no tokens: they are estimated, four bytes each";

impl Budget {
    /// A new question's.
    ///
    /// # Errors
    /// [`HostError::CostUnknown`]: what has no price cannot be held to a limit on cost.
    pub(crate) fn new(
        limits: Limits,
        facts: Option<Facts>,
        model: Option<&str>,
    ) -> Result<Self, HostError> {
        let priced = facts.is_some_and(|facts| facts.cost(Usage::default()).is_some());
        if let (Some(_), Some(model), false) = (limits.cost_usd, model, priced) {
            return Err(HostError::CostUnknown { model: model.to_owned() });
        }
        let clock = Clock::new(limits.time);
        let (calls, tokens, cost_usd) = (0, 0, 0.0);
        Ok(Self { limits, facts, calls, beyond: false, tokens, cost_usd, measured: None, clock })
    }

    /// What the time of the question is measured with.
    pub(crate) const fn clock(&self) -> &Clock {
        &self.clock
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
        if self.beyond {
            let text = format!("stopped after {} calls without an answer", self.calls);
            return Some((Status::CallLimit, text));
        }
        self.clock.left().is_zero().then(|| self.out_of_time())
    }

    pub(crate) fn out_of_time(&self) -> (Status, String) {
        let text = format!("stopped after {} s without an answer", self.limits.time.as_secs());
        (Status::TimeLimit, text)
    }

    /// Whether one more call may be made; counts it.
    pub(crate) fn one_more_call(&mut self) -> bool {
        let more = self.calls < self.limits.calls;
        self.calls += usize::from(more);
        self.beyond |= !more;
        more
    }

    /// Whether a request fits into the model's context; gives what is to be said of it.
    ///
    /// # Errors
    /// [`HostError::ConversationTooLong`].
    pub(crate) fn fits(
        &self,
        messages: &[Message],
        tools: &[ToolSpec],
    ) -> Result<Option<String>, HostError> {
        let Some(context) = self.facts.and_then(|facts| facts.context) else { return Ok(None) };
        let now = size(messages, tools);
        let grown = |(tokens, before): (u64, u64)| {
            tokens.saturating_add(now.saturating_sub(before) / TOKEN_BYTES)
        };
        let tokens = self.measured.map_or(now / TOKEN_BYTES, grown);
        if tokens > context {
            return Err(HostError::ConversationTooLong { tokens, context });
        }
        let crowded = tokens > context / 100 * CROWDED;
        Ok(crowded.then(|| {
            format!("the conversation takes about {tokens} of the model's {context} tokens")
        }))
    }

    /// Counts a turn of a language model, and notes on it what was not counted by its provider.
    pub(crate) fn turn(&mut self, turn: &mut Turn, messages: &[Message], tools: &[ToolSpec]) {
        let asked = size(messages, tools);
        let usage = turn.usage.filter(|usage| usage.input_tokens > 0).unwrap_or_else(|| {
            turn.notes.push(ESTIMATED.to_owned());
            Usage {
                input_tokens: asked / TOKEN_BYTES,
                output_tokens: turn.parts.iter().map(bytes).sum::<u64>() / TOKEN_BYTES,
                ..Usage::default()
            }
        });
        self.measured = Some((usage.input_tokens, asked));
        self.spent(usage);
    }

    /// Counts what a turn took.
    fn spent(&mut self, usage: Usage) {
        let mut owed = Owed::default();
        owed.add(usage, self.facts);
        self.settle(&mut owed);
    }

    /// Counts what models took that servers asked.
    pub(crate) fn settle(&mut self, owed: &mut Owed) {
        let Owed { tokens, cost_usd } = std::mem::take(owed);
        self.tokens = self.tokens.saturating_add(tokens);
        self.cost_usd += cost_usd;
    }
}

fn size(messages: &[Message], tools: &[ToolSpec]) -> u64 {
    let said: u64 = messages.iter().flat_map(|message| &message.parts).map(bytes).sum();
    let shown = |tool: &ToolSpec| {
        let description = tool.description.as_deref().map_or(0, str::len);
        to_u64(tool.name.len() + description + tool.input_schema.to_string().len())
    };
    said.saturating_add(tools.iter().map(shown).sum())
}

fn bytes(part: &Part) -> u64 {
    match part {
        Part::Text { text, .. } | Part::Refusal { text } => to_u64(text.len()),
        Part::Image(_) => PICTURE_TOKENS * TOKEN_BYTES,
        Part::ToolCall(call) => to_u64(call.name.len() + call.arguments_raw.len()),
        Part::ToolResult(result) => result.parts.iter().map(bytes).sum(),
        Part::Attached { parts, .. } => parts.iter().map(bytes).sum(),
        Part::Reasoning { state, .. } => to_u64(state.value.to_string().len()),
    }
}

fn to_u64(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}
