//! What `pin` prints.
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use similar::TextDiff;
use tagout_gateway::{
    Gateway,
    pin::{Change, ChangeKind, Survey},
};
use tagout_inspect::{characters::one_line, lookalike::spelled};
use tagout_proto::{Digest, ServerName};
use tagout_store::Offering;
use tagout_terminal::printable;

use super::Outcome;
use crate::{failure::Failure, output};

/// Lines around a change.
const AROUND: usize = 3;
/// The longest diff that is shown of one definition, in lines; the lockfile holds the digest of all.
const LINES: usize = 2000;

/// A name from outside, with whatever could pass for something else spelt out.
pub(super) fn name(name: &str) -> String {
    printable(&spelled(name))
}

fn described(change: &Change) -> String {
    let server = &change.server;
    match change.item.as_ref().map(|item| (item.kind, name(&item.name))) {
        None => format!("{server} (its program)"),
        Some((Offering::Tool, name)) => format!("{server}/{name}"),
        Some((Offering::Prompt, name)) => format!("{server}/{name} (a prompt)"),
        Some((Offering::Template, name)) => format!("{server}/{name} (a template)"),
        Some((Offering::Instructions, _)) => format!("{server} (its instructions)"),
    }
}

/// How definitions differ; nothing where nobody asked for that.
#[derive(Default)]
pub(super) struct Diffs {
    /// In the order of the changes; empty where there is nothing to show.
    changes: Vec<String>,
    /// Of what is held in the lockfile and did not change since.
    held: BTreeMap<(ServerName, Offering, String), String>,
}

/// How each definition that differs, or is held for differing, does so.
pub(super) fn diffs(gateway: &Gateway, survey: &Survey) -> Diffs {
    let diff = |change: &Change| {
        let Some(item) = &change.item else { return String::new() };
        let key = (change.server.clone(), item.clone());
        let now = survey.definitions.get(&key);
        match (change.before, now) {
            (Some(before), now) if change.kind != ChangeKind::Returned => {
                unified(gateway, before, now.map_or("", String::as_str))
            }
            (None, Some(now)) => lines("", &pretty(now)),
            (Some(_) | None, _) => String::new(),
        }
    };
    let changes = survey.changes.iter().map(diff).collect();
    let changed = survey.changes.iter();
    let changed: BTreeSet<_> =
        changed.filter_map(|change| Some((&change.server, change.item.as_ref()?))).collect();
    let held = survey.definitions.iter();
    let held = held.filter(|((server, item), _)| !changed.contains(&(server, item)));
    let held = held.filter_map(|((server, item), now)| {
        let before = survey.held_from(server, item)?;
        let diff = match before {
            Some(before) => unified(gateway, before, now),
            None => lines("", &pretty(now)),
        };
        Some(((server.clone(), item.kind, item.name.clone()), diff))
    });
    Diffs { changes, held: held.collect() }
}

/// The unified diff from the definition whose digest was pinned to the canonical text `now`.
pub(crate) fn unified(gateway: &Gateway, pinned: Digest, now: &str) -> String {
    match gateway.store().definition(pinned) {
        Ok(Some(before)) => lines(&pretty(&before), &pretty(now)),
        Ok(None) => format!(
            "The definition that was pinned was never seen on this machine; as it is now:\n{}",
            lines("", &pretty(now))
        ),
        // What is kept beside the lockfile is no measure where it has another digest.
        Err(error) => format!(
            "What is kept of the definition that was pinned cannot be used ({error}); as it is now:\n{}",
            lines("", &pretty(now))
        ),
    }
}

/// A definition on lines of its own; what is no JSON, as it is.
fn pretty(text: &str) -> String {
    let tree = serde_json::from_str::<Value>(text).ok();
    let pretty = tree.and_then(|tree| serde_json::to_string_pretty(&tree).ok());
    pretty.unwrap_or_else(|| text.to_owned()) + "\n"
}

fn lines(before: &str, after: &str) -> String {
    let before = if before.trim().is_empty() { "" } else { before };
    let after = if after.trim().is_empty() { "" } else { after };
    let diff = TextDiff::from_lines(before, after);
    let text = diff.unified_diff().context_radius(AROUND).to_string();
    let count = text.lines().count();
    let mut shown: Vec<_> = text.lines().take(LINES).map(one_line).collect();
    if count > LINES {
        shown.push(format!("({} more lines)", count - LINES));
    }
    shown.join("\n")
}

pub(super) fn show(
    survey: &Survey,
    outcome: &Outcome<'_>,
    diffs: &Diffs,
    json: bool,
) -> Result<(), Failure> {
    if json {
        return show_to_program(survey, outcome, diffs);
    }
    for (at, change) in survey.changes.iter().enumerate() {
        let kind = format!("{:?}", change.kind).to_lowercase();
        output::line(format_args!("{kind:<8} {}", described(change)))?;
        if let Some(diff) = diffs.changes.get(at).filter(|diff| !diff.is_empty()) {
            output::line(diff)?;
        }
    }
    for (key, warning) in &survey.hints.warnings {
        let (server, _, named) = key;
        output::line(format_args!("held     {server}/{}: {}", name(named), printable(warning)))?;
        if let Some(diff) = diffs.held.get(key) {
            output::line(diff)?;
        }
    }
    show_end(survey, outcome)
}

fn show_to_program(survey: &Survey, outcome: &Outcome<'_>, diffs: &Diffs) -> Result<(), Failure> {
    let changes = survey.changes.iter().enumerate().map(|(at, change)| {
        let kind = change.item.as_ref().map(|item| item.kind);
        let named = change.item.as_ref().map(|item| item.name.as_str());
        let mut shown = json!({
            "server": change.server,
            "what": kind.map_or("program", Offering::as_str),
            "tool": named.filter(|_| kind == Some(Offering::Tool)),
            "name": named,
            "kind": change.kind,
        });
        if let (Some(diff), Some(shown)) = (diffs.changes.get(at), shown.as_object_mut()) {
            shown.insert("diff".to_owned(), diff.as_str().into());
        }
        shown
    });
    let held = survey.hints.warnings.iter().map(|(key, why)| {
        let (server, kind, name) = key;
        let mut shown = json!({"server": server, "what": kind.as_str(), "name": name, "why": why});
        if let (Some(diff), Some(shown)) = (diffs.held.get(key), shown.as_object_mut()) {
            shown.insert("diff".to_owned(), diff.as_str().into());
        }
        shown
    });
    output::json(&json!({
        "file": outcome.path,
        "written": !outcome.looks_only && !outcome.same,
        "changes": changes.collect::<Vec<_>>(),
        "held": held.collect::<Vec<_>>(),
        "agreed": outcome.agreed,
    }))
}

fn show_end(survey: &Survey, outcome: &Outcome<'_>) -> Result<(), Failure> {
    let path = outcome.path;
    match (outcome.looks_only, outcome.same) {
        // Where a server could not be asked, nobody knows; what returned is a difference too.
        (_, true) if survey.failed.is_empty() && survey.changes.is_empty() => {
            output::line(format_args!("{path} is up to date"))?;
        }
        (_, true) | (true, false) => {}
        (false, false) => output::line(format_args!("wrote {path}"))?,
    }
    if !outcome.agreed.is_empty() {
        output::line(format_args!(
            "what you send may go to {} from now on; to take that back: tagout consent revoke SERVER",
            outcome.agreed.join(", ")
        ))?;
    }
    if survey.changes.iter().any(|change| change.kind == ChangeKind::Returned) {
        output::line(
            "what returned stays hidden until you accept it: tagout pin --accept SERVER/NAME",
        )?;
    }
    let held = survey.hidden();
    if held > 0 {
        output::line(format_args!(
            "{held} stay hidden until you accept them: read them (tagout tools inspect NAME), then\n\
             tagout pin --accept SERVER/NAME"
        ))?;
    }
    let tools = || survey.proposal.servers.values().flat_map(|server| server.tools.values());
    let unreviewed = tools().filter(|tool| !tool.reviewed && !tool.held).count();
    if unreviewed > 0 {
        output::line(format_args!(
            "{unreviewed} of {} tools are not reviewed and ask before each call. Check their\n\
             effects in the lockfile, then set `reviewed = true`, or: tagout pin --accept SERVER[/TOOL]",
            tools().count()
        ))?;
    }
    if outcome.unsigned {
        output::line(
            "its signature is of what stood there before; sign it: tagout pin --sign KEYFILE",
        )?;
    }
    Ok(())
}
