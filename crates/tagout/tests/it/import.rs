//! `tagout import`: what other programs' files become.
use std::{
    fs,
    path::{Path, PathBuf},
};

use insta::assert_snapshot;
use serde_json::json;

use crate::{
    place::{Place, one},
    redacted,
};

fn fixture(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/imports").join(file)
}

fn config(place: &Place) -> String {
    String::from_utf8(fs::read(place.config_file()).unwrap_or_default()).unwrap()
}

/// What is shown, and what then stands in the configuration.
fn imported(file: &str) -> String {
    let place = Place::new();
    let ran = place.run(&["import", fixture(file).to_str().unwrap(), "--yes"]);
    assert_eq!(ran.code, 0, "{file}: {ran:?}");
    for text in [&ran.stderr, &ran.stdout] {
        let hidden =
            |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{202e}' | '\u{200b}');
        assert!(!text.contains(hidden), "{file}: {text:?}");
    }
    if !ran.stdout.starts_with("nothing") {
        place.done(&["check"]);
        // Shown was what was written.
        let shown = ran.stderr.split("\n\nNot added:").next().unwrap().trim_end();
        assert!(config(&place).trim_end().ends_with(shown), "{file}: {shown}");
    }
    let text = format!("{}\n=====\n{}\n=====\n{}", ran.stderr, ran.stdout, config(&place));
    redacted::text(&place, &text)
}

#[test]
fn files_of_other_programs_are_read() {
    for file in [
        "claude-desktop.json",
        "project.json",
        "vscode.json",
        "codex.toml",
        "goose.yaml",
        "librechat.yaml",
        "zed.json",
        "opencode.jsonc",
        "docker-catalog.yaml",
        "docker-profile.yaml",
        "toolhive.json",
        "toolhive-remote.json",
        "hostile.json",
        "leaving.json",
    ] {
        assert_snapshot!(file.replace('.', "_"), imported(file));
    }
}

#[test]
fn secrets_are_not_copied() {
    let secret = "sk-abcdefghijklmnopqrstuvwxyz0123";
    let place = Place::new();
    let file = place.path("servers.json");
    let text = json!({"mcpServers": {
        "a": {"command": "x", "env": {"A": secret, "PASSWORD": "pa$$word", "DB_DSN": "x y"}},
        "b": {"url": "https://example.com/", "headers": {"X-Key": secret}},
        "c": {"command": "x", "args": ["--key", secret]},
        "d": {"url": format!("https://example.com/?key={secret}")},
    }});
    place.write(&file, text.to_string());
    let ran = place.run(&["import", file.to_str().unwrap(), "--yes"]);
    let all = format!("{ran:?}{}", config(&place));
    for part in [secret, "pa$$word", "x y"] {
        assert!(!all.contains(part), "{all}");
    }
    assert!(all.contains("pass_env"), "{all}");
}

#[test]
fn it_asks_and_starts_nothing() {
    let place = Place::new();
    let started = place.path("started");
    let file = place.path(".mcp.json");
    let args = json!(["-c", format!("touch {}", started.display())]);
    place.write(
        &file,
        json!({"mcpServers": {"a": {"command": "/bin/sh", "args": args}}}).to_string(),
    );
    let file = file.to_str().unwrap();
    let ran = place.run(&["--json", "import", file]);
    assert_eq!(ran.code, 4, "{ran:?}");
    assert_eq!(one(&ran.stdout)["error"]["code"], "confirmation-unavailable");
    assert!(!place.config_file().exists());
    let done = one(&place.run(&["--json", "import", file, "--yes"]).stdout);
    assert_eq!(done["added"], json!([{"name": "a", "from": "a", "notes": []}]));
    place.done(&["list"]);
    place.done(&["check"]);
    assert!(!started.exists());
    assert_eq!(one(&place.done(&["--json", "check"]))["unpinned"], json!(["a"]));
}

#[test]
fn twice_is_once() {
    for file in ["claude-desktop.json", "codex.toml", "goose.yaml"] {
        let place = Place::new();
        let file = fixture(file);
        let args = ["--json", "import", file.to_str().unwrap(), "--yes"];
        assert_eq!(place.run(&args).code, 0);
        let before = config(&place);
        let again = one(&place.run(&args).stdout);
        assert_eq!(again["added"], json!([]), "{again}");
        assert_eq!(config(&place), before);
    }
}

#[test]
fn one_server_may_be_chosen() {
    let place = Place::new();
    let file = fixture("claude-desktop.json");
    let file = file.to_str().unwrap();
    let ran = place.run(&["--json", "import", file, "--only", "off", "--yes"]);
    assert_eq!(one(&ran.stdout)["added"][0]["name"], "off");
    let ran = place.run(&["--json", "import", file, "--only", "nobody", "--yes"]);
    assert_eq!((ran.code, &one(&ran.stdout)["error"]["code"]), (2, &json!("import-missing")));
}

#[test]
fn what_stands_in_the_configuration_stays() {
    let place = Place::new();
    let before = "# mine\nprofile = \"strict\" # why\n\n[server.files]\ncommand=['x']";
    place.configure(before);
    let file = fixture("opencode.jsonc");
    assert_eq!(place.run(&["import", file.to_str().unwrap(), "--yes"]).code, 0);
    assert!(config(&place).starts_with(before), "{}", config(&place));
    place.configure("profil = 1\n");
    let ran = place.run(&["--json", "import", file.to_str().unwrap(), "--yes"]);
    assert_eq!((ran.code, &one(&ran.stdout)["error"]["code"]), (2, &json!("config-invalid")));
    assert_eq!(config(&place), "profil = 1\n");
}

#[test]
fn what_is_no_file_of_servers_is_refused() {
    let many: serde_json::Map<_, _> =
        (0..257).map(|n| (format!("s{n}"), json!({"command": "x"}))).collect();
    let many = json!({ "mcpServers": many }).to_string();
    let deep = format!("{}1{}", "{\"a\":".repeat(5000), "}".repeat(5000));
    let anchors = "a: &a [x,x]\nb: &b [*a,*a]\nextensions: {c: [*b,*b]}\n";
    for (name, text, code) in [
        ("a.json", "", "import-unknown"),
        ("a.json", "{}", "import-unknown"),
        ("a.json", "[1]", "import-unknown"),
        ("a.json", "{\"mcpServers\": 1}", "import-unknown"),
        ("a.json", "{\"mcpServers\": {}, \"mcpServers\": {}}", "import-unreadable"),
        ("a.json", "{", "import-unreadable"),
        ("a.json", deep.as_str(), "import-unreadable"),
        ("a.json", many.as_str(), "import-unknown"),
        ("a.toml", "a = ", "import-unreadable"),
        ("a.yaml", "a: [", "import-unreadable"),
        ("a.yaml", anchors, "import-unreadable"),
        ("a.yaml", "openapi: 3.1.0\npaths: {}\n", "import-unknown"),
    ] {
        let place = Place::new();
        let file = place.path(name);
        place.write(&file, text);
        let ran = place.run(&["--json", "import", file.to_str().unwrap(), "--yes"]);
        assert_eq!(ran.code, 2, "{text:.60}: {ran:?}");
        assert_eq!(one(&ran.stdout)["error"]["code"], code, "{text:.60}");
        assert!(!place.config_file().exists(), "{text:.60}");
    }
    let place = Place::new();
    for file in ["/dev/zero", "/", "nowhere.json"] {
        let ran = place.run(&["--json", "import", file, "--yes"]);
        assert_eq!((ran.code, &one(&ran.stdout)["error"]["code"]), (1, &json!("file-unusable")));
    }
}
