//! What the client says when it is asked for something, and what it calls tools with.
use serde_json::{Map, Value, json};

/// Schemas deeper than this get nothing more.
const DEPTH: usize = 8;

/// The result for a request that a server makes of its client.
pub(crate) fn answer(request: &Value) -> Value {
    let method = request.get("method").and_then(Value::as_str).unwrap_or_default();
    match method {
        "elicitation/create" => {
            let schema = request.pointer("/params/requestedSchema").cloned().unwrap_or_default();
            json!({"action": "accept", "content": filled(&schema, DEPTH, true)})
        }
        "sampling/createMessage" => json!({
            "role": "assistant",
            "model": "none",
            "stopReason": "endTurn",
            "content": {"type": "text", "text": "This was said by no model."},
        }),
        "roots/list" => json!({"roots": []}),
        _ => json!({}),
    }
}

/// Arguments that fit a schema: what it requires, and nothing else.
pub(crate) fn sample(schema: &Value) -> Value {
    filled(schema, DEPTH, false)
}

/// A value for a schema; of an object all properties, or only those that are required or have a
/// default.
fn filled(schema: &Value, depth: usize, all: bool) -> Value {
    let first = |key| schema.get(key).and_then(Value::as_array).and_then(|it| it.first()).cloned();
    let given = schema.get("default").or(schema.get("const")).cloned().or(first("enum"));
    let given = given.or_else(|| first("oneOf")?.get("const").cloned());
    if let Some(given) = given {
        return given;
    }
    match schema.get("type").and_then(Value::as_str).unwrap_or("object") {
        "string" => json!("text"),
        "integer" => schema.get("minimum").cloned().unwrap_or(json!(1)),
        "number" => schema.get("minimum").cloned().unwrap_or(json!(1.5)),
        "boolean" => json!(true),
        "null" => Value::Null,
        "array" => json!([]),
        _ if depth == 0 => json!({}),
        _ => Value::Object(object(schema, depth - 1, all)),
    }
}

fn object(schema: &Value, depth: usize, all: bool) -> Map<String, Value> {
    let required = schema.get("required").and_then(Value::as_array);
    let required: Vec<_> = required.into_iter().flatten().filter_map(Value::as_str).collect();
    let properties = schema.get("properties").and_then(Value::as_object);
    let wanted = |(name, property): &(&String, &Value)| {
        all || required.contains(&name.as_str()) || property.get("default").is_some()
    };
    let wanted = properties.into_iter().flatten().filter(wanted);
    wanted.map(|(name, property)| (name.clone(), filled(property, depth, all))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_taken_and_the_rest_is_made_up() {
        let schema = json!({
            "type": "object",
            "properties": {
                "age": {"type": "integer", "default": 30},
                "ok": {"type": "boolean"},
                "kind": {"type": "string", "enum": ["a", "b"]},
            },
            "required": ["ok"],
        });
        assert_eq!(sample(&schema), json!({"age": 30, "ok": true}));
        let asked = json!({"method": "elicitation/create", "params": {"requestedSchema": schema}});
        let content = json!({"age": 30, "ok": true, "kind": "a"});
        assert_eq!(answer(&asked), json!({"action": "accept", "content": content}));
    }
}
