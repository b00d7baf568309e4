//! The fuzz targets' corpora, through the same checks.
use std::path::Path;

use tagout_wire::{
    header_value::{decode, encode},
    http::{Access, HeaderValue},
};

use crate::sse::decoded;

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
}
