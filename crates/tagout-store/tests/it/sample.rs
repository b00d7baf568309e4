//! Principals, times and a file to try things on.
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use tagout_proto::{Origin, Principal};
use tagout_store::Store;

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

pub(crate) fn principal(user: &str) -> Principal {
    Principal {
        user: user.into(),
        groups: ["operators".to_owned()].into(),
        authenticated_by: "os-user".into(),
    }
}

pub(crate) fn origin() -> Origin {
    Origin { transport: "stdio".into(), client: "test 1.0".into(), address: None, gateway_pid: 7 }
}

pub(crate) fn file(root: &Path) -> PathBuf {
    root.join("state/tagout.db")
}

pub(crate) fn fresh() -> (tempfile::TempDir, Store) {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(&file(root.path())).unwrap();
    (root, store)
}
