//! Test networks in figures: what `grid://topology/{region}` tells.
use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    embedded::{BusRow, DATA},
    rounding,
};

/// A region with a network to show for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Region {
    /// New England: the IEEE 39-bus case.
    Northeast,
    /// Arizona, Nevada, California: RTS-GMLC.
    Southwest,
}

/// A network summed up, with what it is and where it comes from.
#[derive(Debug, Clone, Serialize)]
pub struct Topology {
    /// The region it stands in for.
    pub region: &'static str,
    /// Name for people.
    pub title: &'static str,
    /// Always `test case`: none of these networks is the real one.
    pub label: &'static str,
    /// What that means here.
    pub label_note: &'static str,
    /// The figures.
    #[serde(flatten)]
    pub network: &'static Network,
    /// Where it comes from.
    pub source: &'static str,
    /// Terms under which it is passed on.
    pub licence: &'static str,
}

/// The figures of a network.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Network {
    /// Nominal voltages, in kV, highest first.
    pub voltage_levels_kv: Vec<f64>,
    /// Number of buses.
    pub bus_count: usize,
    /// Number of AC branches: lines and transformers.
    pub branch_count: usize,
    /// Branches without a tap ratio.
    pub line_count: usize,
    /// Branches with one.
    pub transformer_count: usize,
    /// Number of generating units, synchronous condensers and storage among them.
    pub generator_count: usize,
    /// Sum of the units' capacity, in MW.
    #[serde(serialize_with = "rounding::mw")]
    pub capacity_mw: f64,
    /// Sum of the case's bus loads, in MW.
    #[serde(serialize_with = "rounding::mw")]
    pub load_mw: f64,
    /// Units by category as the source names them, largest capacity first.
    pub generation_mix: Vec<Share>,
}

/// One category of generation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Share {
    /// The source's word for it.
    pub category: String,
    /// Number of units.
    pub unit_count: usize,
    /// Their capacity together, in MW.
    #[serde(serialize_with = "rounding::mw")]
    pub capacity_mw: f64,
}

/// A generating unit, as far as a [`Network`] counts it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Unit {
    /// The source's word for its kind.
    pub(crate) category: String,
    /// Its capacity, in MW.
    pub(crate) capacity_mw: f64,
}

impl Region {
    /// Every region, in the order in which they are listed.
    pub const ALL: [Self; 2] = [Self::Northeast, Self::Southwest];

    /// The name used in URIs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Northeast => "northeast",
            Self::Southwest => "southwest",
        }
    }

    /// The region's network.
    #[must_use]
    pub fn topology(self) -> Topology {
        match self {
            Self::Northeast => Topology {
                region: self.name(),
                title: "IEEE 39-bus system (New England, 345 kV)",
                label: "test case",
                label_note: "generally representative of the New England 345 kV system of about \
                             1970, not a model of the real network; bus 39 and its unit stand for \
                             the rest of the eastern interconnection",
                network: &DATA.ieee_39,
                source: "MATPOWER 8.1 case39 (Bills et al., EPRI RP90-1, 1970)",
                licence: "case data from public sources, as MATPOWER passes it on; not under its \
                          BSD licence",
            },
            Self::Southwest => Topology {
                region: self.name(),
                title: "RTS-GMLC (placed in Arizona, Nevada and California)",
                label: "test case",
                label_note: "the IEEE Reliability Test System of 1996, modernised by the Grid \
                             Modernization Laboratory Consortium and placed on a map; not a real \
                             network; the HVDC line 113-316 is not counted among the branches",
                network: &DATA.rts_gmlc,
                source: "RTS-GMLC, DOE/NREL/ALLIANCE",
                licence: "NREL data use disclaimer agreement, shipped beside the data",
            },
        }
    }
}

impl Network {
    /// Counts and sums a network.
    pub(crate) fn summarise(buses: &[BusRow], taps: &[f64], units: &[Unit]) -> Self {
        let mut levels: Vec<f64> = buses.iter().map(|bus| bus.base_kv).collect();
        levels.sort_by(|a, b| b.total_cmp(a));
        levels.dedup();
        let transformers = taps.iter().filter(|tap| **tap != 0.0).count();
        let mut mix = BTreeMap::<&str, (usize, f64)>::new();
        for unit in units {
            let (count, capacity) = mix.entry(&unit.category).or_default();
            *count += 1;
            *capacity += unit.capacity_mw;
        }
        let mut generation_mix: Vec<Share> = mix
            .into_iter()
            .map(|(category, (unit_count, capacity_mw))| Share {
                category: spelt_out(category).to_owned(),
                unit_count,
                capacity_mw,
            })
            .collect();
        generation_mix.sort_by(|a, b| b.capacity_mw.total_cmp(&a.capacity_mw));
        Self {
            voltage_levels_kv: levels,
            bus_count: buses.len(),
            branch_count: taps.len(),
            line_count: taps.len() - transformers,
            transformer_count: transformers,
            generator_count: units.len(),
            capacity_mw: units.iter().map(|unit| unit.capacity_mw).sum(),
            load_mw: buses.iter().map(|bus| bus.load_mw).sum(),
            generation_mix,
        }
    }
}

/// IEEE-39 names its units in shorthand and numbers.
fn spelt_out(category: &str) -> &str {
    match category {
        "nuke" => "nuclear",
        "interconnection" => "interconnection (equivalent of the rest of the system)",
        other => other,
    }
}
