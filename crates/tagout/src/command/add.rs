//! `add`: a server for the configuration.
mod package;
mod shown;
mod signed;
mod tools;

use std::{
    fmt::Write as _,
    fs::{self, DirBuilder, File, OpenOptions},
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use tagout_gateway::{
    Guarded, Program, UpstreamError, config::Config, lockfile::with_program, start_of,
};
use tagout_inspect::characters::one_line;
use tagout_proto::ServerName;
use tagout_sandbox::resolve;
use tagout_supply::Installed;

use self::shown::Look;
pub(crate) use self::{
    package::refused,
    shown::{ordered, shell},
};

use crate::{
    cli::Add,
    clients::confirm::confirm,
    failure::{Ended, Failure},
    output,
    places::Places,
    setup::{Setup, read},
    signed::beside as signed_by,
};

/// What a new configuration file starts with.
const NEW: &str = "\
# Tagout's configuration; `tagout check` says what holds.
profile = \"ask-before-writes\"

[server.grid]
builtin = \"grid\"
";

/// Shows what a server is, asks, and adds it at the end of the configuration file, which is left as it
/// is otherwise. A package is installed before: only then is known what it is.
pub(crate) fn add(places: &Places, add: &Add, json: bool) -> Result<ExitCode, Failure> {
    let name = ServerName::try_from(add.name.as_str())
        .map_err(|error| Failure::usage("server-unknown", error, "choose another name"))?;
    // Before anything is fetched for it, or made.
    drop(draft(Draft::read(places)?, &name, &entry(&name, add, &add.command)?)?);
    is_no_url(add)?;
    let installed = package::installed(places, add)?;
    let command = match &installed {
        Some(installed) => installed.command.clone(),
        None => whole(&add.command)?,
    };
    let entry = entry(&name, add, &command)?;
    // Asking takes as long as it takes, and others may want to write meanwhile.
    let config = draft(Draft::read(places)?, &name, &entry)?.config;
    let look = look(places, (&name, add), (&config, installed.as_deref()))?;
    let shown = places.config.display().to_string();
    let question = format!("Add it to {}?", one_line(&shown));
    confirm(&look.text(), &question, add.yes)?;
    let draft = draft(Draft::open(places)?, &name, &entry)?;
    if look.program.pin().ok().as_ref() != Some(&look.pinned) {
        let message = "its program was changed meanwhile";
        return Err(Failure::new(Ended::Failed, "server-changed", message)
            .with_help("nothing was added; look at it once more"));
    }
    // Before anything names it. What nobody said yes to is gone again.
    if let Some(installed) = &installed {
        let help = "nothing was added";
        installed.keep().map_err(|error| Failure::of(&error, "supply-install", help))?;
    }
    let pinned = pin(places, &draft.config, &look)?;
    draft.write()?;
    said(places, &look, (pinned, json))
}

/// Writes down what its program is, before it can be started; whether that is so. The caller holds
/// the folder. What is signed is left as it was signed.
fn pin(places: &Places, config: &Config, look: &Look<'_>) -> Result<bool, Failure> {
    let path = places.lockfile();
    if !config.signed_by.is_empty() || signed_by(&path).exists() {
        return Ok(false);
    }
    let before = read(&path)?;
    let text = with_program(before.as_deref(), look.name, &look.pinned);
    let text = text.map_err(|error| {
        let message = format!("`{}`: {error}", path.display());
        Failure::new(Ended::Usage, "lockfile-invalid", message)
            .with_help("nothing was added; correct the lockfile, or move it away")
    })?;
    if before.as_ref() != Some(&text) {
        write(&path, &text)?;
    }
    Ok(true)
}

/// A server that runs elsewhere has no program.
fn is_no_url(add: &Add) -> Result<(), Failure> {
    let Some(url) = add.command.first().filter(|program| program.contains("://")) else {
        return Ok(());
    };
    let message = format!("`{}` is a URL, and no program", one_line(url));
    let help = format!(
        "write a server that runs elsewhere into the configuration: [server.{}], and below it \
         url = {}",
        add.name,
        toml_string(url)
    );
    Err(Failure::usage("arguments-unreadable", message, &help))
}

/// The command with the whole path of its program: what it names must not depend on where Tagout is
/// started later.
fn whole(command: &[String]) -> Result<Vec<String>, Failure> {
    let Some((program, args)) = command.split_first() else { return Ok(Vec::new()) };
    let here = std::env::current_dir().map_err(|error| Failure::io(Path::new("."), error))?;
    let search = std::env::var_os("PATH").unwrap_or_default();
    let found = resolve(program.as_ref(), &search, &here).map_err(|error| {
        Failure::of(&error, error.code(), "nothing was added; install it first, or write its path")
    })?;
    let unreadable = || {
        let message = format!("`{}` is no text", found.display());
        Failure::usage("arguments-unreadable", message, "give it another name")
    };
    let found = found.to_str().ok_or_else(unreadable)?.to_owned();
    Ok(std::iter::once(found).chain(args.iter().cloned()).collect())
}

/// The configuration file with an entry that it has not yet.
fn draft<'a>(mut draft: Draft<'a>, name: &ServerName, entry: &str) -> Result<Draft<'a>, Failure> {
    if draft.config.servers.contains_key(name) {
        let message = format!("there is a server `{name}` in `{}` already", draft.shown());
        let help = "choose another name, or edit the file";
        return Err(Failure::usage("server-exists", message, help));
    }
    draft.push(entry)?;
    Ok(draft)
}

/// Looks at what would be added, and at its signature where one is demanded.
fn look<'a>(
    places: &Places,
    (name, add): (&'a ServerName, &'a Add),
    (config, installed): (&'a Config, Option<&'a Installed>),
) -> Result<Look<'a>, Failure> {
    let missing = || Failure::usage("server-unknown", format!("there is no server `{name}`"), "");
    let server = config.servers.get(name).ok_or_else(missing)?;
    let own = std::env::current_exe().map_err(|error| Failure::io(Path::new("/proc"), error))?;
    let program = start_of(server, &own);
    if let Program::Started { profile: Err(UpstreamError::Fetched(unfit)), .. } = &program {
        return Err(package::refused(unfit, None, &ordered(add)));
    }
    let pinned = program.pin().map_err(|error| {
        let message = format!("server `{name}`: {error}");
        let help = "nothing was added: what cannot be read cannot be held fast either";
        Failure::new(Ended::Refused, error.code(), message).with_help(help)
    })?;
    let signed = match (&add.minisign, &program) {
        (Some(key), Program::Started { profile: Ok(profile), .. }) => {
            signed::all(profile, &pinned, (key, add.signature.as_deref()))?
        }
        (Some(_), _) => {
            let message = "there is no program whose signature could be verified";
            return Err(Failure::new(Ended::Refused, "supply-signature", message));
        }
        (None, _) => Vec::new(),
    };
    let given = installed.map(|_| add.command.as_slice());
    let guarded = Guarded::of(places.guarded(config.policies.clone()), config);
    Ok(Look { name, server, program, pinned, given, installed, signed, guarded })
}

fn said(
    places: &Places,
    look: &Look<'_>,
    (pinned, json): (bool, bool),
) -> Result<ExitCode, Failure> {
    let (name, shown) = (look.name, places.config.display().to_string());
    let agreed = agreed(places, name);
    if json {
        let mut said =
            serde_json::json!({"added": name, "file": shown, "agreed": agreed, "pinned": pinned});
        if let (Some(installed), Some(said)) = (look.installed, said.as_object_mut()) {
            let publisher = installed.attested.publisher();
            said.insert("command".to_owned(), serde_json::json!(installed.command));
            said.insert("integrity".to_owned(), serde_json::json!(installed.integrity));
            said.insert("publisher".to_owned(), serde_json::json!(publisher));
            said.insert("attested".to_owned(), installed.attested.as_str().into());
        }
        output::json(&said)?;
    } else {
        let goes = if agreed {
            "What you send may go to it from now on; to take that back: tagout consent revoke"
        } else {
            "Before what you send goes to it, you are asked; to agree now: tagout consent give"
        };
        let holds = if pinned {
            "Its program is in the lockfile: another one in its place is not started."
        } else {
            "The lockfile is signed, so its program is not in it: nothing holds it fast yet."
        };
        output::line(format_args!(
            "added `{name}` to {shown}\n\
             {holds}\n\
             Its environment is empty but for what you named. Nobody has reviewed its tools, so\n\
             each call asks first: `tagout pin` writes down what they are, for review.\n\
             {goes} {name}"
        ))?;
    }
    Ok(Ended::Done.into())
}

/// Who adds a server agrees that what they send goes to it; whether that is so. What cannot be found
/// or read yet is asked for later.
fn agreed(places: &Places, name: &ServerName) -> bool {
    let opened = Setup::read(places).and_then(|setup| setup.open(places));
    let agreed = opened.and_then(|gateway| {
        super::consent::along_with(&gateway, [name.as_str()], "add").map(|new| !new.is_empty())
    });
    agreed.unwrap_or_else(|failure| {
        tracing::info!(why = failure.message(), "it is not agreed to yet");
        false
    })
}

/// The configuration file while servers are added at its end; nobody else changes it meanwhile.
pub(crate) struct Draft<'a> {
    places: &'a Places,
    text: String,
    /// What it says with what was added.
    pub(crate) config: Config,
    _held: Option<File>,
}

impl<'a> Draft<'a> {
    /// To be written: nobody else changes it meanwhile.
    pub(crate) fn open(places: &'a Places) -> Result<Self, Failure> {
        Self::held(places, Some(hold(places.folder())?))
    }

    /// To be looked at. Makes nothing, not even the folder.
    pub(crate) fn read(places: &'a Places) -> Result<Self, Failure> {
        let is_there = places.folder().is_dir();
        Self::held(places, is_there.then(|| hold(places.folder())).transpose()?)
    }

    fn held(places: &'a Places, held: Option<File>) -> Result<Self, Failure> {
        let mut text = read(&places.config)?.unwrap_or_else(|| NEW.to_owned());
        let shown = places.config.display().to_string();
        let config = Config::parse(&shown, &text, places.folder()).map_err(Failure::at_place)?;
        if !text.ends_with('\n') {
            text.push('\n');
        }
        Ok(Self { places, text, config, _held: held })
    }

    pub(crate) fn shown(&self) -> String {
        self.places.config.display().to_string()
    }

    /// Adds an entry, if the whole still makes sense with it.
    pub(crate) fn push(&mut self, entry: &str) -> Result<(), Failure> {
        let text = format!("{}{entry}", self.text);
        self.config =
            Config::parse(&self.shown(), &text, self.places.folder()).map_err(Failure::at_place)?;
        self.text = text;
        Ok(())
    }

    pub(crate) fn write(self) -> Result<(), Failure> {
        write(&self.places.config, &self.text)
    }
}

/// The entry of a program, as text.
pub(crate) fn entry(name: &ServerName, add: &Add, command: &[String]) -> Result<String, Failure> {
    let quoted = |text: &str| toml_string(text);
    let list = |texts: &[String]| texts.iter().map(|t| quoted(t)).collect::<Vec<_>>().join(", ");
    let mut out = format!("\n[server.{name}]\ncommand = [{}]\n", list(command));
    let mut write = |line: std::fmt::Arguments<'_>| {
        let written = out.write_fmt(line);
        debug_assert!(written.is_ok(), "writing to a string does not fail");
    };
    if !add.env.is_empty() {
        let pairs = add.env.iter().map(|pair| {
            let (name, value) = pair.split_once('=').ok_or_else(|| {
                let message = format!("`{pair}` is not NAME=VALUE");
                Failure::usage("arguments-unreadable", message, "write --env NAME=VALUE")
            })?;
            Ok(format!("{} = {}", quoted(name), quoted(value)))
        });
        let pairs = pairs.collect::<Result<Vec<_>, Failure>>()?;
        write(format_args!("env = {{ {} }}\n", pairs.join(", ")));
    }
    if !add.pass_env.is_empty() {
        write(format_args!("pass_env = [{}]\n", list(&add.pass_env)));
    }
    if let Some(cwd) = &add.cwd {
        let cwd = std::path::absolute(cwd).map_err(|error| Failure::io(cwd, error))?;
        write(format_args!("cwd = {}\n", quoted(&cwd.to_string_lossy())));
    }
    out.push_str(&sandbox(name, add)?);
    Ok(out)
}

/// What it may read, write and reach beside its own, where anything is named.
fn sandbox(name: &ServerName, add: &Add) -> Result<String, Failure> {
    let paths = |paths: &[PathBuf]| {
        let absolute = paths.iter().map(|path| {
            let absolute = std::path::absolute(path).map_err(|error| Failure::io(path, error))?;
            Ok(absolute.to_string_lossy().into_owned())
        });
        absolute.collect::<Result<Vec<_>, Failure>>()
    };
    let keys =
        [("read", paths(&add.read)?), ("write", paths(&add.write)?), ("reach", add.reach.clone())];
    let lines = keys.iter().filter(|(_, all)| !all.is_empty()).map(|(key, all)| {
        let all: Vec<_> = all.iter().map(|text| toml_string(text)).collect();
        format!("{key} = [{}]\n", all.join(", "))
    });
    let lines: String = lines.collect();
    if lines.is_empty() { Ok(lines) } else { Ok(format!("\n[server.{name}.sandbox]\n{lines}")) }
}

/// A TOML basic string: JSON's escapes are a subset of its, but for the solidus.
pub(crate) fn toml_string(text: &str) -> String {
    tagout_proto::quoted(text).replace('\u{7f}', "\\u007f")
}

/// Keeps other commands from changing the files in `folder`, until it is dropped. Makes the folder
/// if there is none.
pub(crate) fn hold(folder: &Path) -> Result<File, Failure> {
    let failed = |error| Failure::io(folder, error);
    // Who can write to the folder can replace what is in it, whatever the umask is.
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    let held = File::open(folder).map_err(failed)?;
    held.lock().map_err(failed)?;
    Ok(held)
}

/// Replaces a file at once: a reader sees the old one or the new one. The caller holds its folder.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error| Failure::io(path, error);
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&fresh)
        .map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    fs::rename(&fresh, path).map_err(failed)
}
