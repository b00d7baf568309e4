//! What is said of rules that cannot be.
use tagout_policy::{Policy, Profile, Source, Surface};

use crate::call::{surface, try_load};

/// What is wrong, and the rules.
const WRONG: &[(&str, &str)] = &[
    ("not finished", "permit (principal, action, resource)"),
    ("no id", "permit (principal, action, resource);"),
    ("a built-in id", "@id(\"tagout:x\")\npermit (principal, action, resource);"),
    (
        "an id twice",
        "@id(\"t\")\nforbid (principal, action, resource);\n@id(\"t\")\npermit (principal, action, resource);",
    ),
    ("a template", "@id(\"t\")\npermit (principal == ?principal, action, resource);"),
    (
        "no comparison",
        "@id(\"t\")\npermit (principal, action, resource) when { context.arguments.path = 3 };",
    ),
    (
        "equals call-tool",
        "@id(\"ok\")\npermit (principal, action, resource);\n\n@id(\"t\")\nforbid (\n  principal,\n  action == Action::\"call-tool\",\n  resource\n);",
    ),
    (
        "compares with call-tool",
        "@id(\"t\")\nforbid (principal, action, resource) unless { action != Action::\"call-tool\" };",
    ),
    (
        "an unknown tool",
        "@id(\"t\")\nforbid (principal, action, resource == Tool::\"files__write_fil\");",
    ),
    (
        "an unknown tool's action",
        "@id(\"t\")\nforbid (principal, action == Action::\"files__erase_everything\", resource);",
    ),
    ("an unknown server", "@id(\"t\")\nforbid (principal, action, resource in Server::\"malis\");"),
    ("an unknown type", "@id(\"t\")\nforbid (principal, action, resource in Serber::\"mail\");"),
    (
        "the stand-in",
        "@id(\"t\")\nforbid (principal, action == Action::\"tagout:unpinned\", resource);",
    ),
    (
        "an unknown argument",
        "@id(\"t\")\nforbid (principal, action == Action::\"files__write_file\", resource) when { context.arguments.pth == \"/etc\" };",
    ),
    (
        "an argument that may be missing",
        "@id(\"t\")\nforbid (principal, action == Action::\"files__write_file\", resource) when { context.arguments.path == \"/etc\" };",
    ),
    (
        "an argument of some tools",
        "@id(\"t\")\nforbid (principal, action in Action::\"call-tool\", resource) when { context.arguments.path == \"/etc\" };",
    ),
    (
        "an argument of another type",
        "@id(\"t\")\nforbid (principal, action == Action::\"files__read_file\", resource) when { context.arguments.path > 3 };",
    ),
    (
        "a list as a set",
        "@id(\"t\")\nforbid (principal, action == Action::\"mail__send\", resource) when { context.arguments.to.contains(\"eve\") };",
    ),
    (
        "a number as a whole one",
        "@id(\"t\")\nforbid (principal, action == Action::\"files__write_file\", resource) when { context.arguments has amount && context.arguments.amount > 3 };",
    ),
    (
        "an argument that no tool has",
        "@id(\"ok\")\npermit (principal, action, resource);\n@id(\"t\")\nforbid (principal, action in Action::\"call-tool\", resource)\nwhen { context.arguments has pth && context.arguments.pth == \"/etc\" };",
    ),
    (
        "contradicts itself",
        "@id(\"t\")\nforbid (principal, action == Action::\"read-resource\", resource) when { resource is Tool };",
    ),
    (
        "of no such thing",
        "@id(\"t\")\nforbid (principal, action == Action::\"fetch-prompt\", resource == Tool::\"files__read_file\");",
    ),
    (
        "unknown context",
        "@id(\"t\")\nforbid (principal, action, resource) when { context.aproved };",
    ),
    (
        "unknown resource attribute",
        "@id(\"t\")\nforbid (principal, action, resource) when { resource.label == \"x\" };",
    ),
    (
        "a bad address",
        "@id(\"t\")\nforbid (principal, action, resource) when { context has address && context.address.isInRange(ip(\"10.0.0.0/80\")) };",
    ),
    (
        "an effect that there is not",
        "@id(\"destroy\")\nforbid (principal, action, resource) when { resource.effects.contains(\"destroy\") };",
    ),
    (
        "one effect of several",
        "@id(\"t\")\nforbid (principal, action, resource) when { resource.effects.containsAny([\"exec\", \"Egress\"]) };",
    ),
    (
        "a set of effects that there is not",
        "@id(\"t\")\npermit (principal, action, resource) when { [\"raed\"] == resource.effects };",
    ),
    (
        "a label that there is not",
        "@id(\"t\")\nforbid (principal, action, resource) unless { resource.labels.contains(\"may_leave\") };",
    ),
    (
        "a server's name that there is not",
        "@id(\"t\")\nforbid (principal, action, resource) when { resource.server == \"nosuch\" };",
    ),
    (
        "not a server's name that there is",
        "@id(\"t\")\nforbid (principal, action, resource) when { resource.server != \"file\" };",
    ),
    (
        "a transport that there is not",
        "@id(\"t\")\nforbid (principal, action, resource) when { if context.approved then true else context.transport == \"https\" };",
    ),
    (
        "a method that is not decided about",
        "@id(\"t\")\nforbid (principal, action, resource) when { [\"tools/call\", \"tools/list\"].contains(context.method) };",
    ),
    (
        "hidden direction",
        "@id(\"t\")\nforbid (principal, action, resource) when { resource.name == \"a\u{202e}b\" };",
    ),
];

#[test]
fn errors_show_the_place() {
    let mut out = String::new();
    for (title, rules) in WRONG {
        let error = try_load(rules).map(|_| title).unwrap_err();
        out.push_str(&format!("--- {title}\n"));
        miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::none())
            .render_report(&mut out, &error)
            .unwrap();
        out.push('\n');
    }
    insta::assert_snapshot!(out.replace('\u{202e}', "<U+202E>"));
}

#[test]
fn what_is_not_pinned_cannot_be_spoken_of() {
    let source = Source {
        name: "own.cedar".into(),
        text: "@id(\"t\")\nforbid (principal, action == Action::\"files__write_file\", resource);"
            .into(),
    };
    let error = Policy::load(Profile::None, &[source], &Surface::default()).unwrap_err();
    assert!(miette::Diagnostic::help(&error).unwrap().to_string().contains("tagout pin"));
}

#[test]
fn unknown_people_and_groups_are_fine() {
    try_load("@id(\"t\") permit (principal in Group::\"nobody\", action, resource); @id(\"u\") permit (principal == User::\"who\", action, resource in Server::\"spare\");").unwrap();
}

#[test]
fn what_is_open_may_be_any_text() {
    for condition in [
        r#"resource.name == "nosuch""#,
        r#"resource.server like "nosuch*""#,
        r#"resource.destinations.contains("may_leave")"#,
        r#"context.client == "https""#,
        r#"context.approval.groups.contains("destroy")"#,
        r#"principal.groups.containsAny(["nosuch"])"#,
        r#"resource.server == resource.name"#,
        r#"context.transport == "http" && context.method == "sampling/createMessage""#,
        r#"resource.server == "spare" && resource.labels.containsAll(["may-leave", "untrusted"])"#,
    ] {
        let rule =
            format!("@id(\"t\") permit (principal, action, resource) when {{ {condition} }};");
        try_load(&rule).map_err(miette::Report::new).unwrap();
    }
}

#[test]
fn rules_know_their_places() {
    let policy = try_load("\n\n@id(\"a\")\npermit (principal, action, resource);\n// b\n@id(\"b\") forbid (principal, action, resource == Tool::\"mail__send\");").unwrap();
    assert_eq!(policy.rule_place("a"), Some(("policies/own.cedar", 3)));
    assert_eq!(policy.rule_place("b"), Some(("policies/own.cedar", 6)));
    assert_eq!(policy.rule_place("c"), None);
    assert_eq!(policy.rule_ids().collect::<Vec<_>>(), ["a", "b"]);
    let shipped = Policy::load(Profile::Strict, &[], &surface()).unwrap();
    assert_eq!(shipped.rule_place("ask-always").unwrap().0, "profile strict");
}

#[test]
fn the_schema_names_every_pinned_tool() {
    insta::assert_snapshot!(try_load("").unwrap().schema_text());
}

#[test]
fn another_text_is_another_version() {
    let rules = "@id(\"a\") permit (principal, action, resource);";
    let version = |rules: &str| try_load(rules).unwrap().version();
    assert_eq!(version(rules), version(rules));
    assert_ne!(version(rules), version(""));
}
