//! A text as it reads once it is unescaped, and where each byte of that came from.
use std::{borrow::Cow, ops::Range};

/// Bytes that were unescaped, any number of times.
#[derive(Debug)]
pub(super) struct View<'a> {
    bytes: Cow<'a, [u8]>,
    /// Where each byte begins and ends in the text at the start; nothing where it is that text.
    places: Option<Vec<(u32, u32)>>,
}

impl<'a> View<'a> {
    /// The text itself.
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes: Cow::Borrowed(bytes), places: None }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where a range of it is in the text at the start.
    pub(super) fn place(&self, range: Range<usize>) -> Range<usize> {
        let Some(places) = &self.places else { return range };
        let start = places.get(range.start).map_or(0, |place| place.0);
        let end = range.end.checked_sub(1).and_then(|last| places.get(last));
        let end = end.map_or(start, |place| place.1);
        usize::try_from(start).unwrap_or(0)..usize::try_from(end).unwrap_or(0)
    }

    /// Without JSON's escapes, and `\xHH` of other languages; nothing where there are none.
    pub(super) fn without_backslashes(&self) -> Option<View<'static>> {
        self.without(b'\\', backslash)
    }

    /// Without percent-encoding; nothing where there is none.
    pub(super) fn without_percents(&self) -> Option<View<'static>> {
        self.without(b'%', percent)
    }

    fn without(
        &self,
        mark: u8,
        unescape: fn(&[u8]) -> Option<(usize, Character)>,
    ) -> Option<View<'static>> {
        // Texts of more than 4 GiB do not come here.
        u32::try_from(self.bytes.len()).ok()?;
        let first = self.bytes.iter().position(|byte| *byte == mark)?;
        let mut inner = Unescaped::with_capacity(self.bytes.len());
        inner.copy(self, 0..first);
        let (mut at, mut changed) = (first, false);
        while let Some(rest) = self.bytes.get(at..).filter(|rest| !rest.is_empty()) {
            if rest.first() == Some(&mark) {
                if let Some((taken, character)) = unescape(rest) {
                    inner.put(self, at..at + taken, character);
                    (at, changed) = (at + taken, true);
                    continue;
                }
                inner.copy(self, at..at + 1);
                at += 1;
                continue;
            }
            let until = rest.iter().position(|byte| *byte == mark).unwrap_or(rest.len());
            inner.copy(self, at..at + until);
            at += until;
        }
        let view = View { bytes: Cow::Owned(inner.bytes), places: Some(inner.places) };
        changed.then_some(view)
    }
}

/// What an escape stands for.
enum Character {
    Byte(u8),
    Char(char),
}

struct Unescaped {
    bytes: Vec<u8>,
    places: Vec<(u32, u32)>,
}

impl Unescaped {
    fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), places: Vec::with_capacity(bytes) }
    }

    fn copy(&mut self, from: &View<'_>, range: Range<usize>) {
        self.bytes.extend_from_slice(from.bytes.get(range.clone()).unwrap_or_default());
        match &from.places {
            Some(places) => {
                self.places.extend_from_slice(places.get(range).unwrap_or_default());
            }
            None => self.places.extend(range.map(|at| {
                let at = u32::try_from(at).unwrap_or(u32::MAX);
                (at, at.saturating_add(1))
            })),
        }
    }

    fn put(&mut self, from: &View<'_>, range: Range<usize>, character: Character) {
        let place = from.place(range);
        let number = |at| u32::try_from(at).unwrap_or(u32::MAX);
        let place = (number(place.start), number(place.end));
        let mut buffer = [0; 4];
        let bytes = match character {
            Character::Byte(byte) => {
                buffer = [byte, 0, 0, 0];
                buffer.get(..1)
            }
            Character::Char(character) => Some(character.encode_utf8(&mut buffer).as_bytes()),
        };
        for byte in bytes.unwrap_or_default() {
            self.bytes.push(*byte);
            self.places.push(place);
        }
    }
}

fn percent(text: &[u8]) -> Option<(usize, Character)> {
    let byte = number(text.get(1..3)?)?;
    Some((3, Character::Byte(u8::try_from(byte).ok()?)))
}

fn backslash(text: &[u8]) -> Option<(usize, Character)> {
    let plain = |byte| Some((2, Character::Byte(byte)));
    match text.get(1)? {
        b'n' => plain(b'\n'),
        b'r' => plain(b'\r'),
        b't' => plain(b'\t'),
        b'b' => plain(8),
        b'f' => plain(12),
        byte @ (b'"' | b'\\' | b'/' | b'\'') => plain(*byte),
        b'x' => Some((4, Character::Byte(u8::try_from(number(text.get(2..4)?)?).ok()?))),
        b'u' => {
            let unit = number(text.get(2..6)?)?;
            if let Some(character) = char::from_u32(unit) {
                return Some((6, Character::Char(character)));
            }
            // The first of two that make one character.
            let second = text.get(6..12).filter(|second| second.starts_with(b"\\u"))?;
            let second = u16::try_from(number(second.get(2..)?)?).ok()?;
            let pair = [u16::try_from(unit).ok()?, second];
            let character = char::decode_utf16(pair).next()?.ok()?;
            Some((12, Character::Char(character)))
        }
        _ => None,
    }
}

/// Hexadecimal digits, and nothing but them.
fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |number, digit| Some(number * 16 + char::from(*digit).to_digit(16)?))
}
