//! The policy at its boundary: facts in, verdicts out.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]
mod corpus;
mod properties;

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tagout_policy::{
    Arguments, Effect, Facts, History, Labels, Policy, Profile, Source, Subject, SubjectKind,
    Surface,
};
use tagout_proto::{Action, Principal, ServerName};

pub(crate) fn policy(profile: Profile, rules: &str) -> Policy {
    Policy::load(
        profile,
        &[Source { name: "test.cedar".into(), text: rules.into() }],
        &Surface::default(),
    )
    .unwrap()
}

/// What `policy` says to a call of `files__NAME` with `effects`, as `decision by rule`.
pub(crate) fn verdict(
    policy: &Policy,
    effects: &[Effect],
    reviewed: bool,
    arguments: Arguments<'_>,
) -> String {
    let principal = Principal {
        user: "ann".into(),
        groups: BTreeSet::from(["operators".to_owned()]),
        authenticated_by: "os-user".into(),
    };
    let server = ServerName::try_from("files").unwrap();
    let effects = effects.iter().copied().collect();
    let verdict = policy.decide(&Facts {
        principal: &principal,
        client: "test 1",
        transport: "stdio",
        address: None,
        action: Action::CallTool,
        method: "tools/call",
        subject: Some(Subject {
            kind: SubjectKind::Tool,
            server: &server,
            name: "write_file",
            qualified: "files__write_file",
            effects: &effects,
            reviewed,
            labels: Labels::none(),
            shape: None,
        }),
        arguments,
        history: &History::default(),
        now_ms: 0,
    });
    format!("{} by {}", verdict.decision, verdict.rule)
}

/// Effects, whether they are reviewed, and what read-only, ask-before-writes, strict and none say.
const PROFILES: &[(&[Effect], bool, [&str; 4])] = &[
    (
        &[Effect::Read],
        true,
        [
            "allow by read-freely",
            "allow by read-freely",
            "ask by ask-always",
            "deny by tagout:default-deny",
        ],
    ),
    (
        &[Effect::Read],
        false,
        [
            "deny by tagout:default-deny",
            "ask by ask-before-writes",
            "deny by never-unreviewed",
            "deny by tagout:default-deny",
        ],
    ),
    (
        &[Effect::Read, Effect::Write],
        true,
        [
            "deny by tagout:default-deny",
            "ask by ask-before-writes",
            "ask by ask-always",
            "deny by tagout:default-deny",
        ],
    ),
    (
        &[Effect::Destructive],
        true,
        [
            "deny by tagout:default-deny",
            "ask by ask-before-writes",
            "deny by never-destroy-or-execute",
            "deny by tagout:default-deny",
        ],
    ),
    (
        &[Effect::Exec],
        false,
        [
            "deny by tagout:default-deny",
            "ask by ask-before-writes",
            "deny by never-destroy-or-execute",
            "deny by tagout:default-deny",
        ],
    ),
    (
        &[],
        true,
        [
            "deny by tagout:default-deny",
            "ask by ask-before-writes",
            "ask by ask-always",
            "deny by tagout:default-deny",
        ],
    ),
];

#[test]
fn profiles() {
    let profiles = [Profile::ReadOnly, Profile::AskBeforeWrites, Profile::Strict, Profile::None];
    for (effects, reviewed, expected) in PROFILES {
        for (profile, expected) in profiles.into_iter().zip(expected) {
            let said =
                verdict(&policy(profile, ""), effects, *reviewed, Arguments::Known(&json!({})));
            assert_eq!(said, *expected, "{effects:?} reviewed={reviewed} under {profile}");
        }
    }
}

const RULES: &str = r#"
@id("tmp-only")
permit (principal in Group::"operators", action == Action::"call-tool", resource in Server::"files")
when { context.arguments has path && context.arguments.path like "/tmp/*" };
@id("big-asks")
forbid (principal, action, resource)
when { context.arguments has options && context.arguments.options.bytes > 10 }
unless { context.approved };
@id("never-secret")
forbid (principal, action, resource)
when { context.arguments has tags && context.arguments.tags.contains("secret") };
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
        // A rule that cannot be evaluated denies, also where another permits.
        (json!({"path": "/tmp/a", "options": {}}), "deny by big-asks"),
        (json!({"path": "/tmp/a", "options": {"bytes": 10.5}}), "deny by big-asks"),
        (json!({"path": "/tmp/a", "options": {"bytes": u64::MAX}}), "deny by big-asks"),
        (json!({"path": "/tmp/a", "options": {"bytes": 11.0}}), "ask by big-asks"),
        (json!({"path": "/tmp/a", "options": {"bytes": 1.1e1}}), "ask by big-asks"),
        (json!({"path": "/tmp/a", "options": {"bytes": 1e16}}), "ask by big-asks"),
        (json!({"path": "/tmp/a", "options": {"bytes": 0.0}}), "allow by tmp-only"),
        (json!({"path": "/tmp/a", "options": {"bytes": null}}), "deny by big-asks"),
        (json!({"path": ["/tmp/a"]}), "deny by tmp-only"),
        (json!({"path": "/tmp/a", "tags": ["x", "secret"]}), "deny by never-secret"),
        (json!({"path": "/tmp/a", "tags": [null, 1.5, [], {}]}), "allow by tmp-only"),
    ];
    for (arguments, expected) in cases {
        let said = verdict(&policy, &[Effect::Write], true, Arguments::Known(arguments));
        assert_eq!(said, *expected, "{arguments}");
    }
}

#[test]
fn lists_hide_what_no_arguments_could_open() {
    for (rules, expected) in [
        (RULES, "allow by big-asks"),
        ("", "deny by tagout:default-deny"),
        (
            "@id(\"x\") permit (principal, action, resource) when { context.arguments.path == \"a\" };",
            "allow by x",
        ),
        (
            "@id(\"x\") permit (principal, action, resource); @id(\"y\") forbid (principal, action, resource in Server::\"files\");",
            "deny by y",
        ),
        ("@id(\"x\") permit (principal, action, resource) when { resource.nothing };", "deny by x"),
    ] {
        let said =
            verdict(&policy(Profile::None, rules), &[Effect::Write], true, Arguments::Unknown);
        assert_eq!(said, expected, "{rules}");
    }
}

#[test]
fn errors_show_the_place() {
    let cases = [
        "permit (principal, action, resource)",
        "permit (principal, action, resource);",
        "@id(\"read-freely\")\npermit (principal, action, resource);",
        "@id(\"t\")\npermit (principal == ?principal, action, resource);",
        "@id(\"t\")\npermit (principal, action, resource) when { context.arguments.path = 3 };",
    ];
    let mut out = String::new();
    for rules in cases {
        let source = Source { name: "policies/own.cedar".into(), text: rules.into() };
        let error = Policy::load(Profile::ReadOnly, &[source], &Surface::default()).unwrap_err();
        miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::none())
            .render_report(&mut out, &error)
            .unwrap();
        out.push('\n');
    }
    insta::assert_snapshot!(out);
}
