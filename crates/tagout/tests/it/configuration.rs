//! Configuration, policies and lockfiles: what is wrong is said with its place, and what is right
//! is summed up. What is wrong stands in `bad/`, a file each.
use std::{fs, path::Path};

use insta::assert_snapshot;

use crate::{
    place::{Place, one},
    redacted,
};

/// Puts a bad file where its kind belongs.
fn place_with(file: &Path) -> Place {
    let place = Place::new();
    let folder = place.path("config/tagout");
    let (text, name) = (fs::read(file).unwrap(), file.file_name().unwrap());
    match file.extension().and_then(|extension| extension.to_str()).unwrap() {
        "toml" => place.write(&place.config_file(), text),
        "lock" => place.write(&place.lockfile(), text),
        "cedar" => {
            place.configure("");
            place.write(&folder.join("policies").join(name), text);
        }
        other => panic!("what is .{other}?"),
    }
    place
}

#[test]
fn what_is_wrong_is_said_with_its_place_and_what_was_meant() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/bad");
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.collect();
    files.sort();
    assert!(files.len() > 30);
    for file in files {
        let place = place_with(&file);
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        let ran = place.run(&["check"]);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{name}: {ran:?}");
        assert_snapshot!(name.clone(), redacted::text(&place, &ran.stderr));

        let code = match name.split('.').next_back().unwrap() {
            "toml" => "config-invalid",
            "lock" => "lockfile-invalid",
            _ => "policy-invalid",
        };
        let ran = place.run(&["--json", "check"]);
        assert_eq!((ran.code, ran.stderr.as_str()), (2, ""), "{name}: {ran:?}");
        assert_eq!(one(&ran.stdout)["error"]["code"], code, "{name}");
        // Nothing else works on it either, and nothing is written.
        let ran = place.run(&["tools", "call", "grid__predict_outage_risk", "equipment_id=A7"]);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{name}: {ran:?}");
        assert!(!place.path("state").exists(), "{name}");
    }
}

const GOOD: &str = r#"
profile = "strict"
policies = "rules"

[groups]
ann = ["operators", "night-shift"]

[limits]
frame_bytes = 65536
result_bytes = 65536
in_flight = 4
approval_s = 10

[server.grid]
builtin = "grid"
timeout_s = 30

[server.files]
command = ["/usr/bin/server", "/data"]
env = { "LANG" = "C" }
pass_env = ["PATH"]
cwd = "data"
timeout_s = 30
start_timeout_s = 30
undeclared_arguments = "allow"
"#;

#[test]
fn a_good_one_is_summed_up() {
    let place = Place::new();
    place.configure(GOOD);
    let rules = place.path("config/tagout/rules");
    place.write(&rules.join("b.cedar"), "@id(\"b\") forbid (principal, action, resource);");
    place.write(&rules.join("a.cedar"), "@id(\"a\") permit (principal, action, resource);");
    place.write(&rules.join("README.md"), "not a rule");
    assert_snapshot!("good", redacted::text(&place, &place.done(&["check"])));
    let checked = one(&place.done(&["--json", "check"]));
    assert_snapshot!("good_json", redacted::shown(&checked));
    assert_eq!(checked["rules"][0], "a");
    assert_eq!(checked["unpinned"], serde_json::json!(["files"]));
    assert!(!place.path("state").exists(), "checking starts and writes nothing");
    assert_snapshot!("list", redacted::text(&place, &place.done(&["list"])));
    assert_snapshot!("list_json", redacted::text(&place, &place.done(&["--json", "list"])));
}

const FORBID: &str = "@id(\"mine\") forbid (principal, action, resource);";

fn rules(place: &Place) -> String {
    one(&place.done(&["--json", "check"]))["rules"].to_string()
}

#[test]
fn rules_hold_without_a_configuration_file_too() {
    let place = Place::new();
    place.write(&place.path("config/tagout/policies/mine.cedar"), FORBID);
    assert!(rules(&place).contains("mine"), "{}", rules(&place));
    let call = ["tools", "call", "grid__predict_outage_risk", "equipment_id=A7"];
    assert_eq!(place.run(&call).code, 3);
}

#[test]
fn rules_that_cannot_be_read_are_not_left_out() {
    let place = Place::new();
    place.configure("policies = \"rulez\"\n");
    place.write(&place.path("config/tagout/rules/mine.cedar"), FORBID);
    let check = |place: &Place| {
        let ran = place.run(&["--json", "check"]);
        (ran.code, one(&ran.stdout)["error"]["code"].clone())
    };
    assert_eq!(check(&place), (1, "file-unusable".into()), "there is no folder `rulez`");
    place.configure("policies = \"rules\"\n");
    assert!(rules(&place).contains("mine"));
    let link = place.path("config/tagout/rules/other.cedar");
    std::os::unix::fs::symlink("nowhere", &link).unwrap();
    assert_eq!(check(&place), (1, "file-unusable".into()), "a link that leads nowhere");
    fs::remove_file(&link).unwrap();
    fs::create_dir(&link).unwrap();
    assert_eq!(check(&place), (1, "file-unusable".into()), "a folder with a rule's name");
}

#[test]
fn secrets_of_the_configuration_are_not_shown() {
    let place = Place::new();
    place.configure(
        "[server.files]\ncommand = [\"/no/such/server\"]\nenv = { TOKEN = \"hunter2hunter2\" }\n",
    );
    for args in [&["check"][..], &["list"], &["tools", "ls"], &["-vvv", "tools", "ls"], &["pin"]] {
        for json in [&[][..], &["--json"]] {
            let ran = place.run(&[json, args].concat());
            assert!(!format!("{ran:?}").contains("hunter2"), "{args:?}: {ran:?}");
        }
    }
}

#[test]
fn a_file_that_is_no_text_is_said_to_be_so() {
    let place = Place::new();
    place.write(&place.config_file(), b"profile = \"\xff\"\n");
    let ran = place.run(&["--json", "check"]);
    assert_ne!(ran.code, 0);
    assert_eq!(one(&ran.stdout)["error"]["code"], "file-unusable");
}

/// What stands after the bound must not be dropped in silence: it may be a rule that forbids.
#[test]
fn a_file_that_is_too_large_is_not_read_in_part() {
    let place = Place::new();
    place.configure("");
    let mut rules = "// \n".repeat(4 << 20);
    rules.push_str("@id(\"all\") forbid (principal, action, resource);\n");
    place.write(&place.path("config/tagout/policies/large.cedar"), rules);
    let ran = place.run(&["--json", "check"]);
    assert_ne!(ran.code, 0, "{}", ran.stdout);
    assert_eq!(one(&ran.stdout)["error"]["code"], "file-unusable");
}
