//! Definitions of tools and prompts: their digest, and what they seem to do.
mod proposal;

pub use proposal::{Hint, Proposal};
use tagout_proto::{Digest, Value};

/// The digest of a definition's canonical form: name, title, description, schemas, annotations
/// and whatever else it holds, but `_meta`, which no model is shown.
#[must_use]
pub fn digest(definition: Value<'_>) -> Digest {
    Digest::of(canonical(definition).as_bytes())
}

/// The text that [`digest`] is made over.
#[must_use]
pub fn canonical(definition: Value<'_>) -> String {
    if definition.get("_meta").is_none() {
        return definition.canonical();
    }
    let without = definition.with(&[("_meta", None)]);
    let limits = tagout_proto::Limits { frame_bytes: without.len(), ..Default::default() };
    // A document without one of its members is a document.
    tagout_proto::Document::read(without.as_bytes(), limits)
        .map_or(without, |document| document.root().canonical())
}
