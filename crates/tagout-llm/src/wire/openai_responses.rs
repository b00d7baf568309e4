//! OpenAI's Responses. Nothing is stored there, so that reasoning travels encrypted, and back.
use serde_json::{Map, Value, json};

use super::{
    Broken, Draft, Envelope, Reader, counted, data_url, led_on, list, number, object, parsed, text,
};
use crate::{
    assembly::{Assembly, Key},
    conversation::{Part, ToolCall},
    provider::Stop,
    talk::{Beat, CALL_ID, Told, not_shown},
};

pub(super) fn body(draft: &Draft<'_>) -> Value {
    let settings = draft.settings;
    let tools = draft.offer.tools.iter().map(|tool| {
        // Left out, `strict` would count as true and the schema be changed.
        json!({"type": "function", "name": tool.name, "description": tool.description,
               "parameters": tool.schema, "strict": tool.strict})
    });
    let tools: Vec<_> = tools.collect();
    let has_tools = !tools.is_empty();
    let system = &draft.talk.system;
    let effort = settings.effort.as_ref();
    object([
        ("model", Some(draft.offer.scope.model.clone().into())),
        ("instructions", (!system.is_empty()).then(|| system.clone().into())),
        ("input", Some(input(draft))),
        ("tools", has_tools.then(|| tools.into())),
        ("tool_choice", has_tools.then(|| "auto".into())),
        ("parallel_tool_calls", has_tools.then_some(true.into())),
        ("max_output_tokens", Some(settings.most().into())),
        ("temperature", settings.temperature.map(Value::from)),
        ("reasoning", effort.map(|effort| json!({"effort": effort, "summary": "auto"}))),
        ("store", Some(false.into())),
        ("include", Some(json!(["reasoning.encrypted_content"]))),
        ("stream", Some(true.into())),
    ])
}

fn input(draft: &Draft<'_>) -> Value {
    let mut items = Vec::new();
    for beat in &draft.talk.beats {
        match beat {
            Beat::User(parts) => {
                let content: Vec<_> =
                    parts.iter().filter_map(|part| content(part, draft)).collect();
                items.push(json!({"type": "message", "role": "user", "content": content}));
            }
            Beat::Assistant(parts) => {
                let parts = led_on(parts);
                items.extend(parts.iter().filter_map(|part| said(part, draft)));
            }
            Beat::Results(results) => items.extend(results.iter().map(|(call, result)| {
                let told = Told::of(result, draft.images).marked(result.is_error);
                output(draft.talk.id(call), told)
            })),
        }
    }
    Value::Array(items)
}

fn content(part: &Part, draft: &Draft<'_>) -> Option<Value> {
    match part {
        Part::Text { text, .. } => Some(json!({"type": "input_text", "text": text})),
        Part::Image(image) if draft.shows(image) => {
            Some(json!({"type": "input_image", "image_url": data_url(image), "detail": "auto"}))
        }
        Part::Image(image) => Some(json!({"type": "input_text", "text": not_shown(image)})),
        Part::ToolCall(_)
        | Part::ToolResult(_)
        | Part::Attached { .. }
        | Part::Reasoning { .. }
        | Part::Refusal { .. } => None,
    }
}

fn said(part: &Part, draft: &Draft<'_>) -> Option<Value> {
    let message = |kind: &str, text: &str, state: Option<&Value>| {
        let content = match kind {
            "refusal" => json!({"type": kind, "refusal": text}),
            _ => json!({"type": kind, "text": text, "annotations": []}),
        };
        let mut item = json!({"type": "message", "role": "assistant", "content": [content]});
        if let (Some(item), Some(state)) = (item.as_object_mut(), state.and_then(Value::as_object))
        {
            item.extend(state.clone());
        }
        Some(item)
    };
    match part {
        Part::Text { text, state } if !text.is_empty() => {
            message("output_text", text, draft.offer.scope.own(state.as_ref()))
        }
        Part::Refusal { text } => message("refusal", text, None),
        // Nothing is stored there: without its content the item would not be found.
        Part::Reasoning { state, .. } => {
            let own = draft.offer.scope.own(Some(state));
            own.filter(|item| item.get("encrypted_content").is_some_and(Value::is_string)).cloned()
        }
        Part::ToolCall(call) => Some(function_call(call, draft)),
        Part::Text { .. } | Part::Image(_) | Part::ToolResult(_) | Part::Attached { .. } => None,
    }
}

fn function_call(call: &ToolCall, draft: &Draft<'_>) -> Value {
    let own = draft.offer.scope.own(call.state.as_ref());
    object([
        ("type", Some("function_call".into())),
        ("id", own.and_then(|state| state.get("id")).cloned()),
        ("call_id", Some(draft.talk.id(call).into())),
        ("name", Some(crate::names::fitted(&call.name).into())),
        ("arguments", Some(draft.offer.written_text(&call.name, &call.arguments_raw).into())),
    ])
}

fn output(call_id: &str, told: Told<'_>) -> Value {
    let output = if told.images.is_empty() {
        Value::from(told.text)
    } else {
        let texts = Some(told.text).filter(|text| !text.is_empty());
        let texts = texts.into_iter().map(|text| json!({"type": "input_text", "text": text}));
        let images = told.images.iter().map(
            |image| json!({"type": "input_image", "image_url": data_url(image), "detail": "auto"}),
        );
        texts.chain(images).collect()
    };
    json!({"type": "function_call_output", "call_id": call_id, "output": output})
}

/// Reads the events of a response.
pub(super) struct Stream;

impl Reader for Stream {
    fn read(&mut self, text_: &str, into: &mut Assembly) -> Result<bool, Broken> {
        let event = parsed(text_)?;
        let output = number(&event, "/output_index").unwrap_or_default();
        let content = number(&event, "/content_index").unwrap_or_default();
        let part: Key = (output, content);
        match text(&event, "type") {
            "response.output_item.added" => added(&event, output, into),
            "response.output_text.delta" => into.text(Some(part), text(&event, "delta")),
            "response.refusal.delta" => into.refusal(Some(part), text(&event, "delta")),
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                into.reasoning(Some((output, 0)), text(&event, "delta"), || Value::Null);
            }
            "response.function_call_arguments.delta" => {
                into.arguments((output, 0), text(&event, "delta"));
            }
            "response.output_item.done" => done(&event, output, into),
            "response.completed" | "response.incomplete" => {
                ended(&event, into)?;
                return Ok(true);
            }
            "response.failed" | "error" => return Err(Broken::Said(failed(&event))),
            _ => {}
        }
        Ok(false)
    }
}

fn added(event: &Value, output: u64, into: &mut Assembly) {
    let Some(item) = event.get("item") else { return };
    match text(item, "type") {
        "function_call" => begin(item, output, into),
        "reasoning" => into.reasoning(Some((output, 0)), "", || Value::Null),
        _ => {}
    }
}

fn begin(item: &Value, output: u64, into: &mut Assembly) {
    let Some(state) = into.call((output, 0), text(item, "name")) else { return };
    for key in ["id", CALL_ID] {
        if let Some(value) = item.get(key).filter(|value| value.is_string()) {
            state.insert(key.into(), value.clone());
        }
    }
}

fn done(event: &Value, output: u64, into: &mut Assembly) {
    let Some(item) = event.get("item") else { return };
    let complete = matches!(text(item, "status"), "completed" | "");
    match text(item, "type") {
        "function_call" => {
            begin(item, output, into);
            if complete {
                into.call_done((output, 0), item.get("arguments").and_then(Value::as_str));
            }
        }
        "reasoning" => {
            into.reasoning(Some((output, 0)), "", || Value::Null);
            if let Some(state) = into.reasoning_state(Some((output, 0))) {
                *state = echoed(item);
            }
        }
        "message" => message_done(item, output, into),
        kind => into.note(format!("a part of the kind `{kind}` is left out")),
    }
}

/// A reasoning item as it goes back: all of it but its status, which is for the way here only.
fn echoed(item: &Value) -> Value {
    let mut item = item.clone();
    if let Some(item) = item.as_object_mut() {
        item.remove("status");
    }
    item
}

fn message_done(item: &Value, output: u64, into: &mut Assembly) {
    for (at, content) in (0..).zip(list(item, "content")) {
        if !into.has((output, at)) {
            into.text(Some((output, at)), text(content, "text"));
            into.refusal(Some((output, at)), text(content, "refusal"));
        }
    }
    let mut state = Map::new();
    for key in ["id", "phase"] {
        if let Some(value) = item.get(key).filter(|value| value.is_string()) {
            state.insert(key.into(), value.clone());
        }
    }
    if !state.is_empty() {
        into.text_state((output, 0), Value::Object(state));
    }
}

fn ended(event: &Value, into: &mut Assembly) -> Result<(), Broken> {
    let Some(response) = event.get("response") else {
        return Err(Broken::Senseless("the last event has no response".into()));
    };
    if let Some(usage) = response.get("usage").filter(|usage| usage.is_object()) {
        counted(usage, ["/input_tokens", "/output_tokens"], into);
    }
    let reason = response.pointer("/incomplete_details/reason").and_then(Value::as_str);
    match (text(response, "status"), reason) {
        ("completed", _) => into.stop(Stop::Complete, "completed"),
        ("incomplete", Some(raw @ "content_filter")) => into.stop(Stop::Refused, raw),
        ("incomplete", raw) => into.stop(Stop::Length, raw.unwrap_or("incomplete")),
        (other, _) => return Err(Broken::Senseless(format!("its status is `{other}`"))),
    }
    Ok(())
}

fn failed(event: &Value) -> Envelope {
    let error = event.pointer("/response/error").or_else(|| event.get("error")).unwrap_or(event);
    let code = [text(error, "code"), text(error, "type")].into_iter().find(|code| !code.is_empty());
    Envelope {
        code: code.unwrap_or_default().to_owned(),
        message: text(error, "message").to_owned(),
        status: None,
    }
}
