//! What a call is about.
use std::sync::Arc;

use tagout_policy::{Labels, Shape, SubjectKind};

use crate::upstream::{Tool, Upstream};

/// What a call is about.
#[derive(Debug)]
pub(crate) enum Target {
    /// The session itself, or what all servers offer.
    Session,
    /// A tool, as it is defined now.
    Tool {
        upstream: Arc<Upstream>,
        tool: Arc<Tool>,
        /// Of which start of the server.
        connection: u64,
    },
    /// A resource.
    Resource { upstream: Arc<Upstream>, uri: String, reviewed: bool },
    /// A prompt, by the name that clients see and its own.
    Prompt { upstream: Arc<Upstream>, qualified: String, name: String, reviewed: bool },
    /// A task, by its server's id.
    Task { upstream: Arc<Upstream>, id: String },
}

impl Target {
    /// Its name or URI at the server, which HTTP headers repeat.
    pub(crate) fn subject(&self) -> Option<String> {
        match self {
            Self::Session => None,
            Self::Tool { tool, .. } => Some(tool.name.to_string()),
            Self::Resource { uri, .. } => Some(uri.clone()),
            Self::Prompt { name, .. } => Some(name.clone()),
            Self::Task { id, .. } => Some(id.clone()),
        }
    }

    /// The digest of the tool's definition as text; empty for what is no tool.
    pub(crate) fn definition_text(&self) -> String {
        match self {
            Self::Tool { tool, .. } => tool.digest.to_string(),
            Self::Session | Self::Resource { .. } | Self::Prompt { .. } | Self::Task { .. } => {
                String::new()
            }
        }
    }

    /// What the review says of a tool beside its effects, and the types of its arguments.
    pub(crate) fn review(&self) -> (&Labels, Option<&Shape>) {
        match self {
            Self::Tool { tool, .. } => (tool.labels(), tool.shape()),
            Self::Session | Self::Resource { .. } | Self::Prompt { .. } | Self::Task { .. } => {
                (Labels::none(), None)
            }
        }
    }

    pub(crate) const fn upstream(&self) -> Option<&Arc<Upstream>> {
        match self {
            Self::Session => None,
            Self::Tool { upstream, .. }
            | Self::Resource { upstream, .. }
            | Self::Prompt { upstream, .. }
            | Self::Task { upstream, .. } => Some(upstream),
        }
    }

    /// Kind, name at the server, name for clients, and whether it is reviewed.
    pub(crate) fn described(&self) -> (SubjectKind, &str, &str, bool) {
        match self {
            Self::Session => (SubjectKind::Resource, "", "", false),
            Self::Tool { tool, .. } => {
                (SubjectKind::Tool, tool.name.as_str(), &tool.qualified, tool.reviewed())
            }
            Self::Resource { uri, reviewed, .. } => (SubjectKind::Resource, uri, uri, *reviewed),
            Self::Prompt { qualified, name, reviewed, .. } => {
                (SubjectKind::Prompt, name, qualified, *reviewed)
            }
            // The call that set it going was decided when it was made.
            Self::Task { upstream, id } => (SubjectKind::Task, id, upstream.name().as_str(), true),
        }
    }
}
