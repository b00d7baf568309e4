//! The tables `[server.NAME.sandbox]` and `[sandbox.NAME]`.
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::Duration,
};

use tagout_sandbox::{Bounds, Part};
use tagout_wire::egress::{Allow, EgressBounds};
use toml::Spanned;

use super::{ConfigError, Reader};

/// How far a server that is started here is isolated.
#[derive(Clone, Debug)]
pub enum Isolated {
    /// It sees and does what this says, and nothing else.
    Fully(Box<Sandbox>),
    /// Not at all: it may do what the gateway's user may. Somebody has written that down.
    Not,
}

/// What a server may read, write and reach, beside its interpreter and its own files.
#[derive(Clone, Debug, Default)]
pub struct Sandbox {
    /// What it may read, as paths.
    pub read: BTreeSet<PathBuf>,
    /// What it may read and change.
    pub write: BTreeSet<PathBuf>,
    /// Where it may connect to, as it is written.
    pub reach: BTreeSet<String>,
    /// The same, understood.
    pub allow: Allow,
    /// How much it may send and receive.
    pub egress: EgressBounds,
    /// How much of the machine it may take.
    pub bounds: Bounds,
    /// What of its isolation the machine may lack.
    pub accepted: BTreeSet<Part>,
}

/// As it is written; the word `isolation` of an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    #[default]
    Full,
    None,
}

#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenSandbox {
    profile: Option<Spanned<String>>,
    #[serde(default)]
    read: Vec<Spanned<PathBuf>>,
    #[serde(default)]
    write: Vec<Spanned<PathBuf>>,
    #[serde(default)]
    reach: Vec<Spanned<String>>,
    memory_mb: Option<Spanned<u64>>,
    processes: Option<Spanned<u64>>,
    cpu_s: Option<Spanned<u64>>,
    file_mb: Option<Spanned<u64>>,
    open_files: Option<Spanned<u64>>,
    tmp_mb: Option<Spanned<u64>>,
    egress_mb_out: Option<Spanned<u64>>,
    egress_mb_in: Option<Spanned<u64>>,
    egress_connections: Option<Spanned<u64>>,
    egress_at_once: Option<Spanned<u64>>,
    egress_s: Option<Spanned<u64>>,
    #[serde(default)]
    allow_degraded: Vec<Spanned<String>>,
}

/// Profiles by name, as the tables `[sandbox.NAME]` have them.
pub(super) type Profiles = BTreeMap<String, Sandbox>;

const MEGABYTE: u64 = 1 << 20;

impl Reader<'_> {
    pub(super) fn profiles(
        &self,
        written: BTreeMap<Spanned<String>, WrittenSandbox>,
    ) -> Result<Profiles, ConfigError> {
        let mut profiles = Profiles::new();
        for (name, table) in written {
            if let Some(other) = &table.profile {
                let problem = "a profile is not made from another".to_owned();
                return Err(self.error(problem, None, Some(other.span())));
            }
            let sandbox = self.sandbox(table, &profiles)?;
            profiles.insert(name.into_inner(), sandbox);
        }
        Ok(profiles)
    }

    pub(super) fn isolated(
        &self,
        level: Option<Spanned<Level>>,
        written: Option<Spanned<WrittenSandbox>>,
        profiles: &Profiles,
    ) -> Result<Isolated, ConfigError> {
        match (level.map(Spanned::into_inner).unwrap_or_default(), written) {
            (Level::Full, written) => {
                let written = written.map(Spanned::into_inner).unwrap_or_default();
                Ok(Isolated::Fully(Box::new(self.sandbox(written, profiles)?)))
            }
            (Level::None, None) => Ok(Isolated::Not),
            (Level::None, Some(table)) => {
                let problem = "a server without isolation has no `sandbox`".to_owned();
                let help = "leave out `isolation = \"none\"`, or the table".to_owned();
                Err(self.error(problem, Some(help), Some(table.span())))
            }
        }
    }

    fn sandbox(
        &self,
        written: WrittenSandbox,
        profiles: &Profiles,
    ) -> Result<Sandbox, ConfigError> {
        let mut sandbox = match &written.profile {
            None => Sandbox::default(),
            Some(name) => profiles.get(name.get_ref()).cloned().ok_or_else(|| {
                let problem = format!("there is no profile {:?}", name.get_ref());
                let known = profiles.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>();
                let help = if known.is_empty() {
                    "write a table `[sandbox.NAME]`".to_owned()
                } else {
                    format!("there are {}", known.join(", "))
                };
                self.error(problem, Some(help), Some(name.span()))
            })?,
        };
        for path in &written.read {
            sandbox.read.insert(self.seen("read", path)?);
        }
        for path in &written.write {
            sandbox.write.insert(self.seen("write", path)?);
        }
        for place in &written.reach {
            Allow::parse([place.get_ref()])
                .map_err(|wrong| self.error(wrong.to_string(), None, Some(place.span())))?;
            sandbox.reach.insert(place.get_ref().clone());
        }
        sandbox.allow = Allow::parse(&sandbox.reach)
            .map_err(|wrong| self.error(wrong.to_string(), None, None))?;
        for name in &written.allow_degraded {
            sandbox.accepted.insert(self.part(name)?);
        }
        self.program_bounds(&written, &mut sandbox.bounds)?;
        self.egress_bounds(&written, &mut sandbox.egress)?;
        Ok(sandbox)
    }

    fn program_bounds(
        &self,
        written: &WrittenSandbox,
        bounds: &mut Bounds,
    ) -> Result<(), ConfigError> {
        let bytes = |place: &mut u64, key: &str, value, most: u64| {
            let read = self.within(key, value, 1..=most)?;
            *place = read.map_or(*place, |megabytes| megabytes * MEGABYTE);
            Ok(())
        };
        bytes(&mut bounds.memory, "memory_mb", written.memory_mb.as_ref(), 1 << 20)?;
        bytes(&mut bounds.file, "file_mb", written.file_mb.as_ref(), 1 << 20)?;
        bytes(&mut bounds.tmp, "tmp_mb", written.tmp_mb.as_ref(), 1 << 20)?;
        if let Some(n) = self.within("processes", written.processes.as_ref(), 1..=32_768)? {
            bounds.processes = u32::try_from(n).unwrap_or(bounds.processes);
        }
        if let Some(n) = self.within("open_files", written.open_files.as_ref(), 16..=1 << 20)? {
            bounds.open_files = n;
        }
        if let Some(n) = self.within("cpu_s", written.cpu_s.as_ref(), 1..=31_536_000)? {
            bounds.cpu = Some(Duration::from_secs(n));
        }
        Ok(())
    }

    fn egress_bounds(
        &self,
        written: &WrittenSandbox,
        bounds: &mut EgressBounds,
    ) -> Result<(), ConfigError> {
        let within = |key: &str, value, most: u64| self.within(key, value, 1..=most);
        if let Some(n) = within("egress_mb_out", written.egress_mb_out.as_ref(), 1 << 30)? {
            bounds.bytes_out = n * MEGABYTE;
        }
        if let Some(n) = within("egress_mb_in", written.egress_mb_in.as_ref(), 1 << 30)? {
            bounds.bytes_in = n * MEGABYTE;
        }
        let connections = written.egress_connections.as_ref();
        if let Some(n) = within("egress_connections", connections, 1 << 30)? {
            bounds.connections = n;
        }
        if let Some(n) = within("egress_at_once", written.egress_at_once.as_ref(), 4096)? {
            bounds.at_once = usize::try_from(n).unwrap_or(bounds.at_once);
        }
        if let Some(n) = within("egress_s", written.egress_s.as_ref(), 604_800)? {
            bounds.whole = Duration::from_secs(n);
        }
        Ok(())
    }

    /// A path that a server sees; relative ones are relative to the configuration.
    fn seen(&self, key: &str, path: &Spanned<PathBuf>) -> Result<PathBuf, ConfigError> {
        let refused = |problem: String, help: &str| {
            Err(self.error(problem, Some(help.to_owned()), Some(path.span())))
        };
        let written = path.get_ref();
        if written.starts_with("~") {
            let help = "write the whole path: a configuration has no home folder";
            return refused(format!("`{}` is not expanded", written.display()), help);
        }
        if written.as_os_str().is_empty()
            || written.components().any(|part| part.as_os_str() == "..")
        {
            return refused(format!("`{key}` names no path of its own"), "leave out `..`");
        }
        let whole: PathBuf = self.folder.join(written).components().collect();
        if key == "write" && whole == Path::new("/") {
            let help = "name the folders that the server is to change";
            return refused("`/` cannot be written to as a whole".to_owned(), help);
        }
        Ok(whole)
    }

    fn part(&self, name: &Spanned<String>) -> Result<Part, ConfigError> {
        Part::of_name(name.get_ref()).ok_or_else(|| {
            let problem = format!("{:?} is no part of the isolation", name.get_ref());
            let known = Part::ALL.map(Part::as_str).join(", ");
            let help = format!("`tagout doctor` says what is missing here; there are {known}");
            self.error(problem, Some(help), Some(name.span()))
        })
    }
}
