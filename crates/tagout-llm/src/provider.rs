//! What a provider is: a conversation in, a turn out.
use std::{future::Future, pin::Pin};

use serde::Serialize;

use crate::{
    conversation::{Message, Part, ToolSpec},
    error::ProviderError,
    plan::{Candidate, MissingSlot, Plan, SuppliedValue},
    stream::{Sink, StreamEvent},
};

/// A turn that is being made. Dropping it abandons the turn.
pub type TurnFuture<'a> = Pin<Box<dyn Future<Output = Result<Turn, ProviderError>> + Send + 'a>>;

/// A source of turns: a language model behind some wire, or something that stands in for one.
pub trait Provider: Send + Sync {
    /// What this is, for every place where its answers show.
    fn describe(&self) -> ProviderInfo;

    /// Whether it follows rules of its own and reads neither instructions nor what tools say: it
    /// gets the conversation as it is.
    fn is_rule_based(&self) -> bool {
        false
    }

    /// Makes the next turn of a conversation.
    ///
    /// Cancel safe: a dropped future leaves nothing behind but a request that nobody reads.
    ///
    /// # Errors
    /// The future gives a [`ProviderError`] if no turn could be had; the conversation is as it was.
    fn turn<'a>(&'a self, request: TurnRequest<'a>) -> TurnFuture<'a>;

    /// As [`Provider::turn`], and tells `sink` of the turn while it comes. What `sink` was told of
    /// a turn that fails counts for nothing; a call may be made only when the turn is there.
    fn stream<'a>(&'a self, request: TurnRequest<'a>, sink: &'a mut dyn Sink) -> TurnFuture<'a> {
        Box::pin(async move {
            let turn = self.turn(request).await?;
            StreamEvent::of(&turn).into_iter().for_each(|event| sink.event(event));
            Ok(turn)
        })
    }
}

/// What a turn is made from.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct TurnRequest<'a> {
    /// The conversation so far; every tool call in it has its result.
    pub messages: &'a [Message],
    /// The tools that may be proposed.
    pub tools: &'a [ToolSpec],
    /// Values that the person gave when an earlier turn of the same question asked for them.
    pub supplied: &'a [SuppliedValue],
    /// The tool that the person chose when an earlier turn of the same question offered several.
    pub chosen: Option<&'a str>,
    /// The longest answer, in tokens, where it is to be shorter than the provider's settings say.
    pub most_tokens: Option<u32>,
}

impl<'a> TurnRequest<'a> {
    /// A request with nothing supplied or chosen yet.
    #[must_use]
    pub const fn new(messages: &'a [Message], tools: &'a [ToolSpec]) -> Self {
        Self { messages, tools, supplied: &[], chosen: None, most_tokens: None }
    }

    /// The same request with what the person has supplied and chosen.
    #[must_use]
    pub const fn with_answers(
        self,
        supplied: &'a [SuppliedValue],
        chosen: Option<&'a str>,
    ) -> Self {
        Self { supplied, chosen, ..self }
    }

    /// The same request for an answer of at most so many tokens.
    #[must_use]
    pub const fn with_most_tokens(self, most: u32) -> Self {
        Self { most_tokens: Some(most), ..self }
    }
}

/// One turn.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Turn {
    /// Text, proposed calls and reasoning state, in order.
    pub parts: Vec<Part>,
    /// Why the turn ended.
    pub stop: Stop,
    /// Why the turn ended, in the provider's own word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_raw: Option<String>,
    /// What it cost, where the provider counts.
    pub usage: Option<Usage>,
    /// How the proposal came about, where the provider can say.
    pub plan: Option<Plan>,
    /// What a reader of the turn should know: something was left out, or may have been cut.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl Turn {
    /// A turn of which nothing more is known.
    #[must_use]
    pub const fn new(parts: Vec<Part>, stop: Stop) -> Self {
        Self { parts, stop, stop_raw: None, usage: None, plan: None, notes: Vec::new() }
    }
}

/// Why a turn ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", content = "detail", rename_all = "snake_case")]
pub enum Stop {
    /// The answer is complete.
    Complete,
    /// The parts hold tool calls that wait for their results.
    ToolCalls,
    /// Values are missing; ask for them and request the turn again.
    NeedsInput(Vec<MissingSlot>),
    /// Several tools fit about equally; let the person choose and request the turn again.
    NeedsChoice(Vec<Candidate>),
    /// Nothing that the provider may propose fits the question.
    NoToolFits,
    /// The provider's own limit on length cut the turn: a tool call in it may be incomplete.
    Length,
    /// The model declined.
    Refused,
}

/// What a turn cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Tokens read, all of them.
    pub input_tokens: u64,
    /// Tokens written, reasoning among them.
    pub output_tokens: u64,
    /// Of those read, how many came from the provider's cache.
    pub cached_tokens: u64,
    /// Of those written, how many were reasoning, where the provider says.
    pub reasoning_tokens: u64,
}

/// What a provider is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProviderInfo {
    /// Its model identifier, such as `offline:planner`.
    pub name: String,
    /// Whether a language model is behind it.
    pub language_model: bool,
    /// What a reader of its answers should know; empty if nothing.
    pub note: String,
}
