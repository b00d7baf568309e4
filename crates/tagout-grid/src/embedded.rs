//! The files under `data/`, read once.
use std::sync::LazyLock;

use jiff::civil::date;
use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    equipment::{Equipment, read_equipment},
    load::{Peak, PeakKind, PeakSet, Profile, Series},
    topology::{Network, Unit},
};

/// All data.
pub(crate) static DATA: LazyLock<Data> = LazyLock::new(read);

/// The data that ships in the binary.
pub(crate) struct Data {
    /// A week of RTS-GMLC's day-ahead load.
    pub(crate) rts_week: Series,
    /// Half-hourly demand of England and Wales.
    pub(crate) gb_2000: Series,
    /// Peaks of the year 2023.
    pub(crate) peaks_2023: PeakSet,
    /// Lines, transformers and generators of RTS-GMLC, in file order.
    pub(crate) equipment: Vec<Equipment>,
    /// RTS-GMLC in figures.
    pub(crate) rts_gmlc: Network,
    /// IEEE-39 in figures.
    pub(crate) ieee_39: Network,
}

/// A bus of a test network.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct BusRow {
    /// Bus number.
    pub(crate) bus: u32,
    /// Nominal voltage, in kV.
    pub(crate) base_kv: f64,
    /// Load of the network case, in MW.
    pub(crate) load_mw: f64,
}

/// What a topology needs of a branch.
#[derive(Deserialize)]
struct BranchRow {
    tap_ratio: f64,
}

/// What a topology needs of a generator.
#[derive(Deserialize)]
struct UnitRow {
    category: String,
    capacity_mw: f64,
}

#[expect(
    clippy::expect_used,
    reason = "INVARIANT: the bytes are part of the binary and a test reads every one of them"
)]
fn read() -> Data {
    try_read().expect("the embedded data is well formed")
}

fn try_read() -> Result<Data, csv::Error> {
    let buses: Vec<BusRow> = rows(include_str!("../data/rts_gmlc_bus.csv"))?;
    let branches = include_str!("../data/rts_gmlc_branch.csv");
    let generators = include_str!("../data/rts_gmlc_generator.csv");
    Ok(Data {
        rts_week: rts_week()?,
        gb_2000: gb_2000()?,
        peaks_2023: peaks_2023()?,
        equipment: read_equipment(&buses, rows(branches)?, rows(generators)?),
        rts_gmlc: network(&buses, branches, generators)?,
        ieee_39: network(
            &rows::<BusRow>(include_str!("../data/case39_bus.csv"))?,
            include_str!("../data/case39_branch.csv"),
            include_str!("../data/case39_generator.csv"),
        )?,
    })
}

fn rows<T: DeserializeOwned>(text: &str) -> Result<Vec<T>, csv::Error> {
    csv::Reader::from_reader(text.as_bytes()).deserialize().collect()
}

fn network(buses: &[BusRow], branches: &str, generators: &str) -> Result<Network, csv::Error> {
    let taps: Vec<f64> =
        rows::<BranchRow>(branches)?.into_iter().map(|branch| branch.tap_ratio).collect();
    let units = rows::<UnitRow>(generators)?
        .into_iter()
        .map(|unit| Unit { category: unit.category, capacity_mw: unit.capacity_mw })
        .collect::<Vec<_>>();
    Ok(Network::summarise(buses, &taps, &units))
}

fn rts_week() -> Result<Series, csv::Error> {
    let rows: Vec<(f64, f64, f64)> = rows(include_str!("../data/rts_gmlc_load_week.csv"))?;
    let profile = |area: &str, load: fn(&(f64, f64, f64)) -> f64| Profile {
        area: area.to_owned(),
        load_mw: rows.iter().map(load).collect(),
    };
    Ok(Series {
        first_ending: date(2020, 7, 6).at(1, 0, 0, 0),
        interval_minutes: 60,
        total: profile("RTS-GMLC, sum of its three regions", |row| row.0 + row.1 + row.2),
        regions: vec![
            profile("Region 1", |row| row.0),
            profile("Region 2", |row| row.1),
            profile("Region 3", |row| row.2),
        ],
    })
}

fn gb_2000() -> Result<Series, csv::Error> {
    let rows: Vec<(f64,)> = rows(include_str!("../data/gb_2000.csv"))?;
    Ok(Series {
        first_ending: date(2000, 6, 5).at(0, 30, 0, 0),
        interval_minutes: 30,
        total: Profile {
            area: "England and Wales".to_owned(),
            load_mw: rows.into_iter().map(|(demand,)| demand).collect(),
        },
        regions: Vec::new(),
    })
}

fn peaks_2023() -> Result<PeakSet, csv::Error> {
    let rows: Vec<Peak> = rows(include_str!("../data/peak_load_2023.csv"))?;
    let (groups, regions) = rows.into_iter().partition(|row| row.kind == PeakKind::Group);
    Ok(PeakSet { system_peak_mw: 741_216.0, system_peak_utc: US48_PEAK, groups, regions })
}

/// 2023-07-27T22:00Z.
const US48_PEAK: jiff::Timestamp = jiff::Timestamp::constant(1_690_495_200, 0);
