//! Who wrote a text, where that does not show: what the host itself says in a result, the one thing
//! in it that is not data from outside; and what a server's prompt says in the person's place.
use serde_json::Value;
use tagout_llm::{Message, Part, ProviderState};

/// The mark. No provider is without a name for its model, so no wire ever sends it, and what comes
/// from servers has none.
const HOST: &str = "tagout";
/// The mark of prompts.
const PROMPT: &str = "tagout-prompt";

/// A text that the host, the gateway or the person puts into a result.
pub(crate) fn by_host(text: impl Into<String>) -> Part {
    let state = ProviderState {
        provider: HOST.to_owned(),
        model: String::new(),
        value: serde_json::Value::Null,
    };
    Part::Text { text: text.into(), state: Some(state) }
}

/// Whether the host put a part there.
pub(crate) fn is_by_host(part: &Part) -> bool {
    let Part::Text { state: Some(state), .. } = part else { return false };
    state.provider == HOST && state.model.is_empty()
}

/// The message of the prompt `name`, with its mark: it speaks for the person, in words that are not
/// the person's. Servers write no marks.
pub(crate) fn by_prompt(name: &str, message: &Message) -> Message {
    let mut message = message.clone();
    for part in &mut message.parts {
        if let Part::Text { text, state } = part
            && !text.trim().is_empty()
        {
            let (provider, model) = (PROMPT.to_owned(), String::new());
            *state = Some(ProviderState { provider, model, value: Value::from(name) });
        }
    }
    message
}

/// The prompt that a text is from.
pub(crate) fn prompt_of(part: &Part) -> Option<&str> {
    let Part::Text { state: Some(state), .. } = part else { return None };
    let marked = state.provider == PROMPT && state.model.is_empty();
    marked.then(|| state.value.as_str().unwrap_or_default())
}
