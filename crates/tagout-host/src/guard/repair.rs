//! Conversations in which every call has exactly one result.
use tagout_llm::{Message, Part, Role};

use crate::{Failure, Outcome};

/// Gives every call that has no result one that says so; gives what was added.
pub(crate) fn repair(messages: &mut Vec<Message>) -> Vec<Message> {
    let answered = |messages: &[Message], id: &str| {
        messages
            .iter()
            .flat_map(|message| &message.parts)
            .any(|part| matches!(part, Part::ToolResult(result) if result.call_id == id))
    };
    let mut results = Vec::new();
    for part in messages.iter().flat_map(|message| &message.parts) {
        if let Part::ToolCall(call) = part
            && !answered(messages, &call.id)
        {
            let lost = Outcome::lost(Failure::Cancelled, "the call was cancelled");
            results.push(Part::ToolResult(lost.to_result(&call.id)));
        }
    }
    if results.is_empty() {
        return Vec::new();
    }
    let added = Message { role: Role::Tool, parts: results };
    messages.push(added.clone());
    vec![added]
}
