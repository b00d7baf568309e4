//! What rules see of caller, resource, history and time.
use serde_json::json;
use tagout_policy::{Effect, History, Labels, Profile, SubjectKind};
use tagout_proto::Action;

use crate::call::{Call, counts, policy};

fn full() -> Call {
    Call {
        address: Some("10.1.2.3".parse().unwrap()),
        labels: Labels {
            untrusted: true,
            sensitive: false,
            may_leave: true,
            destinations: ["path".to_owned()].into(),
            payloads: ["body".to_owned()].into(),
        },
        effects: [Effect::Write, Effect::Egress].into(),
        history: History {
            calls: 7,
            by_tool: counts(&[("files__write_file", 3), ("mail__send", 4)]),
            by_server: counts(&[("files", 3), ("mail", 4)]),
            by_effect: [(Effect::Write, 3), (Effect::Egress, 4)].into(),
            last_minute: 2,
            approved_ms: Some(1_795_280_486_000),
            denied_ms: None,
            denials: 1,
        },
        ..Call::with(json!({}))
    }
}

/// Conditions that hold for [`full`].
const HOLD: &[&str] = &[
    r#"principal == User::"ann" && principal in Group::"operators""#,
    r#"principal.groups.contains("operators") && principal.authenticated_by == "os-user""#,
    r#"context.client == "test 1" && context.transport == "stdio" && context.method == "tools/call""#,
    r#"context has address && context.address.isInRange(ip("10.0.0.0/8"))"#,
    r#"resource in Server::"files" && resource.server == "files" && resource.name == "write_file""#,
    r#"resource.labels == ["untrusted", "may-leave"] && resource.effects == ["egress", "write"]"#,
    r#"resource.destinations == ["path"] && resource.payloads.contains("body") && resource.reviewed"#,
    "!context.approved && !context.approval.own && context.approval.people == 0",
    "context.history.calls == 7 && context.history.denials == 1 && context.history.last_minute == 2",
    "context.history.this_tool == 3 && context.history.this_server == 3",
    "context.history.tools has mail__send && context.history.tools.mail__send == 4",
    "!(context.history.tools has files__read_file) && !(context.history.servers has spare)",
    "context.history.servers has mail && context.history.servers.mail == 4",
    "context.history.effects.egress == 4 && context.history.effects.exec == 0",
    "context.history has approved_s && context.history.approved_s == 60",
    "!(context.history has denied_s)",
    r#"context.now == datetime("2026-11-21T17:02:26.000Z")"#,
    r#"context.now.toTime() > duration("16h") && context.now < datetime("2027-01-01")"#,
    r#"context.undeclared == "{}""#,
    "action in Action::\"call-tool\"",
    "context has history.tools.mail__send && context has arguments",
    "{ Value: context.history.calls, Var: context.approved } == { Value: 7, Var: false }",
    r#"if context.history.calls > 3 then context.client like "test*" else false"#,
    r#"resource is Tool in Server::"files" && principal is User && [1, 2].contains(context.history.denials)"#,
    r#"context.client like "te\u{73}t *" && !(context.client like "te\*t*")"#,
    "-context.history.calls < 0 && context.history.calls * 2 == 14",
    "context has history && context has now && !(context.arguments has path)",
];

#[test]
fn rules_see_who_calls_what_when_and_after_what() {
    for condition in HOLD {
        let rule = format!(
            "@id(\"x\") permit (principal, action == Action::\"files__write_file\", resource) when {{ {condition} }};"
        );
        let policy = policy(Profile::None, &rule);
        assert_eq!(full().verdict(&policy), "allow by x", "{condition}");
        assert_eq!(policy.asks_about_history(), condition.contains("history"), "{condition}");
    }
}

#[test]
fn addresses_of_the_older_kind_are_the_same_in_the_newer() {
    let rule = r#"@id("x") permit (principal, action, resource)
        when { context has address && context.address.isInRange(ip("10.0.0.0/8")) };"#;
    let policy = policy(Profile::None, rule);
    for (address, expected) in [
        (Some("::ffff:10.1.2.3"), "allow"),
        (Some("10.255.0.1"), "allow"),
        (Some("11.0.0.1"), "deny"),
        (Some("2001:db8::1"), "deny"),
        (None, "deny"),
    ] {
        let address = address.map(|address| address.parse().unwrap());
        let verdict = Call { address, ..full() }.decided(&policy);
        assert_eq!(verdict.decision.to_string(), expected, "{address:?}");
    }
}

#[test]
fn the_time_is_right_in_every_year() {
    for (now_ms, expected) in [
        (0, "1970-01-01T00:00:00.000Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (951_782_400_000, "2000-02-29T00:00:00.000Z"),
        (4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
        (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        (i64::MAX, "9999-12-31T23:59:59.999Z"),
        (i64::MIN, "0000-01-01T00:00:00.000Z"),
    ] {
        let rule = format!(
            "@id(\"x\") permit (principal, action, resource) when {{ context.now == datetime(\"{expected}\") }};"
        );
        let call = Call { now_ms, ..full() };
        assert_eq!(call.verdict(&policy(Profile::None, &rule)), "allow by x", "{now_ms}");
    }
}

#[test]
fn other_actions_have_their_own_arguments() {
    let cases = [
        (
            Action::ReadResource,
            SubjectKind::Resource,
            json!({"uri": "file:///x"}),
            r#"action == Action::"read-resource", resource == Resource::"write_file") when { context.arguments has uri && context.arguments.uri like "file:*" "#,
        ),
        (
            Action::FetchPrompt,
            SubjectKind::Prompt,
            json!({"city": "Bonn"}),
            r#"action == Action::"fetch-prompt", resource == Prompt::"files__write_file") when { context.undeclared == "{\"city\":\"Bonn\"}" "#,
        ),
        (
            Action::Complete,
            SubjectKind::Prompt,
            json!({"ref": {"type": "ref/prompt", "name": "x"}, "argument": {"name": "a", "value": "b"}}),
            r#"action == Action::"complete", resource) when { context.arguments has argument && context.arguments.argument has value && context.arguments.argument.value == "b" "#,
        ),
        (
            Action::AskClient,
            SubjectKind::Question,
            json!({"message": "Your name?", "requestedSchema": {}}),
            r#"action == Action::"ask-client", resource) when { context.arguments has message && context.undeclared == "{\"requestedSchema\":{}}" "#,
        ),
    ];
    for (action, kind, arguments, scope) in cases {
        let policy = policy(Profile::None, &format!("@id(\"x\") permit (principal, {scope} }};"));
        let call = Call { action, kind, shape: None, ..Call::with(arguments) };
        assert_eq!(call.verdict(&policy), "allow by x", "{scope}");
    }
}
