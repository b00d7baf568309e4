//! `offline:planner`: no language model, no weights, no network.
//!
//! It routes a question to a tool by BM25, fills the tool's arguments from the words of the
//! question by the rules of the tool's JSON Schema, checks them, and renders the result. It never
//! reads a result to choose a further call, so no tool output can lead it astray.
//!
//! What it takes from a schema beside the standard keywords is `x-unit`: the unit of a number
//! (`celsius`, `km/h`, `mm`, `h`). Without it the unit is read from the end of the property's name
//! (`temp_c`) or from its description.

mod bind;
mod choices;
mod dates;
mod described;
mod figures;
mod fill;
mod numbers;
mod propose;
mod quantities;
mod render;
mod route;
mod slots;
mod texts;
mod weigh;
mod words;

use crate::{
    conversation::{Message, Part, Role, ToolCall, ToolResult},
    error::ProviderError,
    provider::{Provider, ProviderInfo, Stop, Turn, TurnFuture, TurnRequest},
};

/// How many bytes of a question are read.
const QUESTION_BYTES: usize = 4_000;

/// The rule-based planner. Deterministic: the same conversation and tools give the same turn.
#[derive(Clone, Copy, Debug, Default)]
pub struct Planner(());

impl Planner {
    /// The identifier it is chosen by.
    pub const NAME: &'static str = "offline:planner";
    /// What it says of itself wherever it shows.
    pub const NOTE: &'static str = "no language model: rule-based planner";

    /// A planner; it has no settings and no state.
    #[must_use]
    pub const fn new() -> Self {
        Self(())
    }

    /// The next turn. There is nothing to wait for.
    ///
    /// # Errors
    /// [`ProviderError::NoQuestion`].
    pub fn next(&self, request: TurnRequest<'_>) -> Result<Turn, ProviderError> {
        let asked = request
            .messages
            .iter()
            .rposition(|message| message.role == Role::User)
            .ok_or(ProviderError::NoQuestion)?;
        let (before, after) = request.messages.split_at(asked.saturating_add(1));
        if let Some(turn) = answer(after, &request) {
            return Ok(turn);
        }
        let question = before.last().map(Message::joined_text).unwrap_or_default();
        let call_id = format!("call-{}", calls(request.messages).count() + 1);
        Ok(propose::propose(head(&question), &call_id, &request))
    }
}

impl Provider for Planner {
    fn is_rule_based(&self) -> bool {
        true
    }

    fn describe(&self) -> ProviderInfo {
        ProviderInfo { name: Self::NAME.into(), language_model: false, note: Self::NOTE.into() }
    }

    fn turn<'a>(&'a self, request: TurnRequest<'a>) -> TurnFuture<'a> {
        Box::pin(std::future::ready(self.next(request)))
    }
}

/// The first bytes of a question, to a whole character.
fn head(question: &str) -> &str {
    let end =
        (0..=QUESTION_BYTES.min(question.len())).rev().find(|&at| question.is_char_boundary(at));
    question.get(..end.unwrap_or(0)).unwrap_or_default()
}

fn calls(messages: &[Message]) -> impl Iterator<Item = &ToolCall> {
    messages.iter().flat_map(|message| &message.parts).filter_map(|part| match part {
        Part::ToolCall(call) => Some(call),
        Part::Text { .. }
        | Part::Image(_)
        | Part::ToolResult(_)
        | Part::Attached { .. }
        | Part::Reasoning { .. }
        | Part::Refusal { .. } => None,
    })
}

/// The rendered results, if there are any since the question.
fn answer(after: &[Message], request: &TurnRequest<'_>) -> Option<Turn> {
    let results: Vec<&ToolResult> = after
        .iter()
        .flat_map(|message| &message.parts)
        .filter_map(|part| match part {
            Part::ToolResult(result) => Some(result),
            Part::Text { .. }
            | Part::Image(_)
            | Part::ToolCall(_)
            | Part::Attached { .. }
            | Part::Reasoning { .. }
            | Part::Refusal { .. } => None,
        })
        .collect();
    if results.is_empty() {
        return None;
    }
    let texts: Vec<String> = results
        .iter()
        .map(|result| {
            let call = calls(request.messages).find(|call| call.id == result.call_id);
            let tool =
                call.and_then(|call| request.tools.iter().find(|tool| tool.name == call.name));
            render::result(result, tool)
        })
        .collect();
    let parts = vec![Part::text(texts.join("\n\n"))];
    Some(Turn::new(parts, Stop::Complete))
}
