//! Arbitrary conversations and arbitrary streams: what is sent is always what providers demand, and
//! what comes back never makes a panic, a call that is no call, or an endless turn.
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;
use tagout_llm::{Image, Message, Part, ProviderState, Role, StreamEvent, ToolCall, ToolResult};
use tagout_proto::{Document, Limits};

use crate::{
    demands,
    exchanges::DOT,
    stage::{Given, Stage, offered, remote, turn},
};

const MODELS: [&str; 10] = [
    "openai:gpt-6-luna",
    "house:m",
    "mistral:mistral-large-4",
    "llamacpp:m",
    "vllm:m",
    "lmstudio:m",
    "anthropic:claude-sonnet-5-5",
    "google:gemini-4-argon",
    "google:gemini-2.5-pro",
    "ollama-vision:m",
];

/// What a model may have done in one turn, whichever model that was.
#[derive(Clone, Debug)]
struct Step {
    question: Option<String>,
    from: usize,
    reasoning: bool,
    text: String,
    calls: Vec<(String, String, bool, bool)>,
}

fn step() -> impl Strategy<Value = Step> {
    let names = ["grid__get_load", "files__read.file", "gone__since", "9.odd name"];
    let arguments = ["{}", r#"{"path":"a","max bytes":1}"#, "", "{broken", "[1]"];
    let call = (
        proptest::sample::select(names.to_vec()).prop_map(str::to_owned),
        proptest::sample::select(arguments.to_vec()).prop_map(str::to_owned),
        any::<bool>(),
        any::<bool>(),
    );
    let text = proptest::sample::select(vec!["", " ", "\n", "Let me see.", "⚡"]);
    (
        proptest::option::of("[a-z ]{0,8}"),
        0..MODELS.len(),
        any::<bool>(),
        text.prop_map(str::to_owned),
        proptest::collection::vec(call, 0..4),
    )
        .prop_map(|(question, from, reasoning, text, calls)| Step {
            question,
            from,
            reasoning,
            text,
            calls,
        })
}

fn state(model: &str, n: usize) -> ProviderState {
    let (provider, name) = model.split_once(':').unwrap();
    let value = json!({"call_id": if n.is_multiple_of(3) { "same".into() } else { format!("native-{n}") },
                       "thoughtSignature": "c2ln"});
    ProviderState { provider: provider.into(), model: name.into(), value }
}

fn reasoning(model: &str) -> Part {
    let value = match model.split_once(':').unwrap().0 {
        "openai" => {
            json!({"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "E"})
        }
        "anthropic" => json!({"type": "thinking", "thinking": "", "signature": "S"}),
        "google" => json!({"text": "", "thoughtSignature": "S"}),
        "ollama-vision" => json!({"thinking": "t"}),
        _ => json!({"reasoning_content": "t"}),
    };
    let state = ProviderState { value, ..state(model, 1) };
    Part::Reasoning { text: String::new(), state }
}

fn conversation(steps: &[Step]) -> Vec<Message> {
    let mut messages =
        vec![Message::text(Role::System, "Be careful."), Message::text(Role::User, "Hello")];
    let mut count = 0;
    for step in steps {
        let model = MODELS[step.from];
        let mut parts = Vec::new();
        if step.reasoning {
            parts.push(reasoning(model));
        }
        parts.push(Part::text(step.text.clone()));
        let mut results = Vec::new();
        for (name, arguments, image, is_error) in &step.calls {
            count += 1;
            let id = format!("call-{count}");
            let call = ToolCall::new(id.clone(), name.clone(), arguments.clone());
            parts.push(Part::ToolCall(ToolCall { state: Some(state(model, count)), ..call }));
            let dot = Image { media_type: "image/png".into(), base64: DOT.into() };
            let shown = image.then_some(Part::Image(dot));
            let parts = shown.into_iter().collect();
            let (is_error, structured) = (*is_error, None);
            results.push(Part::ToolResult(ToolResult { call_id: id, parts, structured, is_error }));
        }
        messages.push(Message { role: Role::Assistant, parts });
        // In another order, and in two messages, as when one came late.
        let late = results.split_off(results.len() / 2);
        messages.push(Message { role: Role::Tool, parts: late });
        messages.push(Message { role: Role::Tool, parts: results });
        if let Some(question) = &step.question {
            messages.push(Message::text(Role::User, question.as_str()));
        }
    }
    messages.push(Message::text(Role::User, "Go on"));
    messages
}

fn send(model: &str, messages: &[Message], pieces: Vec<Vec<u8>>) -> (Arc<Stage>, Vec<StreamEvent>) {
    let stage = Arc::new(Stage::default());
    stage.give(Given { status: 200, headers: Vec::new(), pieces });
    let (events, result) = turn(&remote(model, &stage), messages, &offered());
    for event in &events {
        if let StreamEvent::ToolCallDone { arguments_raw, .. } = event {
            let read = Document::read(arguments_raw.as_bytes(), Limits::default());
            assert!(read.is_ok(), "{arguments_raw}");
            assert!(result.is_ok());
        }
    }
    (stage, events)
}

/// Pieces of streams, right and wrong.
const SHARDS: [&str; 34] = [
    "data: ",
    "\n",
    "\n\n",
    "\r\n",
    "event: x\n",
    ": ping\n\n",
    "[DONE]",
    "{",
    "}",
    "[",
    "]",
    "\"",
    ",",
    r#"{"choices":[{"delta":{"content":"a"}}]}"#,
    r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"x","function":{"name":"grid__plot","arguments":"{}"}}]}}]}"#,
    r#"{"choices":[{"delta":{"tool_calls":[{"index":18446744073709551615,"function":{"arguments":"{"}}]}}]}"#,
    r#"{"choices":[{"delta":{},"finish_reason":"tool_calls"}]}"#,
    r#"{"choices":[{"delta":{},"finish_reason":"length"}]}"#,
    r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"function_call","name":"grid__plot"}}"#,
    r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"function_call","name":"grid__plot","arguments":"{}","status":"completed"}}"#,
    r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"reasoning"}}"#,
    r#"{"type":"response.completed","response":{"status":"completed","usage":{"input_tokens":-1}}}"#,
    r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"grid__plot","input":{"a":1}}}"#,
    r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking"}}"#,
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"s"}}"#,
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"a\":"}}"#,
    r#"{"type":"content_block_stop","index":0}"#,
    r#"{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":18446744073709551615}}"#,
    r#"{"type":"message_stop"}"#,
    r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"grid__plot","args":{"a":1}}}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":18446744073709551615,"toolUsePromptTokenCount":1,"thoughtsTokenCount":18446744073709551615,"candidatesTokenCount":1}}"#,
    r#"{"candidates":[{"content":{"parts":[{"text":"a","thought":true},{"text":"b"},{"text":"","thoughtSignature":"s"}]}}]}"#,
    r#"{"message":{"content":"x","thinking":"y","tool_calls":[{"function":{"name":"grid__plot","arguments":{"a":1,"a":2}}}]},"done":false}"#,
    r#"{"message":{},"done":true,"done_reason":"stop","prompt_eval_count":1}"#,
    "\u{fffd}é\u{202e}",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_conversation_is_written_as_demanded(
        steps in proptest::collection::vec(step(), 0..5),
        model in 0..MODELS.len(),
    ) {
        let messages = conversation(&steps);
        let (stage, _) = send(MODELS[model], &messages, Vec::new());
        let sent = stage.sent.lock().unwrap();
        demands::check("a conversation", MODELS[model], sent.last().unwrap());
    }

    #[test]
    fn no_stream_makes_a_panic_or_half_a_call(
        shards in proptest::collection::vec(0..SHARDS.len(), 0..24),
        framed in any::<bool>(),
        model in 0..MODELS.len(),
        noise in proptest::collection::vec(any::<u8>(), 0..8),
    ) {
        let mut stream = Vec::new();
        for shard in shards {
            let shard = SHARDS[shard];
            if framed && shard.starts_with('{') && shard.len() > 1 {
                let lines = MODELS[model].starts_with("ollama");
                stream.extend_from_slice(if lines { b"" } else { b"data: " });
                stream.extend_from_slice(shard.as_bytes());
                stream.extend_from_slice(b"\n\n");
            } else if !framed {
                stream.extend_from_slice(shard.as_bytes());
            }
        }
        if !framed {
            stream.extend(noise);
        }
        let messages = [Message::text(Role::User, "Hello")];
        send(MODELS[model], &messages, vec![stream]);
    }
}

#[test]
fn an_endless_stream_ends() {
    let messages = [Message::text(Role::User, "Hello")];
    let line = b"data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"id\":\"N\",\"function\":{\"name\":\"a\"}}]}}]}\n\n";
    let many: Vec<Vec<u8>> = (0..600)
        .map(|n: usize| String::from_utf8(line.to_vec()).unwrap().replace('N', &n.to_string()))
        .map(String::into_bytes)
        .chain([b"data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n".to_vec()])
        .collect();
    for (pieces, what) in [
        (many, "parts of a turn"),
        (vec![vec![b'x'; 1 << 20]; 5], "bytes of one event"),
        (vec![b": ping\n\n".repeat(1 << 17); 70], "bytes of an answer"),
    ] {
        let stage = Arc::new(Stage::default());
        stage.give(Given { status: 200, headers: Vec::new(), pieces });
        let (_, result) = turn(&remote("house:m", &stage), &messages, &offered());
        let error = result.unwrap_err();
        assert_eq!(error.code(), "provider-too-large");
        assert!(error.to_string().contains(what), "{error}");
    }
}

#[test]
fn a_conversation_that_makes_no_sense_is_not_sent() {
    let call = |id: &str| Part::ToolCall(ToolCall::new(id, "grid__plot", "{}"));
    let result = |id: &str| {
        let (call_id, parts) = (id.to_owned(), vec![Part::text("x")]);
        Part::ToolResult(ToolResult { call_id, parts, structured: None, is_error: false })
    };
    let says = |role, parts| Message { role, parts };
    let hello = || Message::text(Role::User, "Hello");
    for (messages, code) in [
        (vec![], "provider-no-question"),
        (vec![Message::text(Role::System, "x")], "provider-no-question"),
        (vec![hello(), says(Role::Assistant, vec![call("a")])], "provider-conversation"),
        (vec![hello(), says(Role::Tool, vec![result("a")])], "provider-conversation"),
        (
            vec![
                hello(),
                says(Role::Assistant, vec![call("a"), call("a")]),
                says(Role::Tool, vec![result("a")]),
            ],
            "provider-conversation",
        ),
        (
            vec![
                hello(),
                says(Role::Assistant, vec![call("a")]),
                says(Role::Tool, vec![result("a"), result("a")]),
            ],
            "provider-conversation",
        ),
    ] {
        for model in MODELS {
            let stage = Arc::new(Stage::default());
            let (_, result) = turn(&remote(model, &stage), &messages, &offered());
            assert_eq!(result.unwrap_err().code(), code);
            assert!(stage.sent.lock().unwrap().is_empty());
        }
    }
}
