//! Gemini's generateContent.
use serde_json::{Map, Value, json};

use super::{
    Broken, Draft, Envelope, Reader, document, envelope, list, number, object, parsed, text,
};
use crate::{
    assembly::{Assembly, PARTS},
    conversation::{Image, Part, ToolCall, ToolResult},
    provider::Stop,
    schema::Subset,
    talk::{Beat, CALL_ID, Told, not_shown},
};

pub(super) const SUBSET: Subset = Subset {
    only: Some(&[
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
    ]),
    without: &[],
    key_length: None,
    bare_refs: true,
};

/// A call's signature, as the wire calls it.
const SIGNATURE: &str = "thoughtSignature";
/// What the provider documents for calls that no Gemini signed, as when another model began.
const UNSIGNED: &str = "skip_thought_signature_validator";

/// The model's name is a part of the path; nothing in it may lead out of there.
pub(super) fn path(model: &str) -> String {
    let mut name = String::new();
    for byte in model.strip_prefix("models/").unwrap_or(model).bytes() {
        match byte {
            b'-' | b'_' | b'.' | b'~' => name.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => name.push(char::from(byte)),
            _ => name.push_str(&format!("%{byte:02X}")),
        }
    }
    format!("/models/{name}:streamGenerateContent?alt=sse")
}

pub(super) fn body(draft: &Draft<'_>) -> Value {
    let settings = draft.settings;
    let functions = draft.offer.tools.iter().map(|tool| {
        // An object without properties is refused; no parameters at all are not.
        let properties = tool.schema.get("properties").and_then(Value::as_object);
        let has_any = properties.is_some_and(|properties| !properties.is_empty());
        object([
            ("name", Some(tool.name.clone().into())),
            ("description", Some(tool.description.clone().into())),
            ("parametersJsonSchema", has_any.then(|| tool.schema.clone())),
        ])
    });
    let functions: Vec<_> = functions.collect();
    let has_tools = !functions.is_empty();
    let system = &draft.talk.system;
    let effort = settings.effort.as_ref();
    let generation = object([
        ("maxOutputTokens", Some(settings.most().into())),
        ("temperature", settings.temperature.map(Value::from)),
        (
            "thinkingConfig",
            effort.map(|effort| json!({"thinkingLevel": effort, "includeThoughts": true})),
        ),
    ]);
    object([
        ("systemInstruction", (!system.is_empty()).then(|| json!({"parts": [{"text": system}]}))),
        ("contents", Some(contents(draft))),
        ("tools", has_tools.then(|| json!([{"functionDeclarations": functions}]))),
        ("toolConfig", has_tools.then(|| json!({"functionCallingConfig": {"mode": "AUTO"}}))),
        ("generationConfig", Some(generation)),
    ])
}

/// Models before the third take no images inside of results.
fn images_inside(model: &str) -> bool {
    let name = model.strip_prefix("models/").unwrap_or(model);
    !["gemini-1", "gemini-2"].iter().any(|old| name.starts_with(old))
}

fn contents(draft: &Draft<'_>) -> Value {
    let mut contents: Vec<(&str, Vec<Value>)> = Vec::new();
    for beat in &draft.talk.beats {
        let (role, parts): (_, Vec<_>) = match beat {
            Beat::User(parts) => {
                ("user", parts.iter().filter_map(|part| asked(part, draft)).collect())
            }
            Beat::Assistant(parts) => ("model", said(parts, draft)),
            Beat::Results(results) => ("user", told(results, draft)),
        };
        match contents.last_mut() {
            _ if parts.is_empty() => {}
            Some((before, all)) if *before == role => all.extend(parts),
            Some(_) | None => contents.push((role, parts)),
        }
    }
    contents.into_iter().map(|(role, parts)| json!({"role": role, "parts": parts})).collect()
}

fn inline(image: &Image) -> Value {
    json!({"inlineData": {"mimeType": image.media_type, "data": image.base64}})
}

fn asked(part: &Part, draft: &Draft<'_>) -> Option<Value> {
    match part {
        Part::Text { text, .. } => Some(json!({"text": text})),
        Part::Image(image) if draft.shows(image) => Some(inline(image)),
        Part::Image(image) => Some(json!({"text": not_shown(image)})),
        Part::ToolCall(_)
        | Part::ToolResult(_)
        | Part::Attached { .. }
        | Part::Reasoning { .. }
        | Part::Refusal { .. } => None,
    }
}

fn said(parts: &[&Part], draft: &Draft<'_>) -> Vec<Value> {
    let scope = &draft.offer.scope;
    let mut first = true;
    let written = parts.iter().filter_map(|part| match part {
        Part::Text { text, state } => match scope.own(state.as_ref()) {
            Some(native) => Some(native.clone()),
            None => (!text.is_empty()).then(|| json!({"text": text})),
        },
        Part::Refusal { text } => Some(json!({"text": text})),
        Part::Reasoning { state, .. } => scope.own(Some(state)).cloned(),
        Part::ToolCall(call) => {
            let first = std::mem::replace(&mut first, false);
            Some(function_call(call, first, draft))
        }
        Part::Image(_) | Part::ToolResult(_) | Part::Attached { .. } => None,
    });
    written.collect()
}

fn function_call(call: &ToolCall, first: bool, draft: &Draft<'_>) -> Value {
    let own = draft.offer.scope.own(call.state.as_ref());
    let own_id = own.and_then(|state| state.get(CALL_ID));
    let signature = own.and_then(|state| state.get(SIGNATURE)).cloned();
    // Of calls side by side only the first is signed.
    let unsigned = || (first && images_inside(&draft.offer.scope.model)).then(|| UNSIGNED.into());
    let function = object([
        ("id", own_id.map(|_| draft.talk.id(call).into())),
        ("name", Some(crate::names::fitted(&call.name).into())),
        ("args", Some(draft.offer.written(&call.name, &call.arguments_raw))),
    ]);
    object([("functionCall", Some(function)), (SIGNATURE, signature.or_else(unsigned))])
}

fn told(results: &[(&ToolCall, &ToolResult)], draft: &Draft<'_>) -> Vec<Value> {
    let inside = images_inside(&draft.offer.scope.model);
    let (mut parts, mut after) = (Vec::new(), Vec::new());
    for (call, result) in results {
        let told = Told::of(result, draft.images);
        let told = if inside { told } else { told.announced() };
        let images: Vec<_> = told.images.iter().map(|image| inline(image)).collect();
        let own = draft.offer.scope.own(call.state.as_ref());
        let own_id = own.and_then(|state| state.get(CALL_ID));
        let key = if result.is_error { "error" } else { "output" };
        let response = object([
            ("id", own_id.map(|_| draft.talk.id(call).into())),
            ("name", Some(crate::names::fitted(&call.name).into())),
            ("response", Some(json!({key: told.text}))),
            ("parts", (inside && !images.is_empty()).then(|| images.clone().into())),
        ]);
        parts.push(json!({"functionResponse": response}));
        if !inside {
            after.extend(images);
        }
    }
    parts.extend(after);
    parts
}

/// Reads the chunks of a response; there is no mark at the end but the reason.
pub(super) struct Stream;

impl Reader for Stream {
    fn read(&mut self, text_: &str, into: &mut Assembly) -> Result<bool, Broken> {
        let chunk = parsed(text_)?;
        if chunk.get("error").is_some() {
            return Err(Broken::Said(envelope(&chunk).unwrap_or_default()));
        }
        counted(&chunk, into);
        if let Some(reason) = chunk.pointer("/promptFeedback/blockReason").and_then(Value::as_str) {
            into.refusal(None, "the provider blocked the question");
            into.stop(Stop::Refused, reason);
            return Ok(true);
        }
        let Some(candidate) = list(&chunk, "candidates").first() else { return Ok(false) };
        let parts = candidate.get("content").map(|content| list(content, "parts"));
        let parts = parts.unwrap_or_default();
        if parts.len() > PARTS {
            return Err(Broken::TooMany);
        }
        let calls = parts.iter().any(|part| part.get("functionCall").is_some());
        let written = if calls { arguments(text_)? } else { Vec::new() };
        let mut written = written.iter();
        for part in parts {
            take(part, written.next().map_or("", String::as_str), into);
        }
        if let Some(reason) = candidate.get("finishReason").and_then(Value::as_str) {
            finish(reason, text(candidate, "finishMessage"), into)?;
        }
        Ok(false)
    }
}

fn counted(chunk: &Value, into: &mut Assembly) {
    let Some(usage) = chunk.get("usageMetadata") else { return };
    let count = |key: &str| number(usage, key).unwrap_or_default();
    // Nought is left out on this wire, so that thoughts alone are a count of what was written.
    let written = ["/candidatesTokenCount", "/thoughtsTokenCount"];
    let named = |name: &str| number(usage, name).is_some();
    if !named("/promptTokenCount") || !written.iter().any(|name| named(name)) {
        return;
    }
    let kept = into.usage();
    kept.input_tokens =
        count("/promptTokenCount").saturating_add(count("/toolUsePromptTokenCount"));
    kept.reasoning_tokens = count("/thoughtsTokenCount");
    kept.output_tokens = count("/candidatesTokenCount").saturating_add(kept.reasoning_tokens);
    kept.cached_tokens = count("/cachedContentTokenCount");
}

/// Takes a part; `written` are its call's arguments as they were written, if it is a call.
fn take(part: &Value, written: &str, into: &mut Assembly) {
    let said = text(part, "text");
    if let Some(call) = part.get("functionCall") {
        begin(part, call, written, into);
    } else if part.get("thought").and_then(Value::as_bool) == Some(true) {
        think(part, said, into);
    } else if part.get(SIGNATURE).is_some() && said.is_empty() {
        let key = (REASONING, u64::try_from(into.parts()).unwrap_or(u64::MAX));
        into.reasoning(Some(key), "", || part.clone());
    } else if part.get(SIGNATURE).is_some() {
        // Texts with and without a signature are not to be joined.
        into.signed_text(None, said, part.clone());
    } else if part.get("text").is_some() {
        into.text(None, said);
    } else {
        let kind = part.as_object().and_then(|part| part.keys().next());
        let kind = kind.map_or("", String::as_str);
        into.note(format!("a part of the kind `{kind}` is left out"));
    }
}

/// Keys of calls and of reasoning, which this wire does not number.
const CALLS: u64 = 0;
const REASONING: u64 = 1;

fn think(part: &Value, said: &str, into: &mut Assembly) {
    let unsigned = |state: &&mut Value| state.get(SIGNATURE).is_none();
    let goes_on = part.get(SIGNATURE).is_none();
    let before = into.reasoning_state(None).filter(|state| goes_on && unsigned(state));
    if let Some(Value::String(whole)) = before.and_then(|state| state.get_mut("text")) {
        whole.push_str(said);
        into.reasoning(None, said, || Value::Null);
        return;
    }
    let key = (REASONING, u64::try_from(into.parts()).unwrap_or(u64::MAX));
    into.reasoning(Some(key), said, || part.clone());
}

fn begin(part: &Value, call: &Value, written: &str, into: &mut Assembly) {
    let key = (CALLS, u64::try_from(into.parts()).unwrap_or(u64::MAX));
    let Some(state) = into.call(key, text(call, "name")) else { return };
    let kept: Map<_, _> = [
        (CALL_ID.to_owned(), call.get("id").cloned()),
        (SIGNATURE.to_owned(), part.get(SIGNATURE).cloned()),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some((key, value?)))
    .collect();
    state.extend(kept);
    into.call_done(key, Some(written));
}

/// The arguments of each part as they were written, empty for one that is no call: reading them into
/// a tree could change a number.
fn arguments(chunk: &str) -> Result<Vec<String>, Broken> {
    let document = document(chunk)?;
    let candidate = document.root().get("candidates").and_then(|all| all.elements().next());
    let content = candidate.and_then(|candidate| candidate.get("content"));
    let parts = content.and_then(|content| content.get("parts"));
    let written = parts.into_iter().flat_map(|parts| parts.elements()).map(|part| {
        let arguments = part.get("functionCall").and_then(|call| call.get("args"));
        arguments.map(|arguments| arguments.raw().to_owned()).unwrap_or_default()
    });
    Ok(written.collect())
}

fn finish(reason: &str, message: &str, into: &mut Assembly) -> Result<(), Broken> {
    let stop = match reason {
        // Also where there are calls.
        "STOP" => Stop::Complete,
        "MAX_TOKENS" => Stop::Length,
        "SAFETY"
        | "RECITATION"
        | "LANGUAGE"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION" => {
            into.refusal(None, message);
            Stop::Refused
        }
        "MALFORMED_FUNCTION_CALL"
        | "UNEXPECTED_TOOL_CALL"
        | "TOO_MANY_TOOL_CALLS"
        | "MISSING_THOUGHT_SIGNATURE" => {
            let (code, message) = (reason.to_owned(), message.to_owned());
            return Err(Broken::Said(Envelope { code, message, status: None }));
        }
        other => {
            into.note(format!("the provider stopped for a reason that is not known: `{other}`"));
            Stop::Length
        }
    };
    into.stop(stop, reason);
    Ok(())
}
