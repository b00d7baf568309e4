//! The texts in arguments, each with what its schema says that it is for.
use serde_json::{Map, Value};
use tagout_llm::ToolSpec;

use super::purpose::Purpose;

/// A text in arguments.
pub(super) struct Leaf<'a> {
    /// Where, such as `filter.names[2]`.
    pub(super) path: String,
    pub(super) text: &'a str,
    pub(super) purpose: Purpose,
}

/// Names of what nobody but the person should choose.
const SECRETS: &[&str] = &["credential", "passphrase", "password", "passwd", "pin", "secret"];

impl Leaf<'_> {
    /// Whether it is a secret, by its name.
    pub(super) fn is_secret(&self) -> bool {
        let name = self.path.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
        SECRETS.iter().any(|secret| name.contains(secret))
    }
}

/// Texts that are looked at…
const MOST: usize = 4_096;
/// …and bytes of them…
const BYTES: usize = 512 << 10;
/// …so deep in one another.
const DEPTH: usize = 64;
/// Bytes of names and descriptions that say what a text is for, as far as servers choose them.
const WORDS: usize = 16 << 10;
/// How many references of a schema are followed, one after the other.
const REFERENCES: usize = 8;

struct Walk<'a> {
    root: &'a Value,
    leaves: Vec<Leaf<'a>>,
    bytes: usize,
    all: bool,
}

/// Where the walk is: the path, the last name on it, what the names and descriptions on the way
/// say, how deep.
struct Place {
    path: String,
    name: String,
    words: String,
    depth: usize,
}

/// Every text, and whether that is all of them. Names of members that no schema has are texts, too.
pub(super) fn leaves<'a>(
    tool: &'a ToolSpec,
    arguments: &'a Map<String, Value>,
) -> (Vec<Leaf<'a>>, bool) {
    let root = &tool.input_schema;
    let mut walk = Walk { root, leaves: Vec::new(), bytes: 0, all: true };
    let name = tool.name.split_once("__").map_or(tool.name.as_str(), |(_, name)| name);
    let place =
        Place { path: String::new(), name: String::new(), words: name.to_owned(), depth: 0 };
    walk.object(arguments, Some(root), &place);
    (walk.leaves, walk.all)
}

impl<'a> Walk<'a> {
    fn value(&mut self, value: &'a Value, schema: Option<&'a Value>, place: &Place) {
        if place.depth > DEPTH {
            self.all = false;
            return;
        }
        match value {
            Value::String(text) => self.text(text, place),
            Value::Array(list) => {
                let items = schema.and_then(|schema| self.member(schema, "items"));
                for (index, value) in list.iter().enumerate() {
                    let path = format!("{}[{index}]", place.path);
                    self.value(value, items, &self.inside(path, "", items, place));
                }
            }
            Value::Object(map) => self.object(map, schema, place),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn object(&mut self, map: &'a Map<String, Value>, schema: Option<&'a Value>, place: &Place) {
        for (key, value) in map {
            let dot = if place.path.is_empty() { "" } else { "." };
            let path = format!("{}{dot}{key}", place.path);
            let declared = schema.and_then(|schema| self.property(schema, key));
            let inside = self.inside(path, key, declared, place);
            if declared.is_none() {
                self.text(key, &inside);
            }
            self.value(value, declared, &inside);
        }
    }

    fn text(&mut self, text: &'a str, place: &Place) {
        self.bytes = self.bytes.saturating_add(text.len());
        if self.leaves.len() >= MOST || self.bytes > BYTES {
            self.all = false;
            return;
        }
        let (path, purpose) = (place.path.clone(), Purpose::of(&place.name, &place.words));
        self.leaves.push(Leaf { path, text, purpose });
    }

    fn inside(&self, path: String, key: &str, schema: Option<&'a Value>, place: &Place) -> Place {
        let mut words = format!("{} {key}", place.words);
        let schema = schema.map(|schema| self.resolved(schema));
        for name in ["title", "description", "format", "contentMediaType"] {
            if let Some(text) = schema.and_then(|schema| schema.get(name)).and_then(Value::as_str)
                && words.len() < WORDS
            {
                words.push(' ');
                words.extend(text.chars().take(1_024));
            }
        }
        let name = if key.is_empty() { &place.name } else { key };
        Place { path, name: name.to_owned(), words, depth: place.depth + 1 }
    }

    /// What a schema says about a member.
    fn property(&self, schema: &'a Value, key: &str) -> Option<&'a Value> {
        let own = |schema: &'a Value| schema.get("properties")?.get(key);
        let any = |schema: &'a Value| {
            let others = schema.get("additionalProperties");
            others.filter(|others| others.is_object())
        };
        self.alternatives(schema).into_iter().find_map(|schema| own(schema).or_else(|| any(schema)))
    }

    fn member(&self, schema: &'a Value, name: &str) -> Option<&'a Value> {
        let has = |schema: &'a Value| schema.get(name).filter(|value| value.is_object());
        self.alternatives(schema).into_iter().find_map(has)
    }

    /// A schema and those that it is made of, one level down.
    fn alternatives(&self, schema: &'a Value) -> Vec<&'a Value> {
        let schema = self.resolved(schema);
        let lists = ["anyOf", "oneOf", "allOf"].into_iter().filter_map(|name| schema.get(name));
        let others = lists.filter_map(Value::as_array).flatten().map(|other| self.resolved(other));
        std::iter::once(schema).chain(others).collect()
    }

    fn resolved(&self, schema: &'a Value) -> &'a Value {
        let mut schema = schema;
        for _ in 0..REFERENCES {
            let Some(reference) = schema.get("$ref").and_then(Value::as_str) else { break };
            let target = reference.strip_prefix('#').and_then(|at| self.root.pointer(at));
            let Some(target) = target else { break };
            schema = target;
        }
        schema
    }
}
