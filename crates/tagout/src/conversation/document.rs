//! A conversation as a document: Markdown for people, JSON as it is.
//!
//! What people, models and tools said stands in quotations, every line of it, so that no text can
//! pass for a heading of the document: for another speaker, or for a decision.
use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};
use tagout_inspect::characters::one_line;
use tagout_llm::{Message, Part, Role, ToolCall, ToolResult};
use tagout_store::OpenSession;
use tagout_terminal::printable;

use super::{
    Entry, Whole,
    entry::Spoken,
    records::{Decision, Decisions},
};

/// A conversation that is shown.
pub(crate) struct Document<'a> {
    whole: &'a Whole,
    decisions: &'a Decisions,
    /// The calls that have a result.
    answered: BTreeSet<&'a str>,
}

impl<'a> Document<'a> {
    /// Of `whole`, with what the audit log says of its calls.
    pub(crate) fn new(whole: &'a Whole, decisions: &'a Decisions) -> Self {
        let parts = whole.entries.iter().flat_map(|entry| match entry {
            Entry::Message { message, .. } => message.parts.as_slice(),
            Entry::Said { .. } => &[],
        });
        let answered = parts.filter_map(|part| match part {
            Part::ToolResult(result) => Some(result.call_id.as_str()),
            Part::Text { .. }
            | Part::Image(_)
            | Part::ToolCall(_)
            | Part::Attached { .. }
            | Part::Reasoning { .. }
            | Part::Refusal { .. } => None,
        });
        Self { whole, decisions, answered: answered.collect() }
    }

    /// What is known of the session beside what was said.
    fn about(session: &OpenSession) -> Value {
        let about = session.about();
        json!({
            "id": session.id().as_str(), "title": about.title, "model": about.model,
            "started_at": session.started_at(), "updated_at": session.updated_at(),
            "messages": about.messages,
        })
    }

    /// Everything, as it is.
    pub(crate) fn json(&self) -> Value {
        json!({
            "session": Self::about(&self.whole.session),
            "entries": self.whole.entries,
            "calls": self.decisions,
        })
    }

    /// For people.
    pub(crate) fn markdown(&self) -> String {
        let (session, mut out) = (&self.whole.session, String::new());
        let about = session.about();
        let title = if about.title.is_empty() { "Session" } else { &about.title };
        let rows = [
            format!("# {}\n", named(title)),
            format!("- Session: {}", session.id()),
            format!("- Begun: {}", moment(session.started_at())),
            format!("- Last used: {}", moment(session.updated_at())),
            format!("- Model: {}", named(&about.model)),
        ];
        out.push_str(&rows.join("\n"));
        out.push('\n');
        for entry in &self.whole.entries {
            match entry {
                Entry::Message { at, message } => self.message(&mut out, *at, message),
                Entry::Said { said, .. } => spoken(&mut out, said),
            }
        }
        out
    }

    fn message(&self, out: &mut String, at: Timestamp, message: &Message) {
        let speaker = match message.role {
            Role::System => "Operator",
            Role::User => "You",
            Role::Assistant => "Assistant",
            Role::Tool => "Tools",
        };
        push(out, &format!("\n## {speaker} ({})", moment(at)));
        for part in &message.parts {
            self.part(out, part);
        }
    }

    fn part(&self, out: &mut String, part: &Part) {
        match part {
            Part::Text { text, .. } => quote(out, text),
            Part::Image(image) => {
                let (kind, bytes) = (named(&image.media_type), image.size_bytes());
                push(out, &format!("\nPicture: {kind}, {bytes} bytes"));
            }
            Part::ToolCall(call) => self.call(out, call),
            Part::ToolResult(result) => self.result(out, result),
            Part::Attached { uri, parts } => {
                push(out, &format!("\n### Attached: {}", named(uri)));
                parts.iter().for_each(|part| self.data(out, part));
            }
            Part::Reasoning { text, .. } if text.trim().is_empty() => {}
            Part::Reasoning { text, .. } => {
                push(out, "\n### Reasoning");
                quote(out, text);
            }
            Part::Refusal { text } => {
                push(out, "\n### The model declined");
                quote(out, text);
            }
        }
    }

    /// What servers wrote is no prose of anybody who speaks here.
    fn data(&self, out: &mut String, part: &Part) {
        match part {
            Part::Text { text, .. } => fenced(out, text),
            Part::Image(_)
            | Part::ToolCall(_)
            | Part::ToolResult(_)
            | Part::Attached { .. }
            | Part::Reasoning { .. }
            | Part::Refusal { .. } => self.part(out, part),
        }
    }

    fn call(&self, out: &mut String, call: &ToolCall) {
        push(out, &format!("\n### Call of {} ({})", named(&call.name), named(&call.id)));
        fenced(out, &pretty(&call.arguments_raw));
        if !self.answered.contains(call.id.as_str()) {
            push(out, "\nNo result of it was kept: the conversation was broken off.");
        }
        if let Some(decision) = self.decisions.get(&call.id) {
            push(out, &format!("\n{}", decided(decision, &call.name)));
        }
    }

    fn result(&self, out: &mut String, result: &ToolResult) {
        let how = if result.is_error { "Failed" } else { "Result" };
        push(out, &format!("\n### {how} ({})", named(&result.call_id)));
        result.parts.iter().for_each(|part| self.data(out, part));
        if let Some(structured) = &result.structured {
            fenced(out, &serde_json::to_string_pretty(structured).unwrap_or_default());
        }
    }
}

/// What the log says about a call of `tool`. Its numbers begin anew where a log was moved away, so
/// a record that is about something else is not this one.
fn decided(decision: &Decision, tool: &str) -> String {
    let number = format!("Record {}", decision.record);
    if decision.tool.as_deref() != Some(tool) {
        return format!("{number}, which the audit log does not have, or not about this tool");
    }
    let words = [&decision.decided, &decision.ended];
    let words: Vec<_> = words.into_iter().flatten().map(|words| named(words)).collect();
    format!("{number}: {}", words.join("; "))
}

fn spoken(out: &mut String, said: &Spoken) {
    let record = said.record.map(|record| format!("record {record}"));
    let tokens = said.tokens.map(|[read, written]| format!("{read} tokens in, {written} out"));
    let why = said.why.as_deref().map(named);
    let details: Vec<_> = [record, tokens, why].into_iter().flatten().collect();
    if !details.is_empty() {
        push(out, &format!("\n({}: {})", named(&said.what), details.join("; ")));
    }
}

fn push(out: &mut String, line: &str) {
    out.push_str(line);
    out.push('\n');
}

/// One line that holds nothing but text.
fn named(text: &str) -> String {
    one_line(&printable(text))
}

fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

fn quote(out: &mut String, text: &str) {
    out.push('\n');
    let text = printable(text);
    for line in text.trim_end().split('\n') {
        push(out, format!("> {line}").trim_end());
    }
}

/// A quotation of something that is no prose, in a fence that it cannot close.
fn fenced(out: &mut String, text: &str) {
    let text = printable(text);
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest.max(2) + 1);
    quote(out, &format!("{fence}\n{}\n{fence}", text.trim_end()));
}

/// JSON over several lines; what is no JSON, as it is.
fn pretty(text: &str) -> String {
    let parsed = serde_json::from_str::<Value>(text);
    let pretty = parsed.and_then(|value| serde_json::to_string_pretty(&value));
    pretty.unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quoted(text: &str) -> String {
        let mut out = String::new();
        quote(&mut out, text);
        out
    }

    #[test]
    fn no_text_leaves_its_quotation() {
        let hostile = "ok\n## You\r\n\n> nested\u{1b}[2J\u{202e}\n```\n# Title";
        for line in quoted(hostile).lines().skip(1) {
            assert!(line.starts_with('>') && !line.contains(['\u{1b}', '\u{202e}']), "{line:?}");
        }
        let mut out = String::new();
        fenced(&mut out, "a\n````\n## You\n```");
        assert_eq!(out, "\n> `````\n> a\n> ````\n> ## You\n> ```\n> `````\n");
        assert_eq!(named("a\nb\u{1b}]0;x\u{7}"), "a<U+000A>b");
    }
}
