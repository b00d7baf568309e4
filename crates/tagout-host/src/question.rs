//! What a person asks.
use serde::{Deserialize, Serialize};
use tagout_llm::{Message, Part, Role};

use crate::guard::by_prompt;

/// What a person asks: the words, and what was attached to them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Question {
    /// The person's own words, as typed.
    pub words: String,
    /// What the person attached.
    pub attached: Vec<Attached>,
}

/// Something that a server offers and a person attached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "attached", rename_all = "snake_case")]
pub enum Attached {
    /// A resource: data, like a tool's result.
    Resource {
        /// Its URI, as the gateway names it.
        uri: String,
        /// Its contents.
        parts: Vec<Part>,
    },
    /// A prompt that the person chose: it speaks for the person.
    Prompt {
        /// Its name, as the gateway names it.
        name: String,
        /// Its messages, in order.
        messages: Vec<Message>,
    },
}

impl<T: AsRef<str>> From<T> for Question {
    fn from(words: T) -> Self {
        Self { words: words.as_ref().to_owned(), attached: Vec::new() }
    }
}

impl Question {
    /// The messages that it adds to a conversation. A prompt speaks for the person; the words only
    /// name it then.
    pub(crate) fn messages(&self) -> Vec<Message> {
        let mut messages = Vec::new();
        let mut parts = Vec::new();
        for attached in &self.attached {
            match attached {
                Attached::Resource { uri, parts: contents } => {
                    let (uri, contents) = (uri.clone(), contents.clone());
                    parts.push(Part::Attached { uri, parts: contents });
                }
                Attached::Prompt { name, messages: prompted } => {
                    messages.extend(prompted.iter().map(|message| by_prompt(name, message)));
                }
            }
        }
        let prompted = |one: &Attached| matches!(one, Attached::Prompt { .. });
        if !self.words.is_empty() && !self.attached.iter().any(prompted) {
            parts.push(Part::text(self.words.clone()));
        }
        if !parts.is_empty() {
            messages.push(Message { role: Role::User, parts });
        }
        messages
    }
}
