//! The fuzz target's corpus, through the same checks; of each file it is known whether a turn comes
//! of it.
use std::{fs, path::Path};

#[path = "../../../../fuzz/checks/models.rs"]
mod models;

#[test]
fn streams_of_the_corpus_come_to_what_is_known() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/models");
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let mut without: Vec<_> = files
        .filter(|path| !models::check(&fs::read(path).unwrap()))
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    without.sort();
    let expected = [
        "anthropic-messages-broken",
        "gemini-generate-malformed-call",
        "gemini-generate-numbers",
        "ollama-unloaded",
        "openai-chat-bad-arguments",
        "openai-chat-error-inside",
        "openai-responses-failed-inside",
    ];
    assert_eq!(without, expected);
}

/// What the fuzzer does, a little: bytes changed, doubled and left out, the same ones in each run.
#[test]
fn streams_with_broken_bytes_make_no_panic() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/models");
    let mut drawn: u64 = 1;
    let mut draw = |below: usize| {
        drawn =
            drawn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(drawn >> 33).unwrap() % below
    };
    for file in fs::read_dir(folder).unwrap() {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        for _ in 0..100 {
            let mut broken = bytes.clone();
            for _ in 0..=draw(4) {
                let at = draw(broken.len() - 2) + 2;
                let swapped = b"{}[]\",:0\n\\"[draw(10)];
                match draw(4) {
                    0 => broken[at] = swapped,
                    1 => broken.insert(at, swapped),
                    2 => drop(broken.remove(at)),
                    _ => broken.extend_from_within(at..),
                }
            }
            models::check(&broken);
        }
    }
}
