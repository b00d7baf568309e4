//! Lines as they come, where nothing can be drawn.
use std::io::{self, BufRead as _, Read as _, Write as _};

use super::{
    Read, TEXT_BYTES,
    line::{joined, visible},
};

/// Standard input without an editor.
#[derive(Debug)]
pub(super) struct Direct {
    /// A person types: there is a prompt, and lines go on after a backslash.
    person: bool,
}

impl Direct {
    pub(super) fn new(person: bool) -> Self {
        Self { person }
    }

    pub(super) fn read(&self, prompt: &str) -> io::Result<Read> {
        if self.person {
            let mut out = io::stdout();
            out.write_all(prompt.as_bytes())?;
            out.flush()?;
        }
        let (mut text, mut continued) = (String::new(), Vec::new());
        loop {
            let room = TEXT_BYTES.saturating_sub(text.len()) + 1;
            let mut line = Vec::new();
            let wide = u64::try_from(room).unwrap_or(u64::MAX);
            if io::stdin().lock().take(wide).read_until(b'\n', &mut line)? == 0 {
                let end = if text.is_empty() { Read::End } else { Read::Text(visible(&text)) };
                return Ok(end);
            }
            if line.len() >= room {
                return Ok(Read::TooLong);
            }
            let line = String::from_utf8_lossy(&line);
            let line = line.strip_suffix('\n').unwrap_or(&line);
            text.push_str(line.strip_suffix('\r').unwrap_or(line));
            if !(self.person && text.ends_with('\\')) {
                return Ok(Read::Text(visible(&joined(&text, &continued))));
            }
            continued.push(text.clone());
            text.push('\n');
        }
    }
}
