//! A weather risk score for one piece of equipment.
//!
//! The score is linear and illustrative. It is not a probability and has no time horizon; the
//! equipment's own outage figures travel beside it so that a reader can weigh it.
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::{equipment::Equipment, refusal::Refusal, rounding};

/// Score of any equipment in mild, dry, calm weather.
const BASE: f64 = 0.05;
/// Score for each degree Celsius away from [`MILD_C`].
const PER_DEGREE: f64 = 0.001;
/// Score for each km/h of wind.
const PER_KPH: f64 = 0.002;
/// Score for each mm of precipitation.
const PER_MM: f64 = 0.003;
/// The temperature without effect, in degrees Celsius.
const MILD_C: f64 = 25.0;
/// Scores above this are high.
const HIGH_ABOVE: f64 = 0.1;
/// Scores above this and not high are medium.
const MEDIUM_ABOVE: f64 = 0.05;

/// Weather at the equipment, as far as it is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WeatherData {
    /// Air temperature in degrees Celsius, -60 to 60. Assumed to be 25 when not given.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "f64", range(min = -60, max = 60), extend("x-unit" = "celsius"))]
    pub temp_c: Option<f64>,
    /// Wind speed in kilometres per hour, 0 to 400. Assumed to be 0 when not given.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "f64", range(min = 0, max = 400), extend("x-unit" = "km/h"))]
    pub wind_kph: Option<f64>,
    /// Precipitation (rain or melted snow) in millimetres, 0 to 500. Assumed to be 0 when not given.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "f64", range(min = 0, max = 500), extend("x-unit" = "mm"))]
    pub precip_mm: Option<f64>,
}

/// Takes a number and nothing else: `null` is not a way to leave a value out.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    f64::deserialize(deserializer).map(Some)
}

/// The answer to one question about risk.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Risk {
    /// The equipment with its own outage figures.
    pub equipment: Equipment,
    /// The weather that was used.
    pub weather: Weather,
    /// Weather values that were not given, and what was assumed.
    pub assumptions: Vec<String>,
    /// The sum of the factors, at most 1; dimensionless.
    #[schemars(range(min = 0, max = 1))]
    pub risk_score: f64,
    /// `high`, `medium` or `low`.
    pub risk_category: Category,
    /// What the score is made of.
    pub factors: Factors,
    /// Where the categories begin.
    pub thresholds: Thresholds,
    /// How the score was made.
    pub model: Model,
}

/// Complete weather.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct Weather {
    /// Air temperature, in degrees Celsius.
    pub temp_c: f64,
    /// Wind speed, in km/h.
    pub wind_kph: f64,
    /// Precipitation, in mm.
    pub precip_mm: f64,
}

/// A word for the score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// At or below `medium_above`.
    Low,
    /// Above `medium_above`, not above `high_above`.
    Medium,
    /// Above `high_above`.
    High,
}

/// The terms of the score; dimensionless.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct Factors {
    /// 0.05 for any equipment.
    pub base: f64,
    /// 0.001 for each degree Celsius away from 25.
    #[serde(serialize_with = "rounding::ratio")]
    pub temperature: f64,
    /// 0.002 for each km/h.
    #[serde(serialize_with = "rounding::ratio")]
    pub wind_speed: f64,
    /// 0.003 for each mm.
    #[serde(serialize_with = "rounding::ratio")]
    pub precipitation: f64,
}

/// Where the categories begin.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct Thresholds {
    /// Scores above this are high.
    pub high_above: f64,
    /// Scores above this and not high are medium, the rest low.
    pub medium_above: f64,
}

/// How the score was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Model {
    /// Name and version.
    pub name: &'static str,
    /// What it is and is not.
    pub note: &'static str,
    /// The formula.
    pub formula: &'static str,
}

const MODEL: Model = Model {
    name: "linear-weather-score-1",
    note: "illustrative linear score, not a probability; it has no time horizon and does not \
           depend on the equipment, whose own outage figures stand under `equipment`",
    formula: "min(1, 0.05 + 0.001*|temp_c - 25| + 0.002*wind_kph + 0.003*precip_mm)",
};

impl Risk {
    /// Scores `equipment_id` in `weather`.
    ///
    /// # Errors
    /// [`Refusal::UnknownEquipment`]; [`Refusal::OutOfRange`] for the first weather value that
    /// cannot be.
    pub fn assess(equipment_id: &str, weather: WeatherData) -> Result<Self, Refusal> {
        let equipment = Equipment::find(equipment_id)?.clone();
        let (weather, assumptions) = weather.complete()?;
        let factors = Factors {
            base: BASE,
            temperature: PER_DEGREE * (weather.temp_c - MILD_C).abs(),
            wind_speed: PER_KPH * weather.wind_kph,
            precipitation: PER_MM * weather.precip_mm,
        };
        let risk_score = factors.score();
        Ok(Self {
            equipment,
            weather,
            assumptions,
            risk_score,
            risk_category: Category::of(risk_score),
            factors,
            thresholds: Thresholds { high_above: HIGH_ABOVE, medium_above: MEDIUM_ABOVE },
            model: MODEL,
        })
    }
}

impl Factors {
    /// Rounded before it is compared with a threshold, so that the category agrees with the
    /// figure that is shown.
    fn score(&self) -> f64 {
        let sum = self.base + self.temperature + self.wind_speed + self.precipitation;
        rounding::four_places(sum.clamp(0.0, 1.0))
    }
}

impl Category {
    fn of(score: f64) -> Self {
        if score > HIGH_ABOVE {
            Self::High
        } else if score > MEDIUM_ABOVE {
            Self::Medium
        } else {
            Self::Low
        }
    }

    /// `low`, `medium` or `high`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

impl WeatherData {
    fn complete(self) -> Result<(Weather, Vec<String>), Refusal> {
        let mut assumptions = Vec::new();
        let mut settle = |field: Field, value: Option<f64>| {
            let Some(value) = value else {
                let Field { name, usual, unit, .. } = field;
                assumptions.push(format!("`{name}` was not given; {usual} {unit} assumed"));
                return Ok(usual);
            };
            field.check(value)
        };
        let weather = Weather {
            temp_c: settle(TEMP_C, self.temp_c)?,
            wind_kph: settle(WIND_KPH, self.wind_kph)?,
            precip_mm: settle(PRECIP_MM, self.precip_mm)?,
        };
        Ok((weather, assumptions))
    }
}

/// What a weather value may be, and what it is taken to be when nobody says.
#[derive(Clone, Copy)]
struct Field {
    name: &'static str,
    unit: &'static str,
    min: f64,
    max: f64,
    usual: f64,
}

const TEMP_C: Field =
    Field { name: "temp_c", unit: "celsius", min: -60.0, max: 60.0, usual: MILD_C };
const WIND_KPH: Field = Field { name: "wind_kph", unit: "km/h", min: 0.0, max: 400.0, usual: 0.0 };
const PRECIP_MM: Field = Field { name: "precip_mm", unit: "mm", min: 0.0, max: 500.0, usual: 0.0 };

impl Field {
    fn check(self, value: f64) -> Result<f64, Refusal> {
        let Self { name: field, unit, min, max, .. } = self;
        if (min..=max).contains(&value) {
            Ok(value)
        } else {
            Err(Refusal::OutOfRange { field, value, min, max, unit })
        }
    }
}
