//! What the host itself says in a result: the one thing in it that is not data from outside.
use tagout_llm::{Part, ProviderState};

/// The mark. No provider is without a name for its model, so no wire ever sends it, and what comes
/// from servers has none.
const HOST: &str = "tagout";

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
