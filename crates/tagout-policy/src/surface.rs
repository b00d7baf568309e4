//! What there is for rules to speak of.
use std::collections::BTreeSet;

use crate::shape::Shape;

/// The tools that are pinned: rules are checked against them when they are read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surface {
    /// The pinned tools.
    pub tools: Vec<SurfaceTool>,
    /// Servers beside those of the tools, so that rules may speak of what is not pinned yet.
    pub servers: BTreeSet<String>,
}

/// A pinned tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SurfaceTool {
    /// The name that clients see: `server__tool`.
    pub qualified: String,
    /// Its server.
    pub server: String,
    /// The types of its arguments.
    pub shape: Shape,
}

impl Surface {
    /// All servers, those of the tools among them.
    pub(crate) fn server_names(&self) -> impl Iterator<Item = &str> {
        let of_tools = self.tools.iter().map(|tool| tool.server.as_str());
        let names: BTreeSet<&str> =
            of_tools.chain(self.servers.iter().map(String::as_str)).collect();
        names.into_iter()
    }
}
