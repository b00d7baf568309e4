//! Text on rows of a given width.
use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::style::{Row, Span, Style};

/// How many columns a text takes at most. Terminals differ about clusters of several characters, so
/// the larger of both ways to count is taken: a row must never be longer than thought.
pub(crate) fn width(text: &str) -> usize {
    clusters_of(text).map(|(_, width)| width).sum()
}

/// What a person sees as one character each, and its width.
pub(crate) fn clusters_of(text: &str) -> impl Iterator<Item = (&str, usize)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        // Most text is ASCII, where it needs no tables.
        let cluster = match rest.as_bytes() {
            [] => return None,
            [b' '..=b'~' | b'\n'] | [b' '..=b'~' | b'\n', b'\0'..=b'\x7f', ..] => rest.get(..1)?,
            _ => rest.graphemes(true).next()?,
        };
        rest = rest.get(cluster.len()..)?;
        let width = if cluster.len() == 1 { 1 } else { cluster_width(cluster) };
        Some((cluster, width))
    })
}

fn cluster_width(cluster: &str) -> usize {
    let each: usize = cluster.chars().map(|c| c.width().unwrap_or(0)).sum();
    each.max(cluster.width())
}

/// What a person sees as one character.
struct Cluster<'a> {
    text: &'a str,
    style: Style,
    width: usize,
}

impl Cluster<'_> {
    fn is_space(&self) -> bool {
        self.text == " "
    }

    fn is_break(&self) -> bool {
        self.text == "\n"
    }
}

fn clusters(spans: &[Span]) -> Vec<Cluster<'_>> {
    #[cfg(test)]
    laid_out::count(spans);
    let each = spans.iter().flat_map(|span| {
        let style = span.style;
        clusters_of(&span.text).map(move |(text, width)| Cluster { text, style, width })
    });
    each.collect()
}

/// How much text was put on rows, for tests of what drawing costs.
#[cfg(test)]
pub(crate) mod laid_out {
    use std::cell::Cell;

    use super::Span;

    thread_local!(static BYTES: Cell<usize> = const { Cell::new(0) });

    pub(super) fn count(spans: &[Span]) {
        let more: usize = spans.iter().map(|span| span.text.len()).sum();
        BYTES.set(BYTES.get() + more);
    }

    /// The bytes since it was asked for last, in this thread.
    pub(crate) fn bytes() -> usize {
        BYTES.take()
    }
}

/// Rows of at most `width` columns, broken between words where that is possible. A line break in
/// the text is one on the screen.
pub(crate) fn wrap(spans: &[Span], width: usize) -> Vec<Row> {
    let clusters = clusters(spans);
    let mut rows = Vec::new();
    let (mut start, mut at, mut used) = (0, 0, 0);
    let mut may_break = None;
    while let Some(cluster) = clusters.get(at) {
        if cluster.is_break() {
            rows.push(row(clusters.get(start..at), true));
            (start, at, used, may_break) = (at + 1, at + 1, 0, None);
        } else if used + cluster.width > width && at > start {
            if cluster.is_space() {
                rows.push(row(clusters.get(start..at), true));
                while clusters.get(at).is_some_and(Cluster::is_space) {
                    at += 1;
                }
                (start, used) = (at, 0);
            } else {
                let end = may_break.unwrap_or(at);
                rows.push(row(clusters.get(start..end), true));
                let rest = clusters.get(end..at).unwrap_or_default();
                (start, used) = (end, rest.iter().map(|cluster| cluster.width).sum());
            }
            may_break = None;
        } else {
            used += cluster.width;
            at += 1;
            // Scripts with wide characters have no spaces to break at.
            if cluster.is_space() || cluster.width > 1 {
                may_break = Some(at);
            }
        }
    }
    if start < clusters.len() || rows.is_empty() {
        rows.push(row(clusters.get(start..), true));
    }
    rows
}

/// Rows of at most `width` columns, broken wherever they are full, with every space kept.
pub(crate) fn chop(text: &str, style: Style, width: usize) -> Vec<Row> {
    let spans = [Span::new(text, style)];
    let clusters = clusters(&spans);
    let (mut rows, mut start, mut used) = (Vec::new(), 0, 0);
    for (at, cluster) in clusters.iter().enumerate() {
        if used + cluster.width > width && at > start {
            rows.push(row(clusters.get(start..at), false));
            (start, used) = (at, 0);
        }
        used += cluster.width;
    }
    rows.push(row(clusters.get(start..), false));
    rows
}

fn row(clusters: Option<&[Cluster<'_>]>, trim: bool) -> Row {
    let mut clusters = clusters.unwrap_or_default();
    while let [rest @ .., last] = clusters
        && trim
        && last.is_space()
    {
        clusters = rest;
    }
    let mut row: Row = Vec::new();
    for cluster in clusters {
        match row.last_mut() {
            Some(span) if span.style == cluster.style => span.text.push_str(cluster.text),
            Some(_) | None => row.push(Span::new(cluster.text, cluster.style)),
        }
    }
    row
}

/// How many columns the row takes.
pub(crate) fn row_width(row: &[Span]) -> usize {
    row.iter().map(|span| width(&span.text)).sum()
}

/// Tabs as spaces, to stops of four columns.
pub(crate) fn without_tabs(text: &str) -> String {
    if !text.contains('\t') {
        return text.to_owned();
    }
    let (mut out, mut column) = (String::with_capacity(text.len() + 8), 0);
    for c in text.chars() {
        if c == '\t' {
            let spaces = 4 - column % 4;
            out.extend(std::iter::repeat_n(' ', spaces));
            column += spaces;
        } else {
            out.push(c);
            column += c.width().unwrap_or(0);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapped(text: &str, columns: usize) -> Vec<String> {
        let rows = wrap(&[Span::new(text, Style::PLAIN)], columns);
        rows.iter().map(|row| row.iter().map(|span| span.text.as_str()).collect()).collect()
    }

    #[test]
    fn words_go_to_the_next_row_whole_where_they_fit() {
        for (text, columns, expected) in [
            ("", 10, vec![""]),
            ("one two three", 8, vec!["one two", "three"]),
            ("one  two", 4, vec!["one", "two"]),
            ("abcdefghij", 4, vec!["abcd", "efgh", "ij"]),
            ("ab cdefghij", 4, vec!["ab", "cdef", "ghij"]),
            ("one\ntwo\n", 8, vec!["one", "two"]),
            ("漢字漢字", 5, vec!["漢字", "漢字"]),
            ("exactly ten", 7, vec!["exactly", "ten"]),
        ] {
            assert_eq!(wrapped(text, columns), expected, "{text:?}");
        }
    }
}
