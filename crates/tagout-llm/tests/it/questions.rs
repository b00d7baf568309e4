//! `questions.toml`: what each question must come to.
use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::Value;
use tagout_llm::{Part, Planner, Provider as _, Stop, SuppliedValue, Turn, TurnRequest};

use crate::{ask, tools};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    question: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    text: String,
    expect: String,
    tool: Option<String>,
    arguments: Option<String>,
    #[serde(default)]
    missing: Vec<String>,
    #[serde(default)]
    held_out: bool,
    instead: Option<String>,
}

/// What a turn came to, in one line.
fn shown(turn: &Turn) -> String {
    match &turn.stop {
        Stop::ToolCalls => match turn.parts.first() {
            Some(Part::ToolCall(call)) => {
                let arguments: Value = serde_json::from_str(&call.arguments_raw).unwrap();
                format!("call {} {}", call.name, sorted(&arguments))
            }
            other => format!("{other:?}"),
        },
        Stop::NeedsInput(slots) => {
            let paths: Vec<&str> = slots.iter().map(|slot| slot.path.as_str()).collect();
            format!("ask {} {}", slots[0].tool, paths.join(" "))
        }
        Stop::NeedsChoice(candidates) => {
            let names: Vec<&str> = candidates.iter().map(|one| one.tool.as_str()).collect();
            format!("choose {}", names.join(" "))
        }
        Stop::NoToolFits => "none".into(),
        Stop::Complete | Stop::Length | Stop::Refused => format!("{:?}", turn.stop),
    }
}

/// The same value with its keys in order, so that their order does not count.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let mut keys: Vec<&String> = object.keys().collect();
            keys.sort();
            keys.into_iter().map(|key| (key.clone(), sorted(&object[key]))).collect()
        }
        other => other.clone(),
    }
}

fn expected(row: &Row) -> String {
    let tool = row.tool.as_deref().unwrap_or_default();
    match row.expect.as_str() {
        "call" => {
            let arguments: Value = serde_json::from_str(row.arguments.as_ref().unwrap()).unwrap();
            format!("call {tool} {}", sorted(&arguments))
        }
        "ask" => format!("ask {tool} {}", row.missing.join(" ")),
        other => other.to_owned(),
    }
}

#[test]
fn every_question_comes_to_what_the_table_says() {
    let table: Table = toml::from_str(include_str!("questions.toml")).unwrap();
    let tools = tools();
    let mut surprises = String::new();
    // Right and all, among the questions that the rules were written with and those held out.
    let mut score = [(0, 0); 2];
    for row in &table.question {
        let turn = ask(&row.text, &tools);
        let (got, want) = (shown(&turn), expected(row));
        let (right, all) = &mut score[usize::from(row.held_out)];
        *all += 1;
        *right += usize::from(got == want);
        if &got != row.instead.as_ref().unwrap_or(&want) {
            writeln!(surprises, "{}\n  want {want}\n  got  {got}", row.text).unwrap();
            for one in turn.plan.as_ref().unwrap().considered.iter().take(3) {
                let (score, fits, tool) = (one.score, one.fits, &one.tool);
                writeln!(surprises, "       {score:.2} {fits} {tool} {:?}", one.matched).unwrap();
            }
        }
    }
    println!("{score:?}\n{surprises}");
    assert_eq!(surprises, "");
}

#[test]
fn the_guides_question_is_read_with_its_sources() {
    let turn = ask(
        "What is the outage risk of transformer a7 at 100 F with 70 km/h wind in zone 9X?",
        &tools(),
    );
    let plan = turn.plan.unwrap();
    let mut lines: Vec<String> = plan
        .bindings
        .iter()
        .map(|b| {
            let (text, start) = (&b.source.text, b.source.start);
            format!(
                "{} = {} from {text:?} at {start:?}, {:?}, {:?}",
                b.path, b.value, b.by, b.conversion
            )
        })
        .collect();
    lines.push(format!("left out {:?}", plan.left_out));
    lines.push(format!("unused {:?}", plan.unused));
    insta::assert_snapshot!(lines.join("\n"), @r#"
    equipment_id = "A7" from "a7" at Some(39), Pattern, Some("`a7` read as \"A7\"")
    weather_data.wind_kph = 70 from "70 km/h" at Some(56), Unit, None
    weather_data.temp_c = 37.7778 from "100 F" at Some(45), Unit, Some("100 °F = 37.7778 °C")
    left out ["weather_data.precip_mm"]
    unused [Source { text: "9X", start: Some(77) }]
    "#);
}

/// The default installation: nothing but the grid assistant. The same questions, those for other
/// servers' tools left out, must come to the same.
#[test]
fn the_three_grid_tools_alone_are_told_apart() {
    let table: Table = toml::from_str(include_str!("questions.toml")).unwrap();
    let tools: Vec<_> =
        tools().into_iter().filter(|tool| tool.name.starts_with("grid__")).collect();
    let mut surprises = String::new();
    for row in &table.question {
        if row.tool.as_ref().is_some_and(|tool| !tool.starts_with("grid__")) {
            continue;
        }
        let (got, want) = (shown(&ask(&row.text, &tools)), expected(row));
        if &got != row.instead.as_ref().unwrap_or(&want) {
            writeln!(surprises, "{}\n  want {want}\n  got  {got}", row.text).unwrap();
        }
    }
    assert_eq!(surprises, "");
}

#[test]
fn a_supplied_value_completes_the_call() {
    let tools = tools();
    let messages =
        [tagout_llm::Message::text(tagout_llm::Role::User, "What is the outage risk at 38 C?")];
    let tool = "grid__predict_outage_risk";
    for (text, expected) in [
        (
            "A7",
            r#"call grid__predict_outage_risk {"equipment_id":"A7","weather_data":{"temp_c":38}}"#,
        ),
        ("no such thing", "ask grid__predict_outage_risk equipment_id"),
    ] {
        let supplied =
            [SuppliedValue { tool: tool.into(), path: "equipment_id".into(), text: text.into() }];
        let request = TurnRequest::new(&messages, &tools).with_answers(&supplied, Some(tool));
        assert_eq!(shown(&Planner::new().next(request).unwrap()), expected);
    }
}

#[test]
fn tools_that_fit_equally_are_offered() {
    let mut tools: Vec<_> =
        tools().into_iter().filter(|tool| tool.name == "grid__analyze_load_pattern").collect();
    let mut twin = tools[0].clone();
    twin.name = "other__analyze_load_pattern".into();
    tools.push(twin);
    let question = "Analyze the hourly load";
    let turn = ask(question, &tools);
    assert_eq!(shown(&turn), "choose grid__analyze_load_pattern other__analyze_load_pattern");
    let messages = [tagout_llm::Message::text(tagout_llm::Role::User, question)];
    let chosen =
        TurnRequest::new(&messages, &tools).with_answers(&[], Some("other__analyze_load_pattern"));
    assert_eq!(
        shown(&Planner::new().next(chosen).unwrap()),
        r#"call other__analyze_load_pattern {"dataset_id":"hourly_load"}"#
    );
}

#[test]
fn it_says_that_it_is_no_language_model() {
    let info = Planner::new().describe();
    assert!(!info.language_model);
    assert_eq!(info.note, "no language model: rule-based planner");
    assert_eq!(ask("Delete all records", &tools()).plan.unwrap().made_by, info.note);
}
