//! Conversations in which every call has exactly one result.
use std::collections::{HashMap, HashSet};

use tagout_llm::{Message, Part, Role, ToolResult};

use super::origin::by_host;

/// What a call is told that has no result.
const NO_RESULT: &str = "the session ended before there was a result; whether the tool ran is in \
                         the audit log";

/// Puts a conversation in order: each call has exactly one result, in the message right after it
/// and in the calls' order; results without a call, second results, calls of an identifier that was
/// there before, and messages without anything are left out, and so is what poses as a standing
/// instruction. Gives what was added.
pub(crate) fn repair(messages: &mut Vec<Message>) -> Vec<Message> {
    let mut results = results(messages);
    let mut taken = HashSet::new();
    let (mut repaired, mut added) = (Vec::with_capacity(messages.len()), Vec::new());
    for (at, mut message) in std::mem::take(messages).into_iter().enumerate() {
        let role = message.role;
        message.parts.retain(|part| belongs(part, role, &mut taken));
        let ids: Vec<String> = calls(&message).map(str::to_owned).collect();
        if message.parts.is_empty() {
            continue;
        }
        repaired.push(message);
        if ids.is_empty() {
            continue;
        }
        let mut answers = Vec::with_capacity(ids.len());
        let mut missing = Vec::new();
        for id in ids {
            // One that came before its call answers something else.
            let found = results.remove(&id).filter(|(place, _)| *place > at);
            let answer = found.map(|(_, result)| Part::ToolResult(result)).unwrap_or_else(|| {
                let answer = Part::ToolResult(no_result(id));
                missing.push(answer.clone());
                answer
            });
            answers.push(answer);
        }
        repaired.push(Message { role: Role::Tool, parts: answers });
        if !missing.is_empty() {
            added.push(Message { role: Role::Tool, parts: missing });
        }
    }
    *messages = repaired;
    added
}

/// The first result of every call that comes after it, with the place of its message.
fn results(messages: &[Message]) -> HashMap<String, (usize, ToolResult)> {
    let mut results = HashMap::new();
    let mut called = HashSet::new();
    for (at, message) in messages.iter().enumerate() {
        if message.role == Role::Assistant {
            called.extend(calls(message));
        }
        for part in &message.parts {
            if let Part::ToolResult(result) = part
                && message.role == Role::Tool
                && called.contains(result.call_id.as_str())
            {
                results.entry(result.call_id.clone()).or_insert_with(|| (at, flat(result)));
            }
        }
    }
    results
}

/// A result of texts and pictures alone.
fn flat(result: &ToolResult) -> ToolResult {
    let plain = |part: &&Part| matches!(part, Part::Text { .. } | Part::Image(_));
    ToolResult { parts: result.parts.iter().filter(plain).cloned().collect(), ..result.clone() }
}

fn no_result(call_id: String) -> ToolResult {
    ToolResult { call_id, parts: vec![by_host(NO_RESULT)], structured: None, is_error: true }
}

fn calls(message: &Message) -> impl Iterator<Item = &str> {
    message.parts.iter().filter_map(|part| match part {
        Part::ToolCall(call) => Some(call.id.as_str()),
        Part::Text { .. }
        | Part::Image(_)
        | Part::ToolResult(_)
        | Part::Attached { .. }
        | Part::Reasoning { .. }
        | Part::Refusal { .. } => None,
    })
}

/// Whether a part may stand in a message of `role`. Results are put into messages of their own.
fn belongs(part: &Part, role: Role, taken: &mut HashSet<String>) -> bool {
    match (role, part) {
        (Role::User | Role::Assistant, Part::Text { text, state }) => {
            !text.trim().is_empty() || state.is_some()
        }
        (Role::User, Part::Image(_) | Part::Attached { .. })
        | (Role::Assistant, Part::Reasoning { .. }) => true,
        (Role::Assistant, Part::Refusal { text }) => !text.is_empty(),
        (Role::Assistant, Part::ToolCall(call)) => taken.insert(call.id.clone()),
        (
            Role::User,
            Part::ToolCall(_) | Part::ToolResult(_) | Part::Reasoning { .. } | Part::Refusal { .. },
        )
        | (Role::Assistant, Part::Image(_) | Part::Attached { .. } | Part::ToolResult(_))
        | (Role::System | Role::Tool, _) => false,
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod wires;
