//! From files to a gateway.
use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::Path,
    sync::Arc,
};

use tagout_gateway::{
    Clock, Gateway, OpenError, Parts, approval::Terminal, config::Config, identity::os_user,
    lockfile::Lockfile,
};
use tagout_policy::{Policy, Source, Surface};

use crate::{failure::Failure, places::Places};

/// What ships reviewed: the built-in servers' tools.
const SHIPPED: &str = include_str!("../shipped.lock");

/// Files of configuration, policy and lockfile are small; a larger one is not read at all.
const FILE_BYTES: u64 = 16 << 20;

/// Configuration, policy and lockfile, read and understood.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) config: Config,
    pub(crate) policy: Policy,
    pub(crate) lockfile: Lockfile,
    /// The files that were read.
    pub(crate) files: Vec<String>,
}

/// The content of a file; nothing if there is none.
pub(crate) fn read(path: &Path) -> Result<Option<String>, Failure> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Failure::io(path, error)),
    };
    let mut text = String::new();
    #[expect(clippy::disallowed_methods, reason = "the reader before it has a bound")]
    let read = file.take(FILE_BYTES + 1).read_to_string(&mut text);
    let read = read.map_err(|error| Failure::io(path, error))?;
    // The rest may hold the rule that forbids.
    if u64::try_from(read).is_ok_and(|read| read <= FILE_BYTES) {
        return Ok(Some(text));
    }
    Err(Failure::io(path, io::Error::from(io::ErrorKind::FileTooLarge)))
}

impl Setup {
    /// Reads what `places` has.
    pub(crate) fn read(places: &Places) -> Result<Self, Failure> {
        let mut files = Vec::new();
        let shown = |path: &Path| path.display().to_string();
        let config = match read(&places.config)? {
            Some(text) => {
                files.push(shown(&places.config));
                let name = shown(&places.config);
                Config::parse(&name, &text, places.folder()).map_err(Failure::at_place)?
            }
            None if places.named => {
                let message = format!("there is no file `{}`", places.config.display());
                let help = "make one with `tagout add`, or leave out `--config`";
                return Err(Failure::usage("config-missing", message, help));
            }
            None => Config::built_in(),
        };
        let usual = places.folder().join("policies");
        let folder = config.policies.as_deref().unwrap_or(&usual);
        let own = rules(folder, folder == usual)?;
        files.extend(own.iter().map(|source| source.name.clone()));
        let policy =
            Policy::load(config.profile, &own, &Surface::default()).map_err(Failure::at_place)?;
        let path = places.lockfile();
        let lockfile = match read(&path)? {
            Some(text) => {
                files.push(shown(&path));
                Lockfile::parse(&shown(&path), &text).map_err(Failure::at_place)?
            }
            None => Lockfile::default(),
        };
        Ok(Self { config, policy, lockfile, files })
    }

    /// Opens the gateway on the state that `places` names.
    pub(crate) fn open(self, places: &Places) -> Result<Arc<Gateway>, Failure> {
        let shipped = Lockfile::parse("shipped.lock", SHIPPED).map_err(Failure::at_place)?;
        let own_program =
            std::env::current_exe().map_err(|e| Failure::io(Path::new("/proc"), e))?;
        let principal = os_user(&self.config);
        let parts = Parts {
            principal,
            config: self.config,
            policy: self.policy,
            lockfile: self.lockfile,
            shipped,
            own_program,
            approver: Arc::new(Terminal::new(places.state.clone())),
            clock: clock(),
        };
        Gateway::open(parts, &places.state, &places.head_key).map_err(|error| match &error {
            OpenError::Audit(inner) => Failure::of(&error, inner.code(), inner.help()),
            OpenError::Store(inner) => Failure::of(&error, inner.code(), inner.help()),
            OpenError::Key(_) => Failure::of(&error, "state-invalid", ""),
        })
    }
}

/// The system's clock; everything else takes the time from here.
pub(crate) fn clock() -> Clock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everybody is to use")]
    Clock::new(jiff::Timestamp::now)
}

/// One's own rules, by file name. The usual folder need not be there; one that was named must be,
/// and so must whatever has a rule's name: what is left out may be what forbids.
fn rules(folder: &Path, is_usual: bool) -> Result<Vec<Source>, Failure> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound && is_usual => return Ok(Vec::new()),
        Err(error) => return Err(Failure::io(folder, error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| Failure::io(folder, error))?.path();
        if path.extension().is_some_and(|extension| extension == "cedar") {
            paths.push(path);
        }
    }
    paths.sort();
    let mut sources = Vec::new();
    for path in paths {
        let gone = || Failure::io(&path, io::Error::from(io::ErrorKind::NotFound));
        let text = read(&path)?.ok_or_else(gone)?;
        sources.push(Source { name: path.display().to_string(), text });
    }
    Ok(sources)
}
