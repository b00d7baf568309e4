//! What was said before a call: by the person, and by others.
use std::{borrow::Cow, collections::HashMap};

use tagout_llm::{Part, Role};

use super::{Seen, quoted, runs::alike, work::Work};
use crate::guard::{origin, present::tools, shelf::content};

/// Bytes of what others wrote that are compared, the last first.
const BYTES: usize = 32 << 20;

/// Something that others wrote.
pub(super) struct Source {
    /// As whoever approves is told.
    pub(super) name: String,
    pub(super) text: String,
}

/// What was said.
pub(super) struct Said {
    /// What the person typed for this question…
    pub(super) words: String,
    /// …and before.
    pub(super) earlier: String,
    pub(super) operator: String,
    /// The last first.
    pub(super) sources: Vec<Source>,
    pub(super) left_out: LeftOut,
}

/// What others wrote and finds no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LeftOut {
    Nothing,
    /// Of earlier questions alone, said once for each.
    Before {
        news: bool,
    },
    /// Of this one.
    Now,
}

impl Said {
    /// Copies what is compared, no more of it than there is room for.
    pub(super) fn of(seen: Seen<'_>) -> Self {
        Self::within(seen, BYTES)
    }

    /// The same with room for `bytes` of what others wrote.
    pub(super) fn within(seen: Seen<'_>, bytes: usize) -> Self {
        let now = seen.messages.iter().rposition(|message| message.role == Role::User);
        let now = now.unwrap_or(0);
        let (mut words, mut earlier) = (String::new(), String::new());
        for (at, message) in seen.messages.iter().enumerate() {
            let place = if at == now { &mut words } else { &mut earlier };
            for text in message.parts.iter().filter_map(|part| typed(message.role, part)) {
                place.push_str(text);
                place.push('\n');
            }
        }
        let supplied = seen.supplied.iter().map(|supplied| supplied.text.as_str());
        for typed in supplied.chain([seen.words]) {
            words.push_str(typed);
            words.push('\n');
        }
        let operator = seen.operator.to_owned();
        let mut said =
            Self { words, earlier, operator, sources: Vec::new(), left_out: LeftOut::Nothing };
        said.fill(seen, now, bytes);
        said
    }

    /// Takes the sources, the last first.
    fn fill(&mut self, seen: Seen<'_>, now: usize, mut left: usize) {
        let tools = tools(seen.messages);
        for (at, message) in seen.messages.iter().enumerate().rev() {
            for part in message.parts.iter().rev() {
                for (name, text) in others(part, seen, &tools) {
                    let end =
                        (0..=left.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
                    let fits = text.get(..end.unwrap_or(0)).unwrap_or_default();
                    left -= fits.len();
                    if fits.len() < text.len() {
                        self.left_out = match self.left_out {
                            LeftOut::Now => LeftOut::Now,
                            LeftOut::Nothing | LeftOut::Before { .. } if at >= now => LeftOut::Now,
                            LeftOut::Nothing | LeftOut::Before { .. } => {
                                LeftOut::Before { news: seen.calls.is_empty() }
                            }
                        };
                    }
                    if !fits.is_empty() {
                        self.sources.push(Source { name, text: fits.to_owned() });
                    }
                }
            }
        }
    }

    /// Makes all of it alike; false if that was too much.
    pub(super) fn alike(&mut self, work: &mut Work) -> bool {
        let own = [&mut self.words, &mut self.earlier, &mut self.operator];
        let sources = self.sources.iter_mut().map(|source| &mut source.text);
        own.into_iter().chain(sources).all(|text| {
            *text = alike(text);
            work.take(text.len())
        })
    }

    /// What a source is called.
    pub(super) fn name(&self, source: usize) -> &str {
        self.sources.get(source).map_or("", |source| source.name.as_str())
    }
}

/// What the person typed in a part.
fn typed(role: Role, part: &Part) -> Option<&str> {
    match part {
        Part::Text { text, .. } if role == Role::User && origin::prompt_of(part).is_none() => {
            Some(text)
        }
        Part::Text { .. }
        | Part::Image(_)
        | Part::ToolCall(_)
        | Part::ToolResult(_)
        | Part::Attached { .. }
        | Part::Reasoning { .. }
        | Part::Refusal { .. } => None,
    }
}

/// What others wrote in a part: what tools returned, what was attached, what a prompt says.
fn others<'a>(
    part: &'a Part,
    seen: Seen<'_>,
    tools: &HashMap<&str, &str>,
) -> Vec<(String, Cow<'a, str>)> {
    match part {
        Part::ToolResult(result) => {
            let id = result.call_id.as_str();
            let tool = tools.get(id).copied().unwrap_or("a tool");
            let call = seen.calls.iter().find(|call| call.id == id);
            let record = call.and_then(|call| call.outcome.decision().record);
            let record = record.map(|record| format!(" (record {record})"));
            let name = format!("a result of `{tool}`{}", record.unwrap_or_default());
            vec![(name, content(result))]
        }
        Part::Attached { uri, parts } => {
            let name = format!("what was attached, {}", quoted(uri));
            let texts = parts.iter().filter_map(|part| match part {
                Part::Text { text, .. } => Some((name.clone(), Cow::Borrowed(text.as_str()))),
                Part::Image(_)
                | Part::ToolCall(_)
                | Part::ToolResult(_)
                | Part::Attached { .. }
                | Part::Reasoning { .. }
                | Part::Refusal { .. } => None,
            });
            texts.collect()
        }
        Part::Text { text, .. } => {
            let prompt = origin::prompt_of(part);
            let name = prompt.map(|name| format!("the prompt {}", quoted(name)));
            name.map(|name| (name, Cow::Borrowed(text.as_str()))).into_iter().collect()
        }
        Part::Image(_) | Part::ToolCall(_) | Part::Reasoning { .. } | Part::Refusal { .. } => {
            Vec::new()
        }
    }
}
