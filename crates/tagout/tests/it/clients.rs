//! `tagout client`: files of other programs, changed and given back.
use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
};

use insta::assert_snapshot;

use tagout_testkit::Pty;

use crate::{
    place::{LIMIT, Place, TAGOUT, each, finish, one, reading},
    redacted,
    terminal::seat,
};

/// A client, its usual file below the test's root, and a file of somebody who uses it.
const CLIENTS: [(&str, &str, &str); 8] = [
    ("claude-code", "home/.claude.json", include_str!("../clients/claude-code.json")),
    (
        "claude-desktop",
        "config/Claude/claude_desktop_config.json",
        include_str!("../clients/claude-desktop.json"),
    ),
    ("codex", "home/.codex/config.toml", include_str!("../clients/codex.toml")),
    ("cursor", "home/.cursor/mcp.json", include_str!("../clients/cursor.json")),
    ("gemini", "home/.gemini/settings.json", include_str!("../clients/gemini.json")),
    ("goose", "config/goose/config.yaml", include_str!("../clients/goose.yaml")),
    ("vscode", "config/Code/User/mcp.json", include_str!("../clients/vscode.json")),
    ("zed", "config/zed/settings.json", include_str!("../clients/zed.json")),
];

struct Client {
    place: Place,
    name: &'static str,
    path: PathBuf,
}

impl Client {
    fn new(name: &'static str, path: &str, text: &str) -> Self {
        let place = Place::new();
        let path = place.path(path);
        fs::create_dir_all(place.path("home")).unwrap();
        place.write(&path, text);
        Self { place, name, path }
    }

    fn all() -> impl Iterator<Item = (Self, &'static str)> {
        CLIENTS.iter().map(|(name, path, text)| (Self::new(name, path, text), *text))
    }

    fn cursor(text: &str) -> Self {
        Self::new("cursor", "home/.cursor/mcp.json", text)
    }

    fn text(&self) -> String {
        String::from_utf8(fs::read(&self.path).unwrap()).unwrap()
    }

    /// The outcome, or the code of the error; and the exit code.
    fn run(&self, verb: &str, more: &[&str]) -> (String, i32) {
        let args = [&["--json", "client", verb, self.name], more].concat();
        let ran = self.place.run(&args);
        let said = one(&ran.stdout);
        let outcome = said["outcome"].as_str().or(said["error"]["code"].as_str()).unwrap();
        (outcome.to_owned(), ran.code)
    }

    #[track_caller]
    fn does(&self, verb: &str, outcome: &str) {
        assert_eq!(self.run(verb, &["--yes"]), (outcome.to_owned(), 0), "{}", self.name);
    }

    /// Neither connects nor changes anything.
    #[track_caller]
    fn refuses(&self, more: &[&str], code: &str) {
        let before = fs::read(&self.path).ok();
        let (got, exit) = self.run("connect", more);
        assert_eq!((got.as_str(), exit), (code, 2), "{more:?}");
        assert_eq!(fs::read(&self.path).ok(), before, "{more:?}");
        assert!(!self.place.path("state/tagout/clients").exists(), "{more:?}");
    }
}

fn shown(client: &Client, text: &str) -> String {
    redacted::text(&client.place, &text.replace(TAGOUT, "<tagout>").replace('\r', "<CR>"))
}

#[test]
fn what_is_written_is_one_entry() {
    for (client, _) in Client::all() {
        client.does("connect", "connected");
        assert_snapshot!(format!("connected_{}", client.name), shown(&client, &client.text()));
    }
}

#[test]
fn what_is_taken_back_is_what_was() {
    for (client, before) in Client::all() {
        client.does("connect", "connected");
        let connected = client.text();
        client.does("connect", "unchanged");
        assert_eq!(client.text(), connected, "{}", client.name);
        client.does("disconnect", "restored");
        assert_eq!(client.text(), before, "{}", client.name);
        client.does("disconnect", "unchanged");
        assert_eq!(client.text(), before, "{}", client.name);
        assert_eq!(fs::read_dir(client.place.path("state/tagout/clients")).unwrap().count(), 0);
        assert_eq!(fs::read_dir(client.path.parent().unwrap()).unwrap().count(), 1);
    }
}

/// What others wrote since stays, and what it was written in does too.
#[test]
fn a_file_that_was_changed_since_loses_the_entry_only() {
    for (client, before) in Client::all() {
        client.does("connect", "connected");
        let mark = if before.contains("\r\n") { "\r\n" } else { "\n" };
        fs::write(&client.path, client.text() + mark).unwrap();
        client.does("disconnect", "removed-entry");
        // An empty list of servers that was laid out for the entry stays so.
        let squeezed = |text: &str| text.split_whitespace().collect::<String>();
        let (after, before) = (client.text(), before.to_owned() + mark);
        if client.name == "claude-code" {
            assert!(squeezed(&after).contains(",\"mcpServers\":{}}"), "{after}");
            continue;
        }
        if client.name == "cursor" || client.name == "zed" {
            assert_eq!(squeezed(&after), squeezed(&before), "{}", client.name);
            continue;
        }
        // A last line without its end has got one.
        assert_eq!(after.trim_end(), before.trim_end(), "{}", client.name);
    }
}

#[test]
fn other_arguments_replace_the_entry_and_the_first_file_is_given_back() {
    for (client, before) in Client::all() {
        client.does("connect", "connected");
        let config = client.place.path("other.toml");
        client.place.write(&config, "");
        let config = config.to_str().unwrap();
        let args = ["--json", "--config", config, "client", "connect", client.name, "--yes"];
        assert_eq!(one(&client.place.run(&args).stdout)["outcome"], "connected");
        assert_eq!(client.text().matches(config).count(), 1, "{}", client.text());
        assert_eq!(client.text().matches(TAGOUT).count(), 1, "{}", client.text());
        client.does("disconnect", "restored");
        assert_eq!(client.text(), before, "{}", client.name);
    }
}

#[test]
fn a_file_that_was_not_there_is_gone_again() {
    for (client, _) in Client::all() {
        fs::remove_file(&client.path).unwrap();
        client.does("connect", "connected");
        let mode = fs::metadata(&client.path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", client.name);
        client.does("disconnect", "removed-file");
        assert!(!client.path.exists(), "{}", client.name);
        // An empty file is one.
        fs::write(&client.path, "").unwrap();
        client.does("connect", "connected");
        client.does("disconnect", "restored");
        assert_eq!(client.text(), "", "{}", client.name);
    }
}

#[test]
fn the_change_is_shown_before_it_is_made() {
    let client = Client::cursor(
        "{\"mcpServers\": {\n  \"a\": {\"env\": {\"K\": \"sk-abcdefghijklmnopqrstuvwxyz\"}},\n  \"b\u{202e}\": {}\n}}\n",
    );
    let before = client.text();
    let ran = client.place.run(&["client", "connect", "cursor"]);
    assert_eq!(ran.code, 4, "{ran:?}");
    assert_snapshot!("preview", shown(&client, &ran.stderr));
    assert_eq!(client.text(), before);
    assert_eq!(client.run("connect", &[]), ("confirmation-unavailable".to_owned(), 4));
}

/// Shown and asked where a person is, wherever the streams go.
#[test]
fn a_person_at_the_terminal_is_asked() {
    for (typed, outcome, code) in [
        ("yes\n", "connected", 0),
        ("no\n", "confirmation-denied", 3),
        ("\n", "confirmation-denied", 3),
        ("yes, but\n", "confirmation-denied", 3),
    ] {
        let client = Client::cursor("{}");
        let args = ["--json", "client", "connect", "cursor"];
        let mut pty = Pty::spawn(&seat(&client.place, &args)).unwrap();
        let screen = pty.expect("to go ahead: ", LIMIT).unwrap();
        assert!(screen.contains("+  \"mcpServers\": {"), "{screen}");
        let stdout = reading(pty.stdout.take().unwrap());
        pty.send(typed).unwrap();
        assert_eq!(pty.wait(LIMIT).unwrap().code(), Some(code), "{typed}");
        let said = one(&stdout.join().unwrap());
        assert_eq!(said["outcome"].as_str().or(said["error"]["code"].as_str()), Some(outcome));
        assert_eq!(client.text() == "{}", code != 0, "{typed}");
    }
}

#[test]
fn over_http_a_key_is_named_and_never_written() {
    let http = ["--yes", "--http", "http://127.0.0.1:8800/mcp"];
    let keyed = [&http[..], &["--key", "env:TAGOUT_KEY"]].concat();
    let mut texts = String::new();
    for (client, _) in Client::all() {
        fs::remove_file(&client.path).unwrap();
        let more: &[&str] = match client.name {
            "claude-desktop" => {
                client.refuses(&http, "client-http");
                continue;
            }
            "goose" | "zed" => {
                client.refuses(&keyed, "client-http");
                &http
            }
            _ => &keyed,
        };
        assert_eq!(client.run("connect", more), ("connected".to_owned(), 0), "{}", client.name);
        texts.push_str(&format!("--- {}\n{}", client.name, client.text()));
    }
    assert_snapshot!("over_http", texts);
    let key = format!("tagout_01234567_{}", "z".repeat(52));
    let client = Client::cursor("{}");
    for reference in [key.as_str(), "TAGOUT_KEY", "env:", "env:A-B", &format!("env:{key}")] {
        let args = [&http[..], &["--key", reference]].concat();
        client.refuses(&args, "client-key");
        let ran = client.place.run(&[&["client", "connect", "cursor"], &args[..]].concat());
        assert!(!ran.stderr.contains(&key), "{ran:?}");
    }
    client.refuses(&["--yes", "--key", "env:TAGOUT_KEY"], "client-key");
    for url in ["", "ftp://a/", "http://", "https://ann:secret@a/", "http://a/\"", "http://a/${X}"]
    {
        client.refuses(&["--yes", "--http", url], "client-http");
    }
}

#[test]
fn a_file_that_is_not_understood_is_left_alone() {
    for text in [
        "[]",
        "{",
        "{} {}",
        "{\"a\": 1, \"a\": 2}",
        "{\"mcpServers\": []}",
        "{\"mcpServers\": \"x\"}",
        "{\"mcpServers\": {}, \"mcpServers\": {}}",
        "{\"a\": /* no end }",
        "{\"a\": [,]}",
        "{\"a\": 1,,}",
        &format!("{}1{}", "{\"a\":".repeat(5000), "}".repeat(5000)),
    ] {
        Client::cursor(text).refuses(&["--yes"], "client-unreadable");
    }
    for text in
        ["a = 1\na = 2\n", "mcp_servers = 3\n", "mcp_servers = { files = {} }\n", "a = \"\"\"\n"]
    {
        Client::new("codex", "home/.codex/config.toml", text)
            .refuses(&["--yes"], "client-unreadable");
    }
    let deep = "[".repeat(5000);
    for text in [
        "a: 1\na: 2\n",
        "extensions: []\n",
        "extensions: {developer: {enabled: true}}\n",
        "a: &x 1\nextensions: *x\n",
        "--- {}\n--- {}\n",
        "a: !!binary x\n",
        "\ta: 1\n",
        deep.as_str(),
    ] {
        Client::new("goose", "config/goose/config.yaml", text)
            .refuses(&["--yes"], "client-unreadable");
    }
}

#[test]
fn a_file_that_is_not_ours_is_left_alone() {
    let client = Client::cursor("{}");
    fs::write(&client.path, vec![b' '; (16 << 20) + 1]).unwrap();
    client.refuses(&["--yes"], "client-file");
    fs::write(&client.path, b"{\"a\": \"\xff\"}").unwrap();
    client.refuses(&["--yes"], "client-file");
    let outside = client.place.path("outside.json");
    fs::write(&outside, "{}").unwrap();
    for target in [outside.as_path(), Path::new("/dev/null"), Path::new("nowhere.json")] {
        fs::remove_file(&client.path).unwrap();
        symlink(target, &client.path).unwrap();
        client.refuses(&["--yes"], "client-file");
        let named = client.path.to_str().unwrap();
        client.refuses(&["--yes", "--file", named], "client-file");
    }
    assert_eq!(fs::read(&outside).unwrap(), b"{}");
    fs::remove_dir_all(client.path.parent().unwrap()).unwrap();
    client.refuses(&["--yes"], "client-missing");
}

#[test]
fn a_folder_that_a_variable_moved_is_followed() {
    let client = Client::cursor("{}");
    let moved = client.place.path("moved/config.toml");
    client.place.write(&moved, "");
    let mut command = client.place.command(&["client", "connect", "codex", "--yes"]);
    command.env("CODEX_HOME", moved.parent().unwrap());
    assert_eq!(finish(command).code, 0);
    assert!(String::from_utf8(fs::read(&moved).unwrap()).unwrap().contains(TAGOUT));
}

/// Dotfiles often are links to where they are kept under version control.
#[test]
fn a_link_within_the_home_stays_a_link() {
    let client = Client::cursor("{}");
    let kept = client.place.path("home/dotfiles/mcp.json");
    client.place.write(&kept, "{ }");
    fs::set_permissions(&kept, fs::Permissions::from_mode(0o640)).unwrap();
    fs::remove_file(&client.path).unwrap();
    symlink(&kept, &client.path).unwrap();
    client.does("connect", "connected");
    assert!(fs::symlink_metadata(&client.path).unwrap().is_symlink());
    assert_eq!(fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o640);
    client.does("disconnect", "restored");
    assert_eq!(fs::read(&kept).unwrap(), b"{ }");
    assert!(fs::symlink_metadata(&client.path).unwrap().is_symlink());
}

#[test]
fn a_projects_file_is_named() {
    let client = Client::cursor("{}");
    let project = client.place.path("project/.mcp.json");
    client.place.write(&project, "{}");
    let file = project.to_str().unwrap();
    let done = client.run("connect", &["--yes", "--file", file]);
    assert_eq!(done, ("connected".to_owned(), 0));
    assert_eq!(client.text(), "{}");
    assert!(String::from_utf8(fs::read(&project).unwrap()).unwrap().contains(TAGOUT));
    let done = client.run("disconnect", &["--yes", "--file", file]);
    assert_eq!(done, ("restored".to_owned(), 0));
}

#[test]
fn a_backup_is_its_owners_and_is_checked() {
    let client = Client::cursor("{\"secret\": 1}");
    client.does("connect", "connected");
    let folder = client.place.path("state/tagout/clients");
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    assert_eq!(files.len(), 2, "{files:?}");
    for file in &files {
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    fs::write(&files[0], "{\"evil\": true}").unwrap();
    let connected = client.text();
    assert_eq!(client.run("disconnect", &["--yes"]), ("client-backup".to_owned(), 1));
    assert_eq!(client.text(), connected);
}

#[test]
fn clients_are_listed() {
    let client = Client::cursor("{}");
    client.does("connect", "connected");
    client.place.write(&client.place.path("home/.gemini/settings.json"), "{");
    let listed = each(&client.place.done(&["--json", "client", "list"]));
    let standings: Vec<_> = listed
        .iter()
        .map(|row| {
            format!("{}: {}", row["name"].as_str().unwrap(), row["standing"].as_str().unwrap())
        })
        .collect();
    assert_snapshot!("listed", standings.join("\n"));
    assert_eq!(client.place.done(&["client", "list"]).lines().count(), 8);
}
