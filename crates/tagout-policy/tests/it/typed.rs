//! What rules see of arguments.
use serde_json::{Value, json};
use tagout_policy::{Policy, Profile, Shape, Source, Surface, SurfaceTool};

use crate::call::{Call, policy};

const RULES: &str = r#"
@id("tmp-only")
permit (principal in Group::"operators", action == Action::"files__write_file", resource in Server::"files")
when { context.arguments has path && context.arguments.path like "/tmp/*" };
@id("big-asks")
forbid (principal, action == Action::"files__write_file", resource)
when { context.arguments has options && context.arguments.options has bytes && context.arguments.options.bytes > 10 }
unless { context.approved };
@id("never-secret")
forbid (principal, action == Action::"files__write_file", resource)
when { context.arguments has tags && context.arguments.tags.elements.contains("secret") };
@id("many-tags")
forbid (principal, action == Action::"files__write_file", resource)
when { context.arguments has tags && context.arguments.tags.length > 3 };
@id("dear")
forbid (principal, action == Action::"files__write_file", resource)
when { context.arguments has amount && !(context.arguments.amount has decimal && context.arguments.amount.decimal.lessThan(decimal("100.5"))) };
@id("noted")
forbid (principal, action == Action::"files__write_file", resource)
when { context.arguments has note && context.arguments.note has value && context.arguments.note.value == "no" };
@id("rest")
forbid (principal, action == Action::"files__write_file", resource)
when { context.arguments has rest && context.arguments.rest.json like "*\"evil\":*" };
@id("smuggled")
forbid (principal, action in Action::"call-tool", resource)
when { context.undeclared like "*sudo*" };
@id("overflows")
forbid (principal, action == Action::"files__write_file", resource)
when { context.arguments has n && context.arguments.n + 9223372036854775807 == 0 };
"#;

#[test]
fn rules_see_the_whole_argument_object() {
    let policy = policy(Profile::None, RULES);
    let cases: &[(Value, &str)] = &[
        (json!({"path": "/tmp/a"}), "allow by tmp-only"),
        (json!({"path": "/etc/a"}), "deny by tagout:default-deny"),
        (json!({}), "deny by tagout:default-deny"),
        (json!({"path": "/tmp/a", "options": {"bytes": 10}}), "allow by tmp-only"),
        (json!({"path": "/tmp/a", "options": {"bytes": 11}}), "ask by big-asks"),
        (json!({"path": "/etc/a", "options": {"bytes": 11}}), "deny by big-asks"),
        (json!({"path": "/tmp/a", "options": {}}), "allow by tmp-only"),
        (json!({"path": "/tmp/a", "options": {"bytes": 11.0}}), "ask by big-asks"),
        (json!({"path": "/tmp/a", "options": {"bytes": 1.1e1}}), "ask by big-asks"),
        (json!({"path": "/tmp/a", "options": {"bytes": 1e16}}), "ask by big-asks"),
        (json!({"path": "/tmp/a", "options": {"bytes": 0.0}}), "allow by tmp-only"),
        // What does not fit its type is not put to any rule.
        (json!({"path": "/tmp/a", "options": {"bytes": 10.5}}), "deny by tagout:unfit"),
        (json!({"path": "/tmp/a", "options": {"bytes": u64::MAX}}), "deny by tagout:unfit"),
        (json!({"path": "/tmp/a", "options": {"bytes": 1e300}}), "deny by tagout:unfit"),
        (json!({"path": "/tmp/a", "options": {"bytes": null}}), "deny by tagout:unfit"),
        (json!({"path": ["/tmp/a"]}), "deny by tagout:unfit"),
        (json!({"path": null}), "deny by tagout:unfit"),
        (json!({"path": "/tmp/a", "tags": ["x", 1]}), "deny by tagout:unfit"),
        (json!(["/tmp/a"]), "deny by tagout:unfit"),
        (json!(null), "deny by tagout:unfit"),
        // Lists, numbers, what may be null, what has no type.
        (json!({"path": "/tmp/a", "tags": ["x", "secret"]}), "deny by never-secret"),
        (json!({"path": "/tmp/a", "tags": ["x", "x", "x", "x"]}), "deny by many-tags"),
        (json!({"path": "/tmp/a", "tags": []}), "allow by tmp-only"),
        (json!({"path": "/tmp/a", "amount": 100.4999}), "allow by tmp-only"),
        (json!({"path": "/tmp/a", "amount": -3}), "allow by tmp-only"),
        (json!({"path": "/tmp/a", "amount": 1e-4}), "allow by tmp-only"),
        (json!({"path": "/tmp/a", "amount": 100.5}), "deny by dear"),
        (json!({"path": "/tmp/a", "amount": 0.00001}), "deny by dear"),
        (json!({"path": "/tmp/a", "amount": 1e300}), "deny by dear"),
        (json!({"path": "/tmp/a", "note": null}), "allow by tmp-only"),
        (json!({"path": "/tmp/a", "note": "yes"}), "allow by tmp-only"),
        (json!({"path": "/tmp/a", "note": "no"}), "deny by noted"),
        (json!({"path": "/tmp/a", "rest": [{"b": 1, "evil": 1.5}]}), "deny by rest"),
        (json!({"path": "/tmp/a", "rest": null}), "allow by tmp-only"),
        // What is not declared is not lost, however deep.
        (json!({"path": "/tmp/a", "mode": "sudo"}), "deny by smuggled"),
        (json!({"path": "/tmp/a", "options": {"bytes": 1, "as": ["sudo"]}}), "deny by smuggled"),
        (json!({"path": "/tmp/a", "mode": "plain"}), "allow by tmp-only"),
        // A rule that cannot be evaluated denies, also where another permits.
        (json!({"path": "/tmp/a", "n": 1}), "deny by overflows"),
        (json!({"path": "/tmp/a", "n": -5}), "allow by tmp-only"),
    ];
    for (arguments, expected) in cases {
        assert_eq!(Call::with(arguments.clone()).verdict(&policy), *expected, "{arguments}");
    }
}

#[test]
fn calls_of_other_tools_are_below_call_tool_too() {
    let rules = r#"@id("no-calls") forbid (principal, action in Action::"call-tool", resource);
        @id("all") permit (principal, action, resource);"#;
    let policy = policy(Profile::None, rules);
    let call = Call::with(json!({"x": [1.5, null, {"y": true}]})).unpinned();
    assert_eq!(call.verdict(&policy), "deny by no-calls");
}

/// What nothing declares is undeclared, whether there are types or not.
#[test]
fn without_types_every_argument_is_undeclared() {
    let rules = r#"@id("declared-only") forbid (principal, action in Action::"call-tool", resource)
        when { context.undeclared != "{}" };
        @id("all") permit (principal, action, resource);"#;
    let untyped = Surface {
        tools: vec![SurfaceTool {
            qualified: "files__write_file".into(),
            server: "files".into(),
            shape: Shape::NOTHING,
        }],
        ..Surface::default()
    };
    let source = Source { name: "own.cedar".into(), text: rules.into() };
    let pinned = Policy::load(Profile::None, &[source], &untyped).unwrap();
    let call = |arguments: Value| Call { shape: None, ..Call::with(arguments) };
    for (arguments, expected) in
        [(json!({}), "allow by all"), (json!({"path": "/etc/passwd"}), "deny by declared-only")]
    {
        assert_eq!(call(arguments.clone()).verdict(&pinned), expected, "pinned: {arguments}");
        let unpinned = call(arguments.clone()).unpinned();
        assert_eq!(unpinned.verdict(&policy(Profile::None, rules)), expected, "not: {arguments}");
    }
    // In canonical form, so that it can be held against a text.
    let held = r#"@id("held") permit (principal, action in Action::"call-tool", resource)
        when { context.undeclared == "{\"a\":1,\"b\":[true]}" };"#;
    let call = Call::with(json!({"b": [true], "a": 1})).unpinned();
    assert_eq!(call.verdict(&policy(Profile::None, held)), "allow by held");
}

/// A server without a prefix can call its tool as it likes, also as the protocol's own actions.
#[test]
fn no_tool_takes_the_name_of_another_action() {
    let rules = r#"@id("reads") permit (principal, action == Action::"read-resource", resource);"#;
    let policy = policy(Profile::None, rules);
    for name in ["read-resource", "call-tool", "complete", "ask-client", "tagout:unpinned"] {
        let call = Call::with(json!({}));
        let said = call.judged(|facts| {
            let subject = facts.subject.map(|subject| tagout_policy::Subject {
                qualified: name,
                name,
                shape: None,
                ..subject
            });
            let facts = tagout_policy::Facts { subject, ..*facts };
            policy.decide(&facts).rule
        });
        assert_eq!(said, "tagout:default-deny", "{name}");
    }
}

#[test]
fn lists_hide_what_no_arguments_could_open() {
    for (rules, expected) in [
        (RULES, "allow by big-asks"),
        ("", "deny by tagout:default-deny"),
        (
            r#"@id("x") permit (principal, action == Action::"files__write_file", resource)
            when { context.arguments has path && context.arguments.path == "a" };"#,
            "allow by x",
        ),
        (
            r#"@id("x") permit (principal, action, resource);
            @id("y") forbid (principal, action, resource in Server::"files");"#,
            "deny by y",
        ),
        (
            r#"@id("x") permit (principal, action, resource) when { context.approval.people > 1 };"#,
            "ask by x",
        ),
        (
            r#"@id("x") permit (principal, action, resource)
            when { context.history.calls + 9223372036854775807 > 0 };"#,
            "allow by x",
        ),
    ] {
        let call = Call { arguments: None, ..Call::with(Value::Null) };
        assert_eq!(call.verdict(&policy(Profile::None, rules)), expected, "{rules}");
    }
}
