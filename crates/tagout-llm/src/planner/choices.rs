//! Which of a closed set of values a question names.
use serde_json::Value;

use super::{
    slots::plain,
    words::{SYNONYM, Span, Word, is_stop_word, nearness, stems},
};

/// Where the question names a value, or why it cannot be told.
pub(super) enum Named<'s> {
    /// Nowhere.
    Nothing,
    /// One value, by these words.
    One(&'s Value, Vec<Span>),
    /// Several equally well.
    Several(Vec<&'s Value>),
}

/// A value is named by a whole token, or by at least half of its words, one of which no other value
/// has. The value with the largest share of its words wins.
pub(super) fn named<'s>(
    values: &[&'s Value],
    tokens: &[(&str, Span)],
    words: &[Word],
) -> Named<'s> {
    whole_token(values, tokens).unwrap_or_else(|| by_words(values, words))
}

/// A value that is named by at least half of its words.
pub(super) fn by_words<'s>(values: &[&'s Value], words: &[Word]) -> Named<'s> {
    let split: Vec<Vec<String>> = values.iter().map(|value| stems(&plain(value))).collect();
    let mut best: Vec<(&'s Value, Vec<Span>)> = Vec::new();
    let mut best_share = 0.5 - f64::EPSILON;
    for (number, (value, own)) in values.iter().zip(&split).enumerate() {
        let others = split.iter().enumerate().filter(|(other, _)| *other != number);
        let other_words: Vec<&String> = others.flat_map(|(_, words)| words).collect();
        let Some((share, spans)) = share(own, &other_words, words) else { continue };
        if share > best_share + 1e-9 {
            best.clear();
            best_share = share;
        }
        if share + 1e-9 >= best_share {
            best.push((value, spans));
        }
    }
    if best.len() > 1 {
        return Named::Several(best.into_iter().map(|(value, _)| value).collect());
    }
    best.pop().map_or(Named::Nothing, |(value, spans)| Named::One(value, spans))
}

/// A value that stands in the question as it is.
pub(super) fn whole_token<'s>(values: &[&'s Value], tokens: &[(&str, Span)]) -> Option<Named<'s>> {
    let mut found: Vec<(&'s Value, Span)> = Vec::new();
    for value in values {
        let text = plain(value);
        // A value that is an everyday word is left to the rule about words, which looks at stems.
        if is_stop_word(&text.to_lowercase()) {
            continue;
        }
        let same = |(token, _): &&(&str, Span)| token.eq_ignore_ascii_case(&text);
        if let Some((_, span)) = tokens.iter().find(same) {
            found.push((value, *span));
        }
    }
    if found.len() > 1 {
        return Some(Named::Several(found.into_iter().map(|(value, _)| value).collect()));
    }
    found.pop().map(|(value, span)| Named::One(value, vec![span]))
}

/// The share of a value's words that the question holds, and where.
fn share(own: &[String], others: &[&String], words: &[Word]) -> Option<(f64, Vec<Span>)> {
    let several = own.len() > 1;
    let mut sum = 0.0;
    let mut spans: Vec<Span> = Vec::new();
    let mut telling = false;
    for stem in own {
        let mut hit: Option<(f64, Span)> = None;
        for word in words.iter().filter(|word| !spans.contains(&word.span)) {
            let near = nearness(stem, &word.stem);
            // A single word is named by itself only: a synonym of one word proves too little.
            let enough = if several { SYNONYM } else { 1.0 };
            if near >= enough && hit.is_none_or(|(best, _)| near > best) {
                hit = Some((near, word.span));
            }
        }
        if let Some((near, span)) = hit {
            sum += near;
            spans.push(span);
            let digits = stem.chars().all(|c| c.is_ascii_digit());
            let long = stem.chars().count() >= if digits { 4 } else { 3 };
            telling |= long && near >= 1.0 && !others.contains(&stem) && !is_stop_word(stem);
        }
    }
    (telling && !own.is_empty()).then(|| (sum / own.len() as f64, spans))
}
