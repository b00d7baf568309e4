//! The types of a tool's arguments, as rules see them.
mod schema;
mod text;

use std::collections::BTreeMap;

pub use text::ShapeError;

/// The type of a value. Its text, which stands in lockfiles, reads
/// `{ path: String, depth?: Long, tags: List<String>, note?: Nullable<String>, options: Json }`;
/// names that are no identifiers are quoted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Shape {
    /// A string.
    Text,
    /// A whole number of 64 bits.
    Whole,
    /// Any number: its text, and a decimal where that is exact.
    Number,
    /// True or false.
    Truth,
    /// A list of elements of one scalar type: text, whole number, number or truth value.
    List(Box<Shape>),
    /// Named members. What is not among them is not lost: rules find it in `context.undeclared`.
    Record(BTreeMap<String, Field>),
    /// What may be null.
    Nullable(Box<Shape>),
    /// Anything, as canonical JSON.
    Json,
}

/// A member of a [`Shape::Record`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Field {
    /// Its type.
    pub shape: Shape,
    /// Whether it is always there.
    pub required: bool,
}

impl Shape {
    /// Nothing declared: every argument is undeclared.
    pub const NOTHING: Self = Self::Record(BTreeMap::new());

    /// Whether it may stand in a list.
    #[must_use]
    pub const fn is_scalar(&self) -> bool {
        match self {
            Self::Text | Self::Whole | Self::Number | Self::Truth => true,
            Self::List(_) | Self::Record(_) | Self::Nullable(_) | Self::Json => false,
        }
    }
}

impl From<Shape> for String {
    fn from(shape: Shape) -> Self {
        shape.to_string()
    }
}

impl TryFrom<String> for Shape {
    type Error = ShapeError;

    fn try_from(text: String) -> Result<Self, ShapeError> {
        text.parse()
    }
}
