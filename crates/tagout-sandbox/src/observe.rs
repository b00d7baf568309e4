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
#[cfg(all(target_os = "linux", not(tagout_elsewhere)))]
mod calls;
#[cfg(all(target_os = "linux", not(tagout_elsewhere)))]
mod guarded;
#[cfg(all(target_os = "linux", not(tagout_elsewhere)))]
mod notes;
#[cfg(all(target_os = "linux", not(tagout_elsewhere)))]
mod propose;
#[cfg(all(target_os = "linux", not(tagout_elsewhere)))]
mod started;
#[cfg(all(target_os = "linux", not(tagout_elsewhere)))]
mod watch;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    thread::JoinHandle,
};

#[cfg(all(target_os = "linux", not(tagout_elsewhere)))]
pub(crate) use self::calls::WATCHED;
#[cfg(all(target_os = "linux", not(tagout_elsewhere)))]
use self::propose::propose as proposed;
#[cfg(all(target_os = "linux", not(tagout_elsewhere)))]
pub use self::started::observe;
use crate::Isolation;
#[cfg(not(all(target_os = "linux", not(tagout_elsewhere))))]
pub use crate::starts::observe;
#[cfg(not(all(target_os = "linux", not(tagout_elsewhere))))]
use crate::starts::propose as proposed;

/// What a program does with a file.
#[cfg(all(target_os = "linux", not(tagout_elsewhere)))]
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
        proposed(self, given, home)
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
