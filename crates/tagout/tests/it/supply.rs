//! What a server's program is, before it is added and whenever it is started.
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha512};
use tagout_gateway::lockfile::signature::SigningKeyFile;
use tagout_proto::Secret;
use tagout_testkit::pty::Pty;

use crate::{
    place::{LIMIT, Place, Ran, finish, one},
    terminal::seat,
};

/// Stands in for npm: it knows one package, and writes down how it was called.
const NPM: &str = r#"#!/bin/sh
here=$(dirname "$0")
printf '%s\n' "$*" >>"$here/log"
env | sort >"$here/env"
case "$1 $3" in
"config registry") echo https://registry.example/ ;;
"view version") echo '"1.2.3"' ;;
"view dist") cat "$here/dist.json" ;;
"install --ignore-scripts") cp "$here/lock.json" package-lock.json ;;
"ci --no-audit")
  mkdir -p node_modules/thing "$npm_config_cache/_cacache/content-v2/sha512/@FOLDER@"
  cp "$here/index.js" node_modules/thing/
  echo '{"name":"thing","version":"1.2.3","bin":"index.js"}' >node_modules/thing/package.json
  cp "$here/tarball" "$npm_config_cache/_cacache/content-v2/sha512/@FOLDER@/@FILE@" ;;
*) echo "what is $*?" >&2; exit 1 ;;
esac
"#;

/// A machine with nothing but these tools.
struct Machine {
    place: Place,
    tools: PathBuf,
}

impl Machine {
    fn new() -> Self {
        let place = Place::new();
        let tools = place.path("tools");
        let machine = Self { place, tools };
        let digest = hex::encode(Sha512::digest(b"tarball"));
        let (first, rest) = digest.split_at(2);
        let (second, rest) = rest.split_at(2);
        let npm = NPM.replace("@FOLDER@", &format!("{first}/{second}"));
        machine.tool("npm", &npm.replace("@FILE@", rest));
        machine.tool("node", "#!/bin/sh\nexit 1\n");
        machine.file("tarball", "tarball");
        machine.file("index.js", "#!/usr/bin/env node\n");
        machine.file("dist.json", "{}");
        machine.lock(&format!("sha512-{}", STANDARD.encode(Sha512::digest(b"tarball"))));
        machine
    }

    fn lock(&self, integrity: &str) {
        let resolved = "https://registry.example/thing/-/thing-1.2.3.tgz";
        let lock = json!({"lockfileVersion": 3, "packages": {"": {}, "node_modules/thing": {
            "version": "1.2.3", "resolved": resolved, "integrity": integrity,
        }}});
        self.file("lock.json", &lock.to_string());
    }

    fn file(&self, name: &str, text: &str) {
        self.place.write(&self.tools.join(name), text);
    }

    fn tool(&self, name: &str, script: &str) {
        self.file(name, script);
        fs::set_permissions(self.tools.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn run(&self, args: &[&str]) -> Ran {
        let mut command = self.place.command(args);
        command.env("PATH", format!("{}:/usr/bin:/bin", self.tools.display()));
        command
            .env("NPM_TOKEN", "npm-token")
            .env("npm_config_registry", "https://u:pw@registry.example/")
            .env("https_proxy", "u:proxy-pw@proxy.example:3128");
        finish(command)
    }

    fn log(&self) -> String {
        String::from_utf8(fs::read(self.tools.join("log")).unwrap_or_default()).unwrap()
    }

    fn config(&self) -> Option<String> {
        fs::read(self.place.config_file()).ok().map(|text| String::from_utf8(text).unwrap())
    }

    fn packages(&self) -> PathBuf {
        self.place.path("data/tagout/packages")
    }
}

fn code(ran: &Ran) -> Value {
    one(ran.stdout.lines().last().unwrap())["error"]["code"].clone()
}

const THING: [&str; 8] = ["--json", "add", "s", "--yes", "--", "npx", "-y", "thing@1.2.3"];

#[test]
fn without_a_terminal_nothing_is_added_and_nothing_fetched() {
    let machine = Machine::new();
    for command in [&["/bin/cat"][..], &["npx", "-y", "thing@1.2.3"]] {
        let ran = machine.run(&[&["add", "s", "--"], command].concat());
        assert_eq!(ran.code, 4, "{ran:?}");
        assert!(ran.stderr.contains("confirmation-unavailable"), "{ran:?}");
        assert_eq!((machine.log().as_str(), machine.config()), ("", None));
    }
}

#[test]
fn a_pinned_package_is_installed_and_what_is_installed_is_started() {
    let machine = Machine::new();
    let ran = machine.run(&THING);
    assert_eq!(ran.code, 0, "{ran:?}");
    let said = one(&ran.stdout);
    let command: Vec<_> =
        said["command"].as_array().unwrap().iter().map(|w| w.as_str().unwrap()).collect();
    assert_eq!(command[0], machine.tools.join("node").to_str().unwrap());
    assert!(Path::new(command[1]).starts_with(machine.packages().join("npm/thing")), "{command:?}");
    assert!(machine.config().unwrap().contains(command[1]));
    assert_eq!(said["attested"], "none");
    for shown in ["given      npx -y thing@1.2.3", "no provenance", "sha256:", "reaches    nothing"]
    {
        assert!(ran.stderr.contains(shown), "{shown}: {}", ran.stderr);
    }
    let log = machine.log();
    assert!(
        log.lines()
            .filter(|l| !l.starts_with("view") && !l.starts_with("config"))
            .all(|l| l.contains("--ignore-scripts")),
        "{log}"
    );
    let env = String::from_utf8(fs::read(machine.tools.join("env")).unwrap()).unwrap();
    let home = machine.place.path("home");
    for secret in ["npm-token", "u:pw@", "proxy-pw", &format!("HOME={}\n", home.display())] {
        assert!(!env.contains(secret), "{secret}: {env}");
    }
    assert_eq!(fs::read_dir(machine.packages()).unwrap().count(), 1);
}

#[test]
fn what_a_person_said_no_to_is_gone() {
    for (typed, status, left) in [("no\n", 3, 0), ("\n", 3, 0), ("yes\n", 0, 1)] {
        let machine = Machine::new();
        let mut seat =
            seat(&machine.place, &["--json", "add", "s", "--", "npx", "-y", "thing@1.2.3"]);
        let path = format!("{}:/usr/bin:/bin", machine.tools.display());
        seat.env.insert("PATH".into(), path.into());
        let mut pty = Pty::spawn(&seat).unwrap();
        pty.expect("to go ahead: ", LIMIT).unwrap();
        // It is there while it is being looked at.
        assert_eq!(fs::read_dir(machine.packages()).unwrap().count(), 1);
        pty.send(typed).unwrap();
        assert_eq!(pty.wait(LIMIT).unwrap().code(), Some(status), "{typed}");
        assert_eq!(fs::read_dir(machine.packages()).unwrap().count(), left, "{typed}");
        assert_eq!(machine.config().is_some(), left == 1, "{typed}");
    }
}

#[test]
fn a_file_of_the_store_that_was_changed_is_not_run() {
    let machine = Machine::new();
    let said = one(&machine.run(&THING).stdout);
    let script = PathBuf::from(said["command"][1].as_str().unwrap());
    let listed = || machine.run(&["tools", "ls"]).stderr;
    assert!(!listed().contains("server-changed"));
    let other = script.with_file_name("other.js");
    fs::write(&other, "").unwrap();
    assert!(listed().contains("server-changed"));
    fs::remove_file(&other).unwrap();
    assert!(!listed().contains("server-changed"));
    fs::write(&script, "#!/usr/bin/env node\nevil()\n").unwrap();
    assert!(listed().contains("server-changed"));
}

#[test]
fn a_package_that_has_lost_its_list_is_not_run() {
    let machine = Machine::new();
    let said = one(&machine.run(&THING).stdout);
    let script = PathBuf::from(said["command"][1].as_str().unwrap());
    let folder = script.ancestors().nth(3).unwrap();
    fs::remove_file(folder.join("tagout.list")).unwrap();
    fs::write(&script, "#!/usr/bin/env node\nevil()\n").unwrap();
    // Nor where the lockfile is gone, too.
    drop(fs::remove_file(machine.place.config_file().with_extension("lock")));
    let said = machine.run(&["tools", "ls"]).stderr;
    assert!(said.contains("server-changed"), "{said}");
}

#[test]
fn whether_it_is_attested_may_be_unknown() {
    let machine = Machine::new();
    machine.file("dist.json", "<html>");
    let ran = machine.run(&THING);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(one(&ran.stdout)["attested"], "unknown");
    assert!(ran.stderr.contains("could not be found out"), "{ran:?}");
    assert!(!ran.stderr.contains("no provenance"), "{ran:?}");
}

#[test]
fn what_is_not_as_its_lock_says_is_not_added() {
    let machine = Machine::new();
    machine.file("tarball", "another");
    let ran = machine.run(&THING);
    assert_eq!((ran.code, code(&ran)), (3, json!("supply-integrity")), "{ran:?}");
    machine.file("tarball", "tarball");
    machine.lock("sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=");
    let ran = machine.run(&THING);
    assert_eq!((ran.code, code(&ran)), (3, json!("supply-integrity")), "{ran:?}");
    assert_eq!(machine.config(), None);
    assert_eq!(fs::read_dir(machine.packages()).unwrap().count(), 0);
}

#[test]
fn a_command_without_a_version_is_refused_with_the_line_that_has_one() {
    let machine = Machine::new();
    let ran = machine.run(&["add", "s", "--yes", "--", "npx", "-y", "thing", "two words"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.stderr.contains("[supply-unpinned]"), "{ran:?}");
    assert!(ran.stderr.contains("tagout add --yes s -- npx -y thing@1.2.3 'two words'"), "{ran:?}");
    // Where nobody can be asked for it.
    fs::remove_file(machine.tools.join("npm")).unwrap();
    machine.tool("npm", "#!/bin/sh\nexit 1\n");
    let ran = machine.run(&["add", "s", "--yes", "--", "npx", "-y", "thing"]);
    assert!(ran.stderr.contains("tagout add --yes s -- npx -y thing@VERSION"), "{ran:?}");
    let ran = machine.run(&["--json", "add", "s", "--yes", "--", "bash", "-c", "npx thing"]);
    assert_eq!((ran.code, code(&ran)), (3, json!("supply-launcher")));
    assert_eq!(machine.config(), None);
}

#[test]
fn what_fetches_is_not_started() {
    let machine = Machine::new();
    let mark = machine.place.path("server/started");
    let started = format!("#!/bin/sh\necho started >>{}\n", mark.display());
    std::os::unix::fs::symlink("npx", machine.tools.join("innocent")).unwrap();
    for tool in ["npx", "uvx", "pip", "server"] {
        machine.tool(tool, &started);
    }
    machine.place.write(&machine.place.path("server/there"), "");
    // Not isolated, so that a start would be seen.
    let listed = |command: &str| {
        let entry = format!("[server.s]\ncommand = {command}\nisolation = \"none\"\n");
        machine.place.configure(&entry);
        machine.run(&["tools", "ls"]).stderr
    };
    for (command, code) in [
        (r#"["npx", "-y", "thing"]"#, "supply-unpinned"),
        (r#"["uvx", "thing"]"#, "supply-unpinned"),
        (r#"["npx", "-y", "thing@1.2.3"]"#, "supply-not-installed"),
        (r#"["innocent", "-y", "thing"]"#, "supply-unpinned"),
        (r#"["pip", "install", "thing"]"#, "supply-launcher"),
        (r#"["sh", "-c", "npx thing"]"#, "supply-launcher"),
    ] {
        let said = listed(command);
        assert!(said.contains(&format!("[{code}]")), "{command}: {said}");
        assert!(!mark.exists(), "{command}");
    }
    // What fetches nothing leaves its mark.
    let said = listed(r#"["server"]"#);
    assert!(mark.exists(), "{said}");
}

#[test]
fn another_programs_file_proposes_and_nothing_of_it_is_fetched() {
    let machine = Machine::new();
    let file = machine.place.path(".mcp.json");
    let servers = json!({"mcpServers": {
        "one": {"command": "npx", "args": ["-y", "thing"]},
        "two": {"command": "npx", "args": ["-y", "thing@1.2.3", "/data"]},
        "three": {"command": "/usr/bin/server"},
    }});
    machine.place.write(&file, servers.to_string());
    let ran = machine.run(&["--json", "import", file.to_str().unwrap(), "--yes"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let said = one(&ran.stdout);
    assert_eq!(said["added"].as_array().unwrap().len(), 1);
    let why = |n: usize| said["left_out"][n]["why"].as_str().unwrap().to_owned();
    assert!(why(0).contains("supply-unpinned"), "{}", why(0));
    assert!(why(1).contains("tagout add two -- npx -y thing@1.2.3 /data"), "{}", why(1));
    assert_eq!(machine.log(), "");
}

/// A key, and the signature of a text by it.
fn signer() -> (String, impl Fn(&str) -> String) {
    let passphrase = || Secret::new("correct horse battery".to_owned());
    let (key, public) = SigningKeyFile::generate(&passphrase()).unwrap();
    let sign = move |text: &str| {
        let key = SigningKeyFile::parse(&key).unwrap();
        key.sign(&passphrase(), text.as_bytes(), "release 1").unwrap().0
    };
    (public.to_string(), sign)
}

/// Adds a command whose signature is demanded; its status and code, and what was said.
fn add_signed(place: &Place, key: &str, command: &[&str]) -> (i32, Value, String) {
    drop(fs::remove_file(place.config_file()));
    let ran =
        place.run(&[&["--json", "add", "s", "--yes", "--minisign", key, "--"], command].concat());
    assert_eq!(ran.code == 0, place.config_file().exists(), "{ran:?}");
    (ran.code, code(&ran), format!("{ran:?}"))
}

const BAD: &str = "supply-signature";

#[test]
fn a_signature_that_is_demanded_has_to_hold() {
    let (place, (key, sign)) = (Place::new(), signer());
    let program = place.path("server");
    let text = "#!/bin/sh\n";
    place.write(&program, text);
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let add = |key: &str| add_signed(&place, key, &[program.to_str().unwrap()]);
    let refused = |key: &str| {
        let (status, code, said) = add(key);
        assert_eq!((status, code), (3, json!(BAD)), "{said}");
    };
    refused(&key);
    place.write(
        &place.path("server.minisig"),
        "untrusted comment: x\nRUQf\ntrusted comment: y\nz\n",
    );
    refused(&key);
    place.write(&place.path("server.minisig"), sign(text));
    let (status, _, said) = add(&key);
    assert!(status == 0 && said.contains("release 1"), "{said}");
    // By another key, of another file.
    refused("RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3");
    place.write(&program, "#!/bin/sh\n#\n");
    refused(&key);
    assert_eq!(add("no key").0, 2);
}

#[test]
fn with_an_interpreter_what_it_runs_has_to_be_signed() {
    let (place, (key, sign)) = (Place::new(), signer());
    let file = |name: &str, text: &str| {
        let path = place.path(name);
        place.write(&path, text);
        path.to_str().unwrap().to_owned()
    };
    let (good, evil, data) =
        (file("good.py", "1\n"), file("evil.py", "2\n"), file("data.txt", "3\n"));
    file("good.py.minisig", &sign("1\n"));
    let add = |words: &[&str]| add_signed(&place, &key, &[&["/usr/bin/python3"], words].concat());
    for words in [&[good.as_str()][..], &[&good, &data, "--flag"]] {
        let (status, _, said) = add(words);
        assert_eq!(status, 0, "{words:?}: {said}");
    }
    for words in [
        &[evil.as_str()][..],
        &["-c", "print(1)", &good],
        &["-m", "http.server", &good],
        &["-i", &good],
        &[&good, &evil],
        &[&evil, &good],
        &[&data, &good],
        &["--check-hash-based-pycs", &good, &evil],
        &[],
    ] {
        let (status, _, said) = add(words);
        assert_ne!(status, 0, "{words:?}: {said}");
    }
    let (status, code, said) = add(&[&good, &evil]);
    assert_eq!((status, code), (3, json!(BAD)), "{said}");
    file("good.py", "changed\n");
    let (status, code, said) = add(&[&good]);
    assert_eq!((status, code), (3, json!(BAD)), "{said}");
}

#[test]
fn what_others_may_write_to_is_said() {
    let place = Place::new();
    let program = place.path("open/server");
    place.write(&program, "#!/bin/sh\n");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o777)).unwrap();
    let ran =
        place.run(&["add", "s", "--yes", "--", program.to_str().unwrap(), "a b", "\u{202e}x", ""]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stderr.contains("WARNING: everybody may write to"), "{ran:?}");
    assert!(ran.stderr.contains(r#""a b" "\u{202e}x" """#), "{ran:?}");
}
