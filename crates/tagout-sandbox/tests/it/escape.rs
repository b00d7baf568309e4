//! A hostile program gets nowhere: the short form of `cargo xtask escape`, with every layer and as
//! whoever runs the tests.
use std::process::Command;

use tagout_sandbox::{Jailer, survey};

const ESCAPEE: &str = env!("CARGO_BIN_EXE_escapee");

#[test]
fn no_attempt_succeeds_with_every_layer() {
    let missing = survey(&Jailer { binary: ESCAPEE.into() }).unwrap().missing();
    if !missing.is_empty() {
        println!("skipped: this machine lacks {missing:?}; `tagout doctor` says what would help");
        return;
    }
    #[expect(clippy::disallowed_methods, reason = "the suite starts everything itself")]
    let out = Command::new(ESCAPEE).args(["suite", "--short"]).output().unwrap();
    let said = String::from_utf8_lossy(&out.stdout);
    let failed: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("\"problem\"") || line.contains("{\"failed\""))
        .collect();
    assert!(out.status.success() && failed.is_empty(), "{failed:#?}");
    assert!(said.lines().count() > 100, "{said}");
}
