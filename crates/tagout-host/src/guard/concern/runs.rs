//! Where texts have pieces in common with others that may be megabytes long.
use std::collections::HashMap;

use super::work::{STEP, Work};

/// The shortest piece that counts, in bytes.
pub(super) const GRAM: usize = 12;
/// A common piece is followed for so many bytes.
const FOLLOWED: usize = 512;
/// Places of one piece that are remembered.
const PLACES: usize = 4;
/// For the rolling hash; odd, and without a pattern in its bits.
const BASE: u64 = 0x9e37_79b9_7f4a_7c15;
const FILTER_BITS: usize = 1 << 16;

/// Short texts, indexed by every piece of [`GRAM`] bytes in them.
pub(super) struct Runs<'a> {
    texts: Vec<&'a [u8]>,
    places: HashMap<u64, Vec<(usize, usize)>>,
    /// Lets nearly every place of a long text go by without a look into the index.
    filter: Vec<bool>,
    /// Where the last common piece ends, by text and by how far it is moved.
    followed: HashMap<(usize, usize), usize>,
}

/// A common piece: bytes `from..to` of a text.
pub(super) struct Run {
    pub(super) text: usize,
    pub(super) from: usize,
    pub(super) to: usize,
}

/// `text` as it is compared: blanks and line ends alike, also those that JSON escapes, and ASCII
/// letters in lower case.
pub(super) fn alike(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        let c = match (c, characters.peek()) {
            ('\\', Some('n' | 't' | 'r')) => {
                characters.next();
                ' '
            }
            ('\\', Some('"' | '\\' | '/')) => continue,
            (c, _) if c.is_whitespace() => ' ',
            (c, _) => c.to_ascii_lowercase(),
        };
        if c != ' ' || !out.ends_with(' ') {
            out.push(c);
        }
    }
    out
}

fn slot(hash: u64) -> usize {
    usize::try_from(hash >> 32).unwrap_or(0) % FILTER_BITS
}

/// The hash of every piece of [`GRAM`] bytes, in order.
fn hashes(text: &[u8]) -> impl Iterator<Item = u64> {
    let mut top: u64 = 1;
    for _ in 1..GRAM {
        top = top.wrapping_mul(BASE);
    }
    let mut hash: u64 = 0;
    let grown = text.iter().enumerate().map(move |(at, byte)| {
        let out = at.checked_sub(GRAM).and_then(|at| text.get(at)).copied().unwrap_or(0);
        // Each byte counts from one, so that zeros have a weight as well.
        let out = if at >= GRAM { u64::from(out) + 1 } else { 0 };
        hash = hash.wrapping_sub(out.wrapping_mul(top));
        hash = hash.wrapping_mul(BASE).wrapping_add(u64::from(*byte) + 1);
        hash
    });
    grown.skip(GRAM - 1)
}

impl<'a> Runs<'a> {
    pub(super) fn of(texts: Vec<&'a [u8]>) -> Self {
        let mut places: HashMap<u64, Vec<(usize, usize)>> = HashMap::new();
        let mut filter = vec![false; FILTER_BITS];
        for (text, bytes) in texts.iter().enumerate() {
            for (at, hash) in hashes(bytes).enumerate() {
                let places = places.entry(hash).or_default();
                if places.len() < PLACES {
                    places.push((text, at));
                }
                if let Some(bit) = filter.get_mut(slot(hash)) {
                    *bit = true;
                }
            }
        }
        Self { texts, places, filter, followed: HashMap::new() }
    }

    /// Tells `found` of the pieces that the texts have in common with `long`; those of a text for
    /// which it says no are not looked for any more. False if there was too much to compare.
    pub(super) fn look(
        &mut self,
        long: &[u8],
        work: &mut Work,
        mut found: impl FnMut(Run) -> bool,
    ) -> bool {
        self.followed.clear();
        if self.places.is_empty() {
            return true;
        }
        for (at, hash) in hashes(long).enumerate() {
            if at % STEP == 0 && !work.take(STEP.min(long.len())) {
                return false;
            }
            if !self.filter.get(slot(hash)).is_some_and(|bit| *bit) {
                continue;
            }
            let Some(places) = self.places.get(&hash) else { continue };
            for (text, from) in places {
                // Both move on together, so this stays the same within one common piece.
                let moved = at.wrapping_sub(*from);
                let before = self.followed.get(&(*text, moved));
                if before.is_some_and(|end| at < *end) {
                    continue;
                }
                let short = self.texts.get(*text).and_then(|text| text.get(*from..));
                let (short, rest) = (short.unwrap_or_default(), long.get(at..).unwrap_or_default());
                let pairs = short.iter().zip(rest).take(FOLLOWED);
                let length = pairs.take_while(|(one, other)| one == other).count();
                // Comparing, and taking note of what is the same, is dearer than to go on.
                if !work.take(length.saturating_mul(8).saturating_add(8)) {
                    return false;
                }
                if length < GRAM {
                    continue;
                }
                self.followed.insert((*text, moved), at + length);
                let go_on = found(Run { text: *text, from: *from, to: from + length });
                // A text without bytes has nothing in common with anything.
                if let (false, Some(text)) = (go_on, self.texts.get_mut(*text)) {
                    *text = &[];
                }
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;

    fn longest(short: &str, long: &str) -> usize {
        let mut longest = 0;
        let all = Runs::of(vec![short.as_bytes()]).look(
            long.as_bytes(),
            &mut Work::new(Arc::default()),
            |run| {
                longest = longest.max(run.to - run.from);
                true
            },
        );
        assert!(all);
        longest
    }

    #[test]
    fn common_pieces_are_found() {
        for (short, long, expected) in [
            ("", "", 0),
            ("eleven chrs", "eleven chrs", 0),
            ("twelve chars", "xx twelve chars xx", 12),
            ("a b twelve chars and more", "xx twelve chars and less", 18),
            ("abcabcabcabcabcabc", "abcabcabcabcabcabcabcabc", 18),
        ] {
            assert_eq!(longest(short, long), expected, "{short} in {long}");
        }
    }

    #[test]
    fn blanks_cases_and_escapes_make_no_difference() {
        assert_eq!(alike("A\n\n b\\n\\\"C\\\""), "a b \"c\"");
    }

    #[test]
    fn what_repeats_itself_takes_no_more_than_its_share() {
        let (short, long) = ("a".repeat(10_000), "a".repeat(1_000_000));
        let mut runs = Runs::of(vec![short.as_bytes()]);
        // Whoever has seen enough says so.
        assert!(runs.look(long.as_bytes(), &mut Work::new(Arc::default()), |_| false));
        let mut runs = Runs::of(vec![short.as_bytes()]);
        assert!(!runs.look(long.as_bytes(), &mut Work::new(Arc::default()), |_| true));
    }

    proptest! {
        /// Up to how far pieces are followed, as the slow and plain way says.
        #[test]
        fn it_finds_what_the_plain_way_finds(short in "[ab]{0,40}", long in "[ab]{0,80}") {
            let plain = (0..short.len())
                .flat_map(|from| (from + GRAM..=short.len()).map(move |to| (from, to)))
                .filter(|(from, to)| long.contains(short.get(*from..*to).unwrap()))
                .map(|(from, to)| to - from)
                .max()
                .unwrap_or(0);
            let found = longest(&short, &long);
            // Of a piece that stands in many places some are forgotten: never more, and never none.
            prop_assert!(found <= plain);
            prop_assert_eq!(found == 0, plain == 0);
        }
    }
}
