//! Which tool a question is about: BM25 over what the tools say of themselves.
use std::collections::HashMap;

use super::words::{SYNONYM, Word, groups, nearness, stems};
use crate::conversation::ToolSpec;

/// Saturation and length normalisation, the usual values (Robertson & Zaragoza 2009, "The
/// Probabilistic Relevance Framework: BM25 and Beyond", section 3.2).
const K1: f64 = 1.2;
const B: f64 = 0.75;
/// How many words of one tool are indexed, so that no server can drown the others in text.
const WORDS: usize = 600;

/// How much a word counts by where it stands (the weighted term frequency of BM25F, section 3.6 of
/// the same).
const NAME: f64 = 3.0;
const TITLE: f64 = 2.0;
const TEXT: f64 = 1.0;
const PARAMETER_TEXT: f64 = 0.5;

/// The tools as documents, read for the words of one question.
pub(super) struct Index {
    /// For every stem of the question, how often each tool says it or something near it.
    frequencies: HashMap<String, Vec<f64>>,
    documents: Vec<Document>,
    average_length: f64,
}

struct Document {
    /// Stems with the groups they stand in and their weights; a stem stands once.
    terms: Vec<(String, &'static [usize], f64)>,
    /// The stems of the name without the server, and of the title.
    names: Vec<String>,
    length: f64,
}

impl Index {
    pub(super) fn new(tools: &[ToolSpec], question: &[Word]) -> Self {
        let documents: Vec<Document> = tools.iter().map(Document::new).collect();
        let total: f64 = documents.iter().map(|document| document.length).sum();
        let count = documents.len().max(1) as f64;
        let mut frequencies: HashMap<String, Vec<f64>> = HashMap::new();
        for word in question {
            if !frequencies.contains_key(&word.stem) {
                let each = documents.iter().map(|document| document.frequency(&word.stem));
                frequencies.insert(word.stem.clone(), each.collect());
            }
        }
        Self { frequencies, documents, average_length: (total / count).max(1.0) }
    }

    /// BM25 of tool number `tool` for words with weights. Words that mean the same count as one
    /// term, a synonym with less weight than the word itself.
    pub(super) fn score(&self, tool: usize, query: &[(&str, f64)]) -> f64 {
        let Some(document) = self.documents.get(tool) else { return 0.0 };
        let relative_length = document.length / self.average_length;
        let damping = K1 * (1.0 - B + B * relative_length);
        let term = |&(stem, weight): &(&str, f64)| {
            let frequency = self.frequency(tool, stem);
            if frequency == 0.0 {
                return 0.0;
            }
            weight * self.rarity(stem) * frequency * (K1 + 1.0) / (frequency + damping)
        };
        query.iter().map(term).sum()
    }

    fn frequency(&self, tool: usize, stem: &str) -> f64 {
        self.frequencies.get(stem).and_then(|each| each.get(tool)).copied().unwrap_or(0.0)
    }

    /// The inverse document frequency, in the form that is never negative.
    fn rarity(&self, stem: &str) -> f64 {
        let each = self.frequencies.get(stem).map_or(&[][..], Vec::as_slice);
        let holding = each.iter().filter(|frequency| **frequency > 0.0).count() as f64;
        let count = self.documents.len() as f64;
        (1.0 + (count - holding + 0.5) / (holding + 0.5)).ln()
    }

    /// Whether the tool says anything near `stem`.
    pub(super) fn knows(&self, tool: usize, stem: &str) -> bool {
        self.frequency(tool, stem) > 0.0
    }

    /// Whether the tool's name or title holds a word near `stem`.
    pub(super) fn names(&self, tool: usize, stem: &str) -> bool {
        self.documents
            .get(tool)
            .is_some_and(|document| document.names.iter().any(|name| nearness(name, stem) > 0.0))
    }
}

impl Document {
    fn new(tool: &ToolSpec) -> Self {
        let (server, name) = tool.name.split_once("__").unwrap_or(("", &tool.name));
        let title = tool.title.as_deref().unwrap_or_default();
        let mut document = Self { terms: Vec::new(), names: stems(name), length: 0.0 };
        document.names.extend(stems(title));
        document.add(name, NAME);
        document.add(server, TEXT);
        document.add(title, TITLE);
        document.add(tool.description.as_deref().unwrap_or_default(), TEXT);
        for slot in super::slots::shape(&tool.input_schema).slots {
            for name in &slot.path {
                document.add(name, TEXT);
            }
            document.add(slot.description.unwrap_or_default(), PARAMETER_TEXT);
            for value in slot.allowed() {
                document.add(&value, TEXT);
            }
        }
        document
    }

    fn add(&mut self, text: &str, weight: f64) {
        for stem in stems(text) {
            if self.terms.len() >= WORDS {
                return;
            }
            if super::words::is_stop_word(&stem) {
                continue;
            }
            self.length += weight;
            match self.terms.iter_mut().find(|(known, ..)| *known == stem) {
                Some((.., sum)) => *sum += weight,
                None => {
                    let groups = groups(&stem);
                    self.terms.push((stem, groups, weight));
                }
            }
        }
    }

    /// How often the tool says `stem`, synonyms counted with their weight.
    fn frequency(&self, stem: &str) -> f64 {
        let own = groups(stem);
        let near = |(term, groups, weight): &(String, &'static [usize], f64)| {
            if term == stem {
                *weight
            } else if groups.iter().any(|group| own.contains(group)) {
                weight * SYNONYM
            } else {
                0.0
            }
        };
        self.terms.iter().map(near).sum()
    }
}
