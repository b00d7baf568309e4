//! Calls and their answers.
use rmcp::model::ErrorCode;
use serde_json::{Value, json};

use crate::session::{call, connect, pretty, structured, text};

#[tokio::test]
async fn outage_risk_of_a7() {
    let client = connect().await;
    let weather = json!({"temp_c": 38, "wind_kph": 70, "precip_mm": 12});
    let arguments = json!({"equipment_id": "A7", "weather_data": weather});
    let result = call(&client, "predict_outage_risk", arguments).await.expect("an answer");
    assert_eq!(result.structured_content.as_ref().expect("structured")["risk_score"], 0.239);
    insta::assert_snapshot!("risk_a7_text", text(&result));
    insta::assert_snapshot!("risk_a7", pretty(&result.structured_content));
}

#[tokio::test]
async fn missing_weather_is_assumed_and_said_so() {
    let client = connect().await;
    let arguments = json!({"equipment_id": "101_CT_1", "weather_data": {"temp_c": 38}});
    insta::assert_snapshot!(
        "risk_with_assumptions",
        pretty(&structured(&client, "predict_outage_risk", arguments).await)
    );
    let none = structured(&client, "predict_outage_risk", json!({"equipment_id": "A1"})).await;
    assert_eq!(none["risk_score"], 0.05);
    assert_eq!(none["risk_category"], "low");
    assert_eq!(none["assumptions"].as_array().map(Vec::len), Some(3));
}

#[tokio::test]
async fn categories_begin_above_their_thresholds() {
    let client = connect().await;
    // 0.05 + 0.002 * wind
    for (wind_kph, category) in
        [(0.0, "low"), (0.05, "medium"), (25.0, "medium"), (25.05, "high"), (400.0, "high")]
    {
        let weather = json!({"wind_kph": wind_kph, "temp_c": 25, "precip_mm": 0});
        let arguments = json!({"equipment_id": "C35", "weather_data": weather});
        let risk = structured(&client, "predict_outage_risk", arguments).await;
        assert_eq!(risk["risk_category"], category, "{wind_kph} km/h: {}", risk["risk_score"]);
    }
    let weather = json!({"wind_kph": 400, "temp_c": -60, "precip_mm": 500});
    let arguments = json!({"equipment_id": "C35", "weather_data": weather});
    let worst = structured(&client, "predict_outage_risk", arguments).await;
    assert_eq!(worst["risk_score"], 1.0, "clamped");
}

/// One line per case: the tool, the arguments, the text of the refusal.
#[tokio::test]
async fn refusals() {
    let client = connect().await;
    let risk = |equipment: &str, weather: Value| {
        ("predict_outage_risk", json!({"equipment_id": equipment, "weather_data": weather}))
    };
    let cases = [
        ("analyze_load_pattern", json!({"dataset_id": "x"})),
        ("generate_grid_visualization", json!({"dataset_id": "hourly"})),
        ("generate_grid_visualization", json!({"dataset_id": "a\u{202e}b\n".repeat(50)})),
        ("analyze_load_pattern", json!({"dataset_id": "hourly_load", "window_hours": 169})),
        ("analyze_load_pattern", json!({"dataset_id": "hourly_load", "window_hours": 0})),
        ("analyze_load_pattern", json!({"dataset_id": "gb_2000", "window_hours": 9000})),
        risk("a7", json!({})),
        risk("T-47", json!({})),
        risk("101_CT_9", json!({})),
        risk("A7", json!({"wind_kph": -1})),
        risk("A7", json!({"temp_c": 60.5})),
        risk("A7", json!({"precip_mm": 501})),
    ];
    let mut shown = String::new();
    for (tool, arguments) in cases {
        let result = call(&client, tool, arguments.clone()).await.expect("a result");
        assert_eq!(result.is_error, Some(true), "{arguments}");
        assert_eq!(result.structured_content, None);
        let meta = result.meta.as_ref().expect("a code");
        let code = meta["tagout.grid/code"].as_str().expect("a code");
        assert!(text(&result).starts_with(&format!("{code}: ")), "{}", text(&result));
        assert!(text(&result).len() < 700);
        let asked: String = arguments.to_string().escape_debug().take(90).collect();
        shown += &format!("{tool} {}\n  {}\n", asked.replace("\\\"", "\""), text(&result));
    }
    insta::assert_snapshot!(shown);
}

#[tokio::test]
async fn malformed_arguments_are_protocol_errors() {
    let client = connect().await;
    let cases = [
        ("no_such_tool", json!({})),
        ("analyze_load_pattern", json!({})),
        ("analyze_load_pattern", json!({"dataset_id": 1})),
        ("analyze_load_pattern", json!({"dataset_id": "hourly_load", "window_hours": 1.5})),
        ("analyze_load_pattern", json!({"dataset_id": "hourly_load", "window_hours": "24"})),
        ("analyze_load_pattern", json!({"dataset_id": "hourly_load", "x": 1})),
        ("predict_outage_risk", json!({"weather_data": {}})),
        ("predict_outage_risk", json!({"equipment_id": "A7", "weather_data": {"ice_mm": 1}})),
        ("predict_outage_risk", json!({"equipment_id": "A7", "weather_data": {"temp_c": null}})),
        ("predict_outage_risk", json!({"equipment_id": "A7", "weather_data": {"temp_c": "38"}})),
        ("predict_outage_risk", json!({"equipment_id": "A7", "weather_data": null})),
        ("generate_grid_visualization", json!({"dataset_id": "gb_2000", "data_uri": "yes"})),
    ];
    for (tool, arguments) in cases {
        let error = call(&client, tool, arguments.clone()).await.expect_err("a protocol error");
        assert_eq!(error.code, ErrorCode::INVALID_PARAMS, "{tool} {arguments}");
    }
}

#[tokio::test]
async fn a_week_of_load() {
    let client = connect().await;
    let arguments = json!({"dataset_id": "hourly_load"});
    let result = call(&client, "analyze_load_pattern", arguments).await.expect("an answer");
    insta::assert_snapshot!("hourly_load_text", text(&result));
    insta::assert_snapshot!("hourly_load", pretty(&result.structured_content));
}

#[tokio::test]
async fn half_hours_count_as_half_hours() {
    let client = connect().await;
    let arguments = json!({"dataset_id": "gb_2000", "window_hours": 168.0});
    let analysis = structured(&client, "analyze_load_pattern", arguments).await;
    assert_eq!(analysis["series_hours"], 2016);
    assert_eq!(analysis["total"]["rolling"]["window_count"], 4032 - 336 + 1);
    assert_eq!(analysis["total"]["mean_by_hour"].as_array().map(Vec::len), Some(24));
    insta::assert_snapshot!("gb_2000", pretty(&analysis));
}

#[tokio::test]
async fn a_set_of_peaks_is_analysed_as_one() {
    let client = connect().await;
    let arguments = json!({"dataset_id": "peak_load_2023", "window_hours": 48});
    let result = call(&client, "analyze_load_pattern", arguments).await.expect("an answer");
    let analysis = result.structured_content.as_ref().expect("structured");
    assert_eq!(analysis["groups"]["sum_of_peaks_mw"], 777_525.0);
    // 777,525 / 741,216
    assert_eq!(analysis["groups"]["diversity_factor"], 1.049);
    insta::assert_snapshot!("peak_load_2023_text", text(&result));
    insta::assert_snapshot!("peak_load_2023", pretty(analysis));
}

#[tokio::test]
async fn extreme_windows_have_no_undefined_figures() {
    let client = connect().await;
    for (window_hours, steadiness) in [(1, "volatile"), (168, "undetermined")] {
        let arguments = json!({"dataset_id": "hourly_load", "window_hours": window_hours});
        let analysis = structured(&client, "analyze_load_pattern", arguments).await;
        assert_eq!(analysis["total"]["trend"]["steadiness"], steadiness);
        assert_eq!(analysis["total"]["rolling"]["window_count"], 169 - window_hours);
        assert_eq!(analysis["total"]["rolling"]["volatility_cv"].is_null(), window_hours == 1);
    }
}

#[tokio::test]
async fn answers_repeat_and_stay_small_and_follow_their_schemas() {
    let client = connect().await;
    let weather = json!({"temp_c": 38});
    let cases = [
        ("analyze_load_pattern", json!({"dataset_id": "hourly_load"})),
        ("analyze_load_pattern", json!({"dataset_id": "hourly_load", "window_hours": 1})),
        ("analyze_load_pattern", json!({"dataset_id": "peak_load_2023"})),
        ("analyze_load_pattern", json!({"dataset_id": "gb_2000"})),
        ("predict_outage_risk", json!({"equipment_id": "A7", "weather_data": weather})),
        ("predict_outage_risk", json!({"equipment_id": "303_WIND_1", "weather_data": weather})),
        ("generate_grid_visualization", json!({"dataset_id": "hourly_load", "data_uri": true})),
    ];
    let tools = client.list_all_tools().await.expect("tools");
    for (name, arguments) in cases {
        let tool = tools.iter().find(|tool| tool.name == name).expect("listed");
        let input = jsonschema::validator_for(&json!(tool.input_schema)).expect("a schema");
        assert!(input.is_valid(&arguments), "{name} {arguments}");
        let first = structured(&client, name, arguments.clone()).await;
        let second = structured(&client, name, arguments.clone()).await;
        assert_eq!(first, second, "{name} {arguments}");
        let output = jsonschema::validator_for(&json!(tool.output_schema)).expect("a schema");
        let problems: Vec<String> = output.iter_errors(&first).map(|e| e.to_string()).collect();
        assert_eq!(problems, Vec::<String>::new(), "{name} {arguments}");
        if !name.starts_with("generate") {
            let length = first.to_string().len();
            assert!(length < 25_000, "{name} {arguments}: {length} bytes");
        }
    }
}
