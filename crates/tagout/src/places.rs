//! Where things are, by the XDG base directory specification.
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use crate::failure::Failure;

/// Where things are.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// The configuration file; it need not exist unless it was named.
    pub(crate) config: PathBuf,
    /// Whether it was named on the command line.
    pub(crate) named: bool,
    /// Audit log, store and pictures.
    pub(crate) state: PathBuf,
    /// The key that signs the audit log's head; not beside the log.
    pub(crate) head_key: PathBuf,
    /// Packages that were installed for servers.
    pub(crate) packages: PathBuf,
}

impl Places {
    pub(crate) fn find(config: Option<&Path>) -> Result<Self, Failure> {
        let named = config.is_some();
        let config = match config {
            Some(config) => std::path::absolute(config).map_err(|e| Failure::io(config, e))?,
            None => base("XDG_CONFIG_HOME", ".config")?.join("tagout").join("tagout.toml"),
        };
        let state = base("XDG_STATE_HOME", ".local/state")?.join("tagout");
        let data = base("XDG_DATA_HOME", ".local/share")?.join("tagout");
        Ok(Self {
            config,
            named,
            state,
            packages: data.join("packages"),
            head_key: data.join("keys").join("audit-head.key"),
        })
    }

    /// The folder that the configuration stands in.
    pub(crate) fn folder(&self) -> &Path {
        self.config.parent().unwrap_or(Path::new("/"))
    }

    /// Beside the configuration, and called like it, so that two in one folder do not share one.
    pub(crate) fn lockfile(&self) -> PathBuf {
        self.config.with_extension("lock")
    }

    /// The files that say what is allowed, with the folder of rules that the configuration names.
    pub(crate) fn own_files(&self, policies: Option<PathBuf>) -> BTreeSet<PathBuf> {
        let signature = self.lockfile().with_extension("lock.minisig");
        let files = [self.config.clone(), self.lockfile(), signature];
        files.into_iter().chain(policies).collect()
    }

    /// The same with the state and the keys: what no isolated program may see.
    pub(crate) fn guarded(&self, policies: Option<PathBuf>) -> BTreeSet<PathBuf> {
        let mut guarded = self.own_files(policies);
        guarded.insert(self.state.clone());
        guarded.extend(self.head_key.parent().map(Path::to_owned));
        guarded
    }

    pub(crate) fn audit(&self) -> PathBuf {
        self.state.join("audit")
    }
}

fn base(variable: &str, under_home: &str) -> Result<PathBuf, Failure> {
    // The specification: a relative path is as if it were not set.
    let set = std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    if let Some(path) = set {
        return Ok(path);
    }
    let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
    let Some(home) = home else {
        let help = format!("set `HOME` or `{variable}`");
        return Err(Failure::usage("home-unknown", "there is no home directory", &help));
    };
    Ok(home.join(under_home))
}
