//! Which revisions of the protocol are spoken.
use std::borrow::Cow;

use rmcp::{RoleServer, model::ProtocolVersion, service::RequestContext};

/// The eras of the protocol: up to 2025-11-25 a session is opened by `initialize`; from 2026-07-28
/// on every request stands for itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Era {
    Legacy,
    Modern,
    Both,
}

impl Era {
    pub(crate) fn parse(word: &str) -> Option<Self> {
        match word {
            "legacy" => Some(Self::Legacy),
            "modern" => Some(Self::Modern),
            "both" => Some(Self::Both),
            _ => None,
        }
    }

    /// Oldest first.
    pub(crate) fn revisions(self) -> Cow<'static, [ProtocolVersion]> {
        match self {
            Self::Legacy => ProtocolVersion::known_up_to(&ProtocolVersion::V_2025_11_25).into(),
            Self::Modern => vec![ProtocolVersion::V_2026_07_28].into(),
            Self::Both => ProtocolVersion::KNOWN_VERSIONS.into(),
        }
    }
}

/// Whether this request is of the modern era, whatever else the server speaks.
pub(crate) fn is_modern(context: &RequestContext<RoleServer>) -> bool {
    let revision = context.protocol_version();
    revision.is_some_and(|it| it.as_str() >= ProtocolVersion::V_2026_07_28.as_str())
}
