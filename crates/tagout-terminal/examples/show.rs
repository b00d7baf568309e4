//! Shows a picture, or a file of Markdown as if somebody said it: `show FILE [SIZE|HOW]`, so many
//! characters at a time, or in that way.
#![expect(clippy::indexing_slicing, reason = "a tool of developers")]
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
    let file = std::fs::read(&arguments[1])?;
    if file.starts_with(b"\x89PNG") || file.starts_with(b"\xff\xd8") {
        let how = arguments.get(2).and_then(|how| how.parse().ok());
        let screen = how.map_or_else(|| screen.clone(), |how| screen.clone().with_pictures(how));
        let shown =
            tagout_terminal::pictures::show(&file, "", &screen).map_err(io::Error::other)?;
        return out.lock().write_all(shown.unwrap_or_default().as_bytes());
    }
    let text: Vec<_> = String::from_utf8_lossy(&file).chars().collect();
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
