//! The start of a program that is watched.
use std::path::{Path, PathBuf};

use super::{Observer, guarded::Guarded, watch};
use crate::{Child, Jailer, Profile, SpawnError};

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
