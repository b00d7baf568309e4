//! Tools' schemas in the form that a provider takes. Arguments are checked against the original
//! all the same: what is lost here is only help for the model.
use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tagout_proto::Digest;

mod strict;

pub(crate) use strict::{strict, without_nulls};

/// How deep a schema is followed; deeper parts are offered as `{}`.
const DEPTH: usize = 24;

/// What a provider takes of JSON Schema.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subset {
    /// The only keywords that it takes, if there is such a list.
    pub(crate) only: Option<&'static [&'static str]>,
    /// Keywords that it does not take.
    pub(crate) without: &'static [&'static str],
    /// How long property names of `[A-Za-z0-9_.-]` may be, if others are refused.
    pub(crate) key_length: Option<usize>,
    /// Whether nothing may stand beside a `$ref`.
    pub(crate) bare_refs: bool,
}

/// Takes all that JSON Schema has, but for the root, which is always an object.
pub(crate) const WHOLE: Subset =
    Subset { only: None, without: &["$schema"], key_length: None, bare_refs: false };

/// A schema in the form that a provider takes.
#[derive(Clone, Debug)]
pub(crate) struct Fitted {
    pub(crate) schema: Value,
    /// Property names that had to be others, and what they are in the original.
    pub(crate) aliases: BTreeMap<String, String>,
}

/// Keywords whose value is a map from names to schemas.
const MAPS: &[&str] =
    &["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"];
/// Keywords whose value is a list of schemas.
const LISTS: &[&str] = &["anyOf", "oneOf", "allOf", "prefixItems"];
/// Keywords whose value is a schema.
const SINGLE: &[&str] = &[
    "items",
    "additionalProperties",
    "not",
    "contains",
    "propertyNames",
    "if",
    "then",
    "else",
    "unevaluatedProperties",
    "unevaluatedItems",
];
/// Keywords that no provider takes at the root of a tool's schema.
const NOT_AT_ROOT: &[&str] = &["anyOf", "oneOf", "allOf", "not", "if", "then", "else", "enum"];
/// Keywords that say nothing to a model when they are gone.
const SILENT: &[&str] = &["$schema", "$id", "$comment", "$anchor", "title", "default", "examples"];

impl Subset {
    /// `schema` in this form.
    pub(crate) fn fit(&self, schema: &Value) -> Fitted {
        let mut aliases = BTreeMap::new();
        let mut fitted = match self.walk(schema, DEPTH, &mut aliases) {
            Value::Object(fitted) => fitted,
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => Map::new(),
        };
        let gone: Vec<_> = NOT_AT_ROOT.iter().filter_map(|k| fitted.remove_entry(*k)).collect();
        note(&mut fitted, &gone);
        fitted.insert("type".into(), "object".into());
        fitted.entry("properties").or_insert_with(|| json!({}));
        Fitted { schema: Value::Object(fitted), aliases }
    }

    fn takes(&self, keyword: &str) -> bool {
        self.only.is_none_or(|only| only.contains(&keyword)) && !self.without.contains(&keyword)
    }

    fn walk(&self, schema: &Value, depth: usize, aliases: &mut BTreeMap<String, String>) -> Value {
        let Value::Object(schema) = schema else {
            // `true` and `false` are schemas, and not every provider knows that.
            return if schema == &Value::Bool(false) { json!({"not": {}}) } else { json!({}) };
        };
        let Some(depth) = depth.checked_sub(1) else { return json!({}) };
        let mut out = Map::new();
        let mut gone = Vec::new();
        for (keyword, value) in schema {
            let taken = self.takes(keyword);
            match value {
                Value::Array(_) | Value::Object(_) | Value::Bool(_) if taken => {
                    out.insert(keyword.clone(), self.below(keyword, value, depth, aliases));
                }
                Value::Null | Value::Number(_) | Value::String(_) if taken => {
                    out.insert(keyword.clone(), value.clone());
                }
                _constant if keyword == "const" && self.takes("enum") => {
                    out.insert("enum".into(), json!([value]));
                }
                Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::String(_)
                | Value::Array(_)
                | Value::Object(_) => gone.push((keyword.clone(), value.clone())),
            }
        }
        if self.bare_refs && out.contains_key("$ref") {
            out.retain(|keyword, _| keyword.starts_with('$'));
            return Value::Object(out);
        }
        note(&mut out, &gone);
        Value::Object(out)
    }

    fn below(
        &self,
        keyword: &str,
        value: &Value,
        depth: usize,
        aliases: &mut BTreeMap<String, String>,
    ) -> Value {
        match value {
            Value::Object(map) if MAPS.contains(&keyword) => {
                let named = keyword == "properties";
                let mut fitted = Map::new();
                for (name, schema) in map {
                    let key = if named { self.key(name, aliases) } else { name.clone() };
                    fitted.insert(key, self.walk(schema, depth, aliases));
                }
                Value::Object(fitted)
            }
            Value::Array(list) if LISTS.contains(&keyword) => {
                list.iter().map(|schema| self.walk(schema, depth, aliases)).collect()
            }
            Value::Array(list) if keyword == "required" => {
                let name = |value: &Value| value.as_str().map(ToOwned::to_owned);
                list.iter()
                    .filter_map(name)
                    .map(|name| Value::from(self.key(&name, aliases)))
                    .collect()
            }
            Value::Bool(_) if keyword == "additionalProperties" => value.clone(),
            Value::Object(_) | Value::Bool(_) if SINGLE.contains(&keyword) => {
                self.walk(value, depth, aliases)
            }
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_) => value.clone(),
        }
    }

    /// A property's name as the provider takes it.
    fn key(&self, name: &str, aliases: &mut BTreeMap<String, String>) -> String {
        let Some(length) = self.key_length else { return name.to_owned() };
        let inside = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        if (1..=length).contains(&name.len()) && name.chars().all(inside) {
            return name.to_owned();
        }
        let start: String = name.chars().filter(|c| c.is_ascii_alphanumeric()).take(40).collect();
        let alias = format!("{start}_{}", Digest::of(name.as_bytes()).short());
        aliases.insert(alias.clone(), name.to_owned());
        alias
    }
}

/// Tells the model in words what the schema can no longer say.
fn note(schema: &mut Map<String, Value>, gone: &[(String, Value)]) {
    let told = gone.iter().filter(|(key, _)| !SILENT.contains(&key.as_str()));
    let told: Vec<_> = told.map(|(key, value)| format!("{key}: {value}")).collect();
    if told.is_empty() {
        return;
    }
    let told = format!("({})", told.join(", "));
    let said = schema.get("description").and_then(Value::as_str);
    let text = said.map_or(told.clone(), |said| format!("{said} {told}"));
    schema.insert("description".into(), text.into());
}

/// `value` with the keys of objects renamed, at any depth; the first key that would then stand twice
/// in one object.
pub(crate) fn renamed(value: &Value, names: &BTreeMap<String, String>) -> Result<Value, String> {
    Ok(match value {
        Value::Object(map) => {
            let mut out = Map::new();
            for (key, value) in map {
                let key = names.get(key).unwrap_or(key);
                if out.insert(key.clone(), renamed(value, names)?).is_some() {
                    return Err(key.clone());
                }
            }
            Value::Object(out)
        }
        Value::Array(list) => {
            list.iter().map(|value| renamed(value, names)).collect::<Result<_, _>>()?
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NARROW: Subset = Subset {
        only: Some(&[
            "$defs",
            "$ref",
            "description",
            "enum",
            "items",
            "properties",
            "required",
            "type",
        ]),
        without: &[],
        key_length: Some(8),
        bare_refs: true,
    };

    #[test]
    fn what_is_lost_is_said_in_words() {
        let schema = json!({
            "$schema": "x", "type": "object", "required": ["a b"], "oneOf": [{}],
            "properties": {
                "a b": {"type": "string", "pattern": "^x$", "description": "A.", "default": "y"},
                "c": {"const": 3},
                "d": {"$ref": "#/$defs/e", "description": "D."},
                "f": true,
                "g": {"type": "array", "items": {"type": "number", "minimum": 0}},
            },
            "$defs": {"e": {"type": "integer"}},
        });
        let fitted = NARROW.fit(&schema);
        let alias = fitted.aliases.keys().next().unwrap().clone();
        assert_eq!(
            fitted.schema,
            json!({
                "type": "object", "required": [alias],
                "properties": {
                    alias: {"type": "string", "description": "A. (pattern: \"^x$\")"},
                    "c": {"enum": [3]},
                    "d": {"$ref": "#/$defs/e"},
                    "f": {},
                    "g": {"type": "array", "items": {"type": "number", "description": "(minimum: 0)"}},
                },
                "$defs": {"e": {"type": "integer"}},
                "description": "(oneOf: [{}])",
            })
        );
    }

    #[test]
    fn names_go_there_and_back() {
        let schema = json!({"type": "object", "properties": {"a b": {"type": "object",
                            "properties": {"c d": {}}}}});
        let Fitted { aliases, .. } = NARROW.fit(&schema);
        let there = aliases.iter().map(|(alias, own)| (own.clone(), alias.clone())).collect();
        let own = json!({"a b": {"c d": [{"c d": 1}]}, "e": 2});
        let mut written = renamed(&own, &there).unwrap();
        assert_ne!(written, own);
        assert_eq!(renamed(&written, &aliases).unwrap(), own);
        written["a b"] = json!(1);
        assert_eq!(renamed(&written, &aliases), Err("a b".to_owned()));
    }

    #[test]
    fn a_schema_without_end_has_one() {
        let mut schema = json!({"type": "string"});
        for _ in 0..100 {
            schema = json!({"type": "object", "properties": {"a": schema}});
        }
        assert!(NARROW.fit(&schema).schema.to_string().len() < 2000);
        for odd in [json!(true), json!(null), json!([1]), json!("x")] {
            assert_eq!(NARROW.fit(&odd).schema, json!({"type": "object", "properties": {}}));
        }
    }
}
