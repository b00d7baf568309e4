//! A turn while it comes, in small pieces.
use serde::Serialize;

use crate::{
    conversation::Part,
    provider::{Stop, Turn, Usage},
};

/// A piece of a turn. All text in it is the model's, and raw.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum StreamEvent {
    /// More text, for people.
    TextDelta {
        /// The text.
        text: String,
    },
    /// More of what the model thinks, as far as it is shown.
    ReasoningDelta {
        /// The text.
        text: String,
    },
    /// More of the words in which the model declines.
    RefusalDelta {
        /// The text.
        text: String,
    },
    /// The model began to write a call. To be shown, not to be made.
    ToolCallStarted {
        /// The call's identifier.
        id: String,
        /// The tool's name.
        name: String,
    },
    /// More of a call's arguments. To be shown, not to be made.
    ToolArgsDelta {
        /// The call's identifier.
        id: String,
        /// The text, not JSON by itself.
        text: String,
    },
    /// A call is complete and its arguments are a JSON object. Comes only when the whole turn is
    /// known not to have been cut.
    ToolCallDone {
        /// The call's identifier.
        id: String,
        /// The tool's name.
        name: String,
        /// The arguments.
        arguments_raw: String,
    },
    /// What the turn cost; the last one counts.
    Usage {
        /// All of it, not what was added.
        usage: Usage,
    },
    /// The end.
    Stop {
        /// Why.
        kind: Stop,
        /// Why, in the provider's own word.
        raw: Option<String>,
    },
}

/// Where the pieces of a turn go.
pub trait Sink: Send {
    /// Takes one piece. It is called on the task that reads the stream and may block it.
    fn event(&mut self, event: StreamEvent);
}

impl Sink for Vec<StreamEvent> {
    fn event(&mut self, event: StreamEvent) {
        self.push(event);
    }
}

/// Lets every piece go.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unheard;

impl Sink for Unheard {
    fn event(&mut self, event: StreamEvent) {
        drop(event);
    }
}

impl StreamEvent {
    /// The pieces of a turn that came at once.
    #[must_use]
    pub fn of(turn: &Turn) -> Vec<Self> {
        let mut events = Vec::new();
        for part in &turn.parts {
            match part {
                Part::Text { text, .. } => events.push(Self::TextDelta { text: text.clone() }),
                Part::Refusal { text } => events.push(Self::RefusalDelta { text: text.clone() }),
                Part::Reasoning { text, .. } if !text.is_empty() => {
                    events.push(Self::ReasoningDelta { text: text.clone() });
                }
                Part::ToolCall(call) => {
                    let (id, name) = (call.id.clone(), call.name.clone());
                    events.push(Self::ToolCallStarted { id: id.clone(), name: name.clone() });
                    let arguments_raw = call.arguments_raw.clone();
                    events.push(Self::ToolCallDone { id, name, arguments_raw });
                }
                Part::Reasoning { .. }
                | Part::Image(_)
                | Part::ToolResult(_)
                | Part::Attached { .. } => {}
            }
        }
        events.extend(turn.usage.map(|usage| Self::Usage { usage }));
        events.push(Self::Stop { kind: turn.stop.clone(), raw: turn.stop_raw.clone() });
        events
    }
}
