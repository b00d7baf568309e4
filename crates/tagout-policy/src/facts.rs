//! Everything that a decision may depend on.
use tagout_proto::{Action, Principal, ServerName};

use crate::effects::Effects;

/// The facts of one call.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Who calls.
    pub principal: &'a Principal,
    /// What the client calls itself; unverified.
    pub client: &'a str,
    /// `stdio` or `memory`.
    pub transport: &'a str,
    /// What is to be done.
    pub action: Action,
    /// With what; nothing for what concerns the session alone.
    pub subject: Option<Subject<'a>>,
    /// The arguments.
    pub arguments: Arguments<'a>,
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
