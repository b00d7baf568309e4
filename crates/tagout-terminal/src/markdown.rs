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
/// What is under way is drawn again when so many bytes of it are there for each new one at most.
/// A paragraph of a few words is drawn with each character, one of eight kilobytes every 128 bytes.
const DRAWN_PER_BYTE: usize = 64;

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
/// until [`Markdown::finish`].
///
/// A text costs what it is long, however small the pieces are: where drawing would cost much more
/// than what is new, [`Markdown::push`] waits for more. What it waits with is less than a fiftieth of what
/// is under way; [`Markdown::draw`] shows it, a few times a second for instance.
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
    /// Bytes that came since it was drawn.
    fresh: usize,
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
            fresh: 0,
        }
    }

    /// More text: what to write for it by now.
    #[must_use]
    pub fn push(&mut self, text: &str) -> String {
        let text = self.cleaner.push(text);
        if !self.screen.is_terminal() {
            return text;
        }
        self.take(&text);
        let under_way = self.blocks.bytes() + self.line.len();
        if under_way > self.fresh.saturating_mul(DRAWN_PER_BYTE) {
            return String::new();
        }
        self.draw()
    }

    /// What to write so that all of the text so far stands there; nothing if it does already.
    #[must_use]
    pub fn draw(&mut self) -> String {
        if self.fresh == 0 {
            return String::new();
        }
        self.fresh = 0;
        let done = self.blocks.take_rows();
        let preview = self.blocks.preview(&without_tabs(&self.line), self.continued);
        let shown = preview.get(self.live.hidden(preview.len())..).unwrap_or_default();
        self.show(&done, shown)
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
        let out = self.show(&done, &[]);
        *self = Self::new(&self.screen);
        out
    }

    fn take(&mut self, text: &str) {
        self.fresh = self.fresh.saturating_add(text.len());
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

    fn show(&mut self, done: &[Row], preview: &[Row]) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wrap::laid_out;

    fn screen() -> Screen {
        Screen::detect(|name| (name == "TERM").then(|| "xterm".to_owned()), true, None)
    }

    /// How many bytes were put on rows, and how many were written, for a text by single characters.
    fn cost(text: &str) -> (usize, usize) {
        let mut markdown = Markdown::new(&screen());
        laid_out::bytes();
        let pieces = text.chars().map(|c| markdown.push(&c.to_string()).len());
        let written: usize = pieces.sum();
        let written = written + markdown.finish().len();
        (laid_out::bytes(), written)
    }

    #[test]
    fn a_text_costs_what_it_is_long_however_small_its_pieces() {
        for unit in [
            "word ",
            "word\n",
            "x",
            "**b** _i_ ",
            "[a](https://b.example) ",
            "> word\n",
            "- word\n",
            "`code` ",
            "=",
            "# h ",
            "| cell ",
            "漢",
        ] {
            let paragraph = unit.repeat(6_000 / unit.len());
            // Also what could make a heading of all that stands above it.
            for text in [paragraph.clone(), format!("{paragraph}\n{}", "=".repeat(2_000))] {
                let (rendered, written) = cost(&text);
                // What is new is drawn as well, and addresses and ends of rows are added.
                let most = 128 * text.len();
                assert!(rendered < most, "{unit:?}: {rendered} of {most}");
                assert!(written < most, "{unit:?}: {written} of {most}");
            }
        }
    }

    #[test]
    fn what_push_waits_with_is_little_and_drawn_when_that_is_asked_for() {
        let screen = screen();
        let mut markdown = Markdown::new(&screen);
        let text = "word ".repeat(600);
        let (mut waiting, mut most) = (0, 0);
        for c in text.chars() {
            let shown = !markdown.push(&c.to_string()).is_empty();
            waiting = if shown { 0 } else { waiting + 1 };
            most = most.max(waiting);
        }
        assert!((2..60).contains(&most), "{most}");
        drop(markdown.push("\n"));
        assert_ne!(markdown.push("and the last of it"), "");
        assert_eq!(markdown.push("x"), "");
        assert_eq!(markdown.draw(), "x");
        assert_eq!(markdown.draw(), "");
    }
}
