//! The three tools: their definitions and what a call does.
mod arguments;

use std::sync::{Arc, LazyLock};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rmcp::{
    ErrorData,
    handler::server::tool::parse_json_object,
    model::{CallToolResult, ContentBlock, JsonObject, MetaObject, Tool, ToolAnnotations},
};
use schemars::{JsonSchema, generate::SchemaSettings};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    analysis::LoadAnalysis,
    chart::{Chart, ChartError},
    load::DatasetId,
    refusal::Refusal,
    risk::Risk,
};
use arguments::{AnalyzeLoadPattern, GenerateGridVisualization, PredictOutageRisk};

/// Each tool with its reviewed effects, as a lockfile wants them. All only read data that is part
/// of the binary.
pub const TOOL_EFFECTS: &[(&str, &[&str])] =
    &[(ANALYZE, &["read"]), (PREDICT, &["read"]), (DRAW, &["read"])];

const ANALYZE: &str = "analyze_load_pattern";
const PREDICT: &str = "predict_outage_risk";
const DRAW: &str = "generate_grid_visualization";

/// The key of a refusal's stable code in a result's `_meta`.
const CODE_KEY: &str = "tagout.grid/code";

/// Every definition, in the order in which they are listed.
pub(crate) static TOOLS: LazyLock<[Tool; 3]> = LazyLock::new(|| {
    [
        define::<AnalyzeLoadPattern, LoadAnalysis>(
            ANALYZE,
            "Analyze load pattern",
            "Analyse electricity load and demand patterns of a data set: maximum, minimum, mean \
             and median load in MW and when they occur, load factor, energy, ramps, rolling mean \
             and volatility over a window of hours, daily profile by hour, trend with its reason; \
             for regional peaks: largest, smallest, coincidence and diversity. Figures per region \
             too.",
        ),
        define::<PredictOutageRisk, Risk>(
            PREDICT,
            "Predict outage risk",
            "Score the weather-related outage or failure risk of one piece of grid equipment (a \
             transformer, a transmission line or a generator of the RTS-GMLC test system) from \
             temperature, wind speed and precipitation (rain). Gives a score from 0 to 1, a \
             category, the factors, and the equipment's own outage figures. An illustrative \
             linear score, not a probability.",
        ),
        define::<GenerateGridVisualization, Drawing>(
            DRAW,
            "Generate grid visualization",
            "Draw, plot or show a data set as a chart (PNG image): a line chart of a load \
             profile over time, or a bar chart of regional peak loads.",
        ),
    ]
});

/// What comes with a picture.
#[derive(Debug, Serialize, JsonSchema)]
struct Drawing {
    /// The data set that was drawn.
    dataset_id: &'static str,
    /// Title in the picture.
    title: &'static str,
    /// What the picture shows, in words and figures.
    alt_text: String,
    /// Unit of the load axis.
    unit: &'static str,
    /// Who made the data, from what.
    source: &'static str,
    /// Width of the picture, in pixels.
    width_px: u32,
    /// Height of the picture, in pixels.
    height_px: u32,
    /// Size of the PNG file, in bytes.
    png_bytes: usize,
    /// How many values are drawn.
    points: usize,
    /// The picture as a `data:image/png;base64,` URI; only if `data_uri` was true.
    #[serde(skip_serializing_if = "Option::is_none")]
    visualization: Option<String>,
}

/// Carries out one call.
///
/// # Errors
/// A protocol error for a tool that does not exist, arguments that do not have the shape of its
/// schema, or a picture that could not be drawn. A [`Refusal`] is a result, not an error.
pub(crate) fn call(name: &str, arguments: JsonObject) -> Result<CallToolResult, ErrorData> {
    let outcome = match name {
        ANALYZE => analyze(parse_json_object(arguments)?),
        PREDICT => predict(parse_json_object(arguments)?),
        DRAW => draw(parse_json_object(arguments)?),
        _ => {
            let known = TOOL_EFFECTS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
            let message = format!("there is no such tool; known: {known}");
            return Err(ErrorData::invalid_params(message, None));
        }
    };
    match outcome {
        Ok(result) => Ok(result),
        Err(Failure::Refused(refusal)) => Ok(refused(&refusal)),
        Err(Failure::Broken(error)) => Err(ErrorData::internal_error(error.to_string(), None)),
        Err(Failure::Unserialisable(error)) => {
            Err(ErrorData::internal_error(error.to_string(), None))
        }
    }
}

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Broken(#[from] ChartError),
    #[error(transparent)]
    Unserialisable(#[from] serde_json::Error),
}

fn analyze(arguments: AnalyzeLoadPattern) -> Result<CallToolResult, Failure> {
    let dataset: DatasetId = arguments.dataset_id.parse()?;
    let analysis = LoadAnalysis::of(dataset, arguments.window_hours()?)?;
    let text = analysis.summary();
    Ok(answer(vec![ContentBlock::text(text)], serde_json::to_value(analysis)?))
}

fn predict(arguments: PredictOutageRisk) -> Result<CallToolResult, Failure> {
    let risk = Risk::assess(&arguments.equipment_id, arguments.weather_data)?;
    let weather = risk.weather;
    let assumed = match risk.assumptions.as_slice() {
        [] => String::new(),
        several => format!(" Assumed: {}.", several.join("; ")),
    };
    let text = format!(
        "Outage risk score {} ({}) for {} at {} °C, {} km/h wind, {} mm precipitation.{assumed} \
         Illustrative linear score, not a probability.",
        risk.risk_score,
        risk.risk_category.word(),
        risk.equipment.describe(),
        weather.temp_c,
        weather.wind_kph,
        weather.precip_mm,
    );
    Ok(answer(vec![ContentBlock::text(text)], serde_json::to_value(risk)?))
}

fn draw(arguments: GenerateGridVisualization) -> Result<CallToolResult, Failure> {
    let dataset: DatasetId = arguments.dataset_id.parse()?;
    let card = dataset.card();
    let chart = Chart::of(dataset)?;
    let picture = STANDARD.encode(&chart.png);
    let drawing = Drawing {
        dataset_id: card.dataset_id,
        title: card.title,
        unit: card.unit,
        source: card.source,
        width_px: chart.width_px,
        height_px: chart.height_px,
        png_bytes: chart.png.len(),
        points: chart.points,
        visualization: arguments.data_uri.then(|| format!("data:image/png;base64,{picture}")),
        alt_text: chart.alt_text,
    };
    let content = vec![
        ContentBlock::text(drawing.alt_text.clone()),
        ContentBlock::image(picture, "image/png"),
    ];
    Ok(answer(content, serde_json::to_value(drawing)?))
}

fn answer(content: Vec<ContentBlock>, structured: Value) -> CallToolResult {
    let mut result = CallToolResult::success(content);
    result.structured_content = Some(structured);
    result
}

/// The code stands in the text, for models, and in `_meta`, for programs: structured content
/// would have to follow the tool's output schema.
fn refused(refusal: &Refusal) -> CallToolResult {
    let text = format!("{}: {refusal}", refusal.code());
    let mut result = CallToolResult::error(vec![ContentBlock::text(text)]);
    let mut meta = MetaObject::default();
    meta.insert(CODE_KEY.to_owned(), json!(refusal.code()));
    result.meta = Some(meta);
    result
}

fn define<Input: JsonSchema, Output: JsonSchema>(
    name: &'static str,
    title: &'static str,
    description: &'static str,
) -> Tool {
    let hints = ToolAnnotations::with_title(title)
        .read_only(true)
        .destructive(false)
        .idempotent(true)
        .open_world(false);
    // A planner reads the input's properties one by one, so that one has no references.
    let mut input = SchemaSettings::draft2020_12().for_deserialize();
    input.inline_subschemas = true;
    let output = SchemaSettings::draft2020_12().for_serialize();
    Tool::new(name, description, schema::<Input>(input))
        .with_title(title)
        .with_raw_output_schema(schema::<Output>(output))
        .with_annotations(hints)
}

/// A schema whose root is an object, as MCP asks. Title and description of the root are the tool's.
fn schema<T: JsonSchema>(settings: SchemaSettings) -> Arc<JsonObject> {
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    let mut root = std::mem::take(schema.ensure_object());
    root.entry("type").or_insert_with(|| json!("object"));
    root.values_mut().for_each(plain);
    root.retain(|key, _| key != "title" && key != "description");
    Arc::new(root)
}

/// Drops what only Rust knows: number formats (`double`, `uint32`), a default of `null` for what
/// may be left out, and the line breaks of doc comments.
fn plain(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            object.retain(|key, value| {
                !(key == "format" && value.is_string() || key == "default" && value.is_null())
            });
            if let Some(Value::String(text)) = object.get_mut("description") {
                *text = text.replace('\n', " ");
            }
            object.values_mut().for_each(plain);
        }
        Value::Array(items) => items.iter_mut().for_each(plain),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
