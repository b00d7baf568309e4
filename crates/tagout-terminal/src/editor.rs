//! A text that a person types, with history, completion, and several rows where they want them.
mod direct;
mod line;

use std::io::{self, IsTerminal as _};

use rustyline::{
    ColorMode, CompletionType, Config,
    error::ReadlineError,
    history::{History as _, MemHistory},
};

use crate::{Screen, Tone, paint, printable};
use direct::Direct;
use line::Line;

/// Texts that can be gone back to.
const HISTORY: usize = 1_000;
/// The longest text that is taken.
pub(crate) const TEXT_BYTES: usize = 1 << 20;

/// What a word can become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// What is put in its place.
    pub replacement: String,
    /// What is shown among other candidates.
    pub display: String,
}

/// Completes what stands before the position, in bytes: where the word starts, and what it can
/// become. It is asked while the person waits, so it has to be quick.
pub type Complete = Box<dyn Fn(&str, usize) -> (usize, Vec<Candidate>) + Send>;

/// What came of asking for a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// A text. Of control and other characters that nobody sees, pasted ones for instance, it says
    /// which they are: what is read is what was seen.
    Text(String),
    /// Control-C.
    Interrupted,
    /// Control-D on an empty line, or there is no more input.
    End,
    /// More than a megabyte.
    TooLong,
}

/// Reads texts from standard input. Enter ends one, but for after a backslash; pasted line breaks
/// are part of the text. On a terminal that cannot be drawn on, and without one, lines are read
/// as they come.
pub struct Editor {
    screen: Screen,
    inner: Inner,
}

enum Inner {
    Rich(Box<rustyline::Editor<Line, MemHistory>>),
    Direct(Direct),
}

impl Editor {
    /// An editor whose person can go back to `history`, the oldest first.
    ///
    /// # Errors
    /// The terminal cannot be used.
    pub fn new(
        screen: &Screen,
        history: impl IntoIterator<Item = String>,
        complete: Option<Complete>,
    ) -> io::Result<Self> {
        let screen = screen.clone();
        let terminal = io::stdin().is_terminal();
        if !(terminal && screen.is_terminal()) {
            return Ok(Self { screen, inner: Inner::Direct(Direct::new(terminal)) });
        }
        let config = Config::builder()
            .max_history_size(HISTORY)
            .map_err(failed)?
            .completion_type(CompletionType::List)
            // What makes control characters visible is done where colours are.
            .color_mode(ColorMode::Forced)
            .build();
        let history_of = MemHistory::with_config(&config);
        let mut editor = rustyline::Editor::with_history(config, history_of).map_err(failed)?;
        editor.set_helper(Some(Line::new(complete)));
        let mut editor = Self { screen, inner: Inner::Rich(Box::new(editor)) };
        for text in history {
            editor.remember(&text);
        }
        Ok(editor)
    }

    /// Another text that can be gone back to.
    pub fn remember(&mut self, text: &str) {
        match &mut self.inner {
            // Kept in memory: it does not fail.
            Inner::Rich(editor) => drop(editor.history_mut().add(text)),
            Inner::Direct(_) => {}
        }
    }

    /// Waits for a text. It blocks its thread.
    ///
    /// # Errors
    /// The terminal fails.
    pub fn read(&mut self, prompt: &str) -> io::Result<Read> {
        let prompt = printable(prompt).replace(['\n', '\t'], " ");
        let read = match &mut self.inner {
            Inner::Direct(direct) => return direct.read(&prompt),
            Inner::Rich(editor) => {
                let painted = paint(&prompt, Tone::Strong, &self.screen);
                let read = editor.readline(&(prompt, painted));
                let backslashes = editor.helper().map(Line::continued).unwrap_or_default();
                read.map(|text| line::joined(&text, &backslashes))
            }
        };
        match read {
            Ok(text) if text.len() > TEXT_BYTES => Ok(Read::TooLong),
            Ok(text) => Ok(Read::Text(line::visible(&text))),
            Err(ReadlineError::Interrupted) => Ok(Read::Interrupted),
            Err(ReadlineError::Eof) => Ok(Read::End),
            Err(error) => Err(failed(error)),
        }
    }
}

impl std::fmt::Debug for Editor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Editor").field("screen", &self.screen).finish_non_exhaustive()
    }
}

fn failed(error: ReadlineError) -> io::Error {
    if let ReadlineError::Io(error) = error { error } else { io::Error::other(error.to_string()) }
}
