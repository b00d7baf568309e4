//! Which signs mean emphasis: the algorithm of CommonMark, over pieces.
use std::collections::BTreeMap;

use super::Piece;
use crate::style::Style;

/// A run of one sign.
#[derive(Clone, Copy, Debug)]
pub(in crate::markdown) struct Delimiter {
    pub(super) sign: char,
    pub(super) left: usize,
    length: usize,
    opens: bool,
    closes: bool,
}

/// Pieces after `from` and before `to` have this style.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) style: Style,
}

/// A run between two characters.
pub(super) fn delimiter(
    sign: char,
    length: usize,
    before: Option<char>,
    after: Option<char>,
) -> Delimiter {
    let space = |c: Option<char>| c.is_none_or(char::is_whitespace);
    let mark = |c: Option<char>| c.is_some_and(|c| !c.is_alphanumeric() && !c.is_whitespace());
    let left = !space(after) && (!mark(after) || space(before) || mark(before));
    let right = !space(before) && (!mark(before) || space(after) || mark(after));
    let (opens, closes) = match sign {
        '_' => (left && (!right || mark(before)), right && (!left || mark(after))),
        '~' => (left && length == 2, right && length == 2),
        _ => (left, right),
    };
    Delimiter { sign, left: length, length, opens, closes }
}

/// The emphasis among the pieces from `from` on. Runs there mean nothing else afterwards.
pub(super) fn matched(pieces: &mut [Piece], from: usize) -> Vec<Range> {
    let mut ranges = Vec::new();
    let mut openers: Vec<usize> = Vec::new();
    // Under which piece no opener is for a closer of that kind.
    let mut bottoms: BTreeMap<(char, bool, usize), usize> = BTreeMap::new();
    for at in from..pieces.len() {
        let Some(mut closer) = run(pieces, at) else { continue };
        while closer.closes && closer.left > 0 {
            let kind = (closer.sign, closer.opens, closer.length % 3);
            let bottom = bottoms.get(&kind).copied().unwrap_or(from);
            let mut found = openers.iter().enumerate().rev().take_while(|(_, n)| **n >= bottom);
            let found = found.find_map(|(place, n)| {
                let opener = run(pieces, *n)?;
                pairs(opener, closer).then_some((place, *n, opener))
            });
            let Some((place, piece, mut opener)) = found else {
                bottoms.insert(kind, at);
                break;
            };
            let both = opener.left >= 2 && closer.left >= 2;
            let (signs, style) = meaning(closer.sign, both);
            ranges.push(Range { from: piece, to: at, style });
            opener.left -= signs;
            closer.left -= signs;
            put(pieces, piece, opener);
            openers.truncate(place + usize::from(opener.left > 0));
        }
        put(pieces, at, closer);
        if closer.opens && closer.left > 0 {
            openers.push(at);
        }
    }
    for piece in pieces.iter_mut().skip(from) {
        if let Piece::Run(run) = piece {
            (run.opens, run.closes) = (false, false);
        }
    }
    ranges
}

const fn meaning(sign: char, both: bool) -> (usize, Style) {
    match (sign, both) {
        ('~', _) => (2, Style::STRIKE),
        (_, true) => (2, Style::BOLD),
        (_, false) => (1, Style::ITALIC),
    }
}

/// Whether one run may close the other (CommonMark 0.31, rules 9 and 10).
const fn pairs(opener: Delimiter, closer: Delimiter) -> bool {
    let odd = (opener.closes || closer.opens) && (opener.length + closer.length).is_multiple_of(3);
    let multiples = opener.length.is_multiple_of(3) && closer.length.is_multiple_of(3);
    opener.sign as u32 == closer.sign as u32 && (!odd || multiples)
}

fn run(pieces: &[Piece], at: usize) -> Option<Delimiter> {
    match pieces.get(at) {
        Some(Piece::Run(run)) => Some(*run),
        Some(Piece::Text(..)) | None => None,
    }
}

fn put(pieces: &mut [Piece], at: usize, run: Delimiter) {
    if let Some(piece) = pieces.get_mut(at) {
        *piece = Piece::Run(run);
    }
}
