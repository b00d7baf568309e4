//! A text as it reads once it is unescaped, and where each byte of that came from.
use std::{borrow::Cow, ops::Range};

use memchr::memchr;

/// Bytes that were unescaped, any number of times.
#[derive(Debug)]
pub(super) struct View<'a> {
    bytes: Cow<'a, [u8]>,
    /// Where its pieces are in the text at the start; nothing where it is that text.
    places: Option<Vec<Piece>>,
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
        let start = self.at(range.start).start;
        let end = range.end.checked_sub(1).map_or(start, |last| self.at(last).end);
        start..end
    }

    /// Where one byte of it is.
    fn at(&self, at: usize) -> Range<usize> {
        let Some(places) = &self.places else { return at..at + 1 };
        let number = places.partition_point(|piece| piece.begins() <= at).checked_sub(1);
        match number.and_then(|number| places.get(number)) {
            None => 0..0,
            Some(piece) => piece.place(at),
        }
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
        let first = memchr(mark, &self.bytes)?;
        let mut inner = Unescaped::with_capacity(self.bytes.len());
        inner.copy(self, 0..first);
        let (mut at, mut changed) = (first, false);
        while let Some(rest) = self.bytes.get(at..).filter(|rest| !rest.is_empty()) {
            if rest.first() == Some(&mark)
                && let Some((taken, character)) = unescape(rest)
            {
                inner.put(self, at..at + taken, character);
                (at, changed) = (at + taken, true);
                continue;
            }
            // What is no escape goes with what follows it.
            let next = rest.get(1..).and_then(|rest| memchr(mark, rest));
            let until = next.map_or(rest.len(), |next| next + 1);
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

/// A piece of a view. Small, since whoever sends escapes alone makes as many as there are.
#[derive(Clone, Copy, Debug)]
struct Piece {
    /// Where it begins in the view.
    at: u32,
    /// Where it begins in the text at the start.
    start: u32,
    /// How long the escape is there; 0 for what stands there as it is, byte for byte.
    escape: u32,
}

impl Piece {
    fn new(at: usize, from: Range<usize>, copied: bool) -> Self {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let escape = if copied { 0 } else { number(from.len()) };
        Self { at: number(at), start: number(from.start), escape }
    }

    fn begins(&self) -> usize {
        usize::try_from(self.at).unwrap_or(usize::MAX)
    }

    /// Where a byte of the view is that belongs to it.
    fn place(&self, at: usize) -> Range<usize> {
        let number = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
        let start = number(self.start);
        match number(self.escape) {
            0 => {
                let start = start + at.saturating_sub(self.begins());
                start..start + 1
            }
            escape => start..start + escape,
        }
    }
}

struct Unescaped {
    bytes: Vec<u8>,
    places: Vec<Piece>,
    /// The piece of the view before at which the reader is; it only goes on.
    reached: usize,
}

impl Unescaped {
    fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), places: Vec::new(), reached: 0 }
    }

    fn copy(&mut self, from: &View<'_>, range: Range<usize>) {
        if range.is_empty() {
            return;
        }
        let at = self.bytes.len();
        self.bytes.extend_from_slice(from.bytes.get(range.clone()).unwrap_or_default());
        let Some(places) = &from.places else {
            return self.places.push(Piece::new(at, range, true));
        };
        // The pieces of the view that it is made of, each cut to the range.
        self.reach(places, range.start);
        for piece in places.iter().skip(self.reached).take_while(|piece| piece.begins() < range.end)
        {
            let from = piece.place(range.start.max(piece.begins()));
            let at = at + piece.begins().saturating_sub(range.start);
            self.places.push(Piece::new(at, from, piece.escape == 0));
        }
    }

    /// Where a byte of the view before is; each is asked for after those before it.
    fn reach(&mut self, places: &[Piece], at: usize) -> Range<usize> {
        let goes_on = |next: &usize| places.get(*next).is_some_and(|next| next.begins() <= at);
        while goes_on(&(self.reached + 1)) {
            self.reached += 1;
        }
        places.get(self.reached).map_or(0..0, |piece| piece.place(at))
    }

    fn put(&mut self, from: &View<'_>, range: Range<usize>, character: Character) {
        let place = match &from.places {
            None => range,
            Some(places) => {
                let start = self.reach(places, range.start).start;
                start..self.reach(places, range.end.saturating_sub(1)).end
            }
        };
        self.places.push(Piece::new(self.bytes.len(), place, false));
        match character {
            Character::Byte(byte) => self.bytes.push(byte),
            Character::Char(character) => {
                self.bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
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
