//! Arguments are checked against the tool's own schema before anybody sees them as a proposal.
use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::{Map, Value};
use tagout_proto::{Document, Inexact, Limits};

/// How many bytes of schema are compiled at most; beyond it a tool cannot be proposed.
const SCHEMA_BYTES: usize = 256 * 1024;
/// How often a pattern with look-around may backtrack before it counts as no match.
const BACKTRACKS: usize = 100_000;
/// How many violations an error names.
const VIOLATIONS: usize = 3;
/// How long the words for one violation may be, in characters.
const MESSAGE_CHARS: usize = 300;

/// A tool's compiled input schema: draft 2020-12, references within itself only.
#[derive(Debug)]
pub struct InputSchema(Validator);

/// A schema that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSchema {
    /// It is larger than is compiled.
    #[error("the input schema has {got} bytes, the limit is {limit}")]
    TooLarge {
        /// Its size as compact JSON, in bytes.
        got: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// It is no JSON Schema, or refers to something outside itself.
    #[error("the input schema cannot be used: {detail}")]
    Invalid {
        /// What is wrong with it.
        detail: String,
    },
}

/// Arguments that a tool does not take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadArguments {
    /// The text is no JSON object.
    #[error("the arguments are not a JSON object: {detail}")]
    NotAnObject {
        /// Why not.
        detail: String,
    },
    /// A number would be another after it was read.
    #[error(
        "the number {literal} cannot be held exactly: neither 64-bit integers nor doubles have it"
    )]
    Number {
        /// The number as it was written, at most 64 characters of it.
        literal: String,
    },
    /// The object does not satisfy the schema.
    #[error("the arguments do not fit the tool's schema: {}", violations.join("; "))]
    Schema {
        /// The first violations, each with its place.
        violations: Vec<String>,
    },
}

impl BadSchema {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "schema-too-large",
            Self::Invalid { .. } => "schema-invalid",
        }
    }
}

impl BadArguments {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotAnObject { .. } | Self::Number { .. } => "arguments-malformed",
            Self::Schema { .. } => "arguments-invalid",
        }
    }
}

impl InputSchema {
    /// Compiles `schema`.
    ///
    /// # Errors
    /// [`BadSchema`].
    pub fn compile(schema: &Value) -> Result<Self, BadSchema> {
        let got = schema.to_string().len();
        if got > SCHEMA_BYTES {
            return Err(BadSchema::TooLarge { got, limit: SCHEMA_BYTES });
        }
        jsonschema::options()
            .with_draft(Draft::Draft202012)
            .with_pattern_options(PatternOptions::fancy_regex().backtrack_limit(BACKTRACKS))
            .offline()
            .build(schema)
            .map(Self)
            .map_err(|error| BadSchema::Invalid { detail: error.to_string() })
    }

    /// Reads `raw` as the arguments of a call.
    ///
    /// # Errors
    /// [`BadArguments`].
    pub fn parse(&self, raw: &str) -> Result<Map<String, Value>, BadArguments> {
        let value = read(raw)?;
        self.check(&value)?;
        match value {
            Value::Object(arguments) => Ok(arguments),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => {
                Err(BadArguments::NotAnObject { detail: "it is another JSON value".into() })
            }
        }
    }

    /// Whether `arguments` satisfy the schema.
    ///
    /// # Errors
    /// [`BadArguments::Schema`] with the first violations.
    pub fn check(&self, arguments: &Value) -> Result<(), BadArguments> {
        let violations: Vec<String> =
            self.violations(arguments).map(|(place, what)| located(&place, what)).collect();
        if violations.is_empty() { Ok(()) } else { Err(BadArguments::Schema { violations }) }
    }

    /// The first violations: the place as a dotted path, empty for the whole, and what is wrong.
    pub(crate) fn violations<'a>(
        &'a self,
        arguments: &'a Value,
    ) -> impl Iterator<Item = (String, String)> + 'a {
        self.0.iter_errors(arguments).take(VIOLATIONS).map(|error| {
            let place = error.instance_path().to_string();
            // A message repeats the value, which may be large.
            let message: String = error.to_string().chars().take(MESSAGE_CHARS).collect();
            (place.trim_start_matches('/').replace('/', "."), message)
        })
    }
}

/// `raw` as a value that means the same: no key stands twice in it, and every number is held exactly.
///
/// # Errors
/// [`BadArguments::NotAnObject`] or [`BadArguments::Number`].
pub fn read(raw: &str) -> Result<Value, BadArguments> {
    let document = Document::read(raw.as_bytes(), Limits::default())
        .map_err(|error| BadArguments::NotAnObject { detail: error.to_string() })?;
    let value = document.root().to_tree();
    value.map_err(|Inexact { literal }| BadArguments::Number { literal })
}

fn located(place: &str, what: String) -> String {
    if place.is_empty() { what } else { format!("`{place}`: {what}") }
}

/// What a local reference (`#`, `#/$defs/x`) points to.
pub(crate) fn resolve<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    root.pointer(reference.strip_prefix('#')?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_that_mean_something_else_once_they_are_read_are_refused() {
        let schema = InputSchema::compile(&Value::Bool(true)).unwrap();
        for (raw, taken) in [
            (r#"{"a":18446744073709551615}"#, true),
            (r#"{"a":18446744073709551616}"#, false),
            (r#"{"a":1e400}"#, false),
            (r#"{"a":1,"a":2}"#, false),
        ] {
            assert_eq!(schema.parse(raw).map_err(|error| error.code()).is_ok(), taken, "{raw}");
        }
    }
}
