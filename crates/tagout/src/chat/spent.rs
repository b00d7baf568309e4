//! What a session has cost.
use tagout_llm::Usage;

use super::start::Model;
use crate::models::{self, Total};

/// What each model has cost, in the order of their first use.
#[derive(Default)]
pub(crate) struct Spent(Vec<Row>);

struct Row {
    model: String,
    turns: usize,
    usage: Option<Usage>,
    cost: String,
}

impl Spent {
    /// Adds what `model` did since `before`; in words, where it counts.
    pub(crate) fn add(&mut self, model: &Model, before: &Total) -> Option<String> {
        let total = model.metered.total();
        if total.turns == 0 {
            return None;
        }
        let cost = models::cost(model.metered.as_ref(), model.facts, total.usage);
        let row = Row { model: model.name.clone(), turns: total.turns, usage: total.usage, cost };
        match self.0.iter_mut().find(|row| row.model == model.name) {
            Some(old) => *old = row,
            None => self.0.push(row),
        }
        let (usage, was) = (total.usage?, before.usage.unwrap_or_default());
        let read = usage.input_tokens.saturating_sub(was.input_tokens);
        let written = usage.output_tokens.saturating_sub(was.output_tokens);
        let more = Usage { input_tokens: read, output_tokens: written, ..Usage::default() };
        let cost = models::cost(model.metered.as_ref(), model.facts, Some(more));
        Some(format!("{read} tokens in, {written} out, {cost}"))
    }

    /// As rows of a table: model, turns, tokens in, tokens out, cost.
    pub(crate) fn rows(&self) -> Vec<Vec<String>> {
        let row = |row: &Row| {
            let tokens = |count: fn(&Usage) -> u64| {
                row.usage.as_ref().map_or_else(|| "?".to_owned(), |usage| count(usage).to_string())
            };
            let (read, written) = (tokens(|u| u.input_tokens), tokens(|u| u.output_tokens));
            vec![row.model.clone(), row.turns.to_string(), read, written, row.cost.clone()]
        };
        self.0.iter().map(row).collect()
    }
}
