//! The fuzz target's corpus, through the same checks.
use std::path::Path;

use tagout_proto::{Document, Frame, Limits};

/// What must hold for any bytes; the fuzz target asserts the same.
#[expect(clippy::unwrap_used, reason = "a helper of tests")]
fn holds(bytes: &[u8]) {
    let limits = Limits::default();
    if let Ok(document) = Document::read(bytes, limits) {
        // What is accepted, a lenient parser reads too, and to the same value.
        let ours = document.root().to_tree();
        let theirs: Result<serde_json::Value, _> = serde_json::from_slice(bytes);
        if let (Ok(ours), Ok(theirs)) = (ours, theirs) {
            assert_eq!(ours, theirs);
        }
        let canonical = document.root().canonical();
        let again = Document::read(canonical.as_bytes(), limits).unwrap();
        assert_eq!(again.root().canonical(), canonical);
    }
    if let Ok(frame) = Frame::read(bytes, limits) {
        let _message = frame.message();
    }
}

#[test]
fn the_corpus_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/reader");
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        holds(&std::fs::read(entry.unwrap().path()).unwrap());
        files += 1;
    }
    assert!(files >= 20, "only {files} files in the corpus");
}
