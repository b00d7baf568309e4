//! Load over time: a line per area, days or weeks below, the peak and the low marked.
use jiff::civil::{DateTime, Weekday};

use super::{
    Sketch,
    scale::{Scale, ticks},
    svg::{Canvas, GRID, INK, MAIN, OTHERS, SHADE, SOFT, Style},
};
use crate::{
    analysis::mean,
    load::{Card, Profile, Series},
    rounding::grouped,
};

const WIDTH: u32 = 1200;
const HEIGHT: u32 = 675;
const LEFT: f64 = 96.0;
const RIGHT: f64 = 1168.0;
const TOP: f64 = 132.0;
const BOTTOM: f64 = 572.0;
/// Series longer than this, in days, show their daily mean over thin lines, and weeks below.
const DETAIL_DAYS: f64 = 16.0;

/// One line of the chart.
struct Trace {
    name: String,
    colour: &'static str,
    width: f64,
    values: Vec<f64>,
    /// Position of the first value in the series.
    first: usize,
}

/// The drawing area and what it maps.
struct Plot<'a> {
    series: &'a Series,
    x: Scale,
    y: Scale,
    days: f64,
}

/// Draws `series`.
pub(super) fn sketch(card: &Card, series: &Series) -> Sketch {
    let plot = Plot::of(series);
    let traces = plot.traces();
    let mut canvas = Canvas::new(WIDTH, HEIGHT);
    canvas.text((LEFT, 46.0), Style::new(26.0).bold(), card.title);
    let subtitle = format!("{} · mean load per {}", card.nature, plot.interval());
    canvas.text((LEFT, 74.0), Style::new(16.0).soft(), &subtitle);
    legend(&mut canvas, &traces);
    plot.load_axis(&mut canvas, card.unit);
    plot.time_axis(&mut canvas);
    for trace in traces.iter().rev() {
        canvas.path(plot.points(trace), trace.colour, trace.width);
    }
    let marked = plot.mark_extremes(&mut canvas);
    canvas.text(
        (f64::midpoint(LEFT, RIGHT), 638.0),
        Style::new(15.0).anchored("middle"),
        &format!("Time: {}", card.clock),
    );
    canvas.text(
        (LEFT, 662.0),
        Style::new(13.0).soft(),
        &format!("Source: {}. Shaded: weekend.", short_source(card)),
    );
    let names: Vec<&str> = traces.iter().map(|trace| trace.name.as_str()).collect();
    Sketch {
        svg: canvas.finish(),
        width_px: WIDTH,
        height_px: HEIGHT,
        points: series.total.load_mw.len() * (1 + series.regions.len()),
        alt_text: format!(
            "Line chart: {} ({}), in {}, {}. {marked}. Lines: {}.",
            card.title,
            card.nature,
            card.unit,
            card.clock,
            names.join("; ")
        ),
    }
}

/// The part of the source that fits below a chart.
fn short_source(card: &Card) -> &str {
    card.source.split(';').next().unwrap_or(card.source)
}

fn legend(canvas: &mut Canvas, traces: &[Trace]) {
    let mut x = LEFT;
    for trace in traces {
        canvas.line((x, 103.0), (x + 26.0, 103.0), trace.colour, trace.width.max(2.5) + 0.5);
        canvas.text((x + 34.0, 108.0), Style::new(15.0), &trace.name);
        // Inter's letters are a little over half as wide as they are high.
        let letters = u32::try_from(trace.name.chars().count()).unwrap_or_default();
        x += 34.0 + 8.1 * f64::from(letters) + 30.0;
    }
}

impl<'a> Plot<'a> {
    fn of(series: &'a Series) -> Self {
        let all = || {
            std::iter::once(&series.total)
                .chain(&series.regions)
                .flat_map(|profile| profile.load_mw.iter().copied())
        };
        let (low, high) = all().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        });
        // An axis that nearly reaches zero anyway should reach it.
        let low = if low < 0.4 * high { low.min(0.0) } else { low - 0.04 * (high - low) };
        let ticks = ticks(low, high + 0.06 * (high - low), 6);
        let y = Scale {
            low: ticks.first().copied().unwrap_or(low),
            high: ticks.last().copied().unwrap_or(high),
            from_px: BOTTOM,
            to_px: TOP,
        };
        let days = f64::from(series.hours()) / 24.0;
        Self { series, x: Scale { low: 0.0, high: days, from_px: LEFT, to_px: RIGHT }, y, days }
    }

    fn detailed(&self) -> bool {
        self.days <= DETAIL_DAYS
    }

    fn interval(&self) -> &'static str {
        if self.series.interval_minutes == 30 { "half hour" } else { "hour" }
    }

    fn traces(&self) -> Vec<Trace> {
        let Profile { area, load_mw } = &self.series.total;
        let values = load_mw.clone();
        if !self.detailed() {
            let name = format!("{area}, per {}", self.interval());
            let fine = Trace { name, colour: "#6f94b8", width: 1.1, values, first: 0 };
            return vec![self.daily_means(), fine];
        }
        let total = Trace { name: area.clone(), colour: MAIN, width: 3.0, values, first: 0 };
        let regions =
            self.series.regions.iter().zip(OTHERS.iter().cycle()).map(|(region, colour)| {
                let Profile { area, load_mw } = region.clone();
                Trace { name: area, colour, width: 2.0, values: load_mw, first: 0 }
            });
        std::iter::once(total).chain(regions).collect()
    }

    /// The mean of each 24 hours, drawn at their middle.
    fn daily_means(&self) -> Trace {
        let half = 12 * self.series.per_hour();
        let values = self.series.total.load_mw.windows(2 * half).map(mean).collect();
        let name = "mean of the 24 h around".to_owned();
        Trace { name, colour: OTHERS[0], width: 3.0, values, first: half }
    }

    /// Days from the beginning to the middle of the interval at `position`.
    fn day(&self, position: usize) -> f64 {
        (position as f64 + 0.5) * f64::from(self.series.interval_minutes) / 1440.0
    }

    fn points<'v>(&'v self, trace: &'v Trace) -> impl Iterator<Item = (f64, f64)> + 'v {
        (trace.first..)
            .zip(&trace.values)
            .map(|(position, value)| (self.x.px(self.day(position)), self.y.px(*value)))
    }

    fn load_axis(&self, canvas: &mut Canvas, unit: &str) {
        self.weekends(canvas);
        for tick in ticks(self.y.low, self.y.high, 6) {
            let y = self.y.px(tick);
            canvas.line((LEFT, y), (RIGHT, y), GRID, 1.0);
            canvas.text((LEFT - 10.0, y + 5.0), Style::new(15.0).anchored("end"), &grouped(tick));
        }
        let middle = f64::midpoint(TOP, BOTTOM);
        canvas.upright(
            (28.0, middle),
            Style::new(15.0).anchored("middle"),
            &format!("Load ({unit})"),
        );
    }

    fn midnights(&self) -> impl Iterator<Item = (f64, DateTime)> {
        let start = self.series.beginning(0);
        (0..=400_u16).map(f64::from).take_while(|day| *day < self.days).zip(0_i64..).map(
            move |(day, days)| {
                (day, start.saturating_add(jiff::SignedDuration::from_hours(24 * days)))
            },
        )
    }

    fn weekends(&self, canvas: &mut Canvas) {
        for (day, date) in self.midnights() {
            if matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday) {
                let (from, to) = (self.x.px(day), self.x.px((day + 1.0).min(self.days)));
                canvas.rect((from, TOP), (to - from, BOTTOM - TOP), SHADE, 0.0);
            }
        }
    }

    fn time_axis(&self, canvas: &mut Canvas) {
        let label = Style::new(15.0);
        for (day, date) in self.midnights() {
            let x = self.x.px(day);
            if self.detailed() {
                canvas.line((x, TOP), (x, BOTTOM + 6.0), GRID, 1.0);
                let name = date.strftime("%a %-d %b").to_string();
                canvas.text((self.x.px(day + 0.5), BOTTOM + 40.0), label.anchored("middle"), &name);
                for (hour, share) in [("6", 0.25), ("12", 0.5), ("18", 0.75)] {
                    let x = self.x.px(day + share);
                    canvas.line((x, BOTTOM), (x, BOTTOM + 4.0), SOFT, 1.0);
                    let small = Style::new(12.0).soft().anchored("middle");
                    canvas.text((x, BOTTOM + 18.0), small, hour);
                }
            } else if date.weekday() == Weekday::Monday {
                canvas.line((x, TOP), (x, BOTTOM + 6.0), GRID, 1.0);
                let name = date.strftime("%-d %b").to_string();
                canvas.text((x, BOTTOM + 26.0), label.anchored("middle"), &name);
            }
        }
        canvas.line((LEFT, BOTTOM), (RIGHT, BOTTOM), INK, 1.2);
    }

    /// Marks the highest and the lowest total, and says both in words.
    fn mark_extremes(&self, canvas: &mut Canvas) -> String {
        let values = || self.series.total.load_mw.iter().copied().enumerate();
        let highest = values().reduce(|best, next| if next.1 > best.1 { next } else { best });
        let lowest = values().reduce(|best, next| if next.1 < best.1 { next } else { best });
        let mut said = Vec::new();
        for (word, extreme, rise) in [("Peak", highest, -14.0), ("Low", lowest, 26.0)] {
            let Some((position, value)) = extreme else { continue };
            let when = self.series.ending(position).strftime("%a %-d %b, %H:%M");
            let text = format!("{word} {} MW ({when})", grouped(value));
            let at = (self.x.px(self.day(position)), self.y.px(value));
            let anchor = if at.0 < LEFT + 130.0 {
                "start"
            } else if at.0 > RIGHT - 130.0 {
                "end"
            } else {
                "middle"
            };
            let style = Style { halo: true, ..Style::new(15.0).bold().anchored(anchor) };
            canvas.dot(at, MAIN);
            canvas.text((at.0, at.1 + rise), style, &text);
            said.push(text);
        }
        said.join("; ")
    }
}
