//! The terminal, as a conversation writes on it: one at a time, with nothing drawn over.
mod scene;

use std::{
    io::{self, Write as _},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tagout_host::Event;
use tagout_terminal::{Card, Markdown, Progress, Screen, Size, Status as Going, Tone, rows};

use tokio::sync::OwnedMutexGuard;

use super::pictures::Pictures;

/// Shows what happens. Shared by whoever has something to show: one at a time.
pub(crate) struct Painter {
    canvas: Mutex<Canvas>,
    /// Held by whoever reads from the terminal.
    device: Arc<tokio::sync::Mutex<()>>,
}

struct Canvas {
    screen: Screen,
    /// The turn that comes in.
    markdown: Markdown,
    /// Whether the cursor stands somewhere in a line of text.
    writing: bool,
    /// Whether what answers writes Markdown; rules write lines, which are kept until all are there.
    marked: bool,
    plain: String,
    progress: Progress,
    /// While a person is asked, nothing else is drawn.
    asking: bool,
    /// Line breaks that what was written last ends with.
    breaks: usize,
    /// Whether anything was written since the person typed something.
    wrote: bool,
    /// Notes that were shown; once is enough.
    noted: Vec<String>,
    pictures: Pictures,
    began: Instant,
}

impl Painter {
    pub(crate) fn new(screen: Screen, folder: PathBuf) -> Self {
        let markdown = Markdown::new(&screen);
        let progress = Progress::new(&screen);
        let canvas = Canvas {
            markdown,
            progress,
            screen,
            writing: false,
            marked: true,
            plain: String::new(),
            asking: false,
            breaks: 1,
            wrote: false,
            noted: Vec::new(),
            pictures: Pictures::new(folder),
            began: Instant::now(),
        };
        Self { canvas: Mutex::new(canvas), device: Arc::default() }
    }

    /// Waits until nobody reads from the terminal any more. A question that was withdrawn takes a
    /// moment to leave it, and leaves it as it was before.
    pub(crate) async fn device(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.device).lock_owned().await
    }

    fn canvas(&self) -> MutexGuard<'_, Canvas> {
        // What is drawn half is drawn over.
        self.canvas.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The terminal, as large as it is now.
    pub(crate) fn screen(&self) -> Screen {
        self.canvas().screen.clone()
    }

    /// Shows an event.
    pub(crate) fn event(&self, event: &Event) {
        self.canvas().event(event);
    }

    /// Draws what goes on again.
    pub(crate) fn tick(&self) {
        self.canvas().tick();
    }

    /// The person typed a line; the cursor stands at the beginning of the next.
    pub(crate) fn typed(&self) {
        let mut canvas = self.canvas();
        (canvas.breaks, canvas.wrote) = (1, false);
    }

    /// Leaves a line empty, if anything was written since the person typed something.
    pub(crate) fn before_prompt(&self) {
        let mut canvas = self.canvas();
        if canvas.wrote {
            canvas.gap();
        }
    }

    /// Shows lines that fit already, as they are.
    pub(crate) fn lines(&self, lines: &[String]) {
        let mut canvas = self.canvas();
        canvas.clear();
        for line in lines {
            canvas.line(line);
        }
    }

    /// Says something of its own.
    pub(crate) fn say(&self, text: &str) {
        self.canvas().toned(Tone::Plain, text);
    }

    /// Says something less important.
    pub(crate) fn aside(&self, text: &str) {
        self.canvas().toned(Tone::Quiet, text);
    }

    /// Says something in a tone.
    pub(crate) fn tell(&self, tone: Tone, text: &str) {
        self.canvas().toned(tone, text);
    }

    /// Shows a card, with an empty line before it.
    pub(crate) fn card(&self, card: &Card) {
        self.canvas().card(card);
    }

    /// Shows Markdown.
    pub(crate) fn markdown(&self, text: &str) {
        let mut canvas = self.canvas();
        canvas.clear();
        let rendered = tagout_terminal::render(text, &canvas.screen);
        canvas.write(&rendered);
    }

    /// Leaves the terminal to a question until [`Painter::asked`].
    pub(crate) fn asks(&self) {
        let mut canvas = self.canvas();
        canvas.end_text();
        canvas.clear();
        canvas.asking = true;
    }

    /// The question is over. Who `answered` has ended the line; of a question that was withdrawn it
    /// is ended here.
    pub(crate) fn asked(&self, answered: bool) {
        let mut canvas = self.canvas();
        if !answered {
            let end = canvas.end();
            canvas.draw(end);
        }
        (canvas.asking, canvas.breaks) = (false, 1);
    }

    /// Ends what is being shown: the question is over, however.
    pub(crate) fn rest(&self) {
        let mut canvas = self.canvas();
        canvas.end_text();
        canvas.over();
    }

    /// The terminal has another size.
    pub(crate) fn resized(&self, size: Size) {
        let mut canvas = self.canvas();
        if canvas.screen.size() == size {
            return;
        }
        canvas.clear();
        canvas.screen = canvas.screen.clone().with_size(size);
        canvas.progress = Progress::new(&canvas.screen);
        if !canvas.writing {
            canvas.markdown = Markdown::new(&canvas.screen);
        }
    }
}

impl Canvas {
    /// Writes what nothing is remembered of: the row of what goes on.
    fn draw(&mut self, drawn: &str) {
        if drawn.is_empty() {
            return;
        }
        let mut out = io::stdout();
        // A terminal that went away ends the session by a signal.
        drop(out.write_all(drawn.as_bytes()).and_then(|()| out.flush()));
    }

    fn write(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        let rest = text.trim_end_matches(['\r', '\n']);
        let breaks = text.get(rest.len()..).unwrap_or_default().matches('\n').count();
        self.breaks = if rest.is_empty() { self.breaks + breaks } else { breaks };
        self.wrote = true;
        self.draw(text);
    }

    fn end(&self) -> &'static str {
        if self.screen.is_terminal() { "\r\n" } else { "\n" }
    }

    fn line(&mut self, line: &str) {
        let end = self.end();
        let line = line.replace('\n', end);
        self.write(&format!("{line}{end}"));
    }

    /// Leaves a line empty, if there is none already.
    fn gap(&mut self) {
        if self.breaks < 2 {
            let end = self.end();
            self.write(end);
        }
    }

    /// Lines in the tone, broken between words, below whatever goes on.
    fn toned(&mut self, tone: Tone, text: &str) {
        self.clear();
        for row in rows(text, tone, &self.screen) {
            self.line(&row);
        }
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Takes the row of what goes on away.
    fn clear(&mut self) {
        let cleared = self.progress.clear();
        self.draw(&cleared);
    }

    /// Nothing goes on any more.
    fn over(&mut self) {
        let cleared = self.progress.finish();
        self.draw(&cleared);
    }

    fn goes_on(&mut self, message: &str, value: Option<f64>, total: Option<f64>) {
        let going = Going { message: message.to_owned(), value, total };
        let drawn = self.progress.update(self.now(), going);
        // The cursor is somebody else's; it is drawn by the next tick that may.
        if !self.asking && !self.writing {
            self.draw(&drawn);
        }
    }

    fn tick(&mut self) {
        if self.writing {
            let shown = self.markdown.draw();
            self.write(&shown);
        } else if !self.asking {
            let drawn = self.progress.tick(self.now());
            self.draw(&drawn);
        }
    }

    fn card(&mut self, card: &Card) {
        self.clear();
        self.gap();
        let card = card.render(&self.screen);
        self.write(&card);
    }

    fn text(&mut self, piece: &str) {
        if !self.marked {
            return self.plain.push_str(piece);
        }
        if piece.is_empty() {
            return;
        }
        self.clear();
        if !self.writing {
            self.gap();
        }
        let shown = self.markdown.push(piece);
        self.writing = true;
        self.write(&shown);
    }

    /// Ends the text that came in.
    fn end_text(&mut self) {
        let plain = std::mem::take(&mut self.plain);
        if !plain.trim().is_empty() {
            self.clear();
            self.gap();
            self.toned(Tone::Plain, plain.trim_end());
        }
        if !self.writing {
            return;
        }
        let shown = self.markdown.finish();
        self.write(&shown);
        self.writing = false;
        // A terminal's cursor is at the beginning of a row then; elsewhere it is anywhere.
        if self.screen.is_terminal() {
            self.breaks = self.breaks.max(1);
        } else if self.breaks == 0 {
            let end = self.end();
            self.write(end);
        }
        self.markdown = Markdown::new(&self.screen);
    }
}
