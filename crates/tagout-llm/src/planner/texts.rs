//! Quoted text and paths: the only free text that is taken from a question.
use serde_json::Value;

use super::{
    bind::{Problem, Question, Reading, looks_like_path},
    fill::suits,
    slots::{Kind, Slot},
    words::Span,
};
use crate::plan::{BoundBy, Source};

/// Gives quotations and paths to the text arguments that are still open: paths to arguments that
/// hold paths first, then in order, nearest name first.
pub(super) fn quotations(question: &Question<'_>, slots: &[Slot<'_>], reading: &mut Reading) {
    let mut open: Vec<usize> = slots
        .iter()
        .enumerate()
        .filter(|(index, slot)| {
            matches!(slot.kind, Kind::Text { .. }) && !reading.is_settled(*index)
        })
        .map(|(index, _)| index)
        .collect();
    for paths in [true, false] {
        let free: Vec<(&str, Span)> = question
            .quoted()
            .iter()
            .filter(|(text, span)| reading.is_free(*span) && looks_like_path(text) == paths)
            .copied()
            .collect();
        lists(question, slots, (&mut open, &free), reading);
        let free: Vec<_> = free.into_iter().filter(|(_, span)| reading.is_free(*span)).collect();
        for (text, span) in free {
            let is_quoted = question.text.get(span.start..span.end) != Some(text);
            let Some(index) = best(question, slots, &open, (text, span, is_quoted)) else {
                continue;
            };
            open.retain(|&other| other != index);
            let value = Value::String(text.to_owned());
            reading.bind(index, value, BoundBy::Quoted, question.at(span));
        }
    }
}

/// The argument that a quotation belongs to: one that holds paths if it is a path, one that must be
/// given, the one named nearest, the first.
fn best(
    question: &Question<'_>,
    slots: &[Slot<'_>],
    open: &[usize],
    (text, span, is_quoted): (&str, Span, bool),
) -> Option<usize> {
    let is_path = looks_like_path(text);
    open.iter()
        .copied()
        .filter_map(|index| slots.get(index).map(|slot| (index, slot)))
        .filter(|(_, slot)| suits(slot, text, is_quoted) && !slot.many)
        .min_by_key(|(index, slot)| {
            (slot.is_path() != is_path, !slot.required, question.distance(span, slot), *index)
        })
        .map(|(index, _)| index)
}

/// A list takes all that suit it, if no single argument is waiting for them.
fn lists(
    question: &Question<'_>,
    slots: &[Slot<'_>],
    (open, free): (&mut Vec<usize>, &[(&str, Span)]),
    reading: &mut Reading,
) {
    let single = |index: &usize| slots.get(*index).is_some_and(|slot| !slot.many && slot.required);
    if open.iter().any(single) {
        return;
    }
    let Some(index) = open
        .iter()
        .copied()
        .find(|&index| slots.get(index).is_some_and(|slot| slot.many && slot.required))
    else {
        return;
    };
    let Some(slot) = slots.get(index) else { return };
    let is_quoted = |text: &str, span: Span| question.text.get(span.start..span.end) != Some(text);
    let chosen: Vec<&(&str, Span)> =
        free.iter().filter(|(text, span)| suits(slot, text, is_quoted(text, *span))).collect();
    if chosen.is_empty() {
        return;
    }
    open.retain(|&other| other != index);
    let members =
        chosen.into_iter().map(|(text, span)| (Value::String((*text).to_owned()), *span)).collect();
    bind_all(question, index, members, BoundBy::Quoted, reading);
}

/// Binds a list whose members stand in several places.
pub(super) fn bind_all(
    question: &Question<'_>,
    index: usize,
    members: Vec<(Value, Span)>,
    by: BoundBy,
    reading: &mut Reading,
) {
    let (values, spans): (Vec<Value>, Vec<Span>) = members.into_iter().unzip();
    let texts: Vec<&str> =
        spans.iter().filter_map(|span| question.text.get(span.start..span.end)).collect();
    let source =
        Source { text: texts.join(", "), start: spans.iter().map(|span| span.start).min() };
    let value = Value::Array(values);
    reading.bound.push(super::bind::Bound { slot: index, value, source, by, conversion: None });
    reading.taken.extend(spans);
}

/// A problem with an argument that may take any value.
pub(super) const fn problem(slot: usize, message: String) -> Problem {
    Problem { slot, message, allowed: Vec::new() }
}
