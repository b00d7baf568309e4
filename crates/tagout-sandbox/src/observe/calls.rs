//! Which arguments of a call name files, and what the call does with them.
use super::Deed;

/// Where a call names a file: the argument with the folder that the name is relative to, and the
/// one with the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// None where names are relative to the working directory.
    pub(super) folder: Option<u8>,
    pub(super) name: u8,
    pub(super) how: How,
}

/// What a call does with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    Does(Deed),
    /// As the flags in this argument say.
    Opens(u8),
}

const LOOK: How = How::Does(Deed::Look);
const READ: How = How::Does(Deed::Read);
const WRITE: How = How::Does(Deed::Write);
const EXECUTE: How = How::Does(Deed::Execute);
const CHANGE: How = How::Does(Deed::Change);
const REMOVE: How = How::Does(Deed::Remove);
const MAKE_FOLDER: How = How::Does(Deed::MakeFolder);

const fn at(folder: u8, name: u8, how: How) -> Place {
    Place { folder: Some(folder), name, how }
}

const fn named(name: u8, how: How) -> Place {
    Place { folder: None, name, how }
}

/// The calls that are told to whoever observes, by name. Those that one architecture does not have
/// are never made there.
pub(crate) const WATCHED: &[&str] = &[
    "access",
    "bind",
    "chdir",
    "chmod",
    "chown",
    "connect",
    "creat",
    "execve",
    "execveat",
    "faccessat",
    "faccessat2",
    "fchmodat",
    "fchmodat2",
    "fchownat",
    "futimesat",
    "inotify_add_watch",
    "lchown",
    "link",
    "linkat",
    "lstat",
    "mkdir",
    "mkdirat",
    "mknod",
    "mknodat",
    "newfstatat",
    "open",
    "openat",
    "readlink",
    "readlinkat",
    "rename",
    "renameat",
    "renameat2",
    "rmdir",
    "setxattr",
    "lsetxattr",
    "removexattr",
    "lremovexattr",
    "stat",
    "statx",
    "symlink",
    "symlinkat",
    "truncate",
    "unlink",
    "unlinkat",
    "utime",
    "utimensat",
    "utimes",
];

/// The files that a call of that name is about.
pub(super) fn places(call: &str) -> &'static [Place] {
    match call {
        "open" => const { &[named(0, How::Opens(1))] },
        "openat" => const { &[at(0, 1, How::Opens(2))] },
        "execve" => const { &[named(0, EXECUTE)] },
        "execveat" => const { &[at(0, 1, EXECUTE)] },
        "access" | "lstat" | "readlink" | "stat" | "chdir" => const { &[named(0, LOOK)] },
        "faccessat" | "faccessat2" | "newfstatat" | "readlinkat" | "statx" => {
            const { &[at(0, 1, LOOK)] }
        }
        "inotify_add_watch" => const { &[named(1, READ)] },
        "chmod" | "chown" | "creat" | "lchown" | "setxattr" | "lsetxattr" | "removexattr"
        | "lremovexattr" | "truncate" | "utime" | "utimes" => const { &[named(0, WRITE)] },
        "fchmodat" | "fchmodat2" | "fchownat" | "futimesat" | "utimensat" => {
            const { &[at(0, 1, WRITE)] }
        }
        "mkdir" => const { &[named(0, MAKE_FOLDER)] },
        "mkdirat" => const { &[at(0, 1, MAKE_FOLDER)] },
        "rmdir" | "unlink" => const { &[named(0, REMOVE)] },
        "unlinkat" => const { &[at(0, 1, REMOVE)] },
        "mknod" => const { &[named(0, CHANGE)] },
        "mknodat" => const { &[at(0, 1, CHANGE)] },
        "rename" => const { &[named(0, REMOVE), named(1, CHANGE)] },
        "renameat" | "renameat2" => const { &[at(0, 1, REMOVE), at(2, 3, CHANGE)] },
        "link" => const { &[named(0, READ), named(1, CHANGE)] },
        "linkat" => const { &[at(0, 1, READ), at(2, 3, CHANGE)] },
        "symlink" => const { &[named(1, CHANGE)] },
        "symlinkat" => const { &[at(1, 2, CHANGE)] },
        _ => &[],
    }
}

/// What opening with these flags is.
pub(super) fn opening(flags: u64) -> Deed {
    let has = |bits: libc::c_int| flags & u64::from(bits.cast_unsigned()) != 0;
    if has(libc::O_PATH) {
        Deed::Look
    } else if has(libc::O_WRONLY | libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC) {
        Deed::Write
    } else {
        Deed::Read
    }
}
