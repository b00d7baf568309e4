//! The strict reader: one pass over a JSON text that either understands all of it or refuses it.
//!
//! What two parsers could read in two ways is refused: duplicate keys (after unescaping, at any
//! depth), keys that differ from a protocol key only in case, bytes that are not UTF-8, unpaired
//! surrogates, text after the end. Numbers are kept as they were written.
use std::{borrow::Cow, collections::HashSet, sync::Arc};

use crate::{
    limits::Limits,
    protocol_keys::Place,
    value::{Kind, Node, Value},
};

/// A JSON text that the strict reader has understood, with an index of its values.
#[derive(Clone)]
pub struct Document {
    pub(crate) text: Arc<str>,
    pub(crate) nodes: Arc<[Node]>,
}

/// Why a text is refused. Offsets are bytes from its start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// More bytes than the limit.
    #[error("the frame has {got} bytes, the limit is {limit}")]
    TooLarge {
        /// Bytes in the frame.
        got: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// Not UTF-8.
    #[error("byte {at} is not part of any UTF-8 character")]
    Utf8 {
        /// Where.
        at: usize,
    },
    /// Not JSON.
    #[error("byte {at}: expected {expected}")]
    Syntax {
        /// Where.
        at: usize,
        /// What would have been right.
        expected: &'static str,
    },
    /// Nested too deep.
    #[error("byte {at}: more than {limit} levels of nesting")]
    TooDeep {
        /// Where.
        at: usize,
        /// The limit, in levels.
        limit: usize,
    },
    /// An object that has a key twice.
    #[error("byte {at}: the key `{key}` stands twice in one object")]
    DuplicateKey {
        /// Where the second one is.
        at: usize,
        /// The key, unescaped, escaped again for display.
        key: String,
    },
    /// A key that a lenient parser could take for a protocol key.
    #[error("byte {at}: the key `{key}` differs from `{meant}` only in case")]
    KeyCase {
        /// Where.
        at: usize,
        /// The key, escaped for display.
        key: String,
        /// The protocol's key.
        meant: &'static str,
    },
}

impl Document {
    /// Reads `bytes`, which must hold one JSON value and nothing else but white space.
    ///
    /// # Errors
    /// The first thing wrong, by position.
    pub fn read(bytes: &[u8], limits: Limits) -> Result<Self, ReadError> {
        Self::read_at(bytes, limits, Place::Free)
    }

    /// Reads `bytes` as a JSON-RPC frame: as [`Document::read`], and protocol keys in another case
    /// are refused.
    ///
    /// # Errors
    /// The first thing wrong, by position.
    pub fn read_frame(bytes: &[u8], limits: Limits) -> Result<Self, ReadError> {
        Self::read_at(bytes, limits, Place::Envelope)
    }

    fn read_at(bytes: &[u8], limits: Limits, place: Place) -> Result<Self, ReadError> {
        // Offsets are kept in 32 bits.
        let limit = limits.frame_bytes.min(u32::MAX as usize - 1);
        if bytes.len() > limit {
            return Err(ReadError::TooLarge { got: bytes.len(), limit });
        }
        let text =
            std::str::from_utf8(bytes).map_err(|e| ReadError::Utf8 { at: e.valid_up_to() })?;
        let mut reader = Reader {
            text,
            bytes: text.as_bytes(),
            at: 0,
            depth: limits.depth.min(Limits::MOST_DEPTH),
            nodes: Vec::with_capacity(text.len() / 16 + 4),
            keys: Vec::new(),
        };
        reader.space();
        reader.value(place, 0)?;
        reader.space();
        if reader.at != bytes.len() {
            return Err(reader.expected("the end of the text"));
        }
        Ok(Self { text: Arc::from(text), nodes: reader.nodes.into() })
    }

    /// The value that the text holds.
    #[must_use]
    pub fn root(&self) -> Value<'_> {
        Value::new(self, 0)
    }

    /// The text as it came.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl std::fmt::Debug for Document {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Frames carry what users and servers say; they belong in no log by accident.
        write!(f, "Document({} bytes)", self.text.len())
    }
}

/// More keys than this in one object are compared by hashing.
const FEW_KEYS: usize = 12;

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    depth: usize,
    nodes: Vec<Node>,
    /// The keys of all objects that are open, the innermost last.
    keys: Vec<Cow<'a, str>>,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    const fn expected(&self, expected: &'static str) -> ReadError {
        ReadError::Syntax { at: self.at, expected }
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn open(&mut self, kind: Kind) -> usize {
        let start = u32::try_from(self.at).unwrap_or(u32::MAX);
        self.nodes.push(Node { start, end: start, after: 0, kind });
        self.nodes.len() - 1
    }

    fn close(&mut self, index: usize) {
        let after = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        let end = u32::try_from(self.at).unwrap_or(u32::MAX);
        if let Some(node) = self.nodes.get_mut(index) {
            node.end = end;
            node.after = after;
        }
    }

    fn value(&mut self, place: Place, level: usize) -> Result<(), ReadError> {
        match self.peek() {
            Some(b'{') => self.object(place, level + 1),
            Some(b'[') => self.array(place, level + 1),
            Some(b'"') => self.string().map(drop),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Kind::True),
            Some(b'f') => self.word("false", Kind::False),
            Some(b'n') => self.word("null", Kind::Null),
            Some(_) | None => Err(self.expected("a JSON value")),
        }
    }

    fn enter(&mut self, kind: Kind, level: usize) -> Result<usize, ReadError> {
        if level > self.depth {
            return Err(ReadError::TooDeep { at: self.at, limit: self.depth });
        }
        let index = self.open(kind);
        self.at += 1;
        self.space();
        Ok(index)
    }

    fn object(&mut self, place: Place, level: usize) -> Result<(), ReadError> {
        let index = self.enter(Kind::Object, level)?;
        let first_key = self.keys.len();
        let mut many = HashSet::new();
        if self.peek() == Some(b'}') {
            self.at += 1;
        } else {
            loop {
                let inside = self.key(place, first_key, &mut many)?;
                self.space();
                if self.peek() != Some(b':') {
                    return Err(self.expected("`:`"));
                }
                self.at += 1;
                self.space();
                self.value(inside, level)?;
                if self.ended(b'}', "`,` or `}`")? {
                    break;
                }
            }
        }
        self.keys.truncate(first_key);
        self.close(index);
        Ok(())
    }

    fn array(&mut self, place: Place, level: usize) -> Result<(), ReadError> {
        let index = self.enter(Kind::Array, level)?;
        if self.peek() == Some(b']') {
            self.at += 1;
        } else {
            loop {
                self.value(place.element(), level)?;
                if self.ended(b']', "`,` or `]`")? {
                    break;
                }
            }
        }
        self.close(index);
        Ok(())
    }

    /// After a member: whether the object or array ends here.
    fn ended(&mut self, closing: u8, expected: &'static str) -> Result<bool, ReadError> {
        self.space();
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                self.space();
                Ok(false)
            }
            Some(byte) if byte == closing => {
                self.at += 1;
                Ok(true)
            }
            Some(_) | None => Err(self.expected(expected)),
        }
    }

    /// Reads a key of the object whose keys start at `first` and gives the place of its value.
    fn key(
        &mut self,
        place: Place,
        first: usize,
        many: &mut HashSet<Cow<'a, str>>,
    ) -> Result<Place, ReadError> {
        let at = self.at;
        if self.peek() != Some(b'"') {
            return Err(self.expected("a key in double quotes"));
        }
        let key = self.string()?;
        if let Some(meant) = place.mistaken(&key) {
            return Err(ReadError::KeyCase { at, key: shown(&key), meant });
        }
        let inside = place.member(&key);
        let others = self.keys.get(first..).unwrap_or_default();
        let twice = if others.len() < FEW_KEYS {
            others.contains(&key)
        } else {
            if many.is_empty() {
                many.extend(others.iter().cloned());
            }
            !many.insert(key.clone())
        };
        if twice {
            return Err(ReadError::DuplicateKey { at, key: shown(&key) });
        }
        self.keys.push(key);
        Ok(inside)
    }

    fn word(&mut self, word: &'static str, kind: Kind) -> Result<(), ReadError> {
        let index = self.open(kind);
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if !rest.starts_with(word.as_bytes()) {
            return Err(self.expected("`true`, `false` or `null`"));
        }
        self.at += word.len();
        self.close(index);
        Ok(())
    }

    fn digits(&mut self) -> Result<(), ReadError> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { Err(self.expected("a digit")) } else { Ok(()) }
    }

    fn number(&mut self) -> Result<(), ReadError> {
        let index = self.open(Kind::Number);
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        self.close(index);
        Ok(())
    }

    /// Reads a string and gives its content, unescaped.
    fn string(&mut self) -> Result<Cow<'a, str>, ReadError> {
        let index = self.open(Kind::String);
        self.at += 1;
        let start = self.at;
        let mut unescaped: Option<String> = None;
        let mut copied = start;
        loop {
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    let out = unescaped.get_or_insert_default();
                    out.push_str(self.text.get(copied..self.at).unwrap_or_default());
                    out.push(self.escape()?);
                    copied = self.at;
                }
                Some(0..=0x1f) => return Err(self.expected("no bare control character")),
                Some(_) => self.at += 1,
                None => return Err(self.expected("`\"`")),
            }
        }
        let rest = self.text.get(copied..self.at).unwrap_or_default();
        self.at += 1;
        self.close(index);
        if let (Some(node), true) = (self.nodes.get_mut(index), unescaped.is_some()) {
            node.kind = Kind::Escaped;
        }
        Ok(match unescaped {
            Some(mut out) => {
                out.push_str(rest);
                Cow::Owned(out)
            }
            None => Cow::Borrowed(rest),
        })
    }

    fn escape(&mut self) -> Result<char, ReadError> {
        self.at += 1;
        let escaped = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(),
            Some(_) | None => return Err(self.expected("an escape that JSON knows")),
        };
        self.at += 1;
        Ok(escaped)
    }

    fn unicode_escape(&mut self) -> Result<char, ReadError> {
        let first = self.hex4()?;
        let code = match first {
            0xd800..=0xdbff => {
                let low = if self.bytes.get(self.at..self.at + 2) == Some(b"\\u") {
                    self.at += 1;
                    self.hex4()?
                } else {
                    0
                };
                if !(0xdc00..=0xdfff).contains(&low) {
                    return Err(self.expected("the other half of a surrogate pair"));
                }
                0x1_0000 + ((first - 0xd800) << 10) + (low - 0xdc00)
            }
            other => other,
        };
        char::from_u32(code).ok_or_else(|| self.expected("no lone surrogate"))
    }

    /// Reads `uXXXX`.
    fn hex4(&mut self) -> Result<u32, ReadError> {
        self.at += 1;
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|b| char::from(b).to_digit(16));
            code = code << 4 | digit.ok_or_else(|| self.expected("four hexadecimal digits"))?;
            self.at += 1;
        }
        Ok(code)
    }
}

/// A key as an error shows it: short, and without characters that could forge a log line.
fn shown(key: &str) -> String {
    key.chars().take(64).flat_map(char::escape_default).collect()
}
