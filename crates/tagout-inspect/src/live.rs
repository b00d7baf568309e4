//! Live secrets, found wherever they turn up: as they are, in base64, hexadecimal, percent- and
//! JSON-escaped.
//!
//! What is looked for is exact: the values that were handed out, in every form that this module
//! knows. It misses values of less than [`LEAST_BYTES`] bytes, what is compressed, encrypted,
//! reversed or cut in pieces, base64 that is broken into lines, other alphabets (base32, HTML's
//! entities), and of a value of more than [`MOST_BYTES`] bytes the rest, except for its lines.
mod forms;
mod json;
mod plain;
mod view;

use std::{borrow::Cow, collections::BTreeSet, fmt, ops::Range, sync::Arc};

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

pub use self::plain::commonplace;
use self::{forms::Pattern, view::View};

/// The shortest value that is looked for, in bytes. Shorter ones turn up by chance.
pub const LEAST_BYTES: usize = 8;
/// How much of a value is looked for, in bytes; beyond that each of its lines.
pub const MOST_BYTES: usize = 1024;
/// Up to so many bytes of forms are made ready in the fastest way.
const FAST_BYTES: usize = 64 << 10;
/// How often a text is unescaped to look into it.
const DEPTH: u32 = 3;

/// All live secrets, ready to be looked for.
#[derive(Default)]
pub struct Live {
    automaton: Option<AhoCorasick>,
    patterns: Vec<Pattern>,
    names: Vec<Arc<str>>,
    labels: Vec<String>,
}

/// What was found, without it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caught {
    /// How many places.
    pub count: u32,
    /// Whose values.
    pub names: BTreeSet<Arc<str>>,
}

/// A text without live secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cleaned {
    /// The text.
    pub text: String,
    /// What was taken out of it.
    pub caught: Caught,
}

/// A place in a text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    start: usize,
    end: usize,
    name: usize,
}

impl Live {
    /// Looks for `values`, each under the name that stands in its place.
    pub fn new<'a>(values: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let (mut live, mut texts) = (Self::default(), Vec::new());
        for (name, value) in values {
            let number = live.names.len();
            live.names.push(name.into());
            for (pattern, text) in forms::of(number, value) {
                live.patterns.push(pattern);
                texts.push(text);
            }
        }
        live.automaton = built(&texts);
        live.labels = live.names.iter().map(|name| live.label(name)).collect();
        live
    }

    /// Whether there is nothing to look for.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.automaton.is_none()
    }

    /// What stands in a value's place; not with a name that is itself a value.
    fn label(&self, name: &str) -> String {
        let named = format!("[secret {}]", name.replace(['"', '\\', '%', '[', ']'], "_"));
        let choices = [named, "[secret]".to_owned(), "[***]".to_owned()];
        let free = choices.into_iter().find(|label| self.find(label).is_empty());
        free.unwrap_or_default()
    }

    /// `text` without live secrets: each is replaced by `[secret NAME]`.
    #[must_use]
    pub fn clean<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.cleaned(text).map_or(Cow::Borrowed(text), |cleaned| Cow::Owned(cleaned.text))
    }

    /// As [`Live::clean`], and what was found; nothing where there is nothing.
    #[must_use]
    pub fn cleaned(&self, text: &str) -> Option<Cleaned> {
        let found = self.find(text);
        if found.is_empty() {
            return None;
        }
        let (mut clean, mut caught) = (String::with_capacity(text.len()), Caught::default());
        let mut at = 0;
        for Found { start, end, name } in merged(text, found) {
            clean.push_str(text.get(at..start).unwrap_or_default());
            clean.push_str(self.labels.get(name).map_or("[***]", String::as_str));
            caught.add(self.names.get(name));
            at = end;
        }
        clean.push_str(text.get(at..).unwrap_or_default());
        Some(Cleaned { text: clean, caught })
    }

    /// Every place, also those that overlap; also inside what is escaped.
    fn find(&self, text: &str) -> Vec<Found> {
        self.find_in(text.as_bytes())
    }

    fn find_in(&self, bytes: &[u8]) -> Vec<Found> {
        let mut found = Vec::new();
        if self.is_empty() {
            return found;
        }
        self.scan(bytes, &mut |one| found.push(one));
        self.look_into(&View::new(bytes), DEPTH, &mut found);
        found
    }

    /// The last place at `most` or before at which `bytes` can be cut without cutting what is
    /// looked for.
    #[must_use]
    pub fn cut(&self, bytes: &[u8], most: usize) -> usize {
        let found = self.find_in(bytes);
        let mut at = most.min(bytes.len());
        while let Some(one) = found.iter().find(|one| one.start < at && at < one.end) {
            at = one.start;
        }
        at
    }

    fn look_into(&self, view: &View<'_>, depth: u32, found: &mut Vec<Found>) {
        if depth == 0 {
            return;
        }
        for inner in [view.without_backslashes(), view.without_percents()].into_iter().flatten() {
            self.scan(inner.bytes(), &mut |Found { start, end, name }| {
                let Range { start, end } = inner.place(start..end);
                found.push(Found { start, end, name });
            });
            self.look_into(&inner, depth - 1, found);
        }
    }

    fn scan(&self, bytes: &[u8], found: &mut dyn FnMut(Found)) {
        let Some(automaton) = &self.automaton else { return };
        // Where there is nothing, which is nearly always, this is the faster way to see it.
        if !automaton.is_match(bytes) {
            return;
        }
        for one in automaton.find_overlapping_iter(bytes) {
            let Some(pattern) = self.patterns.get(one.pattern().as_usize()) else { continue };
            let Range { start, end } = pattern.extended(bytes, one.start()..one.end());
            found(Found { start, end, name: pattern.name });
        }
    }
}

fn built(texts: &[Vec<u8>]) -> Option<AhoCorasick> {
    if texts.is_empty() {
        return None;
    }
    let mut builder = AhoCorasick::builder();
    builder.match_kind(MatchKind::Standard);
    // The fastest kind takes memory for each byte of each form; many long values do without.
    if texts.iter().map(Vec::len).sum::<usize>() <= FAST_BYTES {
        builder.kind(Some(AhoCorasickKind::DFA));
    }
    // It fails where there are more states than fit 32 bits, which the bounds rule out.
    builder.build(texts).ok()
}

/// In order, and what overlaps or touches of one value as one; at whole characters.
fn merged(text: &str, mut found: Vec<Found>) -> Vec<Found> {
    found.sort();
    let mut merged: Vec<Found> = Vec::new();
    for mut one in found {
        while !text.is_char_boundary(one.start) {
            one.start -= 1;
        }
        while !text.is_char_boundary(one.end) {
            one.end += 1;
        }
        match merged.last_mut() {
            Some(last) if one.start < last.end => last.end = last.end.max(one.end),
            _ => merged.push(one),
        }
    }
    merged
}

impl Caught {
    fn add(&mut self, name: Option<&Arc<str>>) {
        self.count = self.count.saturating_add(1);
        self.names.extend(name.cloned());
    }

    /// Adds what was found elsewhere.
    pub fn join(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        self.names.extend(other.names);
    }

    /// Whether nothing was found.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Live({} values)", self.names.len())
    }
}
