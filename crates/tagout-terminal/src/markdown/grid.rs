//! Tables: aligned, and as wide as the screen at most.
use crate::{
    style::{Row, Span, Style},
    wrap::{row_width, wrap},
};

/// Between two columns.
const GAP: usize = 3;
/// A column that is narrower shows nothing that anybody can read.
const NARROWEST: usize = 4;

/// Where the text of a column stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Alignment {
    #[default]
    Left,
    Centre,
    Right,
}

/// A table: its header, and rows that may have fewer cells than that, never more.
#[derive(Clone, Debug, Default)]
pub(crate) struct Grid {
    header: Vec<Row>,
    alignments: Vec<Alignment>,
    rows: Vec<Vec<Row>>,
    /// How wide its columns would be if there were room.
    natural: Vec<usize>,
    /// A part of it was drawn; columns and header stay as they were.
    begun: bool,
}

impl Grid {
    pub(crate) fn new(header: Vec<Row>, alignments: Vec<Alignment>) -> Self {
        let natural = header.iter().map(cell_width).collect();
        Self { header, alignments, natural, ..Self::default() }
    }

    pub(crate) fn columns(&self) -> usize {
        self.header.len()
    }

    pub(crate) fn push(&mut self, row: Vec<Row>) {
        if !self.begun {
            for (natural, cell) in self.natural.iter_mut().zip(&row) {
                *natural = (*natural).max(cell_width(cell));
            }
        }
        self.rows.push(row);
    }

    /// The rows that there are so far; those that come later go below them.
    pub(crate) fn draw(&mut self, width: usize) -> Vec<Row> {
        let rows = std::mem::take(&mut self.rows);
        let gaps = GAP * self.columns().saturating_sub(1);
        let available = width.saturating_sub(gaps);
        let out = if NARROWEST * self.columns() > available {
            self.records(&rows, width)
        } else {
            self.lines(&rows, &fitted(&self.natural, available))
        };
        self.begun = true;
        out
    }

    fn lines(&self, rows: &[Vec<Row>], widths: &[usize]) -> Vec<Row> {
        let rule = || {
            let parts: Vec<_> = widths.iter().map(|width| "─".repeat(*width)).collect();
            vec![Span::new(parts.join("─┼─"), Style::DIM)]
        };
        let mut out = Vec::new();
        if !self.begun && self.header.iter().any(|cell| !cell.is_empty()) {
            out.extend(self.line(&self.header, widths));
            out.push(rule());
        }
        let rows: Vec<_> = rows.iter().map(|row| self.line(row, widths)).collect();
        // A cell on several lines looks like several rows otherwise.
        let ruled = rows.iter().any(|row| row.len() > 1);
        for (n, row) in rows.into_iter().enumerate() {
            if ruled && n > 0 {
                out.push(rule());
            }
            out.extend(row);
        }
        out
    }

    fn line(&self, cells: &[Row], widths: &[usize]) -> Vec<Row> {
        let empty = Row::new();
        let cell = |n: usize| cells.get(n).unwrap_or(&empty);
        let wrapped: Vec<_> = widths.iter().enumerate().map(|(n, w)| wrap(cell(n), *w)).collect();
        let height = wrapped.iter().map(Vec::len).max().unwrap_or(0);
        let mut out = Vec::new();
        for at in 0..height {
            let mut row = Row::new();
            for (n, (lines, width)) in wrapped.iter().zip(widths).enumerate() {
                if n > 0 {
                    row.push(Span::new(" │ ", Style::DIM));
                }
                let text = lines.get(at).cloned().unwrap_or_default();
                let missing = width.saturating_sub(row_width(&text));
                let left = match self.alignments.get(n).copied().unwrap_or_default() {
                    Alignment::Left => 0,
                    Alignment::Centre => missing / 2,
                    Alignment::Right => missing,
                };
                let last = n + 1 == widths.len();
                let right = if last { 0 } else { missing - left };
                row.push(Span::new(" ".repeat(left), Style::PLAIN));
                row.extend(text);
                row.push(Span::new(" ".repeat(right), Style::PLAIN));
            }
            row.retain(|span| !span.text.is_empty());
            out.push(row);
        }
        out
    }

    /// For a screen that is too narrow for so many columns: a line for each cell, with its name.
    fn records(&self, rows: &[Vec<Row>], width: usize) -> Vec<Row> {
        let mut out = Vec::new();
        if rows.is_empty() && !self.begun {
            for name in &self.header {
                out.extend(wrap(name, width));
            }
        }
        for (n, cells) in rows.iter().enumerate() {
            if n > 0 || self.begun {
                out.push(Row::new());
            }
            for (name, cell) in self.header.iter().zip(cells) {
                let mut text = name.clone();
                text.push(Span::new(": ", Style::PLAIN));
                text.extend(cell.iter().cloned());
                out.extend(wrap(&text, width));
            }
        }
        out
    }
}

fn cell_width(cell: &Row) -> usize {
    wrap(cell, usize::MAX).iter().map(|row| row_width(row)).max().unwrap_or(0)
}

/// Widths that fit: the widest columns give way first.
fn fitted(natural: &[usize], available: usize) -> Vec<usize> {
    let natural: Vec<_> = natural.iter().map(|width| (*width).max(1)).collect();
    let with = |most: usize| natural.iter().map(move |width| (*width).min(most));
    let mut most = natural.iter().copied().max().unwrap_or(0).min(available);
    while most > NARROWEST && with(most).sum::<usize>() > available {
        most -= 1;
    }
    let mut widths: Vec<_> = with(most).collect();
    let mut left = available.saturating_sub(widths.iter().sum());
    for (width, natural) in widths.iter_mut().zip(&natural) {
        if *width < *natural && left > 0 {
            *width += 1;
            left -= 1;
        }
    }
    widths
}
