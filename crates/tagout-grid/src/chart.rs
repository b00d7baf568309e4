//! Pictures of the data sets: SVG made here, drawn to PNG with an embedded font.
mod bars;
mod lines;
mod raster;
mod scale;
mod svg;

use crate::load::{Content, DatasetId};

/// A chart as a PNG file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chart {
    /// The file.
    pub png: Vec<u8>,
    /// Width, in pixels.
    pub width_px: u32,
    /// Height, in pixels.
    pub height_px: u32,
    /// How many values are drawn.
    pub points: usize,
    /// What it shows, in words and figures.
    pub alt_text: String,
}

/// Why a picture could not be made. None of this depends on a caller's input.
#[derive(Debug, thiserror::Error)]
pub enum ChartError {
    /// The SVG text is not well formed.
    #[error("the chart could not be drawn")]
    Svg(#[from] resvg::usvg::Error),
    /// The picture has no area, or the PNG encoder failed.
    #[error("the chart could not be written as PNG: {0}")]
    Png(Box<str>),
}

/// A picture in words and shapes, before it becomes pixels.
struct Sketch {
    svg: String,
    width_px: u32,
    height_px: u32,
    points: usize,
    alt_text: String,
}

impl Chart {
    /// Draws a data set: lines for a series, bars for a set of peaks. The same bytes every time.
    ///
    /// # Errors
    /// [`ChartError`], which would be a mistake in this crate.
    pub fn of(dataset: DatasetId) -> Result<Self, ChartError> {
        let sketch = match dataset.content() {
            Content::Series(series) => lines::sketch(dataset.card(), series),
            Content::Peaks(set) => bars::sketch(dataset.card(), set),
        };
        let png = raster::png(&sketch.svg, sketch.width_px, sketch.height_px)?;
        let Sketch { width_px, height_px, points, alt_text, .. } = sketch;
        Ok(Self { png, width_px, height_px, points, alt_text })
    }
}
