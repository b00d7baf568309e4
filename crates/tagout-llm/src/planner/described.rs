//! Which of a closed set of values a question describes: `half-hourly demand of England and Wales` in
//! place of `gb_2000`, where the argument's description says what each value is.
use serde_json::Value;

use super::{
    choices::{Named, by_words, whole_token},
    slots::plain,
    words::{Span, Word, is_stop_word, stems},
};

/// Words of a description that only one value has, and that the question has too, from which on that
/// value is meant.
const ENOUGH: usize = 2;

/// A value that the question names, or describes. Where the two differ, the description counts only if
/// it has the name's words as well.
pub(super) fn told<'s>(
    values: &[&'s Value],
    description: Option<&str>,
    (tokens, words): (&[(&str, Span)], &[Word]),
) -> Named<'s> {
    if let Some(exact) = whole_token(values, tokens) {
        return exact;
    }
    let by_name = by_words(values, words);
    let sections = sections(values, description.unwrap_or_default());
    let hits = hits(values, &sections, words);
    let Some(best) = best(&hits) else { return by_name };
    let has_hits = |at: &usize| hits.get(*at).is_some_and(|spans| !spans.is_empty());
    let with_hits: Vec<usize> = (0..values.len()).filter(has_hits).collect();
    let one = || match (values.get(best), hits.get(best)) {
        (Some(value), Some(spans)) => Named::One(value, spans.clone()),
        (_, _) => Named::Nothing,
    };
    let several = |of: &[usize]| {
        Named::Several(of.iter().filter_map(|at| values.get(*at).copied()).collect())
    };
    match by_name {
        Named::Nothing if with_hits.len() == 1 => one(),
        Named::Nothing => several(&with_hits),
        Named::One(value, spans) => {
            let at = values.iter().position(|other| *other == value).unwrap_or(best);
            let explains = |span: &Span| {
                let word = words.iter().find(|word| word.span == *span);
                let section = sections.get(best);
                word.zip(section).is_some_and(|(word, section)| section.contains(&word.stem))
            };
            match () {
                () if at == best => Named::One(value, spans),
                () if !has_hits(&at) && spans.iter().all(explains) => one(),
                () => several(&[at, best]),
            }
        }
        Named::Several(named) => {
            let is_named = values.get(best).is_some_and(|value| named.contains(value));
            if is_named && with_hits.len() == 1 { one() } else { Named::Several(named) }
        }
    }
}

/// What the description says of each value, as stems: what stands behind `VALUE:`, to the next one.
fn sections(values: &[&Value], description: &str) -> Vec<Vec<String>> {
    let places: Vec<_> = values
        .iter()
        .map(|value| {
            let mark = format!("{}:", plain(value));
            let starts = |at: &usize| {
                let before = description.get(..*at).and_then(|before| before.chars().next_back());
                before.is_none_or(|c| !c.is_alphanumeric() && c != '_')
            };
            let found = description.match_indices(&mark).map(|(at, _)| at).find(starts);
            found.map(|at| (at, at + mark.len()))
        })
        .collect();
    let section = |place: &Option<(usize, usize)>| {
        let Some((start, after)) = *place else { return Vec::new() };
        let next = places.iter().flatten().map(|(at, _)| *at).filter(|at| *at > start).min();
        stems(description.get(after..next.unwrap_or(description.len())).unwrap_or_default())
    };
    places.iter().map(section).collect()
}

/// For each value, where the question has words that are said of it and of no other.
fn hits(values: &[&Value], sections: &[Vec<String>], words: &[Word]) -> Vec<Vec<Span>> {
    let names: Vec<Vec<String>> = values.iter().map(|value| stems(&plain(value))).collect();
    let own = |at: usize, section: &[String]| {
        let elsewhere = |stem: &String| {
            let others = |all: &[Vec<String>]| {
                all.iter().enumerate().any(|(other, words)| other != at && words.contains(stem))
            };
            others(sections) || others(&names)
        };
        let mut spans = Vec::new();
        let mut seen: Vec<&str> = Vec::new();
        for word in words {
            let digits = word.stem.chars().all(|c| c.is_ascii_digit());
            let long = word.stem.chars().count() >= if digits { 4 } else { 3 };
            let telling = long && !is_stop_word(&word.stem) && !seen.contains(&word.stem.as_str());
            if telling && section.contains(&word.stem) && !elsewhere(&word.stem) {
                seen.push(&word.stem);
                spans.push(word.span);
            }
        }
        spans
    };
    sections.iter().enumerate().map(|(at, section)| own(at, section)).collect()
}

/// The value of which most is said, if that is enough and no other has as much.
fn best(hits: &[Vec<Span>]) -> Option<usize> {
    let most = hits.iter().map(Vec::len).max().filter(|most| *most >= ENOUGH)?;
    let mut with_most = hits.iter().enumerate().filter(|(_, spans)| spans.len() == most);
    let (at, _) = with_most.next()?;
    with_most.next().is_none().then_some(at)
}
