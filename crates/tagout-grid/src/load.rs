//! Load data sets: two series and a set of peaks.
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp, civil::DateTime};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{embedded::DATA, refusal::Refusal, rounding};

/// A data set that ships with the assistant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatasetId {
    /// A week of hourly load of the RTS-GMLC test system.
    HourlyLoad,
    /// The 2023 peaks of the regions of the contiguous United States.
    PeakLoad2023,
    /// Twelve weeks of half-hourly demand of England and Wales in 2000.
    Gb2000,
}

/// What a data set is and where it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Card {
    /// Identifier, as tools take it.
    pub dataset_id: &'static str,
    /// Name for people.
    pub title: &'static str,
    /// What kind of figures these are, such as `planning series of a test system`.
    pub nature: &'static str,
    /// Unit of every load figure.
    pub unit: &'static str,
    /// What a time in the data set means.
    pub clock: &'static str,
    /// Who made it, from what.
    pub source: &'static str,
    /// Terms under which it is passed on.
    pub licence: &'static str,
}

/// A data set's content.
#[derive(Debug, Clone, Copy)]
pub enum Content {
    /// Values at regular intervals.
    Series(&'static Series),
    /// One peak per region.
    Peaks(&'static PeakSet),
}

impl DatasetId {
    /// Every data set, in the order in which they are listed.
    pub const ALL: [Self; 3] = [Self::HourlyLoad, Self::PeakLoad2023, Self::Gb2000];
    /// Their identifiers, in the same order.
    pub const NAMES: [&'static str; 3] = ["hourly_load", "peak_load_2023", "gb_2000"];

    /// Title, nature, clock, source and licence.
    #[must_use]
    pub const fn card(self) -> &'static Card {
        match self {
            Self::HourlyLoad => &HOURLY_LOAD,
            Self::PeakLoad2023 => &PEAK_LOAD_2023,
            Self::Gb2000 => &GB_2000,
        }
    }

    /// The figures.
    #[must_use]
    pub fn content(self) -> Content {
        match self {
            Self::HourlyLoad => Content::Series(&DATA.rts_week),
            Self::PeakLoad2023 => Content::Peaks(&DATA.peaks_2023),
            Self::Gb2000 => Content::Series(&DATA.gb_2000),
        }
    }
}

impl FromStr for DatasetId {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        Self::ALL
            .into_iter()
            .find(|id| id.card().dataset_id == text)
            .ok_or_else(|| Refusal::UnknownDataset(text.into()))
    }
}

const HOURLY_LOAD: Card = Card {
    dataset_id: "hourly_load",
    title: "Hourly load profile, RTS-GMLC, 6 to 12 July 2020",
    nature: "planning series of a test system",
    unit: "MW",
    clock: "the test system's own clock (the source names no time zone), hour ending",
    source: "RTS-GMLC day-ahead regional load, DOE/NREL/ALLIANCE; the first full \
             Monday-to-Sunday week of July 2020, the three regions and their sum",
    licence: "NREL data use disclaimer agreement, shipped beside the data",
};

const PEAK_LOAD_2023: Card = Card {
    dataset_id: "peak_load_2023",
    title: "Regional peak load 2023, contiguous United States",
    nature: "measured, screened and imputed",
    unit: "MW",
    clock: "UTC, hour ending",
    source: "EIA-930 demand as screened by Ruggles et al. (Scientific Data 7:155, 2020; \
             release 1.4)",
    licence: "CC BY 4.0",
};

const GB_2000: Card = Card {
    dataset_id: "gb_2000",
    title: "Half-hourly demand of England and Wales, 5 June to 27 August 2000",
    nature: "measured",
    unit: "MW",
    clock: "the system's own clock (the source names no time zone), half hour ending",
    source: "J. W. Taylor, Journal of the Operational Research Society 54 (2003) 799-805, \
             as distributed with pmdarima",
    licence: "MIT",
};

/// Load at regular intervals: a total and, where there are any, the regions it is the sum of.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// When the first interval ends.
    pub first_ending: DateTime,
    /// Length of an interval, in minutes.
    pub interval_minutes: u32,
    /// The whole system.
    pub total: Profile,
    /// Its regions, each as long as the total.
    pub regions: Vec<Profile>,
}

/// The mean load of one area in each interval.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Profile {
    /// The area.
    pub area: String,
    /// Mean load of each interval, in MW.
    #[serde(serialize_with = "rounding::several_mw")]
    pub load_mw: Vec<f64>,
}

impl Series {
    /// Intervals per hour, at least 1.
    #[must_use]
    pub fn per_hour(&self) -> usize {
        usize::try_from(60 / self.interval_minutes.max(1)).unwrap_or(1).max(1)
    }

    /// Length, in whole hours.
    #[must_use]
    pub fn hours(&self) -> u32 {
        u32::try_from(self.total.load_mw.len() / self.per_hour()).unwrap_or(u32::MAX)
    }

    /// When the interval at `position`, counted from 0, ends.
    #[must_use]
    pub fn ending(&self, position: usize) -> DateTime {
        let intervals = i64::try_from(position).unwrap_or(i64::MAX);
        let seconds = self.interval().as_secs().saturating_mul(intervals);
        self.first_ending.saturating_add(SignedDuration::from_secs(seconds))
    }

    /// When the interval at `position` begins.
    #[must_use]
    pub fn beginning(&self, position: usize) -> DateTime {
        self.ending(position).saturating_sub(self.interval())
    }

    fn interval(&self) -> SignedDuration {
        SignedDuration::from_secs(i64::from(self.interval_minutes) * 60)
    }
}

/// Yearly peaks of several regions, and of the system that they form.
#[derive(Debug, Clone, PartialEq)]
pub struct PeakSet {
    /// The system's own peak, in MW.
    pub system_peak_mw: f64,
    /// When it was, hour ending.
    pub system_peak_utc: Timestamp,
    /// Groups of regions, as published.
    pub groups: Vec<Peak>,
    /// The single regions.
    pub regions: Vec<Peak>,
}

/// The peak of one region.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Peak {
    /// Region, by its EIA code, or group.
    pub region: String,
    /// Its name in full.
    pub name: String,
    /// `group` of regions, or single `eia_region`.
    #[serde(skip_serializing)]
    pub kind: PeakKind,
    /// The EIA regions in it, joined by `+`.
    pub eia_regions: String,
    /// Peak demand of the year, in MW.
    pub peak_mw: f64,
    /// The hour of the peak, UTC, hour ending.
    #[schemars(with = "String")]
    pub peak_utc_hour_ending: Timestamp,
    /// Mean demand of the year divided by its peak.
    pub load_factor: f64,
    /// Demand in the hour of the system's peak divided by this region's own peak.
    pub coincidence_factor: f64,
}

/// Whether a [`Peak`] is of one region or of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PeakKind {
    /// Several EIA regions.
    Group,
    /// One EIA region.
    EiaRegion,
}
