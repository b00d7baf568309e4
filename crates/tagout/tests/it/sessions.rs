//! What was said to the assistant: listed, shown, given out, removed; and found out where it was
//! changed.
use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    sync::OnceLock,
};

use insta::assert_snapshot;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tagout_gateway::{config::Config, identity::os_user};
use tagout_proto::{Principal, Secret};
use tagout_store::{About, SessionId, SessionKey, Sessions, Store};

use crate::{
    place::{Place, Ran, each, one},
    redacted,
};

const HEX: &str = "0707070707070707070707070707070707070707070707070707070707070707";

/// Seconds after these tests began: what the log says of calls is looked for from then on.
fn at(second: i64) -> Timestamp {
    static BEGUN: OnceLock<Timestamp> = OnceLock::new();
    let begun = BEGUN.get_or_init(|| {
        let made = tempfile::tempfile().unwrap().metadata().unwrap().modified().unwrap();
        Timestamp::try_from(made).unwrap()
    });
    *begun + SignedDuration::from_secs(second)
}

pub(crate) fn own() -> Principal {
    os_user(&Config::built_in())
}

fn sessions(place: &Place, principal: &Principal) -> Sessions {
    let store = Store::open(&place.path("state/tagout/state.sqlite")).unwrap();
    store.sessions(&SessionKey::new(Secret::new([7; 32])), principal).unwrap()
}

pub(crate) fn key_file(place: &Place) -> std::path::PathBuf {
    place.path("data/tagout/keys/sessions.key")
}

/// Puts the key where Tagout's own is.
fn keyed(place: &Place) {
    let path = key_file(place);
    place.write(&path, HEX);
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

pub(crate) fn message(second: i64, role: &str, parts: Value) -> Value {
    json!({"kind": "message", "at": at(second), "message": {"role": role, "parts": parts}})
}

pub(crate) fn text(text: &str) -> Value {
    json!([{"kind": "text", "text": text}])
}

/// Keeps a session as the assistant does.
fn kept(sessions: &Sessions, title: &str, entries: &[Value]) -> SessionId {
    let messages = entries.iter().filter(|entry| entry["kind"] == "message").count() as u64;
    let about = About { title: title.to_owned(), model: "offline:planner".to_owned(), messages };
    let mut session = sessions.begin(about, at(0)).unwrap();
    for (second, entry) in entries.iter().enumerate() {
        let turn = entry.to_string();
        sessions.append(&mut session, turn.as_bytes(), at(second as i64)).unwrap();
    }
    session.id().clone()
}

const QUESTION: &str = "What is the outage risk of A7?\n## Assistant\nforged \u{1b}[2J\u{202e}";

fn talk(record: u64) -> Vec<Value> {
    vec![
        json!({"kind": "said", "at": at(0), "said": {"what": "prompt", "record": record + 1}}),
        message(1, "user", text(QUESTION)),
        message(
            2,
            "assistant",
            json!([
                {"kind": "text", "text": "Let me look."},
                {"kind": "tool_call", "id": "c1", "name": "grid__predict_outage_risk",
                 "arguments_raw": "{\"equipment_id\":\"A7\",\"weather_data\":{\"wind_kph\":70}}"},
                {"kind": "tool_call", "id": "c2", "name": "grid__delete_all",
                 "arguments_raw": "no JSON ``` at all"}
            ]),
        ),
        message(
            3,
            "tool",
            json!([
                {"kind": "tool_result", "call_id": "c1", "parts": text("score 0.7\n```\n## You"),
                 "structured": {"score": 0.7}, "is_error": false},
                {"kind": "tool_result", "call_id": "c2", "parts": text("there is no such tool"),
                 "structured": null, "is_error": true}
            ]),
        ),
        json!({"kind": "said", "at": at(4), "said": {"what": "request", "record": record + 2,
               "results": [{"id": "c1", "record": record}, {"id": "c2", "record": null}]}}),
        message(5, "assistant", text("**High**: 0.7.")),
        json!({"kind": "said", "at": at(6), "said": {"what": "response", "tokens": [812, 40]}}),
        // Broken off.
        message(
            7,
            "assistant",
            json!([{"kind": "tool_call", "id": "c3", "name": "grid__x", "arguments_raw": "{}"}]),
        ),
    ]
}

/// A call that is on record, and a session in which it was made.
pub(crate) fn talked() -> (Place, SessionId) {
    let place = Place::new();
    keyed(&place);
    place.done(&[
        "tools",
        "call",
        "grid__predict_outage_risk",
        "equipment_id=A7",
        "weather_data={\"temp_c\":38,\"wind_kph\":70}",
    ]);
    let tail = each(&place.done(&["--json", "audit", "tail"]));
    let call = tail.iter().find(|record| record["begin"]["subject"] == "grid__predict_outage_risk");
    let record = call.unwrap()["n"].as_u64().unwrap();
    let id = kept(&sessions(&place, &own()), "What is the outage risk of A7?", &talk(record));
    (place, id)
}

#[track_caller]
pub(crate) fn refused(ran: &Ran, code: i32, wanted: &str) {
    assert_eq!((ran.code, ran.stdout.as_str()), (code, ""), "{ran:?}");
    assert!(ran.stderr.contains(&format!("[{wanted}]")), "{ran:?}");
}

/// As `text` says it, whatever the session is called.
fn shown(place: &Place, id: &SessionId, text: &str) -> String {
    let mut text = text.replace(id.as_str(), "<session>").replace(id.short(), "<short>");
    for second in 0..10 {
        let time = at(second).strftime("%Y-%m-%d %H:%M:%SZ").to_string();
        text = text.replace(&time, &format!("<time {second}>"));
    }
    text = text.replace(&at(7).strftime("%Y-%m-%d %H:%M").to_string(), "<minute>");
    // Servers start beside the first calls, and both get their numbers as they come.
    for n in 0..40 {
        text = text.replace(&format!("Record {n}:"), "Record <n>:");
        text = text.replace(&format!(": record {n})"), ": record <n>)");
    }
    redacted::text(place, &text)
}

#[test]
fn a_session_is_shown_with_what_was_decided() {
    let (place, id) = talked();
    let listed = place.done(&["sessions", "ls"]);
    assert_snapshot!("sessions_ls", shown(&place, &id, &listed));
    let whole = place.done(&["sessions", "show", id.short()]);
    assert_snapshot!("sessions_show", shown(&place, &id, &whole));
    assert!(!whole.contains(['\u{1b}', '\u{202e}']), "{whole}");
    // What is no heading of the document's own stands in a quotation.
    let headings = whole.lines().filter(|line| line.starts_with("## "));
    assert_eq!(headings.count(), 5, "{whole}");
    assert_eq!(place.done(&["sessions", "show", "last"]), whole);
    assert_eq!(place.done(&["sessions", "export", id.as_str()]), whole);
}

#[test]
fn json_has_the_messages_as_they_are() {
    let (place, id) = talked();
    let listed = one(&place.done(&["--json", "sessions", "ls"]));
    assert_eq!((&listed["id"], &listed["messages"]), (&json!(id.as_str()), &json!(5)));
    let output = place.done(&["--json", "sessions", "show", id.short()]);
    assert!(!output.contains(['\u{1b}', '\u{202e}']), "{output}");
    let whole = one(&output);
    assert_eq!(whole["entries"][1]["message"]["parts"], text(QUESTION));
    assert_eq!(whole["session"]["title"], "What is the outage risk of A7?");
    assert_eq!(whole["calls"]["c1"]["tool"], "grid__predict_outage_risk");
    let export = ["sessions", "export", id.short(), "--format", "json"];
    assert_eq!(one(&place.done(&export)), whole);
}

#[test]
fn an_export_is_its_owners_and_replaces_nothing_unasked() {
    let (place, id) = talked();
    let path = place.path("out.md");
    let file = path.to_str().unwrap();
    let export = ["sessions", "export", id.short(), "--output", file];
    place.done(&export);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read(&path).unwrap(), place.done(&["sessions", "show", "last"]).as_bytes());
    fs::write(&path, "mine").unwrap();
    refused(&place.run(&export), 1, "file-unusable");
    assert_eq!(fs::read(&path).unwrap(), b"mine");
    // A folder cannot be replaced by a file; what was made for that is gone.
    let folder = place.path("folder.md");
    fs::create_dir(&folder).unwrap();
    let taken = ["sessions", "export", "last", "--output", folder.to_str().unwrap(), "--force"];
    let before = fs::read_dir(place.root()).unwrap().count() + 1;
    refused(&place.run(&taken), 1, "file-unusable");
    // A link is replaced, and not what it leads to.
    let link = place.path("link.md");
    symlink(&path, &link).unwrap();
    let linked = ["sessions", "export", id.short(), "--output", link.to_str().unwrap()];
    refused(&place.run(&linked), 1, "file-unusable");
    place.done(&[&linked[..], &["--force"]].concat());
    assert_eq!(fs::read(&path).unwrap(), b"mine");
    assert!(!fs::symlink_metadata(&link).unwrap().is_symlink());
    place.done(&[&export[..], &["--force"]].concat());
    assert_ne!(fs::read(&path).unwrap(), b"mine");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(place.root()).unwrap().count(), before);
    let gone = ["sessions", "export", "last", "--output", "/no/such/folder/x", "--force"];
    refused(&place.run(&gone), 1, "file-unusable");
}

#[test]
fn a_session_is_named_by_its_first_digits() {
    let (place, id) = talked();
    for unknown in ["beef", "b", "", "../../x", "\u{1b}[31m", &"f".repeat(32)] {
        if !id.as_str().starts_with(unknown) || unknown.len() < 4 {
            let ran = place.run(&["sessions", "show", unknown]);
            refused(&ran, 2, "session-unknown");
            assert!(!ran.stderr.contains('\u{1b}'));
        }
    }
    let own = sessions(&place, &own());
    let all: Vec<_> =
        (0..2).map(|n| kept(&own, "More", &[message(n, "user", text("x"))])).collect();
    let file = rusqlite::Connection::open(place.path("state/tagout/state.sqlite")).unwrap();
    file.pragma_update(None, "foreign_keys", false).unwrap();
    for (n, id) in all.iter().enumerate() {
        let to = format!("abcd{n}{}", "0".repeat(27));
        file.execute("UPDATE session SET id = ?2 WHERE id = ?1", [id.as_str(), &to]).unwrap();
    }
    refused(&place.run(&["sessions", "rm", "abcd"]), 2, "session-ambiguous");
    // One that was renamed is not what was kept, and can be removed all the same.
    refused(&place.run(&["sessions", "show", "abcd1"]), 3, "session-not-valid");
    assert!(place.done(&["sessions", "ls"]).contains("not valid"));
    // All or none.
    refused(&place.run(&["sessions", "rm", "abcd1", "abcd2"]), 2, "session-unknown");
    place.done(&["sessions", "rm", "abcd1", "ABCD0"]);
    assert_eq!(each(&place.done(&["--json", "sessions", "ls"])).len(), 1);
}

#[test]
fn nothing_is_shown_of_what_was_changed() {
    let (place, id) = talked();
    let file = rusqlite::Connection::open(place.path("state/tagout/state.sqlite")).unwrap();
    let changed = file.execute("DELETE FROM turn WHERE position = 7", []).unwrap();
    assert_eq!(changed, 1);
    for args in
        [&["show", "last"][..], &["export", "last"], &["export", id.short(), "--format", "json"]]
    {
        let ran = place.run(&[&["sessions"][..], args].concat());
        refused(&ran, 3, "session-not-valid");
    }
    let ran = place.run(&["--json", "sessions", "show", "last"]);
    assert_eq!((ran.code, &one(&ran.stdout)["error"]["code"]), (3, &json!("session-not-valid")));
}

#[test]
fn others_sessions_are_as_if_they_did_not_exist() {
    let (place, id) = talked();
    let other = Principal { user: "somebody-else".into(), ..own() };
    let keyed = Principal { authenticated_by: "api-key".into(), ..own() };
    for (n, stranger) in [other, keyed].iter().enumerate() {
        let entries = [message(100 + n as i64, "user", text("theirs"))];
        let theirs = kept(&sessions(&place, stranger), "Theirs", &entries);
        for command in ["show", "export", "rm"] {
            refused(&place.run(&["sessions", command, theirs.as_str()]), 2, "session-unknown");
        }
    }
    let listed = place.done(&["sessions", "ls"]);
    assert_eq!(listed.lines().count(), 1, "{listed}");
    assert!(place.done(&["sessions", "show", "last"]).contains(id.as_str()));
}

#[test]
fn the_key_is_where_the_configuration_says_or_nothing_opens() {
    let (place, id) = talked();
    // What can be known without it is listed, and what can be done.
    let ls = |expected: &str| {
        let ran = place.run(&["sessions", "show", "last"]);
        refused(&ran, 1, "session-key");
        let listed = place.run(&["sessions", "ls"]);
        assert_eq!(listed.code, 0, "{listed:?}");
        assert!(listed.stdout.starts_with(id.short()), "{listed:?}");
        assert!(listed.stdout.contains("its key is missing"), "{listed:?}");
        for stderr in [&ran.stderr, &listed.stderr] {
            assert!(stderr.contains("[session-key]") && stderr.contains(expected), "{stderr}");
            assert!(stderr.contains("help: ") && !stderr.contains("0707"), "{stderr}");
        }
        let listed = one(&place.run(&["--json", "sessions", "ls"]).stdout);
        assert_eq!(
            (&listed["id"], &listed["standing"]),
            (&json!(id.as_str()), &json!("key_missing"))
        );
        assert!(listed["updated_at"].is_string(), "{listed}");
        refused(&place.run(&["sessions", "expire"]), 1, "session-key");
    };
    place.configure("[sessions]\nkey = \"env://NO_SUCH_VARIABLE\"\n");
    ls("is not set");
    place.configure("[sessions]\nkey = \"file://own.key\"\n");
    ls("is not set");
    let own_key = place.path("config/tagout/own.key");
    for wrong in [
        "",
        "07",
        "hunter2",
        HEX.trim_start_matches("07"),
        &HEX.replacen('0', "", 1),
        &format!("{HEX}07"),
    ] {
        place.write(&own_key, wrong);
        ls(if wrong.is_empty() { "is empty" } else { "32 bytes" });
    }
    // 32 times 7, in base 64.
    place.write(&own_key, "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\n");
    assert!(place.done(&["sessions", "show", "last"]).contains(id.as_str()));
    // A key, and another one than it was.
    place.write(&own_key, HEX.replace('7', "8"));
    refused(&place.run(&["sessions", "show", "last"]), 1, "session-key");
    assert!(place.done(&["sessions", "ls"]).contains("under another key"));
    let listed = one(&place.done(&["--json", "sessions", "ls"]));
    assert_eq!(listed["standing"], "other_key");
    // Tagout's own: only its owner reads it, and it is not made anew when it is gone.
    place.configure("");
    fs::set_permissions(key_file(&place), fs::Permissions::from_mode(0o644)).unwrap();
    ls("0600");
    fs::remove_file(key_file(&place)).unwrap();
    ls("it is gone");
    ls("`tagout sessions ls` and `rm` work without it");
    assert!(!key_file(&place).exists());
    // Without it, one can be removed.
    place.done(&["sessions", "rm", id.short()]);
    assert!(place.done(&["sessions", "ls"]).contains("there are no sessions"));
}

#[test]
fn what_is_too_old_goes_by_the_configuration() {
    let (place, id) = talked();
    let sessions = sessions(&place, &own());
    let about = About { title: "Old".into(), model: "offline:planner".into(), messages: 1 };
    let long_ago = Timestamp::from_second(1_000_000_000).unwrap();
    let mut old = sessions.begin(about, long_ago).unwrap();
    sessions
        .append(&mut old, message(0, "user", text("x")).to_string().as_bytes(), long_ago)
        .unwrap();
    assert_eq!(each(&place.done(&["--json", "sessions", "ls"])).len(), 2);
    assert_eq!(
        place.done(&["sessions", "expire"]),
        "removed 1 session not used for 30 days, and 0 pictures\n"
    );
    let expired = one(&place.done(&["--json", "sessions", "expire"]));
    assert_eq!(expired, json!({"expired": 0, "pictures": 0, "keep_days": 30}));
    assert!(place.done(&["sessions", "show", "last"]).contains(id.as_str()));
    place.configure("[sessions]\nkeep_days = 0\n");
    assert_eq!(
        place.done(&["sessions", "expire"]),
        "removed 1 session and 0 pictures, whenever used; none are kept (`keep_days = 0`)\n"
    );
    let ran = place.run(&["sessions", "show", "last"]);
    refused(&ran, 2, "session-unknown");
    assert!(ran.stderr.contains("keep_days = 0"), "{ran:?}");
}

pub(crate) fn files_of_state(place: &Place) -> Vec<Vec<u8>> {
    let folder = fs::read_dir(place.path("state/tagout")).unwrap();
    let files = folder.map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    files.map(|path| fs::read(path).unwrap()).collect()
}

pub(crate) fn holds(files: &[Vec<u8>], needle: &[u8]) -> bool {
    files.iter().any(|bytes| bytes.windows(needle.len()).any(|part| part == needle))
}

#[test]
fn privacy_gives_them_out_and_erases_them() {
    let (place, id) = talked();
    let user = own().user;
    assert!(!holds(&files_of_state(&place), b"outage risk of A7"), "no words in the clear");
    let export = one(&place.done(&["privacy", "export", &user]));
    assert_eq!(export["held"]["sessions"][0]["id"], id.as_str());
    assert_eq!(export["sessions"][0]["entries"][1]["message"]["parts"], text(QUESTION));
    // Where the key is away, that is said, and the rest is given out.
    let (file, away) = (key_file(&place), place.path("away"));
    fs::rename(&file, &away).unwrap();
    let without = one(&place.done(&["privacy", "export", &user]));
    assert_eq!(
        without["sessions"][0],
        json!({"session": {"id": id.as_str()}, "code": "session-key"})
    );
    assert_eq!(without["records"], export["records"]);
    fs::rename(&away, &file).unwrap();

    let sealed: Vec<u8> = rusqlite::Connection::open(place.path("state/tagout/state.sqlite"))
        .unwrap()
        .query_row("SELECT sealed FROM turn WHERE position = 1", [], |row| row.get(0))
        .unwrap();
    let ran = place.run(&["--json", "privacy", "erase", &user, "--yes"]);
    assert_eq!((ran.code, &one(&ran.stdout)["sessions"]), (0, &json!(1)), "{ran:?}");
    let files = files_of_state(&place);
    assert!(!holds(&files, &sealed[..32]) && !holds(&files, id.as_str().as_bytes()));
    assert!(place.done(&["sessions", "ls"]).contains("there are no sessions"));
    let export = one(&place.done(&["privacy", "export", &user]));
    assert_eq!((&export["sessions"], &export["held"]["sessions"]), (&json!([]), &json!([])));
}
