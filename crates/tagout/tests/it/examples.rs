//! The worked examples: their rules hold against their lockfiles, and decide as their cases say.
use std::{fs, path::PathBuf};

use crate::place::Place;

#[test]
fn examples_do_what_they_say() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let place = Place::new();
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if !path.is_dir() {
            continue;
        }
        let file = |name: &str| path.join(name).to_str().unwrap().to_owned();
        let (config, cases) = (file("tagout.toml"), file("cases.toml"));
        place.done(&["--config", &config, "policy", "check"]);
        let said = place.done(&["--config", &config, "policy", "test", &cases]);
        assert!(said.contains("cases passed") && said.lines().count() > 10, "{said}");
        names.push(path.file_name().unwrap().to_string_lossy().into_owned());
    }
    names.sort();
    assert_eq!(names, ["control-room", "laptop", "team"]);
}
