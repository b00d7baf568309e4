//! Packages, installed into a store of Tagout's own: what a command names is there afterwards, every
//! byte of it listed, and nothing is fetched when it is started.
//!
//! The package managers do the fetching. They are run in a home of their own, without credentials,
//! and run nothing of what they fetch. What they say that they fetched is held against what is there.
mod npm;
mod pending;
mod python;

use std::{
    cell::Cell,
    collections::BTreeMap,
    fs::{self, DirBuilder},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

pub use self::pending::Pending;
use self::pending::Place;
use crate::{Ecosystem, Flaw, Package, Provenance, Publisher, TreeError, TrustRoot, tree};

/// How long a package manager may take for a step.
const PATIENCE: Duration = Duration::from_secs(600);
/// How long it may take to say which version is the newest.
const SHORT: Duration = Duration::from_secs(15);

/// What is to be run.
#[derive(Clone, Debug)]
pub struct Order {
    /// The program, absolute.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Variables beside those that the runner gives to all.
    pub env: BTreeMap<String, String>,
    /// Where.
    pub cwd: PathBuf,
    /// How long it may take.
    pub patience: Duration,
}

/// How that went.
#[derive(Clone, Debug)]
pub struct Said {
    /// Whether it ended well.
    pub success: bool,
    /// What it wrote.
    pub stdout: String,
    /// The last of what it complained.
    pub stderr: String,
}

/// Who runs package managers, and asks registries for what they do not give.
pub trait Runner {
    /// The program of that name, if there is one.
    fn find(&self, name: &str) -> Option<PathBuf>;

    /// Runs it to its end.
    ///
    /// # Errors
    /// It could not be started, or took too long.
    fn run(&self, order: &Order) -> Result<Said, String>;

    /// What is at a URL, as that media type; nothing if there is nothing of that type.
    ///
    /// # Errors
    /// It could not be asked.
    fn fetch(&self, url: &str, media: &str) -> Result<Option<Vec<u8>>, String>;
}

/// Where packages are installed, and by what.
#[derive(Clone, Copy)]
pub struct Store<'a> {
    /// The folder of all of them, absolute.
    pub folder: &'a Path,
    /// Who runs package managers.
    pub runner: &'a dyn Runner,
    /// Whom attestations are believed.
    pub root: &'a TrustRoot,
    /// Whether another publisher than before is accepted.
    pub new_publisher: bool,
}

/// A package that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// Its folder.
    pub folder: PathBuf,
    /// How it is started.
    pub command: Vec<String>,
    /// How many packages that are, with all that it needs.
    pub packages: usize,
    /// The digest that the registry names for it, and that what was fetched has.
    pub integrity: String,
    /// What is attested of it.
    pub attested: Attested,
}

/// Whether something is attested of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attested {
    /// Its registry names nothing.
    Nothing,
    /// This, and it was verified.
    Verified(Provenance),
    /// That could not be found out, for this reason.
    Unknown(String),
}

impl Attested {
    /// `verified`, `none` or `unknown`.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Nothing => "none",
            Self::Verified(_) => "verified",
            Self::Unknown(_) => "unknown",
        }
    }

    /// Who released it, where that was verified.
    #[must_use]
    pub const fn publisher(&self) -> Option<&Publisher> {
        match self {
            Self::Verified(provenance) => provenance.publisher.as_ref(),
            Self::Nothing | Self::Unknown(_) => None,
        }
    }

    const fn by_registry(&self) -> bool {
        match self {
            Self::Verified(provenance) => provenance.registry,
            Self::Nothing | Self::Unknown(_) => false,
        }
    }
}

/// Why a package is not installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// There is no package manager for it.
    #[error("`{0}` is not there to install it with")]
    NoTool(&'static str),
    /// The package manager did not do it.
    #[error("`{tool}` cannot install it: {why}")]
    Failed {
        /// The package manager.
        tool: &'static str,
        /// What it said last.
        why: String,
    },
    /// What was fetched is not what was named, or nothing says what it is.
    #[error("it is not what its digest says: {0}")]
    Integrity(String),
    /// An attestation of it does not hold.
    #[error("what is attested of it does not hold: {0}")]
    Attestation(#[from] Flaw),
    /// It has attestations, and they cannot be had.
    #[error("who released it cannot be found out: {0}")]
    Unattested(String),
    /// It is from somebody else than before.
    #[error("it was released by {was} before, and now by {is}")]
    Publisher {
        /// By whom what was installed first was released.
        was: String,
        /// By whom this was.
        is: String,
    },
    /// It has no program that can be started.
    #[error("it has no program to start: {0}")]
    NoProgram(String),
    /// A file.
    #[error(transparent)]
    Tree(#[from] TreeError),
}

impl InstallError {
    /// The stable codes.
    pub const CODES: &[&str] =
        &["supply-install", "supply-integrity", "supply-provenance", "supply-publisher-changed"];

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoTool(_) | Self::Failed { .. } | Self::NoProgram(_) => "supply-install",
            Self::Integrity(_) | Self::Tree(_) => "supply-integrity",
            Self::Attestation(_) | Self::Unattested(_) => "supply-provenance",
            Self::Publisher { .. } => "supply-publisher-changed",
        }
    }
}

/// What stands in a package's folder about it.
#[derive(Serialize, Deserialize)]
struct About {
    ecosystem: String,
    name: String,
    version: String,
    integrity: String,
    /// What it is made of, with digests.
    packages: BTreeMap<String, String>,
    publisher: Option<Publisher>,
    attested_by_registry: bool,
}

/// What was fetched, before it is put in its place.
struct Fetched {
    integrity: String,
    packages: BTreeMap<String, String>,
    attested: Attested,
    /// How it is started; paths are within the tree.
    command: Vec<Part>,
}

/// A word of a command.
enum Part {
    /// As it is.
    Word(String),
    /// A file of the tree.
    Inside(PathBuf),
}

/// The folders of an installation under way. They go when it is over.
struct Work(PathBuf);

impl Work {
    fn tree(&self) -> PathBuf {
        self.0.join("tree")
    }
    fn home(&self) -> PathBuf {
        self.0.join("home")
    }
    fn fetched(&self) -> PathBuf {
        self.0.join("fetched")
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        // What is left over is in nobody's way.
        drop(fs::remove_dir_all(&self.0));
    }
}

/// Fetches and installs `package`, with all that it needs. It stays only if it is kept.
///
/// # Errors
/// See [`InstallError`]; then nothing of it stays.
pub fn install(package: &Package, store: Store<'_>) -> Result<Pending, InstallError> {
    let name = match package.ecosystem {
        Ecosystem::Npm => package.name.clone(),
        // However it is written, it is one.
        Ecosystem::Python => python::normal(&package.name),
    };
    make(store.folder)?;
    let place = Place::hold(store.folder, &format!("{}/{name}", package.ecosystem))?;
    let work = begun(store.folder)?;
    let fetched = match package.ecosystem {
        Ecosystem::Npm => npm::fetched(package, store, &work)?,
        Ecosystem::Python => python::fetched(package, store, &work)?,
    };
    let publisher = fetched.attested.publisher().cloned();
    if !store.new_publisher {
        is_by_the_same(place.publisher()?, &fetched.attested)?;
    }
    let tree = work.tree();
    let text = serde_json::to_string_pretty(&about(package, &fetched)).unwrap_or_default();
    write(&tree.join("tagout-package.json"), &text)?;
    let folder = place.folder.join(tree::seal(&tree, &package.version)?);
    let there = folder.exists();
    if there {
        tree::verify(&folder)?;
    } else {
        fs::rename(&tree, &folder).map_err(|e| io(&folder, e))?;
    }
    let command = fetched.command.into_iter().map(|part| match part {
        Part::Word(word) => word,
        Part::Inside(path) => folder.join(path).to_string_lossy().into_owned(),
    });
    let installed = Installed {
        command: command.chain(package.args.iter().cloned()).collect(),
        folder,
        packages: fetched.packages.len(),
        integrity: fetched.integrity,
        attested: fetched.attested,
    };
    Ok(Pending { installed, place, publisher, passing: Cell::new(!there) })
}

/// Holds who released a package against who released it first.
fn is_by_the_same(was: Option<Publisher>, now: &Attested) -> Result<(), InstallError> {
    let Some(was) = was else { return Ok(()) };
    if let Attested::Unknown(why) = now {
        return Err(InstallError::Unattested(why.clone()));
    }
    let is = now.publisher();
    if is.is_some_and(|is| was.is_still(is)) {
        return Ok(());
    }
    let is = is.map_or_else(|| "nobody who says so".to_owned(), ToString::to_string);
    Err(InstallError::Publisher { was: was.to_string(), is })
}

fn about(package: &Package, fetched: &Fetched) -> About {
    About {
        ecosystem: package.ecosystem.to_string(),
        name: package.name.clone(),
        version: package.version.clone(),
        integrity: fetched.integrity.clone(),
        packages: fetched.packages.clone(),
        attested_by_registry: fetched.attested.by_registry(),
        publisher: fetched.attested.publisher().cloned(),
    }
}

/// The version of a package that its registry would give for what is wanted, where it can be asked.
#[must_use]
pub fn newest(unpinned: &crate::Unpinned, runner: &dyn Runner, folder: &Path) -> Option<String> {
    let work = begun(folder).ok()?;
    match unpinned.ecosystem {
        Ecosystem::Npm => npm::newest(&unpinned.wanted, &unpinned.name, (runner, &work)),
        Ecosystem::Python => python::newest(&unpinned.name, (runner, &work)),
    }
}

/// Who released what was installed of a package first.
const PUBLISHER: &str = "publisher.json";

fn io(path: &Path, source: std::io::Error) -> TreeError {
    TreeError::Io { path: path.to_owned(), source }
}

fn make(folder: &Path) -> Result<(), TreeError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| io(folder, error))
}

fn write(path: &Path, text: &str) -> Result<(), TreeError> {
    fs::write(path, text).map_err(|error| io(path, error))
}

/// New folders to work in, which nobody else has.
fn begun(store: &Path) -> Result<Work, TreeError> {
    make(store)?;
    let mut last = None;
    for number in 0..1000 {
        let path = store.join(format!(".new-{}-{number}", std::process::id()));
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => {
                let work = Work(path);
                for folder in [work.tree(), work.home(), work.fetched()] {
                    make(&folder)?;
                }
                return Ok(work);
            }
            Err(error) => last = Some(io(&path, error)),
        }
    }
    Err(last.unwrap_or_else(|| io(store, std::io::ErrorKind::AlreadyExists.into())))
}

/// Runs a step of a package manager.
fn step(
    (tool, runner): (&'static str, &dyn Runner),
    order: &Order,
) -> Result<String, InstallError> {
    let failed = |why: String| InstallError::Failed { tool, why };
    let said = runner.run(order).map_err(failed)?;
    if said.success {
        return Ok(said.stdout);
    }
    let why = if said.stderr.trim().is_empty() { said.stdout } else { said.stderr };
    let mut last: Vec<_> = why.lines().filter(|line| !line.trim().is_empty()).collect();
    last.drain(..last.len().saturating_sub(6));
    Err(failed(last.join("; ")))
}
