//! Which texts hold which short ones, all of them in one go.
use std::collections::HashMap;

use aho_corasick::{AhoCorasick, Input};

use super::work::{STEP, Work};

/// Who wrote a text.
#[derive(Clone, Copy)]
pub(super) enum In {
    /// What the person asks now.
    Words,
    /// What the person asked before.
    Earlier,
    Operator,
    /// The source of this number.
    Source(usize),
}

/// Where something stands.
#[derive(Clone, Copy, Default)]
pub(super) struct Found {
    pub(super) words: bool,
    pub(super) earlier: bool,
    pub(super) operator: bool,
    /// The first source that holds it.
    pub(super) source: Option<usize>,
}

impl Found {
    pub(super) const fn by_person(self) -> bool {
        self.words || self.earlier
    }

    pub(super) fn add(&mut self, place: In) {
        match place {
            In::Words => self.words = true,
            In::Earlier => self.earlier = true,
            In::Operator => self.operator = true,
            In::Source(number) => self.source = self.source.or(Some(number)),
        }
    }
}

/// Short texts that are looked for.
#[derive(Default)]
pub(super) struct Needles {
    ids: HashMap<String, usize>,
    found: Vec<Found>,
}

/// The same, ready to look.
pub(super) struct Search {
    needles: Needles,
    automaton: Option<AhoCorasick>,
}

impl Needles {
    /// Looks for `text` from now on.
    pub(super) fn want(&mut self, text: &str) {
        let next = self.found.len();
        if !text.is_empty() && *self.ids.entry(text.to_owned()).or_insert(next) == next {
            self.found.push(Found::default());
        }
    }

    pub(super) fn ready(self) -> Search {
        let mut texts = vec![""; self.found.len()];
        for (text, id) in &self.ids {
            if let Some(place) = texts.get_mut(*id) {
                *place = text;
            }
        }
        let automaton = if texts.is_empty() { None } else { AhoCorasick::new(texts).ok() };
        Search { automaton, needles: self }
    }
}

impl Search {
    /// Where `text` stands.
    pub(super) fn found(&self, text: &str) -> Found {
        let id = self.needles.ids.get(text);
        id.and_then(|id| self.needles.found.get(*id)).copied().unwrap_or_default()
    }

    /// Finds all of them in `text`; false if that was too much.
    pub(super) fn look(&mut self, text: &str, place: In, work: &mut Work) -> bool {
        if self.needles.found.is_empty() {
            return true;
        }
        // What was not looked for is not there: so this says that it did not look.
        let Some(automaton) = &self.automaton else { return false };
        let longest = self.needles.ids.keys().map(String::len).max().unwrap_or(0);
        let (mut from, step) = (0, longest.max(STEP));
        while from < text.len() {
            // Pieces that overlap by as much as may stand across their borders.
            let to = from.saturating_add(step).saturating_add(longest).min(text.len());
            if !work.take(to - from) {
                return false;
            }
            for hit in automaton.find_overlapping_iter(Input::new(text).range(from..to)) {
                if !work.take(8) {
                    return false;
                }
                if let Some(found) = self.needles.found.get_mut(hit.pattern().as_usize()) {
                    found.add(place);
                }
            }
            from += step;
        }
        true
    }
}
