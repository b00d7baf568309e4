//! How figures are shown: no more digits than the data carries.
use serde::Serializer;

fn to_places(value: f64, scale: f64) -> f64 {
    // Adding zero turns -0.0 into 0.0, which would otherwise show as "-0.0".
    (value * scale).round() / scale + 0.0
}

/// `value` to four decimals, for ratios and scores.
pub(crate) fn four_places(value: f64) -> f64 {
    to_places(value, 1e4)
}

/// Serialises megawatts and megawatt hours to one decimal.
pub(crate) fn mw<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(to_places(*value, 10.0))
}

/// Serialises a ratio to four decimals.
pub(crate) fn ratio<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(four_places(*value))
}

/// Serialises a ratio that may be undefined to four decimals.
pub(crate) fn some_ratio<S: Serializer>(
    value: &Option<f64>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => ratio(value, serializer),
        None => serializer.serialize_none(),
    }
}

/// Serialises megawatts that may be undefined to one decimal.
pub(crate) fn some_mw<S: Serializer>(
    value: &Option<f64>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => mw(value, serializer),
        None => serializer.serialize_none(),
    }
}

/// Serialises several values in megawatts to one decimal.
pub(crate) fn several_mw<S: Serializer>(values: &[f64], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(values.iter().map(|value| to_places(*value, 10.0)))
}

/// A whole number with a comma between groups of three digits, as in `741,216`.
pub(crate) fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut out = String::with_capacity(digits.len() + 4);
    if value < 0.0 && digits != "0" {
        out.push('\u{2212}');
    }
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
