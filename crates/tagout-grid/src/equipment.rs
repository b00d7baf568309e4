//! Lines, transformers and generators of RTS-GMLC.
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    embedded::{BusRow, DATA},
    refusal::Refusal,
    rounding,
};

/// What every equipment identifier looks like: `A7`, `A25-1`, `AB2`, `CA-1`, `101_CT_1`. It asks
/// for a digit and for upper case, so no word of a sentence matches it.
pub const ID_PATTERN: &str =
    "^(?:[A-C]{1,2}-?[1-9][0-9]?(?:-[12])?|[1-3][0-9]{2}_[A-Z]+(?:_[A-Z]+)?_[1-9][0-9]?)$";

/// Where all equipment comes from.
const SOURCE: &str = "RTS-GMLC test case, DOE/NREL/ALLIANCE";

/// One piece of equipment and its own reliability figures.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Equipment {
    /// An overhead line or cable.
    Line(Branch),
    /// A branch with a tap ratio.
    Transformer(Branch),
    /// A generating unit, synchronous condenser or storage.
    Generator(Generator),
}

/// A line or transformer.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Branch {
    /// Identifier.
    pub id: String,
    /// Bus at one end.
    pub from_bus: u32,
    /// Bus at the other.
    pub to_bus: u32,
    /// Nominal voltage at `from_bus`, in kV.
    pub from_kv: f64,
    /// Nominal voltage at `to_bus`, in kV.
    pub to_kv: f64,
    /// Continuous rating, in MVA.
    pub rating_mva: f64,
    /// Permanent outages a year.
    pub permanent_outages_per_year: f64,
    /// Mean duration of one, in hours.
    pub outage_duration_h: f64,
    /// Outages a year times their duration, in hours a year.
    #[serde(serialize_with = "rounding::ratio")]
    pub expected_outage_h_per_year: f64,
    /// Length, in miles; lines only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length_miles: Option<f64>,
    /// Where the figures come from.
    pub source: &'static str,
}

/// A generating unit.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Generator {
    /// Identifier.
    pub id: String,
    /// The bus it feeds.
    pub bus: u32,
    /// Category, as in `Gas CT`.
    pub category: String,
    /// Fuel, as the source writes it (`NG` is natural gas).
    pub fuel: String,
    /// Capacity, in MW.
    pub capacity_mw: f64,
    /// Forced outage rate: MTTR / (MTTF + MTTR), 0 to 1.
    pub forced_outage_rate: f64,
    /// Mean time to failure, in hours; absent where the source gives none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mttf_h: Option<f64>,
    /// Mean time to repair, in hours; absent where the source gives none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mttr_h: Option<f64>,
    /// Where the figures come from.
    pub source: &'static str,
}

/// A branch as its file spells it.
#[derive(Deserialize)]
pub(crate) struct BranchRow {
    id: String,
    from_bus: u32,
    to_bus: u32,
    tap_ratio: f64,
    rating_mva: f64,
    permanent_outages_per_year: f64,
    outage_duration_h: f64,
    length_miles: f64,
}

/// A generator as its file spells it.
#[derive(Deserialize)]
pub(crate) struct GeneratorRow {
    id: String,
    bus: u32,
    category: String,
    fuel: String,
    capacity_mw: f64,
    forced_outage_rate: f64,
    mttf_h: f64,
    mttr_h: f64,
}

impl Equipment {
    /// All equipment, in the source's order.
    #[must_use]
    pub fn all() -> &'static [Self] {
        &DATA.equipment
    }

    /// The one called `id`.
    ///
    /// # Errors
    /// [`Refusal::UnknownEquipment`], with the identifiers that look most like `id`.
    pub fn find(id: &str) -> Result<&'static Self, Refusal> {
        Self::all()
            .iter()
            .find(|equipment| equipment.id() == id)
            .ok_or_else(|| Refusal::UnknownEquipment { id: id.into(), nearest: nearest(id) })
    }

    /// Its identifier.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Line(branch) | Self::Transformer(branch) => &branch.id,
            Self::Generator(generator) => &generator.id,
        }
    }

    /// `line`, `transformer` or `generator`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Line(_) => "line",
            Self::Transformer(_) => "transformer",
            Self::Generator(_) => "generator",
        }
    }

    /// One phrase that tells a person what it is.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Line(b) | Self::Transformer(b) => {
                let kv = if b.from_kv == b.to_kv {
                    format!("{} kV", b.from_kv)
                } else {
                    format!("{}/{} kV", b.from_kv, b.to_kv)
                };
                let (kind, from, to) = (self.kind(), b.from_bus, b.to_bus);
                format!("{kind} {} (buses {from}-{to}, {kv}, {} MVA)", b.id, b.rating_mva)
            }
            Self::Generator(g) => {
                format!("generator {} (bus {}, {}, {} MW)", g.id, g.bus, g.category, g.capacity_mw)
            }
        }
    }
}

/// Joins the rows of the source's files.
pub(crate) fn read_equipment(
    buses: &[BusRow],
    branches: Vec<BranchRow>,
    generators: Vec<GeneratorRow>,
) -> Vec<Equipment> {
    let kv: BTreeMap<u32, f64> = buses.iter().map(|bus| (bus.bus, bus.base_kv)).collect();
    let kv_of = |bus| kv.get(&bus).copied().unwrap_or_default();
    let branches = branches.into_iter().map(|row| {
        let is_line = row.tap_ratio == 0.0;
        let branch = Branch {
            from_kv: kv_of(row.from_bus),
            to_kv: kv_of(row.to_bus),
            expected_outage_h_per_year: row.permanent_outages_per_year * row.outage_duration_h,
            length_miles: is_line.then_some(row.length_miles),
            id: row.id,
            from_bus: row.from_bus,
            to_bus: row.to_bus,
            rating_mva: row.rating_mva,
            permanent_outages_per_year: row.permanent_outages_per_year,
            outage_duration_h: row.outage_duration_h,
            source: SOURCE,
        };
        if is_line { Equipment::Line(branch) } else { Equipment::Transformer(branch) }
    });
    let generators = generators.into_iter().map(|row| {
        let given = |hours: f64| (hours > 0.0).then_some(hours);
        Equipment::Generator(Generator {
            mttf_h: given(row.mttf_h),
            mttr_h: given(row.mttr_h),
            id: row.id,
            bus: row.bus,
            category: row.category,
            fuel: row.fuel,
            capacity_mw: row.capacity_mw,
            forced_outage_rate: row.forced_outage_rate,
            source: SOURCE,
        })
    });
    branches.chain(generators).collect()
}

/// How many there are and what their identifiers look like, for error messages.
pub(crate) fn known_ids() -> String {
    let count = |kind| Equipment::all().iter().filter(|e| e.kind() == kind).count();
    format!(
        "{} known: {} lines such as A1, AB2 or A25-1, {} transformers such as A7, \
         {} generators such as 101_CT_1; all are listed in `grid://datasets`",
        Equipment::all().len(),
        count("line"),
        count("transformer"),
        count("generator"),
    )
}

/// The five identifiers most like `id`, ignoring case; ties keep the source's order.
fn nearest(id: &str) -> Vec<&'static str> {
    // Longer than any identifier: what follows would only add the same distance to all of them.
    let wanted: Vec<char> = id.chars().take(24).map(|c| c.to_ascii_uppercase()).collect();
    let mut ids: Vec<_> =
        Equipment::all().iter().map(|e| (edit_distance(&wanted, e.id()), e.id())).collect();
    ids.sort_by_key(|(distance, _)| *distance);
    ids.into_iter().take(5).map(|(_, id)| id).collect()
}

/// Levenshtein distance, row by row.
fn edit_distance(wanted: &[char], known: &str) -> usize {
    let mut row: Vec<usize> = (0..=wanted.len()).collect();
    for (line, k) in known.chars().enumerate() {
        let mut diagonal = line;
        let mut left = line + 1;
        let mut next = vec![left];
        for (above, w) in row.iter().skip(1).zip(wanted) {
            let cost = usize::from(*w != k);
            left = (diagonal + cost).min(*above + 1).min(left + 1);
            next.push(left);
            diagonal = *above;
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}
