//! What rules can speak of: the tools that are pinned.
use tagout_policy::{Surface, SurfaceTool};
use tagout_proto::qualified;

use super::Lockfile;
use crate::{config::Config, upstream::pinned_of};

impl Lockfile {
    /// The tools that are pinned with the types of their arguments, under the names that clients
    /// see where no server is without a prefix.
    #[must_use]
    pub fn surface(&self) -> Surface {
        let tools = self.servers.iter().flat_map(|(server, pinned)| {
            pinned.tools.iter().filter_map(move |(name, tool)| {
                Some(SurfaceTool {
                    qualified: qualified(server, name.as_str()),
                    server: server.to_string(),
                    shape: tool.arguments.clone()?,
                })
            })
        });
        let servers = self.servers.keys().map(ToString::to_string).collect();
        Surface { tools: tools.collect(), servers }
    }
}

/// What rules can speak of where the servers of `config` are behind the gateway: what `lockfile`
/// says of them, and `shipped` of those that are built in.
#[must_use]
pub fn surface(config: &Config, lockfile: &Lockfile, shipped: &Lockfile) -> Surface {
    let mut surface = Surface::default();
    for (name, server) in &config.servers {
        surface.servers.insert(name.to_string());
        let Some(pinned) = pinned_of(name, server, (lockfile, shipped)) else { continue };
        for (tool, pinned) in &pinned.tools {
            let Some(shape) = pinned.arguments.clone() else { continue };
            let bare = tool.as_str().to_owned();
            let qualified = if server.bare { bare } else { qualified(name, tool.as_str()) };
            surface.tools.push(SurfaceTool { qualified, server: name.to_string(), shape });
        }
    }
    surface
}
