//! What prompts and resources hold, as parts of a message.
use serde_json::Value;
use tagout_llm::{Image, Message, Part, Role};

use crate::{HostError, guard::says};

/// How much text one attachment may hold, in bytes.
const TEXT_BYTES: usize = 512 << 10;
/// How much its pictures may hold, in bytes of base64.
const IMAGE_BYTES: usize = 12 << 20;
/// How many messages a prompt may have.
const MESSAGES: usize = 256;

/// The messages of a prompt, in order. Only the person and the model speak in it, and the person
/// last.
///
/// # Errors
/// [`HostError::Malformed`], [`HostError::PromptEnding`] or [`HostError::TooLarge`].
pub(super) fn prompt(name: &str, result: &Value) -> Result<Vec<Message>, HostError> {
    let malformed = |detail: &str| HostError::Malformed {
        what: format!("prompt `{name}`"),
        detail: detail.to_owned(),
    };
    let listed = result.get("messages").and_then(Value::as_array);
    let listed = listed.ok_or_else(|| malformed("there are no messages"))?;
    if listed.is_empty() || listed.len() > MESSAGES {
        return Err(malformed(&format!("it has {} messages", listed.len())));
    }
    let mut messages = Vec::with_capacity(listed.len());
    for message in listed {
        let part = part(message.get("content").unwrap_or(&Value::Null));
        let (role, part) = match message.get("role").and_then(Value::as_str) {
            Some("user") => (Role::User, part),
            // A model says nothing but text.
            Some("assistant") => (Role::Assistant, Part::text(in_words(&part))),
            Some(_) | None => return Err(malformed("somebody speaks who is not known")),
        };
        messages.push(Message { role, parts: vec![part] });
    }
    let parts = messages.iter().flat_map(|message| &message.parts);
    bounded(&format!("prompt `{name}`"), parts)?;
    let ends = messages.iter().rfind(|message| says(message)).map(|message| message.role);
    if ends != Some(Role::User) {
        return Err(HostError::PromptEnding { prompt: name.to_owned() });
    }
    Ok(messages)
}

/// The contents of a resource, in order.
///
/// # Errors
/// [`HostError::Malformed`] or [`HostError::TooLarge`].
pub(super) fn resource(uri: &str, result: &Value) -> Result<Vec<Part>, HostError> {
    let what = || format!("resource `{uri}`");
    let listed = result.get("contents").and_then(Value::as_array).ok_or_else(|| {
        HostError::Malformed { what: what(), detail: "there are no contents".to_owned() }
    })?;
    let mut parts = Vec::new();
    for contents in listed {
        let of = field(contents, "uri");
        if listed.len() > 1 || of != uri {
            parts.push(Part::text(format!("[{of}]")));
        }
        parts.push(held(contents));
    }
    if parts.is_empty() {
        parts.push(Part::text("[nothing]"));
    }
    bounded(&what(), &parts)?;
    Ok(parts)
}

fn bounded<'a>(what: &str, parts: impl IntoIterator<Item = &'a Part>) -> Result<(), HostError> {
    let (mut text, mut images) = (0, 0);
    for part in parts {
        weigh(part, &mut text, &mut images);
    }
    let too_large = |bytes, limit| HostError::TooLarge { what: what.to_owned(), bytes, limit };
    if text > TEXT_BYTES {
        return Err(too_large(text, TEXT_BYTES));
    }
    if images > IMAGE_BYTES {
        return Err(too_large(images, IMAGE_BYTES));
    }
    Ok(())
}

fn weigh(part: &Part, text: &mut usize, images: &mut usize) {
    match part {
        Part::Text { text: said, .. } | Part::Refusal { text: said } => *text += said.len(),
        Part::Image(image) => *images += image.base64.len(),
        Part::Attached { parts, .. } => parts.iter().for_each(|part| weigh(part, text, images)),
        Part::ToolCall(_) | Part::ToolResult(_) | Part::Reasoning { .. } => {}
    }
}

/// A content block of a prompt. What it embeds is data of its own.
fn part(block: &Value) -> Part {
    match field(block, "type") {
        "text" => Part::text(field(block, "text")),
        "image" => image(field(block, "mimeType"), field(block, "data")),
        "audio" => not_text("audio", field(block, "data")),
        "resource_link" => {
            let uri = field(block, "uri").to_owned();
            let link = Part::text(format!("[link to {uri}]"));
            Part::Attached { uri, parts: vec![link] }
        }
        "resource" => {
            let contents = block.get("resource").unwrap_or(&Value::Null);
            let uri = field(contents, "uri").to_owned();
            Part::Attached { uri, parts: vec![held(contents)] }
        }
        _ => Part::text("[content of a kind that is not known]"),
    }
}

/// What stands in one place of a resource.
fn held(contents: &Value) -> Part {
    let (kind, blob) = (field(contents, "mimeType"), field(contents, "blob"));
    match contents.get("text").and_then(Value::as_str) {
        Some(text) => Part::text(text),
        None if kind.starts_with("image/") => image(kind, blob),
        None => not_text(kind, blob),
    }
}

fn image(media_type: &str, base64: &str) -> Part {
    Image::new(media_type, base64).map_or_else(|| not_text("image", base64), Part::Image)
}

/// Says what is there that no model reads.
fn not_text(media_type: &str, base64: &str) -> Part {
    let kind = if media_type.is_empty() { "of no known kind" } else { media_type };
    let blob = Image { media_type: String::new(), base64: base64.to_owned() };
    Part::text(format!("[{} bytes, {kind}, not shown to the model]", blob.size_bytes()))
}

fn in_words(part: &Part) -> String {
    match part {
        Part::Text { text, .. } | Part::Refusal { text } => text.clone(),
        Part::Image(image) => {
            let kind = image.known_type().unwrap_or("of no known type");
            format!("[image: {kind}, {} bytes]", image.size_bytes())
        }
        Part::Attached { uri, parts } => {
            let texts: Vec<_> = parts.iter().map(in_words).collect();
            format!("[{uri}]\n{}", texts.join("\n"))
        }
        Part::ToolCall(_) | Part::ToolResult(_) | Part::Reasoning { .. } => String::new(),
    }
}

fn field<'a>(block: &'a Value, name: &str) -> &'a str {
    block.get(name).and_then(Value::as_str).unwrap_or_default()
}
