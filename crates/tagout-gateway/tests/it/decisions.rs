//! What a list shows is what a call may get, under every profile.
use std::collections::BTreeSet;

use serde_json::{Value, json};
use tagout_testkit::Script;

use crate::{
    bench::{Bench, Plan},
    client::{Client, refusal},
};

/// Tools by what was reviewed of them; the last was not.
const TOOLS: [(&str, &[&str]); 7] = [
    ("reads", &["read"]),
    ("writes", &["write"]),
    ("reads_and_sends", &["read", "egress"]),
    ("destroys", &["destructive"]),
    ("runs", &["exec"]),
    ("has_no_effect", &[]),
    ("is_not_reviewed", &["read"]),
];

/// Rules that decide by name, by effect, by arguments, and one that fails for some arguments.
const RULES: [&str; 5] = [
    "",
    r#"@id("by-name") forbid (principal, action, resource == Tool::"s__reads");"#,
    r#"@id("by-effect") permit (principal, action, resource) when { resource.effects.contains("exec") };"#,
    r#"@id("by-arguments") forbid (principal, action in Action::"call-tool", resource) when { context.arguments has path && context.arguments.path == "/etc" };"#,
    r#"@id("fails") forbid (principal, action in Action::"call-tool", resource) when { context.arguments has n && context.arguments.n + 9223372036854775807 == 0 };"#,
];

fn plan(profile: &str, rule: &str) -> Plan {
    let schema = json!({"type": "object", "properties": {"path": {"type": "string"}, "n": {"type": "integer"}}});
    let tools = TOOLS.map(|(name, _)| json!({"name": name, "inputSchema": schema}));
    let calls = TOOLS.map(|(name, _)| (name.to_owned(), vec![vec!["echo".to_owned()]]));
    let calls: std::collections::BTreeMap<_, _> = calls.into();
    let script: Script = serde_json::from_value(json!({"tools": tools, "calls": calls})).unwrap();
    let reviewed = TOOLS.iter().filter(|(name, _)| *name != "is_not_reviewed");
    let reviewed = reviewed.map(|(name, effects)| {
        (format!("s/{name}"), effects.iter().map(|effect| (*effect).to_owned()).collect())
    });
    Plan {
        servers: [("s".to_owned(), script)].into(),
        profile: Some(profile.to_owned()),
        rules: vec![rule.to_owned()],
        reviewed: reviewed.collect(),
        ..Plan::default()
    }
}

/// Calls every tool with each of the arguments that rules tell apart.
fn callable(client: &mut Client) -> BTreeSet<String> {
    let names = TOOLS.map(|(name, _)| format!("s__{name}"));
    let arguments = [json!({}), json!({"path": "/etc"}), json!({"path": "/tmp"}), json!({"n": 1})];
    let tries = names.iter().flat_map(|name| arguments.iter().map(move |a| (name, a)));
    for (id, (name, arguments)) in tries.clone().enumerate() {
        client.call(id, name, arguments);
    }
    let may = tries.enumerate().filter_map(|(id, (name, _))| {
        let answer = client.answer(id);
        // Nobody is there to be asked: what would ask may be called.
        let denied = answer.get("error").is_some()
            && match refusal(&answer) {
                "policy-denied" => true,
                "approval-unavailable" => false,
                other => panic!("{other}: {answer}"),
            };
        (!denied).then(|| name.clone())
    });
    may.collect()
}

#[track_caller]
fn lists_show_what_calls_get(profile: &str) {
    for rule in RULES {
        let bench = Bench::new(&plan(profile, rule));
        let mut gateway = bench.run();
        let streams = (gateway.0.stdin.take().unwrap(), gateway.0.stdout.take().unwrap());
        let mut client = Client::open(streams.0, streams.1);
        let listed = client.ask("tools/list", &json!({}));
        let listed = listed["result"]["tools"].as_array().unwrap().iter();
        let listed: BTreeSet<_> =
            listed.map(|tool| tool["name"].as_str().unwrap().to_owned()).collect();
        assert_eq!(listed, callable(&mut client), "under `{profile}` with {rule}");
        assert_eq!(client.close(), Vec::<Value>::new());
        gateway.ended().unwrap();
    }
}

#[test]
fn lists_show_what_calls_get_when_nothing_is_allowed() {
    lists_show_what_calls_get("none");
}

#[test]
fn lists_show_what_calls_get_when_only_reading_is_allowed() {
    lists_show_what_calls_get("read-only");
}

#[test]
fn lists_show_what_calls_get_when_writes_are_asked_about() {
    lists_show_what_calls_get("ask-before-writes");
}

#[test]
fn lists_show_what_calls_get_when_everything_is_asked_about() {
    lists_show_what_calls_get("strict");
}
