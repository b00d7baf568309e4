//! What is asked is kept, for as long as the configuration says, and gone on with.
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use jiff::Timestamp;
use serde_json::json;
use tagout_proto::{Principal, Secret};
use tagout_store::{About, SessionId, SessionKey, Sessions, Store};

use crate::{
    place::{Place, each, finish, one},
    sessions::{files_of_state, holds, key_file, message, own, refused, talked, text},
};

const GRID: &str = "[server.grid]\nbuiltin = \"grid\"\n";
const RISK: &str = "What is the outage risk of transformer A7 at 38 C?";

#[test]
fn what_is_asked_is_kept_and_gone_on_with() {
    let place = Place::new();
    place.done(&["ask", RISK]);
    let listed = one(&place.done(&["--json", "sessions", "ls"]));
    assert_eq!((&listed["title"], &listed["messages"]), (&json!(RISK), &json!(4)));
    assert_eq!(fs::metadata(key_file(&place)).unwrap().permissions().mode() & 0o777, 0o600);
    place.done(&["ask", "--continue", RISK]);
    let id: SessionId = listed["id"].as_str().unwrap().parse().unwrap();
    place.done(&["ask", "--resume", id.short(), RISK]);
    let again = one(&place.done(&["--json", "sessions", "ls"]));
    assert_eq!((&again["id"], &again["messages"]), (&listed["id"], &json!(12)));
    let shown = place.done(&["sessions", "show", "last"]);
    assert_eq!(shown.matches(": allowed by rule read-freely; the server answered").count(), 3);
    assert!(!holds(&files_of_state(&place), b"outage risk of transformer"));
    // Another question is another session.
    place.done(&["ask", RISK]);
    assert_eq!(each(&place.done(&["--json", "sessions", "ls"])).len(), 2);
}

#[test]
fn where_nothing_is_to_be_kept_nothing_is() {
    let place = Place::new();
    let keep = |days| place.configure(&format!("[sessions]\nkeep_days = {days}\n{GRID}"));
    place.done(&["ask", "--no-keep", RISK]);
    keep(0);
    place.done(&["ask", RISK]);
    assert!(place.done(&["sessions", "ls"]).contains("none are kept"));
    assert!(!key_file(&place).exists());
    refused(&place.run(&["ask", "--continue", RISK]), 2, "session-unknown");
}

#[test]
fn what_was_changed_is_not_gone_on_with() {
    let place = Place::new();
    place.done(&["ask", RISK]);
    let file = rusqlite::Connection::open(place.path("state/tagout/state.sqlite")).unwrap();
    let last = "position = (SELECT max(position) FROM turn)";
    assert_eq!(file.execute(&format!("DELETE FROM turn WHERE {last}"), []).unwrap(), 1);
    refused(&place.run(&["ask", "--continue", RISK]), 3, "session-not-valid");
    // Whoever wants to goes on without.
    place.done(&["ask", RISK]);
}

/// Keeps a session that was used last in 2001.
fn forgotten(sessions: &Sessions) -> SessionId {
    let long_ago = Timestamp::from_second(1_000_000_000).unwrap();
    let mut old = sessions.begin(About::default(), long_ago).unwrap();
    let turn = message(0, "user", text("x")).to_string();
    sessions.append(&mut old, turn.as_bytes(), long_ago).unwrap();
    old.id().clone()
}

#[test]
fn a_configuration_removes_what_is_its_own_and_says_so() {
    let (place, id) = talked();
    let store = Store::open(&place.path("state/tagout/state.sqlite")).unwrap();
    let other = Principal { user: "somebody-else".into(), ..own() };
    let of = |byte, who: &Principal| {
        store.sessions(&SessionKey::new(Secret::new([byte; 32])), who).unwrap()
    };
    let others = [of(7, &other), of(8, &own())];
    let theirs: Vec<_> = others.iter().map(forgotten).collect();
    forgotten(&of(7, &own()));
    forgotten(&of(7, &own()));
    let ran = place.run(&["ask", "--no-keep", RISK]);
    let said = "removed 2 sessions not used for 30 days (`keep_days`)";
    assert!(ran.code == 0 && ran.stderr.contains(said), "{ran:?}");
    let ran = place.run(&["ask", "--no-keep", RISK]);
    assert!(ran.code == 0 && !ran.stderr.contains("removed"), "{ran:?}");
    for (sessions, id) in others.iter().zip(&theirs) {
        assert!(sessions.load(id).unwrap().is_some());
    }
    // A configuration that wants none leaves those that there are, until somebody asks.
    place.configure(&format!("[sessions]\nkeep_days = 0\n{GRID}"));
    let ran = place.run(&["ask", RISK]);
    assert!(ran.code == 0 && !ran.stderr.contains("removed"), "{ran:?}");
    let ran = place.run(&["sessions", "ls"]);
    assert!(ran.stdout.contains(id.short()), "{ran:?}");
    assert!(ran.stderr.contains("`tagout sessions expire` removes these"), "{ran:?}");
    place.done(&["sessions", "expire"]);
    assert!(!place.done(&["sessions", "ls"]).contains(id.short()));
    for (sessions, id) in others.iter().zip(&theirs) {
        assert!(sessions.load(id).unwrap().is_some());
    }
}

#[test]
fn a_new_key_is_not_made_in_silence() {
    let (place, id) = talked();
    fs::remove_file(key_file(&place)).unwrap();
    refused(&place.run(&["ask", "--continue", RISK]), 1, "session-key");
    let ran = place.run(&["ask", RISK]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stderr.contains("a new one was made"), "{ran:?}");
    assert!(ran.stderr.contains("does not open the 1 session from before"), "{ran:?}");
    let listed = place.done(&["sessions", "ls"]);
    assert!(listed.contains(id.short()) && listed.contains("under another key"), "{listed}");
    let ran = place.run(&["ask", RISK]);
    assert!(ran.code == 0 && !ran.stderr.contains("key"), "{ran:?}");
}

#[test]
fn what_somebody_put_there_is_in_nobodys_way() {
    let (place, id) = talked();
    let file = rusqlite::Connection::open(place.path("state/tagout/state.sqlite")).unwrap();
    let forged = "INSERT INTO session SELECT 'zzz', user, authenticated_by, key,
                  '9999-12-31T23:59:59Z', turns, head FROM session";
    assert_eq!(file.execute(forged, []).unwrap(), 1);
    assert!(place.done(&["sessions", "show", "last"]).contains(id.as_str()));
    place.done(&["ask", "--continue", RISK]);
    place.done(&["sessions", "rm", "last"]);
    refused(&place.run(&["ask", "--continue", RISK]), 2, "session-unknown");
}

const CHART: &str = "Show me the hourly load profile";

/// The folder of pictures, with one by that name as of some days ago, and one that is not Tagout's.
fn with_pictures(place: &Place, name: &str, days: u64) -> PathBuf {
    let folder = place.path("state/tagout/pictures");
    for name in [name, "mine.png"] {
        let path = folder.join(name);
        place.write(&path, "x");
        let file = fs::File::options().write(true).open(path).unwrap();
        let now: SystemTime = file.metadata().unwrap().modified().unwrap();
        file.set_modified(now - Duration::from_secs(days * 86_400)).unwrap();
    }
    folder
}

#[test]
fn pictures_stay_as_long_as_sessions() {
    let place = Place::new();
    place.done(&["ask", CHART]);
    let folder = with_pictures(&place, "record-1-7.gif", 31);
    let count = || fs::read_dir(&folder).unwrap().count();
    assert_eq!(count(), 3);
    let ran = place.run(&["ask", RISK]);
    let said = "removed 1 picture kept for 30 days (`keep_days`)";
    assert!(ran.code == 0 && ran.stderr.contains(said), "{ran:?}");
    assert_eq!(count(), 2);
    with_pictures(&place, "record-1-7.gif", 31);
    let expired = place.done(&["sessions", "expire"]);
    assert_eq!(expired, "removed 0 sessions not used for 30 days, and 1 picture\n");
    // Where none are kept, those that there are go when somebody asks.
    place.configure(&format!("[sessions]\nkeep_days = 0\n{GRID}"));
    place.done(&["ask", RISK]);
    assert_eq!(count(), 2);
    let expired = one(&place.done(&["--json", "sessions", "expire"]));
    assert_eq!(expired, json!({"expired": 2, "pictures": 1, "keep_days": 0}));
    assert_eq!(count(), 1, "what is not Tagout's stays");
}

#[test]
fn a_picture_that_is_not_kept_lies_where_nothing_stays() {
    let place = Place::new();
    let run = place.path("run");
    fs::create_dir(&run).unwrap();
    let ask = |args: &[&str]| {
        let mut command = place.command(&[&["--json", "ask", CHART][..], args].concat());
        command.env("XDG_RUNTIME_DIR", &run);
        let ran = finish(command);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
        PathBuf::from(one(&ran.stdout)["pictures"][0].as_str().unwrap())
    };
    let first = ask(&["--no-keep"]);
    place.configure(&format!("[sessions]\nkeep_days = 0\n{GRID}"));
    let second = ask(&[]);
    for path in [&first, &second] {
        let folder = path.parent().unwrap();
        assert_eq!(folder.parent(), Some(run.as_path()));
        assert_eq!(fs::metadata(folder).unwrap().permissions().mode() & 0o777, 0o700);
        assert!(path.is_file());
    }
    assert_ne!(first.parent(), second.parent());
    assert!(!place.path("state/tagout/pictures").exists());
    // What was named is somebody's own.
    let named = place.path("named");
    assert_eq!(ask(&["--pictures", named.to_str().unwrap()]).parent(), Some(named.as_path()));
}

#[test]
fn a_configuration_without_servers_is_said_to_have_no_tools() {
    let place = Place::new();
    place.configure("[sessions]\nkeep_days = 1\n");
    let ran = place.run(&["ask", RISK]);
    assert!(ran.stderr.contains("names no server"), "{ran:?}");
    assert!(ran.stderr.contains("[server.grid]\nbuiltin = \"grid\""), "{ran:?}");
    assert!(ran.stdout.contains("There are no tools"), "{ran:?}");
    place.configure(&format!("[sessions]\nkeep_days = 1\n{GRID}"));
    place.done(&["ask", RISK]);
}
