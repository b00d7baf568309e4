//! Definitions of tools and prompts: their digest, and what they seem to do.
mod proposal;

pub use proposal::{Hint, Proposal};
use tagout_proto::{Digest, Value};

/// The digest of a definition's canonical form: name, title, description, schemas, annotations,
/// `_meta` and whatever else it holds, since clients are passed all of it.
#[must_use]
pub fn digest(definition: Value<'_>) -> Digest {
    Digest::of(canonical(definition).as_bytes())
}

/// The text that [`digest`] is made over.
#[must_use]
pub fn canonical(definition: Value<'_>) -> String {
    definition.canonical()
}
