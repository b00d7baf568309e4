//! From a command's first word to a file.
use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use rustix::fs::{Access, AtFlags, CWD, accessat};

use crate::SpawnError;

/// Finds the executable that a shell in `cwd` would run for `program`, given `search` as its
/// `PATH`.
///
/// A name with a slash is taken relative to `cwd`; any other is looked up in each directory of
/// `search`, where an empty entry means `cwd`, as POSIX has it. Symbolic links are kept, because
/// many programs look at the name under which they were started.
///
/// # Errors
/// [`SpawnError::NotFound`], [`SpawnError::NotExecutable`] when the only candidates are
/// directories or not executable, and [`SpawnError::NotAbsolute`] when `cwd` is relative.
pub fn resolve(program: &OsStr, search: &OsStr, cwd: &Path) -> Result<PathBuf, SpawnError> {
    if !cwd.is_absolute() {
        return Err(SpawnError::NotAbsolute { path: cwd.to_owned() });
    }
    let named = !program.as_bytes().contains(&b'/');
    let candidates: Vec<PathBuf> = match (program.is_empty(), named) {
        (true, _) => Vec::new(),
        (false, false) => vec![cwd.join(program)],
        (false, true) => std::env::split_paths(search).map(|d| cwd.join(d).join(program)).collect(),
    };
    let mut refused = None;
    for candidate in candidates {
        match is_executable_file(&candidate) {
            Some(true) => return Ok(candidate.components().collect()),
            Some(false) => refused = refused.or(Some(candidate)),
            None => {}
        }
    }
    Err(match refused {
        Some(program) => SpawnError::NotExecutable { program },
        None => SpawnError::NotFound { program: program.into() },
    })
}

/// `None` when there is nothing of that name, or nothing that may be looked at.
fn is_executable_file(path: &Path) -> Option<bool> {
    let metadata = std::fs::metadata(path).ok()?;
    // The effective user's rights, as `execve` will check them.
    let allowed = accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS);
    Some(metadata.is_file() && allowed.is_ok())
}
