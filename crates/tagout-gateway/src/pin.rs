//! Making a lockfile: asking every server what it is and what it offers.
mod found;
mod suspicions;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use tagout_audit::{AuditError, Durability, Note};
use tagout_policy::Shape;
use tagout_proto::{Digest, ServerName, Value};
use tagout_store::{Offering, StoreError};
use tokio::sync::mpsc;

use crate::{
    Gateway,
    config::Start,
    lockfile::{Hints, Lockfile, PinnedModel, PinnedServer, PinnedTool},
    upstream::{Catalogue, Fleet, Upstream, UpstreamError},
};

/// What servers are and offer now, against what the lockfile says.
#[derive(Debug, Default)]
pub struct Survey {
    /// The lockfile as it should be now: what was reviewed and is unchanged stays so, all else is
    /// there unreviewed.
    pub proposal: Lockfile,
    /// The reasons for what is not reviewed, and what speaks against it.
    pub hints: Hints,
    /// What differs from the lockfile.
    pub changes: Vec<Change>,
    /// What counts as looked at from now on, and did not before.
    pub reviewed: Vec<(ServerName, Item)>,
    /// What was to be accepted and was not: what the server offers now does not stand in the
    /// lockfile, so nobody can have looked at it.
    pub unseen: Vec<(ServerName, Item)>,
    /// Servers that could not be asked; what is pinned of them stays.
    pub failed: BTreeMap<ServerName, UpstreamError>,
    /// The canonical text of every definition, and what servers say of how to use them.
    pub definitions: BTreeMap<(ServerName, Item), String>,
}

/// One thing that a server offers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Item {
    /// What it is.
    pub kind: Offering,
    /// Its name at the server; of a template, the template; of instructions, nothing.
    pub name: String,
}

impl Item {
    /// What it is, and its name.
    #[must_use]
    pub fn new(kind: Offering, name: &str) -> Self {
        Self { kind, name: name.to_owned() }
    }
}

/// One difference between a server and the lockfile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The server.
    pub server: ServerName,
    /// What it is about; nothing where it is the server's program.
    pub item: Option<Item>,
    /// What happened.
    pub kind: ChangeKind,
    /// The digest of the definition that is pinned.
    pub before: Option<Digest>,
}

/// What happened to something that is, or should be, pinned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// It was not pinned before.
    Added,
    /// It is pinned and not there any more.
    Removed,
    /// It is another than was pinned.
    Changed,
    /// It is as it was pinned, and was missing meanwhile.
    Returned,
}

/// What counts as reviewed from now on: all of a server, or what it calls so.
#[derive(Clone, Debug, Default)]
pub struct Accept(pub BTreeSet<(ServerName, Option<String>)>);

impl Accept {
    fn covers(&self, server: &ServerName, item: &Item) -> bool {
        self.0.contains(&(server.clone(), None))
            || self.0.contains(&(server.clone(), Some(item.name.clone())))
    }
}

/// What was missing, and how often it had been accepted again by then.
type CameBack = BTreeMap<(Offering, String), u32>;

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
        // No server has to do with them.
        survey.proposal.models.clone_from(&self.lockfile.models);
        survey.proposal.programs = self.programs();
        for upstream in fleet.all() {
            let name = upstream.name();
            let server = self.config.servers.get(name);
            if server.is_none_or(|server| matches!(server.start, Start::BuiltIn(_))) {
                continue;
            }
            let pinned = self.lockfile.servers.get(name);
            if pinned.is_none() && !start_changed {
                survey.changed(name, None, ChangeKind::Added, None);
                match upstream.program().pin() {
                    Ok(program) => survey.proposal.servers.insert(name.clone(), program).is_none(),
                    Err(error) => survey.failed.insert(name.clone(), error).is_none(),
                };
                continue;
            }
            match asked(upstream, pinned.filter(|_| !start_changed)).await {
                Ok(found) => survey.add(name, pinned, found, (accept, &self.came_back(name))),
                Err(error) => {
                    survey.failed.insert(name.clone(), error);
                    let kept = pinned.map(|pinned| (name.clone(), pinned.clone()));
                    survey.proposal.servers.extend(kept);
                }
            }
        }
        // Of what is pinned now its program is, too.
        let Lockfile { servers, programs, .. } = &mut survey.proposal;
        programs.retain(|name, _| !servers.contains_key(name));
        fleet.stop();
        survey.suspect(&self.config, &self.shipped);
        survey
    }

    /// The programs that are pinned of servers that are configured.
    fn programs(&self) -> BTreeMap<ServerName, PinnedServer> {
        let all = self.lockfile.programs.iter();
        let all = all.filter(|(name, _)| self.config.servers.contains_key(*name));
        all.map(|(name, program)| (name.clone(), program.clone())).collect()
    }

    /// What was missing from a list of the server since it was last accepted.
    fn came_back(&self, server: &ServerName) -> CameBack {
        self.store.absent(server).unwrap_or_else(|error| {
            tracing::error!(%error, "it is not known what was missing");
            CameBack::new()
        })
    }
}

impl Gateway {
    /// Puts on record what counts as looked at from now on.
    ///
    /// # Errors
    /// The log cannot be written.
    pub fn record_reviews(&self, survey: &Survey) -> Result<(), AuditError> {
        for (server, item) in &survey.reviewed {
            let pinned = survey.proposal.servers.get(server);
            let tool = pinned.and_then(|pinned| pinned.tools.get(item.name.as_str()));
            let tool = tool.filter(|_| item.kind == Offering::Tool);
            let effects = tool.into_iter().flat_map(|pinned| &pinned.effects);
            let effects: Vec<_> = effects.map(|effect| effect.as_str()).collect();
            let detail = effects.join(", ");
            let event = match item.kind {
                Offering::Tool => "tool-reviewed",
                Offering::Prompt => "prompt-reviewed",
                Offering::Template => "template-reviewed",
                Offering::Instructions => "instructions-reviewed",
            };
            let text = survey.definitions.get(&(server.clone(), item.clone()));
            let mut note = Note::new(self.clock.now(), event);
            note.principal = Some(&self.principal);
            note.server = Some(server);
            note.subject = Some(&item.name);
            note.digest = text.map(|text| Digest::of(text.as_bytes()));
            note.detail = Some(detail.as_str()).filter(|detail| !detail.is_empty());
            self.audit.note(&note, Durability::Disk)?;
        }
        Ok(())
    }

    /// Puts on record that the file of a model counts as it is now.
    ///
    /// # Errors
    /// The log cannot be written.
    pub fn record_model(&self, path: &Path, model: PinnedModel) -> Result<u64, AuditError> {
        let subject = path.to_string_lossy();
        let mut note = Note::new(self.clock.now(), "model-pinned");
        note.principal = Some(&self.principal);
        note.subject = Some(&subject);
        note.digest = Some(model.digest);
        self.audit.note(&note, Durability::Disk)
    }

    /// Ends the quarantine of what counts as looked at from now on.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn release(&self, survey: &Survey) -> Result<(), StoreError> {
        for (server, item) in &survey.reviewed {
            self.store.release(server, item.kind, &item.name)?;
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
    /// Where something stays in quarantine until it is accepted, what stood there before, if
    /// anything did.
    #[must_use]
    pub fn held_from(&self, server: &ServerName, item: &Item) -> Option<Option<Digest>> {
        let pin = self.proposal.servers.get(server)?.pin(item.kind, &item.name)?;
        (pin.held && !pin.reviewed).then_some(pin.accepted)
    }

    /// How many tools, prompts and templates were written down and stay in quarantine until they
    /// are accepted.
    #[must_use]
    pub fn hidden(&self) -> usize {
        let all = self.proposal.servers.values();
        all.map(|server| {
            let offers = server.prompts.values().chain(server.templates.values());
            let tools = server.tools.values().map(PinnedTool::pin);
            tools.chain(offers.copied()).filter(|pin| pin.held && !pin.reviewed).count()
        })
        .sum()
    }

    fn changed(
        &mut self,
        server: &ServerName,
        item: Option<Item>,
        kind: ChangeKind,
        before: Option<Digest>,
    ) {
        self.changes.push(Change { server: server.clone(), item, kind, before });
    }
}

/// The types of the arguments of the tool that is defined so; nothing where its schema holds a
/// number that nothing holds exactly.
pub(crate) fn shape_of(definition: Value<'_>) -> Option<Shape> {
    let schema = definition.get("inputSchema");
    let tree = schema.map_or(Ok(serde_json::Value::Null), |schema| schema.to_tree()).ok()?;
    Some(Shape::of_schema(&tree))
}
