//! Where secrets stand while they are used.
use std::{fs, path::Path};

use super::shell::{TEXT, does, entry};
use crate::place::Place;

/// Drawn by nobody else.
const VALUE: &str = "correct-horse-4815162342";

/// Every file below `folder` that holds the value.
fn holding(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            holding(&path, found);
        } else if fs::read(&path)
            .is_ok_and(|text| text.windows(VALUE.len()).any(|part| part == VALUE.as_bytes()))
        {
            found.push(path.display().to_string());
        }
    }
}

/// ToolHive wrote secrets, with the rest of what it starts a server with, into a file that stayed.
#[test]
fn cve_2025_47274_a_servers_secret_stands_in_no_file() {
    let place = Place::new();
    place.write(&place.path("server/server.sh"), TEXT);
    let mut set = place.command(&["secret", "set", "token", "--stdin"]);
    set.stdin(std::process::Stdio::piped());
    let mut set = set.spawn().unwrap();
    {
        use std::io::Write as _;
        set.stdin.take().unwrap().write_all(VALUE.as_bytes()).unwrap();
    }
    assert!(set.wait().unwrap().success());
    entry(&place, "m", "env = { TOKEN = \"secret://token\" }\n");
    place.pin(&["m"]);
    // It has it,
    let said = does(&place, &format!("test $TOKEN = {} && echo has it", VALUE.replace('-', "'-'")));
    assert!(said.contains("has it"), "{said}");
    // and nobody is told of it, nor does it stand anywhere, on a command line neither.
    let said = does(&place, "echo $TOKEN; cat /proc/*/cmdline");
    assert!(!said.contains(VALUE), "{said}");
    let mut found = Vec::new();
    holding(place.root(), &mut found);
    assert_eq!(found, Vec::<String>::new());
    let ran = place.run(&["--json", "list"]);
    assert!(!format!("{ran:?}").contains(VALUE), "{ran:?}");
    place.done(&["audit", "verify"]);
}
