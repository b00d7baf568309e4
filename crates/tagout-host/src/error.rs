//! Why the host cannot go on.
use std::time::Duration;

use rmcp::service::ServiceError;
use tagout_llm::ProviderError;

use crate::{Failed, JournalError, Outcome, Refused, call::failure};

/// Why the host cannot go on. A call that fails is no such reason: it becomes an
/// [`crate::Outcome`] and the conversation goes on.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The other side did not complete the handshake.
    #[error("the gateway did not answer the handshake: {detail}")]
    Handshake {
        /// What happened instead.
        detail: String,
    },
    /// The handshake took too long.
    #[error("the gateway did not complete the handshake in {} s", waited.as_secs())]
    HandshakeTimeout {
        /// How long it was waited for.
        waited: Duration,
    },
    /// What servers offer could not be listed.
    #[error("the {list} could not be listed: {detail}")]
    List {
        /// What: tools, prompts, resources, templates of resources.
        list: &'static str,
        /// What happened instead.
        detail: String,
    },
    /// A list has no end.
    #[error("the list of {list} goes on beyond {limit} {what}")]
    ListTooLong {
        /// Of what: tools, prompts, resources, templates of resources.
        list: &'static str,
        /// The limit.
        limit: usize,
        /// What was counted: `pages` or `entries`.
        what: &'static str,
    },
    /// The gateway did not let through what was to be attached.
    #[error("`{about}` was refused: {refused}")]
    Refused {
        /// What it was about.
        about: String,
        /// What the gateway says, with its own code and its record.
        refused: Box<Refused>,
    },
    /// There is no answer to what was to be attached or completed.
    #[error("`{about}` cannot be had: {}", failed.message)]
    Unanswered {
        /// What it was about.
        about: String,
        /// Why.
        failed: Box<Failed>,
    },
    /// There is no such prompt.
    #[error("there is no prompt `{name}`")]
    UnknownPrompt {
        /// As it was asked for.
        name: String,
    },
    /// A prompt lacks an argument that it needs, or was given one that it does not know.
    #[error("prompt `{prompt}` {}", arguments_in_words(missing, unknown))]
    PromptArguments {
        /// The prompt.
        prompt: String,
        /// What it needs and was not given.
        missing: Vec<String>,
        /// What it was given and does not know.
        unknown: Vec<String>,
    },
    /// A prompt does not end with the person, so that the model would go on with words that a
    /// server put into its mouth.
    #[error("prompt `{prompt}` does not end with words of the person's")]
    PromptEnding {
        /// The prompt.
        prompt: String,
    },
    /// There is no such server, or it offers no resources.
    #[error("no server `{server}` offers resources; {}", servers_in_words(known))]
    UnknownServer {
        /// As it was asked for.
        server: String,
        /// Those that do.
        known: Vec<String>,
    },
    /// The server offers no such resource.
    #[error("server `{server}` offers no resource `{uri}`")]
    UnknownResource {
        /// The server.
        server: String,
        /// As it was asked for.
        uri: String,
    },
    /// It is too large to be attached. Nothing was left out of it.
    #[error("{what} has {bytes} bytes, and {limit} can be attached")]
    TooLarge {
        /// What.
        what: String,
        /// So large.
        bytes: usize,
        /// No larger.
        limit: usize,
    },
    /// The answer is none.
    #[error("{what} cannot be read: {detail}")]
    Malformed {
        /// What was to be attached.
        what: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The model provider gave no turn.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The model provider took too long.
    #[error("the model gave no answer in {} s", waited.as_secs())]
    ProviderTimeout {
        /// How long it was waited for.
        waited: Duration,
    },
    /// A limit on cost is set, and what the model costs is not known.
    #[error("there is a limit on cost and no price for `{model}`")]
    CostUnknown {
        /// The model.
        model: String,
    },
    /// The conversation does not fit into what the model can read. Nothing was left out of it.
    #[error("the conversation takes about {tokens} tokens and the model reads {context}")]
    ConversationTooLong {
        /// About so many.
        tokens: u64,
        /// So many.
        context: u64,
    },
    /// The conversation could not be kept or put on record, so it does not go on.
    #[error("the conversation cannot be kept: {0}")]
    Journal(#[from] JournalError),
}

fn arguments_in_words(missing: &[String], unknown: &[String]) -> String {
    let named = |what: &str, names: &[String]| {
        let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
        (!names.is_empty()).then(|| format!("{what} {}", names.join(", ")))
    };
    let told = [named("needs", missing), named("has no argument", unknown)];
    told.into_iter().flatten().collect::<Vec<_>>().join(" and ")
}

fn servers_in_words(known: &[String]) -> String {
    let known: Vec<_> = known.iter().filter(|name| !name.is_empty()).cloned().collect();
    match known.as_slice() {
        [] => "none does".to_owned(),
        known => format!("those that do: {}", known.join(", ")),
    }
}

impl HostError {
    /// What became of a request about something that was to be attached or completed.
    pub(crate) fn unanswered(about: &str, error: ServiceError) -> Self {
        let about = about.to_owned();
        match failure(error) {
            Outcome::Refused(refused) => Self::Refused { about, refused: Box::new(refused) },
            Outcome::Failed(failed) => Self::Unanswered { about, failed: Box::new(failed) },
            // No error is a result.
            Outcome::Returned(_) => {
                Self::Malformed { what: format!("`{about}`"), detail: "no answer".to_owned() }
            }
        }
    }

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Handshake { .. } => "host-handshake",
            Self::HandshakeTimeout { .. } => "host-handshake-timeout",
            Self::List { .. } => "host-list",
            Self::ListTooLong { .. } => "host-list-too-long",
            Self::Refused { .. } => "host-refused",
            Self::Unanswered { .. } => "host-unanswered",
            Self::UnknownPrompt { .. } => "host-prompt-unknown",
            Self::PromptArguments { .. } => "host-prompt-arguments",
            Self::PromptEnding { .. } => "host-prompt-ending",
            Self::UnknownServer { .. } => "host-server-unknown",
            Self::UnknownResource { .. } => "host-resource-unknown",
            Self::TooLarge { .. } => "host-attachment-too-large",
            Self::Malformed { .. } => "host-attachment-malformed",
            Self::Provider(error) => error.code(),
            Self::ProviderTimeout { .. } => "provider-timeout",
            Self::CostUnknown { .. } => "cost-unknown",
            Self::ConversationTooLong { .. } => "conversation-too-long",
            Self::Journal(error) => error.code,
        }
    }
}
