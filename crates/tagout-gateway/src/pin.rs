//! Making a lockfile: asking every server what it is and what it offers.
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tagout_audit::{AuditError, Durability, Note};
use tagout_inspect::definition::Proposal;
use tagout_proto::{ServerName, ToolName};
use tokio::sync::mpsc;

use crate::{
    Gateway,
    config::Start,
    lockfile::{Hints, Lockfile, PinnedServer, PinnedTool},
    upstream::{Catalogue, Fleet, Tool, Upstream, UpstreamError, composed},
};

/// What servers are and offer now, against what the lockfile says.
#[derive(Debug, Default)]
pub struct Survey {
    /// The lockfile as it should be now: what was reviewed and is unchanged stays so, all else is
    /// there unreviewed.
    pub proposal: Lockfile,
    /// The reasons for what is not reviewed.
    pub hints: Hints,
    /// What differs from the lockfile.
    pub changes: Vec<Change>,
    /// Tools that count as reviewed from now on.
    pub reviewed: Vec<(ServerName, ToolName)>,
    /// Tools that were to be accepted and were not: what the server offers now does not stand in
    /// the lockfile, so nobody can have looked at it.
    pub unseen: Vec<(ServerName, ToolName)>,
    /// Servers that could not be asked; what is pinned of them stays.
    pub failed: BTreeMap<ServerName, UpstreamError>,
    /// The canonical text of every definition.
    pub definitions: BTreeMap<(ServerName, ToolName), String>,
}

/// One difference between a server and the lockfile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The server.
    pub server: ServerName,
    /// The tool; nothing where it is about the server's program.
    pub tool: Option<ToolName>,
    /// What happened.
    pub kind: ChangeKind,
}

/// What happened to a tool or a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// It was not pinned before.
    Added,
    /// It is pinned and not there any more.
    Removed,
    /// It is another than was pinned.
    Changed,
}

/// Which tools count as reviewed from now on.
#[derive(Clone, Debug, Default)]
pub struct Accept(pub BTreeSet<(ServerName, Option<ToolName>)>);

impl Accept {
    fn covers(&self, server: &ServerName, tool: &ToolName) -> bool {
        self.0.contains(&(server.clone(), None))
            || self.0.contains(&(server.clone(), Some(tool.clone())))
    }
}

impl Gateway {
    /// Asks every server, started afresh, what it offers. Built-in servers are left out: what they
    /// ship is reviewed. What is pinned of servers that are not configured any more is dropped.
    ///
    /// A program that is not the one that was pinned, or is not pinned at all, is started only if
    /// `start_changed`.
    pub async fn survey(&self, accept: &Accept, start_changed: bool) -> Survey {
        let (events, mut happened) = mpsc::channel(64);
        tokio::spawn(async move { while happened.recv().await.is_some() {} });
        let fleet = Fleet::unpinned(self, &events);
        let mut survey = Survey::default();
        for upstream in fleet.all() {
            let name = upstream.name();
            let server = self.config.servers.get(name);
            if server.is_none_or(|server| matches!(server.start, Start::BuiltIn(_))) {
                continue;
            }
            let pinned = self.lockfile.servers.get(name);
            if pinned.is_none() && !start_changed {
                let change = Change { server: name.clone(), tool: None, kind: ChangeKind::Added };
                survey.changes.push(change);
                match upstream.program().pin() {
                    Ok(program) => survey.proposal.servers.insert(name.clone(), program).is_none(),
                    Err(error) => survey.failed.insert(name.clone(), error).is_none(),
                };
                continue;
            }
            match asked(upstream, pinned.filter(|_| !start_changed)).await {
                Ok(found) => survey.add(name, pinned, found, accept),
                Err(error) => {
                    survey.failed.insert(name.clone(), error);
                    let kept = pinned.map(|pinned| (name.clone(), pinned.clone()));
                    survey.proposal.servers.extend(kept);
                }
            }
        }
        fleet.stop();
        survey
    }
}

impl Gateway {
    /// Puts on record which tools count as reviewed from now on.
    ///
    /// # Errors
    /// The log cannot be written.
    pub fn record_reviews(&self, survey: &Survey) -> Result<(), AuditError> {
        for (server, tool) in &survey.reviewed {
            let pinned = survey.proposal.tool(server, tool);
            let effects = pinned.into_iter().flat_map(|pinned| &pinned.effects);
            let effects: Vec<_> = effects.map(|effect| effect.as_str()).collect();
            let detail = effects.join(", ");
            let mut note = Note::new(self.clock.now(), "tool-reviewed");
            note.principal = Some(&self.principal);
            note.server = Some(server);
            note.subject = Some(tool.as_str());
            note.digest = pinned.map(|pinned| pinned.definition);
            note.detail = Some(&detail);
            self.audit.note(&note, Durability::Disk)?;
        }
        Ok(())
    }
}

async fn asked(upstream: &Upstream, pinned: Option<&PinnedServer>) -> Result<Found, UpstreamError> {
    let program = upstream.program().clone();
    let found = tokio::task::spawn_blocking(move || program.pin()).await;
    let program = found.map_err(|e| UpstreamError::Unchecked(e.to_string()))??;
    if pinned.is_some_and(|pinned| !pinned.same_program(&program)) {
        return Err(UpstreamError::Changed("so it was not started".to_owned()));
    }
    Ok(Found { program, catalogue: upstream.asked_anew().await? })
}

/// What a server is and offers now.
struct Found {
    program: PinnedServer,
    catalogue: Arc<Catalogue>,
}

impl Survey {
    /// Adds what a server is and offers now, against what is pinned of it.
    fn add(
        &mut self,
        name: &ServerName,
        pinned: Option<&PinnedServer>,
        found: Found,
        accept: &Accept,
    ) {
        let Found { program: mut found, catalogue } = found;
        let same = pinned.is_some_and(|pinned| pinned.same_program(&found));
        found.offers_reviewed = same && pinned.is_some_and(|pinned| pinned.offers_reviewed);
        if !same {
            let kind = if pinned.is_some() { ChangeKind::Changed } else { ChangeKind::Added };
            self.changes.push(Change { server: name.clone(), tool: None, kind });
        }
        for tool in &catalogue.tools {
            let before = pinned.and_then(|pinned| pinned.tools.get(&tool.name));
            let kind = match before {
                None => Some(ChangeKind::Added),
                Some(before) if before.definition != tool.digest => Some(ChangeKind::Changed),
                Some(_) => None,
            };
            let (server, tool_name) = (name.clone(), Some(tool.name.clone()));
            self.changes.extend(kind.map(|kind| Change { server, tool: tool_name, kind }));
            let key = (name.clone(), tool.name.clone());
            // Only what stands in the lockfile can have been looked at; what a changed program
            // offers is to be looked at again.
            let seen = before.filter(|_| kind.is_none() && same);
            let accepted = accept.covers(name, &tool.name);
            match seen {
                Some(seen) if accepted && !seen.reviewed => self.reviewed.push(key.clone()),
                None if accepted => self.unseen.push(key.clone()),
                Some(_) | None => {}
            }
            let (pinned, hints) = proposal(tool, seen, accepted);
            found.tools.insert(tool.name.clone(), pinned);
            self.definitions.insert(key.clone(), tool.canonical.clone());
            self.hints.insert(key, hints);
        }
        let gone = pinned.into_iter().flat_map(|pinned| pinned.tools.keys());
        for tool in gone.filter(|tool| catalogue.tool(tool).is_none()) {
            let (server, tool) = (name.clone(), Some(tool.clone()));
            self.changes.push(Change { server, tool, kind: ChangeKind::Removed });
        }
        self.proposal.servers.insert(name.clone(), found);
    }
}

/// How a tool should be pinned, and the reasons where nobody has reviewed it. `seen` is what stands
/// in the lockfile, if that is what the server offers now.
fn proposal(tool: &Tool, seen: Option<&PinnedTool>, accepted: bool) -> (PinnedTool, Proposal) {
    let proposal = composed(&tool.text).map(|document| Proposal::of(document.root()));
    let proposal = proposal.unwrap_or_default();
    let proposed = PinnedTool::proposed(tool.digest, &proposal);
    let pinned = match seen {
        // What somebody wrote into the lockfile stands.
        Some(seen) => PinnedTool {
            arguments: proposed.arguments,
            output: seen.output.clone().or(proposed.output),
            reviewed: seen.reviewed || accepted,
            ..seen.clone()
        },
        None => proposed,
    };
    (pinned, proposal)
}
