//! A server's program or address: found, and held against the lockfile.
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use sha2::Digest as _;
use tagout_proto::Digest;
use tagout_sandbox::{Profile, is_interpreter, resolve};

use super::{
    Guarded, UpstreamError, decides_what_runs, isolate,
    packages::{locks_beside, locks_of},
};
use crate::{
    config::{Command, Isolated, Remote, Server, Start},
    lockfile::{PinnedFile, PinnedServer},
};

/// What a server is, found but not looked into.
#[derive(Clone, Debug)]
pub enum Program {
    /// This very program, which needs no pin.
    BuiltIn(Profile),
    /// A program.
    Started {
        /// Completely what is started.
        profile: Result<Profile, UpstreamError>,
        /// The variables that its entry gives it as they are pinned, whether they are set or not.
        variables: Vec<String>,
    },
    /// A server that runs elsewhere.
    Remote(Remote),
}

/// What `server` is. Relative programs are looked for in the gateway's `PATH`.
#[must_use]
pub fn start_of(server: &Server, own: &Path) -> Program {
    match &server.start {
        Start::BuiltIn(which) => {
            let mut profile = Profile::new(own);
            profile.args = vec![which.subcommand().into()];
            Program::BuiltIn(profile)
        }
        Start::Command(command) => {
            let found = resolve(command.program.as_ref(), &search_path(), Path::new("/"));
            let found = found.map_err(|e| UpstreamError::Spawn(Arc::new(e)));
            let profile = fetches_nothing(command, found).map(|program| {
                let mut profile = Profile::new(program);
                profile.args = command.args.iter().map(OsString::from).collect();
                let passed = command.pass_env.iter();
                let passed = passed.filter_map(|name| Some((name.into(), std::env::var_os(name)?)));
                let named = command.env.iter();
                let named = named.map(|(name, value)| (name.into(), value.expose().into()));
                profile.env = passed.chain(named).collect::<BTreeMap<OsString, OsString>>();
                profile.cwd = command.cwd.clone();
                profile
            });
            Program::Started { profile, variables: variables(command) }
        }
        Start::Remote(remote) => Program::Remote(remote.clone()),
    }
}

/// The folders of this process's `PATH`. One that is no whole path would mean another one wherever
/// this process is started.
fn search_path() -> OsString {
    let search = std::env::var_os("PATH").unwrap_or_default();
    let whole = std::env::split_paths(&search).filter(|folder| folder.is_absolute());
    std::env::join_paths(whole).unwrap_or_default()
}

/// The program at `found`, if it does not fetch what it runs. That is found out also where there is
/// no such program.
fn fetches_nothing(
    command: &Command,
    found: Result<PathBuf, UpstreamError>,
) -> Result<PathBuf, UpstreamError> {
    let words: Vec<_> = std::iter::once(&command.program).chain(&command.args).cloned().collect();
    let resolved = found.as_deref().unwrap_or(Path::new(&command.program));
    tagout_supply::starts(&words, resolved).map_err(|e| UpstreamError::Fetched(Arc::new(e)))?;
    found
}

/// Its variables as they are pinned: their names, and the digests of values in the entry that decide
/// what code runs, so that nobody brings in other code under the same name.
fn variables(command: &Command) -> Vec<String> {
    let written = command.env.iter().map(|(name, value)| {
        let digest = || Digest::from_bytes(sha2::Sha256::digest(value.expose()).into());
        if decides_what_runs(name) { format!("{name}={}", digest()) } else { name.clone() }
    });
    let elsewhere = command.secret_env.keys().chain(&command.pass_env).cloned();
    written.chain(elsewhere).collect::<BTreeSet<_>>().into_iter().collect()
}

impl Program {
    /// Whether it is part of this program.
    pub(super) const fn is_built_in(&self) -> bool {
        matches!(self, Self::BuiltIn(_))
    }

    /// The same, isolated as its entry says.
    pub(super) fn isolated(
        self,
        isolated: &Isolated,
        guarded: &Guarded,
    ) -> Result<Self, UpstreamError> {
        let into = |profile| isolate(profile, isolated, guarded).map_err(UpstreamError::Exposed);
        Ok(match self {
            Self::BuiltIn(profile) => Self::BuiltIn(into(profile)?),
            Self::Started { profile, variables } => {
                Self::Started { profile: Ok(into(profile?)?), variables }
            }
            Self::Remote(remote) => Self::Remote(remote),
        })
    }

    /// What the lockfile should say of it. Reads the program's file whole.
    ///
    /// # Errors
    /// It was not found, or cannot be read.
    pub fn pin(&self) -> Result<PinnedServer, UpstreamError> {
        let (profile, variables) = match self {
            Self::BuiltIn(_) => return Ok(PinnedServer::default()),
            Self::Remote(remote) => {
                return Ok(PinnedServer {
                    url: Some(remote.url.clone()),
                    transport: Some(remote.transport),
                    headers: remote.headers.keys().cloned().collect(),
                    issuer: remote.ca.as_deref().map(digest_of).transpose()?,
                    ..PinnedServer::default()
                });
            }
            Self::Started { profile, variables } => (profile, variables),
        };
        let profile = profile.as_ref().map_err(Clone::clone)?;
        let text = |part: &OsString| part.to_string_lossy().into_owned();
        let mut command = vec![profile.program.to_string_lossy().into_owned()];
        command.extend(profile.args.iter().map(text));
        let executable = digest_of(&profile.program)?;
        let code = code(profile);
        let mut locks: BTreeSet<_> = locks_beside(&profile.program).into_iter().collect();
        // A script is run from its sources.
        let sources = code.iter().chain(is_script(&profile.program).then_some(&profile.program));
        let sources: Vec<_> = sources.collect();
        locks.extend(sources.iter().flat_map(|file| locks_of(file)));
        locks.extend(stored(sources.into_iter().chain([&profile.program]))?);
        let pinned = |path: PathBuf| Ok(PinnedFile { digest: digest_of(&path)?, path });
        let files = code.into_iter().map(pinned).collect::<Result<_, UpstreamError>>()?;
        let packages = locks.into_iter().map(pinned).collect::<Result<_, UpstreamError>>()?;
        Ok(PinnedServer {
            command: Some(command),
            executable: Some(executable),
            files,
            packages,
            environment: variables.clone(),
            cwd: profile.cwd.clone(),
            ..PinnedServer::default()
        })
    }

    /// Holds the program against what was pinned of it; gives what it is, if that can be found out.
    pub(super) fn check(
        &self,
        pinned: Option<&PinnedServer>,
    ) -> Result<Option<PinnedServer>, UpstreamError> {
        // An entry that does not say what it is of would let anything run under its name.
        let says = |pinned: &&PinnedServer| {
            let names_one = pinned.command.is_some() || pinned.url.is_some();
            names_one || !(self.is_built_in() || pinned.of_first_version)
        };
        let Some(pinned) = pinned.filter(says) else {
            return match self.pin() {
                Ok(found) => Ok(Some(found)),
                // What was installed here is known also where nobody has pinned it.
                Err(error @ UpstreamError::Changed(_)) => Err(error),
                Err(_) => Ok(None),
            };
        };
        let found = self.pin()?;
        match pinned.how_it_differs(&found) {
            None => Ok(Some(found)),
            Some(what) => Err(UpstreamError::Changed(what.to_owned())),
        }
    }
}

/// The lists of the folders of installed packages that `files` lie in; every file in those folders is
/// held against them.
fn stored<'a>(
    files: impl Iterator<Item = &'a PathBuf>,
) -> Result<BTreeSet<PathBuf>, UpstreamError> {
    let changed = |error: tagout_supply::TreeError| UpstreamError::Changed(error.to_string());
    let folders = files.map(|file| tagout_supply::store_of(file).map_err(changed));
    let folders: BTreeSet<_> = folders.filter_map(Result::transpose).collect::<Result<_, _>>()?;
    let verified = folders.into_iter().map(|folder| {
        tagout_supply::verify(&folder).map_err(changed)?;
        Ok(folder.join(tagout_supply::LIST))
    });
    verified.collect()
}

/// Endings of files that interpreters run.
const CODE: &[&str] = &[
    "js", "mjs", "cjs", "jsx", "ts", "mts", "cts", "tsx", "py", "pyc", "pyz", "rb", "pl", "php",
    "sh", "lua", "jar", "wasm", "r",
];

/// A file among the arguments of a program that is taken for code.
struct Code {
    path: PathBuf,
    /// Whether its ending, or its first line, says that it is.
    says_so: bool,
    /// Whether it follows the code itself, or the name of a module, so that it is data as likely.
    follows_code: bool,
}

/// The files among the arguments that are code: by their ending, or because they may be executed.
/// Data that a server is started on may change.
pub(super) fn code(profile: &Profile) -> Vec<PathBuf> {
    named(profile).into_iter().map(|code| code.path).collect()
}

/// Those of them that a program is given: with the sources that they are part of, and alone.
pub(super) fn given_code(profile: &Profile) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let mut given = named(profile);
    given.retain(|code| code.says_so || !code.follows_code);
    let (sources, alone): (Vec<_>, Vec<_>) = given.into_iter().partition(|code| code.says_so);
    let paths = |all: Vec<Code>| all.into_iter().map(|code| code.path).collect();
    (paths(sources), paths(alone))
}

fn named(profile: &Profile) -> Vec<Code> {
    use std::os::unix::fs::PermissionsExt as _;
    let here = profile.cwd.clone().unwrap_or_else(|| PathBuf::from("/"));
    let interprets = is_interpreter(&profile.program);
    let mut all: Vec<Code> = Vec::new();
    let mut follows_code = false;
    for argument in &profile.args {
        // `--import=/x.js` names a file too.
        let text = argument.to_string_lossy();
        let named = text.split_once('=').filter(|_| text.starts_with('-')).map(|(_, value)| value);
        let path = here.join(named.unwrap_or(&text));
        let Some(about) = path.metadata().ok().filter(fs::Metadata::is_file) else {
            follows_code |= interprets && brings_code(&profile.program, &text);
            continue;
        };
        let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase());
        let ends_so = ending.is_some_and(|ending| CODE.contains(&ending.as_str()));
        let may_run = about.permissions().mode() & 0o111 != 0;
        // The first file of an interpreter is what it runs, whatever it is called.
        let is_code = ends_so || may_run || (interprets && all.is_empty());
        if is_code && all.iter().all(|code| code.path != path) {
            let says_so = ends_so || is_script(&path);
            all.push(Code { path, says_so, follows_code });
        }
    }
    all
}

/// Whether an interpreter takes its code, or the name of a module, from this option.
fn brings_code(interpreter: &Path, option: &str) -> bool {
    let is_shell =
        interpreter.file_name().is_some_and(|name| name.as_encoded_bytes().ends_with(b"sh"));
    let letters: &[char] = if is_shell { &['c'] } else { &['c', 'm', 'e', 'p'] };
    match option.strip_prefix('-') {
        Some(long) if long.starts_with('-') => ["-eval", "-print"].contains(&long),
        Some(short) => short.ends_with(letters),
        None => false,
    }
}

/// Whether a file says itself what runs it.
fn is_script(program: &Path) -> bool {
    let mut start = [0; 2];
    let read = File::open(program).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && start == *b"#!"
}

fn digest_of(path: &Path) -> Result<Digest, UpstreamError> {
    digest_of_file(path).map_err(|error| {
        UpstreamError::Unchecked(format!("cannot read `{}`: {error}", path.display()))
    })
}

fn digest_of_file(path: &Path) -> io::Result<Digest> {
    let mut file = File::open(path)?;
    let mut hash = sha2::Sha256::new();
    let mut buffer = vec![0; 128 << 10];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(Digest::from_bytes(hash.finalize().into()));
        }
        hash.update(buffer.get(..read).unwrap_or_default());
    }
}
