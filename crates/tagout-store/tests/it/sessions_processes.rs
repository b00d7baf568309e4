//! Sessions among processes that are killed, or that race. Each process is this test binary, started
//! again for one test that does nothing unless a variable tells it what to do.
use std::{
    path::{Path, PathBuf},
    process::{Child, Command},
    time::Duration,
};

use tagout_proto::Secret;
use tagout_store::{About, SessionKey, Sessions, Store};

use crate::sample::{at, file, fresh, principal};

const ROLE: &str = "TAGOUT_STORE_TEST_SESSIONS";
const ROOT: &str = "TAGOUT_STORE_TEST_ROOT";

fn sessions(root: &Path) -> Sessions {
    let store = Store::open(&file(root)).unwrap();
    store.sessions(&SessionKey::new(Secret::new([1; 32])), &principal("ann")).unwrap()
}

fn start(role: &str, root: &Path) -> Child {
    #[expect(clippy::disallowed_methods, reason = "the test is the process that is started")]
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "sessions_processes::child", "--ignored"])
        .env(ROLE, role)
        .env(ROOT, root)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
#[ignore = "a role that other tests start in a process of its own"]
fn child() {
    let (Ok(role), Ok(root)) = (std::env::var(ROLE), std::env::var(ROOT)) else { return };
    let root = PathBuf::from(root);
    let sessions = sessions(&root);
    if role == "talk" {
        let mut session = sessions.begin(About::default(), at(1)).unwrap();
        for turn in 0_u64.. {
            sessions.append(&mut session, turn.to_string().as_bytes(), at(2)).unwrap();
        }
    }
    // All go on with the same session, and resume it when another was faster.
    let id = sessions.list().unwrap()[0].id.clone();
    let mut kept = 0;
    while kept < 20 {
        let mut session = sessions.load(&id).unwrap().unwrap().session;
        match sessions.append(&mut session, role.as_bytes(), at(3)) {
            Ok(()) => kept += 1,
            Err(error) => assert_eq!(error.code(), "session-changed"),
        }
    }
}

/// Killed at any moment, a session is what it was before or after a turn.
#[test]
fn what_was_kept_when_it_was_killed_is_whole() {
    for _ in 0..5 {
        let (root, store) = fresh();
        let mut talking = start("talk", root.path());
        let mut patience = 3_000;
        let sessions = sessions(root.path());
        let turns = || {
            let id = store.last_session(&principal("ann")).unwrap()?;
            Some(sessions.load(&id).unwrap().unwrap().turns)
        };
        while turns().is_none_or(|turns| turns.len() < 10) && patience > 0 {
            patience -= 1;
            std::thread::sleep(Duration::from_millis(10));
        }
        talking.kill().unwrap();
        talking.wait().unwrap();
        let turns = turns().unwrap();
        assert!(turns.len() >= 10, "{}", turns.len());
        for (n, turn) in turns.iter().enumerate() {
            assert_eq!(turn, n.to_string().as_bytes());
        }
        let id = store.last_session(&principal("ann")).unwrap().unwrap();
        let mut session = sessions.load(&id).unwrap().unwrap().session;
        sessions.append(&mut session, b"and on", at(9)).unwrap();
    }
}

#[test]
fn processes_that_race_lose_no_turn() {
    let (root, _store) = fresh();
    let sessions = sessions(root.path());
    let mut session = sessions.begin(About::default(), at(1)).unwrap();
    sessions.append(&mut session, b"first", at(1)).unwrap();
    let racing: Vec<_> = ["a", "b", "c"].map(|role| start(role, root.path())).into();
    for mut child in racing {
        assert!(child.wait().unwrap().success());
    }
    let turns = sessions.load(session.id()).unwrap().unwrap().turns;
    assert_eq!(turns.len(), 61);
    for role in [b"a", b"b", b"c"] {
        assert_eq!(turns.iter().filter(|turn| turn.as_slice() == role).count(), 20);
    }
}
