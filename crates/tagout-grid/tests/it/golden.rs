//! The analysis against figures that other software computed, and against sums done by hand.
use std::path::PathBuf;

use jiff::civil::date;
use serde_json::Value;
use tagout_grid::{
    analysis::{Direction, SeriesAnalysis, Steadiness},
    load::{Profile, Series},
};

fn series(first_hour: i8, interval_minutes: u32, load_mw: &[f64]) -> Series {
    let first_ending = date(2024, 1, 1).at(first_hour, 0, 0, 0);
    let total = Profile { area: "test".to_owned(), load_mw: load_mw.to_vec() };
    Series { first_ending, interval_minutes, total, regions: Vec::new() }
}

fn close(got: f64, expected: f64) {
    let scale = expected.abs().max(1.0);
    assert!((got - expected).abs() / scale < 1e-9, "{got} is not {expected}");
}

#[test]
fn by_hand() {
    let analysis = SeriesAnalysis::of(&series(1, 60, &[10.0, 20.0, 40.0, 10.0]), 2).expect("one");
    let total = analysis.total;
    assert_eq!(total.max.load_mw, 40.0);
    assert_eq!(total.max.interval_ending, date(2024, 1, 1).at(3, 0, 0, 0));
    assert_eq!(total.min.interval_ending, date(2024, 1, 1).at(1, 0, 0, 0), "the first of two");
    close(total.mean_mw, 20.0);
    close(total.median_mw, 15.0);
    close(total.load_factor.expect("defined"), 0.5);
    close(total.energy_mwh, 80.0);
    let (up, down) = (total.biggest_ramp_up.expect("up"), total.biggest_ramp_down.expect("down"));
    assert_eq!((up.change_mw, up.interval_ending), (20.0, date(2024, 1, 1).at(3, 0, 0, 0)));
    assert_eq!((down.change_mw, down.interval_ending), (-30.0, date(2024, 1, 1).at(4, 0, 0, 0)));
    assert_eq!(total.rolling.window_count, 3);
    // Windows 10 20, 20 40, 40 10: means 15, 30, 25; deviations 10, 20, 30 over the root of 2.
    close(total.rolling.max_mean_mw, 30.0);
    let root = 2.0_f64.sqrt();
    let cv = (10.0 / root / 15.0 + 20.0 / root / 30.0 + 30.0 / root / 25.0) / 3.0;
    close(total.rolling.volatility_cv.expect("defined"), cv);
    // Slope of 15 30 25 over 0 1 2: (25 - 15) / 2 = 5 MW an hour.
    close(total.trend.slope_mw_per_day.expect("three windows"), 120.0);
    assert_eq!(total.trend.steadiness, Steadiness::Volatile);
    assert_eq!(total.trend.direction, Direction::Rising);
    let hours: Vec<(u8, f64)> =
        total.mean_by_hour.iter().map(|hour| (hour.hour_ending, hour.mean_mw)).collect();
    assert_eq!(hours, [(1, 10.0), (2, 20.0), (3, 40.0), (4, 10.0)]);
}

#[test]
fn half_hours_by_hand() {
    let analysis = SeriesAnalysis::of(&series(1, 30, &[10.0, 20.0, 30.0, 20.0]), 1).expect("one");
    close(analysis.total.energy_mwh, 40.0);
    assert_eq!(analysis.series_hours, 2);
    assert_eq!(analysis.total.rolling.window_count, 3);
    // The first interval is 00:30 to 01:00, so it belongs to hour ending 1.
    let hours: Vec<(u8, f64)> =
        analysis.total.mean_by_hour.iter().map(|hour| (hour.hour_ending, hour.mean_mw)).collect();
    assert_eq!(hours, [(1, 10.0), (2, 25.0), (3, 20.0)]);
}

#[test]
fn a_flat_line_is_stable_and_has_no_ramps() {
    let total = SeriesAnalysis::of(&series(1, 60, &[5.0; 48]), 24).expect("one").total;
    assert_eq!(total.trend.steadiness, Steadiness::Stable);
    assert_eq!(total.trend.direction, Direction::Flat);
    assert_eq!((total.biggest_ramp_up, total.biggest_ramp_down), (None, None));
    assert_eq!(total.rolling.volatility_cv, Some(0.0));
}

/// The folder with the shared reference data, if there is one.
fn shared() -> Option<PathBuf> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let folder = std::env::var_os("TAGOUT_SHARED").map_or_else(beside, PathBuf::from);
    folder.join("data/grid/golden/load.json").exists().then_some(folder)
}

#[test]
fn iso_ne_week_as_pandas_and_numpy_see_it() {
    let Some(shared) = shared() else {
        println!("skipped: no shared reference data (set TAGOUT_SHARED)");
        return;
    };
    let golden = std::fs::read(shared.join("data/grid/golden/load.json")).expect("readable");
    let golden: Value = serde_json::from_slice(&golden).expect("JSON");
    let golden = &golden["hourly_load"];
    let number = |pointer: &str| golden.pointer(pointer).and_then(Value::as_f64).expect("a figure");
    let load: Vec<f64> = csv::Reader::from_path(shared.join("data/grid/load/hourly_load.csv"))
        .expect("readable")
        .records()
        .map(|row| row.expect("a row")[2].parse().expect("a number"))
        .collect();
    let analysis = SeriesAnalysis::of(&series(1, 60, &load), 24).expect("one");
    let total = analysis.total;
    close(total.max.load_mw, number("/max_mw"));
    assert_eq!(total.max.interval_ending, date(2024, 1, 7).at(18, 0, 0, 0), "HE18 local");
    close(total.min.load_mw, number("/min_mw"));
    close(total.mean_mw, number("/mean_mw"));
    close(total.median_mw, number("/median_mw"));
    close(total.load_factor.expect("defined"), number("/load_factor"));
    close(total.energy_mwh, number("/energy_mwh"));
    close(total.biggest_ramp_up.expect("up").change_mw, number("/max_ramp_up_1h_mw"));
    close(total.biggest_ramp_down.expect("down").change_mw, number("/max_ramp_down_1h_mw"));
    close(total.rolling.window_count as f64, number("/roll24/count"));
    close(total.rolling.first_mean_mw, number("/roll24/first"));
    close(total.rolling.last_mean_mw, number("/roll24/last"));
    close(total.rolling.max_mean_mw, number("/roll24/max"));
    close(total.rolling.min_mean_mw, number("/roll24/min"));
    close(total.rolling.volatility_cv.expect("defined"), number("/roll24/volatility_mean_cv"));
    // With windows of one hour the rolling mean is the series itself.
    let hourly = SeriesAnalysis::of(&series(1, 60, &load), 1).expect("one").total.trend;
    close(hourly.slope_mw_per_day.expect("many windows"), number("/ols_trend_mw_per_day"));
    for hour in total.mean_by_hour {
        let index = hour.hour_ending % 24;
        let expected = number(&format!("/mean_by_local_hour_of_hour_ending/{index}"));
        assert!((hour.mean_mw - expected).abs() < 1e-3, "{hour:?} is not {expected}");
    }
}
