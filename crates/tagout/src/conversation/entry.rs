//! What one turn of a session holds.
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tagout_host::{Said, What};
use tagout_llm::Message;

/// What one turn of a session holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Entry {
    /// A message of the conversation.
    Message {
        /// When it was kept.
        at: Timestamp,
        /// The message as it is.
        message: Message,
    },
    /// That something was said, and where it is on record.
    Said {
        /// When.
        at: Timestamp,
        /// What.
        said: Spoken,
    },
}

/// That something was said. What a model said is in the messages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Spoken {
    /// What it was: `prompt`, `request`, `response`, `stopped`.
    pub(crate) what: String,
    /// Its number in the audit log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) record: Option<u64>,
    /// The model, `PROVIDER:NAME`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) model: Option<String>,
    /// Which calls' results went back, and their numbers in the audit log.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) results: Vec<KeptResult>,
    /// Tokens read and written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tokens: Option<[u64; 2]>,
    /// Why it stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) why: Option<String>,
    /// The person's own words, which a message may hold among other things, or not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) words: Option<String>,
}

/// A call whose result went back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeptResult {
    /// The call's identifier in the conversation.
    pub(crate) id: String,
    /// The gateway's record of the call, where it reached the gateway.
    pub(crate) record: Option<u64>,
}

/// The longest reason that is kept, in characters.
const WHY_CHARS: usize = 2_000;

impl Spoken {
    /// What is kept of `said`, which stands under `record`.
    pub(crate) fn of(said: &Said<'_>, record: Option<u64>) -> Self {
        let results = said.results.iter();
        Self {
            what: word(said.what).to_owned(),
            record,
            model: said.model.map(str::to_owned),
            results: results
                .map(|result| KeptResult { id: result.id.clone(), record: result.record })
                .collect(),
            tokens: said.usage.map(|usage| [usage.input_tokens, usage.output_tokens]),
            why: matches!(said.what, What::Stopped)
                .then(|| said.content.chars().take(WHY_CHARS).collect()),
            words: matches!(said.what, What::Prompt).then(|| said.content.to_owned()),
        }
    }
}

const fn word(what: What) -> &'static str {
    match what {
        What::Prompt => "prompt",
        What::Request => "request",
        What::Response => "response",
        What::Stopped => "stopped",
    }
}

impl Entry {
    /// What was written by [`Entry::written`]; nothing if it was written by something else.
    pub(crate) fn read(turn: &[u8]) -> Option<Self> {
        serde_json::from_slice(turn).ok()
    }

    /// As it is kept; nothing if it could not be read again, as what is nested too deep.
    pub(crate) fn written(&self) -> Option<Vec<u8>> {
        let text = serde_json::to_vec(self).ok()?;
        (Self::read(&text).as_ref() == Some(self)).then_some(text)
    }

    /// The message, if it is one.
    pub(crate) fn message(self) -> Option<Message> {
        match self {
            Self::Message { message, .. } => Some(message),
            Self::Said { .. } => None,
        }
    }
}
