//! From values to pixels, with ticks that people would choose.

/// A linear axis.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    /// Value at the axis' beginning.
    pub(super) low: f64,
    /// Value at its end.
    pub(super) high: f64,
    /// Pixel of `low`.
    pub(super) from_px: f64,
    /// Pixel of `high`.
    pub(super) to_px: f64,
}

impl Scale {
    /// The pixel of `value`.
    pub(super) fn px(self, value: f64) -> f64 {
        let span = self.high - self.low;
        let share = if span > 0.0 { (value - self.low) / span } else { 0.5 };
        self.from_px + share * (self.to_px - self.from_px)
    }
}

/// Round numbers from at or below `low` to at or above `high`, about `wanted` of them.
pub(super) fn ticks(low: f64, high: f64, wanted: u32) -> Vec<f64> {
    let rough = ((high - low) / f64::from(wanted.max(1))).max(f64::MIN_POSITIVE);
    let magnitude = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0]
        .into_iter()
        .map(|nice| nice * magnitude)
        .find(|step| *step >= rough)
        .unwrap_or(10.0 * magnitude);
    let first = (low / step).floor();
    let count = ((high / step).ceil() - first).clamp(1.0, 50.0);
    (0..=50_u32)
        .map(f64::from)
        .take_while(|position| *position <= count)
        .map(|position| (first + position) * step)
        .collect()
}
