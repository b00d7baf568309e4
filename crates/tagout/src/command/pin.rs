//! `pin`: the lockfile.
use std::{collections::BTreeSet, process::ExitCode};

use tagout_gateway::{
    Gateway,
    lockfile::Lockfile,
    pin::{Accept, Change, Survey},
};
use tagout_proto::{Digest, ServerName, ToolName};

use crate::{
    cli::Pin,
    command::{
        add::{hold, write},
        in_runtime,
    },
    failure::{Ended, Failure},
    output,
    places::Places,
    setup::{Setup, read},
};

/// Asks every server what it is and offers, and writes that down for review.
pub(crate) fn pin(places: &Places, pin: &Pin, json: bool) -> Result<ExitCode, Failure> {
    // Without a folder there is nothing to pin, and nobody else writes either.
    let _held = places.folder().is_dir().then(|| hold(places.folder())).transpose()?;
    let setup = Setup::read(places)?;
    let accept = accepted(pin, &setup)?;
    let gateway = setup.open(places)?;
    let survey = in_runtime(async { Ok(gateway.survey(&accept, !pin.check).await) })?;
    check_accepted(&accept, &survey)?;
    let path = places.lockfile();
    let before = read(&path)?;
    let text = survey.proposal.text(&survey.hints);
    let nothing = before.is_none() && survey.proposal == Lockfile::default();
    // What is written down may be asked for later, when it has changed.
    remember(&gateway, &survey);
    let same = nothing
        || Lockfile::parse("", before.as_deref().unwrap_or_default()).ok().as_ref()
            == Some(&survey.proposal);
    if !pin.check && !same {
        // On record before it holds.
        let recorded = gateway.record_reviews(&survey);
        recorded.map_err(|error| Failure::of(&error, error.code(), error.help()))?;
        write(&path, &text)?;
    }
    show(&survey, &path.display().to_string(), (pin.check, same), json)?;
    if let Some((server, error)) = survey.failed.first_key_value() {
        let message = format!("server `{server}`: {error}");
        return Err(Failure::new(Ended::Failed, "pin-incomplete", message)
            .with_help("what was pinned of it before stays as it was"));
    }
    if let Some((server, tool)) = survey.unseen.first() {
        let message = format!(
            "`{server}/{tool}` is not accepted: it does not stand in the lockfile as it is now"
        );
        return Err(Failure::new(Ended::Failed, "pin-not-seen", message)
            .with_help("look at it in the lockfile, then accept it"));
    }
    if pin.check && !same {
        return Err(Failure::new(Ended::Failed, "pin-differs", "the lockfile is not up to date")
            .with_help("look at the changes, then run `tagout pin`"));
    }
    Ok(Ended::Done.into())
}

fn accepted(pin: &Pin, setup: &Setup) -> Result<Accept, Failure> {
    let mut accept = BTreeSet::new();
    for text in &pin.accept {
        let (server, tool) = match text.split_once('/') {
            Some((server, tool)) => (server, Some(tool)),
            None => (text.as_str(), None),
        };
        let server = ServerName::try_from(server).ok();
        let tool = tool.map(ToolName::try_from).transpose();
        let known = server.filter(|server| setup.config.servers.contains_key(server));
        let (Some(server), Ok(tool)) = (known, tool) else {
            let message = format!("there is no server for `{text}`");
            return Err(Failure::usage("server-unknown", message, "see `tagout list`"));
        };
        accept.insert((server, tool));
    }
    Ok(Accept(accept))
}

/// A tool that is to be accepted and is not there was misspelt.
fn check_accepted(accept: &Accept, survey: &Survey) -> Result<(), Failure> {
    for (server, tool) in &accept.0 {
        let Some(tool) = tool else { continue };
        let asked =
            survey.proposal.servers.get(server).filter(|_| !survey.failed.contains_key(server));
        if asked.is_some_and(|server| !server.tools.contains_key(tool)) {
            let message = format!("server `{server}` has no tool `{tool}`");
            return Err(Failure::usage("tool-unknown", message, "see `tagout tools ls`"));
        }
    }
    Ok(())
}

fn remember(gateway: &Gateway, survey: &Survey) {
    for text in survey.definitions.values() {
        let digest = Digest::of(text.as_bytes());
        if let Err(error) = gateway.store().remember_definition(digest, text) {
            tracing::warn!(%error, "a definition is not stored");
        }
    }
}

fn show(
    survey: &Survey,
    path: &str,
    (check, same): (bool, bool),
    json: bool,
) -> Result<(), Failure> {
    let described = |change: &Change| match &change.tool {
        Some(tool) => format!("{}/{tool}", change.server),
        None => format!("{} (its program)", change.server),
    };
    if json {
        let changes = survey.changes.iter().map(|change| {
            serde_json::json!({"server": change.server, "tool": change.tool, "kind": change.kind})
        });
        return output::json(&serde_json::json!({
            "file": path,
            "written": !check && !same,
            "changes": changes.collect::<Vec<_>>(),
        }));
    }
    for change in &survey.changes {
        output::line(format_args!(
            "{:<8} {}",
            format!("{:?}", change.kind).to_lowercase(),
            described(change)
        ))?;
    }
    let tools = || survey.proposal.servers.values().flat_map(|server| server.tools.values());
    let unreviewed = tools().filter(|tool| !tool.reviewed).count();
    match (check, same) {
        // Where a server could not be asked, nobody knows.
        (_, true) if survey.failed.is_empty() => {
            output::line(format_args!("{path} is up to date"))?;
        }
        (_, true) => {}
        (false, false) => output::line(format_args!("wrote {path}"))?,
        (true, false) => {}
    }
    if unreviewed > 0 {
        output::line(format_args!(
            "{unreviewed} of {} tools are not reviewed and ask before each call. Check their\n\
             effects in the lockfile, then set `reviewed = true`, or: tagout pin --accept SERVER[/TOOL]",
            tools().count()
        ))?;
    }
    Ok(())
}
