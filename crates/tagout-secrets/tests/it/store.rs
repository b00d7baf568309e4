//! Tagout's own store.
use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
    thread,
};

use jiff::Timestamp;
use tagout_proto::Secret;
use tagout_secrets::{SecretName, Store, StoreError, Unlock};

fn name(text: &str) -> SecretName {
    SecretName::try_from(text).unwrap()
}

fn text(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

fn store(folder: &Path) -> Store {
    Store::new(folder.join("secrets.age"), Unlock::KeyFile(folder.join("keys/secrets.key")))
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn what_is_set_is_there_and_what_is_removed_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    assert!(store.list().unwrap().is_empty() && store.stamp().is_none());
    assert!(!store.remove(&name("a")).unwrap());
    assert!(!store.file().exists(), "nothing is made for nothing");
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    assert!(!store.set(name("a"), text("hunter2\"\\\u{1}\u{e9}\n"), now).unwrap());
    let first = store.stamp();
    assert!(!store.set(name("b"), text("two"), now).unwrap());
    assert!(store.set(name("b"), text("three"), now).unwrap());
    assert_ne!(store.stamp(), first);
    let shown = store.get(&name("a")).unwrap().unwrap();
    assert_eq!(shown.expose(), "hunter2\"\\\u{1}\u{e9}\n");
    assert_eq!(store.get(&name("b")).unwrap().unwrap().expose(), "three");
    let listed: Vec<_> = store.list().unwrap().into_iter().map(|kept| kept.name).collect();
    assert_eq!(listed, [name("a"), name("b")]);
    assert!(store.remove(&name("a")).unwrap() && !store.remove(&name("a")).unwrap());
    assert!(store.get(&name("a")).unwrap().is_none());
    assert_eq!((mode(store.file()), mode(&folder.path().join("keys/secrets.key"))), (0o600, 0o600));
    let bytes = fs::read(store.file()).unwrap();
    assert!(bytes.starts_with(b"age-encryption.org/v1\n"));
    assert!(!bytes.windows(5).any(|window| window == b"three"));
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().flatten().collect();
    assert_eq!(left.len(), 3, "secrets.age, secrets.lock, keys: {left:?}");
}

#[test]
fn values_have_a_size() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    for wrong in [String::new(), "x".repeat(16 * 1024 + 1)] {
        let set = store.set(name("a"), Secret::new(wrong), Timestamp::UNIX_EPOCH);
        assert!(matches!(set, Err(StoreError::Size)));
    }
    store.set(name("a"), Secret::new("x".repeat(16 * 1024)), Timestamp::UNIX_EPOCH).unwrap();
}

#[test]
fn files_that_others_may_touch_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    store.set(name("a"), text("one"), Timestamp::UNIX_EPOCH).unwrap();
    let key = folder.path().join("keys/secrets.key");
    for path in [store.file(), key.as_path()] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(store.get(&name("a")), Err(StoreError::Open(of)) if of == path));
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let moved = folder.path().join("elsewhere");
    fs::rename(store.file(), &moved).unwrap();
    symlink(&moved, store.file()).unwrap();
    assert!(matches!(store.get(&name("a")), Err(StoreError::Io { .. })), "a symbolic link");
}

#[test]
fn a_key_that_is_gone_is_not_drawn_anew() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    store.set(name("a"), text("one"), Timestamp::UNIX_EPOCH).unwrap();
    let key = folder.path().join("keys/secrets.key");
    fs::remove_file(&key).unwrap();
    let sealed = fs::read(store.file()).unwrap();
    let set = store.set(name("b"), text("two"), Timestamp::UNIX_EPOCH);
    assert!(matches!(set, Err(StoreError::KeyGone(_))));
    assert!(!key.exists() && fs::read(store.file()).unwrap() == sealed);
    fs::write(&key, "AGE-SECRET-KEY-1NONE").unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(matches!(store.get(&name("a")), Err(StoreError::NoKey(_))));
}

#[test]
fn a_passphrase_is_the_only_way_in_where_there_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secrets.age");
    let under = |words: &str| Store::new(file.clone(), Unlock::Passphrase(text(words)));
    under("correct horse").set(name("a"), text("one"), Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!(under("correct horse").get(&name("a")).unwrap().unwrap().expose(), "one");
    assert!(matches!(under("battery").get(&name("a")), Err(StoreError::Age(_))));
    assert!(matches!(store(folder.path()).get(&name("a")), Err(StoreError::WantsPassphrase)));
}

#[test]
fn several_writers_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    thread::scope(|scope| {
        for writer in 0..4 {
            let store = store(folder.path());
            scope.spawn(move || {
                for n in 0..5 {
                    let name = name(&format!("w{writer}-{n}"));
                    store.set(name, text("value"), Timestamp::UNIX_EPOCH).unwrap();
                }
            });
        }
    });
    assert_eq!(store(folder.path()).list().unwrap().len(), 20);
}
