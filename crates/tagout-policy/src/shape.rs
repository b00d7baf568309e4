//! The types of a tool's arguments, as rules see them.

/// The type of a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// Anything, as canonical JSON.
    Json,
}
