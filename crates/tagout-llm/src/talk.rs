//! A conversation as wires need it: calls with their results, in order, with identifiers that the
//! provider takes.
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tagout_proto::Digest;

use crate::{
    conversation::{Image, Message, Part, ProviderState, Role, ToolCall, ToolResult, joined_text},
    error::ProviderError,
};

/// The provider and the model that a conversation is put to.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    pub(crate) provider: String,
    pub(crate) model: String,
}

impl Scope {
    /// The state, if it came from here.
    pub(crate) fn own<'a>(&self, state: Option<&'a ProviderState>) -> Option<&'a Value> {
        state
            .filter(|state| state.provider == self.provider && state.model == self.model)
            .map(|state| &state.value)
    }

    pub(crate) fn state(&self, value: Value) -> ProviderState {
        ProviderState { provider: self.provider.clone(), model: self.model.clone(), value }
    }
}

/// The form of call identifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IdForm {
    /// `[A-Za-z0-9_-]`, at most 64.
    Usual,
    /// Nine letters and digits.
    Nine,
}

/// No conversation has more calls; a higher number was not given here.
const MOST_CALLS: usize = 1 << 32;

/// The member of a call's state that holds its provider's identifier.
pub(crate) const CALL_ID: &str = "call_id";

/// What one side says before the other does.
#[derive(Debug)]
pub(crate) enum Beat<'a> {
    /// The person: texts and images.
    User(Vec<&'a Part>),
    /// The model.
    Assistant(Vec<&'a Part>),
    /// The results of all the calls just before, in the calls' order.
    Results(Vec<(&'a ToolCall, &'a ToolResult)>),
}

/// A conversation in that form.
#[derive(Debug)]
pub(crate) struct Talk<'a> {
    /// The standing instructions.
    pub(crate) system: String,
    pub(crate) beats: Vec<Beat<'a>>,
    ids: BTreeMap<&'a str, String>,
    /// The highest number of a call so far.
    pub(crate) calls: usize,
}

impl<'a> Talk<'a> {
    /// Puts `messages` in order.
    ///
    /// # Errors
    /// [`ProviderError::NoQuestion`], or [`ProviderError::Conversation`]: a call has not exactly one
    /// result, or a result no call.
    pub(crate) fn of(
        messages: &'a [Message],
        scope: &Scope,
        form: IdForm,
    ) -> Result<Self, ProviderError> {
        let mut results = results(messages)?;
        let mut talk =
            Self { system: String::new(), beats: Vec::new(), ids: BTreeMap::new(), calls: 0 };
        let mut taken = BTreeSet::new();
        for message in messages {
            match message.role {
                Role::System => talk.add_instructions(&message.joined_text()),
                Role::User => talk.user(&message.parts),
                Role::Assistant => talk.assistant(&message.parts, &mut results)?,
                Role::Tool => {}
            }
        }
        if let Some(id) = results.keys().next() {
            return Err(conversation(format!("the result `{id}` has no call before it")));
        }
        if !talk.beats.iter().any(|beat| matches!(beat, Beat::User(_))) {
            return Err(ProviderError::NoQuestion);
        }
        for call in calls(messages) {
            let native = scope.own(call.state.as_ref()).and_then(|state| state.get(CALL_ID));
            let id = identifier(native.and_then(Value::as_str), &call.id, form, &taken);
            taken.insert(id.clone());
            if talk.ids.insert(&call.id, id).is_some() {
                return Err(conversation(format!("two calls are called `{}`", call.id)));
            }
            // Not the count alone: the beginning of the conversation may be gone.
            let numbered = call.id.strip_prefix("call-").and_then(|n| n.parse().ok());
            talk.calls = (talk.calls + 1).max(numbered.filter(|n| *n < MOST_CALLS).unwrap_or(0));
        }
        Ok(talk)
    }

    /// A call's identifier on the wire.
    pub(crate) fn id(&self, call: &ToolCall) -> &str {
        self.ids.get(call.id.as_str()).map_or("", String::as_str)
    }

    /// Puts `text` after the standing instructions.
    pub(crate) fn add_instructions(&mut self, text: &str) {
        if !self.system.is_empty() && !text.is_empty() {
            self.system.push_str("\n\n");
        }
        self.system.push_str(text);
    }

    fn user(&mut self, parts: &'a [Part]) {
        let said: Vec<_> = parts.iter().flat_map(in_words).collect();
        match self.beats.last_mut() {
            _ if said.is_empty() => {}
            Some(Beat::User(before)) => before.extend(said),
            Some(Beat::Assistant(_) | Beat::Results(_)) | None => self.beats.push(Beat::User(said)),
        }
    }

    fn assistant(
        &mut self,
        parts: &'a [Part],
        results: &mut BTreeMap<&'a str, &'a ToolResult>,
    ) -> Result<(), ProviderError> {
        let said: Vec<_> = parts.iter().filter(|part| !is_nothing(part)).collect();
        if said.is_empty() {
            return Ok(());
        }
        let mut answered = Vec::new();
        for part in &said {
            if let Part::ToolCall(call) = part {
                let result = results.remove(call.id.as_str());
                let unanswered = || conversation(format!("the call `{}` has no result", call.id));
                answered.push((call, result.ok_or_else(unanswered)?));
            }
        }
        match self.beats.last_mut() {
            Some(Beat::Assistant(before)) => before.extend(said),
            Some(Beat::User(_) | Beat::Results(_)) | None => self.beats.push(Beat::Assistant(said)),
        }
        if !answered.is_empty() {
            self.beats.push(Beat::Results(answered));
        }
        Ok(())
    }
}

/// What a person's part comes to: texts and images.
fn in_words(part: &Part) -> Vec<&Part> {
    match part {
        // Some providers refuse a text of blanks alone.
        Part::Text { text, .. } if text.trim().is_empty() => Vec::new(),
        Part::Text { .. } | Part::Image(_) => vec![part],
        // What is attached is not nested again.
        Part::Attached { parts, .. } => {
            let plain = |part: &&Part| !matches!(part, Part::Attached { .. });
            parts.iter().filter(plain).flat_map(in_words).collect()
        }
        Part::ToolCall(_) | Part::ToolResult(_) | Part::Reasoning { .. } | Part::Refusal { .. } => {
            Vec::new()
        }
    }
}

fn conversation(detail: String) -> ProviderError {
    ProviderError::Conversation { detail }
}

/// Parts of a model that no wire could carry.
fn is_nothing(part: &Part) -> bool {
    match part {
        Part::Text { text, state } => text.is_empty() && state.is_none(),
        Part::Refusal { text } => text.is_empty(),
        Part::ToolCall(_) | Part::Reasoning { .. } => false,
        Part::Image(_) | Part::ToolResult(_) | Part::Attached { .. } => true,
    }
}

fn calls(messages: &[Message]) -> impl Iterator<Item = &ToolCall> {
    let model = messages.iter().filter(|message| message.role == Role::Assistant);
    model.flat_map(|message| &message.parts).filter_map(|part| match part {
        Part::ToolCall(call) => Some(call),
        Part::Text { .. }
        | Part::Image(_)
        | Part::ToolResult(_)
        | Part::Attached { .. }
        | Part::Reasoning { .. }
        | Part::Refusal { .. } => None,
    })
}

fn results(messages: &[Message]) -> Result<BTreeMap<&str, &ToolResult>, ProviderError> {
    let mut results = BTreeMap::new();
    for part in messages.iter().flat_map(|message| &message.parts) {
        if let Part::ToolResult(result) = part
            && results.insert(result.call_id.as_str(), result).is_some()
        {
            return Err(conversation(format!("the call `{}` has two results", result.call_id)));
        }
    }
    Ok(results)
}

/// The provider's own identifier if it can be used, or one made from ours.
fn identifier(native: Option<&str>, own: &str, form: IdForm, taken: &BTreeSet<String>) -> String {
    let native = native.filter(|id| fits(id, form) && !taken.contains(*id));
    if let Some(native) = native {
        return native.to_owned();
    }
    if fits(own, form) && !taken.contains(own) {
        return own.to_owned();
    }
    let mut text = own.to_owned();
    loop {
        let digits = Digest::of(text.as_bytes()).hex();
        let id = match form {
            IdForm::Usual => format!("call_{}", digits.get(..24).unwrap_or_default()),
            IdForm::Nine => digits.get(..9).unwrap_or_default().to_owned(),
        };
        if !taken.contains(&id) {
            return id;
        }
        text.push('+');
    }
}

fn fits(id: &str, form: IdForm) -> bool {
    match form {
        IdForm::Usual => {
            let inside = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            (1..=64).contains(&id.len()) && id.chars().all(inside)
        }
        IdForm::Nine => id.len() == 9 && id.chars().all(|c| c.is_ascii_alphanumeric()),
    }
}

/// A result in text and images.
pub(crate) struct Told<'a> {
    pub(crate) text: String,
    pub(crate) images: Vec<&'a Image>,
}

impl<'a> Told<'a> {
    /// What a result says. Without `images`, each is replaced by a line that says so; so is one of
    /// a type that no provider takes.
    pub(crate) fn of(result: &'a ToolResult, images: bool) -> Self {
        let mut text = joined_text(&result.parts);
        if let (true, Some(structured)) = (text.is_empty(), &result.structured) {
            text = structured.to_string();
        }
        let mut shown = Vec::new();
        for part in &result.parts {
            let Part::Image(image) = part else { continue };
            if images && image.known_type().is_some() {
                shown.push(image);
            } else {
                append(&mut text, &not_shown(image));
            }
        }
        if text.is_empty() && shown.is_empty() {
            text.push_str("(no content)");
        }
        Self { text, images: shown }
    }

    /// For wires that have no mark for a result that is an error.
    pub(crate) fn marked(mut self, is_error: bool) -> Self {
        if is_error {
            self.text = format!("Error: {}", self.text);
        }
        self
    }

    /// For wires whose results hold no images: they follow in a message of their own.
    pub(crate) fn announced(mut self) -> Self {
        if !self.images.is_empty() {
            let count = self.images.len();
            let line = format!("({count} image(s) of this result follow in the next message)");
            append(&mut self.text, &line);
        }
        self
    }
}

/// Stands for an image that the model does not take. What its sender calls its type is not
/// repeated: it could be any words at all.
pub(crate) fn not_shown(image: &Image) -> String {
    let kind = image.known_type().unwrap_or("of no known type");
    format!("(an image, {kind}, {} bytes, not shown to the model)", image.size_bytes())
}

fn append(text: &mut String, line: &str) {
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(line);
}
