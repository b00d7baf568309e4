//! Finds out what a program needs, by letting it look at everything and watching what it does.
//!
//! The program sees the whole file system, read-only, and without what is nobody's business; what
//! its profile lets it write it may write. Calls about files and connections wait until they are
//! noted. What its filter refuses is noted and refused. What comes out of it is a proposal for a
//! person to read, not a decision: a program that is observed can pretend.
//!
//! A name is read from the program's memory before the kernel reads it, so that a program with two
//! threads can show one and open another. That spoils the notes and nothing else: no decision is
//! made by them.
mod calls;
mod guarded;
mod notes;
mod propose;
mod watch;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    thread::JoinHandle,
};

pub(crate) use self::calls::WATCHED;
use self::guarded::Guarded;
use crate::{Child, Isolation, Jailer, Profile, SpawnError};

/// What a program does with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Deed {
    /// Asks whether it is there, and about it.
    Look,
    Read,
    Execute,
    /// Changes it, or makes it by opening it.
    Write,
    /// Makes it, other than by opening it: changes what is in its folder.
    Change,
    /// Removes or renames it, if it is there.
    Remove,
    /// Makes a folder, which most do whether or not it is there.
    MakeFolder,
}

/// What a program tried to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Files and folders that it asked about and that are there.
    pub look: BTreeSet<PathBuf>,
    /// Files and folders that it read.
    pub read: BTreeSet<PathBuf>,
    /// Files that it tried to change or to make.
    pub write: BTreeSet<PathBuf>,
    /// Folders in which it tried to make, remove or rename something.
    pub change: BTreeSet<PathBuf>,
    /// Programs that it started.
    pub execute: BTreeSet<PathBuf>,
    /// Where it tried to connect to by itself: addresses with ports, and sockets that are files,
    /// as `unix:PATH`. What went through a proxy is known to the proxy.
    pub connect: BTreeSet<String>,
    /// System calls that were refused, by name, and how often.
    pub refused: BTreeMap<String, u64>,
    /// Whether there was more than is kept.
    pub incomplete: bool,
}

/// What a profile would have to say for a program to work as it was observed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proposal {
    /// What it has to read, beside the system's software and its own files.
    pub read: BTreeSet<PathBuf>,
    /// What it has to write.
    pub write: BTreeSet<PathBuf>,
    /// What it tried and is not proposed, and why.
    pub withheld: BTreeMap<PathBuf, &'static str>,
}

impl Observed {
    /// What a profile would have to say, beside what `given` has already; `home` is that of whoever
    /// runs the program. Looks at the file system.
    ///
    /// Many files of a folder become the folder, unless it is one where all kinds of things are. A
    /// file that is not there yet becomes the folder that it would be in.
    #[must_use]
    pub fn propose(&self, given: &Isolation, home: Option<&Path>) -> Proposal {
        propose::propose(self, given, home)
    }
}

/// Watches a program.
#[derive(Debug)]
pub struct Observer {
    /// None where nothing was to be watched.
    thread: Option<JoinHandle<Observed>>,
}

impl Observer {
    /// What the program did, when it and all that it started are gone. Blocks.
    #[must_use]
    pub fn observed(self) -> Observed {
        let broken = Observed { incomplete: true, ..Observed::default() };
        self.thread.and_then(|thread| thread.join().ok()).unwrap_or(broken)
    }
}

/// What a program has for itself, and so does not see of the machine; and what is about the machine
/// alone.
const NOT_SHOWN: &[&str] = &["/boot", "/dev", "/lost+found", "/proc", "/run", "/sys", "/tmp"];

/// All folders that there are. Homes are named one by one, since each is seen as its owner sees it.
fn everything(guarded: &Guarded) -> impl Iterator<Item = PathBuf> {
    let folders = std::fs::read_dir("/").into_iter().flatten().filter_map(Result::ok);
    let folders = folders.map(|entry| entry.path());
    let shown = |path: &PathBuf| NOT_SHOWN.iter().all(|not| path != Path::new(not));
    folders.chain(guarded.homes().cloned()).filter(shown).filter(|path| path.is_dir())
}

/// Starts what `profile` describes, as [`crate::spawn`] does, and watches it.
///
/// Its isolation is kept but for what it may read, which is everything there is but for others'
/// keys: `home` is whose, beside those of the homes on this machine. A profile without isolation
/// gets one.
///
/// # Errors
/// As [`crate::spawn`].
pub fn observe(
    profile: &Profile,
    jailer: &Jailer,
    home: Option<&Path>,
) -> Result<(Child, Observer), SpawnError> {
    let mut profile = profile.clone();
    let mut isolation = profile.isolation.take().unwrap_or_default();
    let guarded = Guarded::of(home);
    isolation.read.extend(everything(&guarded));
    isolation.hide.extend(guarded.paths());
    profile.isolation = Some(isolation);
    let mut thread = None;
    let child = crate::spawn::spawn_watched(&profile, jailer, |listener| {
        thread = Some(std::thread::spawn(move || watch::watch(&listener)));
    })?;
    Ok((child, Observer { thread }))
}
