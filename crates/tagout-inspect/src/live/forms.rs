//! In which forms a value turns up.
use std::ops::Range;

use super::{LEAST_BYTES, MOST_BYTES};

/// What a text that is looked for stands for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pattern {
    /// Whose value.
    pub(super) name: usize,
    /// Characters of base64 beside it that hold bits of the value, too.
    beside: (bool, bool),
}

/// Lines that all keys have, such as `-----BEGIN PRIVATE KEY-----`.
const FRAME: &str = "-----";
/// The shortest line of a value that is looked for by itself.
const LEAST_LINE: usize = 16;

/// All forms of a value, of which those that escapes make are seen without them.
pub(super) fn of(name: usize, value: &str) -> Vec<(Pattern, Vec<u8>)> {
    let plain = Pattern { name, beside: (false, false) };
    let mut forms = Vec::new();
    for part in parts(value) {
        forms.push((plain, part.to_vec()));
        if part.contains(&b' ') {
            // As a form of HTML sends it.
            forms.push((plain, part.iter().map(|b| if *b == b' ' { b'+' } else { *b }).collect()));
        }
        forms.extend([b'a', b'A'].map(|ten| (plain, hex(part, ten))));
        for offset in 0..3 {
            let (pattern, text) = base64(name, part, offset);
            let for_urls = |byte: &u8| match byte {
                b'+' => b'-',
                b'/' => b'_',
                other => *other,
            };
            let url: Vec<u8> = text.iter().map(for_urls).collect();
            if url != text {
                forms.push((pattern, url));
            }
            forms.push((pattern, text));
        }
    }
    forms
}

fn hex(bytes: &[u8], ten: u8) -> Vec<u8> {
    let digit = |half: u8| if half < 10 { b'0' + half } else { ten + half - 10 };
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// What of a value is looked for: it, or its beginning; and its lines.
fn parts(value: &str) -> Vec<&[u8]> {
    let bytes = value.as_bytes();
    if bytes.len() < LEAST_BYTES {
        return Vec::new();
    }
    let mut parts = vec![bytes.get(..MOST_BYTES).unwrap_or(bytes)];
    if value.contains('\n') {
        let lines = value.lines().map(str::trim);
        let lines = lines.filter(|line| line.len() >= LEAST_LINE && !line.starts_with(FRAME));
        parts
            .extend(lines.map(|line| line.as_bytes().get(..MOST_BYTES).unwrap_or(line.as_bytes())));
    }
    parts
}

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The characters of base64 that `bytes` alone decide when `offset` others come before them.
fn base64(name: usize, bytes: &[u8], offset: usize) -> (Pattern, Vec<u8>) {
    let bit = |n: usize| {
        let byte = (n / 8).checked_sub(offset).and_then(|at| bytes.get(at)).copied();
        byte.unwrap_or_default() >> (7 - n % 8) & 1
    };
    let (first, last) = ((offset * 8).div_ceil(6), (offset + bytes.len()) * 8 / 6);
    let letter = |n: usize| {
        let six = (0..6).fold(0, |six, m| six << 1 | bit(n * 6 + m));
        LETTERS.get(usize::from(six)).copied().unwrap_or(b'A')
    };
    let text = (first..last).map(letter).collect();
    let beside = (!(offset * 8).is_multiple_of(6), !((offset + bytes.len()) * 8).is_multiple_of(6));
    (Pattern { name, beside }, text)
}

impl Pattern {
    /// The place with the characters beside it that hold bits of the value.
    pub(super) fn extended(&self, bytes: &[u8], place: Range<usize>) -> Range<usize> {
        let is_letter = |at: Option<usize>| {
            let byte = at.and_then(|at| bytes.get(at)).copied().unwrap_or(b' ');
            byte.is_ascii_alphanumeric() || b"+/-_".contains(&byte)
        };
        let Range { mut start, mut end } = place;
        if self.beside.0 && is_letter(start.checked_sub(1)) {
            start -= 1;
        }
        if self.beside.1 && is_letter(Some(end)) {
            end += 1;
        }
        start..end
    }
}
