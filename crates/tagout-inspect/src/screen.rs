//! What servers say, before a client sees it.
use tagout_proto::{Kind, Value, quoted};

use crate::characters::made_visible;

/// `value` with every hidden character of its strings and keys made visible, and how many there
/// were; `None` where there were none and the text can stay as it came.
#[must_use]
pub fn made_safe(value: Value<'_>) -> Option<(String, usize)> {
    // Bytes that are printable ASCII, without escapes but those of quotes, solidi and white space,
    // hold nothing hidden: no need to look at each string.
    if looks_plain(value.raw()) {
        return None;
    }
    let mut out = String::with_capacity(value.raw().len());
    let mut count = 0;
    write(value, &mut out, &mut count);
    (count > 0).then_some((out, count))
}

fn looks_plain(raw: &str) -> bool {
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        let plain = match byte {
            b'\\' => matches!(bytes.next(), Some(b'"' | b'\\' | b'/' | b'n' | b'r' | b't')),
            byte => matches!(byte, b' '..=b'~' | b'\n' | b'\r' | b'\t'),
        };
        if !plain {
            return false;
        }
    }
    true
}

fn write(value: Value<'_>, out: &mut String, count: &mut usize) {
    match value.kind() {
        Kind::Object => {
            out.push('{');
            for (n, (key, member)) in value.members().enumerate() {
                if n > 0 {
                    out.push(',');
                }
                write_text(&key, out, count);
                out.push(':');
                write(member, out, count);
            }
            out.push('}');
        }
        Kind::Array => {
            out.push('[');
            for (n, element) in value.elements().enumerate() {
                if n > 0 {
                    out.push(',');
                }
                write(element, out, count);
            }
            out.push(']');
        }
        Kind::String | Kind::Escaped => write_text(&value.text().unwrap_or_default(), out, count),
        Kind::Number | Kind::True | Kind::False | Kind::Null => out.push_str(value.raw()),
    }
}

fn write_text(text: &str, out: &mut String, count: &mut usize) {
    let (visible, hidden) = made_visible(text);
    *count += hidden;
    out.push_str(&quoted(&visible));
}
