//! Anthropic's Messages.
use serde_json::{Map, Value, json};

use super::{
    Broken, Draft, Reader, bare_or_list, document, envelope, led_on, number, object, parsed, text,
};
use crate::{
    assembly::Assembly,
    conversation::{Image, Part, ToolCall, ToolResult},
    offer::Strictness,
    provider::{Stop, Usage},
    schema::Subset,
    talk::{Beat, CALL_ID, Told, not_shown},
};

/// What of one request may be strict, by what the provider says when it is more.
pub(super) const STRICTNESS: Strictness = Strictness { tools: 20, unions: 16 };

pub(super) const SUBSET: Subset =
    Subset { only: None, without: &["$schema"], key_length: Some(64), bare_refs: false };

pub(super) fn body(draft: &Draft<'_>) -> Value {
    let settings = draft.settings;
    let tools = draft.offer.tools.iter().map(|tool| {
        object([
            ("name", Some(tool.name.clone().into())),
            ("description", Some(tool.description.clone().into())),
            ("input_schema", Some(tool.schema.clone())),
            ("strict", tool.strict.then_some(true.into())),
        ])
    });
    let tools: Vec<_> = tools.collect();
    let has_tools = !tools.is_empty();
    let system = &draft.talk.system;
    let effort = settings.effort.as_ref();
    object([
        ("model", Some(draft.offer.scope.model.clone().into())),
        ("max_tokens", Some(settings.most().into())),
        ("system", (!system.is_empty()).then(|| system.clone().into())),
        ("messages", Some(messages(draft))),
        ("tools", has_tools.then(|| tools.into())),
        ("tool_choice", has_tools.then(|| json!({"type": "auto"}))),
        ("temperature", settings.temperature.map(Value::from)),
        ("thinking", effort.map(|_| json!({"type": "adaptive"}))),
        ("output_config", effort.map(|effort| json!({"effort": effort}))),
        ("stream", Some(true.into())),
    ])
}

fn messages(draft: &Draft<'_>) -> Value {
    let mut messages: Vec<(&str, Vec<Value>)> = Vec::new();
    for beat in &draft.talk.beats {
        let (role, content): (_, Vec<_>) = match beat {
            Beat::User(parts) => {
                ("user", parts.iter().filter_map(|part| content(part, draft)).collect())
            }
            Beat::Assistant(parts) => {
                let parts = led_on(parts);
                ("assistant", parts.iter().filter_map(|part| said(part, draft)).collect())
            }
            Beat::Results(results) => {
                ("user", results.iter().map(|(call, result)| told(call, result, draft)).collect())
            }
        };
        // Results and what the person says next are one message, the results first.
        match messages.last_mut() {
            _ if content.is_empty() => {}
            Some((before, all)) if *before == role => all.extend(content),
            Some(_) | None => messages.push((role, content)),
        }
    }
    let written = messages
        .into_iter()
        .map(|(role, content)| json!({"role": role, "content": bare_or_list(content, "text")}));
    written.collect()
}

fn content(part: &Part, draft: &Draft<'_>) -> Option<Value> {
    match part {
        Part::Text { text, .. } => Some(json!({"type": "text", "text": text})),
        Part::Image(image) if draft.shows(image) => Some(image_block(image)),
        Part::Image(image) => Some(json!({"type": "text", "text": not_shown(image)})),
        Part::ToolCall(_)
        | Part::ToolResult(_)
        | Part::Attached { .. }
        | Part::Reasoning { .. }
        | Part::Refusal { .. } => None,
    }
}

fn image_block(image: &Image) -> Value {
    json!({"type": "image", "source":
           {"type": "base64", "media_type": image.media_type, "data": image.base64}})
}

fn said(part: &Part, draft: &Draft<'_>) -> Option<Value> {
    match part {
        // A text of blanks alone is refused.
        Part::Text { text, .. } | Part::Refusal { text } => {
            (!text.trim().is_empty()).then(|| json!({"type": "text", "text": text}))
        }
        Part::Reasoning { state, .. } => draft.offer.scope.own(Some(state)).cloned(),
        Part::ToolCall(call) => Some(json!({
            "type": "tool_use", "id": draft.talk.id(call),
            "name": crate::names::fitted(&call.name),
            "input": draft.offer.written(&call.name, &call.arguments_raw),
        })),
        Part::Image(_) | Part::ToolResult(_) | Part::Attached { .. } => None,
    }
}

fn told(call: &ToolCall, result: &ToolResult, draft: &Draft<'_>) -> Value {
    let told = Told::of(result, draft.images);
    let texts = Some(told.text).filter(|text| !text.trim().is_empty());
    let texts = texts.map(|text| json!({"type": "text", "text": text}));
    let content: Vec<_> =
        texts.into_iter().chain(told.images.iter().map(|image| image_block(image))).collect();
    object([
        ("type", Some("tool_result".into())),
        ("tool_use_id", Some(draft.talk.id(call).into())),
        ("is_error", result.is_error.then_some(true.into())),
        ("content", Some(Value::Array(content))),
    ])
}

/// Reads the events of a message.
#[derive(Default)]
pub(super) struct Stream {
    /// What the last `message_delta` said, until the message ends.
    stop: Option<(Stop, String)>,
    counted: Counted,
}

/// What was said of tokens. Each time is a snapshot: what it names replaces what was there.
#[derive(Default)]
struct Counted {
    fresh: Option<u64>,
    /// Of the provider's cache.
    read: u64,
    /// Into that cache.
    written: u64,
    output: Option<u64>,
}

impl Reader for Stream {
    fn read(&mut self, text_: &str, into: &mut Assembly) -> Result<bool, Broken> {
        let event = parsed(text_)?;
        let index = number(&event, "/index").unwrap_or_default();
        match text(&event, "type") {
            "message_start" => {
                self.counted.more(event.pointer("/message/usage"), into);
            }
            "content_block_start" => started(&event, index, text_, into)?,
            "content_block_delta" => more(&event, index, into),
            "content_block_stop" => into.call_done((index, 0), None),
            "message_delta" => {
                self.counted.more(event.get("usage"), into);
                self.stopped(&event, into);
            }
            "message_stop" => {
                if let Some((stop, raw)) = self.stop.take() {
                    into.stop(stop, &raw);
                }
                return Ok(true);
            }
            "error" => return Err(Broken::Said(envelope(&event).unwrap_or_default())),
            _ => {}
        }
        Ok(false)
    }
}

impl Counted {
    fn more(&mut self, usage: Option<&Value>, into: &mut Assembly) {
        let Some(usage) = usage.filter(|usage| usage.is_object()) else { return };
        self.fresh = number(usage, "/input_tokens").or(self.fresh);
        self.read = number(usage, "/cache_read_input_tokens").unwrap_or(self.read);
        self.written = number(usage, "/cache_creation_input_tokens").unwrap_or(self.written);
        self.output = number(usage, "/output_tokens").or(self.output);
        if let Some((fresh, output_tokens)) = self.fresh.zip(self.output) {
            let input_tokens = fresh.saturating_add(self.read).saturating_add(self.written);
            let (cached_tokens, reasoning_tokens) = (self.read, 0);
            *into.usage() = Usage { input_tokens, output_tokens, cached_tokens, reasoning_tokens };
        }
    }
}

fn started(event: &Value, index: u64, written: &str, into: &mut Assembly) -> Result<(), Broken> {
    let Some(block) = event.get("content_block") else { return Ok(()) };
    let key = (index, 0);
    match text(block, "type") {
        "text" => into.text(Some(key), text(block, "text")),
        "thinking" | "redacted_thinking" => {
            into.reasoning(Some(key), text(block, "thinking"), || block.clone());
        }
        "tool_use" => {
            if let Some(state) = into.call(key, text(block, "name")) {
                state.insert(CALL_ID.into(), text(block, "id").into());
            }
            let whole = block.get("input").and_then(Value::as_object);
            if whole.is_some_and(|whole| !whole.is_empty()) {
                // As it was written: a tree would forget a key that stands twice.
                let document = document(written)?;
                let input = document.root().get("content_block").and_then(|b| b.get("input"));
                into.arguments(key, input.map_or("", |input| input.raw()));
            }
        }
        kind => into.note(format!("a part of the kind `{kind}` is left out")),
    }
    Ok(())
}

fn more(event: &Value, index: u64, into: &mut Assembly) {
    let Some(delta) = event.get("delta") else { return };
    let key = (index, 0);
    match text(delta, "type") {
        "text_delta" => into.text(Some(key), text(delta, "text")),
        "input_json_delta" => into.arguments(key, text(delta, "partial_json")),
        "thinking_delta" => {
            let more = text(delta, "thinking");
            into.reasoning(Some(key), more, || Value::Object(Map::new()));
            grow(into, key, "thinking", more);
        }
        "signature_delta" => grow(into, key, "signature", text(delta, "signature")),
        _ => {}
    }
}

fn grow(into: &mut Assembly, key: (u64, u64), member: &str, more: &str) {
    let Some(Value::Object(state)) = into.reasoning_state(Some(key)) else { return };
    match state.get_mut(member) {
        Some(Value::String(whole)) => whole.push_str(more),
        Some(_) | None => {
            state.insert(member.into(), more.into());
        }
    }
}

impl Stream {
    fn stopped(&mut self, event: &Value, into: &mut Assembly) {
        let Some(reason) = event.pointer("/delta/stop_reason").and_then(Value::as_str) else {
            return;
        };
        let stop = match reason {
            "end_turn" | "stop_sequence" => Stop::Complete,
            "tool_use" => Stop::ToolCalls,
            "refusal" => {
                let why = event.pointer("/delta/stop_details/explanation").and_then(Value::as_str);
                into.refusal(None, why.unwrap_or_default());
                Stop::Refused
            }
            "max_tokens" | "model_context_window_exceeded" | "pause_turn" => Stop::Length,
            other => {
                into.note(format!(
                    "the provider stopped for a reason that is not known: `{other}`"
                ));
                Stop::Length
            }
        };
        self.stop = Some((stop, reason.to_owned()));
    }
}
