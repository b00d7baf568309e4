//! What passed between a person, the host and a model, beside the calls that came of it.
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tagout_proto::{Conversation, Digest, Principal};

use crate::record::Payload;

/// What was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// A person's question.
    Prompt,
    /// What a model was asked.
    Request,
    /// What it answered.
    Response,
    /// A question ended without an answer.
    Stopped,
}

impl What {
    /// Its name in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Prompt => "prompt",
            Self::Request => "request",
            Self::Response => "response",
            Self::Stopped => "stopped",
        }
    }
}

/// Something that was said, as it goes on record: its digest and size in the chain; its content,
/// where that is kept, beside it.
#[derive(Clone, Debug, Serialize)]
pub struct Said<'a> {
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: What,
    /// On whose behalf.
    pub principal: &'a Principal,
    /// In which conversation.
    pub conversation: &'a Conversation,
    /// The record that led to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<u64>,
    /// The model, `PROVIDER:NAME`.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "crate::facts::clipped_option"
    )]
    pub model: Option<&'a str>,
    /// Digest of the content, salted.
    pub content: Digest,
    /// Size of the content, in bytes.
    pub bytes: u64,
    /// The calls that a response proposes.
    #[serde(skip_serializing_if = "<[SaidCall]>::is_empty")]
    pub calls: &'a [SaidCall],
    /// The results that a request brings back.
    #[serde(skip_serializing_if = "<[SaidResult]>::is_empty")]
    pub results: &'a [SaidResult],
    /// How many calls or results find no room above.
    #[serde(skip_serializing_if = "crate::facts::is_zero")]
    pub left_out: u32,
    /// What it cost, where that was counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Tokens>,
    /// What stands beside the chain, already redacted: at most 16 MiB.
    #[serde(skip)]
    pub payload: Option<&'a str>,
}

/// A call that a model proposed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaidCall {
    /// Its identifier in the conversation.
    pub id: String,
    /// The tool's name, as the model was told it.
    pub tool: String,
}

/// A result that went back to a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaidResult {
    /// The call's identifier in the conversation.
    pub id: String,
    /// The record of the call; nothing where it reached no gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<u64>,
}

/// What a model's answer cost, in tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// Read.
    pub input: u64,
    /// Written.
    pub output: u64,
}

/// What a client says led to its call: nobody here has looked whether it is true.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// The record of the model's response that proposed it.
    pub record: u64,
    /// The identifier that the call has in that.
    pub call: String,
}

/// What of a payload tells whether a call was made with the arguments that a model proposed. It
/// stands beside the chain, not in it: whoever could guess the arguments could find them again by
/// it, also after they were erased.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Compared {
    /// Of a call, the digest of its arguments; of a response those of the calls that it proposes,
    /// in their order.
    proposed: Option<Proposed>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Proposed {
    Here(Digest),
    Each(Vec<Digest>),
}

impl Compared {
    pub(crate) fn of(payload: &Payload) -> Self {
        let Payload::Present(text) = payload else { return Self::default() };
        serde_json::from_str(text).unwrap_or_default()
    }

    /// Of the arguments that came with a call.
    pub(crate) fn came(&self) -> Option<Digest> {
        match self.proposed.as_ref()? {
            Proposed::Here(digest) => Some(*digest),
            Proposed::Each(_) => None,
        }
    }

    /// Of the arguments of call `index` of a response.
    pub(crate) fn proposed(&self, index: usize) -> Option<Digest> {
        match self.proposed.as_ref()? {
            Proposed::Here(_) => None,
            Proposed::Each(digests) => digests.get(index).copied(),
        }
    }
}
