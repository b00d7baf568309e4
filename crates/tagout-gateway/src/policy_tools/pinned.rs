//! The tools that are pinned, by the name that clients see.
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tagout_policy::{Effects, Labels, Shape, Surface, SurfaceTool};
use tagout_proto::{ServerName, qualified};

use crate::{
    config::{Server, Start},
    lockfile::{Lockfile, PinnedServer},
};

/// The tools that are pinned.
#[derive(Clone, Debug, Default)]
pub struct Pinned {
    tools: BTreeMap<String, PinnedFacts>,
    servers: BTreeSet<String>,
}

/// What decisions about a pinned tool go by.
#[derive(Clone, Debug)]
pub struct PinnedFacts {
    /// Its server.
    pub server: ServerName,
    /// Its name there.
    pub name: String,
    /// What it may do, as it stands in the lockfile; until that is reviewed it counts as `exec`.
    pub effects: Effects,
    /// Whether a person has confirmed that.
    pub reviewed: bool,
    /// What else is said of it.
    pub labels: Labels,
    /// The types of its arguments.
    pub shape: Option<Shape>,
}

impl Pinned {
    /// What `lockfile` pins of the configured `servers`, and what ships reviewed of those built in.
    #[must_use]
    pub fn of(
        servers: &BTreeMap<ServerName, Arc<Server>>,
        lockfile: &Lockfile,
        shipped: &Lockfile,
    ) -> Self {
        let mut pinned = Self::default();
        let named = servers.keys().chain(lockfile.servers.keys());
        pinned.servers = named.map(|name| name.as_str().to_owned()).collect();
        for (name, server) in servers {
            let entry = match &server.start {
                Start::BuiltIn(which) => shipped.servers.get(which.subcommand()),
                Start::Command(_) | Start::Remote(_) => lockfile.servers.get(name),
            };
            if let Some(entry) = entry {
                pinned.add(name, entry, server.bare);
            }
        }
        // What is pinned of servers that are no longer configured may still be in cases and logs.
        for (name, entry) in &lockfile.servers {
            if !servers.contains_key(name) {
                pinned.add(name, entry, false);
            }
        }
        pinned
    }

    fn add(&mut self, server: &ServerName, entry: &PinnedServer, bare: bool) {
        for (name, tool) in &entry.tools {
            let name = name.as_str().to_owned();
            let key = if bare { name.clone() } else { qualified(server, &name) };
            let facts = PinnedFacts {
                server: server.clone(),
                name,
                effects: tool.effects.clone(),
                reviewed: tool.reviewed,
                labels: tool.labels(),
                shape: tool.arguments.clone(),
            };
            self.tools.insert(key, facts);
        }
    }

    /// The tool that clients see as `qualified`.
    #[must_use]
    pub fn tool(&self, qualified: &str) -> Option<&PinnedFacts> {
        self.tools.get(qualified)
    }

    /// What rules may speak of.
    #[must_use]
    pub fn surface(&self) -> Surface {
        // Rules may name a tool whose arguments nobody has written down, but not look at them.
        let tools = self.tools.iter().map(|(qualified, facts)| SurfaceTool {
            qualified: qualified.clone(),
            server: facts.server.as_str().to_owned(),
            shape: facts.shape.clone().unwrap_or(Shape::NOTHING),
        });
        Surface { tools: tools.collect(), servers: self.servers.clone() }
    }

    /// The names that clients see.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tools.keys().map(String::as_str)
    }
}
