//! Where a path leads.
use std::{
    collections::{BTreeMap, VecDeque},
    ffi::OsString,
    path::{Component, Path, PathBuf},
};

/// As many links as the kernel follows.
const LINKS: usize = 40;

/// Where a path leads, also where nothing is there yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Way {
    /// The links on it, by their own real paths, and what they say.
    pub links: BTreeMap<PathBuf, PathBuf>,
    /// The path without links. What is not there, or cannot be looked at, is taken for no link; and
    /// so is the last of too many.
    pub end: PathBuf,
}

/// Where an absolute path leads. Looks at the file system.
#[must_use]
pub fn way_of(path: &Path) -> Way {
    let mut way = Way { links: BTreeMap::new(), end: PathBuf::from("/") };
    let mut ahead: VecDeque<OsString> = names(path).collect();
    let mut followed = 0;
    while let Some(name) = ahead.pop_front() {
        if name == ".." {
            way.end.pop();
            continue;
        }
        let next = way.end.join(&name);
        let target = next.read_link().ok().filter(|_| followed < LINKS);
        let Some(target) = target else {
            way.end = next;
            continue;
        };
        followed += 1;
        if target.is_absolute() {
            way.end = PathBuf::from("/");
        }
        names(&target).rev().for_each(|name| ahead.push_front(name));
        way.links.insert(next, target);
    }
    way
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
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_is_not_there_yet_has_a_way_too() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("real")).unwrap();
        symlink("real", root.join("near")).unwrap();
        symlink(root.join("near/later"), root.join("ahead")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        for (path, end, links) in [
            ("real/x", "real/x", 0),
            ("near/x/../y", "real/y", 1),
            ("near/..", "", 1),
            ("ahead/x", "real/later/x", 2),
            ("loop/x", "loop/x", 1),
        ] {
            let way = way_of(&root.join(path));
            assert_eq!((way.end, way.links.len()), (root.join(end), links), "{path}");
        }
    }
}
