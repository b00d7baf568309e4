//! What to start.
use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fmt,
    os::unix::ffi::OsStrExt,
    path::PathBuf,
    time::Duration,
};

use crate::{Isolation, SpawnError};

/// What to start, completely: nothing that is not named here reaches the program.
#[derive(Clone, PartialEq, Eq)]
pub struct Profile {
    /// The program's absolute path; [`crate::resolve`] finds one.
    pub program: PathBuf,
    /// Its arguments, without the program's own name.
    pub args: Vec<OsString>,
    /// Its whole environment.
    pub env: BTreeMap<OsString, OsString>,
    /// Its working directory, absolute. `None` is `/`, or `/tmp` where it is isolated, so that it
    /// does not inherit the gateway's.
    pub cwd: Option<PathBuf>,
    /// How long it may take to end after a polite request, before it is killed.
    pub grace: Duration,
    /// What it may see and do. `None` isolates it from nothing.
    pub isolation: Option<Isolation>,
}

impl Profile {
    /// The default of [`Profile::grace`].
    pub const GRACE: Duration = Duration::from_secs(2);

    /// `program` without arguments, in an empty environment, in `/`.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: BTreeMap::new(),
            cwd: None,
            grace: Self::GRACE,
            isolation: None,
        }
    }

    /// Refuses what the operating system would misread rather than refuse.
    pub(crate) fn check(&self) -> Result<(), SpawnError> {
        for path in [Some(&self.program), self.cwd.as_ref()].into_iter().flatten() {
            if !path.is_absolute() {
                return Err(SpawnError::NotAbsolute { path: path.clone() });
            }
        }
        if let Some((name, _)) = self.env.iter().find(|(name, _)| !is_variable_name(name)) {
            return Err(SpawnError::VariableName { name: name.clone() });
        }
        if let Some(isolation) = &self.isolation {
            isolation.check()?;
        }
        let paths = [Some(self.program.as_os_str()), self.cwd.as_ref().map(|p| p.as_os_str())];
        let texts = paths.into_iter().flatten().chain(self.args.iter().map(OsString::as_os_str));
        if texts.chain(self.env.values().map(OsString::as_os_str)).any(holds_zero) {
            return Err(SpawnError::ZeroByte);
        }
        Ok(())
    }
}

fn holds_zero(text: &OsStr) -> bool {
    text.as_bytes().contains(&0)
}

fn is_variable_name(name: &OsStr) -> bool {
    !name.is_empty() && !name.as_bytes().iter().any(|&b| b == b'=' || b == 0)
}

/// Names the variables and hides their values, which may be secrets.
impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profile")
            .field("program", &self.program)
            .field("args", &self.args)
            .field("env", &self.env.keys().collect::<Vec<_>>())
            .field("cwd", &self.cwd)
            .field("grace", &self.grace)
            .field("isolation", &self.isolation)
            .finish()
    }
}
