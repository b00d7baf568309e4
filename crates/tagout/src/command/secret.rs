//! `secret`: what Tagout keeps for servers.
use std::{
    collections::BTreeMap,
    io::{self, Read as _},
    process::ExitCode,
};

use jiff::tz::TimeZone;
use tagout_gateway::{
    config::Source,
    secrets::{KeptTrouble, Secrets, StorePlaces, references},
};
use tagout_inspect::live::commonplace;
use tagout_proto::Secret;
use tagout_secrets::{Kept, MOST_BYTES, SecretName};

use crate::{
    cli::{SecretCommand, SecretSet},
    failure::{Ended, Failure},
    output,
    passphrase::Person,
    places::Places,
    setup::{self, Setup, clock},
};

/// Keeps, lists or forgets secrets.
pub(crate) fn secret(
    places: &Places,
    command: &SecretCommand,
    json: bool,
) -> Result<ExitCode, Failure> {
    match command {
        SecretCommand::Set(set) => keep(places, set, json),
        SecretCommand::Ls => list(places, json),
        SecretCommand::Rm { name } => forget(places, name, json),
    }
}

fn keep(places: &Places, set: &SecretSet, json: bool) -> Result<ExitCode, Failure> {
    let name = named(&set.name)?;
    let value = if set.stdin { from_stdin()? } else { typed(&name)? };
    let weak = commonplace(value.expose());
    let gateway = Setup::read(places)?.open(places)?;
    let replaced = gateway.set_secret(&name, value).map_err(|error| failed(&error))?;
    if json {
        let mut set = serde_json::json!({ "set": name.as_str(), "replaced": replaced });
        if let (Some(weak), Some(set)) = (weak, set.as_object_mut()) {
            set.insert("warning".to_owned(), format!("this secret {weak}").into());
        }
        output::json(&set)?;
        return Ok(Ended::Done.into());
    }
    let what = if replaced { "replaced" } else { "kept" };
    output::line(format_args!(
        "{what} `{name}`; the configuration refers to it by `secret://{name}`"
    ))?;
    if let Some(weak) = weak {
        output::line(format_args!("warning: this secret {weak}"))?;
    }
    let users = users(&setup::config(places)?, &name);
    if replaced && !users.is_empty() {
        output::line(
            "remote servers are sent the new one from their next request on; those that run here\n\
             get it when they are started again",
        )?;
    }
    Ok(Ended::Done.into())
}

fn list(places: &Places, json: bool) -> Result<ExitCode, Failure> {
    let config = setup::config(places)?;
    let at = StorePlaces::beside(&places.head_key);
    let secrets = Secrets::new(config.secrets.clone(), at, clock());
    let kept = secrets.kept().map_err(|error| failed(&error))?;
    let mut used = BTreeMap::<SecretName, Vec<String>>::new();
    for (source, by) in references(&config) {
        if let Source::Stored(name) = source {
            used.entry(name).or_default().push(by);
        }
    }
    let mut rows = Vec::new();
    for Kept { name, set_at } in kept {
        let by = used.remove(&name).unwrap_or_default();
        if json {
            let name = name.as_str();
            output::json(&serde_json::json!({ "name": name, "set_at": set_at, "used_by": by }))?;
            continue;
        }
        let day = set_at.to_zoned(TimeZone::UTC).date();
        let by = if by.is_empty() { "used by nobody".to_owned() } else { by.join(", ") };
        rows.push(vec![name.to_string(), format!("set {day}"), by]);
    }
    for (name, by) in used {
        if json {
            let name = name.as_str();
            output::json(&serde_json::json!({ "name": name, "set_at": null, "used_by": by }))?;
            continue;
        }
        rows.push(vec![name.to_string(), "not set".to_owned(), by.join(", ")]);
    }
    if !rows.is_empty() {
        output::line(output::table(&rows))?;
    } else if !json {
        output::line("no secrets; keep one with `tagout secret set NAME`")?;
    }
    Ok(Ended::Done.into())
}

fn forget(places: &Places, name: &str, json: bool) -> Result<ExitCode, Failure> {
    let name = named(name)?;
    let gateway = Setup::read(places)?.open(places)?;
    gateway.remove_secret(&name).map_err(|error| failed(&error))?;
    if json {
        output::json(&serde_json::json!({ "removed": name.as_str() }))?;
        return Ok(Ended::Done.into());
    }
    output::line(format_args!("forgot `{name}`"))?;
    let users = users(&setup::config(places)?, &name);
    if !users.is_empty() {
        output::line(format_args!(
            "still referred to, and missed from now on: {}",
            users.join(", ")
        ))?;
    }
    Ok(Ended::Done.into())
}

fn users(config: &tagout_gateway::config::Config, name: &SecretName) -> Vec<String> {
    let is_it = |source: &Source| matches!(source, Source::Stored(stored) if stored == name);
    references(config).into_iter().filter(|(of, _)| is_it(of)).map(|(_, by)| by).collect()
}

fn named(name: &str) -> Result<SecretName, Failure> {
    SecretName::try_from(name)
        .map_err(|error| Failure::usage("secret-name", error, "choose another name"))
}

fn typed(name: &SecretName) -> Result<Secret<String>, Failure> {
    let mut person = Person::there().map_err(|_| {
        let message = "there is no terminal to ask for the secret on";
        let help = "run it in a terminal, or hand the secret in by `--stdin`";
        Failure::new(Ended::NeedsApproval, "secret-terminal", message).with_help(help)
    })?;
    let value = person.passphrase(&format!("Secret `{name}` (nothing shows)"))?;
    if value.expose().is_empty() {
        return Err(Failure::usage("secret-unusable", "nothing was typed", "type the secret"));
    }
    Ok(value)
}

fn from_stdin() -> Result<Secret<String>, Failure> {
    // Of its full size at once: a buffer that grows leaves what it held behind.
    let mut text = String::with_capacity(MOST_BYTES + 64);
    let most = u64::try_from(MOST_BYTES).unwrap_or(u64::MAX) + 2;
    #[expect(clippy::disallowed_methods, reason = "bounded by `take`")]
    let read = io::stdin().lock().take(most).read_to_string(&mut text);
    let unusable = |message: String| {
        let help = "hand in a text of at most 16 KiB, by `tagout secret set NAME --stdin < FILE`";
        Failure::usage("secret-unusable", message, help)
    };
    let read = read.map_err(|error| unusable(format!("standard input cannot be read: {error}")));
    let end = text.strip_suffix('\n').map_or(text.len(), str::len);
    let end = text.get(..end).and_then(|text| text.strip_suffix('\r')).map_or(end, str::len);
    text.truncate(end);
    let value = Secret::new(text);
    read?;
    match value.expose().len() {
        0 => Err(unusable("standard input is empty".to_owned())),
        1..=MOST_BYTES => Ok(value),
        _ => Err(unusable(format!("a secret has at most {MOST_BYTES} bytes"))),
    }
}

fn failed(error: &KeptTrouble) -> Failure {
    match error {
        KeptTrouble::Unknown => Failure::usage(error.code(), error, error.help()),
        KeptTrouble::Passphrase(_) | KeptTrouble::Store(_) | KeptTrouble::Audit(_) => {
            Failure::of(error, error.code(), error.help())
        }
    }
}
