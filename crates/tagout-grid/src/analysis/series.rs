//! A load series: extremes, ramps, rolling figures, daily shape, trend.
use jiff::civil::DateTime;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    load::{Profile, Series},
    refusal::Refusal,
    rounding::{self, grouped},
};

/// Rolling means that vary by less than this share of their mean make a series stable.
const STABLE_BELOW: f64 = 0.05;
/// A slope that changes load by less than this share of the mean in all is flat.
const FLAT_BELOW: f64 = 0.05;

/// A series and its regions.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SeriesAnalysis {
    /// Length of one interval, in minutes. Times name its end.
    pub interval_minutes: u32,
    /// Length of the series, in hours.
    pub series_hours: u32,
    /// End of the first interval.
    #[schemars(with = "String")]
    pub first_interval_ending: DateTime,
    /// End of the last interval.
    #[schemars(with = "String")]
    pub last_interval_ending: DateTime,
    /// The whole system.
    pub total: ProfileAnalysis,
    /// Its regions, where the data set has any.
    pub regions: Vec<ProfileAnalysis>,
}

/// One area's load over the whole series.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ProfileAnalysis {
    /// The area.
    pub area: String,
    /// Highest load; the first one if several are equal.
    pub max: Extreme,
    /// Lowest load; the first one if several are equal.
    pub min: Extreme,
    /// Mean load, in MW.
    #[serde(serialize_with = "rounding::mw")]
    pub mean_mw: f64,
    /// Median load, in MW.
    #[serde(serialize_with = "rounding::mw")]
    pub median_mw: f64,
    /// Mean divided by maximum; null if the maximum is not above zero.
    #[serde(serialize_with = "rounding::some_ratio")]
    pub load_factor: Option<f64>,
    /// Energy over the series, in MWh.
    #[serde(serialize_with = "rounding::mw")]
    pub energy_mwh: f64,
    /// Biggest rise from one interval to the next; null if load never rises.
    pub biggest_ramp_up: Option<Ramp>,
    /// Biggest fall from one interval to the next; null if load never falls.
    pub biggest_ramp_down: Option<Ramp>,
    /// Figures over a rolling window.
    pub rolling: Rolling,
    /// Mean load by hour of day.
    pub mean_by_hour: Vec<HourMean>,
    /// Steadiness and direction.
    pub trend: Trend,
}

/// A load and when it was.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct Extreme {
    /// The load, in MW.
    #[serde(serialize_with = "rounding::mw")]
    pub load_mw: f64,
    /// End of its interval.
    #[schemars(with = "String")]
    pub interval_ending: DateTime,
}

/// A change from one interval to the next.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct Ramp {
    /// The change, in MW; negative for a fall.
    #[serde(serialize_with = "rounding::mw")]
    pub change_mw: f64,
    /// End of the later interval.
    #[schemars(with = "String")]
    pub interval_ending: DateTime,
}

/// Figures over all windows of one length.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct Rolling {
    /// Length of a window, in hours.
    pub window_hours: u32,
    /// How many windows fit.
    pub window_count: usize,
    /// Lowest mean of a window, in MW.
    #[serde(serialize_with = "rounding::mw")]
    pub min_mean_mw: f64,
    /// Highest mean of a window, in MW.
    #[serde(serialize_with = "rounding::mw")]
    pub max_mean_mw: f64,
    /// Mean of the first window, in MW.
    #[serde(serialize_with = "rounding::mw")]
    pub first_mean_mw: f64,
    /// Mean of the last window, in MW.
    #[serde(serialize_with = "rounding::mw")]
    pub last_mean_mw: f64,
    /// Volatility: sample standard deviation over mean inside a window (coefficient of variation),
    /// averaged over all windows; null when a window holds one value or a mean is not above zero.
    #[serde(serialize_with = "rounding::some_ratio")]
    pub volatility_cv: Option<f64>,
}

/// The mean load in one hour of the day.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct HourMean {
    /// Hour ending, 1 to 24.
    pub hour_ending: u8,
    /// Mean over all days, in MW.
    #[serde(serialize_with = "rounding::mw")]
    pub mean_mw: f64,
}

/// Where load is going and how steadily.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Trend {
    /// Whether the rolling mean keeps its level.
    pub steadiness: Steadiness,
    /// Where the fitted line goes.
    pub direction: Direction,
    /// Slope of the least-squares line through the rolling means, in MW per day. A window of 24 h
    /// takes the daily cycle out of it. Null with a single window.
    #[serde(serialize_with = "rounding::some_mw")]
    pub slope_mw_per_day: Option<f64>,
    /// Sample standard deviation of the rolling means over their mean; null with a single window.
    #[serde(serialize_with = "rounding::some_ratio")]
    pub rolling_mean_cv: Option<f64>,
    /// The figures and thresholds behind both words.
    pub reason: String,
}

/// Whether the rolling mean keeps its level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Steadiness {
    /// `rolling_mean_cv` is below 0.05.
    Stable,
    /// It is not.
    Volatile,
    /// It cannot be told from one window, or from means that are not above zero.
    Undetermined,
}

/// Where the fitted line goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Up by at least 5 % of the mean from the first window to the last.
    Rising,
    /// Down by at least 5 % of the mean from the first window to the last.
    Falling,
    /// Neither.
    Flat,
    /// It cannot be told from one window, or from means that are not above zero.
    Undetermined,
}

impl SeriesAnalysis {
    /// Analyses `series` with windows of `window_hours`.
    ///
    /// # Errors
    /// [`Refusal::WindowTooLong`]; [`Refusal::OutOfRange`] for a window of zero hours;
    /// [`Refusal::EmptySeries`] and [`Refusal::NotFinite`] for a series that is not one.
    pub fn of(series: &Series, window_hours: u32) -> Result<Self, Refusal> {
        let series_hours = series.hours();
        if window_hours == 0 {
            let (value, min, max) = (0.0, 1.0, f64::from(series_hours));
            return Err(Refusal::OutOfRange { field: "window_hours", value, min, max, unit: "h" });
        }
        if window_hours > series_hours {
            return Err(Refusal::WindowTooLong { window_hours, series_hours });
        }
        let analyse = |profile| ProfileAnalysis::of(series, profile, window_hours);
        Ok(Self {
            interval_minutes: series.interval_minutes,
            series_hours,
            first_interval_ending: series.first_ending,
            last_interval_ending: series.ending(series.total.load_mw.len().saturating_sub(1)),
            total: analyse(&series.total)?,
            regions: series.regions.iter().map(analyse).collect::<Result<_, _>>()?,
        })
    }

    pub(super) fn summary(&self) -> String {
        let ProfileAnalysis { max, min, mean_mw, load_factor, energy_mwh, trend, .. } = &self.total;
        let factor = load_factor.map_or(String::new(), |f| format!(", load factor {f:.3}"));
        format!(
            "Over {} h: max {} MW (interval ending {}), min {} MW ({}), mean {} MW{factor}, \
             energy {} MWh. Trend: {}",
            self.series_hours,
            grouped(max.load_mw),
            max.interval_ending,
            grouped(min.load_mw),
            min.interval_ending,
            grouped(*mean_mw),
            grouped(*energy_mwh),
            trend.reason,
        )
    }
}

impl ProfileAnalysis {
    fn of(series: &Series, profile: &Profile, window_hours: u32) -> Result<Self, Refusal> {
        let values = profile.load_mw.as_slice();
        if let Some(position) = values.iter().position(|value| !value.is_finite()) {
            return Err(Refusal::NotFinite { position });
        }
        let extreme = |better: fn(f64, f64) -> bool| {
            let (position, load_mw) = first_best(values.iter().copied(), better)?;
            Some(Extreme { load_mw, interval_ending: series.ending(position) })
        };
        let max = extreme(|a, b| a > b).ok_or(Refusal::EmptySeries)?;
        let min = extreme(|a, b| a < b).ok_or(Refusal::EmptySeries)?;
        let mean_mw = mean(values);
        let ramp = |better: fn(f64, f64) -> bool| {
            let changes = values.iter().zip(values.iter().skip(1)).map(|(now, next)| next - now);
            let (position, change_mw) = first_best(changes, better)?;
            better(change_mw, 0.0)
                .then(|| Ramp { change_mw, interval_ending: series.ending(position + 1) })
        };
        let windows = Windows::of(values, window_hours, series.per_hour());
        Ok(Self {
            area: profile.area.clone(),
            max,
            min,
            mean_mw,
            median_mw: median(values),
            load_factor: (max.load_mw > 0.0).then(|| mean_mw / max.load_mw),
            energy_mwh: values.iter().sum::<f64>() * f64::from(series.interval_minutes) / 60.0,
            biggest_ramp_up: ramp(|a, b| a > b),
            biggest_ramp_down: ramp(|a, b| a < b),
            rolling: windows.rolling(window_hours),
            mean_by_hour: mean_by_hour(series, values),
            trend: windows.trend(series.interval_minutes.max(1)),
        })
    }
}

/// Mean and spread of every window.
struct Windows {
    means: Vec<f64>,
    /// Coefficient of variation inside each window, where it is defined for all of them.
    cvs: Option<Vec<f64>>,
}

impl Windows {
    fn of(values: &[f64], window_hours: u32, per_hour: usize) -> Self {
        let length = usize::try_from(window_hours).unwrap_or(usize::MAX).saturating_mul(per_hour);
        let windows = || values.windows(length.max(1));
        Self { means: windows().map(mean).collect(), cvs: windows().map(cv).collect() }
    }

    fn rolling(&self, window_hours: u32) -> Rolling {
        let best = |better| first_best(self.means.iter().copied(), better);
        Rolling {
            window_hours,
            window_count: self.means.len(),
            min_mean_mw: best(|a, b| a < b).map(|(_, mean)| mean).unwrap_or_default(),
            max_mean_mw: best(|a, b| a > b).map(|(_, mean)| mean).unwrap_or_default(),
            first_mean_mw: self.means.first().copied().unwrap_or_default(),
            last_mean_mw: self.means.last().copied().unwrap_or_default(),
            volatility_cv: self.cvs.as_deref().map(mean),
        }
    }

    fn trend(&self, interval_minutes: u32) -> Trend {
        let days = |intervals: f64| intervals * f64::from(interval_minutes) / 1440.0;
        let rolling_mean_cv = cv(&self.means);
        let slope = slope(&self.means);
        let slope_mw_per_day = slope.map(|per_interval| per_interval / days(1.0));
        let (Some(cv), Some(per_interval)) = (rolling_mean_cv, slope) else {
            return Trend {
                steadiness: Steadiness::Undetermined,
                direction: Direction::Undetermined,
                slope_mw_per_day,
                rolling_mean_cv,
                reason: "undetermined: it takes two windows or more, and means above zero."
                    .to_owned(),
            };
        };
        let intervals = count(&self.means) - 1.0;
        let change = per_interval * intervals / mean(&self.means);
        let direction = Direction::of(change);
        let steadiness = if cv < STABLE_BELOW { Steadiness::Stable } else { Steadiness::Volatile };
        let reason = format!(
            "{}: the rolling mean varies by {:.1} % (stable below {:.0} %); {}: {:+.1} MW/day, \
             {:+.1} % over the {:.1} days from the first window to the last (flat within {:.0} %).",
            steadiness.word(),
            cv * 100.0,
            STABLE_BELOW * 100.0,
            direction.word(),
            slope_mw_per_day.unwrap_or_default(),
            change * 100.0,
            days(intervals),
            FLAT_BELOW * 100.0,
        );
        Trend { steadiness, direction, slope_mw_per_day, rolling_mean_cv, reason }
    }
}

impl Steadiness {
    const fn word(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::Volatile => "volatile",
            Self::Undetermined => "undetermined",
        }
    }
}

impl Direction {
    /// Judges a change, given as a share of the mean.
    fn of(change: f64) -> Self {
        if change >= FLAT_BELOW {
            Self::Rising
        } else if change <= -FLAT_BELOW {
            Self::Falling
        } else {
            Self::Flat
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Rising => "rising",
            Self::Falling => "falling",
            Self::Flat => "flat",
            Self::Undetermined => "undetermined",
        }
    }
}

/// The first value that none beats, with its position.
fn first_best(
    values: impl Iterator<Item = f64>,
    better: fn(f64, f64) -> bool,
) -> Option<(usize, f64)> {
    values.enumerate().reduce(|best, next| if better(next.1, best.1) { next } else { best })
}

/// How many values there are, for arithmetic with them.
fn count(values: &[f64]) -> f64 {
    values.len() as f64
}

/// Arithmetic mean; 0 for no values.
pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / count(values).max(1.0)
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = sorted.len() / 2;
    let lower = sorted.len().saturating_sub(1) / 2;
    mean(sorted.get(lower..=upper).unwrap_or_default())
}

/// Sample standard deviation (n - 1) over mean; none for fewer than two values or a mean that is
/// not above zero.
fn cv(values: &[f64]) -> Option<f64> {
    let mean = mean(values);
    if values.len() < 2 || mean <= 0.0 {
        return None;
    }
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Some((squares / (count(values) - 1.0)).sqrt() / mean).filter(|cv| cv.is_finite())
}

/// Slope of the least-squares line, per interval; none for fewer than two values.
fn slope(values: &[f64]) -> Option<f64> {
    let positions: Vec<f64> = (0..u32::MAX).map(f64::from).take(values.len()).collect();
    let (middle, level) = (mean(&positions), mean(values));
    let (products, squares) =
        positions.iter().zip(values).fold((0.0, 0.0), |(products, squares), (x, y)| {
            (products + (x - middle) * (y - level), squares + (x - middle).powi(2))
        });
    (squares > 0.0).then(|| products / squares)
}

fn mean_by_hour(series: &Series, values: &[f64]) -> Vec<HourMean> {
    (1..=24_u8)
        .filter_map(|hour_ending| {
            let of_hour: Vec<f64> = values
                .iter()
                .enumerate()
                .filter(|(position, _)| {
                    i16::from(series.beginning(*position).hour()) + 1 == i16::from(hour_ending)
                })
                .map(|(_, value)| *value)
                .collect();
            (!of_hour.is_empty()).then(|| HourMean { hour_ending, mean_mw: mean(&of_hour) })
        })
        .collect()
}
