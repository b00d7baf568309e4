//! The wires: how a conversation is written for a family of providers, and how their streams are
//! read. One file each; what differs inside a family stands in [`Dialect`].
mod anthropic_messages;
mod gemini_generate;
mod listing;
mod ollama;
mod openai_chat;
mod openai_responses;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tagout_proto::{Document, Limits};

use crate::{
    assembly::Assembly,
    conversation::{Image, Part},
    frames::Framing,
    offer::{Offer, Strictness},
    provider::Usage,
    schema::Subset,
    settings::Settings,
    talk::{IdForm, Talk},
};

/// The families of providers, by how they are spoken with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wire {
    /// `POST /responses`.
    OpenaiResponses,
    /// `POST /chat/completions`.
    OpenaiChat,
    /// `POST /messages`.
    AnthropicMessages,
    /// `POST /models/MODEL:streamGenerateContent`.
    GeminiGenerate,
    /// `POST /api/chat`.
    Ollama,
}

/// Who speaks [`Wire::OpenaiChat`], and how it differs from the rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dialect {
    /// OpenAI's own.
    #[default]
    Openai,
    /// Mistral's.
    Mistral,
    /// `llama-server`.
    Llamacpp,
    /// vLLM.
    Vllm,
    /// LM Studio.
    Lmstudio,
}

/// Where images of results go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResultImages {
    /// Into the result.
    Inside,
    /// Into a message of the user after all results.
    After,
    /// The same, after a word of the assistant: the provider takes no user right after a result.
    AfterReply,
}

/// How a dialect differs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quirks {
    pub(crate) result_images: ResultImages,
    pub(crate) ids: IdForm,
    /// The key for the longest answer.
    pub(crate) most_tokens: &'static str,
    /// Whether usage has to be asked for.
    pub(crate) asks_usage: bool,
    /// Whether `strict` is a key of tools.
    pub(crate) knows_strict: bool,
    /// Whether the schema becomes a grammar, in which some patterns cannot be said.
    pub(crate) patterns: bool,
    /// Whether the longest answer is named where nothing was chosen: a server with a small context
    /// refuses what might not fit.
    pub(crate) bounded: bool,
}

impl Dialect {
    /// The table.
    pub(crate) const fn quirks(self) -> Quirks {
        let usual = Quirks {
            result_images: ResultImages::After,
            ids: IdForm::Usual,
            most_tokens: "max_tokens",
            asks_usage: true,
            knows_strict: false,
            patterns: true,
            bounded: false,
        };
        match self {
            Self::Openai => Quirks {
                most_tokens: "max_completion_tokens",
                knows_strict: true,
                bounded: true,
                ..usual
            },
            Self::Mistral => Quirks {
                result_images: ResultImages::AfterReply,
                ids: IdForm::Nine,
                asks_usage: false,
                knows_strict: true,
                bounded: true,
                ..usual
            },
            Self::Llamacpp => {
                Quirks { result_images: ResultImages::Inside, patterns: false, ..usual }
            }
            // Its Mistral models take nothing but such identifiers, and the others take them too.
            Self::Vllm => Quirks { ids: IdForm::Nine, ..usual },
            Self::Lmstudio => usual,
        }
    }
}

/// What a request is written from.
pub(crate) struct Draft<'a> {
    pub(crate) talk: &'a Talk<'a>,
    pub(crate) offer: &'a Offer,
    pub(crate) settings: &'a Settings,
    pub(crate) dialect: Dialect,
    /// Whether the model takes images.
    pub(crate) images: bool,
}

impl Draft<'_> {
    /// Whether the model is shown this one.
    pub(crate) fn shows(&self, image: &Image) -> bool {
        self.images && image.known_type().is_some()
    }
}

/// An error in a provider's words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Envelope {
    /// Its code or type; empty if there is none.
    pub(crate) code: String,
    /// What it says.
    pub(crate) message: String,
    /// A status that it names itself.
    pub(crate) status: Option<u16>,
}

/// Why a stream is not read on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The provider says that something went wrong.
    Said(Envelope),
    /// It makes no sense.
    Senseless(String),
    /// It has more parts than a turn may have.
    TooMany,
}

/// Reads one wire's stream.
pub(crate) trait Reader: Send {
    /// Takes the next text of the stream; `true` if it was the last one.
    fn read(&mut self, text: &str, into: &mut Assembly) -> Result<bool, Broken>;
}

impl Wire {
    /// The path under the base URL.
    pub(crate) fn path(self, model: &str) -> String {
        match self {
            Self::OpenaiResponses => "/responses".into(),
            Self::OpenaiChat => "/chat/completions".into(),
            Self::AnthropicMessages => "/messages".into(),
            Self::GeminiGenerate => gemini_generate::path(model),
            Self::Ollama => "/api/chat".into(),
        }
    }

    /// The body of a request.
    pub(crate) fn body(self, draft: &Draft<'_>) -> Value {
        match self {
            Self::OpenaiResponses => openai_responses::body(draft),
            Self::OpenaiChat => openai_chat::body(draft),
            Self::AnthropicMessages => anthropic_messages::body(draft),
            Self::GeminiGenerate => gemini_generate::body(draft),
            Self::Ollama => ollama::body(draft),
        }
    }

    pub(crate) fn reader(self, settings: &Settings) -> Box<dyn Reader> {
        match self {
            Self::OpenaiResponses => Box::new(openai_responses::Stream),
            Self::OpenaiChat => Box::new(openai_chat::Stream::default()),
            Self::AnthropicMessages => Box::new(anthropic_messages::Stream::default()),
            Self::GeminiGenerate => Box::new(gemini_generate::Stream),
            Self::Ollama => Box::new(ollama::Stream::new(settings.num_ctx)),
        }
    }

    pub(crate) const fn framing(self) -> Framing {
        match self {
            Self::OpenaiResponses
            | Self::OpenaiChat
            | Self::AnthropicMessages
            | Self::GeminiGenerate => Framing::Events,
            Self::Ollama => Framing::Lines,
        }
    }

    pub(crate) const fn subset(self, dialect: Dialect) -> Subset {
        match self {
            Self::OpenaiResponses => crate::schema::WHOLE,
            Self::OpenaiChat => openai_chat::subset(dialect),
            Self::AnthropicMessages => anthropic_messages::SUBSET,
            Self::GeminiGenerate => gemini_generate::SUBSET,
            Self::Ollama => ollama::SUBSET,
        }
    }

    /// How much may be strict.
    pub(crate) const fn strictness(self, dialect: Dialect) -> Strictness {
        match self {
            Self::OpenaiResponses => Strictness::ALL,
            Self::OpenaiChat if dialect.quirks().knows_strict => Strictness::ALL,
            Self::AnthropicMessages => anthropic_messages::STRICTNESS,
            Self::OpenaiChat | Self::GeminiGenerate | Self::Ollama => Strictness::NONE,
        }
    }

    pub(crate) const fn ids(self, dialect: Dialect) -> IdForm {
        match self {
            Self::OpenaiChat => dialect.quirks().ids,
            Self::OpenaiResponses
            | Self::AnthropicMessages
            | Self::GeminiGenerate
            | Self::Ollama => IdForm::Usual,
        }
    }

    /// The header that carries the key, and what stands before it.
    pub(crate) const fn key_header(self) -> (&'static str, &'static str) {
        match self {
            Self::OpenaiResponses | Self::OpenaiChat | Self::Ollama => ("authorization", "Bearer "),
            Self::AnthropicMessages => ("x-api-key", ""),
            Self::GeminiGenerate => ("x-goog-api-key", ""),
        }
    }

    /// Headers that every request of this wire has.
    pub(crate) const fn headers(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::AnthropicMessages => &[("anthropic-version", "2023-06-01")],
            Self::OpenaiResponses | Self::OpenaiChat | Self::GeminiGenerate | Self::Ollama => &[],
        }
    }
}

/// An error as the providers write it: `{"error": …}`, a bare message, or what a framework says.
pub(crate) fn envelope(value: &Value) -> Option<Envelope> {
    let text = |value: &Value, key: &str| {
        value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let value = match value {
        Value::Array(list) => list.first()?,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            value
        }
    };
    let inner = match value.get("error") {
        Some(Value::String(message)) => {
            return Some(Envelope { message: message.clone(), ..Envelope::default() });
        }
        Some(error @ Value::Object(_)) => error,
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_)) | None => {
            let said = value.get("message").or_else(|| value.get("detail"))?;
            let message = said.as_str().map_or_else(|| said.to_string(), ToOwned::to_owned);
            let code =
                [text(value, "code"), text(value, "type")].into_iter().find(|c| !c.is_empty());
            return Some(Envelope { code: code.unwrap_or_default(), message, status: None });
        }
    };
    let reason = inner.pointer("/details/0/reason").and_then(Value::as_str).map(ToOwned::to_owned);
    let named = ["code", "status", "type"].map(|key| text(inner, key));
    let code = reason.into_iter().chain(named).find(|code| !code.is_empty()).unwrap_or_default();
    let status = inner.get("code").and_then(Value::as_u64).and_then(|n| u16::try_from(n).ok());
    Some(Envelope { code, message: text(inner, "message"), status })
}

/// Reads a text of a stream as JSON.
fn parsed(text: &str) -> Result<Value, Broken> {
    serde_json::from_str(text).map_err(|error| Broken::Senseless(error.to_string()))
}

/// Reads a text of a stream so that values in it can be had as they were written.
fn document(text: &str) -> Result<Document, Broken> {
    let read = Document::read(text.as_bytes(), Limits::default());
    read.map_err(|error| Broken::Senseless(error.to_string()))
}

/// A text member, empty if there is none.
fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// A number at a path.
fn number(value: &Value, pointer: &str) -> Option<u64> {
    value.pointer(pointer).and_then(Value::as_u64)
}

/// What OpenAI's wires count, `names` being those of tokens read and written. Where one of the two is
/// missing, nothing is known: nought would be a price.
fn counted(usage: &Value, names: [&str; 2], into: &mut Assembly) {
    let [Some(input_tokens), Some(output_tokens)] = names.map(|name| number(usage, name)) else {
        return;
    };
    let [read, written] = names;
    let detail = |of: &str, what: &str| number(usage, &format!("{of}_details/{what}"));
    *into.usage() = Usage {
        input_tokens,
        output_tokens,
        cached_tokens: detail(read, "cached_tokens").unwrap_or_default(),
        reasoning_tokens: detail(written, "reasoning_tokens").unwrap_or_default(),
    };
}

/// A list member, empty if there is none.
fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The parts of a turn up to the last that is no reasoning: what a turn that was cut thought at its
/// end led to nothing, and these providers refuse reasoning that nothing follows.
fn led_on<'a, 'b>(parts: &'b [&'a Part]) -> &'b [&'a Part] {
    let last = parts.iter().rposition(|part| !matches!(part, Part::Reasoning { .. }));
    parts.get(..last.map_or(0, |last| last + 1)).unwrap_or_default()
}

/// An image as a URL that holds it.
fn data_url(image: &Image) -> String {
    format!("data:{};base64,{}", image.media_type, image.base64)
}

/// An object of the pairs that are there.
fn object(pairs: impl IntoIterator<Item = (&'static str, Option<Value>)>) -> Value {
    let there = pairs.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
    Value::Object(there.collect::<Map<_, _>>())
}

/// Content of a message that may be a bare text.
fn bare_or_list(mut content: Vec<Value>, kind: &str) -> Value {
    if let [only] = content.as_slice()
        && text(only, "type") == kind
    {
        return only.get("text").cloned().unwrap_or_else(|| json!(""));
    }
    content.shrink_to_fit();
    Value::Array(content)
}
