//! A call, and rules to hold it against.
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tagout_policy::{
    Arguments, Effect, Effects, Facts, Given, History, Labels, Policy, Profile, Shape, Source,
    Subject, SubjectKind, Surface, SurfaceTool, Verdict,
};
use tagout_proto::{Action, Principal, ServerName};

/// The arguments of `files__write_file`, the tool that tests pin.
pub(crate) const SHAPE: &str = "{ path?: String, n?: Long, amount?: Number, sure?: Bool, \
    tags?: List<String>, note?: Nullable<String>, rest?: Json, options?: { bytes?: Long } }";

pub(crate) fn surface() -> Surface {
    let tool = |server: &str, name: &str, shape: &str| SurfaceTool {
        qualified: format!("{server}__{name}"),
        server: server.into(),
        shape: shape.parse().unwrap(),
    };
    Surface {
        tools: vec![
            tool("files", "write_file", SHAPE),
            tool("files", "read_file", "{ path: String }"),
            tool("mail", "send", "{ to: List<String>, body: String }"),
        ],
        servers: BTreeSet::from(["spare".to_owned()]),
    }
}

pub(crate) fn try_load(rules: &str) -> Result<Policy, tagout_policy::PolicyError> {
    let source = Source { name: "policies/own.cedar".into(), text: rules.into() };
    Policy::load(Profile::None, &[source], &surface())
}

pub(crate) fn policy(profile: Profile, rules: &str) -> Policy {
    let source = Source { name: "test.cedar".into(), text: rules.into() };
    Policy::load(profile, &[source], &surface()).map_err(miette::Report::new).unwrap()
}

/// A call of `files__write_file` by ann, unless said otherwise.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) principal: Principal,
    pub(crate) address: Option<std::net::IpAddr>,
    pub(crate) action: Action,
    pub(crate) kind: SubjectKind,
    pub(crate) server: ServerName,
    pub(crate) name: String,
    pub(crate) effects: Effects,
    pub(crate) reviewed: bool,
    pub(crate) labels: Labels,
    pub(crate) shape: Option<Shape>,
    pub(crate) arguments: Option<Value>,
    pub(crate) history: History,
    pub(crate) now_ms: i64,
}

impl Call {
    pub(crate) fn with(arguments: Value) -> Self {
        Self {
            principal: Principal {
                user: "ann".into(),
                groups: BTreeSet::from(["operators".to_owned()]),
                authenticated_by: "os-user".into(),
            },
            address: None,
            action: Action::CallTool,
            kind: SubjectKind::Tool,
            server: ServerName::try_from("files").unwrap(),
            name: "write_file".into(),
            effects: Effects::from([Effect::Write]),
            reviewed: true,
            labels: Labels::default(),
            shape: Some(SHAPE.parse().unwrap()),
            arguments: Some(arguments),
            history: History::default(),
            now_ms: 1_795_280_546_000,
        }
    }

    pub(crate) fn with_effects(effects: &[Effect], reviewed: bool) -> Self {
        let effects = effects.iter().copied().collect();
        Self { effects, reviewed, ..Self::with(serde_json::json!({})) }
    }

    pub(crate) fn judged<T>(&self, judge: impl FnOnce(&Facts<'_>) -> T) -> T {
        let qualified = match self.kind {
            SubjectKind::Tool | SubjectKind::Prompt => format!("{}__{}", self.server, self.name),
            SubjectKind::Resource | SubjectKind::Task | SubjectKind::Question => self.name.clone(),
        };
        judge(&Facts {
            principal: &self.principal,
            client: "test 1",
            transport: "stdio",
            address: self.address,
            action: self.action,
            method: "tools/call",
            subject: Some(Subject {
                kind: self.kind,
                server: &self.server,
                name: &self.name,
                qualified: &qualified,
                effects: &self.effects,
                reviewed: self.reviewed,
                labels: &self.labels,
                shape: self.shape.as_ref(),
            }),
            arguments: self.arguments.as_ref().map_or(Arguments::Unknown, Arguments::Known),
            history: &self.history,
            now_ms: self.now_ms,
        })
    }

    /// What is decided; what explains it comes to the same, by Cedar's own authorizer.
    pub(crate) fn decided(&self, policy: &Policy) -> Verdict {
        self.judged(|facts| {
            let verdict = policy.decide(facts);
            assert_eq!(policy.explain(facts, &Given::NONE).verdict, verdict);
            verdict
        })
    }

    /// What `policy` says, as `decision by rule`.
    pub(crate) fn verdict(&self, policy: &Policy) -> String {
        let verdict = self.decided(policy);
        format!("{} by {}", verdict.decision, verdict.rule)
    }

    pub(crate) fn unpinned(self) -> Self {
        Self { name: "other".into(), shape: None, ..self }
    }
}

/// Counts of a history.
pub(crate) fn counts(counts: &[(&str, u64)]) -> BTreeMap<String, u64> {
    counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}
