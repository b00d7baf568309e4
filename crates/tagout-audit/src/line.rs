//! One line: how it is written, hashed and read.
use std::io;

use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tagout_proto::Digest;

use crate::{AuditError, Line, record::Event};

/// The most that one ordinary line takes, in bytes.
const WRITTEN_BYTES: usize = 64 << 10;

/// What stands between a line's body and its hash, and after its hash.
const BEFORE_HASH: &[u8] = b",\"hash\":\"";
const AFTER_HASH: &[u8] = b"\"}";
/// `sha256:` and 64 digits.
const DIGEST_BYTES: usize = 71;

/// The kinds of line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Genesis,
    Begin,
    Decision,
    End,
    Note,
    Said,
    Torn,
    Adopted,
    Lost,
    Erased,
    Rotated,
}

/// What comes before and after a line's facts; the order of the members is the order here.
#[derive(Serialize)]
pub(crate) struct Written<'a, F> {
    pub(crate) n: u64,
    pub(crate) prev: &'a Digest,
    pub(crate) kind: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) of: Option<u64>,
    #[serde(flatten)]
    pub(crate) facts: F,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) payload: Option<&'a Digest>,
}

/// Facts that this crate writes by itself.
#[derive(Serialize)]
pub(crate) struct Own<F> {
    pub(crate) at: Timestamp,
    #[serde(flatten)]
    pub(crate) facts: F,
}

/// No facts but the time.
#[derive(Serialize)]
pub(crate) struct Nothing {}

/// Adds `line` with its hash and a newline to `out`, and gives the hash.
pub(crate) fn write<F: Serialize>(
    out: &mut Vec<u8>,
    line: &Written<'_, F>,
) -> Result<Digest, AuditError> {
    let start = out.len();
    write_ascii(out, line)?;
    // The closing brace gives way to the hash.
    out.pop();
    let body = out.get(start..).unwrap_or_default();
    if body.len() > WRITTEN_BYTES && line.kind != Kind::Torn {
        return Err(AuditError::TooLarge { got: body.len(), limit: WRITTEN_BYTES });
    }
    let hash = hash(line.prev, body);
    out.extend_from_slice(BEFORE_HASH);
    out.extend_from_slice(hash.to_string().as_bytes());
    out.extend_from_slice(AFTER_HASH);
    out.push(b'\n');
    Ok(hash)
}

/// The hash of a line with `body` (all before the hash member) after one with the hash `prev`.
pub(crate) fn hash(prev: &Digest, body: &[u8]) -> Digest {
    Digest::of_parts([b"tagout-audit-line-1".as_slice(), prev.as_bytes(), body])
}

/// A line's body and the hash that it states.
pub(crate) fn split(line: &[u8]) -> Option<(&[u8], Digest)> {
    let rest = line.strip_suffix(AFTER_HASH)?;
    let (rest, stated) = rest.split_at_checked(rest.len().checked_sub(DIGEST_BYTES)?)?;
    let body = rest.strip_suffix(BEFORE_HASH)?;
    let stated = std::str::from_utf8(stated).ok()?.parse().ok()?;
    Some((body, stated))
}

/// What every line has.
#[derive(Deserialize)]
struct Common {
    n: u64,
    prev: Digest,
    kind: Kind,
    at: Timestamp,
    hash: Digest,
}

/// Reads a line without checking its hash.
pub(crate) fn read(line: &[u8]) -> Result<Line, serde_json::Error> {
    let Common { n, prev, kind, at, hash } = serde_json::from_slice(line)?;
    let event = match kind {
        Kind::Genesis => Event::Genesis(facts(line)?),
        Kind::Begin => Event::Begin(facts(line)?),
        Kind::Decision => Event::Decision(facts(line)?),
        Kind::End => Event::End(facts(line)?),
        Kind::Note => Event::Note(facts(line)?),
        Kind::Said => Event::Said(facts(line)?),
        Kind::Torn => Event::Torn(facts(line)?),
        Kind::Adopted => Event::Adopted(facts(line)?),
        Kind::Lost => Event::Lost(facts(line)?),
        Kind::Erased => Event::Erased(facts(line)?),
        Kind::Rotated => Event::Rotated {},
    };
    Ok(Line { n, at, event, prev, hash })
}

fn facts<F: DeserializeOwned>(line: &[u8]) -> Result<F, serde_json::Error> {
    serde_json::from_slice(line)
}

/// Whether `line`, as it was read from `bytes`, has the hash that it states.
pub(crate) fn is_whole(line: &Line, bytes: &[u8]) -> bool {
    split(bytes)
        .is_some_and(|(body, stated)| stated == line.hash && hash(&line.prev, body) == stated)
}

/// Writes `value` as compact JSON in plain ASCII: what a stranger put into a text can then neither
/// end a line nor change how a terminal or another program shows it.
pub(crate) fn write_ascii(out: &mut Vec<u8>, value: &impl Serialize) -> Result<(), AuditError> {
    let mut serializer = serde_json::Serializer::with_formatter(out, Ascii);
    value.serialize(&mut serializer).map_err(|e| AuditError::Corrupt {
        path: std::path::PathBuf::new(),
        problem: format!("a record cannot be written as JSON: {e}"),
    })
}

struct Ascii;

impl serde_json::ser::Formatter for Ascii {
    fn write_string_fragment<W>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()>
    where
        W: ?Sized + io::Write,
    {
        let plain = |byte: u8| byte.is_ascii() && byte != 0x7f;
        if fragment.bytes().all(plain) {
            return writer.write_all(fragment.as_bytes());
        }
        let mut units = [0; 2];
        for character in fragment.chars() {
            if character.is_ascii() && character != '\x7f' {
                write!(writer, "{character}")?;
                continue;
            }
            for unit in character.encode_utf16(&mut units) {
                write!(writer, "\\u{unit:04x}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_ascii_whatever_it_says() {
        let mut out = Vec::new();
        let hostile = "a\nb\u{2028}c\u{7f}d\u{1b}[31m\u{202e}e\u{1f600}\"\\";
        write_ascii(&mut out, &hostile).unwrap();
        assert!(out.iter().all(|b| (0x20..0x7f).contains(b)), "{}", out.escape_ascii());
        assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), hostile);
    }

    #[test]
    fn a_line_that_is_too_short_is_not_split() {
        for line in [b"".as_slice(), b"\"}", b",\"hash\":\"sha256:00\"}"] {
            assert_eq!(split(line), None);
        }
    }
}
