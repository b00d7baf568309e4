//! Output without what differs from run to run.
use serde_json::{Map, Value};
use tagout_testkit::program;

use crate::place::Place;

/// `text` without paths, times, digests, numbers of records and sizes of pictures.
pub(crate) fn text(place: &Place, text: &str) -> String {
    let text = text.replace(place.root().to_str().unwrap(), "<root>");
    let server = program("tagout-testkit", "scripted-server");
    let text = text.replace(server.to_str().unwrap(), "<server>");
    let text = run_after(&text, "sha256:", "<digest>", |c| c.is_ascii_hexdigit());
    let text = run_after(&text, "ed25519:", "<key>", |c| c.is_ascii_hexdigit());
    let text = run_after(&text, "answered in ", "<n>", |c| c.is_ascii_digit());
    let text = run_after(&text, "png: ", "<n>", |c| c.is_ascii_digit() || c == ',');
    let text = run_after(&text, "image/png, ", "<n>", |c| c.is_ascii_digit());
    let text = run_after(&text, "conversation      ", "<id>", |c| c.is_ascii_hexdigit());
    let text = run_after(&text, "\"salt\":\"", "<salt>", |c| c.is_ascii_hexdigit());
    let text = run_after(&text, "\nType ", "<code>", |c| c.is_ascii_hexdigit());
    // Servers start beside the first calls, and both get their numbers as they come.
    let digit = |c: char| c.is_ascii_digit();
    let text = run_after(&text, "Record     ", "<n>", digit);
    let text = run_after(&text, "`tagout audit show ", "<n>", digit);
    let text = run_after(&text, "pictures/record-", "<n>", digit);
    let text = run_after(&text, "record            ", "<n>", digit);
    let text = run_after(&text, "\nrecord ", "<n>", digit);
    let text = run_after(&text, "gateway process ", "<pid>", |c| c.is_ascii_digit());
    let text = run_after(&text, "who               ", "<who>", |c| c != '\n');
    times(&text)
}

/// Replaces the run of `such` characters after each `prefix`.
fn run_after(text: &str, prefix: &str, with: &str, such: impl Fn(char) -> bool) -> String {
    let mut parts = text.split(prefix);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str(prefix);
        let rest = part.trim_start_matches(&such);
        out.push_str(if rest.len() < part.len() { with } else { "" });
        out.push_str(rest);
    }
    out
}

/// Words like `2026-01-02T03:04:05.678Z`, and pairs like `2026-01-02 03:04:05Z`.
fn times(text: &str) -> String {
    let plain = |word: &str| word.trim_end_matches(';').to_owned();
    let is_date =
        |word: &str| word.len() >= 10 && word.split('-').count() == 3 && word.starts_with("20");
    let is_clock = |word: &str| word.ends_with('Z') && word.split(':').count() == 3;
    let mut out = Vec::new();
    for word in text.split(' ') {
        let (first, rest) = word.split_at(word.find('\n').unwrap_or(word.len()));
        let bare = plain(first);
        let shown = if is_date(&bare) && is_clock(&bare) {
            first.replace(&bare, "<time>")
        } else if is_date(&bare) {
            first.replace(&bare, "<date>")
        } else if is_clock(&bare) {
            first.replace(&bare, "<clock>")
        } else {
            first.to_owned()
        };
        out.push(shown + rest);
    }
    out.join(" ")
}

/// What a JSON value is made of: its keys, and the kinds of its leaves; one of each kind of
/// elements.
pub(crate) fn shape(value: &Value) -> Value {
    match value {
        Value::Null => "null".into(),
        Value::Bool(_) => "boolean".into(),
        Value::Number(_) => "number".into(),
        Value::String(_) => "string".into(),
        Value::Array(elements) => {
            let mut shapes: Vec<Value> = Vec::new();
            for shape in elements.iter().map(shape) {
                if !shapes.contains(&shape) {
                    shapes.push(shape);
                }
            }
            shapes.into()
        }
        Value::Object(members) => {
            let members = members.iter().map(|(key, value)| (key.clone(), shape(value)));
            Value::Object(members.collect::<Map<_, _>>())
        }
    }
}

pub(crate) fn shown(value: &Value) -> String {
    serde_json::to_string_pretty(&shape(value)).unwrap()
}

/// What differs from run to run in a chat: codes, times, numbers of records.
pub(crate) fn chat(text: &str) -> String {
    let digit = |c: char| c.is_ascii_digit();
    let text = run_after(text, "\n│ Type ", "<code>", |c| c.is_ascii_lowercase());
    let text = run_after(&text, "record ", "<n>", digit);
    let text = run_after(&text, "model-", "<n>", digit);
    let text = run_after(&text, "--resume ", "<id>", |c| c.is_ascii_hexdigit());
    let text = run_after(&text, "╰\n> ", "<typed>", |c| c != '\n');
    let lines = text.lines().map(|line| {
        let line = match line.strip_prefix("│ ").and_then(|rest| rest.split_once(' ')) {
            Some((code, rest)) if rest.contains(" approves just these arguments") => {
                format!("│ {} {rest}", if code.len() == 4 { "<code>" } else { code })
            }
            _ if line.starts_with("│    for  ") => "│    for        <who>".to_owned(),
            _ if line.starts_with("│    digest  ") => "│    digest     <digest>".to_owned(),
            _ if line.contains(" UTC) ") => {
                let (before, after) = line.split_once(" UTC) ").unwrap();
                let before = before.rsplit_once('(').map_or(before, |(before, _)| before);
                format!("{before}(<time>) {after}")
            }
            _ => line.to_owned(),
        };
        let parts = line.split(" · ").map(|part| if took(part) { "<took>" } else { part });
        parts.collect::<Vec<_>>().join(" · ")
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn took(part: &str) -> bool {
    let number = part.strip_suffix(" ms").or_else(|| part.strip_suffix(" s"));
    number.is_some_and(|number| number.chars().all(|c| c.is_ascii_digit() || c == '.'))
}
