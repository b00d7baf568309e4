//! Who starts programs.
use std::path::PathBuf;

/// Where the jailer is: a binary that calls [`crate::jail_if_asked`] first thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jailer {
    /// The binary's path.
    pub binary: PathBuf,
}

impl Jailer {
    /// The running program itself, also after its file was replaced or removed.
    #[must_use]
    pub fn this_program() -> Self {
        Self { binary: PathBuf::from("/proc/self/exe") }
    }
}
