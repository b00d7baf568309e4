//! What a server can do to the machine, whatever got into it.
use std::{fs, os::unix::fs::symlink};

use super::shell::{does, place};
use crate::place::Place;

/// The contents of what nobody may read.
const PRIVATE: &str = "private-4815162342";

/// Whether these words show it where it may be read: a refusal says something only then.
#[track_caller]
fn is_read(place: &Place, commands: &[&str]) {
    for command in commands {
        let said = does(place, command);
        assert!(said.contains(PRIVATE), "{command}: {said}");
    }
}

#[track_caller]
fn unread(place: &Place, commands: &[&str]) {
    for command in commands {
        let said = does(place, command);
        assert!(!said.contains(PRIVATE), "{command}: {said}");
    }
}

/// The official server for files compared beginnings of paths, so that `/allowed_evil` counted as
/// being in `/allowed`. What a server may read is a mount here.
#[test]
fn cve_2025_53110_a_folder_with_a_like_name_is_not_there() {
    let place = place("[server.m.sandbox]\nread = [\"ROOT/allowed\"]\n");
    place.write(&place.path("allowed_evil/key"), PRIVATE);
    place.write(&place.path("allowed/note"), "open");
    assert!(does(&place, "cat ROOT/allowed/note").starts_with("open"));
    unread(
        &place,
        &[
            "cat ROOT/allowed_evil/key",
            "cat ROOT/allowed/../allowed_evil/key",
            "cat ROOT/allowed*/key",
            "cd ROOT/allowed; cat ../allowed_evil/key",
        ],
    );
}

/// It followed links out of the folder that was allowed.
#[test]
fn cve_2025_53109_no_link_leads_out() {
    let place =
        place("[server.m.sandbox]\nread = [\"ROOT/allowed\"]\nwrite = [\"ROOT/repository\"]\n");
    place.write(&place.path("home/key"), PRIVATE);
    symlink(place.path("home"), place.path("allowed/folder")).unwrap();
    symlink(place.path("home/key"), place.path("allowed/link")).unwrap();
    symlink("../home/key", place.path("allowed/relative")).unwrap();
    // Links within lead where they say.
    place.write(&place.path("allowed/own"), PRIVATE);
    symlink("own", place.path("allowed/inside")).unwrap();
    place.write(&place.path("repository/own"), PRIVATE);
    is_read(
        &place,
        &[
            "cat ROOT/allowed/inside",
            "ln -s ROOT/allowed/own ROOT/repository/i; cat ROOT/repository/i",
            "ln ROOT/repository/own ROOT/repository/j; cat ROOT/repository/j",
            "cd ROOT/repository; ln -sfn own y; cat y",
        ],
    );
    unread(
        &place,
        &[
            "cat ROOT/allowed/link ROOT/allowed/relative ROOT/allowed/folder/key",
            "ln -s ROOT/home/key ROOT/repository/l; cat ROOT/repository/l",
            "ln -s / ROOT/repository/r; cat ROOT/repository/r/ROOT/home/key",
            "ln ROOT/home/key ROOT/repository/h; cat ROOT/repository/h",
            // Turned over while it is being read.
            "cd ROOT/repository; touch a; for i in 1 2 3 4 5 6 7 8 9; do ln -sfn a x & ln -sfn ROOT/home/key x & cat x; done; wait",
        ],
    );
    does(&place, "echo spoilt > ROOT/repository/l");
    assert_eq!(fs::read(place.path("home/key")).unwrap(), PRIVATE.as_bytes());
    does(&place, "echo new > ROOT/repository/own");
    assert_eq!(fs::read(place.path("repository/own")).unwrap(), b"new\n");
}

/// The official server for git made a repository wherever it was told to.
#[test]
fn cve_2025_68143_nothing_is_made_elsewhere() {
    let place = place("[server.m.sandbox]\nwrite = [\"ROOT/repository\"]\n");
    assert!(does(&place, "mkdir ROOT/repository/.git").contains("[0]"));
    for command in ["mkdir -p ROOT/home/.git", "mkdir -p ROOT/allowed/.git", "mkdir /usr/.git"] {
        assert!(!does(&place, command).contains("[0]"), "{command}");
    }
    assert!(!place.path("home/.git").exists() && !place.path("allowed/.git").exists());
}

/// What should have been a name was an option for it, such as one that says where output goes.
#[test]
fn cve_2025_68144_an_option_that_names_a_file_spoils_none() {
    let place = place("[server.m.sandbox]\nwrite = [\"ROOT/repository\"]\n");
    place.write(&place.path("home/.profile"), "mine");
    for command in [
        "sort --output=ROOT/home/.profile /usr/bin/env",
        "sort -o ROOT/home/.profile ROOT/server/server.sh",
        "cp --target-directory=ROOT/home /usr/bin/env",
    ] {
        assert!(!does(&place, command).contains("[0]"), "{command}");
    }
    assert_eq!(fs::read(place.path("home/.profile")).unwrap(), b"mine");
    assert!(!place.path("home/env").exists());
}

/// It did not look whether a path was in the repository that it had been given.
#[test]
fn cve_2025_68145_other_repositories_are_not_there() {
    let place = place("[server.m.sandbox]\nread = [\"ROOT/repository\"]\n");
    place.write(&place.path("allowed/.git/config"), PRIVATE);
    place.write(&place.path("repository/.git/config"), PRIVATE);
    is_read(&place, &["cat ROOT/repository/.git/config", "cd ROOT/repository; cat .git/config"]);
    unread(
        &place,
        &["cat ROOT/allowed/.git/config", "cd ROOT/repository; cat ../allowed/.git/config"],
    );
}

/// It put files from outside into a commit, which could then be read.
#[test]
fn cve_2026_27735_files_from_outside_cannot_be_added() {
    let place = place("[server.m.sandbox]\nwrite = [\"ROOT/repository\"]\n");
    place.write(&place.path("home/.ssh/id_ed25519"), PRIVATE);
    unread(
        &place,
        &[
            "cp ROOT/home/.ssh/id_ed25519 ROOT/repository/k; cat ROOT/repository/k",
            "cd ROOT/repository; cp ../home/.ssh/id_ed25519 .; cat id_ed25519",
            "cat /proc/1/roo?/ROOT/home/.ssh/id_ed25519 /proc/self/roo?/ROOT/home/.ssh/id_ed25519",
        ],
    );
    assert!(
        !place.path("repository/k").exists()
            || fs::read(place.path("repository/k")).unwrap().is_empty()
    );
}

/// A download of a server for Atlassian's was written where the next program would run it.
#[test]
fn cve_2026_27825_what_is_written_is_run_by_nobody() {
    let place = place("[server.m.sandbox]\nwrite = [\"ROOT/repository\"]\n");
    let paths = [
        "home/.bashrc",
        "home/.ssh/authorized_keys",
        "config/tagout/tagout.toml",
        "config/tagout/policies/own.cedar",
        "state/tagout/x",
        "server/server.sh",
    ];
    for path in paths {
        let before = fs::read(place.path(path)).ok();
        does(&place, &format!("mkdir -p $(dirname ROOT/{path}); echo touch > ROOT/{path}"));
        does(
            &place,
            &format!("cp /usr/bin/env ROOT/{path}; mv /tmp/x ROOT/{path}; rm -f ROOT/{path}"),
        );
        assert_eq!(fs::read(place.path(path)).ok(), before, "{path}");
    }
    // The same words change what may be written.
    place.write(&place.path("repository/own"), "before");
    does(&place, "mkdir -p $(dirname ROOT/repository/own); echo touch > ROOT/repository/own");
    assert_eq!(fs::read(place.path("repository/own")).unwrap(), b"touch\n");
    // Nor is it run where it may be written, and it is where it may not.
    assert!(does(&place, "/usr/bin/env true").contains("[0]"));
    let said = does(
        &place,
        "cp /usr/bin/env ROOT/repository/e; chmod 755 ROOT/repository/e; ROOT/repository/e",
    );
    assert!(said.contains("[126]"), "{said}");
}

/// A server for Figma put an argument into a shell's command line. What such a shell then is: nobody,
/// nowhere.
#[test]
fn cve_2025_53967_an_injected_command_reaches_nothing() {
    let place = place("env = { TOKEN = \"its-own\" }\n");
    place.write(&place.path("home/.ssh/id_ed25519"), PRIVATE);
    // It sees its own files, its own variables, and itself.
    place.write(&place.path("server/own"), PRIVATE);
    is_read(&place, &["cat ROOT/server/own"]);
    let said = does(&place, "cat /proc/*/environ");
    assert!(said.contains("its-own"), "{said}");
    unread(&place, &["cat ROOT/home/.ssh/id_ed25519 /etc/shadow", "cat /proc/*/environ"]);
    // Neither the gateway nor anything else that runs is to be seen.
    let said = does(&place, "cat /proc/*/comm");
    assert!(said.contains("bash") && !said.contains("tagout"), "{said}");
    let said = does(&place, "kill -9 1; grep CapEff /proc/self/status");
    assert!(said.contains("CapEff: 0000000000000000"), "{said}");
}
