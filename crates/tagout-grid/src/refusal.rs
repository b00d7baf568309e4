//! What the assistant answers to a request that makes sense but cannot be met.
use std::fmt;

use crate::{equipment, load::DatasetId};

/// Why a tool gave no figures. Each has a stable [`code`](Refusal::code) and a text that says what
/// would work, so that a model can correct itself.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// No data set has this name.
    #[error("there is no data set `{0}`; known: {known}", known = DatasetId::NAMES.join(", "))]
    UnknownDataset(Echo),
    /// No line, transformer or generator has this identifier.
    #[error(
        "there is no equipment `{id}`; nearest: {near}; {known}",
        near = nearest.join(", "),
        known = equipment::known_ids()
    )]
    UnknownEquipment {
        /// What was asked for.
        id: Echo,
        /// The known identifiers that look most like it, nearest first.
        nearest: Vec<&'static str>,
    },
    /// A number is outside what the field can mean.
    #[error("`{field}` is {value} {unit}; it must be {min} to {max} {unit}")]
    OutOfRange {
        /// The argument.
        field: &'static str,
        /// What it was, in `unit`.
        value: f64,
        /// Smallest value taken, in `unit`.
        min: f64,
        /// Largest value taken, in `unit`.
        max: f64,
        /// The unit of the three figures.
        unit: &'static str,
    },
    /// The window does not fit into the series even once.
    #[error(
        "`window_hours` is {window_hours} h, but the series is only {series_hours} h long; \
         use 1 to {series_hours}"
    )]
    WindowTooLong {
        /// The window, in hours.
        window_hours: u32,
        /// The length of the series, in hours.
        series_hours: u32,
    },
    /// A series has no value to analyse.
    #[error("the series is empty")]
    EmptySeries,
    /// A series holds a value that is not a number.
    #[error("value {position} of the series is not a finite number")]
    NotFinite {
        /// Its place in the series, counted from 0.
        position: usize,
    },
}

impl Refusal {
    /// The stable code that clients and the manual share.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownDataset(_) => "grid-unknown-dataset",
            Self::UnknownEquipment { .. } => "grid-unknown-equipment",
            Self::OutOfRange { .. } => "grid-out-of-range",
            Self::WindowTooLong { .. } => "grid-window-too-long",
            Self::EmptySeries => "grid-empty-series",
            Self::NotFinite { .. } => "grid-not-finite",
        }
    }
}

/// A caller's text made fit to be shown back: at most 64 characters, nothing invisible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Echo(String);

impl From<&str> for Echo {
    fn from(text: &str) -> Self {
        const SHOWN: usize = 64;
        let mut out: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
        if text.chars().nth(SHOWN).is_some() {
            out.push('…');
        }
        Self(out)
    }
}

impl fmt::Display for Echo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
