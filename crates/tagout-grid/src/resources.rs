//! The `grid://` resources. All are known from the start, so reading one is a look-up.
use std::sync::LazyLock;

use rmcp::{
    ErrorData,
    model::{ReadResourceResult, Resource, ResourceContents, ResourceTemplate},
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    equipment::{Equipment, ID_PATTERN},
    load::{Content, DatasetId, Profile, Series},
    refusal::Echo,
    tools::TOOL_EFFECTS,
    topology::Region,
};

/// Values of a series that a resource shows at most: six weeks of half-hours. Keeps every resource
/// under 25 kB.
const VALUES_SHOWN: usize = 2016;

const JSON: &str = "application/json";

/// A resource's entry in the list and its content.
struct Entry {
    resource: Resource,
    text: String,
}

static ENTRIES: LazyLock<Vec<Entry>> = LazyLock::new(|| {
    let topologies = Region::ALL.into_iter().map(topology);
    let loads = DatasetId::ALL.into_iter().map(load);
    std::iter::once(datasets()).chain(topologies).chain(loads).collect()
});

/// Every resource, in a fixed order.
pub(crate) fn list() -> Vec<Resource> {
    ENTRIES.iter().map(|entry| entry.resource.clone()).collect()
}

/// The two templates.
pub(crate) fn templates() -> Vec<ResourceTemplate> {
    vec![
        ResourceTemplate::new("grid://topology/{region}", "topology")
            .with_title("Grid topology")
            .with_description(
                "A test network of a region (northeast or southwest): voltage levels, counts of \
                 buses, lines, transformers and generators, generation mix in MW.",
            )
            .with_mime_type(JSON),
        ResourceTemplate::new("grid://load/{dataset_id}", "load")
            .with_title("Load data set")
            .with_description(format!(
                "A load data set in MW with its clock, source and licence. Known: {}.",
                DatasetId::NAMES.join(", ")
            ))
            .with_mime_type(JSON),
    ]
}

/// The content behind `uri`.
///
/// # Errors
/// A resource-not-found error that lists the known URIs.
pub(crate) fn read(uri: &str) -> Result<ReadResourceResult, ErrorData> {
    let Some(entry) = ENTRIES.iter().find(|entry| entry.resource.uri == uri) else {
        let known: Vec<&str> = ENTRIES.iter().map(|entry| entry.resource.uri.as_str()).collect();
        let uri = Echo::from(uri);
        let message = format!("there is no resource `{uri}`; known: {}", known.join(", "));
        let data = json!({ "uri": uri.to_string(), "known": known });
        return Err(ErrorData::resource_not_found(message, Some(data)));
    };
    let contents = ResourceContents::text(&entry.text, uri).with_mime_type(JSON);
    Ok(ReadResourceResult::new(vec![contents]))
}

fn entry(uri: String, title: &str, description: String, content: &Value) -> Entry {
    let text = content.to_string();
    let name = uri.trim_start_matches("grid://").to_owned();
    let size = u64::try_from(text.len()).unwrap_or(u64::MAX);
    let resource = Resource::new(uri, name)
        .with_title(title)
        .with_description(description)
        .with_mime_type(JSON)
        .with_size(size);
    Entry { resource, text }
}

fn topology(region: Region) -> Entry {
    let topology = region.topology();
    let description = format!("Test case, not the real network of the {}.", region.name());
    entry(
        format!("grid://topology/{}", region.name()),
        topology.title,
        description,
        &json!(topology),
    )
}

fn load(dataset: DatasetId) -> Entry {
    let card = dataset.card();
    let mut content = json!(card);
    let figures = match dataset.content() {
        Content::Series(series) => json!(Shown::of(series)),
        Content::Peaks(set) => json!({
            "system_peak_mw": set.system_peak_mw,
            "system_peak_utc_hour_ending": set.system_peak_utc,
            "groups": set.groups,
            "eia_regions": set.regions,
        }),
    };
    if let (Value::Object(content), Value::Object(figures)) = (&mut content, figures) {
        content.extend(figures);
    }
    let description = format!("{}; {}; {}.", card.nature, card.unit, card.clock);
    entry(format!("grid://load/{}", card.dataset_id), card.title, description, &content)
}

/// A series as a resource shows it.
#[derive(Serialize)]
struct Shown<'a> {
    interval_minutes: u32,
    first_interval_ending: String,
    values_in_series: usize,
    values_shown: usize,
    truncated: bool,
    profiles: Vec<Profile>,
    #[serde(skip_serializing_if = "Option::is_none")]
    truncation_note: Option<&'a str>,
}

impl Shown<'_> {
    fn of(series: &Series) -> Self {
        let shorten = |profile: &Profile| Profile {
            area: profile.area.clone(),
            load_mw: profile.load_mw.iter().copied().take(VALUES_SHOWN).collect(),
        };
        let length = series.total.load_mw.len();
        let truncated = length > VALUES_SHOWN;
        Self {
            interval_minutes: series.interval_minutes,
            first_interval_ending: series.first_ending.to_string(),
            values_in_series: length,
            values_shown: length.min(VALUES_SHOWN),
            truncated,
            profiles: std::iter::once(&series.total).chain(&series.regions).map(shorten).collect(),
            truncation_note: truncated.then_some(
                "only the beginning is shown; `analyze_load_pattern` covers the whole series",
            ),
        }
    }
}

fn datasets() -> Entry {
    let regions: Vec<Value> = Region::ALL
        .into_iter()
        .map(|region| {
            let topology = region.topology();
            json!({
                "region": region.name(),
                "title": topology.title,
                "label": topology.label,
                "uri": format!("grid://topology/{}", region.name()),
            })
        })
        .collect();
    let loads: Vec<Value> = DatasetId::ALL
        .into_iter()
        .map(|dataset| {
            let card = dataset.card();
            json!({
                "dataset_id": card.dataset_id,
                "title": card.title,
                "nature": card.nature,
                "unit": card.unit,
                "uri": format!("grid://load/{}", card.dataset_id),
            })
        })
        .collect();
    let equipment: Vec<Value> = ["line", "transformer", "generator"]
        .into_iter()
        .map(|kind| {
            let ids: Vec<&str> =
                Equipment::all().iter().filter(|e| e.kind() == kind).map(Equipment::id).collect();
            json!({ "kind": kind, "count": ids.len(), "ids": ids })
        })
        .collect();
    let content = json!({
        "regions": regions,
        "datasets": loads,
        "equipment": equipment,
        "equipment_id_pattern": ID_PATTERN,
        "equipment_source": "RTS-GMLC test case, DOE/NREL/ALLIANCE",
        "tools": TOOL_EFFECTS.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
    });
    entry(
        "grid://datasets".to_owned(),
        "Everything there is to ask about",
        "Regions, load data sets and equipment with their identifiers.".to_owned(),
        &content,
    )
}
