//! What the providers' documents demand of a request: a stand-in that refuses what they would.
use std::collections::BTreeSet;

use regex::Regex;
use serde_json::Value;

use crate::stage::Sent;

/// Members that a provider wants back unchanged.
const OPAQUE: [&str; 4] = ["encrypted_content", "signature", "thoughtSignature", "data"];

/// Panics if a provider would refuse `sent`.
pub(crate) fn check(name: &str, model: &str, sent: &Sent) {
    let body = &sent.body;
    let (provider, model) = model.split_once(':').unwrap();
    assert!(!sent.url.contains("key="), "{name}: a key in the URL");
    let header = |key: &str| sent.headers.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str());
    let wanted = match provider {
        "anthropic" => ("x-api-key", Some("KEY")),
        "google" => ("x-goog-api-key", Some("KEY")),
        "openai" | "mistral" | "house" => ("authorization", Some("Bearer KEY")),
        _ => ("authorization", None),
    };
    assert_eq!(header(wanted.0), wanted.1, "{name}");
    match provider {
        "openai" => responses(name, body),
        "anthropic" => {
            assert_eq!(header("anthropic-version"), Some("2023-06-01"));
            messages(name, body);
        }
        "google" => contents(name, model, body),
        "ollama" | "ollama-vision" => ollama(name, body),
        dialect => chat(name, dialect, body),
    }
}

/// Panics if what a provider wants back is not in `body`.
pub(crate) fn echoes(name: &str, wanted: &BTreeSet<(String, String)>, body: &Value) {
    let mut there = BTreeSet::new();
    collect(body, &mut there);
    for pair in wanted {
        assert!(there.contains(pair), "{name}: {pair:?} was not sent back");
    }
}

/// Adds what the answer `text` wants back.
pub(crate) fn opaque(text: &str, into: &mut BTreeSet<(String, String)>) {
    for line in text.lines() {
        let line = line.strip_prefix("data: ").unwrap_or(line);
        if let Ok(value) = serde_json::from_str(line) {
            collect(&value, into);
        }
    }
}

fn collect(value: &Value, into: &mut BTreeSet<(String, String)>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match value.as_str() {
                    Some(text) if OPAQUE.contains(&key.as_str()) && !text.is_empty() => {
                        into.insert((key.clone(), text.to_owned()));
                    }
                    _ => collect(value, into),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|value| collect(value, into)),
        _ => {}
    }
}

fn only(name: &str, value: &Value, keys: &[&str]) {
    for key in value.as_object().unwrap().keys() {
        assert!(keys.contains(&key.as_str()), "{name}: `{key}` is not permitted in {value}");
    }
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("`{key}` is no text in {value}"))
}

fn matches(what: &str, pattern: &str) {
    assert!(Regex::new(pattern).unwrap().is_match(what), "`{what}` is not {pattern}");
}

fn tool_name(name: &str) {
    matches(name, "^[A-Za-z_][A-Za-z0-9_-]{0,63}$");
}

fn root(name: &str, schema: &Value) {
    assert_eq!(schema["type"], "object", "{name}");
    assert!(schema["properties"].is_object(), "{name}: object schema missing properties");
    for bad in ["anyOf", "oneOf", "allOf", "enum", "not", "$schema"] {
        assert!(schema.get(bad).is_none(), "{name}: `{bad}` at the root");
    }
}

/// A strict schema: closed, and every property required, at any depth.
fn strictly(name: &str, schema: &Value) {
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        assert_eq!(schema["additionalProperties"], false, "{name}: {schema}");
        let required: BTreeSet<_> = list(schema, "required").iter().map(Value::to_string).collect();
        assert_eq!(required.len(), properties.len(), "{name}: {schema}");
        properties.values().for_each(|property| strictly(name, property));
    }
    if let Some(items) = schema.get("items") {
        strictly(name, items);
    }
    list(schema, "anyOf").iter().for_each(|schema| strictly(name, schema));
}

fn arguments(text: &str) {
    assert!(serde_json::from_str::<Value>(text).unwrap().is_object(), "{text} is no object");
}

fn responses(name: &str, body: &Value) {
    only(
        name,
        body,
        &[
            "model",
            "instructions",
            "input",
            "tools",
            "tool_choice",
            "parallel_tool_calls",
            "max_output_tokens",
            "temperature",
            "reasoning",
            "store",
            "include",
            "stream",
        ],
    );
    assert_eq!((&body["store"], &body["stream"]), (&Value::Bool(false), &Value::Bool(true)));
    assert_eq!(body["include"][0], "reasoning.encrypted_content");
    for tool in list(body, "tools") {
        only(name, tool, &["type", "name", "description", "parameters", "strict"]);
        tool_name(text(tool, "name"));
        root(name, &tool["parameters"]);
        if tool["strict"].as_bool().expect("strict has to be said") {
            strictly(name, &tool["parameters"]);
        }
    }
    items(name, list(body, "input"));
}

fn items(name: &str, items: &[Value]) {
    let mut open: Vec<&str> = Vec::new();
    for (at, item) in items.iter().enumerate() {
        match text(item, "type") {
            "message" => {
                only(name, item, &["type", "id", "role", "content", "phase"]);
                assert!(
                    open.is_empty() || item["role"] == "assistant",
                    "{name}: no output for {open:?}"
                );
                let kinds: &[&str] = if item["role"] == "user" {
                    &["input_text", "input_image"]
                } else {
                    &["output_text", "refusal"]
                };
                for part in list(item, "content") {
                    assert!(kinds.contains(&text(part, "type")), "{name}: {part}");
                }
            }
            "reasoning" => {
                only(name, item, &["type", "id", "summary", "encrypted_content", "content"]);
                let next = items.get(at + 1).map(|next| text(next, "type"));
                assert!(
                    matches!(next, Some("function_call" | "message" | "reasoning")),
                    "{name}: reasoning without its following item"
                );
            }
            "function_call" => {
                only(name, item, &["type", "id", "call_id", "name", "arguments"]);
                matches(text(item, "call_id"), "^[A-Za-z0-9_-]{1,64}$");
                tool_name(text(item, "name"));
                arguments(text(item, "arguments"));
                open.push(text(item, "call_id"));
            }
            "function_call_output" => {
                only(name, item, &["type", "call_id", "output"]);
                let id = text(item, "call_id");
                let before = open.len();
                open.retain(|open| *open != id);
                assert_eq!(open.len() + 1, before, "{name}: no call for the output {id}");
            }
            other => panic!("{name}: an item `{other}`"),
        }
    }
    assert!(open.is_empty(), "{name}: no output for {open:?}");
}

fn chat(name: &str, dialect: &str, body: &Value) {
    let mut keys = vec![
        "model",
        "messages",
        "tools",
        "tool_choice",
        "temperature",
        "reasoning_effort",
        "stream",
    ];
    keys.push(if dialect == "house" { "max_completion_tokens" } else { "max_tokens" });
    if dialect != "mistral" {
        keys.push("stream_options");
        assert_eq!(body["stream_options"]["include_usage"], true);
    }
    only(name, body, &keys);
    for tool in list(body, "tools") {
        let function = &tool["function"];
        tool_name(text(function, "name"));
        root(name, &function["parameters"]);
        let knows = matches!(dialect, "house" | "mistral");
        assert_eq!(function.get("strict").is_some(), knows, "{name}: strict");
        if dialect == "llamacpp" {
            assert!(!function["parameters"].to_string().contains("\"pattern\""), "{name}");
        }
    }
    let nine = matches!(dialect, "mistral" | "vllm");
    let id_pattern = if nine { "^[A-Za-z0-9]{9}$" } else { "^[A-Za-z0-9_-]{1,64}$" };
    let (mut open, mut used): (Vec<&str>, BTreeSet<&str>) = (Vec::new(), BTreeSet::new());
    let mut before = "";
    for message in list(body, "messages") {
        let role = text(message, "role");
        assert!(!message["content"].is_null(), "{name}: content is null");
        if role == "tool" {
            let id = text(message, "tool_call_id");
            let count = open.len();
            open.retain(|open| *open != id);
            assert_eq!(open.len() + 1, count, "{name}: no call for the result {id}");
            let inside = dialect == "llamacpp";
            assert!(message["content"].is_string() || inside, "{name}: content of a result");
        } else {
            assert!(open.is_empty(), "{name}: {role} before the results of {open:?}");
        }
        if dialect == "mistral" {
            assert!(!(before == "tool" && role == "user"), "{name}: user after tool");
        }
        for call in list(message, "tool_calls") {
            let id = text(call, "id");
            matches(id, id_pattern);
            assert!(used.insert(id), "{name}: {id} stands twice");
            tool_name(text(&call["function"], "name"));
            arguments(text(&call["function"], "arguments"));
            open.push(id);
        }
        before = role;
    }
    assert!(open.is_empty(), "{name}: no result for {open:?}");
}

fn messages(name: &str, body: &Value) {
    only(
        name,
        body,
        &[
            "model",
            "max_tokens",
            "system",
            "messages",
            "tools",
            "tool_choice",
            "temperature",
            "thinking",
            "output_config",
            "stream",
        ],
    );
    assert!(body["max_tokens"].as_u64().unwrap() > 0);
    for tool in list(body, "tools") {
        only(name, tool, &["name", "description", "input_schema", "strict"]);
        tool_name(text(tool, "name"));
        root(name, &tool["input_schema"]);
        for key in tool["input_schema"]["properties"].as_object().unwrap().keys() {
            matches(key, "^[a-zA-Z0-9_.-]{1,64}$");
        }
    }
    alternate(name, list(body, "messages"));
}

fn alternate(name: &str, all: &[Value]) {
    let mut open: Vec<&str> = Vec::new();
    for (at, message) in all.iter().enumerate() {
        let role = if at % 2 == 0 { "user" } else { "assistant" };
        assert_eq!(message["role"], role, "{name}: roles alternate");
        let Some(content) = message["content"].as_array() else {
            assert!(!text(message, "content").trim().is_empty() && open.is_empty(), "{name}");
            continue;
        };
        assert!(!content.is_empty(), "{name}: empty content");
        let mut other = false;
        for block in content {
            match text(block, "type") {
                "text" => assert!(!text(block, "text").trim().is_empty(), "{name}: blank text"),
                "image" => assert_eq!(block["source"]["type"], "base64"),
                "thinking" => {
                    only(name, block, &["type", "thinking", "signature"]);
                    assert!(!text(block, "signature").is_empty(), "{name}: no signature");
                }
                "redacted_thinking" => only(name, block, &["type", "data"]),
                "tool_use" => {
                    only(name, block, &["type", "id", "name", "input"]);
                    matches(text(block, "id"), "^[a-zA-Z0-9_-]+$");
                    tool_name(text(block, "name"));
                    assert!(block["input"].is_object());
                    open.push(text(block, "id"));
                }
                "tool_result" => {
                    assert!(!other, "{name}: something stands before a result");
                    let id = text(block, "tool_use_id");
                    let before = open.len();
                    open.retain(|open| *open != id);
                    assert_eq!(open.len() + 1, before, "{name}: no call for the result {id}");
                }
                kind => panic!("{name}: a block `{kind}`"),
            }
            other |= block["type"] != "tool_result";
        }
        assert!(role == "assistant" || open.is_empty(), "{name}: results are missing: {open:?}");
    }
    assert_eq!(all.len() % 2, 1, "{name}: it ends with the user");
}

const GEMINI: [&str; 18] = [
    "$defs",
    "$ref",
    "additionalProperties",
    "anyOf",
    "description",
    "enum",
    "format",
    "items",
    "maxItems",
    "maximum",
    "minItems",
    "minimum",
    "oneOf",
    "prefixItems",
    "properties",
    "required",
    "title",
    "type",
];

fn contents(name: &str, model: &str, body: &Value) {
    only(name, body, &["systemInstruction", "contents", "tools", "toolConfig", "generationConfig"]);
    assert!(list(body, "tools").len() <= 1, "{name}: one entry holds all functions");
    for function in list(&body["tools"][0], "functionDeclarations") {
        only(name, function, &["name", "description", "parametersJsonSchema"]);
        tool_name(text(function, "name"));
        let Some(schema) = function.get("parametersJsonSchema") else { continue };
        root(name, schema);
        assert!(
            !schema["properties"].as_object().unwrap().is_empty(),
            "{name}: should be non-empty"
        );
        gemini_schema(name, schema);
    }
    let mut open: Vec<&str> = Vec::new();
    for (at, content) in list(body, "contents").iter().enumerate() {
        let role = if at % 2 == 0 { "user" } else { "model" };
        assert_eq!(content["role"], role, "{name}: roles alternate");
        let parts = list(content, "parts");
        assert!(!parts.is_empty(), "{name}: no parts");
        let mut first = true;
        for part in parts {
            if let Some(call) = part.get("functionCall") {
                assert_eq!(role, "model");
                tool_name(text(call, "name"));
                assert!(call["args"].is_object());
                let signed = part.get("thoughtSignature").is_some_and(Value::is_string);
                let new = !model.starts_with("gemini-2");
                assert!(!(first && new) || signed, "{name}: a call is missing a thought_signature");
                first = false;
                open.push(text(call, "name"));
            } else if let Some(response) = part.get("functionResponse") {
                assert!(response["response"].is_object());
                assert!(!open.is_empty(), "{name}: a response without a call");
                assert_eq!(open.remove(0), text(response, "name"), "{name}: order");
            } else {
                assert!(part.get("text").is_some() || part.get("inlineData").is_some(), "{part}");
            }
        }
        assert!(role == "model" || open.is_empty(), "{name}: responses are missing");
    }
}

fn gemini_schema(name: &str, schema: &Value) {
    only(name, schema, &GEMINI);
    let bare = schema.as_object().unwrap().keys().all(|key| key.starts_with('$'));
    assert!(schema.get("$ref").is_none() || bare, "{name}: something stands beside a $ref");
    for property in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        gemini_schema(name, property.1);
    }
}

fn ollama(name: &str, body: &Value) {
    only(
        name,
        body,
        &["model", "messages", "tools", "think", "options", "truncate", "shift", "stream"],
    );
    assert!(body["options"]["num_ctx"].as_u64().unwrap() > 4096, "{name}: the default cuts tools");
    let mut open = 0;
    for message in list(body, "messages") {
        only(
            name,
            message,
            &["role", "content", "images", "thinking", "tool_calls", "tool_name", "tool_call_id"],
        );
        if message["role"] == "tool" {
            tool_name(text(message, "tool_name"));
            open -= 1;
        } else {
            assert_eq!(open, 0, "{name}: results are missing");
        }
        for call in list(message, "tool_calls") {
            assert!(call["function"]["arguments"].is_object(), "{name}: arguments are an object");
            open += 1;
        }
    }
    assert_eq!(open, 0, "{name}: results are missing");
}
