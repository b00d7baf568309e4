//! A terminal's screen, as a person sees it.
use std::num::NonZero;

use tagout_terminal::{Markdown, Screen, Size};

const ROWS: u16 = 24;

/// A terminal with colours of so many columns.
pub(crate) fn screen(columns: u16) -> Screen {
    let size = Size { columns, rows: ROWS, width_px: 0, height_px: 0 };
    let variable = |name: &str| (name == "TERM").then(|| "xterm-256color".to_owned());
    Screen::detect(variable, true, Some(size))
}

/// All that ever scrolled by and what stands there now, without the empty rows at the end; with
/// `styled`, how it looks too.
pub(crate) fn seen(output: &str, columns: u16, styled: bool) -> String {
    let lines = output.matches('\n').count();
    let mut parser = {
        let size = |cells| NonZero::new(cells).unwrap();
        vt100::Parser::new(size(ROWS), size(columns), lines + usize::from(ROWS))
    };
    parser.process(output.as_bytes());
    let mut rows = Vec::new();
    parser.screen_mut().set_scrollback(usize::MAX);
    let above = parser.screen().scrollback();
    for back in (0..=above).rev() {
        parser.screen_mut().set_scrollback(back);
        let screen = parser.screen();
        let take = if back == 0 { usize::from(ROWS) } else { 1 };
        if styled {
            let lines = screen.rows_formatted(0, columns).take(take);
            rows.extend(lines);
        } else {
            let lines = screen.rows(0, columns).take(take);
            rows.extend(lines.map(|row| row.trim_end().to_owned()));
        }
    }
    while rows.last().is_some_and(|row| row.trim().is_empty() || row == "\x1b[m") {
        rows.pop();
    }
    rows.join("\n")
}

/// What is written for a text in these pieces.
pub(crate) fn written<'a>(pieces: impl IntoIterator<Item = &'a str>, screen: &Screen) -> String {
    let mut markdown = Markdown::new(screen);
    let mut out: String = pieces.into_iter().map(|piece| markdown.push(piece)).collect();
    out.push_str(&markdown.finish());
    out
}

/// `text` in pieces of so many characters.
pub(crate) fn pieces(text: &str, size: usize) -> Vec<&str> {
    let starts = text.char_indices().map(|(at, _)| at).step_by(size);
    let ends = text.char_indices().map(|(at, _)| at).step_by(size).skip(1).chain([text.len()]);
    starts.zip(ends).map(|(start, end)| &text[start..end]).collect()
}
