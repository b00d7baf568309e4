//! A provider that says what a file says, turn by turn: for trying out, for demonstrations, for
//! tests.
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::Deserialize;
use toml::Table;

use crate::{
    conversation::{Part, Role, ToolCall},
    error::ProviderError,
    provider::{Provider, ProviderInfo, Stop, Turn, TurnFuture, TurnRequest},
};

/// A provider that plays a script.
#[derive(Debug)]
pub struct Script {
    name: String,
    turns: Vec<WrittenTurn>,
    next: AtomicUsize,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(rename = "turn")]
    turns: Vec<WrittenTurn>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenTurn {
    #[serde(default)]
    text: String,
    #[serde(default, rename = "call")]
    calls: Vec<WrittenCall>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenCall {
    tool: String,
    #[serde(default)]
    arguments: Table,
}

impl Script {
    /// The script `text`; `name` is what it is called wherever it shows.
    ///
    /// # Errors
    /// What is wrong with it, with line and column.
    pub fn parse(name: String, text: &str) -> Result<Self, toml::de::Error> {
        let Written { turns } = toml::from_str(text)?;
        Ok(Self { name, turns, next: AtomicUsize::new(0) })
    }

    fn next(&self, request: TurnRequest<'_>) -> Result<Turn, ProviderError> {
        let missing = |detail: String| {
            let provider = self.name.clone();
            ProviderError::NotRecorded { provider, detail }
        };
        let at = self.next.fetch_add(1, Ordering::Relaxed);
        let turn = self.turns.get(at);
        let turn = turn.ok_or_else(|| missing(format!("the script has {at} turns")))?;
        let said = request.messages.iter().filter(|m| m.role == Role::Assistant);
        let before =
            said.flat_map(|m| &m.parts).filter(|part| matches!(part, Part::ToolCall(_))).count();
        let mut parts = Vec::new();
        if !turn.text.is_empty() {
            parts.push(Part::text(turn.text.clone()));
        }
        for (number, call) in (before + 1..).zip(&turn.calls) {
            let arguments = serde_json::to_string(&call.arguments)
                .map_err(|error| missing(format!("its arguments are no JSON: {error}")))?;
            let id = format!("call-{number}");
            parts.push(Part::ToolCall(ToolCall::new(id, call.tool.clone(), arguments)));
        }
        let stop = if turn.calls.is_empty() { Stop::Complete } else { Stop::ToolCalls };
        Ok(Turn::new(parts, stop))
    }
}

impl Provider for Script {
    fn describe(&self) -> ProviderInfo {
        let note = "no language model: it says what its file says".into();
        ProviderInfo { name: self.name.clone(), language_model: false, note }
    }

    fn turn<'a>(&'a self, request: TurnRequest<'a>) -> TurnFuture<'a> {
        Box::pin(std::future::ready(self.next(request)))
    }
}
