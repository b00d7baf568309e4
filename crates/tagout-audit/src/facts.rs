//! What a caller hands over to be written down.
use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};
use tagout_proto::{Conversation, Digest, Origin, Principal, ServerName};

use crate::said::Cause;

/// How long an append waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Until the operating system has the record: it survives the death of this process. Forced to
    /// disk later, in groups.
    System,
    /// Until the record is on disk: it survives a power failure. May block for milliseconds, so
    /// keep it off an async runtime's workers.
    Disk,
}

/// What is known of a call before it is tried.
///
/// All but the time and the method are optional, because a call may fail before they are known.
/// Texts longer than 4096 bytes are cut short in the record, visibly.
#[derive(Clone, Debug, Serialize)]
pub struct Begin<'a> {
    /// When the call came.
    pub at: Timestamp,
    /// The protocol's method; `invalid` for a frame that could not be read.
    #[serde(serialize_with = "clipped")]
    pub method: &'a str,
    /// On whose behalf.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub principal: Option<&'a Principal>,
    /// From where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<&'a Origin>,
    /// In which conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation: Option<&'a Conversation>,
    /// The server that the call is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<&'a ServerName>,
    /// The name of the tool, the prompt or the resource.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "clipped_option")]
    pub subject: Option<&'a str>,
    /// Digest of the tool's canonical definition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub definition: Option<Digest>,
    /// Digest of the arguments as they came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments: Option<Digest>,
    /// The model that proposed the call, as the client says.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "clipped_option")]
    pub model: Option<&'a str>,
    /// What led to it, as the client says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<&'a Cause>,
    /// Salted digest of the words of the person whom it is for, as the client says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub words: Option<Digest>,
    /// How many places of what came held secrets, which were taken out.
    #[serde(skip_serializing_if = "is_zero")]
    pub secrets: u32,
    /// The arguments, already redacted: at most 16 MiB. They are kept beside the chain, so that
    /// they can be erased.
    #[serde(skip)]
    pub payload: Option<&'a str>,
}

impl Begin<'_> {
    /// A call of `method` at `at` of which nothing more is known.
    #[must_use]
    pub const fn new(at: Timestamp, method: &str) -> Begin<'_> {
        Begin {
            at,
            method,
            principal: None,
            origin: None,
            conversation: None,
            server: None,
            subject: None,
            definition: None,
            arguments: None,
            model: None,
            cause: None,
            words: None,
            secrets: 0,
            payload: None,
        }
    }
}

/// What policy said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The call may be made.
    Allow,
    /// A person was asked; see the approval.
    Ask,
    /// The call must not be made.
    Deny,
}

/// What a person said, or that none could be asked.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Approval<'a> {
    /// Where the person was asked: `terminal`, `elicitation`, `command`, `webhook`, `none`.
    #[serde(serialize_with = "clipped")]
    pub how: &'a str,
    /// Who answered.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "clipped_option")]
    pub by: Option<&'a str>,
    /// The answer: `allow`, `deny`, `none`.
    #[serde(serialize_with = "clipped")]
    pub decision: &'a str,
    /// For how much it was meant: `once`, `conversation`, `always`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<&'a str>,
    /// The question that was put to more than the client's user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub question: Option<&'a str>,
    /// What rules were told of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub given: Option<&'a Given>,
}

/// Whose approvals rules were told of. What is false or nothing is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Given {
    /// The caller's own.
    #[serde(skip_serializing_if = "is_default")]
    pub own: bool,
    /// Those of so many other people.
    #[serde(skip_serializing_if = "is_default")]
    pub people: u8,
    /// Each came another way than through the client.
    #[serde(skip_serializing_if = "is_default")]
    pub outside: bool,
    /// The groups that each of those other people is in.
    #[serde(skip_serializing_if = "is_default")]
    pub groups: BTreeSet<String>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Approval<'_> {
    /// That `decision` was given in the way `how`, and nothing more.
    #[must_use]
    pub const fn new<'a>(how: &'a str, decision: &'a str) -> Approval<'a> {
        Approval { how, by: None, decision, scope: None, question: None, given: None }
    }
}

/// What rules on trial would have said, where that is something else.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Shadow<'a> {
    /// What they say.
    pub verdict: Verdict,
    /// By which rule.
    #[serde(serialize_with = "clipped")]
    pub rule: &'a str,
}

/// What was decided about a call, written before it is forwarded.
#[derive(Clone, Debug, Serialize)]
pub struct Decision<'a> {
    /// When it was decided.
    pub at: Timestamp,
    /// What policy said.
    pub verdict: Verdict,
    /// The rule that decided.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "clipped_option")]
    pub rule: Option<&'a str>,
    /// What a person said, if one was to be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval<'a>>,
    /// Digest of the rules that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<Digest>,
    /// What rules on trial would have said, where that is something else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow: Option<Shadow<'a>>,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The server answered and the answer was passed on.
    Ok,
    /// The server answered with an error, or not at all.
    Error,
    /// The gateway did not make the call, or withheld its answer.
    Refused,
    /// The client took the call back.
    Cancelled,
}

/// What is known of a call when it is over, written before anything is answered.
#[derive(Clone, Debug, Serialize)]
pub struct End<'a> {
    /// When it was over.
    pub at: Timestamp,
    /// How it ended.
    pub outcome: Outcome,
    /// The refusal's code.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "clipped_option")]
    pub refusal: Option<&'a str>,
    /// The rule that decided, where no [`Decision`] was written.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "clipped_option")]
    pub rule: Option<&'a str>,
    /// What a person said, where no [`Decision`] was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval<'a>>,
    /// Digest of the rules that decided, where no [`Decision`] was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<Digest>,
    /// What rules on trial would have said, where no [`Decision`] was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow: Option<Shadow<'a>>,
    /// Digest of the result as it was passed on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Digest>,
    /// Size of the result, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result_bytes: Option<u64>,
    /// How many places of the result screening changed.
    #[serde(skip_serializing_if = "is_zero")]
    pub screened: u32,
    /// How many places of the result held secrets, which were taken out.
    #[serde(skip_serializing_if = "is_zero")]
    pub secrets: u32,
}

impl End<'_> {
    /// A call that ended at `at` with `outcome`, of which nothing more is known.
    #[must_use]
    pub const fn new(at: Timestamp, outcome: Outcome) -> Self {
        Self {
            at,
            outcome,
            refusal: None,
            rule: None,
            approval: None,
            policy: None,
            shadow: None,
            result: None,
            result_bytes: None,
            screened: 0,
            secrets: 0,
        }
    }
}

/// Something that happened and is no call: a server was quarantined, the gateway started.
#[derive(Clone, Debug, Serialize)]
pub struct Note<'a> {
    /// When it happened.
    pub at: Timestamp,
    /// What happened, a stable code: `server-quarantined`.
    #[serde(serialize_with = "clipped")]
    pub event: &'a str,
    /// Who made it happen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub principal: Option<&'a Principal>,
    /// The server that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<&'a ServerName>,
    /// The tool or other thing that it is about.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "clipped_option")]
    pub subject: Option<&'a str>,
    /// Digest of that thing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// More, for people.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "clipped_option")]
    pub detail: Option<&'a str>,
}

impl Note<'_> {
    /// That `event` happened at `at`.
    #[must_use]
    pub const fn new(at: Timestamp, event: &str) -> Note<'_> {
        Note { at, event, principal: None, server: None, subject: None, digest: None, detail: None }
    }
}

/// The longest text that stands in a record in full, in bytes.
const TEXT_BYTES: usize = 4096;

/// A stranger chooses some of these texts; a record that could not be written for its length
/// would let the stranger act unseen or stop the log, so they are cut, and say so.
pub(crate) fn clipped<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    if text.len() <= TEXT_BYTES {
        return serializer.serialize_str(text);
    }
    let mut kept = String::with_capacity(TEXT_BYTES + 32);
    kept.extend(text.char_indices().take_while(|(start, _)| *start < TEXT_BYTES).map(|(_, c)| c));
    let rest = text.len() - kept.len();
    kept.push_str(&format!("[cut: {rest} bytes more]"));
    serializer.serialize_str(&kept)
}

pub(crate) fn clipped_option<S: Serializer>(
    text: &Option<&str>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match text {
        Some(text) => clipped(text, serializer),
        None => serializer.serialize_none(),
    }
}

pub(crate) const fn is_zero(number: &u32) -> bool {
    *number == 0
}
