//! The conversation as every provider sees it.
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The operator's standing instructions.
    System,
    /// The person.
    User,
    /// The model, or what stands in for one.
    Assistant,
    /// Tools: results only.
    Tool,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What was said, in order.
    pub parts: Vec<Part>,
}

/// A piece of a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Part {
    /// Text for people.
    Text {
        /// The text; untrusted, may hold control characters.
        text: String,
        /// What its provider wants back with it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        state: Option<ProviderState>,
    },
    /// A picture.
    Image(Image),
    /// A call that the model proposes.
    ToolCall(ToolCall),
    /// What came of a call.
    ToolResult(ToolResult),
    /// Something that the person attached: data that somebody else wrote, not the person's words.
    Attached {
        /// Where it is from.
        uri: String,
        /// Texts and images.
        parts: Vec<Part>,
    },
    /// What the model thought before it spoke, as far as its provider shows it.
    Reasoning {
        /// In words, where there are any; for people, never sent to a provider.
        text: String,
        /// What its provider wants back.
        state: ProviderState,
    },
    /// The model declined.
    Refusal {
        /// In the model's words.
        text: String,
    },
}

/// What a provider wants back unchanged with a part of its own: signatures, encrypted reasoning,
/// identifiers. Only the provider and the model that it came from ever see it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderState {
    /// The provider's name.
    pub provider: String,
    /// The model's name.
    pub model: String,
    /// The state, in the form of its wire.
    pub value: Value,
}

/// A picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Its media type as the sender names it, such as `image/png`.
    pub media_type: String,
    /// The bytes in standard base64, as they came over the wire and unchecked.
    pub base64: String,
}

impl Image {
    /// The media types that all providers take; no other is a picture to a model.
    pub const TYPES: [&str; 4] = ["image/png", "image/jpeg", "image/gif", "image/webp"];

    /// A picture of a type that models take, spelled just so. Whatever else a sender calls a
    /// picture could say anything by the name of its type.
    #[must_use]
    pub fn new(media_type: &str, base64: &str) -> Option<Self> {
        let (media_type, base64) = (media_type.to_owned(), base64.to_owned());
        let image = Self { media_type, base64 };
        image.known_type().is_some().then_some(image)
    }

    /// The media type, if models take it.
    #[must_use]
    pub fn known_type(&self) -> Option<&'static str> {
        Self::TYPES.into_iter().find(|known| *known == self.media_type)
    }

    /// The size in bytes, computed from the base64 text without decoding it.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        let digits = self.base64.trim_end_matches('=').len();
        digits / 4 * 3 + (digits % 4).saturating_sub(1)
    }
}

/// A call that the model proposes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCall {
    /// Unique in the conversation; the result names it.
    pub id: String,
    /// The tool's name in the list that the model was given.
    pub name: String,
    /// The arguments as the model wrote them: JSON if all is well, and unchecked.
    pub arguments_raw: String,
    /// What its provider wants back with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<ProviderState>,
}

impl ToolCall {
    /// A call that no provider keeps state of.
    #[must_use]
    pub fn new(
        id: impl Into<String>,
        name: impl Into<String>,
        arguments_raw: impl Into<String>,
    ) -> Self {
        let (id, name, arguments_raw) = (id.into(), name.into(), arguments_raw.into());
        Self { id, name, arguments_raw, state: None }
    }
}

/// What came of a call. Every [`ToolCall`] gets exactly one, also when it was denied, cancelled
/// or lost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolResult {
    /// The [`ToolCall::id`] that this answers.
    pub call_id: String,
    /// Text and images, in order.
    pub parts: Vec<Part>,
    /// The structured result, where the tool gives one.
    pub structured: Option<Value>,
    /// Whether the call failed, by the tool's own account or because it was never made.
    pub is_error: bool,
}

/// A tool as a model sees it. All of it comes from the server and is untrusted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolSpec {
    /// The name to call it by: `server__tool`.
    pub name: String,
    /// A short name for people.
    pub title: Option<String>,
    /// What it does.
    pub description: Option<String>,
    /// JSON Schema (draft 2020-12) of the arguments.
    pub input_schema: Value,
    /// JSON Schema of the structured result.
    pub output_schema: Option<Value>,
}

impl Message {
    /// A message of one text.
    #[must_use]
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Self { role, parts: vec![Part::text(text)] }
    }

    /// The text parts, joined by line breaks.
    #[must_use]
    pub fn joined_text(&self) -> String {
        joined_text(&self.parts)
    }
}

impl Part {
    /// A text part.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into(), state: None }
    }
}

/// The text parts of `parts`, joined by line breaks.
pub(crate) fn joined_text(parts: &[Part]) -> String {
    let texts: Vec<&str> = parts
        .iter()
        .filter_map(|part| match part {
            Part::Text { text, .. } => Some(text.as_str()),
            Part::Image(_)
            | Part::ToolCall(_)
            | Part::ToolResult(_)
            | Part::Attached { .. }
            | Part::Reasoning { .. }
            | Part::Refusal { .. } => None,
        })
        .collect();
    texts.join("\n")
}
