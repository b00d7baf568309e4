//! Rules from files: those that hold, and those on trial.
use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use tagout_gateway::{
    config::{Config, Server, Shadow},
    lockfile::Lockfile,
    policy_tools::Pinned,
    reload::{Rejected, RuleFiles, Rules},
};
use tagout_policy::{Policy, Profile, Source};
use tagout_proto::ServerName;

use crate::{
    failure::Failure,
    places::Places,
    setup::{read, shipped},
};

/// Where rules come from.
#[derive(Debug)]
pub(crate) struct RulesFrom {
    pub(crate) profile: Profile,
    pub(crate) folder: PathBuf,
    /// Whether it is the usual folder, which need not be there.
    is_usual: bool,
    /// What calls are held against for as long as the program runs, and so the rules too: a rule
    /// about an argument that only a later lockfile knows would never match.
    running: OnceLock<Lockfile>,
    shadow: Option<Shadow>,
    servers: BTreeMap<ServerName, Arc<Server>>,
    /// Whether the folder was there once: what is left out may be what forbids.
    was_there: AtomicBool,
}

impl RulesFrom {
    /// What `config` says of it.
    pub(crate) fn of(config: &Config, places: &Places) -> Self {
        let usual = places.folder().join("policies");
        let folder = config.policies.clone().unwrap_or_else(|| usual.clone());
        Self {
            profile: config.profile,
            is_usual: folder == usual,
            was_there: AtomicBool::new(folder.is_dir()),
            folder,
            running: OnceLock::new(),
            shadow: config.shadow.clone(),
            servers: config.servers.clone(),
        }
    }

    /// Holds rules against `lockfile` from now on, whatever its file says later.
    pub(crate) fn runs_with(&self, lockfile: &Lockfile) {
        self.running.get_or_init(|| lockfile.clone());
    }

    /// One's own rules, by file name.
    pub(crate) fn sources(&self) -> Result<Vec<Source>, Failure> {
        let sources = sources(&self.folder);
        match sources {
            Err(NoSources::NoFolder) if self.is_usual && !self.was_there() => Ok(Vec::new()),
            Err(NoSources::NoFolder) => Err(Failure::io(&self.folder, no_folder())),
            Err(NoSources::Unreadable(failure)) => Err(failure),
            Ok(sources) => {
                self.was_there.store(true, Ordering::Relaxed);
                Ok(sources)
            }
        }
    }

    fn was_there(&self) -> bool {
        self.was_there.load(Ordering::Relaxed)
    }

    /// The rules that are to hold, checked against what `lockfile` pins.
    pub(crate) fn policy(&self, own: &[Source], lockfile: &Lockfile) -> Result<Policy, Failure> {
        let surface = self.pinned(lockfile)?.surface();
        Policy::load(self.profile, own, &surface).map_err(Failure::at_place)
    }

    /// What `lockfile` pins, and what ships reviewed.
    pub(crate) fn pinned(&self, lockfile: &Lockfile) -> Result<Pinned, Failure> {
        Ok(Pinned::of(&self.servers, lockfile, &shipped()?))
    }

    /// The rules of another folder, with those of `profile`.
    pub(crate) fn of_folder(
        &self,
        folder: &Path,
        profile: Profile,
        lockfile: &Lockfile,
    ) -> Result<(Policy, Vec<Source>), Failure> {
        let own = sources(folder).map_err(|none| match none {
            NoSources::NoFolder => Failure::io(folder, no_folder()),
            NoSources::Unreadable(failure) => failure,
        })?;
        let surface = self.pinned(lockfile)?.surface();
        let policy = Policy::load(profile, &own, &surface).map_err(Failure::at_place)?;
        Ok((policy, own))
    }

    /// The rules on trial, where there are any.
    pub(crate) fn shadow(&self, lockfile: &Lockfile) -> Result<Option<Policy>, Failure> {
        let Some(Shadow { policies, profile }) = &self.shadow else { return Ok(None) };
        self.of_folder(policies, *profile, lockfile).map(|(policy, _)| Some(policy))
    }
}

fn no_folder() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "there is no such folder")
}

enum NoSources {
    NoFolder,
    Unreadable(Failure),
}

/// The files of `folder` that have a rule's name; each of them must be there to read.
fn sources(folder: &Path) -> Result<Vec<Source>, NoSources> {
    let unreadable = |error| NoSources::Unreadable(Failure::io(folder, error));
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(NoSources::NoFolder),
        Err(error) => return Err(unreadable(error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry.map_err(unreadable)?.path());
    }
    paths.sort();
    if let Some((path, problem)) = paths.iter().find_map(|path| Some((path, overlooked(path)?))) {
        let error = io::Error::new(io::ErrorKind::InvalidInput, problem);
        return Err(NoSources::Unreadable(Failure::io(path, error)));
    }
    paths.retain(|path| has_rules(path));
    let mut sources = Vec::new();
    for path in paths {
        let gone = || Failure::io(&path, io::Error::from(io::ErrorKind::NotFound));
        let text = read(&path).and_then(|text| text.ok_or_else(gone));
        let text = text.map_err(NoSources::Unreadable)?;
        sources.push(Source { name: path.display().to_string(), text });
    }
    Ok(sources)
}

fn has_rules(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "cedar")
}

/// What is wrong with an entry that would not be read and may well hold rules. Entries that begin
/// with a dot are left alone: they are of programs that keep the folder.
fn overlooked(path: &Path) -> Option<&'static str> {
    let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    if hidden {
        return None;
    }
    if path.is_dir() {
        return Some(
            "folders in a folder of rules are not read: move their rules up, or the folder away",
        );
    }
    let other_case = |extension: &std::ffi::OsStr| extension.eq_ignore_ascii_case("cedar");
    let misnamed = path.extension().is_some_and(other_case) && !has_rules(path);
    misnamed.then_some("the names of rule files end in `.cedar`, in small letters: rename it")
}

impl RuleFiles for RulesFrom {
    fn stamp(&self) -> String {
        let mut stamp = String::new();
        let shadow = self.shadow.iter().map(|shadow| &shadow.policies);
        for folder in std::iter::once(&self.folder).chain(shadow) {
            stamp.push_str(&of_file(folder));
            let entries = fs::read_dir(folder).into_iter().flatten().flatten();
            let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
            paths.retain(|path| has_rules(path));
            paths.sort();
            paths.iter().for_each(|path| stamp.push_str(&of_file(path)));
        }
        stamp
    }

    fn load(&self) -> Result<Rules, Rejected> {
        let rejected = |failure: Failure| Rejected {
            code: failure.code().to_owned(),
            message: failure.with_place(),
        };
        let load = || {
            let lockfile = self.running.get_or_init(Lockfile::default);
            let policy = self.policy(&self.sources()?, lockfile)?;
            Ok(Rules { policy, shadow: self.shadow(lockfile).map_err(rejected) })
        };
        load().map_err(rejected)
    }
}

/// What changes when the file does.
fn of_file(path: &Path) -> String {
    let Ok(file) = fs::metadata(path) else { return format!("{}: none\n", path.display()) };
    format!(
        "{}: {} {} {}.{:09} {}.{:09}\n",
        path.display(),
        file.ino(),
        file.len(),
        file.mtime(),
        file.mtime_nsec(),
        file.ctime(),
        file.ctime_nsec(),
    )
}
