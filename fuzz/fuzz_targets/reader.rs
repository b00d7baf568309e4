//! The strict reader over arbitrary bytes. Its corpus also runs in `tagout-proto`'s tests.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tagout_proto::{Document, Frame, Limits};

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits::default();
    if let Ok(document) = Document::read(bytes, limits) {
        let theirs: Result<Value, _> = serde_json::from_slice(bytes);
        if let (Ok(ours), Ok(theirs)) = (document.root().to_tree(), theirs) {
            assert_eq!(without_negative_zero(ours), without_negative_zero(theirs));
        }
        let canonical = document.root().canonical();
        let again = Document::read(canonical.as_bytes(), limits).expect("canonical form is JSON");
        assert_eq!(again.root().canonical(), canonical);
    }
    if let Ok(frame) = Frame::read(bytes, limits) {
        let _message = frame.message();
    }
});

/// The other reader makes `-0` a float, ours an integer: the same number, and the bytes that
/// travel on are those that were written.
fn without_negative_zero(value: Value) -> Value {
    match value {
        Value::Number(number) if number.as_f64() == Some(0.0) && number.is_f64() => {
            if number.to_string().starts_with('-') { 0.into() } else { Value::Number(number) }
        }
        Value::Array(elements) => elements.into_iter().map(without_negative_zero).collect(),
        Value::Object(members) => {
            members.into_iter().map(|(key, value)| (key, without_negative_zero(value))).collect()
        }
        other => other,
    }
}
