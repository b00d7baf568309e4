//! Schemas of which a provider promises that every call keeps to them: every property is required,
//! what was optional may be `null`, and nothing else is allowed.
use serde_json::{Map, Value, json};

use crate::arguments::resolve;

/// Keywords that such schemas may have.
const TAKEN: &[&str] = &[
    "$defs",
    "$ref",
    "additionalProperties",
    "anyOf",
    "const",
    "description",
    "enum",
    "items",
    "properties",
    "required",
    "title",
    "type",
];
const DEPTH: usize = 8;

/// `schema` in that form; nothing if that would mean something else.
pub(crate) fn strict(schema: &Value) -> Option<Value> {
    let root = schema.as_object()?;
    if root.get("type").is_none_or(|kind| kind != "object") || root.contains_key("anyOf") {
        return None;
    }
    walk(schema, DEPTH)
}

fn walk(schema: &Value, depth: usize) -> Option<Value> {
    let (schema, depth) = (schema.as_object()?, depth.checked_sub(1)?);
    let mut out = Map::new();
    for (keyword, value) in schema {
        match keyword.as_str() {
            // Figures and forms are left to the check of the arguments, which knows them all.
            "$schema" | "$id" | "$comment" | "default" | "examples" => {}
            key if key.starts_with("x-") || NARROWING.contains(&key) => {}
            "properties" | "required" | "additionalProperties" => {}
            "items" => {
                out.insert(keyword.clone(), walk(value, depth)?);
            }
            "anyOf" => {
                let each = value.as_array()?.iter().map(|one| walk(one, depth));
                out.insert(keyword.clone(), each.collect::<Option<Vec<_>>>()?.into());
            }
            "$defs" => {
                let each = value.as_object()?.iter();
                let each = each.map(|(name, one)| Some((name.clone(), walk(one, depth)?)));
                out.insert(keyword.clone(), Value::Object(each.collect::<Option<_>>()?));
            }
            known if TAKEN.contains(&known) => {
                out.insert(keyword.clone(), value.clone());
            }
            _ => return None,
        }
    }
    let object = schema.get("type").is_some_and(|kind| kind == "object");
    if object || schema.contains_key("properties") {
        close(schema, &mut out, depth)?;
    }
    Some(Value::Object(out))
}

/// Keywords that only narrow what is allowed.
const NARROWING: &[&str] = &[
    "pattern",
    "format",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minItems",
    "maxItems",
    "uniqueItems",
];

fn close(schema: &Map<String, Value>, out: &mut Map<String, Value>, depth: usize) -> Option<()> {
    // An object that takes anything cannot be closed without taking something away.
    if schema.get("additionalProperties").is_some_and(|more| more != &Value::Bool(false)) {
        return None;
    }
    let none = Map::new();
    let properties = schema.get("properties").map_or(Some(&none), Value::as_object)?;
    if properties.is_empty() && !schema.contains_key("additionalProperties") {
        return None;
    }
    let needed = required(schema);
    let mut closed = Map::new();
    for (name, property) in properties {
        let fitted = walk(property, depth)?;
        let fitted = if needed.contains(&name.as_str()) { fitted } else { nullable(fitted) };
        closed.insert(name.clone(), fitted);
    }
    out.insert("required".into(), closed.keys().cloned().collect());
    out.insert("properties".into(), Value::Object(closed));
    out.insert("additionalProperties".into(), false.into());
    Some(())
}

fn required(schema: &Map<String, Value>) -> Vec<&str> {
    let names = schema.get("required").and_then(Value::as_array);
    names.into_iter().flatten().filter_map(Value::as_str).collect()
}

fn nullable(schema: Value) -> Value {
    let plain = schema.get("type").and_then(Value::as_str).map(ToOwned::to_owned);
    let lists = ["enum", "const"].iter().any(|key| schema.get(key).is_some());
    match (plain, schema) {
        (Some(kind), Value::Object(mut schema)) if !lists => {
            schema.insert("type".into(), json!([kind, "null"]));
            Value::Object(schema)
        }
        (_, schema) => json!({"anyOf": [schema, {"type": "null"}]}),
    }
}

/// `arguments` without the nulls that stand for an optional property that was left out: where the
/// original `schema` does not require a property, and does not say that it may be null.
pub(crate) fn without_nulls(schema: &Value, arguments: Value) -> Value {
    cleaned(schema, schema, arguments, DEPTH)
}

fn cleaned(root: &Value, schema: &Value, value: Value, depth: usize) -> Value {
    let Some(depth) = depth.checked_sub(1) else { return value };
    let reference = schema.get("$ref").and_then(Value::as_str);
    if let Some(target) = reference.and_then(|reference| resolve(root, reference)) {
        return cleaned(root, target, value, depth);
    }
    match value {
        Value::Object(map) => {
            let needed = schema.as_object().map(required).unwrap_or_default();
            let kept = map.into_iter().filter_map(|(name, value)| {
                let property = schema.get("properties").and_then(|all| all.get(&name));
                let Some(property) = property else { return Some((name, value)) };
                let stands_for_nothing =
                    value.is_null() && !needed.contains(&name.as_str()) && !may_be_null(property);
                (!stands_for_nothing).then(|| {
                    let value = cleaned(root, property, value, depth);
                    (name, value)
                })
            });
            Value::Object(kept.collect())
        }
        Value::Array(list) => {
            let Some(items) = schema.get("items") else { return Value::Array(list) };
            list.into_iter().map(|value| cleaned(root, items, value, depth)).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

fn may_be_null(schema: &Value) -> bool {
    let says_null = |kind: &Value| kind == "null";
    match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().any(says_null),
        Some(kind) => says_null(kind),
        // No type, or one that stands behind a reference: null may be meant.
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn optional_becomes_nullable_and_back() {
        let schema = json!({"type": "object", "required": ["a"], "properties": {
            "a": {"type": "string", "pattern": "^x"},
            "b": {"type": "number", "minimum": 0},
            "c": {"type": "string", "enum": ["x"]},
            "d": {"type": ["string", "null"]},
        }});
        assert_eq!(
            strict(&schema).unwrap(),
            json!({"type": "object", "properties": {
                "a": {"type": "string"},
                "b": {"type": ["number", "null"]},
                "c": {"anyOf": [{"type": "string", "enum": ["x"]}, {"type": "null"}]},
                "d": {"anyOf": [{"type": ["string", "null"]}, {"type": "null"}]},
            }, "required": ["a", "b", "c", "d"], "additionalProperties": false})
        );
        let said = json!({"a": "x", "b": null, "c": null, "d": null});
        assert_eq!(without_nulls(&schema, said), json!({"a": "x", "d": null}));
    }

    #[test]
    fn what_would_mean_something_else_is_left_alone() {
        for schema in [
            json!({"type": "object"}),
            json!({"type": "object", "additionalProperties": {"type": "string"}}),
            json!({"type": "object", "properties": {"a": {"type": "object"}}}),
            json!({"type": "object", "properties": {}, "patternProperties": {}}),
            json!({"type": "string"}),
            json!({"type": "object", "properties": {"a": {"oneOf": []}}}),
        ] {
            assert_eq!(strict(&schema), None, "{schema}");
        }
    }
}
