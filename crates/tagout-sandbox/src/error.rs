//! Why a program was not started.
use std::{ffi::OsString, fmt, io, path::PathBuf};

use crate::{Part, isolation::REMEDY_ELSEWHERE};

/// Why a program was not started. Nothing is left running when one of these is returned.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// No directory of the search path has such a file.
    #[error("no program `{}` was found", .program.display())]
    NotFound {
        /// What was looked for.
        program: PathBuf,
    },
    /// There is such a file, but it is a directory or may not be executed.
    #[error("`{}` is not an executable file", .program.display())]
    NotExecutable {
        /// The first one found.
        program: PathBuf,
    },
    /// A path that must not depend on the gateway's working directory does.
    #[error("`{}` is not an absolute path", .path.display())]
    NotAbsolute {
        /// The path.
        path: PathBuf,
    },
    /// The name of an environment variable is empty or holds `=` or a zero byte.
    #[error("{name:?} cannot name an environment variable")]
    VariableName {
        /// The name.
        name: OsString,
    },
    /// A path, an argument or a value of the environment holds a zero byte, where it would be cut.
    #[error("a zero byte in a path, an argument or the environment")]
    ZeroByte,
    /// The working directory cannot be entered.
    #[error("cannot enter the working directory `{}`", .dir.display())]
    WorkingDirectory {
        /// The directory.
        dir: PathBuf,
        /// The operating system's word.
        source: io::Error,
    },
    /// The operating system refused to execute the program.
    #[error("cannot execute `{}`", .program.display())]
    Exec {
        /// The program.
        program: PathBuf,
        /// The operating system's word.
        source: io::Error,
    },
    /// The jailer's binary could not be started.
    #[error("cannot start the jailer `{}`", .binary.display())]
    Jailer {
        /// The jailer's binary.
        binary: PathBuf,
        /// The operating system's word.
        source: io::Error,
    },
    /// The jailer's binary runs, but does not answer as a jailer of this version.
    #[error("`{}` does not answer as a jailer", .binary.display())]
    NotAJailer {
        /// The jailer's binary.
        binary: PathBuf,
        /// What came instead.
        source: io::Error,
    },
    /// The jailer could not give one of its guarantees, and so did not start the program.
    #[error("the jailer failed to {stage}")]
    Jail {
        /// What it was doing.
        stage: Stage,
        /// The operating system's word.
        source: io::Error,
    },
    /// The machine lacks parts of the isolation, and the program may not do without.
    #[error("this machine lacks {}", listed(.parts))]
    Missing {
        /// The parts, and what was tried.
        parts: Vec<(Part, String)>,
    },
    /// What the program was to read, write or work in cannot be given to it.
    #[error("`{}` {what}", .path.display())]
    Path {
        /// The path.
        path: PathBuf,
        /// Why not.
        what: String,
    },
}

fn listed(parts: &[(Part, String)]) -> String {
    let named = parts.iter().map(|(part, why)| format!("`{part}` ({why})"));
    named.collect::<Vec<_>>().join(", ")
}

impl SpawnError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. }
            | Self::NotExecutable { .. }
            | Self::NotAbsolute { .. }
            | Self::VariableName { .. }
            | Self::ZeroByte
            | Self::Exec { .. } => "sandbox-program",
            Self::WorkingDirectory { .. } | Self::Path { .. } => "sandbox-path",
            Self::Missing { .. } => "sandbox-degraded",
            Self::Jailer { .. } | Self::NotAJailer { .. } | Self::Jail { .. } => "sandbox-failed",
        }
    }

    /// What to do.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        match self {
            Self::NotFound { .. } | Self::NotAbsolute { .. } => {
                "install it, or write its whole path"
            }
            Self::NotExecutable { .. } => "make it executable, or name the program that runs it",
            Self::VariableName { .. } | Self::ZeroByte => "leave that out",
            Self::Exec { .. } => {
                "see that what it needs to run may be read: `tagout sandbox run --learn -- PROGRAM`"
            }
            Self::WorkingDirectory { .. } => "add the folder to `read` or `write` of its sandbox",
            Self::Path { .. } => "see to `read`, `write` and `cwd` of its sandbox",
            Self::Missing { .. } if cfg!(not(all(target_os = "linux", not(tagout_elsewhere)))) => {
                REMEDY_ELSEWHERE
            }
            Self::Missing { .. } => {
                "give the machine what `tagout doctor` says, or name the part in `allow_degraded`"
            }
            Self::Jailer { .. } | Self::NotAJailer { .. } | Self::Jail { .. } => {
                "`tagout doctor` says what this machine lacks"
            }
        }
    }
}

/// What a jailer was doing when it gave up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Receiving what to start.
    Order,
    /// Resetting signals.
    Signals,
    /// Opening a session of its own.
    Session,
    /// Giving up the way to more privileges, and shielding itself from the program.
    Privileges,
    /// Adopting orphans, and finding them in `/proc`.
    Orphans,
    /// Entering the working directory.
    WorkingDirectory,
    /// Executing the program.
    Exec,
    /// Making the program's namespaces.
    Namespaces,
    /// Saying as whom the program runs.
    Identity,
    /// Taking what the program may see of the machine.
    Mounts,
    /// Making the program's root file system.
    Root,
    /// Mounting its own `/proc`.
    Proc,
    /// Writing its private files.
    Files,
    /// Switching on its loopback, and listening there.
    Network,
    /// Bounding what it may take.
    Bounds,
    /// Putting Landlock's rules in place.
    Landlock,
    /// Putting the filter of system calls in place.
    Filter,
}

#[cfg(all(target_os = "linux", not(tagout_elsewhere)))]
impl Stage {
    const ALL: [Self; 17] = [
        Self::Order,
        Self::Signals,
        Self::Session,
        Self::Privileges,
        Self::Orphans,
        Self::WorkingDirectory,
        Self::Exec,
        Self::Namespaces,
        Self::Identity,
        Self::Mounts,
        Self::Root,
        Self::Proc,
        Self::Files,
        Self::Network,
        Self::Bounds,
        Self::Landlock,
        Self::Filter,
    ];

    pub(crate) const fn number(self) -> u8 {
        self as u8
    }

    pub(crate) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.number() == number)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Order => "receive its order",
            Self::Signals => "reset signals",
            Self::Session => "open a session",
            Self::Privileges => "drop privileges",
            Self::Orphans => "adopt orphans",
            Self::WorkingDirectory => "enter the working directory",
            Self::Exec => "execute the program",
            Self::Namespaces => "make namespaces",
            Self::Identity => "say as whom the program runs",
            Self::Mounts => "take what the program may see",
            Self::Root => "make the program's root file system",
            Self::Proc => "mount the program's `/proc`",
            Self::Files => "write the program's private files",
            Self::Network => "set up the program's network",
            Self::Bounds => "bound what the program may take",
            Self::Landlock => "put Landlock's rules in place",
            Self::Filter => "put the filter of system calls in place",
        })
    }
}
