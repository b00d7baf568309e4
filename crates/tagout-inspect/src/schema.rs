//! A tool's arguments against its JSON Schema (2020-12), closed.
use std::{collections::HashMap, fmt};

use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::{Map, Value, json};

/// A compiled input schema.
pub struct ArgumentSchema {
    validator: Validator,
    scale: Weight,
}

impl fmt::Debug for ArgumentSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ArgumentSchema")
    }
}

/// Whether a tool takes arguments that its schema does not declare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Undeclared {
    /// Only where the schema itself says so.
    #[default]
    Refuse,
    /// As JSON Schema has it: what is not forbidden may be there.
    Allow,
}

/// Why a schema cannot be used; the tool that has it cannot be called.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the tool's input schema cannot be used: {0}")]
pub struct BadSchema(String);

impl BadSchema {
    /// A schema that cannot be used because of `why`.
    #[must_use]
    pub const fn new(why: String) -> Self {
        Self(why)
    }
}

/// Why arguments do not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}{}", if at.is_empty() { String::new() } else { format!(" at {at}") })]
pub struct Unfit {
    /// Where, as a JSON pointer into the arguments.
    pub at: String,
    /// What is wrong; never holds the value itself, which may be a secret.
    pub what: String,
}

/// What one pattern may come to, in bytes. Patterns are matched in time linear in what they are held
/// against; those that need to look back or ahead cannot be, and are refused.
const PATTERN_BYTES: usize = 1 << 20;
/// The longest pattern, in bytes.
const PATTERN: usize = 1024;
/// The most patterns of one schema.
const PATTERNS: u32 = 256;

impl ArgumentSchema {
    /// Compiles `schema`. References are resolved within the schema only, never fetched.
    ///
    /// Objects that declare properties take no others unless the schema says so by
    /// `additionalProperties` or `unevaluatedProperties`, or `undeclared` does. Schemas of older
    /// drafts are read as 2020-12.
    ///
    /// # Errors
    /// It is no schema, or refers to something that is not there.
    pub fn compile(schema: &Value, undeclared: Undeclared) -> Result<Self, BadSchema> {
        let mut schema = schema.clone();
        let Value::Object(root) = &mut schema else {
            return Err(BadSchema("it is not an object".to_owned()));
        };
        root.remove("$schema");
        root.remove("$id");
        root.entry("type").or_insert_with(|| json!("object"));
        modernise(root);
        let scale = weigh(&schema)?;
        let Value::Object(root) = &mut schema else {
            return Err(BadSchema("it is not an object".to_owned()));
        };
        if undeclared == Undeclared::Refuse {
            close(root, true);
        }
        let patterns = PatternOptions::regex().size_limit(PATTERN_BYTES);
        let patterns = patterns.dfa_size_limit(PATTERN_BYTES);
        jsonschema::options()
            .with_draft(Draft::Draft202012)
            .with_pattern_options(patterns)
            .should_validate_formats(true)
            .offline()
            .build(&schema)
            .map(|validator| Self { validator, scale })
            .map_err(|error| BadSchema(error.masked().to_string()))
    }

    /// How many parts it has, with every reference written out once.
    #[must_use]
    pub const fn weight(&self) -> u64 {
        self.scale.parts
    }

    /// Checks `arguments`.
    ///
    /// # Errors
    /// The first thing that does not fit.
    pub fn check(&self, arguments: &Value) -> Result<(), Unfit> {
        let most = self.scale.nesting();
        if most.is_some_and(|most| depth(arguments) > most) {
            let what = "nested deeper than a schema that refers to itself is followed".to_owned();
            return Err(Unfit { at: String::new(), what });
        }
        self.validator.validate(arguments).map_err(|error| Unfit {
            at: error.instance_path().to_string(),
            what: error.masked().to_string(),
        })
    }
}

/// The most values that a schema may come to, with every reference written out.
const WEIGHT: u64 = 50_000;
/// The most levels that it may have, with every reference written out: whoever compiles or checks
/// recurses once or more a level.
const LEVELS: usize = 100;
/// The most ways that a schema which refers to itself may branch in all.
const BRANCHES: f64 = 100_000.0;

/// What a schema comes to, with every reference written out.
#[derive(Clone, Copy, Debug, Default)]
struct Weight {
    parts: u64,
    levels: usize,
    /// References to what they stand in.
    circles: u32,
}

impl Weight {
    fn add(&mut self, other: Self) {
        self.parts = self.parts.saturating_add(other.parts);
        self.levels = self.levels.max(other.levels + 1);
        self.circles = self.circles.saturating_add(other.circles);
    }

    /// How deep arguments may be nested: each level may be checked as many times more as there are
    /// references back, so that few levels of many come to what nobody waits for.
    fn nesting(&self) -> Option<usize> {
        let levels = match self.circles {
            0 | 1 => return None,
            circles => BRANCHES.ln() / f64::from(circles).ln(),
        };
        // At most 17, for two references back.
        (1..=64_u32).take_while(|n| f64::from(*n) <= levels).count().into()
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(elements) => 1 + elements.iter().map(depth).max().unwrap_or_default(),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or_default(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// Refuses what would take too long to compile or to check: a few lines of references to
/// references stand for a schema that no memory holds.
fn weigh(schema: &Value) -> Result<Weight, BadSchema> {
    let mut scale = Scale { schema, known: HashMap::new(), patterns: 0 };
    scale.weight(schema, 0)
}

struct Scale<'a> {
    schema: &'a Value,
    /// What each reference comes to; nothing while it is being weighed, which ends circles.
    known: HashMap<&'a str, Option<Weight>>,
    patterns: u32,
}

impl<'a> Scale<'a> {
    fn weight(&mut self, value: &'a Value, level: usize) -> Result<Weight, BadSchema> {
        let mut weight = Weight { parts: 1, ..Weight::default() };
        match value {
            Value::Object(members) => {
                for (key, member) in members {
                    self.patterns(key, member)?;
                    let more = match (key.as_str(), member) {
                        ("$ref", Value::String(reference)) => {
                            self.reference(reference, level + 1)?
                        }
                        (
                            "$dynamicRef" | "$recursiveRef" | "$dynamicAnchor" | "$id",
                            Value::String(_),
                        ) => return Err(BadSchema(format!("`{key}` is not taken here"))),
                        // Definitions are no part of the schema but where they are referred to.
                        ("$defs" | "definitions", _) if level == 0 => {
                            Weight { circles: 0, ..self.weight(member, level + 1)? }
                        }
                        _ => self.weight(member, level + 1)?,
                    };
                    weight.add(more);
                }
            }
            Value::Array(elements) => {
                for element in elements {
                    let more = self.weight(element, level + 1)?;
                    weight.add(more);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
        if weight.parts > WEIGHT {
            return Err(BadSchema(format!("it comes to more than {WEIGHT} parts")));
        }
        // Checked on the way down too: this recurses itself.
        if level + weight.levels > LEVELS {
            return Err(BadSchema(format!("it comes to more than {LEVELS} levels")));
        }
        Ok(weight)
    }

    /// Counts patterns, and refuses those that are long.
    fn patterns(&mut self, key: &str, member: &Value) -> Result<(), BadSchema> {
        let mut one = |pattern: &str| {
            self.patterns += 1;
            if pattern.len() > PATTERN || self.patterns > PATTERNS {
                let most = format!("more than {PATTERNS} patterns, or one over {PATTERN} bytes");
                return Err(BadSchema(format!("it has {most}")));
            }
            Ok(())
        };
        match (key, member) {
            ("pattern", Value::String(pattern)) => one(pattern),
            ("patternProperties", Value::Object(patterns)) => {
                patterns.keys().try_for_each(|pattern| one(pattern))
            }
            _ => Ok(()),
        }
    }

    fn reference(&mut self, reference: &'a str, level: usize) -> Result<Weight, BadSchema> {
        if level > LEVELS {
            return Err(BadSchema(format!("it comes to more than {LEVELS} levels")));
        }
        match self.known.get(reference) {
            Some(Some(weight)) => return Ok(*weight),
            Some(None) => return Ok(Weight { parts: 1, levels: 0, circles: 1 }),
            None => {}
        }
        let pointer = reference.strip_prefix('#').ok_or_else(|| {
            BadSchema(format!("it refers to `{reference}`, and nothing is fetched"))
        })?;
        let pointer = percent_decoded(pointer);
        let target = self.schema.pointer(&pointer);
        let target = target
            .ok_or_else(|| BadSchema(format!("it refers to `{reference}`, which is not there")))?;
        self.known.insert(reference, None);
        let weight = self.weight(target, level)?;
        self.known.insert(reference, Some(weight));
        Ok(weight)
    }
}

/// A URI fragment as the JSON pointer that it spells.
fn percent_decoded(fragment: &str) -> String {
    let mut bytes = Vec::with_capacity(fragment.len());
    let mut rest = fragment.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = |digit: &u8| char::from(*digit).to_digit(16).and_then(|d| u8::try_from(d).ok());
        match (first, after) {
            (b'%', [high, low, after @ ..]) if hex(high).is_some() && hex(low).is_some() => {
                bytes.push(hex(high).unwrap_or_default() << 4 | hex(low).unwrap_or_default());
                rest = after;
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Keywords under which each member is a schema for another place than this one.
const ELSEWHERE_EACH: &[&str] = &["properties", "patternProperties"];
/// Keywords that hold a schema for another place.
const ELSEWHERE: &[&str] = &["items", "additionalProperties", "unevaluatedProperties", "contains"];
/// Keywords that hold schemas for this very place.
const HERE: &[&str] = &["allOf", "anyOf", "oneOf"];

/// Closes the object that `schema` describes, and those inside it.
fn close(schema: &mut Map<String, Value>, root: bool) {
    let says = |key: &str| schema.contains_key(key);
    let explicit = says("additionalProperties") || says("unevaluatedProperties");
    let declares = says("properties") || says("$ref") || HERE.iter().any(|key| says(key));
    if !explicit && (root || declares) {
        // Unlike `additionalProperties`, this sees through `$ref` and `allOf`.
        schema.insert("unevaluatedProperties".to_owned(), Value::Bool(false));
    }
    close_below(schema);
}

/// Closes what stands inside: not alternatives and definitions themselves, which are parts of a
/// description that is closed where it is used, but what they say of other places.
fn close_below(schema: &mut Map<String, Value>) {
    for key in ELSEWHERE_EACH {
        for inner in schema.get_mut(*key).and_then(Value::as_object_mut).into_iter().flatten() {
            if let Value::Object(inner) = inner.1 {
                close(inner, false);
            }
        }
    }
    for key in ELSEWHERE {
        if let Some(Value::Object(inner)) = schema.get_mut(*key) {
            close(inner, false);
        }
    }
    for inner in schema.get_mut("prefixItems").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Value::Object(inner) = inner {
            close(inner, false);
        }
    }
    for key in HERE {
        for inner in schema.get_mut(*key).and_then(Value::as_array_mut).into_iter().flatten() {
            if let Value::Object(inner) = inner {
                close_below(inner);
            }
        }
    }
    for key in ["$defs", "definitions", "dependentSchemas"] {
        for inner in schema.get_mut(key).and_then(Value::as_object_mut).into_iter().flatten() {
            if let Value::Object(inner) = inner.1 {
                close_below(inner);
            }
        }
    }
    for key in ["if", "then", "else"] {
        if let Some(Value::Object(inner)) = schema.get_mut(key) {
            close_below(inner);
        }
    }
}

/// Formats that are checked here, and that generators of schemas also spell out as patterns.
const FORMATS: &[&str] =
    &["email", "duration", "date-time", "date", "time", "uuid", "uri", "hostname", "ipv4", "ipv6"];
/// What looks ahead or back in a pattern, and so takes more than linear time.
const LOOKS: &[&str] = &["(?=", "(?!", "(?<=", "(?<!"];

/// Leaves out a pattern that cannot be matched in linear time where its format says the same: some
/// libraries write both for an e-mail address, and no tool is lost for it.
fn without_needless_pattern(schema: &mut Map<String, Value>) {
    let text = |key: &str| schema.get(key).and_then(Value::as_str);
    let (Some(format), Some(pattern)) = (text("format"), text("pattern")) else { return };
    if FORMATS.contains(&format) && LOOKS.iter().any(|look| pattern.contains(look)) {
        schema.remove("pattern");
    }
}

/// Older drafts' way to write tuples, in the newer one.
fn modernise(schema: &mut Map<String, Value>) {
    without_needless_pattern(schema);
    if matches!(schema.get("items"), Some(Value::Array(_))) {
        if let Some(tuple) = schema.remove("items") {
            schema.insert("prefixItems".to_owned(), tuple);
        }
        if let Some(rest) = schema.remove("additionalItems") {
            schema.insert("items".to_owned(), rest);
        }
    }
    for (key, inner) in schema.iter_mut() {
        // These hold values, not schemas.
        if !matches!(key.as_str(), "default" | "const" | "enum" | "examples") {
            modernise_inside(inner);
        }
    }
}

fn modernise_inside(value: &mut Value) {
    match value {
        Value::Object(schema) => modernise(schema),
        Value::Array(schemas) => schemas.iter_mut().for_each(modernise_inside),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
