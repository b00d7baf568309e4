//! The embedded data is whole.
use tagout_grid::{
    equipment::{Equipment, ID_PATTERN},
    load::{Content, DatasetId},
};

#[test]
fn every_file_reads() {
    for dataset in DatasetId::ALL {
        match dataset.content() {
            Content::Series(series) => {
                let length = series.total.load_mw.len();
                assert!(length == 168 || length == 4032);
                assert!(series.regions.iter().all(|region| region.load_mw.len() == length));
            }
            Content::Peaks(set) => {
                assert_eq!((set.groups.len(), set.regions.len()), (5, 13));
                assert_eq!(set.system_peak_utc.to_string(), "2023-07-27T22:00:00Z");
            }
        }
        assert_eq!(dataset.card().dataset_id.parse(), Ok(dataset));
    }
    assert_eq!(DatasetId::ALL.map(|id| id.card().dataset_id), DatasetId::NAMES);
}

#[test]
fn equipment_is_complete() {
    let count = |kind| Equipment::all().iter().filter(|e| e.kind() == kind).count();
    assert_eq!((count("line"), count("transformer"), count("generator")), (104, 16, 158));
    let Ok(Equipment::Transformer(a7)) = Equipment::find("A7") else { panic!("a transformer") };
    assert_eq!((a7.from_bus, a7.to_bus, a7.rating_mva), (103, 124, 400.0));
    assert_eq!((a7.from_kv, a7.to_kv), (138.0, 230.0));
    // Permanent outages of all branches, as the source's documentation sums them up.
    let outages: f64 = Equipment::all()
        .iter()
        .filter_map(|equipment| match equipment {
            Equipment::Line(b) | Equipment::Transformer(b) => Some(b.permanent_outages_per_year),
            Equipment::Generator(_) => None,
        })
        .sum();
    assert!((outages - 41.2).abs() < 0.1, "{outages}");
}

#[test]
fn forced_outage_rates_agree_with_their_times() {
    for equipment in Equipment::all() {
        if let Equipment::Generator(g) = equipment
            && let (Some(mttf), Some(mttr)) = (g.mttf_h, g.mttr_h)
        {
            assert!((mttr / (mttf + mttr) - g.forced_outage_rate).abs() < 1e-3, "{}", g.id);
        }
    }
}

#[test]
fn the_pattern_matches_every_identifier_and_no_word() {
    let schema = serde_json::json!({ "type": "string", "pattern": ID_PATTERN });
    let pattern = jsonschema::validator_for(&schema).expect("a schema");
    for equipment in Equipment::all() {
        assert!(pattern.is_valid(&equipment.id().into()), "{}", equipment.id());
    }
    let words = "What is the outage risk of transformer at 38 C with 70 km/h wind? A B C AB CAB \
                 Cab A/C 12mm 38C C02 CO2 Delete all records I IS A1000 B0 2020 101 CT WIND";
    for word in words.split_whitespace() {
        assert!(!pattern.is_valid(&word.into()), "{word}");
    }
}
