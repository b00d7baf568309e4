//! Nobody else reads the state, and nobody opens what they do not understand.
use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
};

use tagout_store::Store;

use crate::sample::{at, file, fresh, origin, principal};

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

pub(crate) fn check_modes(root: &Path) {
    let path = file(root);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    for entry in path.parent().unwrap().read_dir().unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[test]
fn a_file_that_was_open_to_others_is_closed() {
    let (root, store) = fresh();
    store.open_conversation(&principal("ann"), &origin(), at(1)).unwrap();
    check_modes(root.path());
    drop(store);
    let path = file(root.path());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    fs::set_permissions(path.parent().unwrap(), fs::Permissions::from_mode(0o777)).unwrap();
    let store = Store::open(&path).unwrap();
    store.open_conversation(&principal("ann"), &origin(), at(1)).unwrap();
    check_modes(root.path());
}

#[test]
fn a_symbolic_link_is_not_followed() {
    let root = tempfile::tempdir().unwrap();
    let path = file(root.path());
    fs::create_dir(path.parent().unwrap()).unwrap();
    symlink(root.path().join("elsewhere"), &path).unwrap();
    assert_eq!(Store::open(&path).unwrap_err().code(), "store-unavailable");
    assert!(!root.path().join("elsewhere").exists());
}

#[test]
fn a_later_version_is_left_alone() {
    let (root, store) = fresh();
    drop(store);
    let connection = rusqlite::Connection::open(file(root.path())).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let error = Store::open(&file(root.path())).unwrap_err();
    assert_eq!(error.code(), "store-newer");
    assert!(!error.help().is_empty());
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let path = file(root.path());
    fs::create_dir(path.parent().unwrap()).unwrap();
    fs::write(&path, "this is not a database, however long it may be".repeat(100)).unwrap();
    assert_eq!(Store::open(&path).unwrap_err().code(), "store-unavailable");
}

#[test]
fn damaged_rows_are_errors() {
    let (root, store) = fresh();
    let ann = principal("ann");
    let id = store.open_conversation(&ann, &origin(), at(1)).unwrap();
    let connection = rusqlite::Connection::open(file(root.path())).unwrap();
    connection.execute("UPDATE conversation SET opened_at = 'soon'", []).unwrap();
    assert_eq!(store.conversation(&ann, id.as_str()).unwrap_err().code(), "store-damaged");
    assert!(connection.execute("UPDATE conversation SET gateway_pid = 'x'", []).is_err());
}
