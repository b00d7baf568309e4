//! What is pinned of all servers, so that one of them does not pass for another.
use std::collections::HashMap;

use tagout_inspect::{
    lookalike::{Looks, looks},
    shadowing::{Names, Other, Said},
};
use tagout_proto::{ServerName, qualified};
use tagout_store::Offering;

use crate::{
    config::{Config, Server, Start},
    lockfile::{Lockfile, PinnedServer},
};

/// What is pinned of all servers.
#[derive(Debug, Default)]
pub(crate) struct Neighbours {
    all: Vec<Neighbour>,
    /// Places in `all`, by kind and look.
    by_look: HashMap<(Offering, String), Vec<usize>>,
    /// Their tools, to be looked for in texts.
    names: Names,
}

#[derive(Debug)]
struct Neighbour {
    server: ServerName,
    kind: Offering,
    name: String,
    qualified: String,
    reviewed: bool,
}

/// A tool of another server that a text speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Suspect {
    /// The other, as clients see it; nothing where the text is too long to be looked through.
    pub(crate) of: Option<String>,
    /// The name by which the text speaks of it, where it does not say whose it is: it may be a tool
    /// of its own.
    pub(crate) by_name: Option<String>,
}

/// How many suspects of one text are kept.
const SUSPECTS: usize = 16;

impl Neighbours {
    /// What `lockfile` says of the servers of `config`, and `shipped` of those that are built in.
    pub(crate) fn of(config: &Config, lockfile: &Lockfile, shipped: &Lockfile) -> Self {
        let mut neighbours = Self::default();
        for (name, server) in &config.servers {
            if let Some(pinned) = pinned_of(name, server, (lockfile, shipped)) {
                neighbours.add(name, pinned, server.bare);
            }
        }
        neighbours
    }

    pub(crate) fn add(&mut self, server: &ServerName, pinned: &PinnedServer, bare: bool) {
        let tools = pinned.tools.iter().map(|(name, tool)| (name.as_str(), tool.reviewed));
        let prompts = pinned.prompts.iter().map(|(name, one)| (name.as_str(), one.reviewed));
        let templates = pinned.templates.iter().map(|(name, one)| (name.as_str(), one.reviewed));
        let all = tools
            .map(|one| (Offering::Tool, one))
            .chain(prompts.map(|one| (Offering::Prompt, one)))
            .chain(templates.map(|one| (Offering::Template, one)));
        for (kind, (name, reviewed)) in all {
            let for_clients = match kind {
                Offering::Tool | Offering::Prompt if !bare => qualified(server, name),
                Offering::Tool | Offering::Prompt | Offering::Template | Offering::Instructions => {
                    name.to_owned()
                }
            };
            for look in keys(&looks(name)) {
                self.by_look.entry((kind, look)).or_default().push(self.all.len());
            }
            if kind == Offering::Tool {
                let other = Other { server: server.as_str(), tool: name, qualified: &for_clients };
                self.names.add(self.all.len(), other);
            }
            let (server, name) = (server.clone(), name.to_owned());
            self.all.push(Neighbour { server, kind, name, qualified: for_clients, reviewed });
        }
    }

    /// What is pinned under another name that `name` passes for.
    pub(crate) fn lookalike(&self, kind: Offering, name: &str, looks: &Looks) -> Option<&str> {
        let alike = keys(looks).into_iter().filter_map(|look| self.by_look.get(&(kind, look)));
        let mut alike = alike.flatten().filter_map(|place| self.all.get(*place));
        alike.find(|other| other.name != name).map(|other| other.qualified.as_str())
    }

    /// The tools of other servers that a tool of `server`, called `name`, speaks of.
    pub(crate) fn suspects(&self, server: &ServerName, name: &str, said: &Said) -> Vec<Suspect> {
        let are_others = |one: &Neighbour| one.kind == Offering::Tool && one.server != *server;
        let Some(spoken) = said.speaks_of(&self.names) else {
            let others = self.all.iter().find(|one| are_others(one));
            return others.map(|_| Suspect { of: None, by_name: None }).into_iter().collect();
        };
        let others = spoken.into_iter().filter_map(|(place, spoken)| {
            let neighbour = self.all.get(place).filter(|one| are_others(one))?;
            let of = Some(neighbour.qualified.clone());
            if neighbour.name == name {
                let shadows = neighbour.reviewed && spoken.names_server;
                return shadows.then_some(Suspect { of, by_name: None });
            }
            let by_name = Some(neighbour.name.clone()).filter(|_| !spoken.tells_of_theirs);
            spoken.tells.then_some(Suspect { of, by_name })
        });
        others.take(SUSPECTS).collect()
    }
}

/// What is pinned of a server.
pub(crate) fn pinned_of<'a>(
    name: &ServerName,
    server: &Server,
    (lockfile, shipped): (&'a Lockfile, &'a Lockfile),
) -> Option<&'a PinnedServer> {
    let own = match &server.start {
        Start::BuiltIn(which) => shipped.servers.get(which.subcommand()),
        Start::Command(_) | Start::Remote(_) => None,
    };
    lockfile.servers.get(name).or(own)
}

/// A name has two looks, and passes for whatever has one of them.
pub(super) fn keys(looks: &Looks) -> [String; 2] {
    [format!("f{}", looks.folded), format!("w{}", looks.written)]
}
