use serde_json::{Value, json};
use tagout_inspect::schema::{ArgumentSchema, Undeclared};

fn said(schema: &Value, arguments: &Value) -> String {
    match ArgumentSchema::compile(schema, Undeclared::Refuse) {
        Ok(schema) => match schema.check(arguments) {
            Ok(()) => "fits".to_owned(),
            Err(unfit) => unfit.to_string(),
        },
        Err(bad) => bad.to_string(),
    }
}

#[test]
fn arguments_fit_or_do_not() {
    let plain = json!({"type": "object", "properties": {
        "path": {"type": "string", "pattern": "^/"},
        "options": {"type": "object", "properties": {"n": {"type": "integer", "maximum": 9}}},
        "free": {"type": "object"},
        "map": {"type": "object", "properties": {"k": {}}, "additionalProperties": {"type": "integer"}},
    }, "required": ["path"]});
    let composed = json!({"$ref": "#/$defs/base", "allOf": [{"properties": {"b": {"type": "integer"}}}],
        "$defs": {"base": {"type": "object", "properties": {"a": {"type": "string"}}}}});
    let either = json!({"type": "object", "properties": {"x": {"anyOf": [
        {"type": "null"}, {"type": "object", "properties": {"y": {}}}]}}});
    let old = json!({"$schema": "http://json-schema.org/draft-07/schema#", "type": "object",
        "properties": {"pair": {"type": "array", "items": [{"type": "string"}, {"type": "integer"}], "additionalItems": false}}});
    let mut out = String::new();
    for (schema, arguments) in [
        (&plain, json!({"path": "/a"})),
        (&plain, json!({})),
        (&plain, json!({"path": "a"})),
        (&plain, json!({"path": "/a", "mode": "0777"})),
        (&plain, json!({"path": "/a", "options": {"n": 10}})),
        (&plain, json!({"path": "/a", "options": {"N": 1}})),
        (&plain, json!({"path": "/a", "free": {"any": 1}, "map": {"z": 1}})),
        (&plain, json!({"path": "/a", "map": {"z": "1"}})),
        (&composed, json!({"a": "x", "b": 1})),
        (&composed, json!({"a": "x", "c": 1})),
        (&either, json!({"x": {"y": 1}})),
        (&either, json!({"x": {"z": 1}})),
        (&either, json!({"x": null})),
        (&old, json!({"pair": ["a", 1]})),
        (&old, json!({"pair": ["a", 1, 2]})),
        (&json!({}), json!({"a": 1})),
        (&json!({"type": "object", "additionalProperties": true}), json!({"a": 1})),
        (&json!({"type": "no-such-type"}), json!({})),
        (&json!({"$ref": "https://example.com/schema"}), json!({})),
        (&json!({"$ref": "#/$defs/absent"}), json!({})),
        (&json!([]), json!({})),
        (
            &json!({"properties": {"s": {"pattern": "^(a+)+$"}}}),
            json!({"s": format!("{}!", "a".repeat(40))}),
        ),
    ] {
        out.push_str(&format!("{schema}\n  {arguments}\n  -> {}\n", said(schema, &arguments)));
    }
    insta::assert_snapshot!(out);
}

#[test]
fn a_schema_that_explodes_is_refused() {
    let mut definitions = serde_json::Map::new();
    definitions.insert("a0".to_owned(), json!({"type": "string"}));
    for n in 1..32 {
        let before = format!("#/$defs/a{}", n - 1);
        definitions.insert(format!("a{n}"), json!({"allOf": [{"$ref": before}, {"$ref": before}]}));
    }
    let bomb = json!({"$ref": "#/$defs/a31", "$defs": definitions});
    assert_eq!(
        said(&bomb, &json!({})),
        "the tool's input schema cannot be used: it comes to more than 50000 parts"
    );
    let circle = json!({"properties": {"child": {"$ref": "#"}, "name": {"type": "string"}}});
    assert_eq!(said(&circle, &json!({"child": {"name": "a"}})), "fits");
}

#[test]
fn a_schema_that_goes_too_deep_is_refused() {
    let chain: serde_json::Map<_, _> = (0..20_000)
        .map(|n| (format!("a{n}"), json!({"$ref": format!("#/$defs/a{}", (n + 1) % 20_001)})))
        .chain([("a20000".to_owned(), json!({}))])
        .collect();
    let chain = json!({"$ref": "#/$defs/a0", "$defs": chain});
    assert!(said(&chain, &json!({})).contains("more than"), "a long chain");
    let nested = (0..200).fold(json!({}), |inside, _| json!({"anyOf": [inside]}));
    assert!(said(&nested, &json!({})).contains("levels"), "a deep nest");
}

#[test]
fn a_schema_that_refers_to_itself_twice_is_followed_so_far() {
    let list = json!({"properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {
        "a": {"type": "array", "items": {"allOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}]}}}});
    let nested = |levels| (0..levels).fold(json!([]), |inside, _| json!([inside]));
    assert_eq!(said(&list, &json!({"a": nested(5)})), "fits");
    let deep = said(&list, &json!({"a": nested(60)}));
    assert_eq!(deep, "nested deeper than a schema that refers to itself is followed");
}

#[test]
fn an_entry_may_relax() {
    let schema = json!({"type": "object", "properties": {"a": {}}});
    let relaxed = ArgumentSchema::compile(&schema, Undeclared::Allow).unwrap();
    assert_eq!(relaxed.check(&json!({"b": 1})), Ok(()));
}
