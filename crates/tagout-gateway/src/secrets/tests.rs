use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicI64, Ordering},
};

use super::*;

fn of(text: &str) -> Source {
    Source::parse(text, Path::new("/")).unwrap().unwrap()
}

/// Secrets at a time that the test sets, in seconds.
fn secrets(folder: &Path, seconds: &Arc<AtomicI64>) -> Secrets {
    let refresh = std::time::Duration::from_secs(60);
    let settings = SecretSettings { refresh, passphrase: None, vault: None, aws: None };
    let places = StorePlaces { file: folder.join("secrets.age"), key: folder.join("secrets.key") };
    let seconds = Arc::clone(seconds);
    let clock = Clock::new(move || {
        Timestamp::from_second(1_800_000_000 + seconds.load(Ordering::SeqCst)).unwrap()
    });
    Secrets::new(settings, places, clock)
}

#[test]
fn what_was_replaced_is_looked_for_while_anybody_holds_it() {
    let folder = tempfile::tempdir().unwrap();
    let secrets = secrets(folder.path(), &Arc::default());
    let source = of("vault://kv/x#y");
    let put =
        |n: u32| secrets.0.put(&source, Secret::new(format!("value-number-{n:02}")), Good::Never);
    let held: Vec<_> = (0..12).map(put).collect();
    for text in &held {
        assert_eq!(secrets.clean(text.expose()), "[secret x#y]");
    }
    drop(held);
    for n in 12..30 {
        drop(put(n));
    }
    assert!(locked(&secrets.0.values).len() <= 2 * VALUES_OF_ONE, "it does not grow");
    assert_eq!(secrets.clean("value-number-29"), "[secret x#y]");
}

#[test]
fn a_keeper_that_is_silent_is_left_alone_for_a_while() {
    let folder = tempfile::tempdir().unwrap();
    let seconds = Arc::new(AtomicI64::new(0));
    let secrets = secrets(folder.path(), &seconds);
    let source = of("vault://kv/x#y");
    let end = secrets.0.clock.now().checked_add(SignedDuration::from_secs(60)).unwrap();
    secrets.0.put(&source, Secret::new("value-number-1".to_owned()), Good::Until(end));
    assert!(secrets.0.known(&source).is_some());
    seconds.store(61, Ordering::SeqCst);
    assert!(secrets.0.known(&source).is_none());
    let silent = || SecretError::unreachable(&source, "is not answered");
    assert!(secrets.0.still_good(&source, silent()).is_ok());
    assert!(secrets.0.known(&source).is_some(), "it is not asked again at once");
    seconds.store(61 + 31, Ordering::SeqCst);
    assert!(secrets.0.known(&source).is_none(), "but after a while");
    seconds.store(60 + 3601, Ordering::SeqCst);
    assert!(secrets.0.still_good(&source, silent()).is_err(), "and not for ever");
    let denied = SecretError::denied(&source, "is not given");
    seconds.store(61, Ordering::SeqCst);
    assert!(secrets.0.still_good(&source, denied).is_err());
}

#[tokio::test]
async fn what_is_refused_is_read_again_once_for_all() {
    let folder = tempfile::tempdir().unwrap();
    let seconds = Arc::new(AtomicI64::new(0));
    let secrets = secrets(folder.path(), &seconds);
    let unlock = Unlock::KeyFile(folder.path().join("secrets.key"));
    let store = Store::new(folder.path().join("secrets.age"), unlock);
    let set = |value: &str| {
        let name = "a".try_into().unwrap();
        store.set(name, Secret::new(value.to_owned()), secrets.0.clock.now()).unwrap()
    };
    set("value-number-1");
    let source = of("secret://a");
    let first = secrets.get(&source).await.unwrap();
    // The same value again: nobody is told that it is another.
    let again = secrets.anew(&source, &first).await.unwrap();
    assert!(Arc::ptr_eq(&first, &again));
    set("value-number-2");
    let again = secrets.anew(&source, &first).await.unwrap();
    assert!(Arc::ptr_eq(&first, &again), "not so soon again");
    seconds.store(11, Ordering::SeqCst);
    let second = secrets.anew(&source, &first).await.unwrap();
    assert_eq!(second.expose(), "value-number-2");
    let late = secrets.anew(&source, &first).await.unwrap();
    assert!(Arc::ptr_eq(&second, &late), "whoever was refused with the old one gets the new");
    // What cannot be read replaces nothing.
    seconds.store(30, Ordering::SeqCst);
    fs::write(folder.path().join("secrets.age"), "spoiled").unwrap();
    assert!(secrets.anew(&source, &second).await.is_err());
    assert!(locked(&secrets.0.cache).contains_key(&source));
    // Nor is it opened again for that, as long as it is as it was.
    assert!(locked(&secrets.0.opening).contains_key(&source));
    assert!(secrets.get(&source).await.is_err());
    set_aside(folder.path());
    set("value-number-3");
    assert_eq!(secrets.get(&source).await.unwrap().expose(), "value-number-3");
}

fn set_aside(folder: &Path) {
    fs::rename(folder.join("secrets.age"), folder.join("spoiled")).unwrap();
}
