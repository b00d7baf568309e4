//! `import`: servers of another program's file, for the configuration.
use std::{
    io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use serde_json::json;
use tagout_gateway::config::{Config, Start};
use tagout_inspect::characters::{hidden, one_line};
use tagout_proto::ServerName;
use tagout_supply::{Launch, launch};

use crate::{
    cli::{Add, Import},
    clients::{
        confirm::confirm,
        tree::{Format, Tree},
    },
    command::add::{Draft, entry, ordered, refused, shell, toml_string},
    failure::{Ended, Failure},
    import::{Entry, Source, Taken, What, fitting, servers, taken},
    output,
    places::Places,
    setup::read,
};

/// What would be added, and what not.
#[derive(Debug, Default, PartialEq, Eq)]
struct Proposal {
    /// The names here and there, and what to know.
    added: Vec<(ServerName, String, Vec<String>)>,
    /// All that would be written.
    text: String,
    /// The names there, and the reasons.
    left_out: Vec<(String, String)>,
    /// About the file as a whole.
    notes: Vec<String>,
}

/// Shows what a file's servers would be here, asks, and adds them; starts none.
pub(crate) fn import(places: &Places, import: &Import, json: bool) -> Result<ExitCode, Failure> {
    let (found, notes) = sources(&import.file)?;
    for only in &import.only {
        if !found.iter().any(|source| source.name == *only) {
            let message = format!("`{}` has no server `{only}`", import.file.display());
            return Err(Failure::usage("import-missing", message, "leave out `--only` to see all"));
        }
    }
    let shown = places.config.display().to_string();
    // Asking takes as long as it takes, and others may want to write meanwhile.
    let from = whole(&import.file)?;
    let mut proposal = propose(&mut Draft::read(places)?, &found, (&import.only, &from))?;
    proposal.notes = notes;
    if proposal.added.is_empty() {
        output::aside(described(&proposal));
    } else {
        let question = format!("Add this to {}?", one_line(&shown));
        confirm(&described(&proposal), &question, import.yes)?;
        let mut draft = Draft::open(places)?;
        if propose(&mut draft, &found, (&import.only, &from))?.text != proposal.text {
            let message = format!("`{shown}` was changed meanwhile");
            return Err(Failure::new(Ended::Failed, "import-changed", message)
                .with_help("nothing was written; look at what would be added once more"));
        }
        draft.write()?;
    }
    said(&proposal, &shown, json)
}

/// The servers of a file, and what to know about it.
fn sources(path: &Path) -> Result<(Vec<Source>, Vec<String>), Failure> {
    let missing = || Failure::io(path, io::Error::from(io::ErrorKind::NotFound));
    // A pipe or a device might have no end.
    if !path.metadata().map_err(|error| Failure::io(path, error))?.is_file() {
        return Err(Failure::io(path, io::Error::from(io::ErrorKind::InvalidInput)));
    }
    let text = read(path)?.ok_or_else(missing)?;
    let format = match path.extension().and_then(|extension| extension.to_str()) {
        Some("toml") => Format::Toml,
        Some("yaml" | "yml") => Format::Yaml,
        Some(_) | None => Format::Jsonc,
    };
    let shown = path.display();
    let tree = Tree::read(&text, format).map_err(|error| {
        let message = format!("`{shown}` cannot be read as {}: {error}", format.as_str());
        Failure::usage("import-unreadable", message, "mend the file; nothing was added")
    })?;
    servers(&tree).map_err(|error| {
        let help = "see docs/clients.md for what is read; or use `tagout add`";
        Failure::usage("import-unknown", format!("`{shown}`: {error}"), help)
    })
}

/// What of `found` would be added to `draft`; it is added to the draft, too.
fn propose(
    draft: &mut Draft<'_>,
    found: &[Source],
    (only, from): (&[String], &Path),
) -> Result<Proposal, Failure> {
    let mut proposal = Proposal::default();
    for source in found.iter().filter(|s| only.is_empty() || only.contains(&s.name)) {
        match place(draft, source, (!only.is_empty(), from))? {
            Ok((name, notes, text)) => {
                proposal.text.push_str(&text);
                proposal.added.push((name, source.name.clone(), notes));
            }
            Err(why) => proposal.left_out.push((source.name.clone(), why)),
        }
    }
    Ok(proposal)
}

/// A server in its place: its name, what to know, and its text.
type Placed = (ServerName, Vec<String>, String);

fn place(
    draft: &mut Draft<'_>,
    source: &Source,
    (only, from): (bool, &Path),
) -> Result<Result<Placed, String>, Failure> {
    let mut entry = match taken(source, only) {
        Taken::Entry(entry) => entry,
        Taken::Not(why) => return Ok(Err(why)),
        Taken::Off => {
            return Ok(Err("it is switched off there; `--only` takes it all the same".to_owned()));
        }
    };
    placed(&mut entry.what, from);
    if is_tagout(&entry.what) {
        return Ok(Err("it is Tagout itself".to_owned()));
    }
    if let Some(why) = fetched(&entry.what, &source.name) {
        return Ok(Err(why));
    }
    if let Some(name) = standing(&draft.config, &entry.what) {
        return Ok(Err(format!("it stands there already, as `{name}`")));
    }
    let servers = &draft.config.servers;
    let Some(name) = fitting(&source.name, |name| servers.contains_key(name)) else {
        return Ok(Err("there is no name left for it".to_owned()));
    };
    let text = written(&name, &entry)?;
    match draft.push(&text) {
        Ok(()) => Ok(Ok((name, entry.notes, text))),
        Err(failure) => Ok(Err(failure.message().to_owned())),
    }
}

/// The folder that a file stands in.
fn whole(file: &Path) -> Result<PathBuf, Failure> {
    let file = std::path::absolute(file).map_err(|error| Failure::io(file, error))?;
    Ok(file.parent().map_or_else(|| PathBuf::from("/"), Path::to_owned))
}

/// The whole path of a program that is meant from where it is started, or from the file on: what it
/// names must not depend on where Tagout is started later.
fn placed(what: &mut What, from: &Path) {
    let What::Program { command, cwd, .. } = what else { return };
    let folder = cwd.as_ref().map_or_else(|| from.to_owned(), |cwd| from.join(cwd));
    *cwd = cwd.as_ref().map(|_| folder.to_string_lossy().into_owned());
    if let Some(program) = command.first_mut().filter(|program| program.contains('/')) {
        let whole: PathBuf = folder.join(&*program).components().collect();
        *program = whole.to_string_lossy().into_owned();
    }
}

/// The entry, with what to know about it above it.
fn written(name: &ServerName, entry: &Entry) -> Result<String, Failure> {
    let notes: String = entry.notes.iter().map(|note| format!("\n# {}", one_line(note))).collect();
    let text = format!("{notes}{}", text(name, &entry.what)?);
    // They stand within strings, where an escape is the same, and can be seen.
    Ok(text.chars().map(visible).collect())
}

fn visible(c: char) -> String {
    match hidden(c) {
        Some(_) => format!("\\U{:08x}", u32::from(c)),
        None => c.to_string(),
    }
}

fn text(name: &ServerName, what: &What) -> Result<String, Failure> {
    match what {
        What::Program { command, .. } => entry(name, &as_added(name.as_str(), what), command),
        What::Url { url, transport, headers } => {
            let mut out = format!("\n[server.{name}]\nurl = {}\n", toml_string(url));
            if let Some(transport) = transport {
                out.push_str(&format!("transport = {}\n", toml_string(transport)));
            }
            let header = |(name, variable): &(String, String)| {
                format!("{} = {}", toml_string(name), toml_string(&format!("env://{variable}")))
            };
            if !headers.is_empty() {
                let headers: Vec<_> = headers.iter().map(header).collect();
                out.push_str(&format!("headers = {{ {} }}\n", headers.join(", ")));
            }
            Ok(out)
        }
    }
}

/// The program as `tagout add` would be told of it.
fn as_added(name: &str, what: &What) -> Add {
    let (env, pass_env, cwd, command) = match what {
        What::Program { command, env, pass_env, cwd } => {
            let env = env.iter().map(|(name, value)| format!("{name}={value}")).collect();
            (env, pass_env.clone(), cwd.as_ref().map(PathBuf::from), command.clone())
        }
        What::Url { .. } => Default::default(),
    };
    Add {
        name: name.to_owned(),
        env,
        pass_env,
        cwd,
        command,
        read: Vec::new(),
        write: Vec::new(),
        reach: Vec::new(),
        minisign: None,
        signature: None,
        new_publisher: false,
        yes: false,
    }
}

/// Why a program that would be fetched is not taken: what it is, nobody has seen yet. Nothing is asked
/// of a registry for a file that somebody else may have written.
fn fetched(what: &What, from: &str) -> Option<String> {
    let What::Program { command, .. } = what else { return None };
    let name = || fitting(from, |_| false).map_or_else(|| "NAME".to_owned(), |n| n.to_string());
    match launch(command) {
        Ok(Launch::Local) => None,
        Ok(Launch::Package(package)) => {
            let words: Vec<_> = command.iter().map(|word| shell(word)).collect();
            Some(format!(
                "it is the package {} {}, which is to be installed: {} -- {}",
                package.name,
                package.version,
                ordered(&as_added(&name(), what)),
                words.join(" ")
            ))
        }
        Err(unfit) => {
            let failure = refused(&unfit, None, &ordered(&as_added(&name(), what)));
            let help = failure.help().unwrap_or_default();
            Some(format!("{} ({}); {help}", failure.message(), failure.code()))
        }
    }
}

/// A client that Tagout was written into has it among its servers; it would start itself without
/// end.
fn is_tagout(what: &What) -> bool {
    let What::Program { command, .. } = what else { return false };
    let Some(program) = command.first().map(Path::new) else { return false };
    let own = std::env::current_exe().is_ok_and(|own| own == program);
    let runs = command.iter().skip(1).any(|word| word == "run");
    runs && (own || program.file_name().is_some_and(|name| name == "tagout"))
}

/// The name under which the same server is there.
fn standing(config: &Config, what: &What) -> Option<ServerName> {
    let same = |start: &Start| match (start, what) {
        (Start::Command(there), What::Program { command, env, cwd, .. }) => {
            let words = std::iter::once(&there.program).chain(&there.args);
            let values = there.env.iter().map(|(name, value)| (name, value.expose()));
            words.eq(command)
                && there.cwd.as_deref() == cwd.as_deref().map(Path::new)
                && sorted(values.collect()) == sorted(env.iter().map(|(n, v)| (n, v)).collect())
        }
        (Start::Remote(there), What::Url { url, .. }) => there.url == *url,
        (Start::BuiltIn(_) | Start::Command(_) | Start::Remote(_), _) => false,
    };
    config.servers.iter().find(|(_, server)| same(&server.start)).map(|(name, _)| name.clone())
}

fn sorted<T: Ord>(mut all: Vec<T>) -> Vec<T> {
    all.sort();
    all
}

/// All of it, with nothing hidden and nothing cut.
fn described(proposal: &Proposal) -> String {
    let mut lines: Vec<_> = proposal.text.lines().map(one_line).collect();
    if !proposal.left_out.is_empty() {
        lines.push("\nNot added:".to_owned());
    }
    for (from, why) in &proposal.left_out {
        lines.push(format!("  {}: {}", one_line(from), one_line(why)));
    }
    lines.extend(proposal.notes.iter().map(|note| one_line(note)));
    lines.join("\n").trim_start_matches('\n').to_owned()
}

fn said(proposal: &Proposal, file: &str, json: bool) -> Result<ExitCode, Failure> {
    if json {
        let added = proposal.added.iter();
        let added =
            added.map(|(name, from, notes)| json!({"name": name, "from": from, "notes": notes}));
        let left_out =
            proposal.left_out.iter().map(|(from, why)| json!({"from": from, "why": why}));
        output::json(&json!({
            "file": file,
            "added": added.collect::<Vec<_>>(),
            "left_out": left_out.collect::<Vec<_>>(),
            "notes": proposal.notes,
        }))?;
    } else if proposal.added.is_empty() {
        output::line("nothing to add")?;
    } else {
        let names: Vec<_> = proposal.added.iter().map(|(name, ..)| format!("`{name}`")).collect();
        output::line(format_args!(
            "added {} to {file}\n\
             None was started. Nobody has reviewed their tools, so each call asks first: `tagout pin`\n\
             starts them and writes down what they are, for review.",
            names.join(", ")
        ))?;
    }
    Ok(Ended::Done.into())
}
