//! `check`: what holds.
use std::process::ExitCode;

use tagout_gateway::{
    config::Start,
    secrets::{Secrets, StorePlaces, references},
};
use tagout_inspect::live::commonplace;

use crate::{
    failure::{Ended, Failure},
    models, output,
    places::Places,
    setup::{Setup, clock},
};

/// Reads configuration, policies and lockfile, and says what holds.
pub(crate) fn check(places: &Places, json: bool) -> Result<ExitCode, Failure> {
    let setup = Setup::read(places)?;
    models::providers(places)?;
    let rules: Vec<_> = setup.policy.rule_ids().collect();
    let servers: Vec<_> = setup.config.servers.keys().map(ToString::to_string).collect();
    let unpinned = setup.config.servers.iter().filter(|(name, server)| {
        !matches!(server.start, Start::BuiltIn(_)) && !setup.lockfile.servers.contains_key(*name)
    });
    let unpinned: Vec<_> = unpinned.map(|(name, _)| name.to_string()).collect();
    let (missing, weak) = secrets(places, &setup);
    if json {
        output::json(&serde_json::json!({
            "files": setup.files,
            "profile": setup.config.profile,
            "rules": rules,
            "policy_version": setup.policy.version(),
            "servers": servers,
            "unpinned": unpinned,
            "missing_secrets": missing,
            "weak_secrets": weak,
        }))?;
        return Ok(Ended::Done.into());
    }
    let list = |items: &[String]| if items.is_empty() { "none".into() } else { items.join(", ") };
    let files =
        if setup.files.is_empty() { "none: built-in defaults".into() } else { list(&setup.files) };
    let rules: Vec<_> = rules.into_iter().map(ToOwned::to_owned).collect();
    let rows = [
        ("files", files),
        ("profile", setup.config.profile.to_string()),
        ("rules", list(&rules)),
        ("servers", list(&servers)),
    ];
    let rows: Vec<_> = rows.map(|(key, value)| vec![key.to_owned(), value]).into();
    output::line(output::table(&rows))?;
    if !unpinned.is_empty() {
        output::line(format_args!(
            "not pinned yet, so every tool of theirs asks first: {}; see `tagout pin`",
            list(&unpinned)
        ))?;
    }
    if setup.lockfile.is_of_first_version() && !setup.lockfile.servers.is_empty() {
        output::line(
            "the lockfile is of version 1, which says nothing of prompts, templates, packages and\n\
             arguments; to bring it up to date: tagout pin",
        )?;
    }
    for problem in &missing {
        output::line(format_args!("a secret is missing: {problem}"))?;
    }
    for problem in &weak {
        output::line(format_args!("warning: {problem}"))?;
    }
    if !missing.is_empty() {
        return Ok(Ended::Done.into());
    }
    output::line("all is well")?;
    Ok(Ended::Done.into())
}

/// The secrets of this machine that are not to be had, and those that had better be others; and
/// whose they are. Keepers elsewhere are not asked.
fn secrets(places: &Places, setup: &Setup) -> (Vec<String>, Vec<String>) {
    let at = StorePlaces::beside(&places.head_key);
    let secrets = Secrets::new(setup.config.secrets.clone(), at, clock());
    let local = references(&setup.config).into_iter().filter(|(source, _)| source.is_local());
    let (mut missing, mut weak) = (Vec::new(), Vec::new());
    for (source, by) in local {
        match secrets.local(&source) {
            Err(error) => missing.push(format!("{by}: {error}")),
            Ok(text) => {
                weak.extend(commonplace(text.expose()).map(|why| format!("{by}: `{source}` {why}")))
            }
        }
    }
    (missing, weak)
}
