//! SHA-256 digests, written `sha256:` and 64 lower-case hexadecimal digits.
use std::{fmt, str::FromStr};

use sha2::{Digest as _, Sha256};

use crate::{Document, Limits};

/// A SHA-256 digest.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

/// Why a string is not a [`Digest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a digest is `sha256:` and 64 lower-case hexadecimal digits")]
pub struct BadDigest;

impl Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// A digest that was computed elsewhere, over what does not fit in memory.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The digest of several parts; each is preceded by its length (64 bits, big endian), so that
    /// no two different lists of parts have one digest.
    #[must_use]
    pub fn of_parts<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    /// The digest of the arguments that `json` means, however they are written: of the canonical
    /// form, with numbers as they are written by whoever has read and writes them again. No text
    /// means no arguments, `{}`. Of what cannot be read, the digest of the text.
    #[must_use]
    pub fn of_json(json: &str) -> Self {
        let json = if json.trim().is_empty() { "{}" } else { json };
        let read = |text: &str| Document::read(text.as_bytes(), Limits::default()).ok();
        let again = read(json).and_then(|document| document.root().to_tree().ok());
        let again = again.and_then(|tree| read(&tree.to_string()));
        let canonical = again.map(|document| document.root().canonical());
        Self::of(canonical.as_deref().unwrap_or(json).as_bytes())
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The 64 hexadecimal digits without the prefix.
    #[must_use]
    pub fn hex(&self) -> String {
        let mut hex = String::with_capacity(64);
        self.push_hex(&mut hex);
        hex
    }

    fn push_hex(&self, out: &mut String) {
        let digit = |nibble: u8| match nibble {
            0..=9 => char::from(b'0' + nibble),
            _ => char::from(b'a' - 10 + nibble),
        };
        out.extend(self.0.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]));
    }

    fn text(&self) -> String {
        let mut text = String::with_capacity(71);
        text.push_str("sha256:");
        self.push_hex(&mut text);
        text
    }

    /// The first eight hexadecimal digits, for people.
    #[must_use]
    pub fn short(&self) -> String {
        self.hex().chars().take(8).collect()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = BadDigest;

    fn from_str(text: &str) -> Result<Self, BadDigest> {
        let digits = text.strip_prefix("sha256:").ok_or(BadDigest)?.as_bytes();
        if digits.len() != 64 {
            return Err(BadDigest);
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let [high, low] = pair else { return Err(BadDigest) };
            *byte = nibble(*high)? << 4 | nibble(*low)?;
        }
        Ok(Self(bytes))
    }
}

const fn nibble(digit: u8) -> Result<u8, BadDigest> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(BadDigest),
    }
}

impl serde::Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

impl<'de> serde::Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let digest = Digest::of(b"");
        assert_eq!(
            digest.to_string(),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert_eq!("sha256:E3B0".parse::<Digest>(), Err(BadDigest));
    }

    #[test]
    fn arguments_have_one_digest_however_they_are_written() {
        let of = Digest::of_json;
        let written = [r#"{"a":1.5,"b":"é"}"#, "{ \"b\" : \"\\u00e9\",\n\"a\":1.50}"];
        assert_eq!(of(written[0]), of(written[1]));
        assert_eq!((of(""), of(" \n")), (of("{}"), of("{}")));
        for (one, other) in [("{}", "[]"), (r#"{"a":1}"#, r#"{"a":"1"}"#), ("{", "{}"), ("1", "2")]
        {
            assert_ne!(of(one), of(other), "{one} {other}");
        }
        // What can be read in two ways stands for itself.
        assert_ne!(of(r#"{"a":1,"a":2}"#), of(r#"{"a":2}"#));
    }

    #[test]
    fn parts_do_not_run_together() {
        let a = Digest::of_parts([b"ab".as_slice(), b"c"]);
        let b = Digest::of_parts([b"a".as_slice(), b"bc"]);
        assert_ne!(a, b);
    }
}
