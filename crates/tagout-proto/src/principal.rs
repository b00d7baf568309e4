//! Who calls, from where, and in which conversation.
use std::{collections::BTreeSet, sync::Arc};

/// Somebody on whose behalf calls are made.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Principal {
    /// The user's name, unique where the identity comes from (`alice`, a token's subject).
    pub user: Arc<str>,
    /// The groups that the user belongs to.
    pub groups: BTreeSet<String>,
    /// How the user was authenticated: `os-user` for a process on this machine.
    pub authenticated_by: Arc<str>,
}

/// Where a call comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Origin {
    /// The transport: `stdio`, `memory`.
    pub transport: Arc<str>,
    /// What the client calls itself, with its version. Unverified: for records and people only.
    pub client: Arc<str>,
    /// Where the client is, over a network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<std::net::IpAddr>,
    /// The gateway's process id.
    pub gateway_pid: u32,
}

/// A conversation of one principal; labels, history and approvals belong to it.
///
/// The identifier never authorises: it is looked up under its principal.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct Conversation(Arc<str>);

impl Conversation {
    /// A conversation called `id`, 32 hexadecimal digits drawn at random by whoever opens it.
    #[must_use]
    pub fn new(id: &str) -> Self {
        Self(id.into())
    }

    /// The identifier.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Conversation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
