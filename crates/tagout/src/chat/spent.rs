//! What a session has cost.
use tagout_llm::Usage;

use super::{kept::Conversation, start::Model};
use crate::models::{self, Total};

/// What each model has cost, in the order of their first use.
pub(crate) struct Spent {
    rows: Vec<Row>,
    /// Tokens read and written before the session was taken up again.
    before: (u64, u64),
}

struct Row {
    model: String,
    turns: usize,
    /// Nothing if a turn did not say.
    usage: Option<Usage>,
    cost: String,
}

impl Spent {
    /// Nothing so far but what `conversation` had cost already.
    pub(crate) fn of(conversation: &Conversation) -> Self {
        let before = conversation.spent();
        Self { rows: Vec::new(), before: (before.input_tokens, before.output_tokens) }
    }

    /// Adds what `model` did since `before`; in words, where it counts.
    pub(crate) fn add(&mut self, model: &Model, before: &Total) -> Option<String> {
        let total = model.metered.total();
        let turns = total.turns.saturating_sub(before.turns);
        let was = before.usage.unwrap_or_default();
        let more = total.usage.map(|usage| Usage {
            input_tokens: usage.input_tokens.saturating_sub(was.input_tokens),
            output_tokens: usage.output_tokens.saturating_sub(was.output_tokens),
            cached_tokens: usage.cached_tokens.saturating_sub(was.cached_tokens),
            reasoning_tokens: usage.reasoning_tokens.saturating_sub(was.reasoning_tokens),
        });
        if turns == 0 {
            return None;
        }
        let cost = |usage| models::cost(model.metered.as_ref(), model.facts, usage);
        match self.rows.iter_mut().find(|row| row.model == model.name) {
            Some(row) => {
                row.turns += turns;
                row.usage = row.usage.zip(more).map(|(usage, more)| sum(usage, more));
                row.cost = cost(row.usage);
            }
            None => {
                let (model, cost) = (model.name.clone(), cost(more));
                self.rows.push(Row { model, turns, usage: more, cost });
            }
        }
        let more = more?;
        let (read, written) = (more.input_tokens, more.output_tokens);
        Some(format!("{read} tokens in, {written} out, {}", cost(Some(more))))
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
        let (read, written) = self.before;
        let earlier = (read > 0 || written > 0).then(|| {
            ["before it was taken up again", "", &read.to_string(), &written.to_string(), ""]
                .map(str::to_owned)
                .to_vec()
        });
        earlier.into_iter().chain(self.rows.iter().map(row)).collect()
    }
}

const fn sum(one: Usage, other: Usage) -> Usage {
    Usage {
        input_tokens: one.input_tokens.saturating_add(other.input_tokens),
        output_tokens: one.output_tokens.saturating_add(other.output_tokens),
        cached_tokens: one.cached_tokens.saturating_add(other.cached_tokens),
        reasoning_tokens: one.reasoning_tokens.saturating_add(other.reasoning_tokens),
    }
}
