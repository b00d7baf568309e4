//! What is installed before anybody has said yes to it: it stays only if it is kept.
use std::{
    cell::Cell,
    fs::{self, File},
    ops::Deref,
    path::PathBuf,
};

use super::{InstallError, Installed, PUBLISHER, io, make, write};
use crate::{Publisher, TreeError, tree};

/// A package that is there as long as this is, and afterwards if it was [kept](Self::keep).
#[derive(Debug)]
pub struct Pending {
    pub(super) installed: Installed,
    pub(super) place: Place,
    pub(super) publisher: Option<Publisher>,
    /// Whether the folder goes with this: it is new, and nobody has said yes.
    pub(super) passing: Cell<bool>,
}

impl Deref for Pending {
    type Target = Installed;

    fn deref(&self) -> &Installed {
        &self.installed
    }
}

impl Pending {
    /// Lets it stay, and writes down who released it, so that later versions are held against that.
    ///
    /// # Errors
    /// That cannot be written.
    pub fn keep(&self) -> Result<(), TreeError> {
        if let Some(publisher) = &self.publisher {
            let text = serde_json::to_string_pretty(publisher).unwrap_or_default();
            write(&self.place.folder.join(PUBLISHER), &text)?;
        }
        self.passing.set(false);
        Ok(())
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if self.passing.get() {
            // What is left over is in nobody's way: nothing names it.
            drop(fs::remove_dir_all(&self.installed.folder));
        }
    }
}

/// The folder of all versions of a package, while nobody else installs one of them.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) folder: PathBuf,
    above: Option<PathBuf>,
    _held: File,
}

impl Place {
    pub(super) fn hold(store: &std::path::Path, inside: &str) -> Result<Self, InstallError> {
        let folder = store.join(inside);
        make(&folder)?;
        let held = File::open(&folder).map_err(|error| io(&folder, error))?;
        held.try_lock().map_err(|_| InstallError::Failed {
            tool: "tagout",
            why: "another `tagout add` of it is under way".to_owned(),
        })?;
        let above = store.join(inside.split('/').next().unwrap_or_default());
        Ok(Self { above: (above != folder).then_some(above), folder, _held: held })
    }

    /// Who released what was installed of it first.
    pub(super) fn publisher(&self) -> Result<Option<Publisher>, InstallError> {
        let path = self.folder.join(PUBLISHER);
        if !path.exists() {
            return Ok(None);
        }
        let known = serde_json::from_str(&tree::read(&path)?);
        known.map(Some).map_err(|error| io(&path, std::io::Error::other(error)).into())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Only what is empty goes.
        let mut folder = Some(self.folder.as_path());
        while let Some(at) = folder.filter(|at| fs::remove_dir(at).is_ok()) {
            folder =
                at.parent().filter(|at| self.above.as_ref().is_some_and(|a| at.starts_with(a)));
        }
    }
}
