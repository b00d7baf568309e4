//! Everything that can stop a call, with what to do about it.
mod answer;

use std::{borrow::Cow, time::Duration};

use tagout_audit::Approval;
use tagout_inspect::{
    characters::{Hidden, one_line},
    schema::{BadSchema, Unfit},
};
use tagout_proto::{Digest, FrameError, Inexact, Method, ReadError, ServerName};

use crate::{limits::Over, state::StateError, told::BadTold, upstream::UpstreamError};

/// Why a call was not carried out, or its answer was withheld. There is no catch-all variant: a
/// new cause needs a new name.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The bytes are no frame that can be understood in one way only.
    #[error("{0}")]
    Frame(#[from] FrameError),
    /// The frame is larger than the listener takes.
    #[error("the frame is larger than {limit} bytes")]
    FrameTooLarge {
        /// `limits.frame_bytes` of the configuration.
        limit: usize,
    },
    /// No such method, or one that this side must not send.
    #[error("the method `{method}` is not one that a client may send here")]
    Method {
        /// The method, made safe to show.
        method: String,
    },
    /// The method's parameters are not what it needs.
    #[error("`{method}`: {problem}")]
    Params {
        /// The method.
        method: Method,
        /// What is wrong.
        problem: &'static str,
    },
    /// A request before `initialize`, or a second `initialize`.
    #[error("{0}")]
    Handshake(&'static str),
    /// A request with an id that is in use.
    #[error("the request id is in use by a request that is not answered yet")]
    IdInUse,
    /// Too many requests at once.
    #[error("{limit} requests are under way already")]
    TooManyCalls {
        /// `limits.in_flight` of the configuration.
        limit: usize,
    },
    /// Nothing of that name or URI.
    #[error("there is no {kind} `{name}` here")]
    Unknown {
        /// `tool`, `resource` or `prompt`.
        kind: &'static str,
        /// What was asked for, made safe to show.
        name: String,
    },
    /// More than one server offers the resource.
    #[error("more than one server offers the resource `{uri}`")]
    Ambiguous {
        /// The URI, made safe to show.
        uri: String,
    },
    /// The arguments do not fit the tool's schema.
    #[error("the arguments do not fit the schema: {0}")]
    Arguments(#[from] Unfit),
    /// An argument holds a character that a person would not see.
    #[error("an argument holds the {} character U+{:04X}", kind.as_str(), u32::from(*character))]
    HiddenCharacter {
        /// The character.
        character: char,
        /// What it is.
        kind: Hidden,
    },
    /// What the client says about its call in `_meta` is not as it should be.
    #[error("`{}` in `_meta`: {}", .0.key, .0.problem)]
    Told(BadTold),
    /// A number that rules and schemas cannot hold exactly.
    #[error(transparent)]
    Number(#[from] Inexact),
    /// The tool's schema cannot be used.
    #[error(transparent)]
    Schema(#[from] BadSchema),
    /// The tool is not defined as it was when it was reviewed.
    #[error("the definition of `{tool}` changed since it was pinned")]
    DefinitionChanged {
        /// The tool, as clients see it.
        tool: String,
        /// What was pinned or listed.
        expected: Digest,
        /// What the server says now; nothing if it has no such tool any more.
        got: Option<Digest>,
    },
    /// It does not stand in the lockfile, and its server does.
    #[error("`{name}` appeared after its server was pinned, and nobody has looked at it")]
    DefinitionNew {
        /// What clients would see.
        name: String,
    },
    /// It was missing from a list since it was pinned.
    #[error("`{name}` had vanished, and nobody has looked at it since it came back")]
    DefinitionReturned {
        /// What clients would see.
        name: String,
    },
    /// Its name passes for another.
    #[error("the name of `{name}` passes for another")]
    NameLookalike {
        /// What clients would see.
        name: String,
    },
    /// What it says of itself is about another server's tool.
    #[error("`{name}` speaks of another server's tool")]
    NameShadowing {
        /// What clients would see.
        name: String,
    },
    /// A rule says no, no rule says yes, or a rule could not be evaluated.
    #[error("denied by `{rule}`: {reason}")]
    Denied {
        /// The rule.
        rule: String,
        /// Why.
        reason: String,
        /// What an operator can do.
        remedy: String,
    },
    /// A person said no.
    #[error("a person was asked by `{rule}` and did not approve{}", word(said.as_ref()))]
    NotApproved {
        /// The rule that asked.
        rule: String,
        /// Where: `terminal`, `elicitation`, `command`, `webhook`.
        how: &'static str,
        /// Who it was, and what that person has to say, where it was said outside the client.
        said: Option<(String, String)>,
    },
    /// Nobody could be asked.
    #[error("`{rule}` asks for a person's approval, and there is nobody to ask")]
    NobodyToAsk {
        /// The rule that asked.
        rule: String,
    },
    /// It is too much for a question that is kept.
    #[error(
        "`{rule}` asks for others' approval, and the call is too large for a question: {got} bytes, at most {limit}"
    )]
    QuestionTooLarge {
        /// The rule that asked.
        rule: String,
        /// Size of what people would be shown, in bytes.
        got: usize,
        /// What is kept at most, in bytes.
        limit: usize,
    },
    /// Nobody answered in time.
    #[error(
        "`{rule}` asked for a person's approval and got none in {} s{}",
        waited.as_secs(),
        still_open(question.as_deref())
    )]
    Unapproved {
        /// The rule that asked.
        rule: String,
        /// How long the call was held.
        waited: Duration,
        /// Where: `terminal`, `elicitation`, `question`.
        how: &'static str,
        /// The question that is still open, where there is one.
        question: Option<String>,
    },
    /// Who may approve, or what was approved, cannot be read or written.
    #[error("approvals cannot be read or written")]
    Approvals(#[from] tagout_store::StoreError),
    /// What is about to be sent is not what was approved.
    #[error("what would be sent is not what was approved")]
    NotWhatWasApproved,
    /// Another program, or another URL, has taken the server's place since it was decided.
    #[error("nobody has agreed that this goes to what server `{server}` is now")]
    NotAgreed {
        /// The server.
        server: ServerName,
    },
    /// The server cannot be used, or did not answer as it should.
    #[error("server `{server}`: {problem}")]
    Upstream {
        /// The server.
        server: ServerName,
        /// What went wrong.
        #[source]
        problem: UpstreamError,
    },
    /// The answer is larger than what is passed on.
    #[error("the result has {got} bytes, the limit is {limit}")]
    ResultTooLarge {
        /// Size of the result, in bytes.
        got: usize,
        /// `limits.result_bytes` of the configuration.
        limit: usize,
    },
    /// A header of the request does not say what the body says.
    #[error("the header `{header}` {problem}")]
    Header {
        /// The header's name.
        header: Cow<'static, str>,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A revision of the protocol that is not spoken here.
    #[error("the protocol revision {requested:?} is not spoken here")]
    Revision {
        /// What the request says, made safe to show.
        requested: String,
    },
    /// A request lacks what each request of its revision must carry.
    #[error("`params._meta` lacks `{key}`, or it is not what it should be")]
    Meta {
        /// The key.
        key: &'static str,
    },
    /// The method needs an extension that the client has not declared.
    #[error("the client has not declared the extension `{extension}`")]
    Capability {
        /// The extension.
        extension: &'static str,
    },
    /// What the client brought back is not what it was given for this call.
    #[error("`requestState`: {0}")]
    State(#[from] StateError),
    /// A server asks what its client does not offer.
    #[error("the client does not offer `{method}`")]
    NotOffered {
        /// What was asked.
        method: Method,
    },
    /// A server asks what the rules do not let it ask.
    #[error("no rule lets the server ask that")]
    AskDenied,
    /// A server's form asks for a secret.
    #[error("a form must not ask for a secret")]
    AskForSecret,
    /// The client gave no answer to what it was asked.
    #[error("the client did not answer what it was asked")]
    Unanswered,
    /// Too much waits, or is open, for this principal.
    #[error("too many {what} are open")]
    TooMany {
        /// Of what.
        what: &'static str,
    },
    /// Somebody's share is used up.
    #[error("{0}")]
    Limit(#[from] Over),
    /// The client took the request back, or went away.
    #[error("the client took the request back")]
    Cancelled,
    /// What happens cannot be written down, so it does not happen.
    #[error("the audit log cannot be written")]
    Audit(#[from] tagout_audit::AuditError),
}

/// What who said no has to say.
fn word(said: Option<&(String, String)>) -> String {
    let message = said.map(|(_, message)| one_line(message)).filter(|text| !text.is_empty());
    message.map_or_else(String::new, |message| format!(": {message}"))
}

fn still_open(question: Option<&str>) -> String {
    question.map_or_else(String::new, |id| {
        format!("; the question `{id}` is still open for this call in the same conversation")
    })
}

impl Refusal {
    /// Every code, for the manual's index of errors.
    pub const CODES: &[&str] = &[
        "approval-denied",
        "approval-expired",
        "approval-mismatch",
        "approval-too-large",
        "approval-unavailable",
        "argument-hidden-character",
        "arguments-invalid",
        "ask-denied",
        "ask-for-secret",
        "ask-not-offered",
        "ask-unanswered",
        "audit-unavailable",
        "cancelled",
        "capability-missing",
        "claim-invalid",
        "consent-missing",
        "definition-changed",
        "definition-new",
        "definition-returned",
        "frame-ambiguous",
        "frame-malformed",
        "frame-too-large",
        "handshake-invalid",
        "header-mismatch",
        "limit-bytes",
        "limit-concurrency",
        "limit-cost",
        "limit-quota",
        "limit-rate",
        "meta-missing",
        "method-unknown",
        "name-lookalike",
        "name-shadowing",
        "number-inexact",
        "params-invalid",
        "policy-denied",
        "request-id-in-use",
        "resource-ambiguous",
        "revision-unsupported",
        "result-too-large",
        "schema-invalid",
        "secret-missing",
        "server-changed",
        "server-died",
        "server-http-status",
        "server-misbehaved",
        "server-session-lost",
        "server-timeout",
        "server-unauthorised",
        "server-unavailable",
        "server-unreachable",
        "server-untrusted",
        "state-invalid",
        "store-damaged",
        "store-newer",
        "store-unavailable",
        "subject-unknown",
        "too-many-calls",
        "too-many-open",
    ];

    /// The stable code that clients, dashboards and the manual's error index share.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Frame(FrameError::Read(
                ReadError::DuplicateKey { .. } | ReadError::KeyCase { .. },
            )) => "frame-ambiguous",
            Self::Frame(FrameError::Read(ReadError::TooLarge { .. }))
            | Self::FrameTooLarge { .. } => "frame-too-large",
            Self::Frame(_) => "frame-malformed",
            Self::Method { .. } => "method-unknown",
            Self::Params { .. } => "params-invalid",
            Self::Handshake(_) => "handshake-invalid",
            Self::IdInUse => "request-id-in-use",
            Self::TooManyCalls { .. } => "too-many-calls",
            Self::Unknown { .. } => "subject-unknown",
            Self::Ambiguous { .. } => "resource-ambiguous",
            Self::Arguments(_) => "arguments-invalid",
            Self::HiddenCharacter { .. } => "argument-hidden-character",
            Self::Told(_) => "claim-invalid",
            Self::Number(_) => "number-inexact",
            Self::Schema(_) => "schema-invalid",
            Self::DefinitionChanged { .. } => "definition-changed",
            Self::DefinitionNew { .. } => "definition-new",
            Self::DefinitionReturned { .. } => "definition-returned",
            Self::NameLookalike { .. } => "name-lookalike",
            Self::NameShadowing { .. } => "name-shadowing",
            Self::Denied { .. } => "policy-denied",
            Self::NotApproved { .. } => "approval-denied",
            Self::NobodyToAsk { .. } => "approval-unavailable",
            Self::QuestionTooLarge { .. } => "approval-too-large",
            Self::Unapproved { .. } => "approval-expired",
            Self::Approvals(error) => error.code(),
            Self::NotWhatWasApproved => "approval-mismatch",
            Self::NotAgreed { .. } => "consent-missing",
            Self::Upstream { problem, .. } => problem.code(),
            Self::ResultTooLarge { .. } => "result-too-large",
            Self::Header { .. } => "header-mismatch",
            Self::Revision { .. } => "revision-unsupported",
            Self::Meta { .. } => "meta-missing",
            Self::Capability { .. } => "capability-missing",
            Self::State(_) => "state-invalid",
            Self::NotOffered { .. } => "ask-not-offered",
            Self::AskDenied => "ask-denied",
            Self::AskForSecret => "ask-for-secret",
            Self::Unanswered => "ask-unanswered",
            Self::TooMany { .. } => "too-many-open",
            Self::Limit(over) => over.code(),
            Self::Cancelled => "cancelled",
            Self::Audit(_) => "audit-unavailable",
        }
    }

    /// The rule that stopped the call, if a rule did.
    #[must_use]
    pub fn rule(&self) -> Option<&str> {
        match self {
            Self::Denied { rule, .. }
            | Self::NotApproved { rule, .. }
            | Self::NobodyToAsk { rule }
            | Self::QuestionTooLarge { rule, .. }
            | Self::Unapproved { rule, .. } => Some(rule),
            Self::Frame(_)
            | Self::FrameTooLarge { .. }
            | Self::Method { .. }
            | Self::Params { .. }
            | Self::Handshake(_)
            | Self::IdInUse
            | Self::TooManyCalls { .. }
            | Self::Unknown { .. }
            | Self::Ambiguous { .. }
            | Self::Arguments(_)
            | Self::HiddenCharacter { .. }
            | Self::Told(_)
            | Self::Number(_)
            | Self::Schema(_)
            | Self::DefinitionChanged { .. }
            | Self::DefinitionNew { .. }
            | Self::DefinitionReturned { .. }
            | Self::NameLookalike { .. }
            | Self::NameShadowing { .. }
            | Self::Approvals(_)
            | Self::NotWhatWasApproved
            | Self::NotAgreed { .. }
            | Self::Upstream { .. }
            | Self::ResultTooLarge { .. }
            | Self::Header { .. }
            | Self::Revision { .. }
            | Self::Meta { .. }
            | Self::Capability { .. }
            | Self::State(_)
            | Self::NotOffered { .. }
            | Self::AskDenied
            | Self::AskForSecret
            | Self::Unanswered
            | Self::TooMany { .. }
            | Self::Limit(_)
            | Self::Cancelled
            | Self::Audit(_) => None,
        }
    }

    /// The limit that is reached, if that is what stopped the call.
    #[must_use]
    pub const fn over(&self) -> Option<&Over> {
        if let Self::Limit(over) = self { Some(over) } else { None }
    }

    /// Whether policy or a person said no.
    #[must_use]
    pub const fn is_a_no(&self) -> bool {
        matches!(self, Self::Denied { .. } | Self::NotApproved { .. })
    }

    /// Where a person was asked, and what came of it, if that is what stopped the call.
    #[must_use]
    pub fn asked(&self) -> Option<Approval<'_>> {
        // Each cause that has to do with asking stands here; the rest has not.
        if let Self::NotApproved { how, said, .. } = self {
            let by = said.as_ref().map(|(by, _)| by.as_str());
            Some(Approval { by, ..Approval::new(how, "deny") })
        } else if let Self::NobodyToAsk { .. } = self {
            Some(Approval::new("none", "none"))
        } else if let Self::Unapproved { how, question, .. } = self {
            Some(Approval { question: question.as_deref(), ..Approval::new(how, "none") })
        } else {
            None
        }
    }
}
