//! Everything about a server that is to be added, for whoever is asked about it.
use std::{
    collections::BTreeSet,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use tagout_gateway::{
    Guarded, Program,
    config::{Command, Isolated, Sandbox, Server, Start},
    isolate,
    lockfile::{PinnedFile, PinnedServer, signature::Signed},
};
use tagout_inspect::characters::hidden;
use tagout_proto::ServerName;
use tagout_sandbox::Profile;
use tagout_supply::{Attested, Installed, Provenance};

use crate::cli::Add;

/// What is known of a server before it is added.
pub(super) struct Look<'a> {
    pub(super) name: &'a ServerName,
    pub(super) server: &'a Server,
    /// What is started, and what of it would be pinned.
    pub(super) program: Program,
    pub(super) pinned: PinnedServer,
    /// The command as it was given, where another is started in its place.
    pub(super) given: Option<&'a [String]>,
    pub(super) installed: Option<&'a Installed>,
    /// Each file whose signature was demanded.
    pub(super) signed: Vec<(PathBuf, Signed)>,
    pub(super) guarded: Guarded,
}

impl Look<'_> {
    /// All of it, as lines.
    pub(super) fn text(&self) -> String {
        let Start::Command(command) = &self.server.start else { return String::new() };
        let mut lines = vec![format!("server `{}`", self.name)];
        let mut say = |what: &str, text: &str| lines.push(format!("  {what:<10} {text}"));
        if let Some(given) = self.given {
            say("given", &line(given));
        }
        let words: Vec<_> =
            std::iter::once(&command.program).chain(&command.args).cloned().collect();
        say("runs", &line(&words));
        for text in self.files() {
            say("", &text);
        }
        for (what, text) in self.origin() {
            say(what, &text);
        }
        say("variables", &variables(command));
        if let Some(cwd) = &command.cwd {
            say("works in", &word(&cwd.to_string_lossy()));
        }
        for (what, text) in self.sandbox() {
            say(what, &text);
        }
        lines.join("\n")
    }

    fn profile(&self) -> Option<&Profile> {
        match &self.program {
            Program::Started { profile, .. } => profile.as_ref().ok(),
            Program::BuiltIn(_) | Program::Remote(_) => None,
        }
    }

    /// Its files: where they are, whose, and their digests.
    fn files(&self) -> Vec<String> {
        let (Some(profile), pinned) = (self.profile(), &self.pinned) else { return Vec::new() };
        let mut out = Vec::new();
        let program = pinned.executable.map(|digest| (&profile.program, digest));
        let files = pinned.files.iter().chain(&pinned.packages);
        let files = files.map(|PinnedFile { path, digest }| (path, *digest));
        for (path, digest) in program.into_iter().chain(files) {
            let real = path.canonicalize().unwrap_or_else(|_| path.clone());
            let leads = if real == *path {
                String::new()
            } else {
                format!(" -> {}", word(&real.to_string_lossy()))
            };
            let whose = owner(&real);
            out.push(format!("{}{leads}{whose}, {digest}", word(&path.to_string_lossy())));
            let others = writable(&real).into_iter().chain(writable(path)).collect::<BTreeSet<_>>();
            out.extend(others.into_iter().map(|warning| format!("  WARNING: {warning}")));
        }
        out.extend(profile.args.iter().filter_map(|argument| {
            let path = Path::new(argument);
            let there = profile.cwd.as_deref().is_some_and(|cwd| cwd.join(path).exists());
            let only_here = path.is_relative() && !there && path.is_file();
            only_here.then(|| {
                format!(
                    "WARNING: {} is a file here, and not where it is started: write its whole path",
                    word(&argument.to_string_lossy())
                )
            })
        }));
        out
    }

    /// Where it is from.
    fn origin(&self) -> Vec<(&'static str, String)> {
        let mut out = Vec::new();
        if let Some(installed) = self.installed {
            let Installed { folder, packages, integrity, attested, .. } = installed;
            out.push((
                "package",
                format!(
                    "{packages} with all that it needs, in {}",
                    word(&folder.to_string_lossy())
                ),
            ));
            out.push(("", integrity.clone()));
            out.push(("released by", provenance_of(attested)));
        }
        for (file, Signed { comment, by }) in &self.signed {
            let file = word(&file.to_string_lossy());
            out.push(("signed", format!("{file} by {by}: {}", word(comment))));
        }
        out
    }

    fn sandbox(&self) -> Vec<(&'static str, String)> {
        let sandbox = match &self.server.isolated {
            Isolated::Fully(sandbox) => sandbox,
            Isolated::Not => {
                return vec![("sandbox", "none: it may do all that you may".to_owned())];
            }
        };
        let profile = self.profile().cloned();
        let isolated =
            profile.map(|profile| isolate(profile, &self.server.isolated, &self.guarded));
        let read = match isolated {
            Some(Ok(profile)) => profile.isolation.map(|isolation| paths(&isolation.read)),
            Some(Err(why)) => Some(why),
            None => None,
        };
        let read = read.filter(|read| !read.is_empty());
        vec![
            (
                "reads",
                format!(
                    "the system's software{}",
                    read.map_or_else(String::new, |read| format!(", {read}"))
                ),
            ),
            ("writes", or_nothing("a /tmp of its own", &paths(&sandbox.write))),
            ("reaches", reach(sandbox)),
        ]
    }
}

fn or_nothing(always: &str, more: &str) -> String {
    if more.is_empty() { format!("{always}, nothing else") } else { format!("{always}, {more}") }
}

fn reach(sandbox: &Sandbox) -> String {
    let places: Vec<_> = sandbox.reach.iter().map(|place| word(place)).collect();
    if places.is_empty() { "nothing".to_owned() } else { places.join(", ") }
}

/// Paths, and where their links lead.
fn paths(paths: &BTreeSet<PathBuf>) -> String {
    let real = paths.iter().filter_map(|path| path.canonicalize().ok());
    let all: BTreeSet<_> = paths.iter().cloned().chain(real).collect();
    let paths: Vec<_> = all.iter().map(|path| word(&path.to_string_lossy())).collect();
    paths.join(", ")
}

/// Who released a package, or that nothing says so, or that it is not known whether anything does.
fn provenance_of(attested: &Attested) -> String {
    let nothing = "no provenance: nothing says who built it, and from what";
    match attested {
        Attested::Nothing => nothing.to_owned(),
        Attested::Unknown(why) => {
            format!("not known: whether anything says so could not be found out ({})", word(why))
        }
        Attested::Verified(Provenance { publisher: Some(publisher), reference, .. }) => {
            let at = reference.as_ref().map(|at| format!(", at {}", word(at)));
            format!("{}{}, verified", word(&publisher.to_string()), at.unwrap_or_default())
        }
        Attested::Verified(Provenance { publisher: None, registry, .. }) => {
            let said = if *registry { "; the registry signed that it published it" } else { "" };
            format!("{nothing}{said}")
        }
    }
}

fn variables(command: &Command) -> String {
    let given = command.env.keys().map(|name| word(name));
    let passed = command.pass_env.iter().map(|name| format!("{} as it is here", word(name)));
    let names: Vec<_> = given.chain(passed).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// Whose a file is.
fn owner(path: &Path) -> String {
    match path.metadata() {
        Ok(about) if about.uid() == 0 => ", of root".to_owned(),
        Ok(about) if about.uid() == rustix::process::geteuid().as_raw() => ", yours".to_owned(),
        Ok(about) => format!(", of the user {}", about.uid()),
        Err(_) => String::new(),
    }
}

/// Who else can put something else in a file's place: whoever may write to it, or to a folder above.
fn writable(path: &Path) -> Vec<String> {
    let own = rustix::process::geteuid().as_raw();
    let mut out = Vec::new();
    for (depth, above) in path.ancestors().enumerate() {
        let Ok(about) = above.symlink_metadata() else { continue };
        let shown = word(&above.to_string_lossy());
        // In a folder with the sticky bit, others cannot replace what is not theirs.
        let open = about.mode() & 0o022 != 0 && (depth == 0 || about.mode() & 0o1000 == 0);
        if open && !about.is_symlink() {
            let who = if about.mode() & 0o002 != 0 { "everybody" } else { "its group" };
            out.push(format!("{who} may write to {shown}"));
        }
        if about.uid() != 0 && about.uid() != own {
            out.push(format!("{shown} is the user {}'s, who may change it", about.uid()));
        }
    }
    out
}

/// A command line: each word as it is, or in quotes where it would not be read as one.
pub(super) fn line(words: &[String]) -> String {
    let words: Vec<_> = words.iter().map(|text| word(text)).collect();
    words.join(" ")
}

fn is_plain(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+,=".contains(c);
    !text.is_empty() && text.chars().all(plain)
}

/// One word, so that nothing in it is unseen and nothing looks like two.
pub(super) fn word(text: &str) -> String {
    if is_plain(text) {
        return text.to_owned();
    }
    let quoted = tagout_proto::quoted(text);
    let visible = quoted.chars().map(|c| match hidden(c) {
        Some(_) => format!("\\u{{{:x}}}", u32::from(c)),
        None => c.to_string(),
    });
    visible.collect()
}

/// One word for a shell.
pub(crate) fn shell(text: &str) -> String {
    if is_plain(text) { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// `tagout add` as it was written, up to the command, for a shell.
pub(crate) fn ordered(add: &Add) -> String {
    let mut words = vec!["tagout add".to_owned()];
    let mut option = |option: &str, value: &str| words.push(format!("{option} {}", shell(value)));
    for (name, values) in
        [("--env", &add.env), ("--pass-env", &add.pass_env), ("--reach", &add.reach)]
    {
        values.iter().for_each(|value| option(name, value));
    }
    let paths = [("--read", &add.read), ("--write", &add.write)];
    let paths = paths.into_iter().flat_map(|(name, all)| all.iter().map(move |path| (name, path)));
    let paths = paths.chain(add.cwd.iter().map(|path| ("--cwd", path)));
    let paths = paths.chain(add.signature.iter().map(|path| ("--signature", path)));
    paths.for_each(|(name, path)| option(name, &path.to_string_lossy()));
    add.minisign.iter().for_each(|key| option("--minisign", key));
    words.extend(add.new_publisher.then(|| "--new-publisher".to_owned()));
    words.extend(add.yes.then(|| "--yes".to_owned()));
    words.push(shell(&add.name));
    words.join(" ")
}
