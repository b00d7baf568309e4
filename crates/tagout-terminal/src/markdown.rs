//! Markdown as it streams.
mod block;
mod grid;
mod inline;
mod live;
mod marker;

use crate::{
    Cleaner, Screen,
    style::{Row, painted},
    wrap::without_tabs,
};
use block::Blocks;
use live::Live;

pub(crate) use grid::{Alignment, Grid};

/// A line that is longer is shown in pieces, so that what is under way stays small.
const LINE_BYTES: usize = 4_096;
/// How far back from there a space is looked for.
const PIECE_BYTES: usize = 3_072;

/// Renders Markdown that comes in pieces.
///
/// What is finished is written once. What is under way, the paragraph that is being said, is shown
/// as it comes and drawn again when more of it is known; a table is held until it is whole. However
/// the text is cut, the same stands on the screen in the end. Nothing of the text is left out but
/// markup, every address of a link is shown, and no escape sequence comes of it.
///
/// Without a terminal the text comes out as it is, but for what [`crate::printable`] takes out.
///
/// The cursor has to be at the start of a row when the first text comes, and nobody else may write
/// until [`Markdown::finish`]. Each push costs a bounded amount, whatever was said before.
#[derive(Debug)]
pub struct Markdown {
    screen: Screen,
    cleaner: Cleaner,
    blocks: Blocks,
    /// The line that has no end yet.
    line: String,
    /// The beginning of the line is in `blocks` already.
    continued: bool,
    live: Live,
}

impl Markdown {
    /// For text that is shown on `screen`.
    #[must_use]
    pub fn new(screen: &Screen) -> Self {
        let rows = usize::from(screen.size().rows.max(2));
        Self {
            screen: screen.clone(),
            cleaner: Cleaner::default(),
            blocks: Blocks::new(screen.columns()),
            line: String::new(),
            continued: false,
            live: Live::new(rows - 1),
        }
    }

    /// More text: what to write for it.
    #[must_use]
    pub fn push(&mut self, text: &str) -> String {
        let text = self.cleaner.push(text);
        if !self.screen.is_terminal() {
            return text;
        }
        self.take(&text);
        let done = self.blocks.take_rows();
        let preview = self.blocks.preview(&without_tabs(&self.line), self.continued);
        self.draw(&done, &preview)
    }

    /// The end of the text: what to write for it. The cursor is at the start of a row then, and
    /// another text may come.
    #[must_use]
    pub fn finish(&mut self) -> String {
        let text = self.cleaner.finish();
        if !self.screen.is_terminal() {
            return text;
        }
        self.take(&text);
        if !self.line.is_empty() {
            self.end_line();
        }
        self.blocks.finish();
        let done = self.blocks.take_rows();
        let out = self.draw(&done, &[]);
        *self = Self::new(&self.screen);
        out
    }

    fn take(&mut self, text: &str) {
        for c in text.chars() {
            if c == '\n' {
                self.end_line();
                self.continued = false;
                continue;
            }
            self.line.push(c);
            if self.line.len() >= LINE_BYTES {
                let piece = self.line.rfind(' ').filter(|at| *at >= PIECE_BYTES);
                let rest = piece.map(|at| self.line.split_off(at + 1)).unwrap_or_default();
                self.end_line();
                self.continued = true;
                self.line = rest;
            }
        }
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        self.blocks.line(&without_tabs(&line), self.continued);
    }

    fn draw(&mut self, done: &[Row], preview: &[Row]) -> String {
        let paint = |rows: &[Row]| rows.iter().map(|row| painted(row, &self.screen)).collect();
        let (done, preview): (Vec<String>, Vec<String>) = (paint(done), paint(preview));
        self.live.show(done, preview)
    }
}

/// Markdown that is there as a whole.
#[must_use]
pub fn render(text: &str, screen: &Screen) -> String {
    let mut markdown = Markdown::new(screen);
    let mut out = markdown.push(text);
    out.push_str(&markdown.finish());
    out
}
