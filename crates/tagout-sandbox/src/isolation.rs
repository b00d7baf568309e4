//! What a program may see and do, beside what it is started with.
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fmt,
    os::unix::ffi::OsStrExt as _,
    path::PathBuf,
    time::Duration,
};

use zeroize::Zeroize as _;

use crate::SpawnError;

/// What an isolated program may read, write and reach. Nothing else of the machine is there for it:
/// it runs in namespaces of its own, on a root file system that holds only this.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Isolation {
    /// Files and folders that it sees at their own paths, read-only; what is in them may be
    /// executed. Absolute; each must exist.
    pub read: BTreeSet<PathBuf>,
    /// Folders and files that it sees at their own paths and may change; nothing in them may be
    /// executed. Absolute; each must exist.
    pub write: BTreeSet<PathBuf>,
    /// Files and folders that it does not see, wherever they lie below what it may read or write,
    /// whether they are there yet or not: an empty one is in their place. A folder on the way to
    /// one of them shows what was in it at the start; what is put there later it does not see.
    pub hide: BTreeSet<PathBuf>,
    /// Folders that it sees at their own paths with nothing in them, where they are in nothing that
    /// it may read or write. Absolute; each must exist.
    pub empty: BTreeSet<PathBuf>,
    /// Folders in which no link is followed on the way to what it may read or write, as in those
    /// that it may write itself: others may write there, and lead it elsewhere.
    pub unlinked: BTreeSet<PathBuf>,
    /// Whether it sees the system's software: what stands below `/usr` and what programs need of
    /// `/etc`.
    pub system: bool,
    /// Files that only it sees, as `/run/secrets/NAME`, in memory.
    pub files: BTreeMap<OsString, PrivateFile>,
    /// Whether there is a listener on its loopback that the caller of [`crate::spawn`] gets.
    pub egress: bool,
    /// How much of the machine it may take.
    pub bounds: Bounds,
    /// Parts of this that the machine may lack.
    pub accepted: BTreeSet<Part>,
    /// Parts that are left out on purpose, to show what each is good for.
    pub off: BTreeSet<Part>,
}

impl Isolation {
    /// Whether a part is to be there.
    #[cfg(all(target_os = "linux", not(tagout_elsewhere)))]
    pub(crate) fn wants(&self, part: Part) -> bool {
        !self.off.contains(&part)
    }

    fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        let Self { read, write, hide, empty, unlinked, .. } = self;
        [read, write, hide, empty, unlinked].into_iter().flatten()
    }

    /// Refuses what the operating system would misread rather than refuse.
    pub(crate) fn check(&self) -> Result<(), SpawnError> {
        for path in self.paths() {
            if !path.is_absolute() {
                return Err(SpawnError::NotAbsolute { path: path.clone() });
            }
            if path.as_os_str().as_bytes().contains(&0) {
                return Err(SpawnError::ZeroByte);
            }
        }
        // One name, that leads nowhere else.
        let is_name = |name: &OsString| {
            let bytes = name.as_bytes();
            !matches!(bytes, b"" | b"." | b"..") && !bytes.iter().any(|b| matches!(b, 0 | b'/'))
        };
        match self.files.keys().find(|name| !is_name(name)) {
            Some(name) => Err(SpawnError::Path {
                path: PathBuf::from(name),
                what: String::from("cannot name a file"),
            }),
            None => Ok(()),
        }
    }
}

/// Where the listener of [`Isolation::egress`] is, inside.
pub const EGRESS_PORT: u16 = 3128;

/// The content of a file that only the program sees. Shows as nothing, and is wiped.
#[derive(Clone, PartialEq, Eq)]
pub struct PrivateFile(Vec<u8>);

impl PrivateFile {
    /// A file with this content.
    #[must_use]
    pub const fn new(content: Vec<u8>) -> Self {
        Self(content)
    }

    #[cfg(all(target_os = "linux", not(tagout_elsewhere)))]
    pub(crate) fn content(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for PrivateFile {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for PrivateFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<private>")
    }
}

/// How much of the machine a program and all that it starts may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Memory, in bytes.
    pub memory: u64,
    /// Processes and threads.
    pub processes: u32,
    /// Processor time of each process, where it is bounded.
    pub cpu: Option<Duration>,
    /// The largest file that it may write, in bytes.
    pub file: u64,
    /// Descriptors of each process.
    pub open_files: u64,
    /// What `/tmp` and `/dev/shm` may hold each, in bytes.
    pub tmp: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            memory: 1 << 30,
            processes: 256,
            cpu: None,
            file: 256 << 20,
            open_files: 1024,
            tmp: 64 << 20,
        }
    }
}

/// What would give any part to a system that is not Linux.
pub(crate) const REMEDY_ELSEWHERE: &str =
    "use Linux, or servers at a URL; or start this one with `isolation = \"none\"`";

/// A part of the isolation, which a machine may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// A user namespace: no capability outside, and never the host's user 0.
    Users,
    /// A mount namespace with a root file system of its own, read-only.
    Mounts,
    /// A PID namespace: no other process is seen, and all end with the first.
    Processes,
    /// An IPC namespace.
    Ipc,
    /// A UTS namespace.
    HostName,
    /// A network namespace with nothing but a loopback.
    Network,
    /// Landlock's rules about files.
    LandlockFiles,
    /// Landlock's rules about TCP.
    LandlockNetwork,
    /// Landlock's rules about abstract sockets and signals.
    LandlockScopes,
    /// The filter of system calls.
    Seccomp,
    /// No capability, and no way to one.
    Privileges,
    /// The bound on memory of all processes together.
    MemoryBound,
    /// The bound on the number of processes.
    ProcessBound,
    /// The bounds on each process: memory, processor time, files.
    ProcessLimits,
}

impl Part {
    /// Every part, in the order in which they are put in place.
    pub const ALL: [Self; 14] = [
        Self::Users,
        Self::Mounts,
        Self::Processes,
        Self::Ipc,
        Self::HostName,
        Self::Network,
        Self::MemoryBound,
        Self::ProcessBound,
        Self::ProcessLimits,
        Self::Privileges,
        Self::LandlockFiles,
        Self::LandlockNetwork,
        Self::LandlockScopes,
        Self::Seccomp,
    ];

    /// Its name in configurations and reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Users => "user-namespace",
            Self::Mounts => "mount-namespace",
            Self::Processes => "pid-namespace",
            Self::Ipc => "ipc-namespace",
            Self::HostName => "uts-namespace",
            Self::Network => "network-namespace",
            Self::LandlockFiles => "landlock-files",
            Self::LandlockNetwork => "landlock-network",
            Self::LandlockScopes => "landlock-scopes",
            Self::Seccomp => "seccomp",
            Self::Privileges => "privileges",
            Self::MemoryBound => "memory-bound",
            Self::ProcessBound => "process-bound",
            Self::ProcessLimits => "process-limits",
        }
    }

    /// What would give it to a machine that lacks it.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        if cfg!(not(all(target_os = "linux", not(tagout_elsewhere)))) {
            return REMEDY_ELSEWHERE;
        }
        match self {
            Self::Users => {
                "allow user namespaces: `user.max_user_namespaces`, \
                 `kernel.unprivileged_userns_clone`, `kernel.apparmor_restrict_unprivileged_userns`, \
                 or the seccomp profile of the container"
            }
            Self::Mounts | Self::Processes | Self::Ipc | Self::HostName | Self::Network => {
                "allow user namespaces, or start Tagout as root"
            }
            Self::LandlockFiles | Self::LandlockNetwork | Self::LandlockScopes => {
                "a kernel of 6.12 or later, with `landlock` in `lsm=`"
            }
            Self::Seccomp => "a kernel with `CONFIG_SECCOMP_FILTER`",
            Self::Privileges => "a kernel that lets capabilities be dropped",
            Self::MemoryBound | Self::ProcessBound => {
                "delegate the cgroup controllers `memory` and `pids` to Tagout"
            }
            Self::ProcessLimits => "raise the hard limits that Tagout is started with",
        }
    }

    /// The part of that name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.as_str() == name)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
