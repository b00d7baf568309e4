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
    let kept = root.path().join("tagout/packages/npm/@scope/thing").join(name);
    fs::create_dir_all(kept.parent().unwrap()).unwrap();
    fs::rename(&folder, &kept).unwrap();
    (root, kept)
}

#[test]
fn what_was_not_touched_holds() {
    let (root, folder) = sealed();
    verify(&folder).unwrap();
    let of = |file: &Path| store_of(file).unwrap();
    assert_eq!(of(&folder.join("lib/deep/a.js")).as_deref(), Some(folder.as_path()));
    assert_eq!(of(Path::new("/usr/bin/env")), None);
    // A link to it from elsewhere.
    let link = root.path().join("link.js");
    symlink(folder.join("lib/b.js"), &link).unwrap();
    assert!(of(&link).unwrap().ends_with(folder.file_name().unwrap()));
    // A list elsewhere, and folders that are called alike.
    fs::write(root.path().join("tagout.list"), "").unwrap();
    assert_eq!(of(&root.path().join("x.js")), None);
    for other in ["tagout/packages/core/x.js", "packages/npm/thing/x.js", "tagout/x.js"] {
        assert_eq!(of(&root.path().join(other)), None, "{other}");
    }
}

#[test]
fn what_lies_in_the_store_beside_its_packages_is_refused() {
    let (root, folder) = sealed();
    let store = root.path().join("tagout/packages");
    let digest = folder.file_name().unwrap().to_str().unwrap().to_owned();
    for other in ["npm/x.js", "npm/thing/x.js", "npm/thing/1.0.0-12/x.js", "pypi/a/b/c/d/x.py"] {
        let found = store_of(&store.join(other));
        assert!(matches!(found, Err(TreeError::Changed(_))), "{other}: {found:?}");
    }
    for other in [format!("npm/{digest}/x.js"), format!("npm/a/b/{digest}/x.js")] {
        let found = store_of(&store.join(&other));
        assert!(matches!(found, Err(TreeError::Changed(_))), "{other}: {found:?}");
    }
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
fn what_has_lost_its_list_was_changed() {
    let (_root, folder) = sealed();
    fs::remove_file(folder.join("tagout.list")).unwrap();
    assert_eq!(store_of(&folder.join("start")).unwrap().as_deref(), Some(folder.as_path()));
    assert!(matches!(verify(&folder), Err(TreeError::Changed(_))));
}

#[test]
fn a_list_further_in_is_no_list() {
    let (_root, folder) = sealed();
    fs::write(folder.join("lib/tagout.list"), "").unwrap();
    let found = store_of(&folder.join("lib/deep/a.js")).unwrap();
    assert_eq!(found.as_deref(), Some(folder.as_path()));
    assert!(matches!(verify(&folder), Err(TreeError::Changed(_))));
}
