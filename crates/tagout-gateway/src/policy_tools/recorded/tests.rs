//! Whoever decides again on what is on record decides the same.
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};
use tagout_audit::{
    Line,
    record::{Begun, Event, Payload},
};
use tagout_policy::{
    Effect, Given, History, Labels, Policy, Profile, Shape, Source, SubjectKind, Surface,
    SurfaceTool,
};
use tagout_proto::{Digest, Method, Origin, Principal, ServerName};

use super::{Case, Doubts, Kept, text};
use crate::policy_tools::replay::Replay;

const SHAPE: &str =
    "{ path?: String, n?: Long, amount?: Number, tags?: List<String>, rest?: Json }";

/// Rules that look at everything that there is to look at.
const RULES: &[&str] = &[
    r#"@id("a") permit (principal, action, resource) when { context.approved };"#,
    r#"@id("b") permit (principal == User::"ann", action == Action::"files__write", resource)
       when { context.arguments has path && context.arguments.path like "/srv/*" };"#,
    r#"@id("c") permit (principal in Group::"ops", action in Action::"call-tool", resource)
       when { resource.reviewed && resource.effects == ["read"] };"#,
    r#"@id("d") forbid (principal, action == Action::"files__write", resource)
       when { context.arguments has n && context.arguments.n > 5 };"#,
    r#"@id("e") forbid (principal, action, resource) when { context.history.calls > 3 };"#,
    r#"@id("f") permit (principal, action in Action::"call-tool", resource)
       when { context.history.effects.write < 2 && context.transport == "http" };"#,
    r#"@id("g") forbid (principal, action == Action::"files__write", resource)
       when { context.undeclared != "{}" };"#,
    r#"@id("h") permit (principal, action in Action::"call-tool", resource)
       when { resource.labels.contains("untrusted") && context has address };"#,
    r#"@id("i") permit (principal, action == Action::"read-resource", resource)
       when { resource.name like "note:*" };"#,
    r#"@id("j") forbid (principal, action, resource)
       when { context.now < datetime("2025-06-01T00:00:00Z") };"#,
];

pub(in crate::policy_tools) fn surface() -> Surface {
    let tool = |name: &str| SurfaceTool {
        qualified: format!("files__{name}"),
        server: "files".to_owned(),
        shape: SHAPE.parse().unwrap(),
    };
    Surface { tools: vec![tool("write")], servers: BTreeSet::from(["web".to_owned()]) }
}

fn policy(chosen: &BTreeSet<usize>) -> Policy {
    let text: Vec<_> = chosen.iter().map(|rule| RULES[*rule]).collect();
    let source = Source { name: "own.cedar".to_owned(), text: text.join("\n") };
    Policy::load(Profile::None, &[source], &surface()).map_err(miette::Report::new).unwrap()
}

fn rules() -> impl Strategy<Value = BTreeSet<usize>> {
    prop::collection::btree_set(0..RULES.len(), 0..6)
}

fn arguments() -> impl Strategy<Value = Value> {
    let number = prop_oneof![
        any::<i32>().prop_map(Value::from),
        (0..2000_i32).prop_map(|n| json!(f64::from(n) / 16.0)),
        Just(json!(5.0)),
    ];
    let rest =
        prop_oneof![Just(json!(null)), Just(json!({"a": [1, {"b": null}]})), Just(json!(2.5))];
    let paths = prop::sample::select(vec!["/srv/a", "/etc/passwd", "/srv/\u{202e}é\"*", ""]);
    (
        prop::option::of(paths.prop_map(Value::from)),
        prop::option::of((-3..12_i64).prop_map(Value::from)),
        prop::option::of(number),
        prop::option::of(prop::collection::vec("[a-c]{0,3}", 0..3).prop_map(Value::from)),
        prop::option::of(rest),
        prop::option::of(Just(json!("more"))),
    )
        .prop_map(|(path, n, amount, tags, rest, other)| {
            let all = [
                ("path", path),
                ("n", n),
                ("amount", amount),
                ("tags", tags),
                ("rest", rest),
                ("other", other),
            ];
            let there = all.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
            Value::Object(there.collect())
        })
}

fn history() -> impl Strategy<Value = History> {
    (0..6_u64, 0..3_u64, 0..4_u64, prop::option::of(0..2_000_000_000_000_i64)).prop_map(
        |(calls, denials, writes, at)| History {
            calls,
            by_tool: BTreeMap::from([("files__write".to_owned(), calls)]),
            by_server: BTreeMap::from([("files".to_owned(), calls)]),
            by_effect: BTreeMap::from([(Effect::Write, writes)]),
            last_minute: calls,
            approved_ms: at,
            denied_ms: None,
            denials,
        },
    )
}

fn about() -> impl Strategy<Value = (Method, SubjectKind, &'static str, &'static str, &'static str)>
{
    prop::sample::select(vec![
        (Method::ToolsCall, SubjectKind::Tool, "files", "write", "files__write"),
        (Method::ToolsCall, SubjectKind::Tool, "web", "fetch", "web__fetch"),
        (Method::ToolsCall, SubjectKind::Tool, "web", "a.b", "web__a_b_12345678"),
        (Method::ResourcesRead, SubjectKind::Resource, "web", "note:1", "note:1"),
        (Method::PromptsGet, SubjectKind::Prompt, "web", "greet", "web__greet"),
    ])
}

prop_compose! {
    pub(in crate::policy_tools) fn case()(
        (method, kind, server, name, qualified) in about(),
        user in prop::sample::select(vec!["ann", "bob\"\\"]),
        groups in prop::collection::btree_set(prop::sample::select(vec!["ops", "dev"]), 0..2),
        (effects, reviewed, untrusted) in (
            prop::collection::btree_set(
                prop::sample::select(vec![Effect::Read, Effect::Write, Effect::Exec]), 1..3),
            any::<bool>(),
            any::<bool>(),
        ),
        arguments in arguments(),
        history in history(),
        now_ms in 1_700_000_000_000_i64..1_800_000_000_000,
        (over_http, whole) in (any::<bool>(), any::<bool>()),
    ) -> (Case, bool) {
        let shape: Option<Shape> = (qualified == "files__write").then(|| SHAPE.parse().unwrap());
        let is_resource = kind == SubjectKind::Resource;
        let case = Case {
            principal: Principal {
                user: user.into(),
                groups: groups.into_iter().map(str::to_owned).collect(),
                authenticated_by: "os-user".into(),
            },
            client: "a client".to_owned(),
            transport: if over_http { "http" } else { "stdio" }.to_owned(),
            address: over_http.then(|| "127.0.0.1".parse().unwrap()),
            method,
            kind,
            server: ServerName::try_from(server).unwrap(),
            name: name.to_owned(),
            qualified: qualified.to_owned(),
            effects,
            reviewed,
            labels: Labels { untrusted, ..Labels::none().clone() },
            shape,
            arguments: if is_resource { json!({"uri": qualified}) } else { arguments },
            history,
            now_ms,
        };
        (case, whole || is_resource)
    }
}

/// The record that a gateway makes of the case.
pub(in crate::policy_tools) fn on_record(
    case: &Case,
    history: bool,
    whole: bool,
) -> (Begun, Payload) {
    let begin = Begun {
        method: case.method.as_str().to_owned(),
        principal: Some(case.principal.clone()),
        origin: Some(Origin {
            transport: case.transport.as_str().into(),
            client: case.client.as_str().into(),
            address: case.address,
            gateway_pid: 1,
        }),
        conversation: None,
        server: Some(case.server.clone()),
        subject: Some(case.qualified.clone()),
        definition: None,
        arguments: None,
        model: None,
        cause: None,
        words: None,
        payload: None,
        secrets: 0,
    };
    let kept = Kept { subject: begin.subject.as_deref(), redacted: false, whole };
    let facts = text(&case.facts(), history, kept).unwrap();
    let arguments = match (whole, case.kind) {
        (true, SubjectKind::Resource) => case.arguments.clone(),
        (true, _) => json!({"name": case.qualified, "arguments": case.arguments}),
        (false, _) => case.arguments.clone(),
    };
    let payload = format!(r#"{{"salt":"00","arguments":{arguments},"facts":{facts}}}"#);
    (begin, Payload::Present(payload))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn decide_explain_and_replay_agree(
        (case, whole) in case(),
        current in rules(),
        candidate in rules(),
    ) {
        let (current, candidate) = (policy(&current), policy(&candidate));
        let history = current.asks_about_history() || candidate.asks_about_history();
        let (begin, payload) = on_record(&case, history, whole);
        let (again, doubts) = Case::of(&begin, &payload).unwrap();
        prop_assert_eq!(doubts, Doubts { redacted: false, no_history: !history });

        let verdict = current.decide(&case.facts());
        prop_assert_eq!(&current.decide(&again.facts()), &verdict);
        prop_assert_eq!(&current.explain(&again.facts(), &Given::NONE).verdict, &verdict);
        for given in [Given::NONE, Given { own: true, ..Given::NONE }] {
            let (one, other) = (case.facts(), again.facts());
            prop_assert_eq!(current.allows(&one, &given), current.allows(&other, &given));
        }

        let theirs = candidate.decide(&case.facts());
        let mut replay = Replay::new(&current, &candidate);
        let digest = Digest::of(b"");
        let event = Event::Begin(Box::new(begin));
        let line = Line { n: 7, at: Timestamp::UNIX_EPOCH, event, prev: digest, hash: digest };
        replay.line(&line, &payload);
        let summary = replay.summary();
        prop_assert_eq!(summary.decided, 1);
        prop_assert!(summary.left_out.is_empty(), "{:?}", summary.left_out);
        let same = verdict.decision == theirs.decision && verdict.demand == theirs.demand;
        prop_assert_eq!(summary.same, u64::from(same));
        if let [change] = summary.changes.as_slice() {
            prop_assert_eq!(change.from, verdict.decision.to_string());
            prop_assert_eq!(change.to, theirs.decision.to_string());
            prop_assert_eq!((&change.rule, &change.candidate), (&verdict.rule, &theirs.rule));
            prop_assert_eq!(&change.records, &[7]);
        } else {
            prop_assert!(same);
        }
    }
}

#[test]
fn what_a_newer_tagout_recorded_is_not_guessed_at() {
    let begin: Begun = serde_json::from_value(json!({
        "method": "tools/call", "server": "s", "subject": "s__t",
        "principal": {"user": "ann", "groups": [], "authenticated_by": "os-user"},
    }))
    .unwrap();
    let payload = |text: &str| Payload::Present(text.to_owned());
    let newer = r#"{"arguments":{},"facts":{"effects":["read"],"now_ms":1,"flow":["secret"]}}"#;
    assert_eq!(Case::of(&begin, &payload(newer)).unwrap_err(), super::Unusable::Unreadable);
    let older = r#"{"salt":"00","arguments":{}}"#;
    assert_eq!(Case::of(&begin, &payload(older)).unwrap_err(), super::Unusable::NoFacts);
    let large = r#"{"left_out_bytes":9,"facts":{"effects":["read"],"now_ms":1}}"#;
    assert_eq!(Case::of(&begin, &payload(large)).unwrap_err(), super::Unusable::LeftOut);
}
