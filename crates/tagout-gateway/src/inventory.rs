//! What there is behind the gateway, for operators: also what clients do not see, and why.
use std::collections::BTreeMap;

use serde_json::value::RawValue;
use tagout_policy::{Arguments, Decision, Effects, History};
use tagout_proto::{Digest, Method, ServerName, ToolName};
use tokio::sync::mpsc;

use crate::{
    Gateway,
    facts::Caller,
    upstream::{Fleet, Standing, Tool, UpstreamError, composed},
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
    /// `reviewed`, `unreviewed` or `changed`.
    pub standing: &'static str,
    /// What policy says while the arguments are not known: `allow` means that some may be.
    pub verdict: Decision,
    /// The rule that says so.
    pub rule: String,
    /// Why it cannot be called at all, if it cannot.
    pub problem: Option<String>,
    /// The digest of its definition.
    pub digest: Digest,
    /// Its definition.
    pub definition: Box<RawValue>,
}

impl Gateway {
    /// Starts every server and asks it what it offers.
    pub async fn inventory(&self) -> Inventory {
        let (events, mut happened) = mpsc::channel(64);
        tokio::spawn(async move { while happened.recv().await.is_some() {} });
        let fleet = Fleet::new(self, &events, "{}");
        let mut inventory = Inventory::default();
        for upstream in fleet.all() {
            match upstream.ready().await {
                Ok((_, catalogue)) => {
                    self.announce_changes(&catalogue);
                    let states = catalogue.tools.iter().filter_map(|tool| self.state_of(tool));
                    inventory.tools.extend(states);
                    let findings = catalogue.findings.iter();
                    let findings = findings.map(|(event, detail)| format!("{event}: {detail}"));
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
        let document = composed(&tool.text).ok()?;
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
        let (standing, mut problem) = match &tool.standing {
            Standing::Reviewed => ("reviewed", None),
            Standing::Unreviewed => ("unreviewed", None),
            Standing::Changed { expected } => {
                ("changed", Some(format!("it was pinned as {expected}")))
            }
        };
        if let Err(bad) = &tool.schema {
            problem.get_or_insert_with(|| bad.to_string());
        }
        Some(ToolState {
            name: tool.qualified.clone(),
            server: tool.server.clone(),
            tool: tool.name.clone(),
            title: title.to_owned(),
            effects: tool.effects().clone(),
            standing,
            verdict: verdict.decision,
            rule: verdict.rule,
            problem,
            digest: tool.digest,
            definition: RawValue::from_string(tool.text.clone()).ok()?,
        })
    }
}
