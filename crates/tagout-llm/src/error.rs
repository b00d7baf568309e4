//! Why no turn could be had.
use std::time::Duration;

/// Why no turn could be had. No variant holds a key, and what a provider said is shortened and
/// without anything that looks like one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// The conversation holds nothing that a person said.
    #[error("the conversation holds no question")]
    NoQuestion,
    /// The conversation cannot be put to a model: a call without its result, or the other way
    /// round.
    #[error("the conversation cannot be sent: {detail}")]
    Conversation {
        /// What is wrong with it.
        detail: String,
    },
    /// Two tools would get one name.
    #[error("the tools `{first}` and `{second}` would both be called `{fitted}`")]
    NameCollision {
        /// One tool.
        first: String,
        /// The other.
        second: String,
        /// The name that both would get.
        fitted: String,
    },
    /// Whoever asks has not agreed that what they say goes there, or not any more.
    #[error("you have not agreed that what you say goes to `{model}`")]
    NotAgreed {
        /// The model, with its provider.
        model: String,
    },
    /// The provider did not answer.
    #[error("`{provider}` did not answer: {detail}")]
    Unreachable {
        /// The provider's name.
        provider: String,
        /// What went wrong, without credentials.
        detail: String,
    },
    /// The provider does not take the key.
    #[error("`{provider}` does not take the key (status {status})")]
    KeyRefused {
        /// The provider's name.
        provider: String,
        /// The status of its answer.
        status: u16,
    },
    /// The provider wants a key, and was sent none.
    #[error("`{provider}` wants a key, and none is configured (status {status})")]
    KeyWanted {
        /// The provider's name.
        provider: String,
        /// The status of its answer.
        status: u16,
    },
    /// The provider has no such model, or not for this key.
    #[error("`{provider}` has no model `{model}` for this key: {detail}")]
    ModelMissing {
        /// The provider's name.
        provider: String,
        /// The model's name.
        model: String,
        /// In the provider's words.
        detail: String,
    },
    /// The conversation is longer than the model takes.
    #[error("the conversation is too long for `{provider}`: {detail}")]
    ContextFull {
        /// The provider's name.
        provider: String,
        /// In the provider's words.
        detail: String,
    },
    /// Too many requests, or too many tokens, in too short a time.
    #[error("`{provider}` takes no more requests for now{}", after(*.retry_after))]
    RateLimited {
        /// The provider's name.
        provider: String,
        /// How long it says to wait.
        retry_after: Option<Duration>,
    },
    /// There is nothing left to pay with.
    #[error("`{provider}` wants to be paid first: {detail}")]
    QuotaSpent {
        /// The provider's name.
        provider: String,
        /// In the provider's words.
        detail: String,
    },
    /// The provider cannot just now.
    #[error("`{provider}` cannot answer now (status {status}): {detail}")]
    Overloaded {
        /// The provider's name.
        provider: String,
        /// The status of its answer.
        status: u16,
        /// In the provider's words.
        detail: String,
    },
    /// The provider refused the request.
    #[error("`{provider}` refused the request (status {status}): {detail}")]
    Refused {
        /// The provider's name.
        provider: String,
        /// The status of its answer.
        status: u16,
        /// In the provider's words.
        detail: String,
    },
    /// The answer broke off in the middle.
    #[error("the answer of `{provider}` broke off: {detail}")]
    BrokenOff {
        /// The provider's name.
        provider: String,
        /// What happened.
        detail: String,
    },
    /// The answer is larger than is read.
    #[error("the answer of `{provider}` is too large: {what}, the limit is {limit}")]
    TooLarge {
        /// The provider's name.
        provider: String,
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// The provider answered something that is not a turn.
    #[error("`{provider}` gave an answer that cannot be read: {detail}")]
    Malformed {
        /// The provider's name.
        provider: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The model proposed a call whose arguments are no JSON object.
    #[error("`{provider}` proposed a call of `{tool}` that cannot be read: {detail}")]
    BadCall {
        /// The provider's name.
        provider: String,
        /// The tool.
        tool: String,
        /// What is wrong with the arguments.
        detail: String,
    },
    /// A recording or a script has no answer for this request.
    #[error("`{provider}` has no answer for this: {detail}")]
    NotRecorded {
        /// The provider's name.
        provider: String,
        /// Why not.
        detail: String,
    },
}

fn after(wait: Option<Duration>) -> String {
    wait.map(|wait| format!("; it says to wait {} s", wait.as_secs())).unwrap_or_default()
}

impl ProviderError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoQuestion => "provider-no-question",
            Self::Conversation { .. } => "provider-conversation",
            Self::NameCollision { .. } => "tool-name-collision",
            Self::NotAgreed { .. } => "consent-model",
            Self::Unreachable { .. } => "provider-unreachable",
            Self::KeyRefused { .. } => "provider-key-refused",
            Self::KeyWanted { .. } => "provider-key-missing",
            Self::ModelMissing { .. } => "provider-model-missing",
            Self::ContextFull { .. } => "provider-context-full",
            Self::RateLimited { .. } => "provider-rate-limited",
            Self::QuotaSpent { .. } => "provider-quota-spent",
            Self::Overloaded { .. } => "provider-overloaded",
            Self::Refused { .. } => "provider-refused",
            Self::BrokenOff { .. } => "provider-broken-off",
            Self::TooLarge { .. } => "provider-too-large",
            Self::Malformed { .. } => "provider-malformed",
            Self::BadCall { .. } => "provider-bad-call",
            Self::NotRecorded { .. } => "provider-not-recorded",
        }
    }

    /// The same error with other words where those came from outside.
    pub(crate) fn reworded(mut self, words: impl Fn(&str) -> String) -> Self {
        match &mut self {
            Self::Conversation { detail }
            | Self::Unreachable { detail, .. }
            | Self::ModelMissing { detail, .. }
            | Self::ContextFull { detail, .. }
            | Self::QuotaSpent { detail, .. }
            | Self::Overloaded { detail, .. }
            | Self::Refused { detail, .. }
            | Self::BrokenOff { detail, .. }
            | Self::Malformed { detail, .. }
            | Self::NotRecorded { detail, .. } => *detail = words(detail),
            Self::BadCall { tool, detail, .. } => (*tool, *detail) = (words(tool), words(detail)),
            Self::NoQuestion
            | Self::NameCollision { .. }
            | Self::NotAgreed { .. }
            | Self::RateLimited { .. }
            | Self::KeyRefused { .. }
            | Self::KeyWanted { .. }
            | Self::TooLarge { .. } => {}
        }
        self
    }

    /// Whether the same request may succeed a little later, with nothing changed.
    #[must_use]
    pub const fn passes(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::RateLimited { .. } | Self::Overloaded { .. } => true,
            Self::NoQuestion
            | Self::Conversation { .. }
            | Self::NameCollision { .. }
            | Self::NotAgreed { .. }
            | Self::KeyRefused { .. }
            | Self::KeyWanted { .. }
            | Self::ModelMissing { .. }
            | Self::ContextFull { .. }
            | Self::QuotaSpent { .. }
            | Self::Refused { .. }
            | Self::BrokenOff { .. }
            | Self::TooLarge { .. }
            | Self::Malformed { .. }
            | Self::BadCall { .. }
            | Self::NotRecorded { .. } => false,
        }
    }
}
