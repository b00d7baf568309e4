//! What there is behind the gateway, for operators: also what clients do not see, and why.
use std::collections::{BTreeMap, BTreeSet};

use serde_json::value::RawValue;
use tagout_inspect::lookalike::spelled;
use tagout_policy::{Arguments, Decision, Effects, History, Labels, Shape};
use tagout_proto::{Digest, Method, ServerName, ToolName};
use tokio::sync::mpsc;

use crate::{
    Gateway,
    facts::Caller,
    pin::shape_of,
    upstream::{Catalogue, Fleet, Quarantine, Tool, UpstreamError, composed},
};

/// What there is behind the gateway.
#[derive(Debug, Default)]
pub struct Inventory {
    /// Every tool, by server and in the servers' order.
    pub tools: Vec<ToolState>,
    /// What servers offer that cannot be taken, for instance a tool that is defined twice.
    pub findings: Vec<(ServerName, String)>,
    /// Servers that could not be asked.
    pub failed: BTreeMap<ServerName, UpstreamError>,
}

/// A tool, and how it stands.
#[derive(Debug, serde::Serialize)]
pub struct ToolState {
    /// Its name for clients.
    pub name: String,
    /// Its server.
    pub server: ServerName,
    /// Its name there.
    pub tool: ToolName,
    /// Its title, or else its description's first line; what the server says of it.
    pub title: String,
    /// What it may do.
    pub effects: Effects,
    /// The types of its arguments, as rules would see them.
    pub arguments: Option<Shape>,
    /// What the review says of it beside its effects.
    pub labels: LabelState,
    /// `reviewed`, `unreviewed`; or why it is in quarantine: `changed`, `new`, `returned`,
    /// `lookalike`, `shadowing`.
    pub standing: &'static str,
    /// The code with which calls are refused, if it is in quarantine.
    pub quarantine: Option<&'static str>,
    /// The digest of the definition that was pinned, if that is another.
    pub pinned: Option<Digest>,
    /// What policy says while the arguments are not known: `allow` means that some may be.
    pub verdict: Decision,
    /// The rule that says so.
    pub rule: String,
    /// Why it cannot be called at all, if it cannot.
    pub problem: Option<String>,
    /// The digest of its definition.
    pub digest: Digest,
    /// What that is made over.
    #[serde(skip)]
    pub canonical: String,
    /// Its definition.
    pub definition: Box<RawValue>,
}

/// The prompts and templates that are in quarantine.
fn held(catalogue: &Catalogue) -> impl Iterator<Item = String> {
    catalogue.pinned_offers().filter_map(|(kind, offer)| {
        let why = offer.standing.quarantine()?;
        let (kind, name) = (kind.as_str(), spelled(&offer.name));
        Some(format!("{}: the {kind} `{name}`: {}", why.code(), why.detail()))
    })
}

/// What holds of a tool beside its effects.
#[derive(Debug, serde::Serialize)]
pub struct LabelState {
    /// Whether anybody may have written its output.
    pub untrusted: bool,
    /// Whether its output is not for everybody.
    pub sensitive: bool,
    /// Whether what it is given may leave.
    pub may_leave: bool,
    /// The arguments that say where something goes.
    pub destinations: BTreeSet<String>,
    /// The arguments that hold what goes there.
    pub payloads: BTreeSet<String>,
}

impl LabelState {
    fn of(labels: &Labels) -> Self {
        Self {
            untrusted: labels.untrusted,
            sensitive: labels.sensitive,
            may_leave: labels.may_leave,
            destinations: labels.destinations.clone(),
            payloads: labels.payloads.clone(),
        }
    }
}

impl Gateway {
    /// Starts every server and asks it what it offers.
    pub async fn inventory(&self) -> Inventory {
        let (events, mut happened) = mpsc::channel(64);
        tokio::spawn(async move { while happened.recv().await.is_some() {} });
        let fleet = Fleet::new(self, &self.principal, &events, "{}");
        let mut inventory = Inventory::default();
        for upstream in fleet.all() {
            match upstream.ready().await {
                Ok((_, catalogue)) => {
                    self.announce_changes(&catalogue).await;
                    let states = catalogue.tools.iter().filter_map(|tool| self.state_of(tool));
                    inventory.tools.extend(states);
                    let findings = catalogue.findings.iter();
                    let findings = findings.map(|(event, detail)| format!("{event}: {detail}"));
                    let findings = findings.chain(held(&catalogue));
                    inventory.findings.extend(findings.map(|f| (upstream.name().clone(), f)));
                }
                Err(error) => {
                    inventory.failed.insert(upstream.name().clone(), error);
                }
            }
        }
        fleet.stop();
        inventory
    }

    fn state_of(&self, tool: &Tool) -> Option<ToolState> {
        let shown = self.secrets.clean_definition(&tool.text);
        let document = composed(&shown).ok()?;
        let text = |key: &str| document.root().get(key).and_then(|text| text.text());
        let title = text("title").or_else(|| text("description")).unwrap_or_default();
        let title = title.lines().next().unwrap_or_default();
        let caller = Caller {
            principal: &self.principal,
            origin: None,
            history: &History::default(),
            now_ms: self.clock.now().as_millisecond(),
        };
        let facts = caller.calls(Method::ToolsCall, Some(tool.subject()), Arguments::Unknown);
        let verdict = self.policies.now().decide(&facts);
        let why = tool.standing.quarantine();
        let mut problem = why.map(Quarantine::detail);
        if let Err(bad) = &tool.schema {
            problem.get_or_insert_with(|| bad.to_string());
        }
        Some(ToolState {
            name: tool.qualified.clone(),
            server: tool.server.clone(),
            tool: tool.name.clone(),
            title: title.to_owned(),
            effects: tool.effects().clone(),
            standing: tool.standing.as_str(),
            quarantine: why.map(Quarantine::code),
            pinned: why.and_then(Quarantine::expected),
            arguments: shape_of(document.root()),
            labels: LabelState::of(tool.labels()),
            verdict: verdict.decision,
            rule: verdict.rule,
            problem,
            digest: tool.digest,
            canonical: tool.canonical.clone(),
            definition: RawValue::from_string(shown).ok()?,
        })
    }
}
