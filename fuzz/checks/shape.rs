//! What must hold of the types of arguments: their text means what it says, and any JSON at all has
//! types.
use tagout_policy::Shape;

/// Takes `bytes` as the text of types, and as a schema; says whether they are either.
pub(crate) fn check(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let read = text.parse::<Shape>();
    if let Ok(shape) = &read {
        let written = shape.to_string();
        assert_eq!(written.parse().as_ref(), Ok(shape), "{written}");
        assert!(written.is_ascii(), "{written}");
    }
    let schema = serde_json::from_slice::<serde_json::Value>(bytes);
    if let Ok(schema) = &schema {
        let shape = Shape::of_schema(schema);
        assert!(matches!(shape, Shape::Record(_)), "{shape}");
        let written = shape.to_string();
        // What is too long to be read again is refused where a lockfile is read.
        if written.len() < 1 << 20 {
            assert_eq!(written.parse(), Ok(shape), "{written}");
        }
    }
    read.is_ok() || schema.is_ok()
}
