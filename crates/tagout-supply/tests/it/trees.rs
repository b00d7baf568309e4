//! A folder of packages is what its name says, or it is refused.
use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
};

use tagout_supply::{TreeError, seal, store_of, verify};
use tempfile::TempDir;

/// A sealed folder.
fn sealed() -> (TempDir, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("new");
    fs::create_dir_all(folder.join("lib/deep")).unwrap();
    fs::write(folder.join("lib/deep/a.js"), "a").unwrap();
    fs::write(folder.join("lib/b.js"), "b").unwrap();
    fs::write(folder.join("start"), "s").unwrap();
    symlink("lib/b.js", folder.join("c")).unwrap();
    let name = seal(&folder, "1.0.0").unwrap();
    let kept = root.path().join(name);
    fs::rename(&folder, &kept).unwrap();
    (root, kept)
}

#[test]
fn what_was_not_touched_holds() {
    let (_root, folder) = sealed();
    verify(&folder).unwrap();
    assert_eq!(store_of(&folder.join("lib/deep/a.js")).as_deref(), Some(folder.as_path()));
    assert_eq!(store_of(Path::new("/usr/bin/env")), None);
}

/// Changes something in a folder of packages.
type Change = fn(&Path);

#[test]
fn whatever_is_changed_is_found() {
    let changes: [(Change, &str); 9] = [
        (|at| fs::write(at.join("lib/b.js"), "B").unwrap(), "lib/b.js"),
        (|at| fs::write(at.join("lib/new.js"), "").unwrap(), "lib/new.js"),
        (|at| fs::write(at.join("zz"), "").unwrap(), "zz"),
        (|at| fs::remove_file(at.join("lib/b.js")).unwrap(), "lib/deep/a.js"),
        (|at| fs::remove_file(at.join("start")).unwrap(), ""),
        (
            |at| {
                fs::set_permissions(at.join("start"), fs::Permissions::from_mode(0o755)).unwrap();
            },
            "start",
        ),
        (
            |at| {
                fs::remove_file(at.join("c")).unwrap();
                symlink("/etc/passwd", at.join("c")).unwrap();
            },
            "c",
        ),
        (
            |at| {
                fs::remove_file(at.join("start")).unwrap();
                symlink("lib/b.js", at.join("start")).unwrap();
            },
            "start",
        ),
        (
            |at| {
                fs::remove_file(at.join("tagout.list")).unwrap();
                fs::write(at.join("lib/b.js"), "B").unwrap();
                seal(at, "1.0.0").unwrap();
            },
            "tagout.list",
        ),
    ];
    for (change, path) in changes {
        let (_root, folder) = sealed();
        change(&folder);
        match verify(&folder) {
            Err(TreeError::Changed(found)) => assert_eq!(found, folder.join(path)),
            other => panic!("{path}: {other:?}"),
        }
    }
}

#[test]
fn what_has_no_list_is_not_of_the_store() {
    let (_root, folder) = sealed();
    fs::remove_file(folder.join("tagout.list")).unwrap();
    assert!(matches!(verify(&folder), Err(TreeError::Io { .. })));
}

#[test]
fn a_list_further_in_is_no_list() {
    let (_root, folder) = sealed();
    fs::write(folder.join("lib/tagout.list"), "").unwrap();
    assert_eq!(store_of(&folder.join("lib/deep/a.js")).as_deref(), Some(folder.as_path()));
    assert!(matches!(verify(&folder), Err(TreeError::Changed(_))));
}
