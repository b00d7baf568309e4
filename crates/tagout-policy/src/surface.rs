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
