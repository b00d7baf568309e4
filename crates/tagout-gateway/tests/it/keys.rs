//! API keys: who gets in, who does not, and when that changes.
use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use jiff::{Timestamp, civil::date};
use tagout_gateway::{
    Clock, Gateway, Parts,
    approval::Terminal,
    config::Config,
    identity::os_user,
    keys::{KeyError, KeyRequest, KeyTrouble, Keys, Minted},
    lockfile::Lockfile,
};
use tagout_policy::{Policy, Surface};
use tagout_store::{KeyGroups, Store};
use tempfile::TempDir;

/// A gateway, its keys, and a clock that stands still until it is moved.
struct Desk {
    root: TempDir,
    millis: Arc<AtomicI64>,
    gateway: Arc<Gateway>,
    keys: Keys,
}

impl Desk {
    fn new() -> Self {
        let root = TempDir::new().unwrap();
        let start: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let millis = Arc::new(AtomicI64::new(start.as_millisecond()));
        let gateway = opened(&root, &millis);
        let keys = Keys::of(&gateway).unwrap();
        Self { root, millis, gateway, keys }
    }

    fn wait(&self, seconds: i64) {
        self.millis.fetch_add(seconds * 1000, Ordering::Relaxed);
    }

    fn add(&self, name: &str, groups: &[&str], seconds: Option<i64>) -> Minted {
        self.gateway.add_key(&self.request(name, groups, seconds)).unwrap()
    }

    fn request(&self, name: &str, groups: &[&str], seconds: Option<i64>) -> KeyRequest {
        let now = self.millis.load(Ordering::Relaxed);
        let expires = seconds.map(|s| Timestamp::from_millisecond(now + s * 1000).unwrap());
        let groups = KeyGroups::new(groups.iter().map(|group| (*group).to_owned())).unwrap();
        KeyRequest { name: name.parse().unwrap(), groups, expires }
    }

    /// The user's name, or why there is none.
    async fn who(&self, presented: &str) -> String {
        match self.keys.verify(presented).await {
            Ok(principal) => principal.user.to_string(),
            Err(error) => {
                if !matches!(error, KeyError::Busy | KeyError::Store(_)) {
                    assert_eq!(error.code(), "credential-invalid");
                }
                format!("{error:?}")
            }
        }
    }

    fn log(&self) -> String {
        let folder = self.root.path().join("state/audit");
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let lines = files.filter(|path| path.is_file()).map(|path| std::fs::read(path).unwrap());
        lines.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect()
    }
}

fn opened(root: &TempDir, millis: &Arc<AtomicI64>) -> Arc<Gateway> {
    let config = Config::built_in();
    let state = root.path().join("state");
    let millis = Arc::clone(millis);
    let parts = Parts {
        principal: os_user(&config),
        policy: Policy::load(config.profile, &[], &Surface::default()).unwrap(),
        config,
        lockfile: Lockfile::default(),
        shipped: Lockfile::default(),
        own_program: "/bin/true".into(),
        own_files: std::collections::BTreeSet::new(),
        approver: Arc::new(Terminal::new(state.clone())),
        clock: Clock::new(move || {
            Timestamp::from_millisecond(millis.load(Ordering::Relaxed)).unwrap()
        }),
    };
    Gateway::open(parts, &state, &root.path().join("keys/head.key")).unwrap()
}

/// Another secret under the same identifier.
fn guess(key: &str) -> String {
    let (start, last) = key.split_at(key.len() - 1);
    format!("{start}{}", if last == "0" { "1" } else { "0" })
}

#[tokio::test]
async fn a_key_is_a_principal() {
    let desk = Desk::new();
    let ann = desk.add("ann", &["operators", "night shift"], None);
    let principal = desk.keys.verify(ann.key.expose()).await.unwrap();
    assert_eq!((&*principal.user, &*principal.authenticated_by), ("ann", "api-key"));
    assert_eq!(principal.groups.iter().collect::<Vec<_>>(), ["night shift", "operators"]);
    // From memory now, and by another gateway over the same state.
    assert_eq!(desk.keys.verify(ann.key.expose()).await.unwrap(), principal);
    let other = Keys::of(&opened(&desk.root, &desk.millis)).unwrap();
    assert_eq!(other.verify(ann.key.expose()).await.unwrap(), principal);
    assert!(!format!("{ann:?} {:?}", desk.keys).contains(ann.key.expose()));
}

#[tokio::test]
async fn nobody_else_gets_in() {
    let desk = Desk::new();
    let ann = desk.add("ann", &[], None);
    let key = ann.key.expose();
    let unknown = key.replace(&ann.id, "00000000");
    for (presented, why) in [
        ("", "Malformed"),
        (key.trim_start_matches("tagout_"), "Malformed"),
        (&format!("Bearer {key}"), "Malformed"),
        (&unknown, "Unknown"),
        (&guess(key), "Wrong"),
        (key, "ann"),
        (&guess(key), "Wrong"),
    ] {
        assert_eq!(desk.who(presented).await, why);
    }
}

#[tokio::test]
async fn a_key_expires_while_it_is_known() {
    let desk = Desk::new();
    let ann = desk.add("ann", &[], Some(60));
    assert_eq!(desk.who(ann.key.expose()).await, "ann");
    desk.wait(59);
    assert_eq!(desk.who(ann.key.expose()).await, "ann");
    desk.wait(1);
    assert_eq!(desk.who(ann.key.expose()).await, "Expired");
    let past = desk.gateway.add_key(&desk.request("bob", &[], Some(0)));
    assert!(matches!(past, Err(KeyTrouble::Past)));
}

#[tokio::test]
async fn a_revoked_key_is_forgotten() {
    let desk = Desk::new();
    let (ann, bob) = (desk.add("ann", &[], None), desk.add("bob", &[], None));
    assert_eq!(desk.who(ann.key.expose()).await, "ann");
    assert_eq!(desk.who(bob.key.expose()).await, "bob");
    // By another gateway, as `tagout key revoke` is.
    let other = opened(&desk.root, &desk.millis);
    assert_eq!(other.revoke_key("ann").unwrap().id, ann.id);
    assert_eq!(desk.who(ann.key.expose()).await, "ann", "looked at less than a second ago");
    desk.wait(1);
    assert_eq!(desk.who(ann.key.expose()).await, "Revoked");
    assert_eq!(desk.who(bob.key.expose()).await, "bob");
    assert!(matches!(other.revoke_key("ann"), Err(KeyTrouble::Unknown)));
    // The name is free again, and the old key stays what it is.
    let again = desk.add("ann", &["operators"], None);
    desk.wait(1);
    assert_eq!(desk.who(again.key.expose()).await, "ann");
    assert_eq!(desk.who(ann.key.expose()).await, "Revoked");
    assert_eq!(other.revoke_key(&bob.id).unwrap().name.as_str(), "bob");
}

#[tokio::test]
async fn groups_that_change_are_seen() {
    let desk = Desk::new();
    let ann = desk.add("ann", &["operators"], None);
    assert_eq!(desk.who(ann.key.expose()).await, "ann");
    let path = desk.root.path().join("state/state.sqlite");
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.execute("UPDATE key SET groups = 'readers'", []).unwrap();
    desk.wait(1);
    let principal = desk.keys.verify(ann.key.expose()).await.unwrap();
    assert_eq!(principal.groups.iter().collect::<Vec<_>>(), ["readers"]);
}

#[tokio::test]
async fn guessing_is_stopped_before_it_is_hashed() {
    let desk = Desk::new();
    let ann = desk.add("ann", &[], None);
    let bob = desk.add("bob", &[], None);
    let wrong = guess(ann.key.expose());
    assert_eq!(desk.who(bob.key.expose()).await, "bob");
    for _ in 0..10 {
        assert_eq!(desk.who(&wrong).await, "Wrong");
    }
    for _ in 0..1000 {
        assert_eq!(desk.who(&wrong).await, "Guessed");
    }
    assert_eq!(desk.who(ann.key.expose()).await, "Guessed", "nobody can tell it from a guess");
    assert_eq!(desk.who(bob.key.expose()).await, "bob", "another key");
    desk.wait(59);
    assert_eq!(desk.who(&wrong).await, "Guessed");
    desk.wait(1);
    assert_eq!(desk.who(ann.key.expose()).await, "ann");
    // Who is known stays in while somebody guesses.
    for _ in 0..12 {
        desk.who(&wrong).await;
    }
    assert_eq!(desk.who(&wrong).await, "Guessed");
    assert_eq!(desk.who(ann.key.expose()).await, "ann");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_wrong_keys_ends_in_few_hashes() {
    let desk = Arc::new(Desk::new());
    let ann = desk.add("ann", &[], None);
    let wrong = guess(ann.key.expose());
    let flood = (0..2000).map(|_| {
        let (desk, wrong) = (Arc::clone(&desk), wrong.clone());
        tokio::spawn(async move { desk.who(&wrong).await })
    });
    let mut hashed = 0;
    for one in flood.collect::<Vec<_>>() {
        match one.await.unwrap().as_str() {
            "Wrong" => hashed += 1,
            "Guessed" | "Busy" => {}
            other => panic!("{other}"),
        }
    }
    assert_eq!(hashed, 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_with_the_same_new_key_all_get_in() {
    let desk = Arc::new(Desk::new());
    let key = desk.add("ann", &[], None).key;
    let all = (0..200).map(|_| {
        let (desk, key) = (Arc::clone(&desk), key.expose().clone());
        tokio::spawn(async move { desk.who(&key).await })
    });
    for one in all.collect::<Vec<_>>() {
        assert_eq!(one.await.unwrap(), "ann");
    }
}

#[tokio::test]
async fn a_store_that_cannot_be_read_lets_nobody_in() {
    let desk = Desk::new();
    let ann = desk.add("ann", &[], None);
    assert_eq!(desk.who(ann.key.expose()).await, "ann");
    let path = desk.root.path().join("state/state.sqlite");
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.execute("DELETE FROM key_changes", []).unwrap();
    desk.wait(1);
    let error = desk.keys.verify(ann.key.expose()).await.unwrap_err();
    assert_eq!(error.code(), "store-damaged");
    connection.execute("INSERT INTO key_changes VALUES (1, 99)", []).unwrap();
    assert_eq!(desk.who(ann.key.expose()).await, "ann");
    connection.execute("UPDATE key SET hash = '$argon2id$v=19$m=8,t=1,p=1$AA$AA'", []).unwrap();
    desk.wait(1);
    let error = desk.keys.verify(ann.key.expose()).await.unwrap_err();
    assert_eq!(error.code(), "store-damaged");
}

#[tokio::test]
async fn the_first_key_is_made_once() {
    let desk = Desk::new();
    let first = desk.keys.ensure_first(&desk.gateway).unwrap().unwrap();
    let principal = desk.keys.verify(first.key.expose()).await.unwrap();
    assert_eq!((&*principal.user, principal.groups.len()), ("local", 0));
    assert!(desk.keys.ensure_first(&desk.gateway).unwrap().is_none());
    desk.gateway.revoke_key("local").unwrap();
    desk.add("ann", &[], None);
    assert!(desk.keys.ensure_first(&desk.gateway).unwrap().is_none(), "any live key will do");
    desk.gateway.revoke_key("ann").unwrap();
    assert!(desk.keys.ensure_first(&desk.gateway).unwrap().is_some());
}

#[tokio::test]
async fn what_is_done_with_keys_is_on_record_and_keys_are_not() {
    let desk = Desk::new();
    let ann = desk.add("ann", &["operators"], None);
    assert!(matches!(
        desk.gateway.add_key(&desk.request("ann", &[], None)),
        Err(KeyTrouble::Exists(_))
    ));
    desk.gateway.revoke_key("ann").unwrap();
    let log = desk.log();
    assert_eq!(log.matches("key-added").count(), 1, "{log}");
    assert_eq!(log.matches("key-revoked").count(), 1, "{log}");
    assert!(log.contains(&ann.id) && log.contains("operators"));
    let secret = ann.key.expose().rsplit_once('_').unwrap().1;
    let state = std::fs::read(desk.root.path().join("state/state.sqlite")).unwrap();
    let state = String::from_utf8_lossy(&state).into_owned();
    assert!(!log.contains(secret) && !state.contains(secret));
    assert!(!log.contains("argon2"), "nor hashes");
}

#[tokio::test]
async fn a_name_that_is_anothers_identifier_revokes_neither() {
    let desk = Desk::new();
    let ann = desk.add("ann", &[], None);
    desk.add(&ann.id, &[], None);
    assert!(matches!(desk.gateway.revoke_key(&ann.id), Err(KeyTrouble::Ambiguous)));
    assert_eq!(desk.gateway.revoke_key("ann").unwrap().id, ann.id);
    // The first is revoked already, so the name is the only one left.
    assert_eq!(desk.gateway.revoke_key(&ann.id).unwrap().name.as_str(), ann.id);
}

#[tokio::test]
async fn use_is_noted_by_the_day() {
    let desk = Desk::new();
    let ann = desk.add("ann", &[], None);
    let store = Store::open(&desk.root.path().join("state/state.sqlite")).unwrap();
    for (seconds, expected) in [(0, date(2026, 11, 21)), (24 * 60 * 60, date(2026, 11, 22))] {
        desk.wait(seconds);
        assert_eq!(desk.who(ann.key.expose()).await, "ann");
        // Written aside, some time.
        let noted = async {
            while store.keys().unwrap()[0].used_on != Some(expected) {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(60), noted).await.unwrap();
    }
}
