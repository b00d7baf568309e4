//! Providers that say what no honest one says: what comes of it is an error, or what was said.
use std::sync::Arc;

use serde_json::{Value, json};
use tagout_llm::{Message, Part, ProviderError, Role, Turn};

use crate::stage::{Given, KEY, Stage, offered, remote, turn};

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
fn a_whole_call_may_be_followed_by_another_of_its_number() {
    let piece = |id: &str, name: Option<&str>, arguments: &str| json!({"index": 0, "id": id, "function": {"name": name, "arguments": arguments}});
    let first =
        [piece("a", Some("grid__plot"), ""), piece("", None, "{\"a\":"), piece("a", None, "1}")];
    let second =
        [piece("b", Some("grid__plot"), ""), piece("", None, "{\"a\":2"), piece("b", None, "}")];
    let both: Vec<_> = first.iter().chain(&second).cloned().collect();
    let expected =
        [r#"{"a":1}"#, r#"{"a":2}"#].map(|raw| ("grid__plot".to_owned(), raw.to_owned()));
    for model in ["vllm:m", "llamacpp:m", "house:m"] {
        assert_eq!(calls(&told(model, &chat(&both)).unwrap()), expected, "{model}");
    }
    // What comes late for the first belongs to neither, and what is not whole is not left behind.
    for late in [piece("a", None, "}"), piece("a", None, "{}"), piece("", None, "{}")] {
        let pieces: Vec<_> = both.iter().cloned().chain([late]).collect();
        assert!(told("vllm:m", &chat(&pieces)).is_err(), "{pieces:?}");
    }
    let early: Vec<_> = first[..2].iter().chain(&second).cloned().collect();
    assert!(told("vllm:m", &chat(&early)).is_err());
    let nameless = [first.clone().to_vec(), vec![piece("b", None, "{}")]].concat();
    assert!(told("vllm:m", &chat(&nameless)).is_err());
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

#[test]
fn many_calls_in_one_event_are_read_once() {
    // Were the event read again for every call, this would take minutes.
    let gemini = |count: usize, filler: usize| {
        let part =
            json!({"functionCall": {"name": "grid__plot", "args": {"a": "x".repeat(filler)}}});
        let parts = vec![part; count];
        json!({"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]}).to_string()
    };
    let ollama = |count: usize| {
        let call = json!({"function": {"name": "grid__plot", "arguments": {"a": 1}}});
        json!({"message": {"tool_calls": vec![call; count]}, "done": true}).to_string()
    };
    let whole = told("google:gemini-4-argon", &[gemini(512, 8000)]).unwrap();
    assert_eq!(calls(&whole).len(), 512);
    let unnumbered: Vec<_> = (0..513)
        .map(|n| json!({"id": n.to_string(), "function": {"name": "a", "arguments": ""}}))
        .collect();
    for (model, events) in [
        ("google:gemini-4-argon", vec![gemini(20_000, 1)]),
        ("ollama:m", vec![ollama(513)]),
        ("house:m", chat(&unnumbered)),
    ] {
        let error = told(model, &events).unwrap_err();
        assert_eq!(error.code(), "provider-too-large", "{model}: {error}");
        assert!(error.to_string().contains("parts of a turn"), "{error}");
    }
}

#[test]
fn a_key_that_stands_twice_is_refused_wherever_arguments_are_an_object() {
    let chunk = r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"name":"grid__plot","arguments":{"a":1,"a":2}}}]},"finish_reason":"tool_calls"}]}"#;
    let block = r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"grid__plot","input":{"a":1,"a":2}}}"#;
    let stop = r#"{"type":"content_block_stop","index":0}"#;
    let end = r#"{"type":"message_delta","delta":{"stop_reason":"tool_use"}}"#;
    let last = r#"{"type":"message_stop"}"#;
    for (model, events) in
        [("house:m", vec![chunk]), ("anthropic:claude-haiku-5-5", vec![block, stop, end, last])]
    {
        let told = |twice: &str| {
            let events: Vec<_> = events.iter().map(|e| e.replace("\"a\":2", twice)).collect();
            told(model, &events)
        };
        assert_eq!(told("\"a\":2").unwrap_err().code(), "provider-malformed");
        let turn = told("\"b\":1.50").unwrap();
        assert_eq!(calls(&turn), [("grid__plot".into(), r#"{"a":1,"b":1.50}"#.into())]);
    }
}

#[test]
fn a_property_under_both_its_names_is_refused() {
    let stage = Arc::new(Stage::default());
    let messages = [Message::text(Role::User, "Hello")];
    stage.give(Given { status: 500, headers: Vec::new(), pieces: Vec::new() });
    let model = "anthropic:claude-haiku-5-5";
    for _ in 0..4 {
        stage.give(Given { status: 400, headers: Vec::new(), pieces: Vec::new() });
    }
    turn(&remote(model, &stage), &messages, &offered()).1.unwrap_err();
    let sent = stage.sent.lock().unwrap().pop().unwrap();
    let properties = sent.body["tools"][2]["input_schema"]["properties"].as_object().unwrap();
    let alias = properties.keys().find(|key| *key != "path").unwrap();
    let input = json!({"path": "a", alias: 10, "max bytes": 11}).to_string();
    let events = [
        json!({"type": "content_block_start", "index": 0, "content_block":
               {"type": "tool_use", "id": "t", "name": sent.body["tools"][2]["name"]}}),
        json!({"type": "content_block_delta", "index": 0,
               "delta": {"type": "input_json_delta", "partial_json": input}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}}),
        json!({"type": "message_stop"}),
    ];
    let error = told(model, &events.map(|event| event.to_string())).unwrap_err();
    assert_eq!(error.code(), "provider-bad-call");
    assert!(error.to_string().contains("`max bytes` stands twice"), "{error}");
}

#[test]
fn a_number_that_nobody_holds_exactly_is_no_argument() {
    for (number, held) in [
        ("1.50", true),
        ("18446744073709551615", true),
        ("18446744073709551616", false),
        ("0.1000000000000000055", false),
        ("1e400", false),
    ] {
        let arguments = format!("{{\"a\":[{number}]}}");
        let call = json!({"index": 0, "function": {"name": "grid__plot", "arguments": arguments}});
        match told("house:m", &chat(&[call])) {
            Ok(turn) => assert_eq!((calls(&turn)[0].1.as_str(), held), (&*arguments, true)),
            Err(error) => assert_eq!((error.code(), held), ("provider-bad-call", false)),
        }
    }
}

#[test]
fn notes_and_errors_hold_neither_the_key_nor_much_else() {
    let said = format!("{}{KEY} {}", "x".repeat(100), "y".repeat(400));
    let chunk = json!({"choices": [{"delta": {}, "finish_reason": said}]}).to_string();
    let turn = told("house:m", &[chunk]).unwrap();
    let note = turn.notes.first().unwrap();
    assert!(!note.contains(KEY) && note.contains("(key)"), "{note}");
    assert_eq!(note.chars().count(), 300);
    let error = json!({"error": {"message": format!("no {KEY}"), "code": KEY}}).to_string();
    let error = told("house:m", &[error]).unwrap_err().to_string();
    assert!(!error.contains(KEY), "{error}");
}

#[test]
fn a_count_of_one_side_alone_is_no_count() {
    let responses = |usage: &str| {
        format!(
            r#"{{"type":"response.completed","response":{{"status":"completed","usage":{usage}}}}}"#
        )
    };
    let chat = |usage: &str| {
        format!(
            r#"{{"choices":[{{"delta":{{"content":"a"}},"finish_reason":"stop"}}],"usage":{usage}}}"#
        )
    };
    let gemini = |usage: &str| {
        format!(
            r#"{{"candidates":[{{"content":{{"parts":[{{"text":"a"}}]}},"finishReason":"STOP"}}],"usageMetadata":{usage}}}"#
        )
    };
    let done = r#"{"message":{},"done":true,"done_reason":"stop","prompt_eval_count":3}"#;
    for (model, event, counted) in [
        ("openai:m", responses(r#"{"input_tokens":3}"#), None),
        ("openai:m", responses(r#"{"input_tokens":3,"output_tokens":2}"#), Some((3, 2))),
        ("house:m", chat(r#"{"completion_tokens":3}"#), None),
        ("house:m", chat("{}"), None),
        ("house:m", chat(r#"{"prompt_tokens":3,"completion_tokens":2}"#), Some((3, 2))),
        ("google:m", gemini(r#"{"promptTokenCount":3}"#), None),
        ("google:m", gemini(r#"{"promptTokenCount":3,"candidatesTokenCount":2}"#), Some((3, 2))),
        ("ollama:m", done.to_owned(), None),
        ("ollama:m", done.replace("done_reason", "eval_count\":2,\"done_reason"), Some((3, 2))),
    ] {
        let usage = told(model, &[event]).unwrap().usage;
        assert_eq!(
            usage.map(|usage| (usage.input_tokens, usage.output_tokens)),
            counted,
            "{model}"
        );
    }
}

#[test]
fn what_went_into_a_cache_stays_counted() {
    let start = json!({"type": "message_start", "message": {"usage": {"input_tokens": 10,
        "cache_creation_input_tokens": 500, "cache_read_input_tokens": 70, "output_tokens": 1}}});
    let end = |usage: Value| json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage});
    let stop = json!({"type": "message_stop"}).to_string();
    let told = |events: &[Value]| {
        let events: Vec<_> = events.iter().map(ToString::to_string).chain([stop.clone()]).collect();
        told("anthropic:claude-haiku-5-5", &events).unwrap().usage
    };
    let usage = told(&[start, end(json!({"input_tokens": 10, "output_tokens": 5}))]).unwrap();
    assert_eq!((usage.input_tokens, usage.cached_tokens, usage.output_tokens), (580, 70, 5));
    assert_eq!(told(&[end(json!({"output_tokens": 5}))]), None);
}
