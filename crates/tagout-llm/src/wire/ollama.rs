//! Ollama's own wire. Its imitation of OpenAI's has no `num_ctx`, and cuts tools off in silence.
use serde_json::{Map, Value, json};

use super::{Broken, Draft, Reader, document, envelope, list, number, object, parsed, text};
use crate::{
    assembly::{Assembly, PARTS},
    conversation::{Image, Part, ToolCall, ToolResult},
    provider::{Stop, Usage},
    schema::Subset,
    talk::{Beat, CALL_ID, Told, not_shown},
};

pub(super) const SUBSET: Subset = Subset {
    only: Some(&[
        "$defs",
        "anyOf",
        "description",
        "enum",
        "items",
        "properties",
        "required",
        "type",
    ]),
    without: &[],
    key_length: None,
    bare_refs: false,
};

pub(super) fn body(draft: &Draft<'_>) -> Value {
    let settings = draft.settings;
    let tools = draft.offer.tools.iter().map(|tool| {
        json!({"type": "function", "function": {"name": tool.name,
               "description": tool.description, "parameters": tool.schema}})
    });
    let tools: Vec<_> = tools.collect();
    let options = object([
        ("num_ctx", Some(settings.num_ctx.into())),
        ("num_predict", settings.max_output_tokens.map(Value::from)),
        ("temperature", settings.temperature.map(Value::from)),
    ]);
    object([
        ("model", Some(draft.offer.scope.model.clone().into())),
        ("messages", Some(messages(draft))),
        ("tools", (!tools.is_empty()).then(|| tools.into())),
        ("think", settings.effort.clone().map(Value::from)),
        ("options", Some(options)),
        // An error is better than a conversation of which the beginning is gone.
        ("truncate", Some(false.into())),
        ("shift", Some(false.into())),
        ("stream", Some(true.into())),
    ])
}

fn messages(draft: &Draft<'_>) -> Value {
    let mut messages = Vec::new();
    if !draft.talk.system.is_empty() {
        messages.push(json!({"role": "system", "content": draft.talk.system}));
    }
    for beat in &draft.talk.beats {
        match beat {
            Beat::User(parts) => messages.push(asked(parts, draft)),
            Beat::Assistant(parts) => messages.push(said(parts, draft)),
            Beat::Results(results) => push_results(results, draft, &mut messages),
        }
    }
    Value::Array(messages)
}

fn with_images(role: &str, text: String, images: &[&Image]) -> Value {
    let data: Vec<_> = images.iter().map(|image| Value::from(image.base64.as_str())).collect();
    object([
        ("role", Some(role.into())),
        ("content", Some(text.into())),
        ("images", (!data.is_empty()).then(|| data.into())),
    ])
}

fn asked(parts: &[&Part], draft: &Draft<'_>) -> Value {
    let (mut texts, mut images) = (Vec::new(), Vec::new());
    for part in parts {
        match part {
            Part::Text { text, .. } => texts.push(text.clone()),
            Part::Image(image) if draft.shows(image) => images.push(image),
            Part::Image(image) => texts.push(not_shown(image)),
            Part::ToolCall(_)
            | Part::ToolResult(_)
            | Part::Attached { .. }
            | Part::Reasoning { .. }
            | Part::Refusal { .. } => {}
        }
    }
    with_images("user", texts.join("\n"), &images)
}

fn said(parts: &[&Part], draft: &Draft<'_>) -> Value {
    let (mut texts, mut calls, mut thoughts) = (Vec::new(), Vec::new(), String::new());
    for part in parts {
        match part {
            Part::Text { text, .. } | Part::Refusal { text } => texts.push(text.as_str()),
            Part::ToolCall(call) => calls.push(tool_call(call, draft)),
            Part::Reasoning { state, .. } => {
                let own = draft.offer.scope.own(Some(state));
                thoughts.push_str(own.map(|own| text(own, "thinking")).unwrap_or_default());
            }
            Part::Image(_) | Part::ToolResult(_) | Part::Attached { .. } => {}
        }
    }
    object([
        ("role", Some("assistant".into())),
        ("content", Some(texts.join("\n").into())),
        ("thinking", (!thoughts.is_empty()).then(|| thoughts.into())),
        ("tool_calls", (!calls.is_empty()).then(|| calls.into())),
    ])
}

fn tool_call(call: &ToolCall, draft: &Draft<'_>) -> Value {
    let name = crate::names::fitted(&call.name);
    let arguments = draft.offer.written(&call.name, &call.arguments_raw);
    json!({"id": draft.talk.id(call), "function": {"name": name, "arguments": arguments}})
}

fn push_results(
    results: &[(&ToolCall, &ToolResult)],
    draft: &Draft<'_>,
    messages: &mut Vec<Value>,
) {
    let mut after = Vec::new();
    let mut whose = Vec::new();
    for (call, result) in results {
        let told = Told::of(result, draft.images).marked(result.is_error).announced();
        let name = crate::names::fitted(&call.name);
        if !told.images.is_empty() {
            whose.push(name.clone());
            after.extend(told.images);
        }
        messages.push(json!({"role": "tool", "tool_name": name,
                             "tool_call_id": draft.talk.id(call), "content": told.text}));
    }
    if !after.is_empty() {
        let text = format!("The image(s) of the result of {}:", whose.join(", "));
        messages.push(with_images("user", text, &after));
    }
}

/// Reads the lines of a chat.
pub(super) struct Stream {
    num_ctx: u32,
}

impl Stream {
    pub(super) const fn new(num_ctx: u32) -> Self {
        Self { num_ctx }
    }
}

impl Reader for Stream {
    fn read(&mut self, text_: &str, into: &mut Assembly) -> Result<bool, Broken> {
        let line = parsed(text_)?;
        if line.get("error").is_some() {
            return Err(Broken::Said(envelope(&line).unwrap_or_default()));
        }
        if let Some(message) = line.get("message") {
            take(message, text_, into)?;
        }
        if line.get("done").and_then(Value::as_bool) != Some(true) {
            return Ok(false);
        }
        self.counted(&line, into);
        match text(&line, "done_reason") {
            "stop" | "" => into.stop(Stop::Complete, "stop"),
            "length" => into.stop(Stop::Length, "length"),
            other => {
                return Err(Broken::Senseless(format!("it ended by `{other}`")));
            }
        }
        Ok(true)
    }
}

impl Stream {
    fn counted(&self, line: &Value, into: &mut Assembly) {
        let read = number(line, "/prompt_eval_count");
        let written = number(line, "/eval_count");
        if let Some((input_tokens, output_tokens)) = read.zip(written) {
            *into.usage() = Usage { input_tokens, output_tokens, ..Usage::default() };
        }
        let all = read.unwrap_or_default().saturating_add(written.unwrap_or_default());
        if read.is_some_and(|_| all >= u64::from(self.num_ctx)) {
            into.note(format!(
                "the conversation fills the context of {} tokens: its beginning, tools among it, \
                 may have been cut; set `num_ctx` higher",
                self.num_ctx
            ));
        }
    }
}

fn take(message: &Value, line: &str, into: &mut Assembly) -> Result<(), Broken> {
    let thinking = text(message, "thinking");
    if !thinking.is_empty() {
        into.reasoning(None, thinking, || json!({"thinking": ""}));
        let state = into.reasoning_state(None).and_then(|state| state.get_mut("thinking"));
        if let Some(Value::String(whole)) = state {
            whole.push_str(thinking);
        }
    }
    into.text(None, text(message, "content"));
    let calls = list(message, "tool_calls");
    if calls.is_empty() {
        return Ok(());
    }
    if calls.len() > PARTS {
        return Err(Broken::TooMany);
    }
    let written = arguments(line)?;
    for (call, written) in calls.iter().zip(written) {
        let key = (0, u64::try_from(into.parts()).unwrap_or(u64::MAX));
        let name = call.pointer("/function/name").and_then(Value::as_str).unwrap_or_default();
        let Some(state) = into.call(key, name) else { return Ok(()) };
        let id = call.get("id").filter(|id| id.is_string()).cloned();
        let kept: Map<_, _> = id.into_iter().map(|id| (CALL_ID.to_owned(), id)).collect();
        state.extend(kept);
        into.call_done(key, Some(&written));
    }
    Ok(())
}

/// The calls' arguments as they were written: reading them into a tree could change a number.
fn arguments(line: &str) -> Result<Vec<String>, Broken> {
    let document = document(line)?;
    let Some(message) = document.root().get("message") else { return Ok(Vec::new()) };
    let Some(calls) = message.get("tool_calls") else { return Ok(Vec::new()) };
    let written = calls.elements().map(|call| {
        let function = call.get("function");
        let arguments = function.as_ref().and_then(|function| function.get("arguments"));
        arguments.map(|arguments| arguments.raw().to_owned()).unwrap_or_default()
    });
    Ok(written.collect())
}
