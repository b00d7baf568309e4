//! What is odd about arguments.
use serde::Serialize;
use serde_json::{Map, Value};
use tagout_llm::{Message, ToolSpec};

/// Something odd about a call's arguments, for whoever approves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Concern {
    /// Where, such as `filter.name`.
    pub path: String,
    /// What kind, a stable code.
    pub code: &'static str,
    /// What exactly, in words.
    pub detail: String,
    /// Whether a person must see it before the call is made.
    pub holds: bool,
}

/// What a model may have copied from.
#[derive(Clone, Copy)]
pub(crate) struct Seen<'a> {
    /// The person's own words.
    pub(crate) words: &'a str,
    /// The conversation, with all results.
    pub(crate) messages: &'a [Message],
}

/// What is odd about `arguments` of `tool`.
pub(crate) fn concerns(
    tool: &ToolSpec,
    arguments: &Map<String, Value>,
    seen: Seen<'_>,
) -> Vec<Concern> {
    let _ = (tool, arguments, seen.words, seen.messages);
    Vec::new()
}
