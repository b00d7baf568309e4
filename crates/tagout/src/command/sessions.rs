//! `sessions`: what is kept of conversations with the assistant.
use std::{
    fs::OpenOptions,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    process::ExitCode,
};

use serde_json::{Value, json};
use tagout_gateway::identity::os_user;
use tagout_inspect::characters::one_line;
use tagout_store::{Listed, SessionId, Standing};
use tagout_terminal::printable;

use crate::{
    cli::{SessionFormat, SessionsCommand, SessionsExport},
    conversation::{Conversations, Document, Which, counted, decisions},
    failure::{Ended, Failure},
    output,
    places::Places,
    setup,
};

/// Lists, shows, exports or removes one's own.
pub(crate) fn sessions(
    places: &Places,
    command: &SessionsCommand,
    json: bool,
) -> Result<ExitCode, Failure> {
    let config = setup::config(places)?;
    // Removing what is too old is said here by those alone who ask for it.
    let own = Conversations::of(places, &config, os_user(&config))?;
    match command {
        SessionsCommand::Ls => ls(&own, json),
        SessionsCommand::Show { id } => {
            let format = if json { SessionFormat::Json } else { SessionFormat::Md };
            output::line(text(places, &own, (id, format))?.trim_end())?;
            Ok(Ended::Done.into())
        }
        SessionsCommand::Export(wanted) => export(places, &own, wanted, json),
        SessionsCommand::Rm { id } => remove(&own, id, json),
        SessionsCommand::Expire => expire(&own, json),
    }
}

fn ls(own: &Conversations<'_>, json: bool) -> Result<ExitCode, Failure> {
    let listed = own.list()?;
    if json {
        for one in &listed {
            output::json(&row_as_json(one))?;
        }
    } else if listed.is_empty() {
        output::line(match own.keep_days() {
            0 => "there are no sessions, and none are kept (`keep_days = 0`)".to_owned(),
            days => format!("there are no sessions; one is kept for {days} days"),
        })?;
    } else {
        let mut rows: Vec<_> = listed.iter().map(row).collect();
        for messages in rows.iter_mut().filter_map(|row| row.get_mut(2)) {
            let noun = if messages == "1" { "message" } else { "messages" };
            *messages = format!("{messages} {noun}");
        }
        output::line(output::table(&rows))?;
    }
    if listed.iter().any(|one| one.standing == Standing::KeyMissing) {
        if let Some(trouble) = own.key_trouble() {
            let message = printable(trouble.message());
            output::aside(format_args!("tagout: {message} [{}]", trouble.code()));
            output::aside(format_args!("  help: {}", trouble.help().unwrap_or_default()));
        }
    } else if own.keep_days() == 0 && listed.iter().any(|one| one.standing != Standing::OtherKey) {
        output::aside(
            "none are kept any more (`keep_days = 0`); `tagout sessions expire` removes these",
        );
    }
    Ok(Ended::Done.into())
}

/// All of one's own as rows of a table: identifier, last use, messages, model, title.
pub(crate) fn rows(own: &Conversations<'_>) -> Result<Vec<Vec<String>>, Failure> {
    Ok(own.list()?.iter().map(row).collect())
}

/// Writes one into a new file, in the format that the file's name ends with.
pub(crate) fn into_file(
    places: &Places,
    own: &Conversations<'_>,
    id: &str,
    path: &Path,
) -> Result<(), Failure> {
    let json = path.extension().is_some_and(|extension| extension == "json");
    let format = if json { SessionFormat::Json } else { SessionFormat::Md };
    let text = text(places, own, (id, format))?;
    written(path, &text, false)
}

fn row(listed: &Listed) -> Vec<String> {
    let when = listed.updated_at.map(|at| at.strftime("%Y-%m-%d %H:%M").to_string());
    let (messages, model, title) = match &listed.standing {
        Standing::Sealed { about, .. } => {
            (about.messages.to_string(), one_line(&about.model), one_line(&printable(&about.title)))
        }
        Standing::OtherKey => ("?".into(), String::new(), "(sealed under another key)".into()),
        Standing::KeyMissing => ("?".into(), String::new(), "(sealed; its key is missing)".into()),
        Standing::NotValid => {
            ("?".into(), String::new(), "(changed since it was kept: not valid)".into())
        }
    };
    vec![listed.id.short().to_owned(), when.unwrap_or_default(), messages, model, title]
}

fn row_as_json(listed: &Listed) -> Value {
    let (id, updated_at) = (listed.id.as_str(), listed.updated_at);
    match &listed.standing {
        Standing::Sealed { about, started_at } => json!({
            "id": id, "updated_at": updated_at, "standing": "sealed", "title": about.title,
            "model": about.model, "messages": about.messages, "started_at": started_at,
        }),
        Standing::OtherKey => {
            json!({"id": id, "updated_at": updated_at, "standing": "other_key"})
        }
        Standing::KeyMissing => {
            json!({"id": id, "updated_at": updated_at, "standing": "key_missing"})
        }
        Standing::NotValid => {
            json!({"id": id, "updated_at": updated_at, "standing": "not_valid"})
        }
    }
}

/// The whole session in one text.
fn text(
    places: &Places,
    own: &Conversations<'_>,
    (id, format): (&str, SessionFormat),
) -> Result<String, Failure> {
    let whole = own.whole(&own.find(&which(id))?)?;
    let decisions = decisions(places, &whole.entries, whole.session.started_at())?;
    let document = Document::new(&whole, &decisions);
    match format {
        SessionFormat::Md => Ok(document.markdown()),
        SessionFormat::Json => Ok(output::escaped(&document.json().to_string()) + "\n"),
    }
}

fn which(id: &str) -> Which {
    match id.parse() {
        Ok(which) => which,
        Err(never) => match never {},
    }
}

fn export(
    places: &Places,
    own: &Conversations<'_>,
    wanted: &SessionsExport,
    json: bool,
) -> Result<ExitCode, Failure> {
    let text = text(places, own, (&wanted.id, wanted.format))?;
    let Some(path) = &wanted.output else {
        output::line(text.trim_end())?;
        return Ok(Ended::Done.into());
    };
    written(path, &text, wanted.force)?;
    let shown = path.display().to_string();
    if json {
        output::json(&json!({ "exported": shown }))?;
    } else {
        output::line(format_args!("written to `{}`", one_line(&shown)))?;
    }
    Ok(Ended::Done.into())
}

fn written(path: &Path, text: &str, replace: bool) -> Result<(), Failure> {
    write(path, text, replace).map_err(|error| {
        let is_there = error.kind() == io::ErrorKind::AlreadyExists;
        let help = if is_there { "choose another name, or replace it with `--force`" } else { "" };
        Failure::io(path, error).with_help(help)
    })
}

/// For its owner alone. What is replaced is replaced whole: never through a link, and whoever had
/// the old file open does not get the new one.
fn write(path: &Path, text: &str, replace: bool) -> io::Result<()> {
    let open = |path: &Path| OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let fill = |mut file: std::fs::File| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    if !replace {
        return open(path).and_then(fill);
    }
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.new", hex::encode(random)));
    let draft = Path::new(&name);
    // What was not made here is somebody else's.
    let made = open(draft)?;
    let written = fill(made).and_then(|()| std::fs::rename(draft, path));
    if written.is_err() {
        drop(std::fs::remove_file(draft));
    }
    written
}

fn remove(own: &Conversations<'_>, ids: &[String], json: bool) -> Result<ExitCode, Failure> {
    // All are found before the first goes.
    let found: Vec<SessionId> =
        ids.iter().map(|id| own.find(&which(id))).collect::<Result<_, _>>()?;
    for id in found {
        if !own.remove(&id)? {
            continue;
        }
        if json {
            output::json(&json!({ "removed": id.as_str() }))?;
        } else {
            output::line(format_args!("removed session {id}"))?;
        }
    }
    Ok(Ended::Done.into())
}

fn expire(own: &Conversations<'_>, json: bool) -> Result<ExitCode, Failure> {
    let (pictures, days) = (own.expire_pictures()?, own.keep_days());
    let told = counted(pictures, "picture");
    let gone = own.expire().inspect_err(|_| {
        if pictures > 0 {
            output::aside(format_args!("removed {told}"));
        }
    })?;
    if json {
        output::json(&json!({ "expired": gone, "pictures": pictures, "keep_days": days }))?;
    } else {
        let sessions = counted(gone, "session");
        output::line(match days {
            0 => format!(
                "removed {sessions} and {told}, whenever used; none are kept (`keep_days = 0`)"
            ),
            days => format!("removed {sessions} not used for {days} days, and {told}"),
        })?;
    }
    Ok(Ended::Done.into())
}
