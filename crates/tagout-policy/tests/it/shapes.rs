//! Shapes: from schemas, as text, and back.
use std::collections::BTreeMap;

use crate::call::{Call, policy};
use proptest::prelude::*;
use serde_json::{Value, json};
use tagout_policy::{Field, Policy, Profile, Shape, Surface, SurfaceTool};

const SCHEMAS: &[(&str, &str)] = &[
    (r#"{"type":"object"}"#, "{}"),
    ("true", "{}"),
    (r#"{"type":"string"}"#, "{}"),
    (
        r#"{"type":"object","required":["path"],"properties":{"path":{"type":"string"},"depth":{"type":"integer"},"amount":{"type":"number"},"sure":{"type":"boolean"}}}"#,
        "{ amount?: Number, depth?: Long, path: String, sure?: Bool }",
    ),
    (
        r#"{"type":"object","properties":{"tags":{"type":"array","items":{"type":"string"}},"rows":{"type":"array","items":{"type":"object"}},"pair":{"type":"array","prefixItems":[{}],"items":{"type":"string"}},"any":{"type":"array"}}}"#,
        "{ any?: Json, pair?: Json, rows?: Json, tags?: List<String> }",
    ),
    (
        r#"{"type":"object","properties":{"a":{"type":["string","null"]},"b":{"anyOf":[{"type":"integer"},{"type":"null"}]},"c":{"oneOf":[{"type":"integer"},{"type":"string"}]},"d":{"anyOf":[{"const":"x"},{"enum":["y","z"]}]},"e":{"type":["string","integer"]},"f":{"type":"null"}}}"#,
        "{ a?: Nullable<String>, b?: Nullable<Long>, c?: Json, d?: String, e?: Json, f?: Nullable<Json> }",
    ),
    (
        r#"{"type":"object","properties":{"e":{"enum":["a","b"]},"n":{"enum":[1,2,null]},"m":{"enum":[1,"a"]},"t":{"const":true}}}"#,
        "{ e?: String, m?: Json, n?: Nullable<Long>, t?: Bool }",
    ),
    (
        r##"{"type":"object","properties":{"at":{"$ref":"#/$defs/point"},"up":{"$ref":"#/$defs/none"},"far":{"$ref":"https://example.org/x"},"all":{"allOf":[{"description":"x"},{"$ref":"#/$defs/point"}]}},"$defs":{"point":{"type":"object","required":["x"],"properties":{"x":{"type":"number"}}}}}"##,
        "{ all?: { x: Number }, at?: { x: Number }, far?: Json, up?: Json }",
    ),
    (
        r#"{"type":"object","properties":{"open":{"type":"object"},"none":{"type":"object","additionalProperties":false},"x y":{"type":"string"},"größe":{"type":"string"},"":{"type":"string"}}}"#,
        r#"{ ""?: String, "gr\u00f6\u00dfe"?: String, none?: {}, open?: Json, "x y"?: String }"#,
    ),
];

#[test]
fn schemas_give_types() {
    for (schema, expected) in SCHEMAS {
        let schema: Value = serde_json::from_str(schema).unwrap();
        let shape = Shape::of_schema(&schema);
        assert_eq!(shape.to_string(), *expected);
        assert_eq!(shape.to_string().parse(), Ok(shape));
    }
}

/// Whatever refers to itself or fans out comes to an end, and to a schema that rules can be checked
/// against.
#[test]
fn schemas_that_do_not_end() {
    let selfish = json!({"type": "object", "properties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}}});
    let circle = json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}});
    let fan: serde_json::Map<_, _> =
        (0..20).map(|n| (format!("p{n}"), json!({"$ref": "#"}))).collect();
    let fan = json!({"type": "object", "properties": fan});
    for schema in [selfish, circle, fan] {
        let shape = Shape::of_schema(&schema);
        assert!(shape.to_string().len() < 200_000);
        loads(shape);
    }
}

fn loads(shape: Shape) {
    let tool = SurfaceTool { qualified: "s__t".into(), server: "s".into(), shape };
    let surface = Surface { tools: vec![tool], ..Surface::default() };
    Policy::load(Profile::default(), &[], &surface).unwrap();
}

#[test]
fn texts_that_are_no_shapes_say_where() {
    let cases = [
        "",
        "Text",
        "{",
        "{ a }",
        "{ a: }",
        "{ a: String b: Long }",
        "{ a: String, a: Long }",
        "List<Json>",
        "List<String",
        "Nullable<>",
        "{} {}",
        "{ 1: String }",
        "{ \"a: String }",
        "{ a:: String }",
    ];
    let said: String = cases
        .iter()
        .map(|text| format!("{text}\n    {}\n", text.parse::<Shape>().unwrap_err()))
        .collect();
    insta::assert_snapshot!(said);
    let deep = format!("{}Json{}", "Nullable<".repeat(100_000), ">".repeat(100_000));
    deep.parse::<Shape>().unwrap_err();
}

fn scalar() -> impl Strategy<Value = Shape> {
    prop_oneof![Just(Shape::Text), Just(Shape::Whole), Just(Shape::Number), Just(Shape::Truth)]
}

pub(crate) fn shape() -> impl Strategy<Value = Shape> {
    let leaf = prop_oneof![
        scalar(),
        Just(Shape::Json),
        scalar().prop_map(|shape| Shape::List(Box::new(shape))),
    ];
    leaf.prop_recursive(4, 24, 6, |inner| {
        prop_oneof![
            inner.clone().prop_map(|shape| Shape::Nullable(Box::new(shape))),
            record(inner),
        ]
    })
}

fn record(inner: impl Strategy<Value = Shape>) -> impl Strategy<Value = Shape> {
    let field = (inner, any::<bool>()).prop_map(|(shape, required)| Field { shape, required });
    let name = prop_oneof!["[a-zA-Z_][a-z0-9_]{0,6}", any::<String>()];
    prop::collection::btree_map(name, field, 0..6)
        .prop_map(|fields: BTreeMap<_, _>| Shape::Record(fields))
}

fn schema() -> impl Strategy<Value = Value> {
    let word = prop_oneof![
        Just("string"),
        Just("integer"),
        Just("number"),
        Just("boolean"),
        Just("array"),
        Just("object"),
        Just("null"),
        Just("else"),
    ];
    let leaf = prop_oneof![
        word.prop_map(|word| json!({"type": word})),
        Just(json!({"$ref": "#"})),
        Just(json!({"$ref": "#/properties/a"})),
        Just(json!({"enum": ["a", 1, null]})),
        Just(json!(true)),
    ];
    leaf.prop_recursive(5, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|of| json!({"anyOf": of})),
            prop::collection::vec(inner.clone(), 0..4).prop_map(|of| json!({"allOf": of})),
            inner.clone().prop_map(|of| json!({"type": "array", "items": of})),
            prop::collection::btree_map(any::<String>(), inner, 0..5)
                .prop_map(|of| json!({"type": "object", "properties": of, "required": ["a"]})),
        ]
    })
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (-100_000..100_000i32).prop_map(|n| Value::from(f64::from(n) / 10_000.0)),
        "[a-z]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[ab]", inner, 0..3)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// A record of what is called as [`json`] calls it, so that values often fit.
fn near() -> impl Strategy<Value = Shape> {
    let field = (shape(), any::<bool>()).prop_map(|(shape, required)| Field { shape, required });
    let fields = prop::collection::btree_map("[ab]", field, 0..3);
    fields.prop_map(|fields: BTreeMap<_, _>| Shape::Record(fields))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_shape_is_its_text(shape in shape()) {
        prop_assert_eq!(shape.to_string().parse(), Ok(shape));
    }

    #[test]
    fn every_schema_has_a_shape_that_loads(schema in schema()) {
        let shape = Shape::of_schema(&schema);
        prop_assert_eq!(shape.to_string().parse(), Ok(shape.clone()));
        loads(shape);
    }

    #[test]
    fn every_text_is_a_shape_or_none(text in any::<String>()) {
        if let Ok(shape) = text.parse::<Shape>() {
            prop_assert_eq!(shape.to_string().parse(), Ok(shape));
        }
    }

    /// What fits its types can be put to rules, and what does not is denied, whether a rule looks
    /// at it or not.
    #[test]
    fn what_fits_can_be_put_to_rules(shape in near(), value in json()) {
        let all = "@id(\"all\") permit (principal, action, resource);";
        let never = "@id(\"never\") forbid (principal, action in Action::\"call-tool\", resource) \
            when { context.undeclared == \"never\" };";
        let blind = policy(Profile::None, all);
        let looks = policy(Profile::None, &format!("{all}{never}"));
        for shape in [Some(shape), None] {
            let call = Call { shape, ..Call::with(value.clone()) };
            prop_assert_eq!(call.verdict(&blind), call.verdict(&looks));
        }
    }
}
