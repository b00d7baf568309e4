//! Regional peaks as sorted horizontal bars: groups first, then the single regions.
use super::{
    Sketch,
    scale::{Scale, ticks},
    svg::{Canvas, GRID, INK, MAIN, Style},
};
use crate::{
    load::{Card, Peak, PeakSet},
    rounding::grouped,
};

const WIDTH: u32 = 1200;
const HEIGHT: u32 = 800;
const LEFT: f64 = 190.0;
const RIGHT: f64 = 1150.0;
const TOP: f64 = 104.0;
const BOTTOM: f64 = 702.0;
/// Height of a bar with the gap below it, and of a heading.
const ROW: f64 = 28.6;
const HEADING: f64 = 38.0;
const BAR: f64 = 20.0;

/// Draws `set`.
pub(super) fn sketch(card: &Card, set: &PeakSet) -> Sketch {
    let highest =
        set.groups.iter().chain(&set.regions).map(|peak| peak.peak_mw).fold(0.0, f64::max);
    // Room for the text at the end of the longest bar.
    let axis = ticks(0.0, highest, 5);
    let x = Scale { low: 0.0, high: highest * 1.36, from_px: LEFT, to_px: RIGHT };
    let mut canvas = Canvas::new(WIDTH, HEIGHT);
    canvas.text((30.0, 46.0), Style::new(26.0).bold(), card.title);
    let subtitle = format!(
        "Highest hourly demand of each region and when it was ({}). All together: {} MW, {}.",
        card.clock,
        grouped(set.system_peak_mw),
        when(set.system_peak_utc),
    );
    canvas.text((30.0, 74.0), Style::new(16.0).soft(), &subtitle);
    for tick in axis {
        canvas.line((x.px(tick), TOP), (x.px(tick), BOTTOM), GRID, 1.0);
        let label = Style::new(15.0).anchored("middle");
        canvas.text((x.px(tick), BOTTOM + 24.0), label, &grouped(tick));
    }
    let next = section(&mut canvas, x, (TOP, "Groups", MAIN), &set.groups);
    section(&mut canvas, x, (next, "EIA regions", "#7fa3c7"), &set.regions);
    canvas.line((LEFT, TOP), (LEFT, BOTTOM), INK, 1.2);
    let middle = f64::midpoint(LEFT, x.px(highest));
    let label = Style::new(15.0).anchored("middle");
    canvas.text((middle, BOTTOM + 50.0), label, &format!("Peak load ({})", card.unit));
    let source = format!("Source: {}, {}.", card.source, card.licence);
    canvas.text((30.0, 784.0), Style::new(13.0).soft(), &source);
    Sketch {
        svg: canvas.finish(),
        width_px: WIDTH,
        height_px: HEIGHT,
        points: set.groups.len() + set.regions.len(),
        alt_text: format!(
            "Bar chart: {}, in {}, {}. Groups: {}. EIA regions: {}.",
            card.title,
            card.unit,
            card.clock,
            listed(&set.groups),
            listed(&set.regions),
        ),
    }
}

/// Draws a heading and its bars; gives back where the next section begins.
fn section(
    canvas: &mut Canvas,
    x: Scale,
    (top, heading, colour): (f64, &str, &str),
    peaks: &[Peak],
) -> f64 {
    canvas.text((30.0, top + 24.0), Style::new(15.0).bold(), heading);
    let mut y = top + HEADING;
    for peak in sorted(peaks) {
        let end = x.px(peak.peak_mw);
        canvas.rect((LEFT, y), (end - LEFT, BAR), colour, 2.0);
        let base = y + BAR / 2.0 + 5.2;
        canvas.text((LEFT - 10.0, base), Style::new(15.0).anchored("end"), &label(peak));
        let figure = Style::new(15.0).bold();
        canvas.text((end + 8.0, base), figure, &format!("{} MW", grouped(peak.peak_mw)));
        let date = Style::new(14.0).soft();
        canvas.text((end + 112.0, base), date, &when(peak.peak_utc_hour_ending));
        y += ROW;
    }
    y
}

fn sorted(peaks: &[Peak]) -> Vec<&Peak> {
    let mut sorted: Vec<&Peak> = peaks.iter().collect();
    sorted.sort_by(|a, b| b.peak_mw.total_cmp(&a.peak_mw));
    sorted
}

/// A region with its code, a group by its name alone.
fn label(peak: &Peak) -> String {
    if peak.name == peak.region {
        peak.name.clone()
    } else {
        format!("{} ({})", peak.name, peak.region)
    }
}

fn when(hour_ending: jiff::Timestamp) -> String {
    hour_ending.strftime("%-d %b %H:%M UTC").to_string()
}

fn listed(peaks: &[Peak]) -> String {
    let named = |peak: &&Peak| format!("{} {} MW", peak.region, grouped(peak.peak_mw));
    sorted(peaks).iter().map(named).collect::<Vec<_>>().join(", ")
}
