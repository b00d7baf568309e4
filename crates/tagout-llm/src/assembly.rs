//! A turn put together from the pieces of a stream.
use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value};
use tagout_proto::{Document, Kind, Limits};

use crate::{
    conversation::{Part, ProviderState, ToolCall},
    error::ProviderError,
    offer::Offer,
    provider::{Stop, Turn, Usage},
    stream::StreamEvent,
};

/// Parts of one turn, at most.
pub(crate) const PARTS: usize = 512;

/// Where a piece belongs: wires number their parts, some in two levels.
pub(crate) type Key = (u64, u64);

/// Puts a turn together. Nothing in it is a call before [`Assembly::finish`] has seen that the turn
/// came to its end and that the arguments are whole.
pub(crate) struct Assembly {
    offer: Arc<Offer>,
    slots: Vec<Slot>,
    keys: BTreeMap<Key, usize>,
    events: Vec<StreamEvent>,
    calls: usize,
    usage: Option<Usage>,
    stop: Option<(Stop, Option<String>)>,
    notes: Vec<String>,
    overflow: bool,
}

enum Slot {
    Text { text: String, state: Option<Value> },
    Refusal(String),
    Reasoning { text: String, state: Value },
    Call(Open),
}

/// A call that is being written.
struct Open {
    id: String,
    name: String,
    arguments: String,
    state: Map<String, Value>,
    /// Its own end was seen.
    done: bool,
}

impl Assembly {
    /// For the turn after a conversation with `calls` calls.
    pub(crate) const fn new(offer: Arc<Offer>, calls: usize) -> Self {
        Self {
            offer,
            slots: Vec::new(),
            keys: BTreeMap::new(),
            events: Vec::new(),
            calls,
            usage: None,
            stop: None,
            notes: Vec::new(),
            overflow: false,
        }
    }

    /// What happened since this was asked last.
    pub(crate) fn events(&mut self) -> Vec<StreamEvent> {
        std::mem::take(&mut self.events)
    }

    /// More text; without a key it goes on where the last text is.
    pub(crate) fn text(&mut self, key: Option<Key>, more: &str) {
        if more.is_empty() {
            return;
        }
        let open = |slot: &Slot| matches!(slot, Slot::Text { state: None, .. });
        let slot = self.slot(key, open, || Slot::Text { text: String::new(), state: None });
        if let Some(Slot::Text { text, .. }) = slot {
            text.push_str(more);
            self.events.push(StreamEvent::TextDelta { text: more.to_owned() });
        }
    }

    /// A text that stands for itself, as its provider wants it back.
    pub(crate) fn signed_text(&mut self, key: Option<Key>, text: &str, state: Value) {
        if !text.is_empty() {
            self.events.push(StreamEvent::TextDelta { text: text.to_owned() });
        }
        let slot = Slot::Text { text: text.to_owned(), state: Some(state) };
        self.push(key, slot);
    }

    /// What a text's provider wants back with it.
    pub(crate) fn text_state(&mut self, key: Key, value: Value) {
        let slot = self.keys.get(&key).and_then(|at| self.slots.get_mut(*at));
        if let Some(Slot::Text { state, .. }) = slot {
            *state = Some(value);
        }
    }

    /// Whether anything is known under a key.
    pub(crate) fn has(&self, key: Key) -> bool {
        self.keys.contains_key(&key)
    }

    /// Whether the arguments of a call are a whole object, to which nothing can be added.
    pub(crate) fn is_whole(&self, key: Key) -> bool {
        match self.keys.get(&key).and_then(|at| self.slots.get(*at)) {
            Some(Slot::Call(open)) => {
                serde_json::from_str::<Map<String, Value>>(&open.arguments).is_ok()
            }
            Some(Slot::Text { .. } | Slot::Refusal(_) | Slot::Reasoning { .. }) | None => false,
        }
    }

    /// More of a refusal.
    pub(crate) fn refusal(&mut self, key: Option<Key>, more: &str) {
        if more.is_empty() {
            return;
        }
        let open = |slot: &Slot| matches!(slot, Slot::Refusal(_));
        if let Some(Slot::Refusal(text)) = self.slot(key, open, || Slot::Refusal(String::new())) {
            text.push_str(more);
            self.events.push(StreamEvent::RefusalDelta { text: more.to_owned() });
        }
    }

    /// More reasoning in words; `blank` is the state that it starts with.
    pub(crate) fn reasoning(
        &mut self,
        key: Option<Key>,
        more: &str,
        blank: impl FnOnce() -> Value,
    ) {
        let open = |slot: &Slot| matches!(slot, Slot::Reasoning { .. });
        let slot = self.slot(key, open, || Slot::Reasoning { text: String::new(), state: blank() });
        if let Some(Slot::Reasoning { text, .. }) = slot {
            text.push_str(more);
            if !more.is_empty() {
                self.events.push(StreamEvent::ReasoningDelta { text: more.to_owned() });
            }
        }
    }

    /// The state of a piece of reasoning, to be changed.
    pub(crate) fn reasoning_state(&mut self, key: Option<Key>) -> Option<&mut Value> {
        let at = match key {
            Some(key) => *self.keys.get(&key)?,
            None => self.slots.len().checked_sub(1)?,
        };
        match self.slots.get_mut(at)? {
            Slot::Reasoning { state, .. } => Some(state),
            Slot::Text { .. } | Slot::Refusal(_) | Slot::Call(_) => None,
        }
    }

    /// A call begins. What is known of it already is left as it is.
    pub(crate) fn call(&mut self, key: Key, name: &str) -> Option<&mut Map<String, Value>> {
        if !self.keys.contains_key(&key) {
            self.calls += 1;
            let id = format!("call-{}", self.calls);
            let name = self.offer.names.original(name).to_owned();
            self.events.push(StreamEvent::ToolCallStarted { id: id.clone(), name: name.clone() });
            let (arguments, state) = (String::new(), Map::new());
            self.push(Some(key), Slot::Call(Open { id, name, arguments, state, done: false }));
        }
        self.open(key).map(|open| &mut open.state)
    }

    /// More of a call's arguments.
    pub(crate) fn arguments(&mut self, key: Key, more: &str) {
        let Some(open) = self.open(key).filter(|_| !more.is_empty()) else { return };
        open.arguments.push_str(more);
        let (id, text) = (open.id.clone(), more.to_owned());
        self.events.push(StreamEvent::ToolArgsDelta { id, text });
    }

    /// A call is complete; with its whole arguments where the wire repeats them.
    pub(crate) fn call_done(&mut self, key: Key, whole: Option<&str>) {
        if let Some(whole) = whole
            && self.open(key).is_some_and(|open| open.arguments.is_empty())
        {
            self.arguments(key, whole);
        }
        if let Some(open) = self.open(key) {
            if let Some(whole) = whole {
                whole.clone_into(&mut open.arguments);
            }
            open.done = true;
        }
    }

    /// All calls that were begun are complete.
    pub(crate) fn calls_done(&mut self) {
        for slot in &mut self.slots {
            if let Slot::Call(open) = slot {
                open.done = true;
            }
        }
    }

    /// How many parts there are.
    pub(crate) const fn parts(&self) -> usize {
        self.slots.len()
    }

    /// The usage so far, to be changed.
    pub(crate) fn usage(&mut self) -> &mut Usage {
        self.usage.get_or_insert_with(Usage::default)
    }

    /// The end is known.
    pub(crate) fn stop(&mut self, stop: Stop, raw: &str) {
        self.stop = Some((stop, Some(raw.to_owned())));
    }

    /// Whether the end is known.
    pub(crate) const fn stopped(&self) -> bool {
        self.stop.is_some()
    }

    /// Something that a reader should know.
    pub(crate) fn note(&mut self, note: String) {
        if self.notes.len() < PARTS && !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    fn open(&mut self, key: Key) -> Option<&mut Open> {
        match self.slots.get_mut(*self.keys.get(&key)?)? {
            Slot::Call(open) => Some(open),
            Slot::Text { .. } | Slot::Refusal(_) | Slot::Reasoning { .. } => None,
        }
    }

    fn slot(
        &mut self,
        key: Option<Key>,
        goes_on: impl Fn(&Slot) -> bool,
        new: impl FnOnce() -> Slot,
    ) -> Option<&mut Slot> {
        let at = match key {
            Some(key) => self.keys.get(&key).copied(),
            None => self.slots.len().checked_sub(1),
        };
        let at = at.filter(|at| self.slots.get(*at).is_some_and(&goes_on));
        let at = match at {
            Some(at) => at,
            None => self.push(key, new())?,
        };
        self.slots.get_mut(at)
    }

    fn push(&mut self, key: Option<Key>, slot: Slot) -> Option<usize> {
        if self.slots.len() >= PARTS {
            self.overflow = true;
            return None;
        }
        let at = self.slots.len();
        self.slots.push(slot);
        if let Some(key) = key {
            self.keys.insert(key, at);
        }
        Some(at)
    }

    /// The turn, with the last events.
    ///
    /// # Errors
    /// [`ProviderError::BrokenOff`], [`ProviderError::BadCall`], [`ProviderError::TooLarge`], or
    /// [`ProviderError::Malformed`] where calls were announced and none came.
    pub(crate) fn finish(mut self) -> Result<(Turn, Vec<StreamEvent>), ProviderError> {
        let provider = self.offer.scope.provider.clone();
        if self.overflow {
            return Err(ProviderError::TooLarge {
                provider,
                what: "parts of a turn",
                limit: PARTS,
            });
        }
        let Some((stop, stop_raw)) = self.stop.take() else {
            let detail = "it ended before the turn did".to_owned();
            return Err(ProviderError::BrokenOff { provider, detail });
        };
        let whole = matches!(stop, Stop::Complete | Stop::ToolCalls);
        let mut parts = Vec::new();
        let mut calls = 0;
        for slot in std::mem::take(&mut self.slots) {
            match slot {
                Slot::Text { text, state } => {
                    parts.push(Part::Text { text, state: self.kept(state) });
                }
                Slot::Refusal(text) => parts.push(Part::Refusal { text }),
                Slot::Reasoning { text, state } => {
                    parts.push(Part::Reasoning { text, state: self.offer.scope.state(state) });
                }
                Slot::Call(open) if whole => {
                    calls += 1;
                    parts.push(Part::ToolCall(self.closed(open)?));
                }
                Slot::Call(open) => {
                    self.note(format!("a call of `{}` is left out: the turn was cut", open.name));
                }
            }
        }
        if stop == Stop::ToolCalls && calls == 0 {
            let detail = "it announces calls and has none".to_owned();
            return Err(ProviderError::Malformed { provider, detail });
        }
        let declined = parts.iter().any(|part| matches!(part, Part::Refusal { .. }));
        let stop = if stop == Stop::Complete && calls > 0 {
            Stop::ToolCalls
        } else if stop == Stop::Complete && declined {
            Stop::Refused
        } else {
            stop
        };
        self.events.extend(self.usage.map(|usage| StreamEvent::Usage { usage }));
        self.events.push(StreamEvent::Stop { kind: stop.clone(), raw: stop_raw.clone() });
        let turn = Turn { parts, stop, stop_raw, usage: self.usage, plan: None, notes: self.notes };
        Ok((turn, self.events))
    }

    fn kept(&self, state: Option<Value>) -> Option<ProviderState> {
        state.map(|state| self.offer.scope.state(state))
    }

    fn closed(&mut self, open: Open) -> Result<ToolCall, ProviderError> {
        let provider = self.offer.scope.provider.clone();
        if !open.done {
            let detail = format!("the call of `{}` has no end", open.name);
            return Err(ProviderError::BrokenOff { provider, detail });
        }
        let bad = |detail: String| ProviderError::BadCall {
            provider: provider.clone(),
            tool: open.name.clone(),
            detail,
        };
        // A model that calls a tool without arguments may write nothing at all.
        let written = if open.arguments.trim().is_empty() { "{}" } else { &open.arguments };
        let read = Document::read(written.as_bytes(), Limits::default());
        let read = read.map_err(|error| bad(error.to_string()))?;
        if read.root().kind() != Kind::Object {
            return Err(bad("the arguments are no object".into()));
        }
        let value = read.root().to_tree().map_err(|error| bad(error.to_string()))?;
        let arguments_raw = self.offer.arguments(&open.name, written, &value);
        let arguments_raw =
            arguments_raw.map_err(|key| bad(format!("the key `{key}` stands twice")))?;
        let done = StreamEvent::ToolCallDone {
            id: open.id.clone(),
            name: open.name.clone(),
            arguments_raw: arguments_raw.clone(),
        };
        self.events.push(done);
        let state = (!open.state.is_empty()).then_some(Value::Object(open.state));
        Ok(ToolCall { id: open.id, name: open.name, arguments_raw, state: self.kept(state) })
    }
}
