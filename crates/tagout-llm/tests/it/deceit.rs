//! Providers that say what no honest one says: what comes of it is an error, or what was said.
use std::sync::Arc;

use serde_json::{Value, json};
use tagout_llm::{Message, Part, ProviderError, Role, Turn};

use crate::stage::{Given, Stage, offered, remote, turn};

fn told(model: &str, events: &[String]) -> Result<Turn, ProviderError> {
    let stage = Arc::new(Stage::default());
    let before = if model.starts_with("ollama") { "" } else { "data: " };
    let text: String = events.iter().map(|event| format!("{before}{event}\n\n")).collect();
    stage.give(Given { status: 200, headers: Vec::new(), pieces: vec![text.into_bytes()] });
    turn(&remote(model, &stage), &[Message::text(Role::User, "Hello")], &offered()).1
}

fn calls(turn: &Turn) -> Vec<(String, String)> {
    let call = |part: &Part| match part {
        Part::ToolCall(call) => Some((call.name.clone(), call.arguments_raw.clone())),
        _ => None,
    };
    turn.parts.iter().filter_map(call).collect()
}

/// Chunks of a chat with these pieces of calls, one each, and the end.
fn chat(pieces: &[Value]) -> Vec<String> {
    let chunk =
        |piece: &Value| json!({"choices": [{"delta": {"tool_calls": [piece]}}]}).to_string();
    let end = json!({"choices": [{"delta": {}, "finish_reason": "tool_calls"}]}).to_string();
    pieces.iter().map(chunk).chain([end]).collect()
}

#[test]
fn two_calls_of_one_number_are_not_joined() {
    let load = json!({"index": 0, "id": "a", "function": {"name": "grid__get_load",
                      "arguments": "{\"region\":"}});
    for second in [
        json!({"index": 0, "id": "b", "function": {"name": "grid__plot", "arguments": "\"x\"}"}}),
        json!({"index": 0, "id": "b", "function": {"arguments": "\"north\"}"}}),
        json!({"index": 0, "function": {"name": "grid__plot", "arguments": "\"north\"}"}}),
    ] {
        let error = told("house:m", &chat(&[load.clone(), second])).unwrap_err();
        assert_eq!(error.code(), "provider-malformed");
        assert!(error.to_string().contains("two calls have the same number"), "{error}");
    }
    let same = json!({"index": 0, "id": "a", "function": {"name": "grid__get_load",
                      "arguments": "\"north\"}"}});
    let turn = told("house:m", &chat(&[load, same])).unwrap();
    assert_eq!(calls(&turn), [("grid__get_load".into(), r#"{"region":"north"}"#.into())]);
}

#[test]
fn a_name_without_a_number_begins_a_call() {
    let plot =
        |arguments: &str| json!({"function": {"name": "grid__plot", "arguments": arguments}});
    let more = json!({"function": {"arguments": "}"}});
    let turn = told("house:m", &chat(&[plot("{}"), plot("{\"a\":1"), more])).unwrap();
    assert_eq!(
        calls(&turn),
        [("grid__plot".into(), "{}".into()), ("grid__plot".into(), r#"{"a":1}"#.into())]
    );
    let early = json!({"index": 3, "function": {"arguments": "{}"}});
    let error = told("house:m", &chat(&[early])).unwrap_err();
    assert_eq!(error.code(), "provider-malformed");
}
