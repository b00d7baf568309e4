//! The fuzz target's corpus, through the same checks.
use std::{fs, path::Path};

#[path = "../../../../fuzz/checks/shape.rs"]
mod shape;

#[test]
fn types_are_what_their_text_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/shape");
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let mut neither: Vec<_> = files
        .filter(|path| !shape::check(&fs::read(path).unwrap()))
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    neither.sort();
    let expected = [
        "deep",
        "list-of-lists",
        "list-of-records",
        "lone-surrogate",
        "not-utf8",
        "open",
        "trailing",
        "twice",
        "unknown",
    ];
    assert_eq!(neither, expected);
}
