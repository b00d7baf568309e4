//! The rules that fill arguments, strongest first.
use regex::RegexBuilder;
use serde_json::{Number, Value};

use super::{
    bind::{FAR, Problem, Question, Reading, looks_like_path},
    choices::{Named, named},
    described::told,
    quantities::{Quantity, Unit, round},
    slots::{Kind, Slot, plain},
    words::{Span, is_stop_word, nearness},
};
use crate::plan::BoundBy;

/// The largest compiled size of a schema's pattern, in bytes; a larger one is not scanned for.
const PATTERN_BYTES: usize = 1 << 20;

/// Reads `question` for the arguments in `slots` that `reading` has not settled yet.
pub(super) fn read(question: &Question<'_>, slots: &[Slot<'_>], reading: &mut Reading) {
    for (index, slot) in slots.iter().enumerate() {
        if let Kind::Constant(value) = slot.kind
            && slot.required
            && !reading.is_settled(index)
        {
            let none = Span { start: 0, end: 0 };
            reading.bind(index, value.clone(), BoundBy::Constant, question.at(none));
        }
    }
    assignments(question, slots, reading);
    each(slots, reading, |index, slot, reading| choice(question, index, slot, reading));
    days(question, slots, reading);
    each(slots, reading, |index, slot, reading| pattern(question, index, slot, reading));
    super::texts::quotations(question, slots, reading);
    super::figures::figures(question, slots, reading);
    each(slots, reading, |index, slot, reading| flag(question, index, slot, reading));
}

fn each(
    slots: &[Slot<'_>],
    reading: &mut Reading,
    mut rule: impl FnMut(usize, &Slot<'_>, &mut Reading),
) {
    for (index, slot) in slots.iter().enumerate() {
        if !reading.is_settled(index) {
            rule(index, slot, reading);
        }
    }
}

/// `window_hours=48`, `weather_data.temp_c: 38`.
fn assignments(question: &Question<'_>, slots: &[Slot<'_>], reading: &mut Reading) {
    for piece in question.text.split_whitespace() {
        let start = piece.as_ptr().addr() - question.text.as_ptr().addr();
        let Some((name, written)) = piece.split_once('=') else { continue };
        let written = written.trim_end_matches([',', ';', '?', '.']).trim_matches(['"', '\'']);
        let of_name = |slot: &Slot<'_>| slot.dotted() == name || slot.name() == name;
        let Some(index) = slots.iter().position(of_name) else { continue };
        let Some(slot) = slots.get(index) else { continue };
        if reading.is_settled(index) || written.is_empty() {
            continue;
        }
        match supplied(slot, written) {
            Ok((value, conversion)) => {
                let span = Span { start, end: start + piece.len() };
                reading.bind(index, value, BoundBy::Named, question.at(span));
                if let Some(bound) = reading.bound.last_mut() {
                    bound.conversion = conversion;
                }
            }
            Err(message) => {
                reading.problems.push(Problem { slot: index, message, allowed: slot.allowed() });
            }
        }
    }
}

fn choice(question: &Question<'_>, index: usize, slot: &Slot<'_>, reading: &mut Reading) {
    let Kind::Choice(values) = &slot.kind else { return };
    match told(values, slot.description, (&question.tokens, &question.words)) {
        Named::Nothing => {}
        Named::Several(several) => {
            let allowed: Vec<String> = several.into_iter().map(plain).collect();
            let message = format!("the question could mean {}", allowed.join(" or "));
            reading.problems.push(Problem { slot: index, message, allowed });
        }
        Named::One(value, spans) => {
            let start = spans.iter().map(|span| span.start).min().unwrap_or(0);
            let end = spans.iter().map(|span| span.end).max().unwrap_or(0);
            let value = if slot.many { Value::Array(vec![value.clone()]) } else { value.clone() };
            reading.bind(index, value, BoundBy::AllowedValue, question.at(Span { start, end }));
            // Only the words themselves are used up, and they still count for routing.
            reading.taken.pop();
            reading.naming.extend(spans);
        }
    }
}

fn days(question: &Question<'_>, slots: &[Slot<'_>], reading: &mut Reading) {
    let wants = |slot: &Slot<'_>, has_time: bool| match slot.kind {
        Kind::Date => !has_time,
        Kind::DateTime => has_time,
        Kind::Number { .. }
        | Kind::Text { .. }
        | Kind::Choice(_)
        | Kind::Flag
        | Kind::Constant(_)
        | Kind::Other => false,
    };
    for has_time in [false, true] {
        let found: Vec<_> = question.dates.iter().filter(|day| day.has_time == has_time).collect();
        let mut open: Vec<usize> = (0..slots.len())
            .filter(|&index| {
                slots.get(index).is_some_and(|slot| wants(slot, has_time))
                    && !reading.is_settled(index)
            })
            .collect();
        // With fewer dates than arguments, the words beside a date say which it is.
        let by_order = found.len() >= open.len();
        for day in found {
            let nearest = open.iter().copied().min_by_key(|&index| {
                let gap = slots.get(index).map_or(FAR, |slot| question.distance(day.span, slot));
                let required = slots.get(index).is_some_and(|slot| slot.required);
                (if by_order { 0 } else { gap }, !required)
            });
            let Some(index) = nearest else { break };
            open.retain(|&other| other != index);
            let value = Value::String(day.written.clone());
            reading.bind(index, value, BoundBy::Date, question.at(day.span));
        }
    }
}

/// A token that has the form the pattern demands. Tokens with letters and digits come first; an
/// ordinary word counts only if the pattern is narrow enough to leave ordinary words out.
fn pattern(question: &Question<'_>, index: usize, slot: &Slot<'_>, reading: &mut Reading) {
    let Kind::Text { pattern: Some(pattern) } = slot.kind else { return };
    let whole = format!("^(?:{pattern})$");
    let Ok(form) = RegexBuilder::new(&whole).size_limit(PATTERN_BYTES).build() else { return };
    let narrow = !["transformer", "What", "outage", "is"].iter().any(|word| form.is_match(word));
    let mut best_rank = 0;
    let mut best: Vec<(String, Span)> = Vec::new();
    for (token, span) in &question.tokens {
        let is_figure =
            question.quantities.iter().any(|q| q.unit.is_some() && q.span.overlaps(*span));
        if is_figure || !reading.is_free(*span) {
            continue;
        }
        let rank = rank(token, narrow);
        let Some(value) = formed(&form, token).filter(|_| rank > 0 && rank >= best_rank) else {
            continue;
        };
        if rank > best_rank {
            best.clear();
            best_rank = rank;
        }
        if !best.iter().any(|(known, _)| *known == value) {
            best.push((value, *span));
        }
    }
    if slot.many && !best.is_empty() {
        let members = best.into_iter().map(|(value, span)| (Value::String(value), span)).collect();
        super::texts::bind_all(question, index, members, BoundBy::Pattern, reading);
        return;
    }
    match best.as_slice() {
        [] => {}
        [(value, span)] => {
            reading.bind(index, Value::String(value.clone()), BoundBy::Pattern, question.at(*span));
            note_respelling(reading);
        }
        several => {
            let allowed: Vec<String> = several.iter().map(|(value, _)| value.clone()).collect();
            let message = format!("the question names {}", allowed.join(" and "));
            reading.problems.push(Problem { slot: index, message, allowed });
            reading.taken.extend(several.iter().map(|(_, span)| *span));
        }
    }
}

fn note_respelling(reading: &mut Reading) {
    if let Some(bound) = reading.bound.last_mut()
        && bound.value.as_str() != Some(&bound.source.text)
    {
        bound.conversion = Some(format!("`{}` read as {}", bound.source.text, bound.value));
    }
}

/// The token as the pattern wants it: as written, or in capitals if it is an identifier.
fn formed(form: &regex::Regex, token: &str) -> Option<String> {
    let digits = token.chars().any(|c| c.is_ascii_digit());
    let upper = token.to_uppercase();
    if form.is_match(token) {
        Some(token.to_owned())
    } else if digits && form.is_match(&upper) {
        Some(upper)
    } else {
        None
    }
}

fn rank(token: &str, narrow: bool) -> u8 {
    let digits = token.chars().any(|c| c.is_ascii_digit());
    let letters = token.chars().any(char::is_alphabetic);
    let joined = token.contains(['_', '-']);
    let capitals = token.chars().filter(|c| c.is_uppercase()).count() > 1;
    match (digits, letters) {
        (true, true) => 4,
        (true, false) if joined => 3,
        (true, false) => u8::from(narrow),
        (false, _) if capitals => 2,
        (false, _) => u8::from(narrow && !is_stop_word(&token.to_lowercase())),
    }
}

/// `as a data URI` for `data_uri`; a negation just before it makes it false.
fn flag(question: &Question<'_>, index: usize, slot: &Slot<'_>, reading: &mut Reading) {
    if !matches!(slot.kind, Kind::Flag) || slot.many {
        return;
    }
    let telling: Vec<&String> = slot.stems.iter().filter(|stem| !is_stop_word(stem)).collect();
    let words = &question.words;
    let length = telling.len();
    if length == 0 {
        return;
    }
    let same = |start: usize| {
        telling.iter().enumerate().all(|(offset, stem)| {
            words.get(start + offset).is_some_and(|word| nearness(stem, &word.stem) >= 1.0)
        })
    };
    let Some(start) = (0..words.len()).find(|&start| same(start)) else { return };
    let (Some(first), Some(last)) = (words.get(start), words.get(start + length - 1)) else {
        return;
    };
    let negated = words
        .iter()
        .take(start)
        .skip(start.saturating_sub(3))
        .any(|word| matches!(word.stem.as_str(), "no" | "not" | "without" | "dont"));
    let span = Span { start: first.span.start, end: last.span.end };
    if reading.is_free(span) {
        reading.bind(index, Value::Bool(!negated), BoundBy::Words, question.at(span));
    }
}

/// A value typed for one argument.
pub(super) fn supplied(slot: &Slot<'_>, text: &str) -> Result<(Value, Option<String>), String> {
    let text = text.trim();
    if !slot.many {
        return one(slot, text);
    }
    let mut values = Vec::new();
    for piece in text.split(',').map(str::trim).filter(|piece| !piece.is_empty()) {
        values.push(one(slot, piece)?.0);
    }
    Ok((Value::Array(values), None))
}

fn one(slot: &Slot<'_>, text: &str) -> Result<(Value, Option<String>), String> {
    let question = Question::new(text);
    match &slot.kind {
        Kind::Number { .. } => match question.quantities.as_slice() {
            [quantity] => number(slot, quantity, text),
            _ => Err(format!("`{text}` is not one number")),
        },
        Kind::Choice(values) => match named(values, &question.tokens, &question.words) {
            Named::One(value, _) => Ok((value.clone(), None)),
            Named::Nothing => Err(format!("`{text}` is none of the allowed values")),
            Named::Several(_) => Err(format!("`{text}` could mean several of the allowed values")),
        },
        Kind::Flag => match text.to_lowercase().as_str() {
            "yes" | "y" | "true" | "on" | "1" => Ok((Value::Bool(true), None)),
            "no" | "n" | "false" | "off" | "0" => Ok((Value::Bool(false), None)),
            _ => Err(format!("`{text}` is neither yes nor no")),
        },
        Kind::Date | Kind::DateTime => match question.dates.as_slice() {
            [day] if day.has_time == matches!(slot.kind, Kind::DateTime) => {
                Ok((Value::String(day.written.clone()), None))
            }
            _ => Err(format!("`{text}` is not {}", slot.constraint())),
        },
        Kind::Text { .. } => Ok((Value::String(text.to_owned()), None)),
        Kind::Constant(value) => Ok(((*value).clone(), None)),
        Kind::Other => {
            serde_json::from_str(text).map(|value| (value, None)).map_err(|error| error.to_string())
        }
    }
}

/// A figure as the argument's number, with the conversion in words if there was one.
pub(super) fn number(
    slot: &Slot<'_>,
    quantity: &Quantity,
    written: &str,
) -> Result<(Value, Option<String>), String> {
    let (value, conversion) = match (quantity.unit, slot.unit) {
        (Some(given), Some(wanted)) if given.dimension == wanted.dimension => {
            converted(quantity, given, wanted)
        }
        (Some(given), _) => {
            return Err(format!("`{written}` is in {}, which does not fit", given.symbol));
        }
        (None, Some(wanted)) if quantity.degrees => {
            (quantity.value, Some(format!("{written} taken as {}", wanted.symbol)))
        }
        (None, _) => (quantity.value, None),
    };
    let whole = value.fract() == 0.0 && value.abs() < 9e15;
    if matches!(slot.kind, Kind::Number { integer: true, .. }) && !whole {
        return Err(format!("{value} is not a whole number"));
    }
    let number = if whole { Some(Number::from(value as i64)) } else { Number::from_f64(value) };
    number
        .map(|number| (Value::Number(number), conversion))
        .ok_or_else(|| format!("`{written}` is not a number"))
}

fn converted(quantity: &Quantity, given: &Unit, wanted: &Unit) -> (f64, Option<String>) {
    if given.symbol == wanted.symbol {
        return (quantity.value, None);
    }
    let value = round(given.convert(quantity.value, wanted));
    let said = format!("{} {} = {value} {}", quantity.value, given.symbol, wanted.symbol);
    (value, Some(said))
}

/// Whether `token` may be bound to `slot` as a path, or as any other text.
pub(super) fn suits(slot: &Slot<'_>, token: &str, is_quoted: bool) -> bool {
    if slot.is_path() { looks_like_path(token) || is_quoted } else { is_quoted }
}
