//! What other programs' files say, whatever they are written in.
use tagout_proto::{Document, Kind, Limits, Value};

use super::{jsonc, yaml};

/// The largest file of another program that is looked at.
pub(crate) const FILE_BYTES: usize = 16 << 20;
/// How deep it may be nested.
pub(crate) const DEPTH: usize = Limits::MOST_DEPTH;

/// What a file is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// JSON, with comments and trailing commas.
    Jsonc,
    Toml,
    Yaml,
}

impl Format {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Jsonc => "JSON",
            Self::Toml => "TOML",
            Self::Yaml => "YAML",
        }
    }
}

/// A value. Maps keep their order, which means nothing, and have no key twice.
#[derive(Clone, Debug)]
pub(crate) enum Tree {
    Null,
    Bool(bool),
    /// As it was written.
    Number(String),
    Text(String),
    List(Vec<Tree>),
    Map(Vec<(String, Tree)>),
}

impl PartialEq for Tree {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(one), Self::Bool(other)) => one == other,
            (Self::Number(one), Self::Number(other)) | (Self::Text(one), Self::Text(other)) => {
                one == other
            }
            (Self::List(one), Self::List(other)) => one == other,
            (Self::Map(one), Self::Map(other)) => {
                one.len() == other.len() && sorted(one) == sorted(other)
            }
            (
                Self::Null
                | Self::Bool(_)
                | Self::Number(_)
                | Self::Text(_)
                | Self::List(_)
                | Self::Map(_),
                _,
            ) => false,
        }
    }
}

fn sorted(members: &[(String, Tree)]) -> Vec<(&str, &Tree)> {
    let mut members: Vec<_> = members.iter().map(|(key, value)| (key.as_str(), value)).collect();
    members.sort_by_key(|(key, _)| *key);
    members
}

/// Why a file cannot be understood: the first thing wrong. It repeats nothing of the file but keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unreadable(pub(crate) String);

impl Tree {
    /// Reads `text`. Nothing, or nothing but white space and comments, is an empty map.
    pub(crate) fn read(text: &str, format: Format) -> Result<Self, Unreadable> {
        if text.len() > FILE_BYTES {
            return Err(Unreadable(format!("it has more than {FILE_BYTES} bytes")));
        }
        match format {
            Format::Jsonc => Ok(jsonc::Read::of(text)?.map_or(Self::empty(), |read| read.tree())),
            Format::Yaml => yaml::read(text),
            Format::Toml => {
                // The parser has a limit on nesting of its own.
                let table: toml::Table = toml::from_str(text).map_err(|error| {
                    let at = error.span().map_or(0, |span| span.start);
                    Unreadable(format!("line {}: {}", line_of(text, at), error.message()))
                })?;
                Ok(of_toml(toml::Value::Table(table)))
            }
        }
    }

    pub(crate) const fn empty() -> Self {
        Self::Map(Vec::new())
    }

    /// The member `key` of a map.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.members().iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The members of a map; of anything else, none.
    pub(crate) fn members(&self) -> &[(String, Self)] {
        match self {
            Self::Map(members) => members,
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) | Self::List(_) => &[],
        }
    }

    /// The elements of a list; of anything else, none.
    pub(crate) fn elements(&self) -> &[Self] {
        match self {
            Self::List(elements) => elements,
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) | Self::Map(_) => &[],
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::List(_) | Self::Map(_) => None,
        }
    }

    pub(crate) const fn is_map(&self) -> bool {
        matches!(self, Self::Map(_))
    }

    /// A map of texts, for what is written into files.
    pub(crate) fn map<const N: usize>(members: [(&str, Self); N]) -> Self {
        Self::Map(members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }

    pub(crate) fn from_text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub(crate) fn of_value(value: Value<'_>) -> Self {
        match value.kind() {
            Kind::Object => {
                let members = value.members();
                Self::Map(members.map(|(key, v)| (key.into_owned(), Self::of_value(v))).collect())
            }
            Kind::Array => Self::List(value.elements().map(Self::of_value).collect()),
            Kind::String | Kind::Escaped => {
                Self::Text(value.text().unwrap_or_default().into_owned())
            }
            Kind::Number => Self::Number(value.raw().to_owned()),
            Kind::True => Self::Bool(true),
            Kind::False => Self::Bool(false),
            Kind::Null => Self::Null,
        }
    }
}

/// Reads strict JSON of the same length as the file that it stands for.
pub(super) fn document(text: &str) -> Result<Document, Unreadable> {
    let limits = Limits { frame_bytes: FILE_BYTES, depth: DEPTH };
    Document::read(text.as_bytes(), limits).map_err(|error| Unreadable(error.to_string()))
}

fn of_toml(value: toml::Value) -> Tree {
    match value {
        toml::Value::String(text) => Tree::Text(text),
        toml::Value::Integer(number) => Tree::Number(number.to_string()),
        toml::Value::Float(number) => Tree::Number(number.to_string()),
        toml::Value::Boolean(truth) => Tree::Bool(truth),
        toml::Value::Datetime(time) => Tree::Text(time.to_string()),
        toml::Value::Array(elements) => Tree::List(elements.into_iter().map(of_toml).collect()),
        toml::Value::Table(members) => {
            Tree::Map(members.into_iter().map(|(key, value)| (key, of_toml(value))).collect())
        }
    }
}

pub(super) fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}
