//! Shows a file of Markdown on this terminal, as if somebody said it: `show FILE [BYTES]`, so many
//! bytes at a time.
#![expect(clippy::indexing_slicing, clippy::disallowed_methods, reason = "a tool of developers")]
use std::{
    io::{self, IsTerminal as _, Write as _},
    thread,
    time::Duration,
};

use tagout_terminal::{Markdown, Screen, Size};

fn main() -> io::Result<()> {
    let arguments: Vec<_> = std::env::args().collect();
    let out = io::stdout();
    let variable = |name: &str| std::env::var(name).ok();
    let screen = Screen::detect(variable, out.is_terminal(), Size::of(&out));
    let text: Vec<_> = std::fs::read_to_string(&arguments[1])?.chars().collect();
    let size = arguments.get(2).and_then(|size| size.parse().ok()).unwrap_or(8);
    let mut markdown = Markdown::new(&screen);
    let mut out = out.lock();
    for piece in text.chunks(size) {
        out.write_all(markdown.push(&piece.iter().collect::<String>()).as_bytes())?;
        out.flush()?;
        if screen.is_terminal() {
            thread::sleep(Duration::from_millis(20));
        }
    }
    out.write_all(markdown.finish().as_bytes())
}
