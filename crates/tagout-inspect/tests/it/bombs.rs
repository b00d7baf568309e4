//! Schemas that are meant to take long, or to reach out.
use std::fmt::Write as _;

use serde_json::{Value, json};
use tagout_inspect::schema::{ArgumentSchema, Undeclared};

fn refused(schema: &Value) -> String {
    ArgumentSchema::compile(schema, Undeclared::Refuse).unwrap_err().to_string()
}

fn compiled(schema: &Value) -> ArgumentSchema {
    ArgumentSchema::compile(schema, Undeclared::Refuse).unwrap()
}

#[test]
fn a_schema_bomb_of_references_to_references_is_refused() {
    let mut definitions = serde_json::Map::new();
    for n in 0..30 {
        let next = format!("#/$defs/d{}", n + 1);
        definitions.insert(format!("d{n}"), json!({"allOf": [{"$ref": next}, {"$ref": next}]}));
    }
    definitions.insert("d30".to_owned(), json!({"type": "string"}));
    let bomb = json!({"$defs": definitions, "properties": {"a": {"$ref": "#/$defs/d0"}}});
    assert!(refused(&bomb).contains("more than 50000 parts"));
}

#[test]
fn a_reference_in_a_circle_ends() {
    let circle =
        json!({"properties": {"a": {"$ref": "#/properties/b"}, "b": {"$ref": "#/properties/a"}}});
    // Whether it is taken or not, it is settled at once.
    if let Ok(schema) = ArgumentSchema::compile(&circle, Undeclared::Refuse) {
        drop(schema.check(&json!({"a": 1})));
    }
    let own = json!({"properties": {"a": {"$ref": "#/properties/a"}}});
    if let Ok(schema) = ArgumentSchema::compile(&own, Undeclared::Refuse) {
        drop(schema.check(&json!({"a": 1})));
    }
}

#[test]
fn nothing_is_fetched_for_a_schema() {
    for reference in [
        "http://127.0.0.1:1/schema.json",
        "https://example.com/schema.json",
        "file:///etc/passwd",
        "other.json",
        "//example.com/x",
        "data:application/json,{}",
    ] {
        let schema = json!({"properties": {"a": {"$ref": reference}}});
        assert!(refused(&schema).contains("nothing is fetched"), "{reference}");
        let schema = json!({"$defs": {"unused": {"$ref": reference}}});
        assert!(refused(&schema).contains("nothing is fetched"), "{reference}");
    }
    // A dialect is no address to go to.
    compiled(&json!({"$schema": "http://127.0.0.1:1/dialect", "type": "object"}));
}

#[test]
fn references_that_depend_on_who_asks_are_refused() {
    for (key, value) in [
        ("$dynamicRef", "#x"),
        ("$dynamicAnchor", "x"),
        ("$recursiveRef", "#"),
        ("$id", "http://example.com/other"),
    ] {
        let schema = json!({"properties": {"a": {key: value}}});
        assert!(refused(&schema).contains("is not taken here"), "{key}");
    }
}

#[test]
fn a_pattern_that_backtracks_is_matched_in_linear_time() {
    let pattern = "^(a+)+$";
    let schema = compiled(&json!({"properties": {"a": {"type": "string", "pattern": pattern}}}));
    let text = "a".repeat(100_000);
    schema.check(&json!({"a": text})).unwrap();
    schema.check(&json!({"a": format!("{text}!")})).unwrap_err();
}

#[test]
fn a_pattern_that_cannot_be_matched_in_linear_time_is_refused() {
    for pattern in ["^(?=a)b", "(?!x)y", "(a)\\1", "(?<=a)b"] {
        refused(&json!({"properties": {"a": {"pattern": pattern}}}));
        refused(&json!({"patternProperties": {pattern: {"type": "string"}}}));
    }
}

/// As libraries for schemas write an e-mail address.
#[test]
fn a_pattern_that_only_repeats_a_format_costs_no_tool() {
    let pattern = r"^(?!\.)(?!.*\.\.)([A-Za-z0-9_'+\-\.]*)[A-Za-z0-9_+-]@([A-Za-z0-9][A-Za-z0-9\-]*\.)+[A-Za-z]{2,}$";
    let email = json!({"type": "string", "format": "email", "pattern": pattern});
    let schema = compiled(&json!({"properties": {"to": email}}));
    schema.check(&json!({"to": "ann@example.org"})).unwrap();
    schema.check(&json!({"to": "no address"})).unwrap_err();
    refused(
        &json!({"properties": {"to": {"type": "string", "format": "shoe-size", "pattern": pattern}}}),
    );
}

#[test]
fn a_pattern_that_comes_to_too_much_is_refused() {
    refused(&json!({"properties": {"a": {"pattern": "(((a{1,100}){1,100}){1,100}){1,100}"}}}));
    refused(&json!({"properties": {"a": {"pattern": "\\p{L}{1,1000}".repeat(20)}}}));
    refused(&json!({"properties": {"a": {"pattern": "a".repeat(1025)}}}));
    let many: serde_json::Map<_, _> =
        (0..257).map(|n| (format!("^k{n}$"), json!({"type": "string"}))).collect();
    assert!(refused(&json!({"patternProperties": many})).contains("more than 256 patterns"));
    let each: Vec<_> = (0..257).map(|n| json!({"pattern": format!("k{n}")})).collect();
    assert!(refused(&json!({"properties": {"a": {"anyOf": each}}})).contains("256 patterns"));
}

#[test]
fn an_enumeration_without_end_is_refused() {
    let values: Vec<_> = (0..60_000).map(Value::from).collect();
    assert!(refused(&json!({"properties": {"a": {"enum": values}}})).contains("50000 parts"));
}

#[test]
fn what_looks_like_keywords_in_a_property_s_name_is_a_name() {
    let schema = json!({"properties": {"pattern": {"type": "string"}, "$id": {"type": "object"}}});
    compiled(&schema).check(&json!({"pattern": "(?=", "$id": {}})).unwrap();
}

#[test]
fn arguments_that_are_deep_wide_or_long_are_held_against_a_schema_at_once() {
    let schema = compiled(&json!({"properties": {
        "all": {"type": "array", "items": {"type": "integer"}},
        "any": {"type": "object", "additionalProperties": {"type": "integer"}},
        "text": {"type": "string", "pattern": "^[a-z]*$", "maxLength": 2_000_000},
    }}));
    let all: Vec<_> = (0..200_000).map(Value::from).collect();
    schema.check(&json!({"all": all})).unwrap();
    let mut any = String::from("{\"any\":{");
    for n in 0..100_000 {
        write!(any, "\"k{n}\":{n},").unwrap();
    }
    any.push_str("\"last\":0}}");
    schema.check(&serde_json::from_str(&any).unwrap()).unwrap();
    schema.check(&json!({"text": "x".repeat(1_000_000)})).unwrap();
}
