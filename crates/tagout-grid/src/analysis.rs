//! What can be said about a load data set.
mod peaks;
mod series;

use schemars::JsonSchema;
use serde::Serialize;

pub use peaks::{PeakAnalysis, Ranked, Span};
pub(crate) use series::mean;
pub use series::{
    Direction, Extreme, HourMean, ProfileAnalysis, Ramp, Rolling, SeriesAnalysis, Steadiness, Trend,
};

use crate::{
    load::{Card, Content, DatasetId},
    refusal::Refusal,
};

/// An analysis with the data set it is about.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct LoadAnalysis {
    /// The data set: what it is, its clock, its source.
    pub dataset: Card,
    /// The figures; their shape depends on `kind`.
    #[serde(flatten)]
    pub findings: Findings,
}

/// Figures by kind of data set.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Findings {
    /// Load at regular intervals.
    Series(SeriesAnalysis),
    /// One peak per region.
    Peaks(PeakAnalysis),
}

impl LoadAnalysis {
    /// Analyses a data set; series with rolling windows of `window_hours`.
    ///
    /// # Errors
    /// [`Refusal::WindowTooLong`] when the window does not fit into the series.
    pub fn of(dataset: DatasetId, window_hours: u32) -> Result<Self, Refusal> {
        let findings = match dataset.content() {
            Content::Series(series) => Findings::Series(SeriesAnalysis::of(series, window_hours)?),
            Content::Peaks(set) => Findings::Peaks(PeakAnalysis::of(set)),
        };
        Ok(Self { dataset: *dataset.card(), findings })
    }

    /// The main figures in a few sentences.
    #[must_use]
    pub fn summary(&self) -> String {
        let figures = match &self.findings {
            Findings::Series(series) => series.summary(),
            Findings::Peaks(peaks) => peaks.summary(),
        };
        format!("{} ({}). {figures}", self.dataset.title, self.dataset.nature)
    }
}
