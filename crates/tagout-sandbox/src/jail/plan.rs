//! What a program's root file system is made of: found out on the machine as it is, before anything
//! is made.
mod split;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::Metadata,
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::{
    failure::Failure,
    system::{DEVICES, SOFTWARE},
};
use crate::{
    Isolation,
    way::{Way, way_of},
};

/// What belongs to the isolation itself, so that nothing of the machine's can stand there.
const OWN: &[&str] = &["/proc", "/sys", "/dev", "/run/secrets"];

/// What the whole file system does not include: what a program has of its own, and the sockets of
/// the machine's services. What is in them can be given by name.
const APART: &[&str] = &["/proc", "/sys", "/dev", "/tmp", "/run"];

/// What a program's root file system is made of.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// What of the machine is seen, by its real path; what is inside another comes after it.
    pub(super) binds: BTreeMap<PathBuf, Bind>,
    /// Links by which what is seen has other names, and where they lead.
    pub(super) links: BTreeMap<PathBuf, PathBuf>,
    /// What is there, empty, where nothing else of that name is, and whether it is a folder.
    pub(super) hidden: BTreeMap<PathBuf, bool>,
}

/// Something of the machine that a program sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bind {
    pub(super) kind: Kind,
    pub(super) is_folder: bool,
    /// The user and the group that own it.
    pub(super) owner: (u32, u32),
    /// Whether nobody named it, so that it may be gone by now.
    pub(super) may_be_gone: bool,
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
        let changing = Changing::of(isolation);
        // The first that is said of a path holds.
        for path in &isolation.write {
            plan.given(path, Kind::Write, &changing)?;
        }
        for path in &isolation.read {
            plan.given(path, Kind::Read, &changing)?;
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
        plan.leave_out(&isolation.hide)?;
        for path in &isolation.empty {
            plan.stand(path, &changing)?;
        }
        Ok(plan)
    }

    fn given(&mut self, path: &Path, kind: Kind, changing: &Changing) -> Result<(), Failure> {
        let refuse = |what: &str| Failure::Path(path.to_owned(), what.to_owned());
        let found = Found::at(path).map_err(|e| refuse(&format!("cannot be looked at: {e}")))?;
        changing.refuse(path, &found.links)?;
        if found.real == Path::new("/") && kind == Kind::Write {
            return Err(refuse("the whole file system cannot be given for writing"));
        }
        if OWN.iter().any(|own| found.real.starts_with(own)) {
            return Err(refuse("is made for the program alone; nothing can be given there"));
        }
        if ["/run", "/var/run"].iter().any(|run| found.real == Path::new(run)) {
            let what = "has the sockets of the machine's services in it, by which a program \
                        reaches them all: name what of it is meant";
            return Err(refuse(what));
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
        let bind = Bind { kind, is_folder: about.is_dir(), owner, may_be_gone: false };
        self.binds.entry(real).or_insert(bind);
    }

    /// What lies in something that is seen in the same way need not be mounted. What is given may
    /// be seen as the program's own, and the system's is not: that is not the same.
    fn drop_what_is_seen_anyway(&mut self) {
        let all = self.binds.clone();
        let is_apart = |path: &Path| APART.iter().any(|apart| path.starts_with(apart));
        let above = |path: &Path| {
            let mut above = path.ancestors().skip(1);
            let (above, bind) = above.find_map(|above| Some((above, all.get(above)?)))?;
            (above != Path::new("/") || !is_apart(path)).then_some(bind)
        };
        self.binds.retain(|path, bind| match (bind.kind, above(path)) {
            (_, None) | (Kind::Device, _) => true,
            (Kind::System, Some(above)) => matches!(above.kind, Kind::Write | Kind::Device),
            (Kind::Read | Kind::Write, Some(above)) => {
                above.kind != bind.kind || above.owner != bind.owner
            }
        });
    }

    /// Makes a folder that is seen, and nothing in it.
    fn stand(&mut self, path: &Path, changing: &Changing) -> Result<(), Failure> {
        let refuse = |what: String| Failure::Path(path.to_owned(), what);
        let found = Found::at(path).map_err(|e| refuse(format!("cannot be looked at: {e}")))?;
        changing.refuse(path, &found.links)?;
        if !found.about.is_dir() {
            return Err(refuse(String::from("is no folder")));
        }
        self.links.extend(found.links);
        if !found.real.ancestors().any(|above| self.binds.contains_key(above)) {
            self.hidden.insert(found.real, true);
        }
        Ok(())
    }
}

/// Where programs may put links, to be given something else at the next start.
struct Changing(BTreeSet<PathBuf>);

impl Changing {
    fn of(isolation: &Isolation) -> Self {
        let named = isolation.write.iter().chain(&isolation.unlinked);
        Self(named.flat_map(|path| [path.clone(), way_of(path).end]).collect())
    }

    /// Refuses a path that one of `links` leads to, if a program may have put it there.
    fn refuse(&self, path: &Path, links: &BTreeMap<PathBuf, PathBuf>) -> Result<(), Failure> {
        let is_within = |link: &Path| link.ancestors().skip(1).any(|above| self.0.contains(above));
        let Some(link) = links.keys().find(|link| is_within(link)) else { return Ok(()) };
        let link = link.display();
        let what = format!("leads on by the link `{link}`, which a server may have put there");
        Err(Failure::Path(path.to_owned(), what))
    }
}

/// What is at a path.
struct Found {
    /// The path without links.
    real: PathBuf,
    /// The links on the way, by their own real paths.
    links: BTreeMap<PathBuf, PathBuf>,
    about: Metadata,
}

impl Found {
    fn at(path: &Path) -> io::Result<Self> {
        let Way { links, end: real } = way_of(path);
        let about = real.symlink_metadata()?;
        if about.is_symlink() {
            return Err(rustix::io::Errno::LOOP.into());
        }
        Ok(Self { real, links, about })
    }
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
        fs::write(root.join("data/more"), "").unwrap();
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
        let expected = [(root.join("data/more"), Kind::Read), (root.join("data/out"), Kind::Write)];
        assert_eq!(below, expected.iter().map(|(p, k)| (p.as_path(), *k)).collect::<Vec<_>>());
        let empty: Vec<_> = plan.hidden.into_iter().collect();
        assert_eq!(empty, [(root.join("data"), true), (root.join("data/file"), false)]);
    }

    /// What is not mounted cannot come to light when something is put in its place.
    #[test]
    fn what_is_to_be_hidden_is_in_no_mount_now_or_later() {
        let (_dir, root) = tree();
        symlink("state/later", root.join("home/ahead")).unwrap();
        symlink("../data/file", root.join("home/rules")).unwrap();
        for (read, hide, seen) in [
            ("", "data/file", &["data/more", "data/out", "home"][..]),
            ("", "home/state/later", &["data"]),
            ("", "home/ahead", &["data"]),
            // Neither where it leads nor what may stand in its own place.
            ("", "home/rules", &["data/more", "data/out"]),
            ("data", "data", &[]),
            ("data/out", "data", &[]),
            ("data", "home", &["data"]),
        ] {
            let given = isolation(&[root.join(read)], &[], &[root.join(hide)]);
            let plan = Plan::of(&given).unwrap();
            let binds = plan.binds.keys().filter_map(|path| path.strip_prefix(&root).ok());
            let binds: Vec<_> = binds.map(|path| path.to_str().unwrap()).collect();
            assert_eq!(binds, seen, "{read} {hide}");
        }
    }

    #[test]
    fn the_whole_file_system_is_given_in_parts() {
        let (_dir, root) = tree();
        let given = isolation(&["/".into(), root.join("data/more")], &[], &[]);
        let plan = Plan::of(&given).unwrap();
        let has = |path: &str| plan.binds.contains_key(Path::new(path));
        assert!(has("/etc") && !APART.iter().any(|apart| has(apart)) && !has("/"));
        assert!(!root.starts_with("/tmp") || plan.binds.contains_key(&root.join("data/more")));
    }

    #[test]
    fn no_link_is_followed_that_a_server_may_have_put_there() {
        let (_dir, root) = tree();
        fs::create_dir_all(root.join("a/kept")).unwrap();
        symlink(root.join("home"), root.join("a/planted")).unwrap();
        symlink(root.join("a"), root.join("by-name")).unwrap();
        let of = |read: &str, write: &str, unlinked: &str| {
            let read = [root.join(read)];
            let mut isolation = isolation(&read, &[root.join(write)], &[]);
            isolation.unlinked.insert(root.join(unlinked));
            isolation.empty.insert(root.join(read[0].as_path()));
            Plan::of(&isolation)
        };
        for (read, write, unlinked, allowed) in [
            ("a/kept", "a", "data", true),
            ("by-name/kept", "by-name", "data", true),
            ("far", "data/out", "data", true),
            ("a/planted", "a", "data", false),
            ("a/planted", "data/out", "a", false),
            ("by-name/planted", "data/out", "by-name", false),
            ("data", "a/planted", "a", false),
        ] {
            let done = of(read, write, unlinked);
            assert_eq!(done.is_ok(), allowed, "{read} {write} {unlinked}: {done:?}");
        }
    }

    #[test]
    fn a_place_to_stand_in_shows_nothing() {
        let (_dir, root) = tree();
        let mut isolation = isolation(&[root.join("data")], &[], &[]);
        isolation.empty = [root.join("home"), root.join("data/out")].into();
        let plan = Plan::of(&isolation).unwrap();
        assert_eq!(plan.hidden.into_iter().collect::<Vec<_>>(), [(root.join("home"), true)]);
        assert!(!plan.binds.contains_key(&root.join("home")));
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_its_path() {
        let (_dir, root) = tree();
        for path in [
            root.join("absent"),
            root.join("loop"),
            "/proc/self".into(),
            "/dev".into(),
            "/run".into(),
        ] {
            let refused = Plan::of(&isolation(std::slice::from_ref(&path), &[], &[]));
            assert!(matches!(refused, Err(Failure::Path(refused, _)) if refused == path));
        }
        assert!(matches!(Plan::of(&isolation(&[], &["/".into()], &[])), Err(Failure::Path(..))));
    }
}
