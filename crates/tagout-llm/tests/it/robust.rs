//! Arbitrary questions, arbitrary schemas.
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tagout_llm::{
    InputSchema, Message, Part, Planner, Role, Stop, SuppliedValue, ToolCall, ToolResult, ToolSpec,
    Turn, TurnRequest,
};

use crate::{ask, tools};

/// Any JSON, not too large.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[a-z_]{1,10}", inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// A property's schema: mostly sensible, sometimes not.
fn any_property() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!({"type": "string"})),
        Just(json!({"type": "string", "format": "date"})),
        Just(json!({"type": "boolean"})),
        Just(json!({"type": "integer", "minimum": 1, "maximum": 100, "x-unit": "h"})),
        Just(json!({"type": ["number", "null"], "x-unit": "celsius"})),
        Just(json!({"type": "number", "description": "wind in km/h"})),
        Just(json!({"enum": ["hourly_load", "peak_load", 3, null]})),
        Just(json!({"oneOf": [{"const": "a1"}, {"const": "b2"}]})),
        Just(json!({"const": 7})),
        Just(json!({"$ref": "#"})),
        Just(json!({"$ref": "#/$defs/loop"})),
        Just(json!({"$ref": "https://example.com/x"})),
        Just(json!({"type": "array", "items": {"type": "string"}})),
        "[A-Z0-9()+*?\\[\\]|^$-]{0,8}".prop_map(|p| json!({"type": "string", "pattern": p})),
        any_json(),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        (prop::collection::vec(("[a-z_]{1,8}", inner), 0..3), any::<bool>()).prop_map(
            |(fields, all)| {
                let names: Vec<String> = fields.iter().map(|(name, _)| name.clone()).collect();
                let properties: Map<String, Value> = fields.into_iter().collect();
                let required = if all { names } else { Vec::new() };
                json!({"type": "object", "properties": properties, "required": required})
            },
        )
    })
}

fn any_tool() -> impl Strategy<Value = ToolSpec> {
    let properties =
        prop::collection::vec(("(load|wind_kph|temp_c|path|id|[a-z_]{1,8})", any_property()), 0..5);
    let schema = prop_oneof![
        4 => (properties, any::<bool>()).prop_map(|(fields, all)| {
            let names: Vec<String> = fields.iter().map(|(name, _)| name.clone()).collect();
            let properties: Map<String, Value> = fields.into_iter().collect();
            let required = if all { names } else { Vec::new() };
            json!({
                "type": "object", "properties": properties, "required": required,
                "$defs": {"loop": {"$ref": "#/$defs/loop"}},
            })
        }),
        1 => any_json(),
    ];
    ("[a-z]{1,4}__(analyze|show|read)_[a-zA-Z_]{1,8}", ".{0,30}", schema).prop_map(
        |(name, description, input_schema)| ToolSpec {
            name,
            title: None,
            description: Some(description),
            input_schema,
            output_schema: None,
        },
    )
}

fn any_question() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("analyze".to_owned()),
        Just("show".to_owned()),
        Just("read".to_owned()),
        Just("A7".to_owned()),
        Just("hourly load".to_owned()),
        Just("38 °C".to_owned()),
        Just("−5 degrees".to_owned()),
        Just("70 km/h wind".to_owned()),
        Just("\"quoted".to_owned()),
        Just("'text'".to_owned()),
        Just("/a/b".to_owned()),
        Just("2026-01-31".to_owned()),
        Just("load=3".to_owned()),
        any::<i32>().prop_map(|number| number.to_string()),
        ".{0,10}",
        "\\PC{0,6}",
    ];
    prop::collection::vec(word, 0..10).prop_map(|words| words.join(" "))
}

/// Every proposed call names a tool of the list and satisfies its schema.
fn valid(turn: &Turn, tools: &[ToolSpec]) -> Result<(), TestCaseError> {
    for part in &turn.parts {
        if let Part::ToolCall(call) = part {
            let tool = tools.iter().find(|tool| tool.name == call.name).unwrap();
            let schema = InputSchema::compile(&tool.input_schema).unwrap();
            prop_assert!(schema.parse(&call.arguments_raw).is_ok(), "{}", call.arguments_raw);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn proposals_always_validate(
        question in any_question(), answer in any_question(),
        tools in prop::collection::vec(any_tool(), 0..6),
    ) {
        let turn = ask(&question, &tools);
        prop_assert_eq!(&turn, &ask(&question, &tools));
        valid(&turn, &tools)?;
        // A chosen tool is planned for however little it fits, and what is missing gets any answer.
        let messages = [Message::text(Role::User, question)];
        for tool in &tools {
            let mut supplied = Vec::new();
            for _ in 0..3 {
                let request = TurnRequest::new(&messages, &tools).with_answers(&supplied, Some(&tool.name));
                let turn = Planner::new().next(request).unwrap();
                valid(&turn, &tools)?;
                let Stop::NeedsInput(slots) = turn.stop else { break };
                supplied.extend(slots.into_iter().map(|slot| {
                    let text = slot.allowed.first().cloned().unwrap_or_else(|| answer.clone());
                    SuppliedValue { tool: slot.tool, path: slot.path, text }
                }));
            }
        }
    }

    #[test]
    fn any_question_gets_a_turn(question in ".{0,200}") {
        let tools = tools();
        valid(&ask(&question, &tools), &tools)?;
    }

    #[test]
    fn any_result_is_rendered_within_bounds(structured in any_json(), schema in any_json(), text in ".{0,300}") {
        let mut tool = tools().remove(0);
        tool.output_schema = Some(schema);
        let call = ToolCall::new("1", tool.name.clone(), "{}");
        let result = ToolResult {
            call_id: "1".into(), parts: vec![Part::text(text)], structured: Some(structured), is_error: false,
        };
        let messages = [
            Message::text(Role::User, "q"),
            Message { role: Role::Assistant, parts: vec![Part::ToolCall(call)] },
            Message { role: Role::Tool, parts: vec![Part::ToolResult(result)] },
        ];
        let turn = Planner::new().next(TurnRequest::new(&messages, &[tool])).unwrap();
        prop_assert_eq!(turn.stop, Stop::Complete);
    }
}

#[test]
fn schemas_are_compiled_or_refused() {
    for (schema, usable) in [
        (json!({"$ref": "#"}), true),
        (
            json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}),
            true,
        ),
        (json!({"type": "object", "properties": {"child": {"$ref": "#"}}}), true),
        (json!({"$ref": "https://example.com/schema.json"}), false),
        (json!({"$ref": "file:///etc/passwd"}), false),
        (json!({"type": "nonsense"}), false),
        (json!({"type": "object", "properties": {"id": {"pattern": "^(?!x)a"}}}), true),
        (json!({"description": "x".repeat(300 * 1024)}), false),
    ] {
        let compiled = InputSchema::compile(&schema);
        assert_eq!(compiled.is_ok(), usable, "{schema:.80}");
        // Circles and look-around end, too.
        if let Ok(compiled) = compiled {
            drop(compiled.parse(&format!("{{\"id\": \"{}\"}}", "a".repeat(10_000))));
        }
    }
}

#[test]
fn a_long_question_is_read_to_a_limit() {
    let question = format!("Analyze the hourly load {}", "ü 7 km/h ".repeat(100_000));
    let start = std::time::Instant::now();
    assert_ne!(ask(&question, &tools()).stop, Stop::Complete);
    assert!(start.elapsed().as_secs() < 20);
}
