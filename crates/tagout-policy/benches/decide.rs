//! How long a decision takes: 100 rules that look at 20 arguments, and Cedar alone beside it.
//!
//! `cargo bench -p tagout-policy`. Each line is the median of many batches, so that what else runs
//! on the machine moves it little; the fastest batch stands beside it.
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    hint::black_box,
    io::Write as _,
    time::{Duration, Instant},
};

use cedar_policy::{Authorizer, Context, Entities, EntityUid, PolicySet, Request};
use serde_json::{Map, Value, json};
use tagout_policy::{
    Arguments, Decision, Effect, Effects, Facts, Field, History, Labels, Policy, Profile, Shape,
    Source, Subject, SubjectKind, Surface, SurfaceTool,
};
use tagout_proto::{Action, Principal, ServerName};

type Failed = Box<dyn std::error::Error>;

const RULES: usize = 100;
const ARGUMENTS: usize = 20;
const BATCHES: usize = 101;
const BATCH: u32 = 200;

/// One permit, and ninety-nine forbids of which each looks at an argument and none applies. Every
/// other one is about one tool, so that not each rule is about each call, as it is in practice.
fn rules(every_tool: bool, asks: &str) -> String {
    let mut text = format!(
        "@id(\"all\") permit (principal in Group::\"operators\", action in Action::\"call-tool\", \
         resource in Server::\"files\"){asks};\n"
    );
    for n in 1..RULES {
        let (argument, tool) = (n % ARGUMENTS, if every_tool { 0 } else { n % 4 });
        let condition = match argument % 4 {
            0 => format!("context.arguments.a{argument} like \"/etc/{n}/*\""),
            1 => format!("context.arguments.a{argument} > {}", 1000 + n),
            2 => format!("context.arguments.a{argument}.elements.contains(\"no{n}\")"),
            _ => format!("context.arguments.a{argument} && !resource.reviewed"),
        };
        // A string cannot fail to be written to.
        let _written = writeln!(
            text,
            "@id(\"r{n}\") forbid (principal, action == Action::\"files__tool{tool}\", resource) \
             when {{ context.arguments has a{argument} && {condition} }};"
        );
    }
    text
}

fn arguments() -> Value {
    let value = |n: usize| match n % 4 {
        0 => json!(format!("/srv/notes/{n}/a file with a name of some length.txt")),
        1 => json!(n),
        2 => json!(["yes", "perhaps", n.to_string()]),
        _ => json!(true),
    };
    Value::Object((0..ARGUMENTS).map(|n| (format!("a{n}"), value(n))).collect::<Map<_, _>>())
}

fn shape() -> Shape {
    let shape = |n: usize| match n % 4 {
        0 => Shape::Text,
        1 => Shape::Whole,
        2 => Shape::List(Box::new(Shape::Text)),
        _ => Shape::Truth,
    };
    let field = |n| (format!("a{n}"), Field { shape: shape(n), required: n % 3 == 0 });
    Shape::Record((0..ARGUMENTS).map(field).collect::<BTreeMap<_, _>>())
}

fn policy(rules: String) -> Result<Policy, Failed> {
    let tool = |n: usize| SurfaceTool {
        qualified: format!("files__tool{n}"),
        server: "files".into(),
        shape: shape(),
    };
    let surface = Surface { tools: (0..4).map(tool).collect(), servers: BTreeSet::new() };
    Ok(Policy::load(Profile::None, &[Source { name: "bench".into(), text: rules }], &surface)?)
}

fn timed(title: &str, mut once: impl FnMut()) -> Result<(), Failed> {
    let mut batches: Vec<Duration> = (0..BATCHES)
        .map(|_| {
            let begin = Instant::now();
            (0..BATCH).for_each(|_| once());
            begin.elapsed() / BATCH
        })
        .collect();
    batches.sort();
    let (least, median) = (batches.first(), batches.get(BATCHES / 2));
    let micros = |time: Option<&Duration>| time.map_or(0.0, |time| time.as_secs_f64() * 1e6);
    writeln!(
        std::io::stdout(),
        "{title:<58} median {:>7.2} µs   least {:>7.2} µs",
        micros(median),
        micros(least)
    )?;
    Ok(())
}

/// Cedar with the request and the entities ready made.
fn cedar_alone(rules: &str, arguments: &Value) -> Result<impl FnMut() + use<>, Failed> {
    let list = |value: &Value| match value.as_array() {
        Some(elements) => {
            json!({"elements": elements, "length": elements.len(), "json": value.to_string()})
        }
        None => value.clone(),
    };
    let typed: Map<_, _> = arguments
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.clone(), list(value)))
        .collect();
    let uid = |text: &str| text.parse::<EntityUid>().map_err(Box::new);
    let id = |kind: &str, id: &str| json!({"type": kind, "id": id});
    let entity = |uid: Value, attrs: Value, parents: &[Value]| json!({"uid": uid, "attrs": attrs, "parents": parents});
    let call_tool = id("Action", "call-tool");
    let entities = json!([
        entity(id("User", "ann"), json!({}), &[id("Group", "operators")]),
        entity(id("Tool", "files__tool0"), json!({"reviewed": true}), &[id("Server", "files")]),
        entity(id("Action", "files__tool0"), json!({}), &[call_tool]),
    ]);
    let entities = Entities::from_json_value(entities, None)?;
    let context = Context::from_json_value(json!({"arguments": typed, "approved": false}), None)?;
    let request = Request::new(
        uid("User::\"ann\"")?,
        uid("Action::\"files__tool0\"")?,
        uid("Tool::\"files__tool0\"")?,
        context,
        None,
    )?;
    let (set, authorizer) = (rules.parse::<PolicySet>()?, Authorizer::new());
    Ok(move || {
        black_box(authorizer.is_authorized(black_box(&request), &set, &entities));
    })
}

fn main() -> Result<(), Failed> {
    let principal = Principal {
        user: "ann".into(),
        groups: BTreeSet::from(["operators".to_owned()]),
        authenticated_by: "os-user".into(),
    };
    let (effects, server) = (Effects::from([Effect::Write]), ServerName::try_from("files")?);
    let (shape, arguments, history) = (shape(), arguments(), History::default());
    let facts = Facts {
        principal: &principal,
        client: "bench 1",
        transport: "stdio",
        address: None,
        action: Action::CallTool,
        method: "tools/call",
        subject: Some(Subject {
            kind: SubjectKind::Tool,
            server: &server,
            name: "tool0",
            qualified: "files__tool0",
            effects: &effects,
            reviewed: true,
            labels: Labels::none(),
            shape: Some(&shape),
        }),
        arguments: Arguments::Known(&arguments),
        history: &history,
        now_ms: 1_795_280_546_000,
    };
    let approved = " when { context.approved }";
    let settled = "@id(\"all\") permit (principal, action in Action::\"call-tool\", resource);";
    let cases = [
        (
            "100 rules, 20 arguments, a quarter about this tool: allow",
            rules(false, ""),
            Decision::Allow,
        ),
        ("100 rules, 20 arguments, all about this tool: allow", rules(true, ""), Decision::Allow),
        ("100 rules, 20 arguments, all about this tool: ask", rules(true, approved), Decision::Ask),
        (
            "no rule looks at arguments: allow, as it was settled",
            settled.to_owned(),
            Decision::Allow,
        ),
    ];
    for (title, rules, expected) in cases {
        let alone = cedar_alone(&rules, &arguments)?;
        let policy = policy(rules)?;
        if policy.decide(&facts).decision != expected {
            return Err(format!("{title}: another decision").into());
        }
        timed(title, || {
            let verdict = policy.decide(black_box(&facts));
            black_box(verdict.decision);
        })?;
        timed("    Cedar alone, request and entities ready made", alone)?;
    }
    Ok(())
}
