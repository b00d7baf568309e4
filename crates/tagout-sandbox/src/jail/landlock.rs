//! Landlock: what a program may do with files and TCP, and whom it may signal.
//!
//! It stands behind the mounts, and says the same once more: should a mount be there that ought not
//! to be, or a process come to a descriptor from outside, this still refuses. What a folder allows
//! holds for all that is in it, so a writable folder within a readable one may be executed as far
//! as Landlock goes; its mount refuses that.
//!
//! It does not see: what was open before, the metadata of files, sockets that are files (a program
//! can reach one that lies in a folder which it may see), and no protocol but TCP. The filter of
//! system calls leaves only UDP beside it, and a network namespace leaves both nothing to reach.
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::PathBuf,
};

use rustix::fs::{FileType, Mode, OFlags, fstat, open};

use crate::{
    Part,
    danger::landlock::{self as kernel, Handled},
};

/// What a program may do with a file, or with all in a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Read and list.
    Read,
    /// Read, list and execute.
    ReadExecute,
    /// Read, list, write, make and remove, but not execute, and not make devices.
    ReadWrite,
    /// Read, write and ask of what is not a regular file.
    Device,
    /// List, and nothing else.
    List,
}

const EXECUTE: u64 = 1 << 0;
const WRITE_FILE: u64 = 1 << 1;
const READ_FILE: u64 = 1 << 2;
const READ_DIR: u64 = 1 << 3;
/// Remove a folder or a file, make a folder, a regular file, a socket, a pipe or a link.
const CHANGE_DIR: u64 = 1 << 4 | 1 << 5 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 12;
const MAKE_DEVICES: u64 = 1 << 6 | 1 << 11;
/// Move or link from one folder to another.
const REFER: u64 = 1 << 13;
const TRUNCATE: u64 = 1 << 14;
const IOCTL_DEVICE: u64 = 1 << 15;

/// What can be said of a file that is no folder.
const OF_FILES: u64 = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEVICE;

const BIND: u64 = 1 << 0;
const CONNECT: u64 = 1 << 1;

/// Abstract sockets and signals.
const SCOPES: u64 = 1 << 0 | 1 << 1;

impl Access {
    const fn rights(self) -> u64 {
        match self {
            Self::Read => READ_FILE | READ_DIR,
            Self::ReadExecute => READ_FILE | READ_DIR | EXECUTE,
            Self::ReadWrite => READ_FILE | READ_DIR | WRITE_FILE | TRUNCATE | CHANGE_DIR | REFER,
            Self::Device => READ_FILE | READ_DIR | WRITE_FILE | IOCTL_DEVICE,
            Self::List => READ_DIR,
        }
    }
}

/// The kernel's version of Landlock; 0 where it has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Abi(u32);

impl Abi {
    /// What this kernel has, which may be nothing.
    pub(super) fn of_kernel() -> Self {
        Self(kernel::version().unwrap_or_default())
    }

    /// Whether it has a part, so far as that part is Landlock's.
    pub(super) const fn has(self, part: Part) -> bool {
        match part {
            // Before, a file could be emptied by whoever may not write it.
            Part::LandlockFiles => self.0 >= 3,
            Part::LandlockNetwork => self.0 >= 4,
            Part::LandlockScopes => self.0 >= 6,
            Part::Users
            | Part::Mounts
            | Part::Processes
            | Part::Ipc
            | Part::HostName
            | Part::Network
            | Part::Seccomp
            | Part::Privileges
            | Part::MemoryBound
            | Part::ProcessBound
            | Part::ProcessLimits => false,
        }
    }

    /// Its number.
    pub(super) const fn number(self) -> u32 {
        self.0
    }

    /// All that rules of this version can be about.
    const fn handled(self) -> Handled {
        let mut files = EXECUTE | WRITE_FILE | READ_FILE | READ_DIR | CHANGE_DIR | MAKE_DEVICES;
        if self.0 >= 2 {
            files |= REFER;
        }
        if self.0 >= 3 {
            files |= TRUNCATE;
        }
        if self.0 >= 5 {
            files |= IOCTL_DEVICE;
        }
        let network = if self.0 >= 4 { BIND | CONNECT } else { 0 };
        let scopes = if self.0 >= 6 { SCOPES } else { 0 };
        Handled { files, network, scopes }
    }
}

/// What a program is allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rules {
    /// By path; each must exist.
    pub(super) files: BTreeMap<PathBuf, Access>,
    /// The TCP ports that it may connect to, of whatever address.
    pub(super) connect: BTreeSet<u16>,
    /// Whether it may listen on TCP ports. Harmless in a network namespace of its own.
    pub(super) bind: bool,
    /// Parts that are left out.
    pub(super) off: BTreeSet<Part>,
}

impl Rules {
    /// What these rules are about on a kernel of that version.
    fn handled(&self, abi: Abi) -> Handled {
        let all = abi.handled();
        let wanted = |part| !self.off.contains(&part);
        Handled {
            files: if wanted(Part::LandlockFiles) { all.files } else { 0 },
            network: match (wanted(Part::LandlockNetwork), self.bind) {
                (true, true) => all.network & CONNECT,
                (true, false) => all.network,
                (false, _) => 0,
            },
            scopes: if wanted(Part::LandlockScopes) { all.scopes } else { 0 },
        }
    }
}

/// Puts this process, and what it becomes and starts, under the rules for good, as far as the
/// kernel's version goes, which is returned. It has one thread, and has given up new privileges
/// before.
///
/// # Errors
/// A path that is not there; a kernel that has Landlock, and refuses.
pub(super) fn restrict(rules: &Rules) -> io::Result<Abi> {
    let abi = Abi::of_kernel();
    let handled = rules.handled(abi);
    if abi == Abi(0) || handled == Handled::default() {
        return Ok(abi);
    }
    let ruleset = kernel::ruleset(&handled)?;
    if handled.files != 0 {
        for (path, access) in &rules.files {
            let place = open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
            let allowed = access.rights() & handled.files & rights_of(&place)?;
            kernel::allow_beneath(&ruleset, &place, allowed)?;
        }
    }
    if handled.network & CONNECT != 0 {
        for port in &rules.connect {
            kernel::allow_at(&ruleset, *port, CONNECT)?;
        }
    }
    kernel::restrict(&ruleset)?;
    Ok(abi)
}

/// What can be said of what `place` is open at.
fn rights_of(place: impl std::os::fd::AsFd) -> io::Result<u64> {
    let is_folder = FileType::from_raw_mode(fstat(place)?.st_mode) == FileType::Directory;
    Ok(if is_folder { u64::MAX } else { OF_FILES })
}
