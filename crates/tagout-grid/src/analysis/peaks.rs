//! A set of regional peaks: who is largest, when, and how far they coincide.
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    load::{Peak, PeakSet},
    rounding::{self, grouped},
};

/// Peaks of several regions set against the peak of the system they form.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct PeakAnalysis {
    /// Why `window_hours` plays no part here.
    pub window: &'static str,
    /// The peak of the contiguous United States, in MW.
    pub system_peak_mw: f64,
    /// When it was, UTC, hour ending.
    #[schemars(with = "String")]
    pub system_peak_utc_hour_ending: Timestamp,
    /// The groups of regions.
    pub groups: Ranked,
    /// The single EIA regions.
    pub eia_regions: Ranked,
}

/// Peaks in order of size, and what they add up to.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Ranked {
    /// Sum of the peaks as if all came at once, in MW.
    pub sum_of_peaks_mw: f64,
    /// `sum_of_peaks_mw` divided by the system's peak; 1 would mean that all peak together.
    #[serde(serialize_with = "rounding::ratio")]
    pub diversity_factor: f64,
    /// The region with the largest peak.
    pub largest: String,
    /// The region with the smallest.
    pub smallest: String,
    /// The region whose demand is steadiest (highest load factor).
    pub highest_load_factor: String,
    /// The region whose demand is least steady.
    pub lowest_load_factor: String,
    /// The region that was furthest below its own peak when the system peaked.
    pub lowest_coincidence: String,
    /// First and last of the peaks.
    pub span: Span,
    /// Every peak, largest first.
    pub peaks: Vec<Peak>,
}

/// A stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Span {
    /// Hour ending of the earliest peak, UTC.
    #[schemars(with = "String")]
    pub first_utc: Timestamp,
    /// Hour ending of the latest peak, UTC.
    #[schemars(with = "String")]
    pub last_utc: Timestamp,
}

impl PeakAnalysis {
    /// Analyses `set`.
    #[must_use]
    pub fn of(set: &PeakSet) -> Self {
        Self {
            window: "not applicable: the data set holds one peak per region, not a series",
            system_peak_mw: set.system_peak_mw,
            system_peak_utc_hour_ending: set.system_peak_utc,
            groups: Ranked::of(&set.groups, set.system_peak_mw, set.system_peak_utc),
            eia_regions: Ranked::of(&set.regions, set.system_peak_mw, set.system_peak_utc),
        }
    }

    pub(super) fn summary(&self) -> String {
        let groups = &self.groups;
        let largest = groups.peaks.first().map(|peak| peak.peak_mw).unwrap_or_default();
        format!(
            "US-48 peak {} MW at {} (hour ending). The peaks of the {} groups sum to {} MW: \
             diversity factor {:.3}. Largest: {} with {} MW; smallest: {}. A rolling window does \
             not apply to a set of peaks.",
            grouped(self.system_peak_mw),
            self.system_peak_utc_hour_ending,
            groups.peaks.len(),
            grouped(groups.sum_of_peaks_mw),
            groups.diversity_factor,
            groups.largest,
            grouped(largest),
            groups.smallest,
        )
    }
}

impl Ranked {
    fn of(peaks: &[Peak], system_peak_mw: f64, system_peak_utc: Timestamp) -> Self {
        let mut ranked = peaks.to_vec();
        ranked.sort_by(|a, b| b.peak_mw.total_cmp(&a.peak_mw));
        let sum_of_peaks_mw: f64 = ranked.iter().map(|peak| peak.peak_mw).sum();
        let first =
            |by: fn(&Peak) -> f64| name(ranked.iter().min_by(|a, b| by(a).total_cmp(&by(b))));
        let when = || ranked.iter().map(|peak| peak.peak_utc_hour_ending);
        Self {
            sum_of_peaks_mw,
            diversity_factor: sum_of_peaks_mw / system_peak_mw,
            largest: first(|peak| -peak.peak_mw),
            smallest: first(|peak| peak.peak_mw),
            highest_load_factor: first(|peak| -peak.load_factor),
            lowest_load_factor: first(|peak| peak.load_factor),
            lowest_coincidence: first(|peak| peak.coincidence_factor),
            span: Span {
                first_utc: when().min().unwrap_or(system_peak_utc),
                last_utc: when().max().unwrap_or(system_peak_utc),
            },
            peaks: ranked,
        }
    }
}

fn name(peak: Option<&Peak>) -> String {
    peak.map(|peak| peak.region.clone()).unwrap_or_default()
}
