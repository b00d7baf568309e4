//! What happens, as it is shown on a terminal while it happens.
use std::{
    io::{self, Write as _},
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tagout_host::{Concern, Event, Outcome, Status, Verdict};
use tagout_llm::{Plan, Planner, StreamEvent, Usage};
use tagout_terminal::{Card, Markdown, Progress, Screen, Size, Status as Going, Tone, paint, printable};

use super::pictures::{self, Pictures};

/// Shows what happens. Shared by whoever has something to show: one at a time.
pub(crate) struct Painter(Mutex<Canvas>);

struct Canvas {
    screen: Screen,
    /// The turn that comes in.
    markdown: Markdown,
    /// Whether the cursor stands somewhere in a line of text.
    writing: bool,
    /// Whether what answers writes Markdown; rules write lines.
    marked: bool,
    progress: Progress,
    /// While a person is asked, nothing else is drawn.
    asking: bool,
    /// Notes that were shown; once is enough.
    noted: Vec<String>,
    pictures: Pictures,
    began: Instant,
}

impl Painter {
    pub(crate) fn new(screen: Screen, folder: PathBuf) -> Self {
        let markdown = Markdown::new(&screen);
        let progress = Progress::new(&screen);
        Self(Mutex::new(Canvas {
            markdown,
            progress,
            screen,
            writing: false,
            marked: true,
            asking: false,
            noted: Vec::new(),
            pictures: Pictures::new(folder),
            began: Instant::now(),
        }))
    }

    fn canvas(&self) -> MutexGuard<'_, Canvas> {
        // What is drawn half is drawn over.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Says something of its own, on lines of its own; `text` is clean already.
    pub(crate) fn say(&self, text: &str) {
        let mut canvas = self.canvas();
        canvas.clear();
        canvas.line(text);
    }

    /// Says something less important.
    pub(crate) fn aside(&self, text: &str) {
        let mut canvas = self.canvas();
        canvas.clear();
        let text = canvas.toned(Tone::Quiet, &printable(text));
        canvas.line(&text);
    }

    /// Says that something went wrong.
    pub(crate) fn trouble(&self, text: &str) {
        let mut canvas = self.canvas();
        canvas.clear();
        let text = canvas.toned(Tone::Bad, &printable(text));
        canvas.line(&text);
    }

    /// Leaves the terminal to a question until [`Painter::asked`].
    pub(crate) fn asks(&self) {
        let mut canvas = self.canvas();
        canvas.clear();
        canvas.asking = true;
    }

    /// The question is over.
    pub(crate) fn asked(&self) {
        self.canvas().asking = false;
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
        canvas.screen = canvas.screen.clone().with_size(size);
        canvas.progress = Progress::new(&canvas.screen);
        if !canvas.writing {
            canvas.markdown = canvas.reader();
        }
    }
}

impl Canvas {
    fn write(&mut self, text: &str) {
        let mut out = io::stdout();
        // A terminal that went away ends the session by a signal.
        drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
    }

    fn line(&mut self, text: &str) {
        let end = if self.screen.is_terminal() { "\r\n" } else { "\n" };
        let text = text.replace('\n', end);
        self.write(&format!("{text}{end}"));
    }

    /// In the tone, line by line.
    fn toned(&self, tone: Tone, text: &str) -> String {
        let lines = text.lines().map(|line| paint(line, tone, &self.screen));
        lines.collect::<Vec<_>>().join("\n")
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Takes the row of what goes on away.
    fn clear(&mut self) {
        let cleared = self.progress.clear();
        self.write(&cleared);
    }

    /// Nothing goes on any more.
    fn over(&mut self) {
        let cleared = self.progress.finish();
        self.write(&cleared);
    }

    fn goes_on(&mut self, message: &str, value: Option<f64>, total: Option<f64>) {
        let going = Going { message: message.to_owned(), value, total };
        let drawn = self.progress.update(self.now(), going);
        // The cursor is somebody else's; it is drawn by the next tick that may.
        if !self.asking && !self.writing {
            self.write(&drawn);
        }
    }

    fn tick(&mut self) {
        if !self.asking && !self.writing {
            let drawn = self.progress.tick(self.now());
            self.write(&drawn);
        }
    }

    fn reader(&self) -> Markdown {
        let lines = Screen::plain().with_size(self.screen.size());
        Markdown::new(if self.marked { &self.screen } else { &lines })
    }

    fn card(&mut self, card: &Card) {
        self.clear();
        let card = card.render(&self.screen);
        self.write(&card);
    }

    fn text(&mut self, piece: &str) {
        self.clear();
        let shown = self.markdown.push(piece);
        self.writing |= !piece.is_empty();
        self.write(&shown);
    }

    /// Ends the text that came in.
    fn end_text(&mut self) {
        if !self.writing {
            return;
        }
        let shown = self.markdown.finish();
        self.write(&shown);
        self.writing = false;
        self.markdown = self.reader();
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::Asked { model, .. } => {
                self.marked = model.name != Planner::NAME;
                self.markdown = self.reader();
                self.goes_on(&model.name, None, None);
            }
            Event::Streamed { piece } => self.streamed(piece),
            Event::Turned { usage, notes, .. } => self.turned(*usage, notes),
            Event::Planned { plan, .. } => self.planned(plan),
            // It came in pieces already.
            Event::Said { .. } | Event::Filled { .. } | Event::Chosen { .. } => {}
            Event::Proposed { tool, arguments, .. } => self.proposed(tool, arguments),
            Event::Concerned { concerns, .. } => self.concerned(concerns),
            Event::Progress { tool, done, total, message } => {
                let said = message.as_deref().unwrap_or_default();
                self.goes_on(format!("{tool} {said}").trim(), Some(*done), *total);
            }
            Event::Logged { level, from, text } => {
                self.clear();
                let from = from.as_deref().unwrap_or("server");
                let text = printable(&format!("{from}: {level}: {text}"));
                let text = self.toned(Tone::Quiet, &text);
                self.line(&text);
            }
            Event::Decided { .. } => {}
            Event::Finished { outcome, elapsed_ms, .. } => {
                self.finished(outcome, *elapsed_ms);
            }
            Event::Answered { answer } => {
                self.end_text();
                self.over();
                if answer.status != Status::Complete && !answer.text.is_empty() {
                    let told = printable(&answer.text);
                    let tone = match answer.status {
                        Status::NoToolFits | Status::NeedsInput | Status::NeedsChoice => {
                            Tone::Quiet
                        }
                        Status::Complete
                        | Status::RoundLimit
                        | Status::CallLimit
                        | Status::TokenLimit
                        | Status::CostLimit
                        | Status::TimeLimit
                        | Status::Repeating
                        | Status::CanaryFound
                        | Status::CutShort
                        | Status::Declined
                        | Status::Cancelled => Tone::Bad,
                    };
                    let streamed = matches!(
                        answer.status,
                        Status::NoToolFits | Status::CutShort | Status::Declined
                    );
                    if !streamed {
                        let told = self.toned(tone, &told);
                        self.line(&told);
                    }
                }
            }
        }
    }

    fn streamed(&mut self, piece: &StreamEvent) {
        match piece {
            StreamEvent::TextDelta { text } | StreamEvent::RefusalDelta { text } => self.text(text),
            StreamEvent::ReasoningDelta { .. } => self.goes_on("thinking", None, None),
            StreamEvent::ToolCallStarted { name, .. } => {
                self.end_text();
                self.goes_on(&format!("writing a call of {name}"), None, None);
            }
            StreamEvent::ToolArgsDelta { .. }
            | StreamEvent::ToolCallDone { .. }
            | StreamEvent::Usage { .. }
            | StreamEvent::Stop { .. } => {}
        }
    }

    fn turned(&mut self, _usage: Option<Usage>, notes: &[String]) {
        self.end_text();
        for note in notes {
            if self.noted.contains(note) {
                continue;
            }
            self.noted.push(note.clone());
            self.clear();
            let note = self.toned(Tone::Quiet, &printable(&format!("note: {note}")));
            self.line(&note);
        }
    }

    fn planned(&mut self, plan: &Plan) {
        let mut card = Card::new("plan", Tone::Quiet).text(&plan.summary, Tone::Plain);
        for binding in &plan.bindings {
            let from = &binding.source.text;
            let converted = binding.conversion.as_deref().map(|c| format!(", {c}"));
            let converted = converted.unwrap_or_default();
            card = card
                .field(&binding.path, &format!("{} from \"{from}\"{converted}", binding.value));
        }
        if !plan.left_out.is_empty() {
            card = card.field("not given, so not sent", &plan.left_out.join(", "));
        }
        if !plan.unused.is_empty() {
            let unused: Vec<_> = plan.unused.iter().map(|source| source.text.as_str()).collect();
            card = card.field("in the question, and not used", &unused.join(", "));
        }
        self.card(&card);
    }

    /// A call, with its arguments in full.
    fn proposed(&mut self, tool: &str, arguments: &serde_json::Value) {
        self.end_text();
        let mut card = Card::new(tool, Tone::Plain).aside("proposed by the model");
        if arguments.as_object().is_none_or(|arguments| !arguments.is_empty()) {
            let pretty = match arguments {
                serde_json::Value::String(raw) => raw.clone(),
                other => serde_json::to_string_pretty(other).unwrap_or_default(),
            };
            card = card.exact(&pretty);
        }
        self.card(&card);
        self.goes_on(tool, None, None);
    }

    fn concerned(&mut self, concerns: &[Concern]) {
        self.clear();
        for concern in concerns {
            let held = if concern.holds { "waits for you" } else { "told to whoever approves" };
            let Concern { path, code, detail, .. } = concern;
            let told = printable(&format!("  ! {path}: {detail} [{code}], {held}"));
            let told = self.toned(Tone::Warning, &told);
            self.line(&told);
        }
    }

    /// What came of a call: decision, record, time, and what came back.
    fn finished(&mut self, outcome: &Outcome, elapsed_ms: u64) {
        self.over();
        let decision = outcome.decision();
        let (tone, mut told) = match outcome {
            Outcome::Returned(returned) => {
                let by = match decision.verdict {
                    Some(Verdict::Allow) => "allowed",
                    Some(Verdict::Ask) => "approved by a person",
                    Some(Verdict::Deny) => "denied",
                    None => "no decision is known",
                };
                let rule = decision.rule.as_deref().map(|rule| format!(" by `{rule}`"));
                let failed = if returned.is_error { "the tool failed; " } else { "" };
                let tone = if returned.is_error { Tone::Warning } else { Tone::Good };
                (tone, format!("{failed}{by}{}", rule.unwrap_or_default()))
            }
            Outcome::Refused(refused) => {
                let rule = decision.rule.as_deref().map(|rule| format!(" by `{rule}`"));
                let rule = rule.unwrap_or_default();
                (Tone::Bad, format!("refused{rule}: {} [{}]", refused.message, refused.code))
            }
            Outcome::Failed(failed) => (Tone::Bad, failed.message.clone()),
        };
        if let Some(record) = decision.record {
            told.push_str(&format!(" · record {record}"));
        }
        told.push_str(&format!(" · {elapsed_ms} ms"));
        if let Outcome::Returned(returned) = outcome {
            told.push_str(&format!(" · {}", came_back(&returned.content)));
        }
        let mark = if tone == Tone::Good { "✓" } else { "✗" };
        let told = self.toned(tone, &printable(&format!("{mark} {told}")));
        self.line(&told);
        self.show_pictures(outcome);
        self.goes_on("thinking", None, None);
    }

    fn show_pictures(&mut self, outcome: &Outcome) {
        let record = outcome.decision().record;
        for image in outcome.images() {
            self.clear();
            match self.pictures.take(record, &image) {
                Ok((bytes, path)) => {
                    let drawn = pictures::drawn(&bytes, &image.media_type, &self.screen);
                    match drawn {
                        Ok(Some(drawn)) => {
                            self.write(&drawn);
                        }
                        Ok(None) => {}
                        Err(why) => {
                            let told = self.toned(Tone::Quiet, &format!("  picture: {why}"));
                            self.line(&told);
                        }
                    }
                    let told = format!("  picture: {}", path.display());
                    let told = self.toned(Tone::Quiet, &told);
                    self.line(&told);
                }
                Err(failure) => {
                    let told = printable(&format!("  picture: {}", failure.message()));
                    let told = self.toned(Tone::Bad, &told);
                    self.line(&told);
                }
            }
        }
    }
}

/// What a tool gave back, in short: nothing of it is in these words.
fn came_back(content: &[serde_json::Value]) -> String {
    let mut text_bytes = 0_usize;
    let mut others = std::collections::BTreeMap::<String, usize>::new();
    for block in content {
        let kind = block.get("type").and_then(serde_json::Value::as_str).unwrap_or("?");
        match kind {
            "text" => {
                let text = block.get("text").and_then(serde_json::Value::as_str);
                text_bytes += text.map_or(0, str::len);
            }
            other => *others.entry(other.replace('_', " ")).or_default() += 1,
        }
    }
    let mut told = vec![format!("{text_bytes} bytes of text")];
    told.extend(others.into_iter().map(|(kind, count)| format!("{count} {kind}")));
    told.join(", ")
}
