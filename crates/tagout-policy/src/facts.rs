//! Everything that a decision may depend on.
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::IpAddr,
};

use tagout_proto::{Action, Principal, ServerName};

use crate::{
    effects::{Effect, Effects},
    shape::Shape,
};

/// The facts of one call.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Who calls.
    pub principal: &'a Principal,
    /// What the client calls itself; unverified.
    pub client: &'a str,
    /// `stdio`, `memory` or `http`.
    pub transport: &'a str,
    /// Where the client is; nothing over pipes.
    pub address: Option<IpAddr>,
    /// What is to be done.
    pub action: Action,
    /// By which method of the protocol.
    pub method: &'a str,
    /// With what; nothing for what concerns the session alone.
    pub subject: Option<Subject<'a>>,
    /// The arguments.
    pub arguments: Arguments<'a>,
    /// What happened in the conversation before.
    pub history: &'a History,
    /// Milliseconds since the beginning of 1970 in UTC.
    pub now_ms: i64,
}

/// What a call is about.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// What kind of thing it is.
    pub kind: SubjectKind,
    /// Whose it is.
    pub server: &'a ServerName,
    /// Its name there, or its URI.
    pub name: &'a str,
    /// The name that clients see: `server__tool`; the URI for a resource.
    pub qualified: &'a str,
    /// What it may do.
    pub effects: &'a Effects,
    /// Whether a person has reviewed that; of a resource or a prompt, whether its server is pinned.
    pub reviewed: bool,
    /// What else the review says of it.
    pub labels: &'a Labels,
    /// The types of its arguments, of a pinned tool.
    pub shape: Option<&'a Shape>,
}

/// What a review says of a tool beside its effects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Labels {
    /// What it gives back may have been written by anybody.
    pub untrusted: bool,
    /// What it gives back is not for everybody.
    pub sensitive: bool,
    /// What it is given may leave the organisation.
    pub may_leave: bool,
    /// The arguments that say where something goes, by their names.
    pub destinations: BTreeSet<String>,
    /// The arguments that hold what goes there, by their names.
    pub payloads: BTreeSet<String>,
}

/// What happened in a conversation before the call at hand. Calls count once they were made,
/// whether they succeeded or not.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct History {
    /// Calls in all.
    pub calls: u64,
    /// Calls by the tool's name for clients.
    pub by_tool: BTreeMap<String, u64>,
    /// Calls by server.
    pub by_server: BTreeMap<String, u64>,
    /// Calls by effect; a call with several counts for each.
    pub by_effect: BTreeMap<Effect, u64>,
    /// Calls in the last minute.
    pub last_minute: u64,
    /// When a person last approved, in milliseconds since the beginning of 1970.
    pub approved_ms: Option<i64>,
    /// When a person last said no, or policy did.
    pub denied_ms: Option<i64>,
    /// How often a person or policy said no.
    pub denials: u64,
}

/// What approvals there are of the very call at hand.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Given {
    /// Whether the caller's own user has approved it.
    pub own: bool,
    /// How many different people other than the caller's user have.
    pub people: u8,
    /// Whether each approval came another way than through the client.
    pub outside: bool,
    /// The groups that each of those other people is in.
    pub groups: BTreeSet<String>,
}

impl Labels {
    /// The names that labels have in rules.
    pub(crate) const NAMES: [&'static str; 3] = ["untrusted", "sensitive", "may-leave"];

    /// The labels that are so, by their names in rules.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        let labels = [self.untrusted, self.sensitive, self.may_leave].into_iter();
        labels.zip(Self::NAMES).filter(|(is, _)| *is).map(|(_, name)| name)
    }

    /// Nothing is said.
    #[must_use]
    pub fn none() -> &'static Self {
        static NONE: Labels = Labels {
            untrusted: false,
            sensitive: false,
            may_leave: false,
            destinations: BTreeSet::new(),
            payloads: BTreeSet::new(),
        };
        &NONE
    }
}

impl Given {
    /// Nobody has approved anything.
    pub const NONE: Self = Self { own: false, people: 0, outside: false, groups: BTreeSet::new() };

    /// Whether anybody has approved.
    #[must_use]
    pub const fn any(&self) -> bool {
        self.own || self.people > 0
    }
}

impl fmt::Display for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.own, self.people) {
            (false, 0) => return f.write_str("nobody"),
            (true, 0) => f.write_str("the caller's own user")?,
            (own, people) => {
                f.write_str(if own { "the caller's own user and " } else { "" })?;
                let who = if people == 1 { "person" } else { "people" };
                write!(f, "{people} other {who}")?;
            }
        }
        for (n, group) in self.groups.iter().enumerate() {
            write!(f, "{}`{}`", if n == 0 { " in " } else { " and " }, group.escape_debug())?;
        }
        f.write_str(if self.outside { ", not by way of the client" } else { "" })
    }
}

/// What kind of thing a [`Subject`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubjectKind {
    /// A tool.
    Tool,
    /// A resource.
    Resource,
    /// A prompt.
    Prompt,
    /// A task that a call of a tool has set going.
    Task,
    /// What a server asks of a client; its name is the method.
    Question,
}

/// The arguments of a call.
#[derive(Clone, Copy, Debug)]
pub enum Arguments<'a> {
    /// These.
    Known(&'a serde_json::Value),
    /// Not known yet: the question is whether *any* arguments could be allowed.
    Unknown,
}
