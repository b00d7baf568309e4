//! What each event looks like.
use std::collections::BTreeMap;

use serde_json::Value;
use tagout_host::{Answer, Concern, Decision, Event, Outcome, Status, Verdict};
use tagout_llm::{Image, Plan, Planner, StreamEvent};
use tagout_terminal::{Card, Size, Tone, rows};

use super::Canvas;
use crate::chat::pictures;

impl Canvas {
    pub(super) fn event(&mut self, event: &Event) {
        match event {
            Event::Asked { model, .. } => {
                self.marked = model.name != Planner::NAME;
                self.goes_on(&model.name, None, None);
            }
            Event::Streamed { piece } => self.streamed(piece),
            Event::Turned { notes, .. } => self.turned(notes),
            Event::Planned { plan, .. } => self.planned(plan),
            // It came in pieces already, or was seen when it was typed; a decision is shown with
            // what came of it.
            Event::Said { .. }
            | Event::Filled { .. }
            | Event::Chosen { .. }
            | Event::Decided { .. } => {}
            Event::Proposed { tool, arguments, .. } => self.proposed(tool, arguments),
            Event::Concerned { concerns, .. } => self.concerned(concerns),
            Event::Progress { tool, done, total, message } => {
                let said = message.as_deref().unwrap_or_default();
                self.goes_on(format!("{tool} {said}").trim(), Some(*done), *total);
            }
            Event::Logged { level, from, logger, lines } => {
                let part = logger.as_deref().map(|part| format!(" ({part})")).unwrap_or_default();
                for line in lines {
                    // The bar says that none of these lines is the chat's own.
                    self.barred(&format!("{from}{part}: {level}: {line}"));
                }
            }
            Event::Finished { outcome, elapsed_ms, .. } => self.finished(outcome, *elapsed_ms),
            Event::Answered { answer } => self.answered(answer),
        }
    }

    /// What a server says, with a bar before each row of it.
    fn barred(&mut self, text: &str) {
        const BAR: &str = "  │ ";
        self.clear();
        let size = self.screen.size();
        let columns = size.columns.saturating_sub(4);
        let narrower = self.screen.clone().with_size(Size { columns, ..size });
        for row in rows(text, Tone::Quiet, &narrower) {
            self.line(&format!("{BAR}{row}"));
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

    fn turned(&mut self, notes: &[String]) {
        self.end_text();
        for note in notes {
            if self.noted.contains(note) {
                continue;
            }
            self.noted.push(note.clone());
            self.toned(Tone::Quiet, &format!("note: {note}"));
        }
    }

    fn planned(&mut self, plan: &Plan) {
        let mut card = Card::new("plan", Tone::Quiet).text(&plan.summary, Tone::Plain);
        for binding in &plan.bindings {
            let from = &binding.source.text;
            let converted = binding.conversion.as_deref().map(|c| format!(", {c}"));
            let converted = converted.unwrap_or_default();
            card =
                card.field(&binding.path, &format!("{} from \"{from}\"{converted}", binding.value));
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
    fn proposed(&mut self, tool: &str, arguments: &Value) {
        self.end_text();
        let mut card = Card::new(tool, Tone::Plain).aside("proposed");
        card = match arguments {
            Value::Object(none) if none.is_empty() => card.text("no arguments", Tone::Quiet),
            // It is no JSON, and refused for that.
            Value::String(raw) => card.exact(raw),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Array(_)
            | Value::Object(_) => {
                card.exact(&serde_json::to_string_pretty(arguments).unwrap_or_default())
            }
        };
        self.card(&card);
        self.goes_on(tool, None, None);
    }

    fn concerned(&mut self, concerns: &[Concern]) {
        for Concern { path, code, detail, holds } in concerns {
            let held = if *holds { "waits for you" } else { "told to whoever approves" };
            self.toned(Tone::Warning, &format!("! {path}: {detail} [{code}], {held}"));
        }
    }

    /// What came of a call: decision, record, time, and what came back.
    fn finished(&mut self, outcome: &Outcome, elapsed_ms: u64) {
        self.over();
        let (tone, came) = came_of(outcome);
        let decision = outcome.decision();
        let record = decision.record.map(|record| format!("record {record}"));
        let back = match outcome {
            Outcome::Returned(returned) => Some(came_back(&returned.content)),
            Outcome::Refused(_) | Outcome::Failed(_) => None,
        };
        let mark = if tone == Tone::Good { "✓" } else { "✗" };
        let parts = [Some(format!("{mark} {came}")), record, Some(took(elapsed_ms)), back];
        let told: Vec<_> = parts.into_iter().flatten().collect();
        self.toned(tone, &told.join(" · "));
        for image in outcome.images() {
            self.picture(decision.record, &image);
        }
        self.goes_on("thinking", None, None);
    }

    fn picture(&mut self, record: Option<u64>, image: &Image) {
        self.clear();
        let (bytes, path) = match self.pictures.take(record, image) {
            Ok(taken) => taken,
            Err(failure) => {
                let told = format!("  picture: {} [{}]", failure.message(), failure.code());
                return self.toned(Tone::Bad, &told);
            }
        };
        match pictures::drawn(&bytes, &image.media_type, &self.screen) {
            Ok(drawn) => self.write(&drawn.unwrap_or_default()),
            Err(why) => self.toned(Tone::Quiet, &format!("  picture: {why}")),
        }
        self.toned(Tone::Quiet, &format!("  picture: {}", path.display()));
    }

    fn answered(&mut self, answer: &Answer) {
        self.end_text();
        self.over();
        let text = answer.text.as_str();
        let said = match answer.status {
            // These say what they say as the turn comes.
            Status::Complete | Status::NoToolFits => None,
            Status::CutShort => {
                Some((Tone::Warning, "the answer is longer than the model may write"))
            }
            Status::Declined => Some((Tone::Warning, "the model declined")),
            Status::NeedsInput | Status::NeedsChoice => Some((Tone::Quiet, text)),
            Status::RoundLimit
            | Status::CallLimit
            | Status::TokenLimit
            | Status::CostLimit
            | Status::TimeLimit
            | Status::Repeating
            | Status::CanaryFound
            | Status::Cancelled => Some((Tone::Bad, text)),
        };
        if let Some((tone, said)) = said.filter(|(_, said)| !said.is_empty()) {
            self.toned(tone, said);
        }
    }
}

/// In words, what became of a call.
fn came_of(outcome: &Outcome) -> (Tone, String) {
    let decision = outcome.decision();
    match outcome {
        Outcome::Returned(returned) => {
            let by = allowed(decision);
            if returned.is_error {
                (Tone::Warning, format!("the tool failed; {by}"))
            } else {
                (Tone::Good, by)
            }
        }
        Outcome::Refused(refused) => {
            let rule = decision.rule.as_deref().map(|rule| format!(" by `{rule}`"));
            let rule = rule.unwrap_or_default();
            (Tone::Bad, format!("refused{rule}: {} [{}]", refused.message, refused.code))
        }
        Outcome::Failed(failed) => (Tone::Bad, failed.message.clone()),
    }
}

fn allowed(decision: &Decision) -> String {
    let rule = decision.rule.as_deref();
    match (decision.verdict, rule) {
        (Some(Verdict::Allow), Some(rule)) => format!("allowed by `{rule}`"),
        (Some(Verdict::Allow), None) => "allowed".to_owned(),
        (Some(Verdict::Ask), Some(rule)) => format!("approved by a person, as `{rule}` asks"),
        (Some(Verdict::Ask), None) => "approved by a person".to_owned(),
        (Some(Verdict::Deny), _) => "denied".to_owned(),
        (None, _) => "no decision is known".to_owned(),
    }
}

/// A time that people read.
fn took(elapsed_ms: u64) -> String {
    match elapsed_ms {
        0..1_000 => format!("{elapsed_ms} ms"),
        1_000..60_000 => format!("{}.{} s", elapsed_ms / 1_000, elapsed_ms % 1_000 / 100),
        _ => format!("{} min {} s", elapsed_ms / 60_000, elapsed_ms % 60_000 / 1_000),
    }
}

/// What a tool gave back, in short: nothing of it is in these words.
fn came_back(content: &[Value]) -> String {
    let mut text_bytes = 0_usize;
    let mut others = BTreeMap::<String, usize>::new();
    for block in content {
        let kind = block.get("type").and_then(Value::as_str).unwrap_or("?");
        match kind {
            "text" => {
                let text = block.get("text").and_then(Value::as_str);
                text_bytes += text.map_or(0, str::len);
            }
            other => *others.entry(other.replace('_', " ")).or_default() += 1,
        }
    }
    let text = (text_bytes > 0 || others.is_empty()).then(|| format!("{text_bytes} bytes of text"));
    let others = others.into_iter().map(|(kind, count)| format!("{count} {kind}"));
    text.into_iter().chain(others).collect::<Vec<_>>().join(", ")
}
