//! The examples of the documentation: they load, and decide what the page says.
use std::collections::BTreeSet;

use serde_json::{Value, json};
use tagout_policy::{Effect, Policy, Profile, Shape, Source, Surface, SurfaceTool};
use tagout_proto::ServerName;

use crate::call::{Call, counts};

const PAGE: &str = include_str!("../../../../docs/policy.md");

/// The text of the page's blocks in a language.
fn blocks(language: &str) -> String {
    let fence = format!("```{language}\n");
    let parts = PAGE.split(&*fence).skip(1);
    parts.filter_map(|rest| rest.split("```").next()).collect()
}

/// The tools of the page's lockfile.
fn surface() -> Surface {
    let mut surface = Surface::default();
    let mut head = None;
    for line in blocks("toml").lines() {
        if let Some(name) = line.strip_prefix("[server.") {
            let (server, name) = name.split_once(".tool.\"").unwrap();
            head = Some((server.to_owned(), name.trim_end_matches("\"]").to_owned()));
        } else if let Some(shape) = line.strip_prefix("arguments = ") {
            let (server, name) = head.take().unwrap();
            let shape: Shape = shape.trim_matches('"').parse().unwrap();
            let qualified = format!("{server}__{name}");
            surface.tools.push(SurfaceTool { qualified, server, shape });
        }
    }
    surface
}

fn policy(profile: Profile) -> Policy {
    let source = Source { name: "docs/policy.md".into(), text: blocks("cedar") };
    Policy::load(profile, &[source], &surface()).map_err(miette::Report::new).unwrap()
}

fn call(server: &str, name: &str, arguments: Value) -> Call {
    let surface = surface();
    let qualified = format!("{server}__{name}");
    let tool = surface.tools.iter().find(|tool| tool.qualified == qualified).unwrap();
    Call {
        server: ServerName::try_from(server).unwrap(),
        name: name.to_owned(),
        shape: Some(tool.shape.clone()),
        ..Call::with(arguments)
    }
}

#[test]
fn the_examples_load_with_every_profile() {
    assert_eq!(surface().tools.len(), 3);
    for profile in [Profile::ReadOnly, Profile::AskBeforeWrites, Profile::Strict, Profile::None] {
        assert!(policy(profile).rule_ids().count() >= 11);
    }
}

#[test]
fn the_examples_decide_what_the_page_says() {
    let policy = policy(Profile::None);
    let write = |path: &str| call("files", "write_file", json!({"path": path, "content": "x"}));
    let transfer = |amount: Value| Call {
        effects: [Effect::Write, Effect::Egress].into(),
        ..call("bank", "transfer", json!({"to": "eve", "amount": amount}))
    };
    let later = |mut call: Call, change: &dyn Fn(&mut Call)| {
        change(&mut call);
        call
    };
    let after_reading = |call: &mut Call| call.history.by_tool = counts(&[("files__read_file", 1)]);
    let cases = [
        (write("/srv/notes/a"), "allow by operators-write-by-day"),
        (write("/srv/notes/../a"), "deny by write-notes-only"),
        (write("/srv/notes/archive/a"), "ask by ask-for-the-archive"),
        (later(write("/srv/notes/a"), &|call| call.now_ms = 0), "deny by tagout:default-deny"),
        (
            later(write("/srv/notes/a"), &|call| call.history.last_minute = 31),
            "deny by not-so-fast",
        ),
        (
            later(write("/srv/notes/a"), &|call| call.history.denied_ms = Some(call.now_ms - 5000)),
            "ask by cool-down",
        ),
        (
            later(write("/srv/notes/a"), &|call| call.address = "8.8.8.8".parse().ok()),
            "deny by office-only",
        ),
        (
            call(
                "files",
                "write_file",
                json!({"path": "/srv/notes/a", "content": "", "as": "root"}),
            ),
            "deny by declared-arguments-only",
        ),
        (transfer(json!(99.5)), "ask by small-transfers"),
        (transfer(json!(100.01)), "ask by large-transfers"),
        (transfer(json!(0.000_01)), "ask by large-transfers"),
        (later(transfer(json!(1)), &after_reading), "ask by nothing-out-after-files"),
        (
            later(call("files", "read_file", json!({"path": "/x"})), &|call| {
                call.principal.groups = BTreeSet::new();
            }),
            "deny by operators-read",
        ),
    ];
    for (call, expected) in cases {
        assert_eq!(call.verdict(&policy), expected, "{call:?}");
    }
    let demand = |amount| transfer(amount).decided(&policy).demand.unwrap().to_string();
    assert_eq!(demand(json!(5)), "the caller's own user, not by way of the client");
    assert_eq!(demand(json!(500)), "2 other people in `treasury`");
}
