//! The fuzz target's corpus, through the same checks; of each file it is known whether it is
//! arguments too.
use std::{fs, path::Path};

#[path = "../../../../fuzz/checks/assertion.rs"]
mod assertion;

#[test]
fn nothing_passes_that_was_not_signed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/assertion");
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let mut arguments: Vec<_> = files
        .filter(|path| assertion::check(&fs::read(path).unwrap()))
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    arguments.sort();
    let expected = [
        "jwks",
        "jwks-no-list",
        "jwks-one",
        "jwks-rsa",
        "jwks-short",
        "members",
        "nested",
        "numbers",
        "object",
        "order",
        "strings",
    ];
    assert_eq!(arguments, expected);
}
