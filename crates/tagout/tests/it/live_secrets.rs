//! Secrets of servers, through the real program: kept, given, and not given away.
use std::{fs, io::Write as _, os::unix::fs::PermissionsExt as _, path::Path, process::Stdio};

use serde_json::json;

use crate::place::{Place, Ran, each, ended, reading, tool};

const SECRET: &str = "hunter2-hunter2/x+y";

/// Runs a command that is handed something on its standard input.
fn handed(place: &Place, args: &[&str], input: &str) -> Ran {
    let mut command = place.command(args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let (stdout, stderr) = (reading(stdout), reading(stderr));
    let code = ended(&mut child).unwrap().code().unwrap_or(-1);
    Ran { code, stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
}

fn files(folder: &Path, found: &mut Vec<u8>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.extend(fs::read(&path).unwrap());
        }
    }
}

/// A server that tells its environment to whoever asks, and was given a secret there.
fn telltale() -> Place {
    let place = Place::new();
    place.scripted(
        "s",
        json!({ "tools": [tool("read_environment"), tool("read_back")], "calls": {
            "read_environment": [["environment"]], "read_back": [["echo"]],
        }}),
    );
    let config = fs::read(place.config_file()).unwrap();
    let config = String::from_utf8(config).unwrap();
    place.configure(&format!("{config}env = {{ API_TOKEN = \"secret://s-token\" }}\n"));
    place
}

#[test]
fn a_server_that_tells_its_environment_does_not_tell_its_secret() {
    let place = telltale();
    let set = handed(&place, &["secret", "set", "s-token", "--stdin"], &format!("{SECRET}\n"));
    assert_eq!((set.code, set.stderr.as_str()), (0, ""), "{set:?}");
    assert!(!set.stdout.contains(SECRET) && set.stdout.contains("secret://s-token"), "{set:?}");
    place.pin(&["s"]);
    let told = place.run(&["--json", "tools", "call", "s__read_environment"]);
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.stdout.contains("[secret s-token]"), "{told:?}");
    // Its server has it all the same: without it, nothing would be there to replace.
    let echoed =
        place.run(&["--json", "tools", "call", "s__read_back", &format!("text=a {SECRET} b")]);
    assert!(echoed.stdout.contains("a [secret s-token] b"), "{echoed:?}");
    for ran in [&told, &echoed] {
        assert!(!format!("{ran:?}").contains("hunter2"), "{ran:?}");
    }
    let loud = place.run(&["-vvv", "tools", "call", "s__read_environment"]);
    assert!(!format!("{loud:?}").contains("hunter2"), "{loud:?}");
    let log = String::from_utf8(fs::read(place.audit("log-000001.jsonl")).unwrap()).unwrap();
    assert!(log.contains(r#""event":"secret-caught""#) && log.contains(r#""secrets":1"#), "{log}");
    assert!(log.contains(r#""event":"secret-set""#), "{log}");
    let mut everything = Vec::new();
    files(&place.path("state"), &mut everything);
    files(&place.path("data"), &mut everything);
    files(&place.path("config"), &mut everything);
    assert!(!everything.windows(SECRET.len()).any(|bytes| bytes == SECRET.as_bytes()));
    place.done(&["audit", "verify"]);
}

#[test]
fn secrets_are_listed_without_values_and_forgotten() {
    let place = telltale();
    let listed = each(&place.done(&["--json", "secret", "ls"]));
    assert_eq!(listed.len(), 1);
    assert_eq!((&listed[0]["name"], &listed[0]["set_at"]), (&json!("s-token"), &json!(null)));
    let check = place.done(&["check"]);
    assert!(check.contains("`secret://s-token` is not set"), "{check}");
    assert_eq!(place.run(&["pin"]).code, 1, "a server without its secret is not started");
    for input in [SECRET, "another value"] {
        let set = handed(&place, &["--json", "secret", "set", "s-token", "--stdin"], input);
        let replaced = input != SECRET;
        assert_eq!(each(&set.stdout), [json!({ "set": "s-token", "replaced": replaced })]);
    }
    let listed = place.done(&["secret", "ls"]);
    assert!(listed.contains("server `s`: variable `API_TOKEN`"), "{listed}");
    assert!(!listed.contains("another value"));
    for file in ["data/tagout/secrets.age", "data/tagout/keys/secrets.key"] {
        let mode = fs::metadata(place.path(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    assert!(place.done(&["secret", "rm", "s-token"]).contains("missed from now on"));
    let gone = place.run(&["secret", "rm", "s-token"]);
    assert!(gone.code == 2 && gone.stderr.contains("[secret-unknown]"), "{gone:?}");
}

#[test]
fn what_cannot_be_kept_is_refused_without_a_word_of_it() {
    let place = Place::new();
    let long = "hunter2".repeat(4096);
    for (args, input, code) in [
        (&["secret", "set", "a b", "--stdin"][..], "hunter2", "secret-name"),
        (&["secret", "set", "a", "--stdin"], "", "secret-unusable"),
        (&["secret", "set", "a", "--stdin"], "\n", "secret-unusable"),
        (&["secret", "set", "a", "--stdin"], &long, "secret-unusable"),
        (&["secret", "set", "a", "hunter2"], "", "error: unexpected argument"),
    ] {
        let ran = handed(&place, args, input);
        assert!(ran.code == 2 && ran.stderr.contains(code), "{args:?}: {ran:?}");
        let said = ran.stderr.replace("unexpected argument 'hunter2'", "");
        assert!(!said.contains("hunter2"), "{args:?}: {said}");
    }
    let nobody = place.run(&["secret", "set", "a"]);
    assert!(nobody.code == 4 && nobody.stderr.contains("--stdin"), "{nobody:?}");
    assert!(!place.path("data/tagout/secrets.age").exists());
}
