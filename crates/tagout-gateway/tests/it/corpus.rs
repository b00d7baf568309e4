//! The fuzz targets' corpora, through the same checks.
use std::{fs, path::Path};

#[path = "../../../../fuzz/checks/pipeline.rs"]
mod pipeline;
#[path = "../../../../fuzz/checks/stand_in.rs"]
mod stand_in;
#[path = "../../../../fuzz/checks/state.rs"]
mod state;

/// Runs each file of the corpus, and gives the names of those for which `check` says yes.
fn each(target: &str, check: fn(&[u8]) -> bool) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let (mut files, mut passed) = (0, Vec::new());
    for file in fs::read_dir(&folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if check(&fs::read(path).unwrap()) {
            passed.push(name);
        }
        files += 1;
    }
    assert!((20..=40).contains(&files), "{files} files in the corpus of {target}");
    passed.sort();
    passed
}

#[test]
fn handles_hold() {
    each("state", |bytes| {
        state::check(bytes);
        true
    });
}

#[test]
fn what_is_passed_on_means_the_same_to_others() {
    let passed_on = each("pipeline", pipeline::check);
    // All else is refused, or answered by the gateway itself.
    let expected = [
        "call",
        "call-escaped-method",
        "call-escapes",
        "call-exponent",
        "call-extra-member",
        "call-extra-outside",
        "call-large-id",
        "call-negative-id",
        "call-nested",
        "call-no-arguments",
        "call-number",
        "call-progress",
        "call-progress-number",
        "call-string-id",
        "call-white-space",
        "completion",
        "modern-call",
        "modern-responses",
        "prompt",
        "prompt-number",
        "resource",
    ];
    assert_eq!(passed_on, expected);
}
