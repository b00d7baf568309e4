//! What holds for any input.
use jiff::civil::date;
use proptest::{collection::vec, option, prelude::*};
use serde_json::Value;
use tagout_grid::{
    analysis::SeriesAnalysis,
    load::{Profile, Series},
    refusal::Refusal,
    risk::{Risk, WeatherData},
};

fn score(temp_c: Option<f64>, wind_kph: Option<f64>, precip_mm: Option<f64>) -> f64 {
    let weather = WeatherData { temp_c, wind_kph, precip_mm };
    Risk::assess("A7", weather).expect("possible weather").risk_score
}

/// The paths of all nulls: `serde_json` writes a NaN or an infinity as one.
fn nulls(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Null => found.push(path.to_owned()),
        Value::Array(items) => items.iter().for_each(|item| nulls(item, path, found)),
        Value::Object(fields) => {
            for (name, field) in fields {
                nulls(field, name, found);
            }
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

proptest! {
    #[test]
    fn a_score_is_between_0_and_1(
        temp in option::of(-60.0..=60.0), wind in option::of(0.0..=400.0), rain in option::of(0.0..=500.0),
    ) {
        let score = score(temp, wind, rain);
        prop_assert!((0.05..=1.0).contains(&score), "{score}");
    }

    #[test]
    fn more_wind_or_rain_never_lowers_it(
        temp in -60.0..=60.0_f64, wind in 0.0..=400.0_f64, rain in 0.0..=500.0_f64, more in 0.0..=100.0_f64,
    ) {
        let before = score(Some(temp), Some(wind), Some(rain));
        let windier = (wind + more).min(400.0);
        let wetter = (rain + more).min(500.0);
        prop_assert!(score(Some(temp), Some(windier), Some(rain)) >= before);
        prop_assert!(score(Some(temp), Some(wind), Some(wetter)) >= before);
    }

    #[test]
    fn weather_that_cannot_be_is_refused(wind in prop_oneof![-1e9..-1e-6, 400.001..1e9]) {
        let weather = WeatherData { wind_kph: Some(wind), ..WeatherData::default() };
        let refused = matches!(
            Risk::assess("A7", weather),
            Err(Refusal::OutOfRange { field: "wind_kph", .. })
        );
        prop_assert!(refused);
    }

    #[test]
    fn any_identifier_has_an_answer(id in "\\PC{0,80}") {
        if let Err(refusal) = Risk::assess(&id, WeatherData::default()) {
            prop_assert_eq!(refusal.code(), "grid-unknown-equipment");
            prop_assert!(refusal.to_string().len() < 1500);
        }
    }

    #[test]
    fn an_analysis_has_no_undefined_figure(
        load_mw in vec(prop_oneof![Just(0.0), -1e5..1e5, 0.0..1e-300], 1..120),
        window_hours in 1..130_u32,
    ) {
        let first_ending = date(2024, 2, 28).at(23, 0, 0, 0);
        let total = Profile { area: "any".to_owned(), load_mw: load_mw.clone() };
        let series = Series { first_ending, interval_minutes: 60, total, regions: Vec::new() };
        match SeriesAnalysis::of(&series, window_hours) {
            Ok(analysis) => {
                let mut found = Vec::new();
                nulls(&serde_json::to_value(&analysis).expect("serialisable"), "", &mut found);
                let may = ["load_factor", "volatility_cv", "rolling_mean_cv",
                    "slope_mw_per_day", "biggest_ramp_up", "biggest_ramp_down"];
                prop_assert!(found.iter().all(|path| may.contains(&path.as_str())), "{found:?}");
                let text = serde_json::to_string(&analysis).expect("serialisable");
                prop_assert!(!text.contains("NaN") && !text.contains("inf"));
                let rolling = analysis.total.rolling;
                prop_assert!(rolling.min_mean_mw <= rolling.max_mean_mw);
                let again = SeriesAnalysis::of(&series, window_hours);
                prop_assert_eq!(again, Ok(analysis));
            }
            Err(refusal) => {
                prop_assert_eq!(refusal.code(), "grid-window-too-long");
                prop_assert!(usize::try_from(window_hours).expect("small") > load_mw.len());
            }
        }
    }
}
