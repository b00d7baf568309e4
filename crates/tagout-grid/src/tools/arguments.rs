//! What the tools take.
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

use crate::{equipment::ID_PATTERN, load::DatasetId, refusal::Refusal, risk::WeatherData};

/// Longest window taken, in hours: a year.
const WINDOW_MAX_H: i64 = 8760;

/// Arguments of `analyze_load_pattern`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AnalyzeLoadPattern {
    /// The load data set. hourly_load: hourly load profile of one week in July 2020 (RTS-GMLC test
    /// system, three regions). peak_load_2023: regional peak loads of 2023 (United States).
    /// gb_2000: half-hourly demand of England and Wales, summer 2000.
    #[schemars(extend("enum" = DatasetId::NAMES))]
    pub(super) dataset_id: String,
    /// Length of the rolling window in hours, 1 to 8760 and not longer than the series.
    #[serde(default = "one_day", deserialize_with = "whole")]
    #[schemars(with = "i64", range(min = 1, max = 8760), extend("x-unit" = "h"))]
    window_hours: i64,
}

/// Arguments of `predict_outage_risk`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PredictOutageRisk {
    /// RTS-GMLC equipment identifier such as A7 (transformer), A1 (line), 101_CT_1 (generator).
    #[schemars(length(max = 24), regex(pattern = ID_PATTERN))]
    pub(super) equipment_id: String,
    /// Weather at the equipment: temperature, wind speed, precipitation.
    #[serde(default)]
    #[schemars(extend("default" = {}))]
    pub(super) weather_data: WeatherData,
}

/// Arguments of `generate_grid_visualization`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GenerateGridVisualization {
    /// The load data set. hourly_load: line chart of the hourly load profile of one week.
    /// peak_load_2023: bar chart of regional peak loads of 2023. gb_2000: line chart of
    /// half-hourly demand of England and Wales, summer 2000.
    #[schemars(extend("enum" = DatasetId::NAMES))]
    pub(super) dataset_id: String,
    /// Also return the picture as a `data:` URI under `visualization`. It is long text: leave it
    /// out unless a program asks for it.
    #[serde(default)]
    pub(super) data_uri: bool,
}

impl AnalyzeLoadPattern {
    /// The window as a length that a series could have.
    pub(super) fn window_hours(&self) -> Result<u32, Refusal> {
        match u32::try_from(self.window_hours) {
            Ok(hours) if (1..=WINDOW_MAX_H).contains(&self.window_hours) => Ok(hours),
            Ok(_) | Err(_) => Err(Refusal::OutOfRange {
                field: "window_hours",
                value: self.window_hours as f64,
                min: 1.0,
                max: WINDOW_MAX_H as f64,
                unit: "h",
            }),
        }
    }
}

const fn one_day() -> i64 {
    24
}

/// Takes `24.0` for `24`, as JSON Schema's `integer` does.
fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let number = serde_json::Number::deserialize(deserializer)?;
    let exact = |float: f64| (float.fract() == 0.0 && float.abs() < 1e15).then_some(float as i64);
    number
        .as_i64()
        .or_else(|| number.as_f64().and_then(exact))
        .ok_or_else(|| de::Error::custom("`window_hours` must be a whole number of hours"))
}
