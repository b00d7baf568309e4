//! What a program's root file system is made of: found out on the machine as it is, before anything
//! is made.
use std::{
    collections::{BTreeMap, VecDeque},
    ffi::OsString,
    fs::Metadata,
    io,
    os::unix::fs::MetadataExt,
    path::{Component, Path, PathBuf},
};

use super::{
    failure::Failure,
    system::{DEVICES, SOFTWARE},
};
use crate::Isolation;

/// As many as the kernel follows.
const LINKS: usize = 40;

/// What belongs to the isolation itself, so that nothing of the machine's can stand there.
const OWN: &[&str] = &["/proc", "/sys", "/dev", "/run/secrets"];

/// What a program's root file system is made of.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// What of the machine is seen, by its real path; what is inside another comes after it.
    pub(super) binds: BTreeMap<PathBuf, Bind>,
    /// Links by which what is seen has other names, and where they lead.
    pub(super) links: BTreeMap<PathBuf, PathBuf>,
    /// What is covered by something empty, and whether it is a folder.
    pub(super) hidden: BTreeMap<PathBuf, bool>,
}

/// Something of the machine that a program sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bind {
    pub(super) kind: Kind,
    pub(super) is_folder: bool,
    /// The user and the group that own it.
    pub(super) owner: (u32, u32),
}

/// How something is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The system's software: read and executed, by everybody.
    System,
    /// Read and executed.
    Read,
    /// Read and written, not executed.
    Write,
    /// A device.
    Device,
}

impl Plan {
    /// What `isolation` asks for. Looks at the file system.
    pub(super) fn of(isolation: &Isolation) -> Result<Self, Failure> {
        let mut plan = Self::default();
        // The first that is said of a path holds.
        for path in &isolation.write {
            plan.given(path, Kind::Write)?;
        }
        for path in &isolation.read {
            plan.given(path, Kind::Read)?;
        }
        let software = SOFTWARE.iter().filter(|_| isolation.system);
        for (path, kind) in software
            .map(|path| (path, Kind::System))
            .chain(DEVICES.iter().map(|path| (path, Kind::Device)))
        {
            // What is not there, or a link that leads nowhere, is nothing to miss.
            if let Ok(found) = Found::at(Path::new(path)) {
                plan.add(found, kind);
            }
        }
        plan.drop_what_is_seen_anyway();
        for path in &isolation.hide {
            plan.hide(path);
        }
        Ok(plan)
    }

    fn given(&mut self, path: &Path, kind: Kind) -> Result<(), Failure> {
        let refuse = |what: &str| Failure::Path(path.to_owned(), what.to_owned());
        let found = Found::at(path).map_err(|e| refuse(&format!("cannot be looked at: {e}")))?;
        if found.real == Path::new("/") && kind == Kind::Write {
            return Err(refuse("the whole file system cannot be given for writing"));
        }
        if OWN.iter().any(|own| found.real.starts_with(own)) {
            return Err(refuse("is made for the program alone; nothing can be given there"));
        }
        let kinds = found.about.file_type();
        if !kinds.is_dir() && !kinds.is_file() {
            return Err(refuse("is neither a file nor a folder"));
        }
        self.add(found, kind);
        Ok(())
    }

    fn add(&mut self, found: Found, kind: Kind) {
        let Found { real, links, about } = found;
        self.links.extend(links);
        let owner = (about.uid(), about.gid());
        self.binds.entry(real).or_insert(Bind { kind, is_folder: about.is_dir(), owner });
    }

    /// What lies in something that is seen in the same way need not be mounted. What is given may
    /// be seen as the program's own, and the system's is not: that is not the same.
    fn drop_what_is_seen_anyway(&mut self) {
        let all = self.binds.clone();
        let above = |path: &Path| path.ancestors().skip(1).find_map(|above| all.get(above));
        self.binds.retain(|path, bind| match (bind.kind, above(path)) {
            (_, None) | (Kind::Device, _) => true,
            (Kind::System, Some(above)) => matches!(above.kind, Kind::Write | Kind::Device),
            (Kind::Read | Kind::Write, Some(above)) => {
                above.kind != bind.kind || above.owner != bind.owner
            }
        });
    }

    fn hide(&mut self, path: &Path) {
        // What is not there cannot be seen. What cannot be looked at would be seen by nobody else
        // who runs as this user.
        let Ok(found) = Found::at(path) else { return };
        let seen = found.real.ancestors().find_map(|above| self.binds.get(above));
        if seen.is_some() {
            self.hidden.insert(found.real, found.about.is_dir());
        }
    }

    /// Whether it sees the whole file system.
    pub(super) fn is_whole(&self) -> bool {
        self.binds.contains_key(Path::new("/"))
    }
}

/// Where a path leads.
struct Found {
    /// The path without links.
    real: PathBuf,
    /// The links on the way, by their own real paths.
    links: BTreeMap<PathBuf, PathBuf>,
    about: Metadata,
}

impl Found {
    fn at(path: &Path) -> io::Result<Self> {
        let mut real = PathBuf::from("/");
        let mut links = BTreeMap::new();
        let mut ahead: VecDeque<OsString> = names(path).collect();
        let mut about = real.symlink_metadata()?;
        let mut followed = 0;
        while let Some(name) = ahead.pop_front() {
            if name == ".." {
                real.pop();
                about = real.symlink_metadata()?;
                continue;
            }
            let next = real.join(&name);
            let found = next.symlink_metadata()?;
            if !found.is_symlink() {
                (real, about) = (next, found);
                continue;
            }
            followed += 1;
            if followed > LINKS {
                return Err(rustix::io::Errno::LOOP.into());
            }
            let target = next.read_link()?;
            if target.is_absolute() {
                real = PathBuf::from("/");
            }
            names(&target).rev().for_each(|name| ahead.push_front(name));
            links.insert(next, target);
        }
        Ok(Self { real, links, about })
    }
}

/// The names on a path, `..` among them.
fn names(path: &Path) -> impl DoubleEndedIterator<Item = OsString> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    fn tree() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("data/out")).unwrap();
        fs::create_dir_all(root.join("home")).unwrap();
        fs::write(root.join("data/file"), "").unwrap();
        symlink("../data", root.join("home/link")).unwrap();
        symlink(root.join("home/link/out"), root.join("far")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        (dir, root)
    }

    fn isolation(read: &[PathBuf], write: &[PathBuf], hide: &[PathBuf]) -> Isolation {
        let set = |paths: &[PathBuf]| paths.iter().cloned().collect();
        Isolation { read: set(read), write: set(write), hide: set(hide), ..Isolation::default() }
    }

    #[test]
    fn links_lead_where_they_lead_outside() {
        let (_dir, root) = tree();
        let plan = Plan::of(&isolation(&[root.join("far")], &[], &[])).unwrap();
        let bind = plan.binds.get(&root.join("data/out")).unwrap();
        assert_eq!((bind.kind, bind.is_folder), (Kind::Read, true));
        let links: Vec<_> = plan.links.into_iter().collect();
        assert_eq!(
            links,
            [
                (root.join("far"), root.join("home/link/out")),
                (root.join("home/link"), "../data".into())
            ]
        );
    }

    #[test]
    fn what_lies_in_another_is_mounted_where_it_differs() {
        let (_dir, root) = tree();
        let given = isolation(
            &[root.join("data"), root.join("data/file")],
            &[root.join("data/out")],
            &[root.join("data/file"), root.join("home"), root.join("absent")],
        );
        let plan = Plan::of(&given).unwrap();
        let below: Vec<_> = plan.binds.iter().filter(|(path, _)| path.starts_with(&root)).collect();
        let below: Vec<_> = below.iter().map(|(path, bind)| (path.as_path(), bind.kind)).collect();
        let expected = [(root.join("data"), Kind::Read), (root.join("data/out"), Kind::Write)];
        assert_eq!(below, expected.iter().map(|(p, k)| (p.as_path(), *k)).collect::<Vec<_>>());
        assert_eq!(plan.hidden.into_iter().collect::<Vec<_>>(), [(root.join("data/file"), false)]);
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_its_path() {
        let (_dir, root) = tree();
        for path in [root.join("absent"), root.join("loop"), "/proc/self".into(), "/dev".into()] {
            let refused = Plan::of(&isolation(std::slice::from_ref(&path), &[], &[]));
            assert!(matches!(refused, Err(Failure::Path(refused, _)) if refused == path));
        }
        assert!(matches!(Plan::of(&isolation(&[], &["/".into()], &[])), Err(Failure::Path(..))));
    }
}
