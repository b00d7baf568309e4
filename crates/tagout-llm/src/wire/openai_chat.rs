//! Chat completions, as OpenAI made them and many others speak them.
use serde_json::{Map, Value, json};

use super::{
    Broken, Dialect, Draft, Reader, ResultImages, bare_or_list, counted, data_url, document,
    envelope, list, number, object, parsed, text,
};
use crate::{
    assembly::{Assembly, Key, PARTS},
    conversation::{Image, Part, ToolCall, ToolResult},
    provider::Stop,
    schema::{Subset, WHOLE},
    talk::{Beat, CALL_ID, Told, not_shown},
};

pub(super) const fn subset(dialect: Dialect) -> Subset {
    const GRAMMAR: Subset = Subset {
        only: None,
        without: &["$schema", "pattern", "format"],
        key_length: None,
        bare_refs: false,
    };
    if dialect.quirks().patterns { WHOLE } else { GRAMMAR }
}

pub(super) fn body(draft: &Draft<'_>) -> Value {
    let (settings, quirks) = (draft.settings, draft.dialect.quirks());
    let tools = draft.offer.tools.iter().map(|tool| {
        let function = object([
            ("name", Some(tool.name.clone().into())),
            ("description", Some(tool.description.clone().into())),
            ("parameters", Some(tool.schema.clone())),
            ("strict", quirks.knows_strict.then(|| tool.strict.into())),
        ]);
        json!({"type": "function", "function": function})
    });
    let most = settings.max_output_tokens.or(quirks.bounded.then(|| settings.most()));
    let tools: Vec<_> = tools.collect();
    let has_tools = !tools.is_empty();
    let mut body = object([
        ("model", Some(draft.offer.scope.model.clone().into())),
        ("messages", Some(messages(draft))),
        ("tools", has_tools.then(|| tools.into())),
        ("tool_choice", has_tools.then(|| "auto".into())),
        (quirks.most_tokens, most.map(Value::from)),
        ("temperature", settings.temperature.map(Value::from)),
        ("reasoning_effort", settings.effort.clone().map(Value::from)),
        ("stream", Some(true.into())),
    ]);
    if let Some(body) = body.as_object_mut().filter(|_| quirks.asks_usage) {
        body.insert("stream_options".into(), json!({"include_usage": true}));
    }
    body
}

fn messages(draft: &Draft<'_>) -> Value {
    let mut messages = Vec::new();
    if !draft.talk.system.is_empty() {
        messages.push(json!({"role": "system", "content": draft.talk.system}));
    }
    for beat in &draft.talk.beats {
        match beat {
            Beat::User(parts) => {
                let content = parts.iter().filter_map(|part| content(part, draft)).collect();
                let content = bare_or_list(content, "text");
                push_user(content, draft, &mut messages);
            }
            Beat::Assistant(parts) => messages.push(assistant(parts, draft)),
            Beat::Results(results) => push_results(results, draft, &mut messages),
        }
    }
    Value::Array(messages)
}

fn content(part: &Part, draft: &Draft<'_>) -> Option<Value> {
    match part {
        Part::Text { text, .. } => Some(json!({"type": "text", "text": text})),
        Part::Image(image) if draft.shows(image) => Some(image_part(image)),
        Part::Image(image) => Some(json!({"type": "text", "text": not_shown(image)})),
        Part::ToolCall(_)
        | Part::ToolResult(_)
        | Part::Attached { .. }
        | Part::Reasoning { .. }
        | Part::Refusal { .. } => None,
    }
}

fn image_part(image: &Image) -> Value {
    json!({"type": "image_url", "image_url": {"url": data_url(image)}})
}

fn assistant(parts: &[&Part], draft: &Draft<'_>) -> Value {
    let mut said: Vec<&str> = Vec::new();
    let mut thought = Vec::new();
    let mut calls = Vec::new();
    for part in parts {
        match part {
            Part::Text { text, .. } | Part::Refusal { text } => said.push(text),
            Part::ToolCall(call) => calls.push(tool_call(call, draft)),
            Part::Reasoning { state, .. } => {
                thought.extend(draft.offer.scope.own(Some(state)).and_then(Value::as_object));
            }
            Part::Image(_) | Part::ToolResult(_) | Part::Attached { .. } => {}
        }
    }
    let said = said.join("\n");
    let mut message = Map::new();
    message.insert("role".into(), "assistant".into());
    message.insert("content".into(), said.into());
    // In the member that it came in: `reasoning_content`, `reasoning`, or chunks of `content`.
    for (key, value) in thought.into_iter().flatten() {
        if key == "content" {
            let mut chunks = vec![value.clone()];
            let said = message.get("content").and_then(Value::as_str).unwrap_or_default();
            if !said.is_empty() {
                chunks.push(json!({"type": "text", "text": said}));
            }
            message.insert("content".into(), chunks.into());
        } else {
            message.insert(key.clone(), value.clone());
        }
    }
    if !calls.is_empty() {
        message.insert("tool_calls".into(), calls.into());
    }
    Value::Object(message)
}

fn tool_call(call: &ToolCall, draft: &Draft<'_>) -> Value {
    let name = crate::names::fitted(&call.name);
    let arguments = draft.offer.written_text(&call.name, &call.arguments_raw);
    json!({"id": draft.talk.id(call), "type": "function",
           "function": {"name": name, "arguments": arguments}})
}

fn push_results(
    results: &[(&ToolCall, &ToolResult)],
    draft: &Draft<'_>,
    messages: &mut Vec<Value>,
) {
    let place = draft.dialect.quirks().result_images;
    let mut after = Vec::new();
    for (call, result) in results {
        let told = Told::of(result, draft.images).marked(result.is_error);
        let content = if place == ResultImages::Inside {
            let text = Some(&told.text).filter(|text| !text.is_empty());
            let text = text.map(|text| json!({"type": "text", "text": text}));
            let images = told.images.iter().map(|image| image_part(image));
            bare_or_list(text.into_iter().chain(images).collect(), "text")
        } else {
            let told = told.announced();
            if !told.images.is_empty() {
                let name = crate::names::fitted(&call.name);
                let line =
                    format!("The image(s) of the result of `{name}` ({}):", draft.talk.id(call));
                after.push(json!({"type": "text", "text": line}));
                after.extend(told.images.iter().map(|image| image_part(image)));
            }
            told.text.into()
        };
        let mut message =
            json!({"role": "tool", "tool_call_id": draft.talk.id(call), "content": content});
        if let Some(message) = message.as_object_mut().filter(|_| draft.dialect == Dialect::Mistral)
        {
            message.insert("name".into(), crate::names::fitted(&call.name).into());
        }
        messages.push(message);
    }
    if after.is_empty() {
        return;
    }
    push_user(after.into(), draft, messages);
}

/// A message of the user, after a word of the assistant where the provider wants one between.
fn push_user(content: Value, draft: &Draft<'_>, messages: &mut Vec<Value>) {
    let after_result = messages.last().is_some_and(|last| text(last, "role") == "tool");
    if after_result && draft.dialect.quirks().result_images == ResultImages::AfterReply {
        messages.push(json!({"role": "assistant", "content": "OK"}));
    }
    messages.push(json!({"role": "user", "content": content}));
}

/// Reads the chunks of a completion.
#[derive(Default)]
pub(super) struct Stream {
    /// The calls so far; a call's place here is its key.
    calls: Vec<Begun>,
}

/// What is known of a call that began.
struct Begun {
    index: Option<u64>,
    id: String,
    name: String,
}

impl Reader for Stream {
    fn read(&mut self, text_: &str, into: &mut Assembly) -> Result<bool, Broken> {
        if text_.trim() == "[DONE]" {
            return Ok(true);
        }
        let chunk = parsed(text_)?;
        if let Some(error) = chunk.get("error").filter(|error| !error.is_null())
            && let Some(said) = envelope(&json!({"error": error}))
        {
            return Err(Broken::Said(said));
        }
        if let Some(usage) = chunk.get("usage").filter(|usage| usage.is_object()) {
            counted(usage, ["/prompt_tokens", "/completion_tokens"], into);
        }
        let Some(choice) = list(&chunk, "choices").first() else { return Ok(false) };
        if let Some(delta) = choice.get("delta") {
            self.delta(delta, &written(delta, text_)?, into)?;
        }
        if let Some(reason) = choice.get("finish_reason").and_then(Value::as_str) {
            finish(reason, into)?;
        }
        Ok(false)
    }
}

impl Stream {
    fn delta(
        &mut self,
        delta: &Value,
        written: &[String],
        into: &mut Assembly,
    ) -> Result<(), Broken> {
        for key in ["reasoning_content", "reasoning"] {
            let more = text(delta, key);
            if !more.is_empty() {
                think(key, more, into);
            }
        }
        match delta.get("content") {
            Some(Value::String(more)) => into.text(None, more),
            Some(Value::Array(chunks)) => {
                chunks.iter().for_each(|chunk| match text(chunk, "type") {
                    "thinking" => think_in_content(chunk, into),
                    _ => into.text(None, text(chunk, "text")),
                })
            }
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => {}
        }
        into.refusal(None, text(delta, "refusal"));
        let mut written = written.iter();
        for call in list(delta, "tool_calls") {
            self.call(call, written.next().map_or("", String::as_str), into)?;
        }
        Ok(())
    }

    /// Takes a piece of a call; `written` are its arguments as they were written, if they are an
    /// object.
    fn call(&mut self, call: &Value, written: &str, into: &mut Assembly) -> Result<(), Broken> {
        let arguments = call.pointer("/function/arguments");
        let Some(at) = self.place(call, into)? else {
            let blank = arguments.is_none_or(|arguments| arguments.is_null() || arguments == "");
            let detail =
                || Broken::Senseless("arguments stand before the name of their call".into());
            return if blank { Ok(()) } else { Err(detail()) };
        };
        let key = key_of(at);
        let begun = self.calls.get(at);
        if let Some(begun) = begun
            && let Some(state) = into.call(key, &begun.name)
            && !begun.id.is_empty()
        {
            state.insert(CALL_ID.into(), begun.id.clone().into());
        }
        match arguments {
            Some(Value::String(more)) => into.arguments(key, more),
            Some(Value::Object(_)) => into.arguments(key, written),
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_)) | None => {}
        }
        Ok(())
    }

    /// Which call a piece belongs to; nothing for one that neither begins a call nor goes on with
    /// one. Pieces of two calls are never joined, because nobody proposed what would come of that.
    fn place(&mut self, call: &Value, into: &Assembly) -> Result<Option<usize>, Broken> {
        let (index, id) = (number(call, "/index"), text(call, "id"));
        let name = call.pointer("/function/name").and_then(Value::as_str).unwrap_or_default();
        let known = match index {
            Some(_) => self.numbered(index, id),
            None if !id.is_empty() => self.calls.iter().position(|begun| begun.id == id),
            None if name.is_empty() => self.calls.len().checked_sub(1),
            None => None,
        };
        let Some(at) = known else { return self.begin(index, id, name) };
        let another =
            |known: &str, said: &str| !known.is_empty() && !said.is_empty() && known != said;
        // Some servers give every call the same number. One that has an identifier and a name of its
        // own, after one that is whole, is another call: no piece of it can belong to that.
        let begins = |begun: &Begun| another(&begun.id, id) && !name.is_empty();
        if self.calls.get(at).is_some_and(begins) && into.is_whole(key_of(at)) {
            return self.begin(index, id, name);
        }
        if let Some(begun) = self.calls.get_mut(at) {
            if another(&begun.id, id) || another(&begun.name, name) {
                return Err(Broken::Senseless("two calls have the same number".into()));
            }
            if begun.id.is_empty() {
                id.clone_into(&mut begun.id);
            }
        }
        Ok(Some(at))
    }

    /// The call with that number: by its identifier where it is said, or else the last that began.
    fn numbered(&self, index: Option<u64>, id: &str) -> Option<usize> {
        let named = |begun: &Begun| begun.index == index && !id.is_empty() && begun.id == id;
        let by_id = self.calls.iter().position(named);
        by_id.or_else(|| self.calls.iter().rposition(|begun| begun.index == index))
    }

    fn begin(&mut self, index: Option<u64>, id: &str, name: &str) -> Result<Option<usize>, Broken> {
        if name.is_empty() {
            return Ok(None);
        }
        if self.calls.len() >= PARTS {
            return Err(Broken::TooMany);
        }
        self.calls.push(Begun { index, id: id.to_owned(), name: name.to_owned() });
        Ok(Some(self.calls.len() - 1))
    }
}

fn key_of(at: usize) -> Key {
    (u64::try_from(at).unwrap_or(u64::MAX), 0)
}

/// The arguments of each call as they were written, where a server gives objects in place of texts:
/// a tree would forget a key that stands twice.
fn written(delta: &Value, chunk: &str) -> Result<Vec<String>, Broken> {
    let object = |call: &Value| call.pointer("/function/arguments").is_some_and(Value::is_object);
    if !list(delta, "tool_calls").iter().any(object) {
        return Ok(Vec::new());
    }
    let document = document(chunk)?;
    let choice = document.root().get("choices").and_then(|all| all.elements().next());
    let calls = choice.and_then(|choice| choice.get("delta")?.get("tool_calls"));
    let raw = calls.into_iter().flat_map(|calls| calls.elements()).map(|call| {
        let arguments = call.get("function").and_then(|function| function.get("arguments"));
        arguments.map(|arguments| arguments.raw().to_owned()).unwrap_or_default()
    });
    Ok(raw.collect())
}

fn think(key: &'static str, more: &str, into: &mut Assembly) {
    into.reasoning(None, more, || json!({key: ""}));
    if let Some(Value::String(whole)) = into.reasoning_state(None).and_then(|s| s.get_mut(key)) {
        whole.push_str(more);
    }
}

fn think_in_content(chunk: &Value, into: &mut Assembly) {
    let blank = || json!({"content": {"type": "thinking", "thinking": []}});
    let pieces = list(chunk, "thinking");
    let more: String = pieces.iter().map(|piece| text(piece, "text")).collect();
    into.reasoning(None, &more, blank);
    let Some(state) = into.reasoning_state(None) else { return };
    if let Some(Value::Array(whole)) = state.pointer_mut("/content/thinking") {
        match whole.last_mut().and_then(|last| last.get_mut("text")) {
            Some(Value::String(last)) => last.push_str(&more),
            Some(_) | None => whole.push(json!({"type": "text", "text": more})),
        }
    }
    if let Some(Value::Object(content)) = state.get_mut("content") {
        let rest = chunk.as_object().into_iter().flatten();
        let rest = rest.filter(|(key, _)| !matches!(key.as_str(), "type" | "thinking"));
        content.extend(rest.map(|(key, value)| (key.clone(), value.clone())));
    }
}

fn finish(reason: &str, into: &mut Assembly) -> Result<(), Broken> {
    match reason {
        "stop" | "tool_calls" | "function_call" | "eos" => {
            // A call has no end of its own on this wire; that the whole turn ended is its end.
            into.calls_done();
            let calls = matches!(reason, "tool_calls" | "function_call");
            into.stop(if calls { Stop::ToolCalls } else { Stop::Complete }, reason);
        }
        "length" | "model_length" => into.stop(Stop::Length, reason),
        "content_filter" => into.stop(Stop::Refused, reason),
        "error" => return Err(Broken::Senseless("the provider stopped with an error".into())),
        other => {
            into.note(format!("the provider stopped for a reason that is not known: `{other}`"));
            into.stop(Stop::Length, other);
        }
    }
    Ok(())
}
