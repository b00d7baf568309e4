//! What the log gives back.
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tagout_proto::{Conversation, Digest, Origin, Principal, ServerName};

use crate::{Cause, Given, Outcome, SaidCall, SaidResult, Tokens, Verdict, What, facts::is_zero};

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// Its number: 0 for the first line of a log, then 1, 2, 3 and so on.
    pub n: u64,
    /// When it happened.
    pub at: Timestamp,
    /// What it says.
    #[serde(flatten)]
    pub event: Event,
    /// The hash of the line before.
    pub prev: Digest,
    /// Its own hash.
    pub hash: Digest,
}

/// What a line says.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Event {
    /// A log begins.
    Genesis(Genesis),
    /// A call is about to be tried.
    Begin(Box<Begun>),
    /// Something was decided about a call.
    Decision(Decided),
    /// A call is over.
    End(Ended),
    /// Something that is no call.
    Note(Noted),
    /// Something passed between a person, the host and a model.
    Said(Box<Uttered>),
    /// A writer died in mid-write; this is what it left.
    Torn(Torn),
    /// Lines that no signed head covered when the next writer came, because their writer died
    /// before it could sign, or because a stranger wrote them.
    Adopted(Span),
    /// Lines that a signed head covered and that were gone when the next writer came: a power
    /// failure before they were on disk, or a cut.
    Lost(Span),
    /// A payload was erased on purpose.
    Erased(Erased),
    /// The log goes on in the next file.
    Rotated {},
}

impl Event {
    /// On whose behalf it happened.
    #[must_use]
    pub const fn principal(&self) -> Option<&Principal> {
        match self {
            Self::Begin(begun) => begun.principal.as_ref(),
            Self::Said(said) => Some(&said.principal),
            Self::Note(noted) => noted.principal.as_ref(),
            Self::Genesis(_)
            | Self::Decision(_)
            | Self::End(_)
            | Self::Torn(_)
            | Self::Adopted(_)
            | Self::Lost(_)
            | Self::Erased(_)
            | Self::Rotated {} => None,
        }
    }

    /// Digest of what stands beside the line, if anything was put there.
    #[must_use]
    pub const fn payload(&self) -> Option<&Digest> {
        match self {
            Self::Begin(begun) => begun.payload.as_ref(),
            Self::Said(said) => said.payload.as_ref(),
            Self::Genesis(_)
            | Self::Decision(_)
            | Self::End(_)
            | Self::Note(_)
            | Self::Torn(_)
            | Self::Adopted(_)
            | Self::Lost(_)
            | Self::Erased(_)
            | Self::Rotated {} => None,
        }
    }

    /// The number of the call that this is about, if it is a later line of one.
    #[must_use]
    pub const fn of(&self) -> Option<u64> {
        match self {
            Self::Decision(decided) => Some(decided.of),
            Self::End(ended) => Some(ended.of),
            Self::Genesis(_)
            | Self::Begin(_)
            | Self::Note(_)
            | Self::Said(_)
            | Self::Torn(_)
            | Self::Adopted(_)
            | Self::Lost(_)
            | Self::Erased(_)
            | Self::Rotated {} => None,
        }
    }
}

/// The facts of a log's first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Genesis {
    /// The version of this format.
    pub format: u32,
    /// The log's identity, 32 random hexadecimal digits.
    pub log: String,
    /// The key that verifies its head.
    pub key: crate::PublicKey,
}

/// The facts of a begin line; see [`crate::Begin`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// The protocol's method.
    pub method: String,
    /// On whose behalf.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<Principal>,
    /// From where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// In which conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<Conversation>,
    /// The server that the call is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerName>,
    /// The name of the tool, the prompt or the resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Digest of the tool's canonical definition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<Digest>,
    /// Digest of the arguments as they came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<Digest>,
    /// The model that proposed the call, as the client says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What led to it, as the client says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// Salted digest of the words of the person whom it is for, as the client says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<Digest>,
    /// How many places of what came held secrets, which were taken out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub secrets: u32,
    /// Salted digest of the payload, which stands beside the chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Digest>,
}

/// See [`crate::Approval`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approved {
    /// Where the person was asked.
    pub how: String,
    /// Who answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The answer.
    pub decision: String,
    /// For how much it was meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The question that it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
    /// What rules were told of it; nothing where an older Tagout recorded it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given: Option<Given>,
}

/// See [`crate::Shadow`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shadowed {
    /// What rules on trial say.
    pub verdict: Verdict,
    /// By which rule.
    pub rule: String,
}

/// The facts of a decision line; see [`crate::Decision`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// The number of the record that it belongs to.
    pub of: u64,
    /// When it was decided.
    #[serde(skip_serializing)]
    pub at: Timestamp,
    /// What policy said.
    pub verdict: Verdict,
    /// The rule that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// What a person said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approved>,
    /// Digest of the rules that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Digest>,
    /// What rules on trial would have said, where that is something else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<Shadowed>,
}

/// The facts of an end line; see [`crate::End`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// The number of the record that it belongs to.
    pub of: u64,
    /// When the call was over.
    #[serde(skip_serializing)]
    pub at: Timestamp,
    /// How it ended.
    pub outcome: Outcome,
    /// The refusal's code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// The rule that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// What a person said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approved>,
    /// Digest of the rules that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Digest>,
    /// What rules on trial would have said, where that is something else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<Shadowed>,
    /// Digest of the result as it was passed on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Digest>,
    /// Size of the result, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_bytes: Option<u64>,
    /// How many places of the result screening changed.
    #[serde(default)]
    pub screened: u32,
    /// How many places of the result held secrets, which were taken out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub secrets: u32,
}

/// The facts of a note; see [`crate::Note`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noted {
    /// What happened, a stable code.
    pub event: String,
    /// Who made it happen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<Principal>,
    /// The server that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerName>,
    /// The tool or other thing that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Digest of that thing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// More, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// The facts of a said line; see [`crate::Said`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uttered {
    /// What was said.
    pub what: What,
    /// On whose behalf.
    pub principal: Principal,
    /// In which conversation.
    pub conversation: Conversation,
    /// The record that led to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<u64>,
    /// The model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Digest of the content, salted.
    pub content: Digest,
    /// Size of the content, in bytes.
    pub bytes: u64,
    /// The calls that a response proposes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<SaidCall>,
    /// The results that a request brings back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub results: Vec<SaidResult>,
    /// How many calls or results find no room above.
    #[serde(default)]
    pub left_out: u32,
    /// What it cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Tokens>,
    /// Salted digest of the payload, which stands beside the chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Digest>,
}

/// What a writer that died in mid-write left behind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Torn {
    /// Its size.
    pub bytes: u64,
    /// Its digest.
    pub digest: Digest,
    /// The bytes themselves, in hexadecimal.
    pub hex: String,
}

/// Some lines in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The number of the first.
    pub from: u64,
    /// The number of the last.
    pub to: u64,
}

/// The payload of one record was erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erased {
    /// The record's number.
    pub of: u64,
}

/// What became of a record's payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", content = "text", rename_all = "lowercase")]
pub enum Payload {
    /// The call had none.
    None,
    /// Here it is: the redacted arguments as text, exactly as they were recorded.
    Present(String),
    /// It is gone.
    Erased,
    /// What stands in its place is not what was recorded.
    Changed,
}

/// Everything about one number: a call with what was decided and how it ended, or a note.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Record {
    /// The number that people use.
    pub n: u64,
    /// When it began.
    pub at: Timestamp,
    /// What it is about.
    #[serde(flatten)]
    pub subject: Subject,
}

/// What a record is about.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Subject {
    /// A call.
    Call(Box<Call>),
    /// Something that was said.
    Said {
        /// What the line says.
        said: Box<Uttered>,
        /// What stands beside it.
        payload: Payload,
    },
    /// Anything else.
    Other {
        /// What the line says.
        event: Box<Event>,
    },
}

/// A call with all that is on record about it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Call {
    /// What was known before it was tried.
    pub begin: Begun,
    /// What was decided, last decision first in force.
    pub decision: Option<Decided>,
    /// How it ended; nothing if that is not known.
    pub end: Option<Ended>,
    /// Its redacted arguments.
    pub payload: Payload,
}

impl Call {
    /// Digest of the rules that decided.
    #[must_use]
    pub fn policy(&self) -> Option<Digest> {
        let decided = self.decision.as_ref().and_then(|decided| decided.policy);
        decided.or_else(|| self.end.as_ref()?.policy)
    }

    /// What rules on trial would have said, where that is something else.
    #[must_use]
    pub fn shadow(&self) -> Option<&Shadowed> {
        let decided = self.decision.as_ref().and_then(|decided| decided.shadow.as_ref());
        decided.or_else(|| self.end.as_ref()?.shadow.as_ref())
    }

    /// How it ended, in one word: `ok`, `error`, `refused`, `cancelled`, or `unknown`.
    #[must_use]
    pub fn outcome(&self) -> &'static str {
        match self.end.as_ref().map(|end| end.outcome) {
            Some(Outcome::Ok) => "ok",
            Some(Outcome::Error) => "error",
            Some(Outcome::Refused) => "refused",
            Some(Outcome::Cancelled) => "cancelled",
            None => "unknown",
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.from == self.to {
            write!(f, "{}", self.from)
        } else {
            write!(f, "{} to {}", self.from, self.to)
        }
    }
}
