//! Results that are too large for a model. The conversation keeps them whole; the model gets a
//! summary, and a tool of the host's own to read on.
use std::borrow::Cow;

use serde_json::{Map, Value, json};
use tagout_llm::{Message, Part, ToolResult, ToolSpec};
use tagout_proto::Digest;

use super::origin::is_by_host;

/// The host's own tool to read on. It has no `__`, so no server's tool is called like it.
pub(crate) const READ_ON: &str = "tagout_read_result";

/// A larger text of one result is summarised.
const RESULT_BYTES: usize = 24 << 10;
/// So are the largest of one round, until the others fit in here.
const ROUND_BYTES: usize = 64 << 10;
/// What is read on at once; a round of eight such pieces fits.
const READ_BYTES: usize = 8 << 10;
/// What a summary shows of the beginning, and of the end.
const EDGE_BYTES: usize = 1 << 10;

/// What a tool said in a result, in text: what a provider would be sent.
pub(crate) fn content(result: &ToolResult) -> Cow<'_, str> {
    let texts: Vec<_> = result
        .parts
        .iter()
        .filter_map(|part| match part {
            Part::Text { text, .. } => (!is_by_host(part) && !text.is_empty()).then_some(text),
            Part::Image(_)
            | Part::ToolCall(_)
            | Part::ToolResult(_)
            | Part::Attached { .. }
            | Part::Reasoning { .. }
            | Part::Refusal { .. } => None,
        })
        .collect();
    match (texts.as_slice(), &result.structured) {
        ([], Some(structured)) => Cow::Owned(structured.to_string()),
        ([], None) => Cow::Borrowed(""),
        ([text], _) => Cow::Borrowed(text.as_str()),
        (texts, _) => {
            let texts: Vec<_> = texts.iter().map(|text| text.as_str()).collect();
            Cow::Owned(texts.join("\n"))
        }
    }
}

/// Which results of one round are too large. What was read on is never.
pub(crate) fn too_large(
    results: &[&ToolResult],
    was_read: impl Fn(&ToolResult) -> bool,
) -> Vec<bool> {
    let size = |result: &&ToolResult| if was_read(result) { 0 } else { content(result).len() };
    let sizes: Vec<_> = results.iter().map(size).collect();
    let mut shelved: Vec<_> = sizes.iter().map(|size| *size > RESULT_BYTES).collect();
    loop {
        let mut left: usize = 0;
        let mut largest = None;
        for ((size, shelved), at) in sizes.iter().zip(&shelved).zip(0..) {
            if !shelved {
                left = left.saturating_add(*size);
                largest = largest.max(Some((*size, at)));
            }
        }
        let Some((_, at)) = largest.filter(|_| left > ROUND_BYTES) else { return shelved };
        if let Some(shelved) = shelved.get_mut(at) {
            *shelved = true;
        }
    }
}

/// What a result is called to read on; the same as long as the conversation lasts.
fn handle(call_id: &str) -> String {
    let digest = Digest::of_parts([b"result".as_slice(), call_id.as_bytes()]).hex();
    format!("result-{}", digest.get(..12).unwrap_or_default())
}

/// What stands in the place of a result.
pub(crate) struct Summary<'a> {
    /// How large it is, of what, and how to read on.
    pub(crate) words: String,
    /// How it begins.
    pub(crate) head: &'a str,
    /// How it ends.
    pub(crate) tail: &'a str,
}

impl<'a> Summary<'a> {
    pub(crate) fn of(result: &ToolResult, text: &'a str) -> Self {
        let (bytes, lines) = (text.len(), text.lines().count());
        let pictures = result.parts.iter().filter(|part| matches!(part, Part::Image(_))).count();
        let mut kinds = String::new();
        if pictures > 0 {
            kinds.push_str(&format!(", {pictures} picture(s)"));
        }
        if result.structured.is_some() {
            kinds.push_str(", structured content");
        }
        let head = head(text);
        let tail = tail(text, head.len());
        let words = format!(
            "The result is kept whole and is too large to be shown at once: {bytes} bytes of text \
             in {lines} line(s){kinds}. Its handle is `{}`. To read on, call `{READ_ON}` with it, \
             `offset` in bytes from 0, and `bytes`, at most {READ_BYTES}. Shown here are its first \
             {} and its last {} bytes.",
            handle(&result.call_id),
            head.len(),
            tail.len(),
        );
        Self { words, head, tail }
    }
}

/// The last place not after `at` where a character begins.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// The first place not before `at` where a character begins.
fn ceil(text: &str, at: usize) -> usize {
    (at..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len())
}

/// The first lines, or the beginning of the first.
fn head(text: &str) -> &str {
    let start = text.get(..floor(text, EDGE_BYTES)).unwrap_or_default();
    let lines = start.rfind('\n').and_then(|at| start.get(..at));
    lines.filter(|lines| !lines.is_empty()).unwrap_or(start)
}

/// The last lines, or the end of the last, without the first `shown` bytes.
fn tail(text: &str, shown: usize) -> &str {
    let from = text.len().saturating_sub(EDGE_BYTES).max(shown);
    let end = text.get(ceil(text, from)..).unwrap_or_default();
    let lines = end.split_once('\n').map(|(_, lines)| lines);
    lines.filter(|lines| !lines.is_empty()).unwrap_or(end)
}

/// The results of a conversation, those of each round together.
fn rounds(messages: &[Message]) -> impl Iterator<Item = Vec<&ToolResult>> {
    messages.iter().map(|message| {
        let results = message.parts.iter().filter_map(|part| match part {
            Part::ToolResult(result) => Some(result),
            Part::Text { .. }
            | Part::Image(_)
            | Part::ToolCall(_)
            | Part::Attached { .. }
            | Part::Reasoning { .. }
            | Part::Refusal { .. } => None,
        });
        results.collect()
    })
}

/// The tool to read on, where there is something to read.
pub(crate) fn tool(messages: &[Message]) -> Option<ToolSpec> {
    let tools = super::present::tools(messages);
    let was_read = |result: &ToolResult| {
        tools.get(result.call_id.as_str()).is_some_and(|tool| *tool == READ_ON)
    };
    let any = rounds(messages).any(|results| too_large(&results, was_read).contains(&true));
    any.then(|| ToolSpec {
        name: READ_ON.to_owned(),
        title: None,
        description: Some(
            "Reads a piece of an earlier result that was too large to be shown at once.".to_owned(),
        ),
        input_schema: json!({
            "type": "object",
            "properties": {
                "handle": {"type": "string", "description": "The handle of the result"},
                "offset": {"type": "integer", "minimum": 0, "description": "Where to begin, in bytes"},
                "bytes": {"type": "integer", "minimum": 1, "maximum": READ_BYTES, "description": "How much to read"},
            },
            "required": ["handle", "offset", "bytes"],
            "additionalProperties": false,
        }),
        output_schema: None,
    })
}

/// A piece of a result of the conversation.
///
/// # Errors
/// There is no such thing, in words.
pub(crate) fn read(messages: &[Message], arguments: &Map<String, Value>) -> Result<String, String> {
    let wanted = arguments.get("handle").and_then(Value::as_str).unwrap_or_default();
    let number = |name: &str| arguments.get(name).and_then(Value::as_u64);
    let mut results = rounds(messages).flatten();
    let Some(result) = results.find(|result| handle(&result.call_id) == wanted) else {
        return Err("there is no result with this handle".to_owned());
    };
    let text = content(result);
    let size = text.len();
    let offset = usize::try_from(number("offset").unwrap_or(0)).unwrap_or(usize::MAX);
    if offset >= size {
        return Err(format!("the result has {size} bytes; there is nothing from {offset} on"));
    }
    let bytes = number("bytes").and_then(|bytes| usize::try_from(bytes).ok());
    let bytes = bytes.unwrap_or(READ_BYTES).min(READ_BYTES);
    // Pieces that follow one another leave nothing out: both ends move the same way.
    let from = floor(&text, offset);
    let to = floor(&text, offset.saturating_add(bytes)).max(from);
    let to = if to == from { ceil(&text, from + 1) } else { to };
    let piece = text.get(from..to).unwrap_or_default();
    let more = if to < size { format!("; go on at {to}") } else { String::new() };
    Ok(format!("bytes {from} to {to} of {size}{more}\n{piece}"))
}

#[cfg(test)]
mod tests {
    use tagout_llm::{Role, ToolCall};

    use super::*;

    fn result(id: &str, text: &str) -> ToolResult {
        let parts = vec![Part::text(text)];
        ToolResult { call_id: id.into(), parts, structured: None, is_error: false }
    }

    fn conversation(results: &[ToolResult]) -> Vec<Message> {
        let call = |result: &ToolResult| {
            Part::ToolCall(ToolCall::new(result.call_id.clone(), "web__fetch", "{}"))
        };
        vec![
            Message { role: Role::Assistant, parts: results.iter().map(call).collect() },
            Message {
                role: Role::Tool,
                parts: results.iter().cloned().map(Part::ToolResult).collect(),
            },
        ]
    }

    #[test]
    fn the_large_ones_of_a_round_are_put_away_first() {
        let kb = |n: usize| "x".repeat(n << 10);
        for (sizes, expected) in [
            (vec![1, 24, 25], vec![false, false, true]),
            (vec![20, 20, 20], vec![false, false, false]),
            (vec![20, 22, 21, 20], vec![false, true, false, false]),
            (vec![100, 20, 20, 20], vec![true, false, false, false]),
            (vec![24; 8], vec![false, false, true, true, true, true, true, true]),
        ] {
            let results: Vec<_> = sizes.iter().map(|n| result("a", &kb(*n))).collect();
            let results: Vec<_> = results.iter().collect();
            assert_eq!(too_large(&results, |_| false), expected, "{sizes:?}");
            assert!(!too_large(&results, |_| true).contains(&true));
        }
    }

    #[test]
    fn all_of_it_can_be_read_in_pieces() {
        let text: String = (0..9_000).map(|n| format!("{n}: säulengänge\n")).collect();
        let messages = conversation(&[result("1", &text)]);
        let tool = tool(&messages).unwrap();
        assert_eq!(tool.name, READ_ON);
        let summary = Summary::of(&result("1", &text), &text);
        assert!(summary.words.contains(&format!("{} bytes of text in 9000 line(s)", text.len())));
        assert!(summary.head.starts_with("0: säulengänge\n") && summary.head.len() <= EDGE_BYTES);
        assert!(summary.tail.ends_with("\n8999: säulengänge\n"), "{}", summary.tail);
        assert!(summary.tail.split('\n').next().unwrap().ends_with(": säulengänge"));
        let mut whole = String::new();
        while whole.len() < text.len() {
            let arguments = json!({"handle": handle("1"), "offset": whole.len(), "bytes": 4_001});
            let piece = read(&messages, arguments.as_object().unwrap()).unwrap();
            whole.push_str(piece.split_once('\n').unwrap().1);
        }
        assert_eq!(whole, text);
    }

    #[test]
    fn what_is_not_there_is_said() {
        let messages = conversation(&[result("1", "short")]);
        assert!(tool(&messages).is_none());
        for (arguments, said) in [
            (json!({"handle": "result-x", "offset": 0, "bytes": 1}), "no result with this handle"),
            (json!({"handle": handle("1"), "offset": 5, "bytes": 1}), "has 5 bytes"),
        ] {
            let error = read(&messages, arguments.as_object().unwrap()).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
        let arguments = json!({"handle": handle("1"), "offset": 1, "bytes": 2});
        let piece = read(&messages, arguments.as_object().unwrap()).unwrap();
        assert_eq!(piece, "bytes 1 to 3 of 5; go on at 3\nho");
    }

    #[test]
    fn structured_content_counts_where_there_is_no_text() {
        let list: Vec<_> = (0..10_000).collect();
        let large = ToolResult { parts: vec![], structured: Some(json!(list)), ..result("1", "") };
        assert_eq!(too_large(&[&large], |_| false), [true]);
        let text = content(&large);
        assert!(Summary::of(&large, &text).words.contains("1 line(s), structured content"));
    }
}
