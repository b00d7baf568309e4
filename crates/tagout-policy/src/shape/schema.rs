//! From a tool's JSON Schema to the types of its arguments. Total: what has no type here is JSON.
use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Field, Shape};

/// How deep records are typed; what lies deeper is JSON.
const DEPTH: usize = 8;
/// How many schemas of a definition are looked at, references followed counted anew; what comes
/// later is JSON.
const SCHEMAS: usize = 4096;
/// The longest name that is typed; a longer one is left undeclared.
const NAME: usize = 256;

impl Shape {
    /// The types of the arguments that the schema of a tool's input allows: always a record, since
    /// arguments are.
    #[must_use]
    pub fn of_schema(schema: &Value) -> Self {
        let mut reader = Reader { root: schema, left: SCHEMAS };
        match reader.shape(schema, 0) {
            record @ Self::Record(_) => record,
            Self::Text
            | Self::Whole
            | Self::Number
            | Self::Truth
            | Self::List(_)
            | Self::Nullable(_)
            | Self::Json => Self::NOTHING,
        }
    }
}

struct Reader<'a> {
    root: &'a Value,
    left: usize,
}

impl<'a> Reader<'a> {
    fn shape(&mut self, schema: &'a Value, depth: usize) -> Shape {
        let Some(left) = self.left.checked_sub(1) else { return Shape::Json };
        self.left = left;
        let Some(schema) = schema.as_object() else { return Shape::Json };
        match schema.get("type") {
            Some(Value::String(name)) => self.named(name, schema, depth),
            Some(Value::Array(names)) => self.one_of_names(names, schema, depth),
            Some(_) => Shape::Json,
            None => self.untyped(schema, depth),
        }
    }

    fn named(&mut self, name: &str, schema: &'a Map<String, Value>, depth: usize) -> Shape {
        match name {
            "string" => Shape::Text,
            "integer" => Shape::Whole,
            "number" => Shape::Number,
            "boolean" => Shape::Truth,
            "array" => self.list(schema, depth),
            "object" => self.record(schema, depth),
            "null" => Shape::Nullable(Box::new(Shape::Json)),
            _ => Shape::Json,
        }
    }

    /// `"type": ["string", "null"]`.
    fn one_of_names(
        &mut self,
        names: &'a [Value],
        schema: &'a Map<String, Value>,
        depth: usize,
    ) -> Shape {
        let null = names.iter().any(|name| name == "null");
        let mut others = names.iter().filter_map(Value::as_str).filter(|name| *name != "null");
        let shape = match (others.next(), others.next()) {
            (Some(one), None) => self.named(one, schema, depth),
            _ => Shape::Json,
        };
        if null { nullable(shape) } else { shape }
    }

    fn untyped(&mut self, schema: &'a Map<String, Value>, depth: usize) -> Shape {
        if let Some(Value::String(reference)) = schema.get("$ref") {
            return match self.target(reference) {
                Some(target) if depth < DEPTH => self.shape(target, depth + 1),
                _ => Shape::Json,
            };
        }
        if let Some(Value::Array(values)) = schema.get("enum") {
            return of_values(values);
        }
        if let Some(value) = schema.get("const") {
            return of_values(std::slice::from_ref(value));
        }
        for key in ["anyOf", "oneOf"] {
            if let Some(Value::Array(choices)) = schema.get(key) {
                return self.choice(choices, depth);
            }
        }
        match schema.get("allOf") {
            // All hold, so one that has a type says it for all.
            Some(Value::Array(parts)) if depth < DEPTH => parts
                .iter()
                .map(|part| self.shape(part, depth + 1))
                .find(|shape| *shape != Shape::Json)
                .unwrap_or(Shape::Json),
            _ => Shape::Json,
        }
    }

    /// The schema that a reference into the same definition names.
    fn target(&self, reference: &str) -> Option<&'a Value> {
        let path = reference.strip_prefix('#')?;
        self.root.pointer(path)
    }

    fn choice(&mut self, choices: &'a [Value], depth: usize) -> Shape {
        if depth >= DEPTH {
            return Shape::Json;
        }
        let is_null = |choice: &Value| choice.get("type").is_some_and(|name| name == "null");
        let null = choices.iter().any(is_null);
        let mut shapes = choices.iter().filter(|choice| !is_null(choice));
        let Some(first) = shapes.next() else { return Shape::Json };
        let first = self.shape(first, depth + 1);
        let same = shapes.all(|choice| self.shape(choice, depth + 1) == first);
        let shape = if same { first } else { Shape::Json };
        if null { nullable(shape) } else { shape }
    }

    fn list(&mut self, schema: &'a Map<String, Value>, depth: usize) -> Shape {
        if depth >= DEPTH || schema.contains_key("prefixItems") {
            return Shape::Json;
        }
        let Some(items) = schema.get("items") else { return Shape::Json };
        let elements = self.shape(items, depth + 1);
        if elements.is_scalar() { Shape::List(Box::new(elements)) } else { Shape::Json }
    }

    fn record(&mut self, schema: &'a Map<String, Value>, depth: usize) -> Shape {
        let closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
        let properties = match schema.get("properties") {
            Some(Value::Object(properties)) => properties,
            _ if depth == 0 || closed => return Shape::NOTHING,
            _ => return Shape::Json,
        };
        if depth >= DEPTH {
            return Shape::Json;
        }
        let required = schema.get("required").and_then(Value::as_array);
        let is_required = |name: &str| {
            required.is_some_and(|required| required.iter().any(|other| other == name))
        };
        let mut fields = BTreeMap::new();
        for (name, schema) in properties.iter().filter(|(name, _)| name.len() <= NAME) {
            let field = Field { shape: self.shape(schema, depth + 1), required: is_required(name) };
            fields.insert(name.clone(), field);
        }
        Shape::Record(fields)
    }
}

fn nullable(shape: Shape) -> Shape {
    match shape {
        Shape::Json | Shape::Nullable(_) => shape,
        Shape::Text
        | Shape::Whole
        | Shape::Number
        | Shape::Truth
        | Shape::List(_)
        | Shape::Record(_) => Shape::Nullable(Box::new(shape)),
    }
}

/// The type that all of some values have.
fn of_values(values: &[Value]) -> Shape {
    let of = |value: &Value| match value {
        Value::String(_) => Shape::Text,
        Value::Bool(_) => Shape::Truth,
        Value::Number(number) if number.is_i64() => Shape::Whole,
        Value::Number(_) => Shape::Number,
        Value::Null | Value::Array(_) | Value::Object(_) => Shape::Json,
    };
    let null = values.contains(&Value::Null);
    let mut shapes = values.iter().filter(|value| !value.is_null()).map(of);
    let Some(first) = shapes.next() else { return Shape::Json };
    let shape = if shapes.all(|shape| shape == first) { first } else { Shape::Json };
    if null { nullable(shape) } else { shape }
}
