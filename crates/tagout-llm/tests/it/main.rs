//! The planner against tables, and against arbitrary input; the wires against exchanges.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test that meets something else than it expects should panic, helpers included"
)]
mod around;
mod asked;
mod corpus;
mod deceit;
mod demands;
mod exchanges;
mod hostile;
mod questions;
mod results;
mod robust;
mod stage;

use tagout_llm::{Message, Planner, Role, ToolSpec, Turn, TurnRequest};

/// The grid assistant's tools among those of a file system and a git server.
fn tools() -> Vec<ToolSpec> {
    serde_json::from_str(include_str!("tools.json")).unwrap()
}

fn ask(question: &str, tools: &[ToolSpec]) -> Turn {
    let messages = [Message::text(Role::User, question)];
    Planner::new().next(TurnRequest::new(&messages, tools)).unwrap()
}
