//! How well each tool fits a question.
use std::collections::HashSet;

use super::{
    bind::{Question, Reading},
    fill,
    route::Index,
    slots::{Shape, shape},
    words::{Word, is_change, is_stop_word},
};
use crate::{
    conversation::ToolSpec,
    plan::{Candidate, SuppliedValue},
};

/// What each filled share of the required arguments adds to BM25.
const FILLED: f64 = 3.0;
/// The share of a tool that requires nothing: neither for nor against it.
const NOTHING_REQUIRED: f64 = 0.5;
/// How much a word that named an allowed value still counts for routing. Less than others, because
/// every tool with the same argument took it.
const NAMING: f64 = 0.3;
/// The floor. BM25 grows with the number of tools, so the floor is low and the share of the
/// question that a tool can account for does most of the work.
const LEAST_SCORE: f64 = 0.3;
/// The least share of the question's meaningful words that a tool must account for.
const LEAST_COVERAGE: f64 = 0.6;
/// The same if every required argument is filled.
const LEAST_COVERAGE_FILLED: f64 = 0.34;

/// A tool read against a question.
pub(super) struct Weighed<'t> {
    pub(super) tool: &'t ToolSpec,
    pub(super) shape: Shape<'t>,
    pub(super) reading: Reading,
    /// BM25 alone.
    pub(super) relevance: f64,
    pub(super) candidate: Candidate,
}

/// Reads `question` against every tool; the best come first, and tools of equal weight in their
/// given order.
pub(super) fn weigh<'t>(
    question: &Question<'_>,
    tools: &'t [ToolSpec],
    supplied: &[SuppliedValue],
) -> Vec<Weighed<'t>> {
    let index = Index::new(tools, &question.words);
    let mut weighed: Vec<Weighed<'t>> = tools
        .iter()
        .enumerate()
        .map(|(number, tool)| one(question, (number, tool), &index, supplied))
        .collect();
    weighed.sort_by(|a, b| {
        let (a, b) = (&a.candidate, &b.candidate);
        b.fits.cmp(&a.fits).then(b.score.total_cmp(&a.score))
    });
    weighed
}

fn one<'t>(
    question: &Question<'_>,
    (number, tool): (usize, &'t ToolSpec),
    index: &Index,
    supplied: &[SuppliedValue],
) -> Weighed<'t> {
    let shape = shape(&tool.input_schema);
    let mut reading = Reading::default();
    super::propose::take_supplied(&shape, &tool.name, supplied, &mut reading);
    fill::read(question, &shape.slots, &mut reading);

    let meaningful = meaningful(question, &reading);
    let query: Vec<(&str, f64)> = meaningful
        .iter()
        .map(|word| {
            let naming = reading.naming.iter().any(|span| span.overlaps(word.span));
            (word.stem.as_str(), if naming { NAMING } else { 1.0 })
        })
        .collect();
    let share = share(&shape, &reading);
    let relevance = index.score(number, &query);
    let score = FILLED.mul_add(share.unwrap_or(NOTHING_REQUIRED), relevance);

    let known: Vec<&&Word> =
        meaningful.iter().filter(|word| index.knows(number, &word.stem)).collect();
    let covered = known.len() + reading.taken.len();
    let coverage = covered as f64 / (meaningful.len() + reading.taken.len()).max(1) as f64;
    let needed = if share == Some(1.0) { LEAST_COVERAGE_FILLED } else { LEAST_COVERAGE };
    let fits = score >= LEAST_SCORE
        && coverage >= needed
        && meaningful.iter().any(|word| index.names(number, &word.stem))
        && !asks_for_another_change(&meaningful, number, index);
    let mut matched: Vec<String> = Vec::new();
    for word in known {
        let text =
            question.text.get(word.span.start..word.span.end).unwrap_or_default().to_lowercase();
        if !matched.contains(&text) {
            matched.push(text);
        }
    }
    let candidate = Candidate { tool: tool.name.clone(), title: title(tool), score, fits, matched };
    Weighed { tool, shape, reading, relevance, candidate }
}

/// The words of the question that carry meaning and were not used up as a value, each once.
fn meaningful<'q>(question: &'q Question<'_>, reading: &Reading) -> Vec<&'q Word> {
    let mut seen = HashSet::new();
    question
        .words
        .iter()
        .filter(|word| !is_stop_word(&word.stem))
        .filter(|word| !reading.taken.iter().any(|span| span.overlaps(word.span)))
        .filter(|word| seen.insert(word.stem.as_str()))
        .collect()
}

/// The share of required arguments that are filled; `None` if there are none.
fn share(shape: &Shape<'_>, reading: &Reading) -> Option<f64> {
    let required: Vec<usize> = (0..shape.slots.len())
        .filter(|&i| shape.slots.get(i).is_some_and(|s| s.required))
        .collect();
    let filled = required.iter().filter(|&&index| reading.is_bound(index)).count();
    (!required.is_empty()).then(|| filled as f64 / required.len() as f64)
}

/// Whether the question begins with a verb that asks for a change and the tool names no such
/// change: `delete` must never be answered by a tool that reads.
fn asks_for_another_change(meaningful: &[&Word], number: usize, index: &Index) -> bool {
    meaningful
        .first()
        .is_some_and(|first| is_change(&first.stem) && !index.knows(number, &first.stem))
}

/// A tool's title, or its name in words.
pub(super) fn title(tool: &ToolSpec) -> String {
    let name = tool.name.split_once("__").map_or(tool.name.as_str(), |(_, name)| name);
    tool.title.clone().unwrap_or_else(|| name.replace(['_', '-'], " "))
}

/// Tokens with digits that no argument took: the person should know that they were not used.
pub(super) fn unused(question: &Question<'_>, reading: &Reading) -> Vec<crate::plan::Source> {
    question
        .tokens
        .iter()
        .filter(|(token, span)| token.chars().any(|c| c.is_ascii_digit()) && reading.is_free(*span))
        .map(|(token, span)| crate::plan::Source {
            text: (*token).to_owned(),
            start: Some(span.start),
        })
        .collect()
}
