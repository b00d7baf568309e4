//! Paragraphs, lists, quotes, code and tables, line by line.
//!
//! The rules are CommonMark's and those of GitHub's tables, with these differences, each so that
//! what was shown need not be taken back: a paragraph ends after some kilobytes, definitions of
//! references and HTML are text, and a list may be indented less than its item wants.
mod cells;

use super::{
    Grid,
    inline::spans,
    marker::{Fence, Marker, heading, indent, is_rule, underline},
};
use crate::{
    style::{Row, Span, Style},
    wrap::{chop, wrap},
};
use cells::{cells, columns};

/// A paragraph that is longer goes on as another.
const PARAGRAPH_BYTES: usize = 4_096;
/// A table that is longer is drawn in parts.
const TABLE_BYTES: usize = 65_536;
/// Lists and quotes in one another; deeper ones are text.
const DEPTH: usize = 12;
/// Columns that they leave, less than one label.
const ROOM: usize = 16;

/// Where a line stands.
#[derive(Clone, Debug)]
enum Container {
    Quote,
    Item {
        /// Columns before the marker.
        at: usize,
        /// Columns before what belongs to the item.
        inside: usize,
        label: String,
        /// The label was drawn.
        begun: bool,
    },
}

/// What is under way.
#[derive(Clone, Debug, Default)]
enum Leaf {
    #[default]
    Nothing,
    Paragraph(String),
    Code(Fence),
    Table {
        grid: Grid,
        bytes: usize,
    },
}

/// Takes lines, makes rows.
#[derive(Clone, Debug)]
pub(super) struct Blocks {
    width: usize,
    containers: Vec<Container>,
    leaf: Leaf,
    /// A blank line stands before what comes.
    blank: bool,
    begun: bool,
    rows: Vec<Row>,
}

impl Blocks {
    pub(super) fn new(width: usize) -> Self {
        let (containers, leaf, rows) = (Vec::new(), Leaf::Nothing, Vec::new());
        Self { width, containers, leaf, blank: false, begun: false, rows }
    }

    /// The rows that will not change.
    pub(super) fn take_rows(&mut self) -> Vec<Row> {
        std::mem::take(&mut self.rows)
    }

    /// How much of the text a preview draws again.
    pub(super) fn bytes(&self) -> usize {
        match &self.leaf {
            Leaf::Paragraph(words) => words.len(),
            Leaf::Nothing | Leaf::Code(_) | Leaf::Table { .. } => 0,
        }
    }

    /// How what is under way looks, below the rows that were taken, if `line` is all of its last line.
    pub(super) fn preview(&self, line: &str, continued: bool) -> Vec<Row> {
        if let Leaf::Table { .. } = self.leaf {
            return vec![[self.prefix_of_more(), vec![Span::new("…", Style::DIM)]].concat()];
        }
        let mut then = self.clone();
        if !line.is_empty() {
            then.line(line, continued);
        }
        then.end_leaf();
        then.rows
    }

    /// The end of the text.
    pub(super) fn finish(&mut self) {
        self.close_to(0);
        self.end_leaf();
    }

    /// A line, or with `continued` the next piece of one.
    pub(super) fn line(&mut self, line: &str, continued: bool) {
        if continued {
            return self.more(line);
        }
        let (matched, rest) = self.matched(line);
        if let Leaf::Code(fence) = &self.leaf
            && matched == self.containers.len()
        {
            let fence = *fence;
            return if fence.ends(rest) {
                self.end_leaf()
            } else {
                self.code_line(fence.inside(rest))
            };
        }
        if rest.trim().is_empty() {
            self.close_to(matched);
            self.end_leaf();
            self.blank = true;
            return;
        }
        if self.is_lazy(matched, rest) {
            return self.words(rest.trim_start());
        }
        self.close_to(matched);
        let rest = self.opened(rest);
        self.leaf_line(rest);
    }

    /// How many containers the line goes on with, and what is left of it.
    fn matched<'a>(&self, line: &'a str) -> (usize, &'a str) {
        let mut rest = line;
        for (n, container) in self.containers.iter().enumerate() {
            let spaces = indent(rest);
            let text = rest.get(spaces..).unwrap_or_default();
            rest = match container {
                Container::Quote => match text.strip_prefix('>').filter(|_| spaces <= 3) {
                    Some(quoted) => quoted.strip_prefix(' ').unwrap_or(quoted),
                    None => return (n, rest),
                },
                Container::Item { .. } if text.is_empty() => text,
                Container::Item { inside, .. } if spaces >= *inside => {
                    rest.get(*inside..).unwrap_or_default()
                }
                Container::Item { at, .. }
                    if spaces >= at + 2 && Marker::of(text).is_some() && !is_rule(text) =>
                {
                    text
                }
                Container::Item { .. } => return (n, rest),
            };
        }
        (self.containers.len(), rest)
    }

    /// Whether the line goes on with a paragraph without the signs that its containers want.
    fn is_lazy(&self, matched: usize, rest: &str) -> bool {
        let text = rest.trim_start();
        let opens = indent(rest) <= 3
            && (text.starts_with('>')
                || heading(text).is_some()
                || is_rule(text)
                || Fence::of(text, 0).is_some()
                || Marker::of(text).is_some());
        matches!(&self.leaf, Leaf::Paragraph(words) if !words.is_empty())
            && matched < self.containers.len()
            && !opens
    }

    /// Opens what the line opens; what is left of it.
    fn opened<'a>(&mut self, line: &'a str) -> &'a str {
        let mut rest = line;
        loop {
            let spaces = indent(rest);
            let text = rest.get(spaces..).unwrap_or_default();
            let paragraph = matches!(self.leaf, Leaf::Paragraph(_));
            if spaces > 3 || !self.has_room() {
                return rest;
            }
            if let Some(quoted) = text.strip_prefix('>') {
                self.begin();
                self.containers.push(Container::Quote);
                rest = quoted.strip_prefix(' ').unwrap_or(quoted);
                continue;
            }
            if is_rule(text) {
                return rest;
            }
            let marker = Marker::of(text);
            // A number that a line happens to start with is no list.
            let Some(marker) = marker.filter(|marker| {
                !(paragraph && (marker.empty || marker.number.is_some_and(|number| number != 1)))
            }) else {
                return rest;
            };
            self.begin();
            rest = text.get(marker.width..).unwrap_or_default();
            let inside = spaces + marker.width;
            let label = marker.label;
            self.containers.push(Container::Item { at: spaces, inside, label, begun: false });
        }
    }

    /// Whether the last container is an item that has nothing yet.
    fn just_opened(&self) -> bool {
        matches!(self.containers.last(), Some(Container::Item { begun: false, .. }))
    }

    /// Whether another container leaves room for text.
    fn has_room(&self) -> bool {
        let used: usize = self.containers.iter().map(Container::width).sum();
        self.containers.len() < DEPTH && used + ROOM <= self.width
    }

    fn leaf_line(&mut self, rest: &str) {
        let spaces = indent(rest);
        let text = rest.trim();
        if text.is_empty() {
            return;
        }
        if spaces > 3 && !matches!(self.leaf, Leaf::Paragraph(_) | Leaf::Table { .. }) {
            self.begin();
            return self.code_line(rest.get(4..).unwrap_or_default());
        }
        if let Some((level, words)) = heading(text).filter(|_| spaces <= 3) {
            self.end_leaf();
            self.blank |= self.containers.is_empty();
            return self.heading(level, words);
        }
        if let Leaf::Paragraph(words) = &self.leaf
            && let Some(level) = underline(text).filter(|_| !words.is_empty() && spaces <= 3)
        {
            let words = words.clone();
            self.leaf = Leaf::Nothing;
            return self.heading(level, &words);
        }
        if is_rule(text) {
            self.begin();
            return self.row(vec![Span::new("─".repeat(self.room()), Style::DIM)]);
        }
        if let Some((fence, info)) = Fence::of(text, spaces) {
            self.begin();
            for (n, row) in chop(info, Style::DIM, self.room() - 2).into_iter().enumerate() {
                let corner = if n == 0 { "┌ " } else { "┊ " };
                self.row([vec![Span::new(corner, Style::DIM)], row].concat());
            }
            self.leaf = Leaf::Code(fence);
            return;
        }
        if !self.table(text) {
            self.words(rest.trim_start());
        }
    }

    /// Takes the line for a table, if it is of one.
    fn table(&mut self, text: &str) -> bool {
        if let Leaf::Table { grid, bytes } = &mut self.leaf {
            if !text.contains('|') {
                return false;
            }
            let row = cells(text, grid.columns(), Style::PLAIN);
            grid.push(row);
            *bytes += text.len();
            if *bytes > TABLE_BYTES {
                *bytes = 0;
                let mut part = std::mem::take(grid);
                self.draw(&mut part);
                self.leaf = Leaf::Table { grid: part, bytes: 0 };
            }
            return true;
        }
        let Leaf::Paragraph(words) = &mut self.leaf else { return false };
        let (before, header) = words.rsplit_once('\n').unwrap_or(("", words));
        let Some(alignments) = columns(text).filter(|_| header.contains('|')) else {
            return false;
        };
        let names = cells(header, usize::MAX, Style::BOLD);
        if names.len() != alignments.len() {
            return false;
        }
        let before = before.to_owned();
        self.leaf = Leaf::Paragraph(before);
        self.end_leaf();
        self.leaf = Leaf::Table { grid: Grid::new(names, alignments), bytes: 0 };
        true
    }

    fn heading(&mut self, level: usize, words: &str) {
        self.begin();
        let style = if level == 1 { Style::BOLD.and(Style::UNDERLINE) } else { Style::BOLD };
        let style = if level > 3 { style.and(Style::DIM) } else { style };
        for row in wrap(&spans(words, style), self.room()) {
            self.row(row);
        }
    }

    fn words(&mut self, text: &str) {
        if !matches!(self.leaf, Leaf::Paragraph(_)) {
            self.begin();
            self.leaf = Leaf::Paragraph(String::new());
        }
        let Leaf::Paragraph(words) = &mut self.leaf else { return };
        if !words.is_empty() {
            words.push('\n');
        }
        words.push_str(text);
        if words.len() > PARAGRAPH_BYTES {
            self.end_leaf();
            self.leaf = Leaf::Paragraph(String::new());
        }
    }

    /// The next piece of a line that is too long for one.
    fn more(&mut self, piece: &str) {
        if matches!(self.leaf, Leaf::Code(_)) {
            return self.code_line(piece);
        }
        if matches!(self.leaf, Leaf::Table { .. }) {
            self.end_leaf();
        }
        self.words(piece);
    }

    fn code_line(&mut self, line: &str) {
        let room = self.room().saturating_sub(2);
        for (n, mut row) in chop(line, Style::PLAIN, room).into_iter().enumerate() {
            // Where the code itself has a line break, and where only the screen has one.
            let bar = if n == 0 { "│ " } else { "┊ " };
            row.insert(0, Span::new(bar, Style::DIM));
            self.row(row);
        }
    }

    /// Draws what is under way to its end.
    fn end_leaf(&mut self) {
        match std::mem::take(&mut self.leaf) {
            Leaf::Nothing => {}
            Leaf::Paragraph(words) => {
                let words = words.trim_end();
                if !words.is_empty() {
                    for row in wrap(&spans(words, Style::PLAIN), self.room()) {
                        self.row(row);
                    }
                }
            }
            Leaf::Code(_) => self.row(vec![Span::new("└", Style::DIM)]),
            Leaf::Table { mut grid, .. } => self.draw(&mut grid),
        }
    }

    fn draw(&mut self, grid: &mut Grid) {
        for row in grid.draw(self.room()) {
            self.row(row);
        }
    }

    fn close_to(&mut self, depth: usize) {
        if self.containers.len() <= depth {
            return;
        }
        self.end_leaf();
        while self.containers.len() > depth {
            if self.just_opened() {
                self.row(Row::new());
            }
            self.containers.pop();
        }
    }

    /// Another block starts.
    fn begin(&mut self) {
        self.end_leaf();
        if std::mem::take(&mut self.blank) && self.begun && !self.just_opened() {
            let mut row = self.prefix_of_more();
            while row.last().is_some_and(|span| span.text.trim().is_empty()) {
                row.pop();
            }
            self.rows.push(row);
        }
    }

    /// What stands before the next row in quotes and items that have begun.
    fn prefix_of_more(&self) -> Row {
        let each = self.containers.iter().map(|container| match container {
            Container::Quote => Span::new("▎ ", Style::DIM),
            Container::Item { .. } => Span::new(" ".repeat(container.width()), Style::PLAIN),
        });
        each.collect()
    }

    /// The columns that are left for text.
    fn room(&self) -> usize {
        let used: usize = self.containers.iter().map(Container::width).sum();
        self.width.saturating_sub(used).max(1)
    }

    fn row(&mut self, text: Row) {
        let mut row = self.prefix_of_more();
        for (span, container) in row.iter_mut().zip(&mut self.containers) {
            if let Container::Item { label, begun, .. } = container
                && !std::mem::replace(begun, true)
            {
                span.text.clone_from(label);
            }
        }
        row.extend(text);
        self.begun = true;
        self.rows.push(row);
    }
}

impl Container {
    /// The columns before what is in it.
    fn width(&self) -> usize {
        match self {
            Self::Quote => 2,
            Self::Item { label, .. } => label.chars().count(),
        }
    }
}
