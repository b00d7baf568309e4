//! `tagout add`.
use std::{fs, os::unix::fs::PermissionsExt as _};

use insta::assert_snapshot;

use crate::{
    place::{Place, finish, one},
    redacted,
};

const FILES: [&str; 6] = ["add", "files", "--yes", "--", "/bin/cat", "/data"];

/// What is said after a server was added. What it is, is shown aside.
fn added(place: &Place, args: &[&str]) -> String {
    let ran = place.run(args);
    assert_eq!(ran.code, 0, "{args:?}: {ran:?}");
    assert!(ran.stderr.starts_with("server `"), "{ran:?}");
    ran.stdout
}

fn config(place: &Place) -> String {
    String::from_utf8(fs::read(place.config_file()).unwrap()).unwrap()
}

#[test]
fn the_first_server_makes_the_file_and_keeps_the_grid() {
    let place = Place::new();
    let said = added(&place, &FILES);
    assert_snapshot!("added", redacted::text(&place, &said));
    assert_snapshot!("first_config", config(&place));
    let listed = place.done(&["list"]);
    let names: Vec<_> = listed.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(names, ["files", "grid"]);
    place.done(&["check"]);
}

#[test]
fn what_it_makes_is_its_owners() {
    let place = Place::new();
    let script = "umask 000; exec \"$0\" \"$@\"";
    let args = ["-c", script, crate::place::TAGOUT, "add", "files", "--yes", "--", "/bin/cat"];
    let ran = finish(place.program("/bin/sh", &args));
    assert_eq!(ran.code, 0, "{ran:?}");
    let mode = |path: &str| fs::metadata(place.path(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("config/tagout/tagout.toml"), 0o600);
    // Who can write to the folder can replace the policy.
    assert_eq!(mode("config/tagout"), 0o700);
}

#[test]
fn a_later_server_leaves_the_rest_as_it_is() {
    let place = Place::new();
    let before = "# mine\nprofile = \"strict\" # why\n\n[server.grid]\nbuiltin='grid'";
    place.configure(before);
    added(
        &place,
        &[
            "add",
            "git",
            "--yes",
            "--env",
            "TOKEN=a=b \"quoted\" \\ \u{7f}",
            "--env",
            "EMPTY=",
            "--pass-env",
            "PATH",
            "--cwd",
            "/tmp",
            "--",
            "/bin/cat",
            "--flag",
            "two words",
        ],
    );
    let after = config(&place);
    assert!(after.starts_with(before), "{after}");
    assert_snapshot!("later_config", after);
    let listed = place.done(&["--json", "list"]);
    let git = one(listed.lines().next().unwrap());
    assert_eq!(git["command"], serde_json::json!(["/bin/cat", "--flag", "two words"]));
    assert_eq!(one(&place.done(&["--json", "check"]))["unpinned"], serde_json::json!(["git"]));
    added(&place, &["add", "odd", "--yes", "--", "/bin/cat", "two\nlines", "\u{1b}[31m"]);
    let listed = place.done(&["list"]);
    assert_eq!(listed.lines().count(), 3, "{listed}");
    assert!(!listed.contains('\u{1b}'), "{listed}");
}

#[test]
fn as_json() {
    let place = Place::new();
    let said = one(&added(&place, &["--json", "add", "cat", "--yes", "--", "/bin/cat"]));
    let file = place.config_file();
    let expected =
        serde_json::json!({"added": "cat", "file": file.to_str(), "agreed": true, "pinned": true});
    assert_eq!(said, expected);
    let said = place.done(&["consent", "ls"]);
    assert!(said.contains("server cat") && said.contains("(add)"), "{said}");
}

#[test]
fn what_cannot_be_added_leaves_the_file_as_it_is() {
    let wrong: [(&[&str], &str); 10] = [
        (&["add", "files", "--", "https://example.com/mcp"], "arguments-unreadable"),
        (&["add", "grid", "--", "x"], "server-exists"),
        (&["add", "Files", "--", "x"], "server-unknown"),
        (&["add", "a__b", "--", "x"], "server-unknown"),
        (&["add", "", "--", "x"], "server-unknown"),
        (&["add", "a.b]\n[limits", "--", "x"], "server-unknown"),
        (&["add", "files", "--", ""], "config-invalid"),
        (&["add", "files", "--env", "NAME", "--", "x"], "arguments-unreadable"),
        (&["add", "files", "--env", "=x", "--", "x"], "config-invalid"),
        (&["add", "files", "--pass-env", "A=B", "--", "x"], "config-invalid"),
    ];
    for (args, code) in wrong {
        let place = Place::new();
        let before = "[server.grid]\nbuiltin = \"grid\"\n";
        place.configure(before);
        let ran = place.run(&[&["--json"], args].concat());
        assert_eq!(ran.code, 2, "{args:?}: {ran:?}");
        assert_eq!(one(&ran.stdout)["error"]["code"], code, "{args:?}");
        assert_eq!(config(&place), before, "{args:?}");
        let left: Vec<_> = fs::read_dir(place.path("config/tagout")).unwrap().collect();
        assert_eq!(left.len(), 1, "{args:?}: {left:?}");
    }
}

#[test]
fn a_broken_file_is_not_added_to() {
    let place = Place::new();
    place.configure("profil = \"strict\"\n");
    let ran = place.run(&FILES);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert_eq!(config(&place), "profil = \"strict\"\n");
}

#[test]
fn several_at_once_are_all_added() {
    let place = Place::new();
    std::thread::scope(|scope| {
        for n in 0..8 {
            let (place, name) = (&place, format!("s{n}"));
            scope.spawn(move || added(place, &["add", &name, "--yes", "--", "/bin/cat"]));
        }
    });
    assert_eq!(place.done(&["list"]).lines().count(), 9);
    place.done(&["check"]);
}

/// Where the program is that an entry names.
fn program(place: &Place, name: &str) -> String {
    let listed = place.done(&["--json", "list"]);
    let all = listed.lines().map(one);
    let found = all.into_iter().find(|entry| entry["name"] == name).unwrap();
    found["command"][0].as_str().unwrap().to_owned()
}

fn executable(place: &Place, file: &str) -> String {
    let path = place.path(file);
    place.write(&path, "#!/bin/sh\n");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_program_is_the_same_wherever_tagout_is_started() {
    let place = Place::new();
    let server = executable(&place, "work/server");
    place.write(&place.path("work/data.txt"), "");
    let mut command =
        place.command(&["add", "near", "--yes", "--", "./server", "data.txt", "none.txt"]);
    command.current_dir(place.path("work"));
    let ran = finish(command);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stderr.contains("WARNING: data.txt is a file here"), "{ran:?}");
    assert!(!ran.stderr.contains("WARNING: none.txt"), "{ran:?}");
    assert_eq!(program(&place, "near"), server);
    // By hand, it is looked for beside the file, or where the server works.
    let beside = executable(&place, "config/tagout/bin/server");
    let cwd = place.path("work");
    place.configure(&format!(
        "[server.a]\ncommand = [\"bin/server\"]\n[server.b]\ncommand = [\"./server\"]\ncwd = {cwd:?}\n"
    ));
    assert_eq!(program(&place, "a"), beside);
    assert_eq!(program(&place, "b"), server);
}

#[test]
fn what_is_not_there_is_not_added() {
    let place = Place::new();
    for command in ["./nofile", "/nowhere/server", "no-such-program"] {
        let ran = place.run(&["--json", "add", "s", "--yes", "--", command]);
        assert_ne!(ran.code, 0, "{ran:?}");
        assert!(one(&ran.stdout)["error"]["code"].is_string(), "{ran:?}");
        assert!(!place.path("config/tagout").exists(), "{command}");
    }
    let ran = place.run(&["add", "s", "--yes", "--", "https://example.com/mcp"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("url = \"https://example.com/mcp\""), "{ran:?}");
    // Nor is anything made for what nobody can be asked about.
    let ran = place.run(&["add", "s", "--", "/bin/cat"]);
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(!place.path("config/tagout").exists());
}

#[test]
fn the_line_that_is_proposed_says_all_that_was_said() {
    let place = Place::new();
    let options = [
        "add",
        "s",
        "--yes",
        "--env",
        "A=b c",
        "--pass-env",
        "TERM",
        "--read",
        "/data",
        "--write",
        "/out",
        "--reach",
        "example.com:443",
        "--cwd",
        "/tmp",
        "--new-publisher",
        "--",
        "uvx",
        "thing",
    ];
    let mut command = place.command(&options);
    // Nobody can be asked for a version.
    command.env("PATH", "/nowhere");
    let said = finish(command).stderr;
    let expected = "tagout add --env 'A=b c' --pass-env TERM --reach example.com:443 --read /data \
                    --write /out --cwd /tmp --new-publisher --yes s -- uvx thing==VERSION";
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains(expected), "{said}");
}

#[test]
fn the_program_that_was_added_is_the_one_that_is_started() {
    let place = Place::new();
    let server = executable(&place, "server");
    let said = added(&place, &["add", "s", "--yes", "--", &server]);
    assert!(said.contains("Its program is in the lockfile"), "{said}");
    let started = || place.run(&["tools", "ls"]).stderr;
    let before = started();
    // It is started, and is no server.
    assert!(before.contains("server `s`") && !before.contains("server-changed"), "{before}");
    place.write(&place.path("server"), "#!/bin/sh\nexit 0\n");
    let after = started();
    assert!(after.contains("server-changed"), "{after}");
    // Another server is added beside it.
    added(&place, &["add", "t", "--yes", "--", "/bin/cat"]);
    let lockfile = fs::read(place.path("config/tagout/tagout.lock")).unwrap();
    let lockfile = String::from_utf8(lockfile).unwrap();
    assert!(lockfile.contains("[program.s]") && lockfile.contains("[program.t]"), "{lockfile}");
}

#[test]
fn a_signed_lockfile_stays_as_it_was_signed() {
    let place = Place::new();
    place.configure("[server.grid]\nbuiltin = \"grid\"\n");
    place.write(&place.path("config/tagout/tagout.lock.minisig"), "");
    let said = added(&place, &["add", "s", "--yes", "--", "/bin/cat"]);
    assert!(said.contains("nothing holds it fast yet"), "{said}");
    assert!(!place.path("config/tagout/tagout.lock").exists());
}
