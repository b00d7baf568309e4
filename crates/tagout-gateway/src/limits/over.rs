//! What a refusal by a limit says.
use std::{fmt, sync::Arc, time::Duration};

use tagout_proto::{ServerName, quoted};

/// A limit that is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Over {
    pub(crate) whose: Whose,
    pub(crate) measure: Measure,
    /// How much there is in all.
    pub(crate) bound: Arc<str>,
    /// When to try again, where that is known.
    pub(crate) wait: Option<Duration>,
}

/// Whose limit it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Whose {
    /// Of everything that one principal does.
    Principal,
    /// Of one client of a principal.
    Client,
    /// Of a server.
    Server(ServerName),
    /// Of a tool, by the name that clients see.
    Tool(ServerName, Arc<str>),
    /// Of the whole gateway.
    Gateway,
}

/// What there is too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Measure {
    Calls,
    AtOnce,
    BytesIn,
    BytesOut,
    Cost,
    /// Requests that are refused before they are understood.
    Refused,
    /// What goes on record.
    Audit,
    /// What the store holds.
    Store,
}

impl Measure {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::AtOnce => "at_once",
            Self::BytesIn => "bytes_in",
            Self::BytesOut => "bytes_out",
            Self::Cost => "cost",
            Self::Refused => "refused",
            Self::Audit => "audit",
            Self::Store => "store",
        }
    }

    const fn in_words(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::AtOnce => "calls at once",
            Self::BytesIn => "bytes of requests",
            Self::BytesOut => "bytes of results",
            Self::Cost => "cost",
            Self::Refused => "refused requests",
            Self::Audit => "what goes on record",
            Self::Store => "what is stored",
        }
    }
}

impl Whose {
    pub(crate) const fn server(&self) -> Option<&ServerName> {
        match self {
            Self::Server(server) | Self::Tool(server, _) => Some(server),
            Self::Principal | Self::Client | Self::Gateway => None,
        }
    }

    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Principal => "principal",
            Self::Client => "client",
            Self::Server(_) => "server",
            Self::Tool(..) => "tool",
            Self::Gateway => "gateway",
        }
    }
}

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Principal | Self::Client => write!(f, "this {}", self.kind()),
            Self::Server(server) => write!(f, "server `{server}`"),
            Self::Tool(_, tool) => write!(f, "tool `{tool}`"),
            Self::Gateway => f.write_str("this gateway"),
        }
    }
}

impl fmt::Display for Over {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { whose, measure, bound, .. } = self;
        write!(f, "{whose} has reached its limit of {}, {bound}", measure.in_words())
    }
}

impl std::error::Error for Over {}

/// When to try again where nobody knows.
const SOON: Duration = Duration::from_secs(1);

impl Over {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self.measure {
            Measure::Calls | Measure::Refused => "limit-rate",
            Measure::AtOnce => "limit-concurrency",
            Measure::BytesIn | Measure::BytesOut => "limit-bytes",
            Measure::Cost => "limit-cost",
            Measure::Audit | Measure::Store => "limit-quota",
        }
    }

    /// When to try again.
    #[must_use]
    pub fn retry_after(&self) -> Duration {
        self.wait.unwrap_or(SOON)
    }

    /// The same in whole seconds, at least one.
    #[must_use]
    pub fn retry_after_s(&self) -> u64 {
        let wait = self.retry_after();
        (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
    }

    /// What the error's `data` says beside its code: members of a JSON object.
    pub(crate) fn data(&self) -> String {
        let millis = self.retry_after().as_millis() + 1;
        let (seconds, rest) = (millis / 1000, millis % 1000);
        format!(
            r#""limit":{{"of":"{}","what":"{}","value":{}}},"retry_after":{seconds}.{rest:03}"#,
            self.whose.kind(),
            self.measure.as_str(),
            quoted(&self.bound)
        )
    }
}
