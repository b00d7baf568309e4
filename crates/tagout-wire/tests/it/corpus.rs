//! The fuzz targets' corpora, through the same checks.
use std::path::Path;

use proptest::prelude::*;
use tagout_wire::{
    header_value::{decode, encode},
    http::{Access, HeaderValue},
};

use crate::sse::decoded;

#[path = "../../../../fuzz/checks/egress.rs"]
mod egress;

/// What must hold for any bytes as an event stream.
fn stream_holds(bytes: &[u8]) {
    const LIMIT: usize = 64;
    let whole = decoded(&[bytes], LIMIT);
    for size in [1, 2, 7] {
        let cut: Vec<_> = bytes.chunks(size).collect();
        assert_eq!(decoded(&cut, LIMIT), whole);
    }
    for event in whole.into_iter().flatten() {
        assert_eq!(decoded(&[&tagout_wire::sse::encode(&event)], LIMIT), [Ok(event)]);
    }
}

/// What must hold for any bytes in a header.
fn header_holds(bytes: &[u8]) {
    if let Ok(value) = HeaderValue::from_bytes(bytes)
        && let Ok(text) = decode(&value)
    {
        assert_eq!(decode(&encode(&text)), Ok(text));
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        assert_eq!(decode(&encode(text)).as_deref(), Ok(text));
        // A host is never an origin, nor the other way round.
        let host = Access::new().with_host(text).is_ok();
        assert!(!host || Access::new().with_origin(text).is_err());
        assert_eq!(host, Access::new().with_origin(&format!("https://{text}")).is_ok());
    }
}

fn holds(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        check(&std::fs::read(entry.unwrap().path()).unwrap());
        files += 1;
    }
    assert!((20..=40).contains(&files), "{files} files in the corpus of {target}");
}

#[test]
fn the_corpora_hold() {
    holds("sse", stream_holds);
    holds("headers", header_holds);
    holds("egress", |bytes| {
        egress::check(bytes);
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    /// What is changed a little.
    #[test]
    fn the_corpus_of_the_proxy_holds_when_it_is_changed(
        file in 0usize..29,
        changes in prop::collection::vec((0usize..300, any::<u8>(), 0u8..3), 1..4),
    ) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/egress");
        let mut files: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        let mut bytes = std::fs::read(&files[file % files.len()]).unwrap();
        for (at, to, how) in changes {
            let at = at % bytes.len().max(1);
            match how {
                0 => bytes.insert(at, to),
                1 if !bytes.is_empty() => drop(bytes.remove(at)),
                _ => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = to),
            }
        }
        egress::check(&bytes);
    }
}

/// The name of a file of this corpus says whether it is anything.
#[test]
fn what_is_refused_is_known() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/egress");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let refused = path.file_name().unwrap().to_str().unwrap().starts_with("no-");
        let is_any = egress::check(&std::fs::read(&path).unwrap());
        assert_eq!(is_any, !refused, "{}", path.display());
    }
}
