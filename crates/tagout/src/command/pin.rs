//! `pin`: the lockfile.
mod shown;
mod sign;

use std::{collections::BTreeSet, process::ExitCode};

use tagout_gateway::{
    Gateway,
    lockfile::Lockfile,
    pin::{Accept, Survey},
};
use tagout_proto::{Digest, ServerName};

use self::shown::Diffs;
pub(crate) use self::shown::unified;
use crate::{
    cli::Pin,
    command::{
        add::{hold, write},
        consent, in_runtime,
    },
    failure::{Ended, Failure},
    places::Places,
    setup::{Setup, read},
    signed,
};

/// What came of it.
struct Outcome<'a> {
    /// The lockfile.
    path: &'a str,
    /// Nothing was to be written.
    looks_only: bool,
    /// The lockfile says already what it should.
    same: bool,
    /// Servers that what one sends may go to from now on.
    agreed: Vec<&'a str>,
    /// There is a signature, or should be, and it is of what stood there before.
    unsigned: bool,
}

/// Asks every server what it is and offers, and writes that down for review.
pub(crate) fn pin(places: &Places, pin: &Pin, json: bool) -> Result<ExitCode, Failure> {
    if let Some(file) = &pin.new_signing_key {
        return sign::new_key(file, json);
    }
    // Without a folder there is nothing to pin, and nobody else writes either.
    let _held = places.folder().is_dir().then(|| hold(places.folder())).transpose()?;
    let ended = match &pin.sign {
        // Signed is what somebody could look at, and no server can change it meanwhile.
        Some(_) if pin.accept.is_empty() => None,
        Some(_) | None => Some(surveyed(places, pin, json)?),
    };
    match (&pin.sign, ended) {
        (Some(key), _) => sign::sign(places, key, json),
        (None, ended) => Ok(ended.unwrap_or(Ended::Done).into()),
    }
}

fn surveyed(places: &Places, pin: &Pin, json: bool) -> Result<Ended, Failure> {
    // What is made here nobody can have signed; what is checked somebody must have.
    let setup = Setup::read_to_pin(places, pin.check)?;
    let accept = accepted(pin, &setup)?;
    let signs = !setup.config.signed_by.is_empty();
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
    let looks_only = pin.check || (pin.diff && accept.0.is_empty());
    if !looks_only {
        // On record before it holds.
        let recorded = gateway.record_reviews(&survey);
        recorded.map_err(|error| Failure::of(&error, error.code(), error.help()))?;
        if !same {
            write(&path, &text)?;
        }
        let released = gateway.release(&survey);
        released.map_err(|error| Failure::of(&error, error.code(), error.help()))?;
    }
    let agreed = agreed(&gateway, &accept, &survey, looks_only)?;
    let was_signed = signs || signed::beside(&path).exists();
    let unsigned = was_signed && !same && !looks_only && pin.sign.is_none();
    let path = path.display().to_string();
    let outcome = Outcome { path: &path, looks_only, same, agreed, unsigned };
    let diffs = if pin.diff { shown::diffs(&gateway, &survey) } else { Diffs::default() };
    shown::show(&survey, &outcome, &diffs, json)?;
    ended(pin, &survey, same)
}

fn ended(pin: &Pin, survey: &Survey, same: bool) -> Result<Ended, Failure> {
    if let Some((server, error)) = survey.failed.first_key_value() {
        let message = format!("server `{server}`: {error}");
        return Err(Failure::new(Ended::Failed, "pin-incomplete", message)
            .with_help("what was pinned of it before stays as it was"));
    }
    if let Some((server, item)) = survey.unseen.first() {
        let message = format!(
            "`{server}/{}` is not accepted: it does not stand in the lockfile as it is now",
            shown::name(&item.name)
        );
        return Err(Failure::new(Ended::Failed, "pin-not-seen", message)
            .with_help("look at it in the lockfile, then accept it"));
    }
    if pin.check && (!same || !survey.changes.is_empty()) {
        return Err(Failure::new(Ended::Failed, "pin-differs", "the lockfile is not up to date")
            .with_help("look at the changes (`tagout pin --diff`), then run `tagout pin`"));
    }
    Ok(Ended::Done)
}

fn accepted(pin: &Pin, setup: &Setup) -> Result<Accept, Failure> {
    let mut accept = BTreeSet::new();
    for text in &pin.accept {
        let (server, name) = match text.split_once('/') {
            Some((server, name)) => (server, Some(name.to_owned())),
            None => (text.as_str(), None),
        };
        let server = ServerName::try_from(server).ok();
        let known = server.filter(|server| {
            setup.config.servers.contains_key(server) && name.as_ref().is_none_or(|n| !n.is_empty())
        });
        let Some(server) = known else {
            let message = format!("there is no server for `{text}`");
            return Err(Failure::usage("server-unknown", message, "see `tagout list`"));
        };
        accept.insert((server, name));
    }
    Ok(Accept(accept))
}

/// What is to be accepted and is not there was misspelt.
fn check_accepted(accept: &Accept, survey: &Survey) -> Result<(), Failure> {
    for (server, name) in &accept.0 {
        let Some(name) = name else { continue };
        let asked =
            survey.proposal.servers.get(server).filter(|_| !survey.failed.contains_key(server));
        let is_there = asked.is_none_or(|server| {
            server.tools.contains_key(name.as_str())
                || server.prompts.contains_key(name)
                || server.templates.contains_key(name)
        });
        if !is_there {
            let message = format!(
                "server `{server}` has no tool, prompt or template `{}`",
                shown::name(name)
            );
            return Err(Failure::usage("tool-unknown", message, "see `tagout tools ls`"));
        }
    }
    Ok(())
}

/// Who confirms what a server's tools are agrees that what they send goes to it.
fn agreed<'a>(
    gateway: &Gateway,
    accept: &'a Accept,
    survey: &Survey,
    looks_only: bool,
) -> Result<Vec<&'a str>, Failure> {
    let accepted: BTreeSet<_> = accept.0.iter().map(|(server, _)| server).collect();
    let asked =
        accepted.into_iter().filter(|server| !looks_only && !survey.failed.contains_key(*server));
    let unseen = |server: &ServerName| survey.unseen.iter().any(|(of, _)| of == server);
    let seen = asked.filter(|server| !unseen(server)).map(ServerName::as_str);
    consent::along_with(gateway, seen, "pin")
}

fn remember(gateway: &Gateway, survey: &Survey) {
    for text in survey.definitions.values() {
        let digest = Digest::of(text.as_bytes());
        if let Err(error) = gateway.store().remember_definition(digest, text) {
            tracing::warn!(%error, "a definition is not stored");
        }
    }
}
