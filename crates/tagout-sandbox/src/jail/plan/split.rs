//! How a folder is given without something in it.
//!
//! Not by covering that: what covers a file goes when another file takes its name, and nothing can
//! cover what is not there yet. Instead the folders on the way to it are made anew, with all that is
//! beside the way. What comes to be there later is seen at the next start.
use std::{
    collections::BTreeSet,
    fs::{DirEntry, read_dir},
    path::{Path, PathBuf},
};

use super::{APART, Bind, Failure, Kind, Plan};
use crate::way::{Way, way_of};

/// As many things may be beside the way.
const BESIDE: usize = 4096;

impl Plan {
    /// Leaves out what lies at `hide`, whether it is there or not, and where links lead from there.
    pub(super) fn leave_out(&mut self, hide: &BTreeSet<PathBuf>) -> Result<(), Failure> {
        let mut out = BTreeSet::new();
        for path in hide {
            let Way { links, end } = way_of(path);
            // Another file may take the place of a link, too.
            out.extend(links.into_keys());
            out.insert(end);
        }
        let is_concerned = |path: &Path| {
            path == Path::new("/")
                || out.iter().any(|out| out.starts_with(path) || path.starts_with(out))
        };
        let named: BTreeSet<PathBuf> = self.binds.keys().cloned().collect();
        let mut split = Split { plan: self, named: &named, out: &out, beside: 0 };
        for path in named.iter().filter(|path| is_concerned(path)) {
            split.given(path)?;
        }
        Ok(())
    }
}

struct Split<'a> {
    plan: &'a mut Plan,
    named: &'a BTreeSet<PathBuf>,
    out: &'a BTreeSet<PathBuf>,
    beside: usize,
}

impl Split<'_> {
    fn given(&mut self, path: &Path) -> Result<(), Failure> {
        let Some(bind) = self.plan.binds.get(path).copied() else { return Ok(()) };
        if bind.kind == Kind::Device {
            return Ok(());
        }
        if bind.kind == Kind::Write {
            let what = "cannot be given for writing: what nobody may see is in it, or would be";
            return Err(Failure::Path(path.to_owned(), what.to_owned()));
        }
        self.plan.binds.remove(path);
        self.plan.hidden.insert(path.to_owned(), bind.is_folder);
        if self.out.iter().any(|out| path.starts_with(out)) {
            return Ok(());
        }
        let mut folders = vec![path.to_owned()];
        while let Some(folder) = folders.pop() {
            let cannot = |e| Failure::Path(folder.clone(), format!("cannot be listed: {e}"));
            for entry in read_dir(&folder).map_err(cannot)? {
                folders.extend(self.entry(&entry.map_err(cannot)?, bind)?);
            }
            self.plan.hidden.insert(folder, true);
        }
        Ok(())
    }

    /// Gives what is beside the way; returns a folder that is on it.
    fn entry(&mut self, entry: &DirEntry, bind: Bind) -> Result<Option<PathBuf>, Failure> {
        let path = entry.path();
        self.beside += 1;
        if self.beside > BESIDE {
            let what = format!(
                "has to be given in parts, for what nobody may see of it, and is of more than \
                 {BESIDE}: name folders below it"
            );
            return Err(Failure::Path(entry.path().parent().unwrap_or(&path).to_owned(), what));
        }
        // What is gone by now is not there.
        let Ok(kind) = entry.file_type() else { return Ok(None) };
        if kind.is_symlink() {
            if let Ok(target) = path.read_link() {
                self.plan.links.insert(path, target);
            }
            return Ok(None);
        }
        let is_folder = kind.is_dir();
        if self.out.contains(&path) {
            self.plan.hidden.insert(path, is_folder);
            return Ok(None);
        }
        let is_apart = APART.iter().any(|apart| path == Path::new(apart));
        if self.named.contains(&path) || is_apart || !(is_folder || kind.is_file()) {
            return Ok(None);
        }
        if is_folder && self.out.iter().any(|out| out.starts_with(&path)) {
            return Ok(Some(path));
        }
        // It is seen as the whole would be.
        let bind = Bind { is_folder, may_be_gone: true, ..bind };
        self.plan.binds.entry(path).or_insert(bind);
        Ok(None)
    }
}
