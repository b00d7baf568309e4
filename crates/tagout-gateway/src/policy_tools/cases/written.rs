//! Cases as they are written.
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    ops::Range,
};

use jiff::Timestamp;
use serde::Deserialize;
use tagout_policy::{Decision, Effect, Effects, Given, History, Labels, SubjectKind};
use tagout_proto::{Method, Principal, ServerName};
use toml::Spanned;

use super::Expected;
use crate::policy_tools::{Case, Pinned, pinned::PinnedFacts};

/// The time of a case that says none.
const NOW: &str = "2026-01-01T12:00:00Z";

/// What is wrong, and where.
pub(super) struct Wrong {
    pub(super) problem: String,
    pub(super) help: Option<String>,
    pub(super) at: Option<Range<usize>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default, rename = "case")]
    cases: Vec<Spanned<Written>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: Spanned<String>,
    #[serde(rename = "as", default = "somebody")]
    user: String,
    #[serde(default)]
    groups: BTreeSet<String>,
    #[serde(default = "os_user")]
    authenticated_by: String,
    #[serde(default = "client")]
    client: String,
    #[serde(default = "stdio")]
    transport: String,
    address: Option<IpAddr>,
    tool: Option<Spanned<String>>,
    resource: Option<Spanned<String>>,
    prompt: Option<Spanned<String>>,
    server: Option<Spanned<String>>,
    #[serde(default)]
    arguments: Option<Spanned<toml::Table>>,
    effects: Option<Effects>,
    reviewed: Option<bool>,
    labels: Option<WrittenLabels>,
    #[serde(default)]
    history: WrittenHistory,
    now: Option<Spanned<Moment>>,
    approval: Option<Given>,
    expect: Verdict,
    rule: Option<String>,
    demand: Option<Given>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Allow,
    Ask,
    Deny,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Moment {
    Text(String),
    Date(toml::value::Datetime),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenLabels {
    #[serde(default)]
    untrusted: bool,
    #[serde(default)]
    sensitive: bool,
    #[serde(default)]
    may_leave: bool,
    #[serde(default)]
    destinations: BTreeSet<String>,
    #[serde(default)]
    payloads: BTreeSet<String>,
}

/// By the names that rules have for it.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenHistory {
    calls: Option<u64>,
    #[serde(default)]
    denials: u64,
    #[serde(default)]
    last_minute: u64,
    #[serde(default)]
    tools: BTreeMap<String, u64>,
    #[serde(default)]
    servers: BTreeMap<String, u64>,
    #[serde(default)]
    effects: BTreeMap<Effect, u64>,
    approved_s: Option<u32>,
    denied_s: Option<u32>,
}

fn somebody() -> String {
    "somebody".to_owned()
}

fn os_user() -> String {
    "os-user".to_owned()
}

fn client() -> String {
    "a client".to_owned()
}

fn stdio() -> String {
    "stdio".to_owned()
}

fn wrong(problem: impl Into<String>, help: &str, at: Range<usize>) -> Wrong {
    Wrong { problem: problem.into(), help: Some(help.to_owned()), at: Some(at) }
}

pub(super) fn read(text: &str, pinned: &Pinned) -> Result<Vec<Expected>, Wrong> {
    let file: File = toml::from_str(text).map_err(|error| Wrong {
        problem: error.message().to_owned(),
        help: None,
        at: error.span(),
    })?;
    let mut names = BTreeSet::new();
    let mut cases = Vec::new();
    for case in file.cases {
        let span = case.span();
        let case = case.into_inner();
        if !names.insert(case.name.get_ref().clone()) {
            let problem = format!("the case `{}` stands twice", case.name.get_ref());
            return Err(wrong(problem, "give each case a name of its own", case.name.span()));
        }
        cases.push(case.expected(&span, pinned)?);
    }
    if cases.is_empty() {
        let problem = "there is no `[[case]]` in it".to_owned();
        let help = Some("a test that tests nothing would always pass".to_owned());
        return Err(Wrong { problem, help, at: None });
    }
    Ok(cases)
}

/// What a case is about.
struct About {
    method: Method,
    kind: SubjectKind,
    server: ServerName,
    name: String,
    qualified: String,
    pinned: Option<PinnedFacts>,
}

impl Written {
    fn expected(mut self, span: &Range<usize>, pinned: &Pinned) -> Result<Expected, Wrong> {
        let about = self.about(span, pinned)?;
        let now_ms = self.now_ms()?;
        let arguments = self.arguments(&about)?;
        let (effects, reviewed) = self.review(&about);
        let labels = match (self.labels.take(), &about.pinned) {
            (Some(labels), _) => labels.labels(),
            (None, Some(pinned)) => pinned.labels.clone(),
            (None, None) => Labels::none().clone(),
        };
        let decision = self.decision(span)?;
        let case = Case {
            principal: Principal {
                user: self.user.as_str().into(),
                groups: self.groups,
                authenticated_by: self.authenticated_by.as_str().into(),
            },
            client: self.client,
            transport: self.transport,
            address: self.address,
            method: about.method,
            kind: about.kind,
            server: about.server,
            name: about.name,
            qualified: about.qualified,
            effects,
            reviewed,
            labels,
            shape: about.pinned.and_then(|pinned| pinned.shape),
            arguments,
            history: self.history.history(now_ms),
            now_ms,
        };
        let name = self.name.into_inner();
        let (given, rule, demand) = (self.approval, self.rule, self.demand);
        Ok(Expected { name, case, given, decision, rule, demand })
    }

    fn decision(&self, span: &Range<usize>) -> Result<Decision, Wrong> {
        match self.expect {
            Verdict::Allow => Ok(Decision::Allow),
            Verdict::Deny => Ok(Decision::Deny),
            Verdict::Ask if self.approval.is_none() => Ok(Decision::Ask),
            Verdict::Ask => {
                let help = "with `approval` a call is allowed or denied: leave it out to see what \
                            is asked";
                Err(wrong("a case with `approval` cannot expect `ask`", help, span.clone()))
            }
        }
    }

    /// Of a resource they are its URI.
    fn arguments(&self, about: &About) -> Result<serde_json::Value, Wrong> {
        match &self.arguments {
            Some(table) => json(&toml::Value::Table(table.get_ref().clone()))
                .map_err(|(problem, help)| wrong(problem, help, table.span())),
            None if about.kind == SubjectKind::Resource => {
                Ok(serde_json::json!({ "uri": about.qualified }))
            }
            None => Ok(serde_json::json!({})),
        }
    }

    /// What it may do, and whether that is reviewed: what the case says, else what is pinned; what
    /// nobody has reviewed counts as running code.
    fn review(&self, about: &About) -> (Effects, bool) {
        let pinned = about.pinned.as_ref();
        let reviewed = self.reviewed.or_else(|| pinned.map(|pinned| pinned.reviewed));
        let reviewed = reviewed.unwrap_or(false);
        if let Some(effects) = &self.effects {
            return (effects.clone(), reviewed);
        }
        let effects = match (pinned, about.kind) {
            (Some(pinned), _) if reviewed => pinned.effects.clone(),
            (_, SubjectKind::Tool) => Effects::from([Effect::Exec]),
            (
                _,
                SubjectKind::Resource
                | SubjectKind::Prompt
                | SubjectKind::Task
                | SubjectKind::Question,
            ) => Effects::from([Effect::Read]),
        };
        (effects, reviewed)
    }

    fn about(&self, span: &Range<usize>, pinned: &Pinned) -> Result<About, Wrong> {
        match (&self.tool, &self.resource, &self.prompt) {
            (Some(tool), None, None) => self.about_tool(tool, pinned),
            (None, Some(uri), None) => {
                let (server, name) = (self.server(span)?, uri.get_ref().clone());
                let (method, kind) = (Method::ResourcesRead, SubjectKind::Resource);
                Ok(About { method, kind, server, qualified: name.clone(), name, pinned: None })
            }
            (None, None, Some(prompt)) => {
                let (server, name) = (self.server(span)?, prompt.get_ref().clone());
                let qualified = tagout_proto::qualified(&server, &name);
                let (method, kind) = (Method::PromptsGet, SubjectKind::Prompt);
                Ok(About { method, kind, server, name, qualified, pinned: None })
            }
            _ => {
                let help =
                    "write `tool = \"server__tool\"`, `resource = \"URI\"` or `prompt = \"name\"`";
                Err(wrong("a case is about one thing", help, span.clone()))
            }
        }
    }

    fn about_tool(&self, tool: &Spanned<String>, pinned: &Pinned) -> Result<About, Wrong> {
        let qualified = tool.get_ref().clone();
        let (method, kind) = (Method::ToolsCall, SubjectKind::Tool);
        if let Some(pinned) = pinned.tool(&qualified) {
            let (server, name) = (pinned.server.clone(), pinned.name.clone());
            let pinned = Some(pinned.clone());
            return Ok(About { method, kind, server, name, qualified, pinned });
        }
        if self.effects.is_none() && self.reviewed.is_none() {
            let near = pinned.names().take(8).collect::<Vec<_>>().join(", ");
            let help = format!(
                "pin it, or say of it `effects` or `reviewed` as if it were there; pinned are: {near}"
            );
            return Err(wrong(format!("no tool `{qualified}` is pinned"), &help, tool.span()));
        }
        let split = qualified.split_once("__").map(|(server, name)| (server.to_owned(), name));
        let checked = split.and_then(|(server, name)| {
            Some((ServerName::try_from(server.as_str()).ok()?, name.to_owned()))
        });
        let Some((server, name)) = checked else {
            let help = "write it as clients see it: `server__tool`";
            return Err(wrong(format!("`{qualified}` names no server"), help, tool.span()));
        };
        Ok(About { method, kind, server, name, qualified, pinned: None })
    }

    fn server(&self, span: &Range<usize>) -> Result<ServerName, Wrong> {
        let Some(server) = &self.server else {
            let help = "write `server = \"NAME\"`";
            return Err(wrong("a resource or prompt is some server's", help, span.clone()));
        };
        ServerName::try_from(server.get_ref().as_str())
            .map_err(|error| wrong(error.to_string(), "use the server's name", server.span()))
    }

    fn now_ms(&self) -> Result<i64, Wrong> {
        let (text, span) = match &self.now {
            None => (NOW.to_owned(), 0..0),
            Some(now) => match now.get_ref() {
                Moment::Text(text) => (text.clone(), now.span()),
                Moment::Date(date) => (date.to_string(), now.span()),
            },
        };
        let help = format!("write a moment with its offset, such as `{NOW}`");
        let moment: Timestamp =
            text.parse().map_err(|_| wrong(format!("`{text}` is no moment"), &help, span))?;
        Ok(moment.as_millisecond())
    }
}

impl WrittenLabels {
    fn labels(self) -> Labels {
        let Self { untrusted, sensitive, may_leave, destinations, payloads } = self;
        Labels { untrusted, sensitive, may_leave, destinations, payloads }
    }
}

impl WrittenHistory {
    /// Calls in all are those of its tools, or of its servers, unless it says otherwise.
    fn history(self, now_ms: i64) -> History {
        let sum = |counts: &BTreeMap<String, u64>| counts.values().sum::<u64>();
        let before = |s: Option<u32>| s.map(|s| now_ms.saturating_sub(i64::from(s) * 1000));
        History {
            calls: self.calls.unwrap_or_else(|| sum(&self.tools).max(sum(&self.servers))),
            denials: self.denials,
            last_minute: self.last_minute,
            by_tool: self.tools,
            by_server: self.servers,
            by_effect: self.effects,
            approved_ms: before(self.approved_s),
            denied_ms: before(self.denied_s),
        }
    }
}

/// A value of TOML as JSON has it.
fn json(value: &toml::Value) -> Result<serde_json::Value, (String, &'static str)> {
    Ok(match value {
        toml::Value::String(text) => text.as_str().into(),
        toml::Value::Integer(number) => (*number).into(),
        toml::Value::Float(number) => serde_json::Number::from_f64(*number)
            .map(serde_json::Value::Number)
            .ok_or_else(|| (format!("JSON has no number `{number}`"), "use a finite number"))?,
        toml::Value::Boolean(truth) => (*truth).into(),
        toml::Value::Datetime(date) => {
            let help = "write it as a string: JSON has no dates";
            return Err((format!("`{date}` is a date"), help));
        }
        toml::Value::Array(elements) => {
            elements.iter().map(json).collect::<Result<Vec<_>, _>>()?.into()
        }
        toml::Value::Table(members) => {
            let members = members.iter().map(|(key, value)| Ok((key.clone(), json(value)?)));
            members.collect::<Result<serde_json::Map<_, _>, _>>()?.into()
        }
    })
}
