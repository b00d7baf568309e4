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
use tagout_supply::{Installed, Provenance};

/// What is known of a server before it is added.
pub(super) struct Look<'a> {
    pub(super) name: &'a ServerName,
    pub(super) server: &'a Server,
    /// What is started, and what of it would be pinned, if it is there.
    pub(super) program: Program,
    pub(super) pinned: Option<PinnedServer>,
    /// The command as it was given, where another is started in its place.
    pub(super) given: Option<&'a [String]>,
    pub(super) installed: Option<&'a Installed>,
    pub(super) signed: Option<Signed>,
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
        let Some((profile, pinned)) = self.profile().zip(self.pinned.as_ref()) else {
            let why = match &self.program {
                Program::Started { profile: Err(error), .. } => error.to_string(),
                Program::Started { .. } | Program::BuiltIn(_) | Program::Remote(_) => {
                    "it cannot be read".to_owned()
                }
            };
            return vec![format!("its program is not known yet: {why}")];
        };
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
        out
    }

    /// Where it is from.
    fn origin(&self) -> Vec<(&'static str, String)> {
        let mut out = Vec::new();
        if let Some(installed) = self.installed {
            let Installed { folder, packages, integrity, provenance, .. } = installed;
            out.push((
                "package",
                format!(
                    "{packages} with all that it needs, in {}",
                    word(&folder.to_string_lossy())
                ),
            ));
            out.push(("", integrity.clone()));
            out.push(("released by", provenance_of(provenance.as_ref())));
        }
        if let Some(Signed { comment, by }) = &self.signed {
            out.push(("signed by", format!("{by}: {}", word(comment))));
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

fn paths(paths: &BTreeSet<PathBuf>) -> String {
    let paths: Vec<_> = paths.iter().map(|path| word(&path.to_string_lossy())).collect();
    paths.join(", ")
}

/// Who released a package, or that nothing says so.
fn provenance_of(provenance: Option<&Provenance>) -> String {
    match provenance {
        None => "no provenance: nothing says who built it, and from what".to_owned(),
        Some(Provenance { publisher: Some(publisher), .. }) => {
            format!("{}, verified", word(&publisher.to_string()))
        }
        Some(Provenance { publisher: None, registry }) => {
            let said = if *registry { "; the registry signed that it published it" } else { "" };
            format!("no provenance: nothing says who built it, and from what{said}")
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
