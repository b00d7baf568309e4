//! One row that says what is going on.
use std::time::Duration;

use crate::{
    Screen, printable,
    wrap::{clusters_of, width},
};

/// Between two drawings.
const PERIOD: Duration = Duration::from_millis(100);
/// The signs that go round.
const SIGNS: [&str; 4] = ["◐", "◓", "◑", "◒"];
/// Columns of a bar.
const BAR: usize = 20;

/// What is going on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// In words.
    pub message: String,
    /// How far it is, in whatever unit.
    pub value: Option<f64>,
    /// How far it has to come, in the same unit.
    pub total: Option<f64>,
}

/// A row at the bottom that is drawn over itself and leaves nothing behind: a sign that moves, the
/// time, a bar where it is known how far there is to go.
///
/// The cursor has to be at the start of a row; before anything else is written, [`Progress::clear`]
/// has to be. Without a terminal nothing is drawn.
#[derive(Debug)]
pub struct Progress {
    screen: Screen,
    status: Status,
    /// When it began, and when it was drawn last.
    begun: Option<Duration>,
    drawn: Option<Duration>,
}

impl Progress {
    /// Nothing is going on yet.
    #[must_use]
    pub fn new(screen: &Screen) -> Self {
        Self { screen: screen.clone(), status: Status::default(), begun: None, drawn: None }
    }

    /// What is going on now. `now` is the time on any clock that goes forward.
    #[must_use]
    pub fn update(&mut self, now: Duration, status: Status) -> String {
        self.status = status;
        self.status.message = printable(&self.status.message).replace(['\n', '\t'], " ");
        self.begun.get_or_insert(now);
        self.tick(now)
    }

    /// Draws it again, if it is time: at most ten times a second.
    #[must_use]
    pub fn tick(&mut self, now: Duration) -> String {
        let early = self.drawn.is_some_and(|drawn| now.saturating_sub(drawn) < PERIOD);
        let Some(begun) = self.begun.filter(|_| !early && self.screen.is_terminal()) else {
            return String::new();
        };
        self.drawn = Some(now);
        format!("\r\x1b[K{}", self.row(now.saturating_sub(begun)))
    }

    /// Takes it away: what to write before anything else is. It is drawn again by the next tick.
    #[must_use]
    pub fn clear(&mut self) -> String {
        if self.drawn.take().is_some() { "\r\x1b[K".to_owned() } else { String::new() }
    }

    /// It is over: takes it away, and the next update begins anew.
    #[must_use]
    pub fn finish(&mut self) -> String {
        self.begun = None;
        self.clear()
    }

    fn row(&self, elapsed: Duration) -> String {
        let turns = elapsed.as_millis() / PERIOD.as_millis();
        let sign = usize::try_from(turns).unwrap_or(0) % SIGNS.len();
        let sign = SIGNS.get(sign).copied().unwrap_or_default();
        let mut row = format!("{sign} {}s ", elapsed.as_secs());
        if let Some(bar) = self.status.bar() {
            row.push_str(&bar);
        }
        row.push_str(&self.status.message);
        cut(row.trim_end(), self.screen.columns())
    }
}

impl Status {
    fn bar(&self) -> Option<String> {
        let value = self.value.filter(|value| value.is_finite() && *value >= 0.0)?;
        let Some(total) = self.total.filter(|total| total.is_finite() && *total > 0.0) else {
            return Some(format!("{value} "));
        };
        let part = (value / total).min(1.0);
        let full = (1..=BAR).filter(|n| part * count(BAR) >= count(*n)).count();
        let percent = (part * 100.0).floor();
        Some(format!("{}{} {percent}% ", "█".repeat(full), "░".repeat(BAR - full)))
    }
}

/// A small number of columns.
fn count(columns: usize) -> f64 {
    f64::from(u16::try_from(columns).unwrap_or(u16::MAX))
}

/// As much as fits on a row; this row says what is going on for a moment, and may be cut.
fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let (mut out, mut used) = (String::new(), 1);
    for (cluster, width) in clusters_of(text) {
        used += width;
        if used > columns {
            break;
        }
        out.push_str(cluster);
    }
    out + "…"
}
