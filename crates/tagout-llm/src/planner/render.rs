//! A tool's result as text for people.
use serde_json::{Map, Value};

use super::{
    numbers::{label, scalar},
    weigh::title,
};
use crate::conversation::{Image, Part, ToolResult, ToolSpec, joined_text};

/// How long an answer may be, and how much of a list is shown.
const LINES: usize = 60;
const TEXT_CHARS: usize = 4_000;
const FIRST_LINE_CHARS: usize = 1_200;
const LINE_CHARS: usize = 400;
const ROWS: usize = 12;
const DEPTH: usize = 4;
/// How many figures the first line holds.
const HEADLINE: usize = 5;

/// Renders `result`, guided by the tool's output schema if it has one.
pub(super) fn result(result: &ToolResult, tool: Option<&ToolSpec>) -> String {
    let mut lines = Lines::default();
    let name = tool.map_or_else(|| "the tool".into(), |tool| format!("`{}`", tool.name));
    if result.is_error {
        let text = joined_text(&result.parts);
        let text = if text.trim().is_empty() { "it gives no reason".into() } else { text };
        lines.push(0, format!("{name} failed: {}", text.trim()));
    } else if let Some(Value::Object(object)) = &result.structured {
        let schema = tool.and_then(|tool| tool.output_schema.as_ref());
        headline(&mut lines, object, result, tool);
        fields(&mut lines, (object, schema), 0);
    } else if let Some(value) = &result.structured {
        lines.push(0, format!("{name} returned:"));
        field(&mut lines, ("value", value, None), 1);
    } else {
        let text = joined_text(&result.parts);
        for line in text.lines() {
            lines.push(0, line.to_owned());
        }
        if text.trim().is_empty() && images(&result.parts).is_empty() {
            lines.push(0, format!("{name} returned nothing"));
        }
    }
    for image in images(&result.parts) {
        let kind = image.known_type().unwrap_or("of no known type");
        lines.last(format!("[image: {kind}, {}]", size(image.size_bytes())));
    }
    lines.finish()
}

fn images<'a>(parts: &'a [Part]) -> Vec<&'a Image> {
    let image = |part: &'a Part| match part {
        Part::Image(image) => Some(image),
        Part::Text { .. }
        | Part::ToolCall(_)
        | Part::ToolResult(_)
        | Part::Attached { .. }
        | Part::Reasoning { .. }
        | Part::Refusal { .. } => None,
    };
    parts.iter().filter_map(image).collect()
}

fn size(bytes: usize) -> String {
    if bytes < 1_000 { format!("{bytes} bytes") } else { format!("{} kB", bytes.div_ceil(1_000)) }
}

/// The lines so far, bounded. Control characters are the reader's to strip.
#[derive(Default)]
struct Lines {
    lines: Vec<String>,
    chars: usize,
    left_out: usize,
    closing: Vec<String>,
}

impl Lines {
    fn push(&mut self, depth: usize, line: String) {
        if self.lines.len() >= LINES || self.chars >= TEXT_CHARS {
            self.left_out += 1;
            return;
        }
        let most = if self.lines.is_empty() { FIRST_LINE_CHARS } else { LINE_CHARS };
        let mut line = format!("{}{line}", "  ".repeat(depth));
        if let Some((end, _)) = line.char_indices().nth(most) {
            line.truncate(end);
            line.push('…');
        }
        self.chars += line.chars().count();
        self.lines.push(line);
    }

    /// A line that is shown whatever was left out.
    fn last(&mut self, line: String) {
        self.closing.push(line);
    }

    fn finish(mut self) -> String {
        if self.left_out > 0 {
            self.lines.push(format!("… {} more lines in the full result", self.left_out));
        }
        self.lines.extend(self.closing);
        self.lines.join("\n")
    }
}

/// The first line: the tool's own one-line text, or else its first figures.
fn headline(
    lines: &mut Lines,
    object: &Map<String, Value>,
    result: &ToolResult,
    tool: Option<&ToolSpec>,
) {
    let own = ["headline", "summary", "message"].iter().find_map(|&key| object.get(key)?.as_str());
    let texts: Vec<&str> = result
        .parts
        .iter()
        .filter_map(|part| match part {
            Part::Text { text, .. } => Some(text.trim()),
            Part::Image(_)
            | Part::ToolCall(_)
            | Part::ToolResult(_)
            | Part::Attached { .. }
            | Part::Reasoning { .. }
            | Part::Refusal { .. } => None,
        })
        .collect();
    // A tool without words of its own repeats the structured result as JSON.
    let said = texts.first().filter(|text| {
        !text.is_empty() && !text.starts_with(['{', '[']) && text.lines().count() == 1
    });
    if let Some(text) = own.or_else(|| said.copied()) {
        lines.push(0, text.to_owned());
        return;
    }
    let figures: Vec<String> = object
        .iter()
        .filter_map(|(name, value)| {
            let (label, unit) = label(name);
            Some(format!("{label} {}", scalar(value, unit)?))
        })
        .take(HEADLINE)
        .collect();
    let title = tool.map_or_else(|| "Result".into(), title);
    lines.push(0, format!("{title}: {}", figures.join(", ")));
}

/// Every field: scalars first, then lists and objects, each in the order of the output schema.
fn fields(
    lines: &mut Lines,
    (object, schema): (&Map<String, Value>, Option<&Value>),
    depth: usize,
) {
    let properties = schema.and_then(|schema| schema.get("properties")).and_then(Value::as_object);
    let declared: Vec<&String> = properties.into_iter().flat_map(Map::keys).collect();
    let place = |name: &String| declared.iter().position(|known| *known == name);
    let mut ordered: Vec<(&String, &Value)> = object
        .iter()
        .filter(|(name, _)| {
            depth > 0 || !["headline", "summary", "message"].contains(&name.as_str())
        })
        .collect();
    ordered.sort_by_key(|(name, value)| {
        (value.is_array() || value.is_object(), place(name).unwrap_or(usize::MAX))
    });
    for (name, value) in ordered {
        let schema = properties.and_then(|properties| properties.get(name));
        field(lines, (name, value, schema), depth + 1);
    }
}

fn field(lines: &mut Lines, (name, value, schema): (&str, &Value, Option<&Value>), depth: usize) {
    let (label, mut unit) = label(name);
    let declared = schema.and_then(|schema| schema.get("x-unit")).and_then(Value::as_str);
    unit = unit.or(declared);
    if let Some(text) = scalar(value, unit) {
        // What the first line says already is not said twice.
        if lines.lines.first() != Some(&text) {
            lines.push(depth, format!("{label}: {text}"));
        }
        return;
    }
    match value {
        Value::Array(items) => list(lines, (&label, unit), items, depth),
        Value::Object(object) if object.is_empty() => lines.push(depth, format!("{label}: none")),
        Value::Object(object) if depth < DEPTH => {
            lines.push(depth, format!("{label}:"));
            fields(lines, (object, schema), depth);
        }
        Value::Object(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            lines.push(depth, format!("{label}: …"));
        }
    }
}

fn list(lines: &mut Lines, (label, unit): (&str, Option<&str>), items: &[Value], depth: usize) {
    if items.is_empty() {
        lines.push(depth, format!("{label}: none"));
        return;
    }
    let figures: Option<Vec<String>> = items
        .iter()
        .take(ROWS)
        .map(|item| if item.is_number() { scalar(item, None) } else { None })
        .collect();
    let more = items.len().saturating_sub(ROWS);
    if let Some(figures) = figures {
        let rest = if more > 0 { format!(", … {more} more") } else { String::new() };
        let unit = unit.map_or(String::new(), |unit| format!(" ({unit})"));
        lines.push(depth, format!("{label}{unit}: {}{rest}", figures.join(", ")));
        return;
    }
    lines.push(depth, format!("{label}:"));
    for item in items.iter().take(ROWS) {
        lines.push(depth + 1, format!("- {}", row(item, unit)));
    }
    if more > 0 {
        lines.push(depth + 1, format!("… {more} more"));
    }
}

/// One row of a list on one line.
fn row(item: &Value, unit: Option<&str>) -> String {
    let Value::Object(object) = item else {
        return scalar(item, unit).unwrap_or_else(|| item.to_string());
    };
    let cells: Vec<String> = object
        .iter()
        .map(|(name, value)| {
            let (label, unit) = label(name);
            let text = scalar(value, unit).unwrap_or_else(|| value.to_string());
            format!("{label} {text}")
        })
        .collect();
    cells.join(", ")
}
