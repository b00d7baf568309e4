//! Which words of the question become which arguments.
use std::cell::OnceCell;

use serde_json::Value;

use super::{
    dates::{Day, dates},
    quantities::{Quantity, quantities},
    slots::Slot,
    words::{Span, Word, nearness, tokens, words},
};
use crate::plan::{BoundBy, Source};

/// How many figures of a question are looked at. With more than that it is not a question but a
/// table, and comparing each with each would take its time.
const FIGURES: usize = 16;

/// A question, read once for all tools.
pub(super) struct Question<'q> {
    pub(super) text: &'q str,
    pub(super) words: Vec<Word>,
    pub(super) tokens: Vec<(&'q str, Span)>,
    pub(super) quantities: Vec<Quantity>,
    pub(super) dates: Vec<Day>,
    quoted: OnceCell<Vec<(&'q str, Span)>>,
}

impl<'q> Question<'q> {
    pub(super) fn new(text: &'q str) -> Self {
        let dates = dates(text);
        let mut quantities = quantities(text);
        quantities.retain(|quantity| !dates.iter().any(|day| day.span.overlaps(quantity.span)));
        quantities.truncate(FIGURES);
        let (words, tokens) = (words(text), tokens(text));
        Self { text, words, tokens, quantities, dates, quoted: OnceCell::new() }
    }

    /// What stands between quotation marks, and tokens that are paths.
    pub(super) fn quoted(&self) -> &[(&'q str, Span)] {
        self.quoted.get_or_init(|| {
            let mut found = quotations(self.text);
            let mut ends = found.iter().map(|(_, span)| *span).collect::<Vec<_>>();
            for (token, span) in &self.tokens {
                if looks_like_path(token) && !ends.iter().any(|end| end.overlaps(*span)) {
                    found.push((token, *span));
                    ends.push(*span);
                }
            }
            found.sort_by_key(|(_, span)| span.start);
            found
        })
    }

    /// The words at `span`.
    pub(super) fn at(&self, span: Span) -> Place<'q> {
        Place { text: self.text.get(span.start..span.end).unwrap_or_default(), span }
    }

    /// How many words lie between `span` and the nearest word that names `slot`.
    pub(super) fn distance(&self, span: Span, slot: &Slot<'_>) -> usize {
        let place = |at: usize| self.words.iter().filter(|word| word.span.end <= at).count();
        let (first, last) = (place(span.start), place(span.end));
        let naming = self.words.iter().enumerate().filter(|(_, word)| {
            !word.span.overlaps(span)
                && slot.stems.iter().any(|stem| nearness(stem, &word.stem) > 0.0)
        });
        let gaps = naming.map(|(index, _)| {
            if index < first { first - index } else { (index + 1).saturating_sub(last) }
        });
        gaps.min().unwrap_or(FAR)
    }
}

/// A stretch of the question with its words.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'q> {
    text: &'q str,
    span: Span,
}

/// The distance to a word that is not there.
pub(super) const FAR: usize = 1_000;

pub(super) fn looks_like_path(token: &str) -> bool {
    let rooted = ["/", "./", "../", "~/"].iter().any(|root| token.starts_with(root));
    let inner = token.contains('/') && !token.contains("//");
    let units = ["km/h", "m/s", "mi/h", "and/or"].contains(&token.to_lowercase().as_str());
    let named = token.rsplit_once('.').is_some_and(|(stem, ending)| {
        !stem.is_empty()
            && (1..=5).contains(&ending.len())
            && ending.chars().all(|c| c.is_ascii_alphanumeric())
            && ending.chars().any(|c| c.is_ascii_alphabetic())
            && stem.chars().any(|c| c.is_ascii_alphabetic())
    });
    token.len() > 1 && (rooted || inner || named) && !units
}

fn quotations(text: &str) -> Vec<(&str, Span)> {
    const PAIRS: [(char, char); 5] = [('"', '"'), ('`', '`'), ('“', '”'), ('‘', '’'), ('\'', '\'')];
    let mut found = Vec::new();
    let mut at = 0;
    while let Some((start, open)) = text
        .get(at..)
        .and_then(|rest| rest.char_indices().find(|(_, c)| PAIRS.iter().any(|(o, _)| o == c)))
    {
        let start = at + start;
        let inner = start + open.len_utf8();
        at = inner;
        // An apostrophe inside a word opens nothing.
        let glued = text
            .get(..start)
            .and_then(|left| left.chars().next_back())
            .is_some_and(char::is_alphanumeric);
        let close = PAIRS.iter().find(|(o, _)| *o == open).map_or(open, |(_, close)| *close);
        let end = text.get(inner..).and_then(|rest| rest.find(close)).map(|length| inner + length);
        if let Some(end) = end.filter(|_| !glued)
            && let Some(quoted) = text.get(inner..end)
        {
            at = end + close.len_utf8();
            found.push((quoted, Span { start, end: at }));
        }
    }
    found
}

/// A value for an argument.
#[derive(Clone, Debug)]
pub(super) struct Bound {
    pub(super) slot: usize,
    pub(super) value: Value,
    pub(super) source: Source,
    pub(super) by: BoundBy,
    pub(super) conversion: Option<String>,
}

/// An argument that the question speaks of without settling it.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    pub(super) slot: usize,
    pub(super) message: String,
    pub(super) allowed: Vec<String>,
}

/// What came of reading one question for one tool.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) bound: Vec<Bound>,
    pub(super) problems: Vec<Problem>,
    /// The stretches of the question that arguments took whole: figures, identifiers, quotations.
    pub(super) taken: Vec<Span>,
    /// The words that named an allowed value; they still speak for or against a tool.
    pub(super) naming: Vec<Span>,
}

impl Reading {
    pub(super) fn is_bound(&self, slot: usize) -> bool {
        self.bound.iter().any(|bound| bound.slot == slot)
    }

    pub(super) fn is_settled(&self, slot: usize) -> bool {
        self.is_bound(slot) || self.problems.iter().any(|problem| problem.slot == slot)
    }

    pub(super) fn is_free(&self, span: Span) -> bool {
        !self.taken.iter().chain(&self.naming).any(|taken| taken.overlaps(span))
    }

    /// Binds `value` and takes its place in the question.
    pub(super) fn bind(&mut self, slot: usize, value: Value, by: BoundBy, place: Place<'_>) {
        let source = Source { text: place.text.to_owned(), start: Some(place.span.start) };
        self.bound.push(Bound { slot, value, source, by, conversion: None });
        self.taken.push(place.span);
    }
}
