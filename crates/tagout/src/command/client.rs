//! `client`: Tagout in the files of MCP clients.
use std::{path::Path, process::ExitCode};

use crate::{
    cli::{Client as Asked, ClientConnect, ClientDisconnect},
    clients::{
        Client, Homes, Launch,
        backup::{Backup, Kept},
        confirm::confirm,
        edit::Place,
        file::{Found, Named, look},
        preview::diff,
        tree::Unreadable,
    },
    failure::{Ended, Failure},
    output,
    places::Places,
};

/// Connects, disconnects or lists clients.
pub(crate) fn client(places: &Places, asked: &Asked, json: bool) -> Result<ExitCode, Failure> {
    match asked {
        Asked::Connect(connect) => join(places, connect, json),
        Asked::Disconnect(disconnect) => part(places, disconnect, json),
        Asked::List => list(json),
    }
}

fn found(client: Client, file: Option<&Path>) -> Result<Found, Failure> {
    let homes = Homes::find()?;
    match file {
        Some(file) => look(file, Named::ByUser(&homes.home)),
        None => {
            let path = client.file(&homes);
            // A folder that was moved out of the home by a variable was moved on purpose.
            let moved = path.parent().filter(|_| !path.starts_with(&homes.home));
            look(&path, Named::Usual(moved.unwrap_or(&homes.home)))
        }
    }
}

fn join(places: &Places, connect: &ClientConnect, json: bool) -> Result<ExitCode, Failure> {
    let entry = connect.name.entry(&launch(places, connect)?)?;
    let found = found(connect.name, connect.file.as_deref())?;
    let place = connect.name.place();
    let shown = found.path.display().to_string();
    let failed = |error: Unreadable| unreadable(&shown, place, &error);
    let before = found.before();
    if place.entry(before).map_err(failed)?.as_ref() == Some(&entry) {
        return said(connect.name, &shown, "unchanged", json);
    }
    let after = place.with(before, &entry).map_err(failed)?;
    let question = format!("Write this into {}?", connect.name.title());
    confirm(&diff(before, &after, &shown), &question, connect.yes)?;
    Backup::of(places, &found.path).keep(&found.path, found.text.as_deref(), &after)?;
    found.replace(&after)?;
    said(connect.name, &shown, "connected", json)
}

fn part(places: &Places, asked: &ClientDisconnect, json: bool) -> Result<ExitCode, Failure> {
    let found = found(asked.name, asked.file.as_deref())?;
    let place = asked.name.place();
    let shown = found.path.display().to_string();
    let failed = |error: Unreadable| unreadable(&shown, place, &error);
    let before = found.before();
    let backup = Backup::of(places, &found.path);
    let kept = backup.find(before)?;
    let (after, outcome) = match kept {
        Kept::Before(Some(text)) => (Some(text), "restored"),
        Kept::Before(None) => (None, "removed-file"),
        Kept::Changed | Kept::Unknown => {
            if place.entry(before).map_err(failed)?.is_none() {
                return said(asked.name, &shown, "unchanged", json);
            }
            (Some(place.without(before).map_err(failed)?), "removed-entry")
        }
    };
    let change = diff(before, after.as_deref().unwrap_or_default(), &shown);
    confirm(&change, &format!("Take Tagout out of {}?", asked.name.title()), asked.yes)?;
    match &after {
        Some(text) => found.replace(text)?,
        None => found.remove()?,
    }
    backup.forget()?;
    said(asked.name, &shown, outcome, json)
}

fn list(json: bool) -> Result<ExitCode, Failure> {
    use clap::ValueEnum as _;
    let homes = Homes::find()?;
    let mut rows = Vec::new();
    for client in Client::value_variants() {
        let path = client.file(&homes);
        let standing = match found(*client, None) {
            Ok(found) if found.text.is_none() => "no file",
            Ok(found) => match client.place().entry(found.before()) {
                Ok(Some(_)) => "connected",
                Ok(None) => "not connected",
                Err(_) => "unreadable",
            },
            Err(_) if !path.exists() => "not installed",
            Err(_) => "not touched",
        };
        let shown = path.display().to_string();
        if json {
            let row = serde_json::json!({"name": client.id(), "standing": standing, "file": shown});
            output::json(&row)?;
        } else {
            rows.push(vec![client.id().to_owned(), standing.to_owned(), shown]);
        }
    }
    if !rows.is_empty() {
        output::line(output::table(&rows))?;
    }
    Ok(Ended::Done.into())
}

fn launch(places: &Places, connect: &ClientConnect) -> Result<Launch, Failure> {
    if let Some(url) = &connect.http {
        check_url(url)?;
        let key = connect.key.as_deref().map(variable).transpose()?;
        return Ok(Launch::Http { url: url.clone(), key });
    }
    if connect.key.is_some() {
        let message = "a key is for `--http`; a program that the client starts needs none";
        return Err(Failure::usage(
            "client-key",
            message,
            "leave out `--key`, or add `--http URL`",
        ));
    }
    let own = std::env::current_exe().map_err(|error| Failure::io(Path::new("/proc"), error))?;
    let text = |path: &Path| {
        path.to_str().map(str::to_owned).ok_or_else(|| {
            let message = format!("`{}` is no text, and files hold texts", path.display());
            Failure::usage("client-file", message, "move it to a path that is UTF-8")
        })
    };
    let mut args = vec!["run".to_owned()];
    if places.named {
        args.extend(["--config".to_owned(), text(&places.config)?]);
    }
    Ok(Launch::Program { command: text(&own)?, args })
}

fn check_url(url: &str) -> Result<(), Failure> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let host = rest.and_then(|rest| rest.split(['/', '?', '#']).next());
    let plain = url.len() <= 2048
        && url.bytes().all(|b| b.is_ascii_graphic() && !b"\"'\\`<>{}$".contains(&b));
    match host {
        Some(host) if plain && !host.is_empty() && !host.contains('@') => Ok(()),
        Some(_) | None => {
            let message = "that is no plain http:// or https:// URL without a user in it";
            let help = "write `--http http://127.0.0.1:PORT/mcp`, as `tagout run --http` says it";
            Err(Failure::usage("client-http", message, help))
        }
    }
}

/// The variable of `env:NAME`. What is given in its place may be the key itself, so it is not
/// repeated.
fn variable(reference: &str) -> Result<String, Failure> {
    let name = reference.strip_prefix("env:").filter(|name| {
        let mut bytes = name.bytes();
        bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
            && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
            && name.len() <= 256
            && !name.starts_with(tagout_gateway::keys::PREFIX)
    });
    name.map(str::to_owned).ok_or_else(|| {
        let message = "`--key` names a variable of the client's environment that holds the key";
        let help = "write `--key env:TAGOUT_KEY`; Tagout writes no key into a file";
        Failure::usage("client-key", message, help)
    })
}

fn said(client: Client, file: &str, outcome: &str, json: bool) -> Result<ExitCode, Failure> {
    if json {
        let said = serde_json::json!({"client": client.id(), "file": file, "outcome": outcome});
        output::json(&said)?;
        return Ok(Ended::Done.into());
    }
    let title = client.title();
    output::line(match outcome {
        "connected" => format!("{title} is connected: {file}\nStart it again for it to see that."),
        "restored" => format!("{file} is again what it was, byte for byte"),
        "removed-file" => format!("{file} was made by Tagout and is gone"),
        "removed-entry" => {
            format!("{file} was changed since, so only the entry `tagout` was taken out")
        }
        _ => format!("{file} is as it should be; nothing was changed"),
    })?;
    Ok(Ended::Done.into())
}

fn unreadable(file: &str, place: Place, error: &Unreadable) -> Failure {
    let message = format!("`{file}` cannot be changed as {}: {error}", place.format.as_str());
    let help = "nothing was changed; mend the file, or add the entry by hand";
    Failure::usage("client-unreadable", message, help)
}
