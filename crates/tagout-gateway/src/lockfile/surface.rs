//! What rules can speak of: the tools that are pinned.
use tagout_policy::{Shape, Surface, SurfaceTool};
use tagout_proto::qualified;

use super::Lockfile;

impl Lockfile {
    /// The tools that are pinned with the types of their arguments, under the names that clients
    /// see where no server is without a prefix.
    #[must_use]
    pub fn surface(&self) -> Surface {
        let tools = self.servers.iter().flat_map(|(server, pinned)| {
            pinned.tools.iter().map(move |(name, tool)| SurfaceTool {
                qualified: qualified(server, name.as_str()),
                server: server.to_string(),
                shape: tool.arguments.clone().unwrap_or(Shape::NOTHING),
            })
        });
        let servers = self.servers.keys().map(ToString::to_string).collect();
        Surface { tools: tools.collect(), servers }
    }
}
