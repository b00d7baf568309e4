//! The fuzz target's corpus, through the same checks.
use std::{fs, path::Path};

#[path = "../../../../fuzz/checks/markdown.rs"]
mod markdown;

fn corpus() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/markdown");
    let files = fs::read_dir(folder).unwrap();
    files.map(|file| fs::read(file.unwrap().path()).unwrap()).collect()
}

#[test]
fn texts_of_the_corpus_are_shown_the_same_however_they_are_cut() {
    let corpus = corpus();
    assert!(corpus.len() >= 8);
    for bytes in corpus {
        markdown::check(&bytes);
    }
}

/// What the fuzzer does, a little: bytes changed, doubled and left out, the same ones in each run.
#[test]
fn texts_with_broken_bytes_are_too() {
    let mut drawn: u64 = 1;
    let mut draw = |below: usize| {
        drawn =
            drawn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(drawn >> 33).unwrap() % below
    };
    for bytes in corpus() {
        for _ in 0..40 {
            let mut broken = bytes.clone();
            for _ in 0..=draw(6) {
                let at = draw(broken.len() - 1);
                let swapped = b"\n*_`[]()|->#\x1b\\ "[draw(15)];
                match draw(4) {
                    0 => broken[at] = swapped,
                    1 => broken.insert(at, swapped),
                    2 if broken.len() > 8 => drop(broken.remove(at)),
                    _ => broken.extend_from_within(at..),
                }
                broken.truncate(4_000);
            }
            markdown::check(&broken);
        }
    }
}
