//! Figures as people read them, with the unit that a field's name ends with.
use serde_json::{Number, Value};

/// Endings of field names and the units they stand for; longer ones first.
const ENDINGS: [(&str, &str); 37] = [
    ("_h_per_year", "h per year"),
    ("_mw_per_day", "MW/day"),
    ("_px", "px"),
    ("_per_year", "per year"),
    ("_per_hour", "per hour"),
    ("_per_km", "per km"),
    ("_mw_per_h", "MW/h"),
    ("_percent", "%"),
    ("_hours", "h"),
    ("_minutes", "min"),
    ("_seconds", "s"),
    ("_bytes", "bytes"),
    ("_mvar", "Mvar"),
    ("_mva", "MVA"),
    ("_mwh", "MWh"),
    ("_gwh", "GWh"),
    ("_kwh", "kWh"),
    ("_kph", "km/h"),
    ("_kmh", "km/h"),
    ("_mps", "m/s"),
    ("_pct", "%"),
    ("_mw", "MW"),
    ("_gw", "GW"),
    ("_kw", "kW"),
    ("_kv", "kV"),
    ("_ka", "kA"),
    ("_mm", "mm"),
    ("_km", "km"),
    ("_hz", "Hz"),
    ("_pu", "pu"),
    ("_ms", "ms"),
    ("_c", "°C"),
    ("_h", "h"),
    ("_m", "m"),
    ("_s", "s"),
    ("_a", "A"),
    ("_v", "V"),
];

/// A field's name in words, and the unit that its ending names.
pub(super) fn label(field: &str) -> (String, Option<&'static str>) {
    let split = ENDINGS.iter().find_map(|(ending, unit)| {
        field.strip_suffix(ending).filter(|stem| !stem.is_empty()).map(|stem| (stem, *unit))
    });
    let (stem, unit) = split.map_or((field, None), |(stem, unit)| (stem, Some(unit)));
    (stem.replace('_', " "), unit)
}

/// A scalar as text; a figure with its unit.
pub(super) fn scalar(value: &Value, unit: Option<&str>) -> Option<String> {
    let text = match value {
        Value::Null => "none".into(),
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        Value::String(text) => text.clone(),
        Value::Number(number) => {
            let figure = figure(number, unit.is_some());
            return Some(match unit {
                Some("%") => format!("{figure} %"),
                Some(unit) => format!("{figure} {unit}"),
                None => figure,
            });
        }
        Value::Array(_) | Value::Object(_) => return None,
    };
    Some(text)
}

/// Figures with a unit have their thousands grouped; others may be years or identifiers. Fractions
/// keep four decimals, small ones four significant digits.
fn figure(number: &Number, grouped: bool) -> String {
    let Some(value) = number.as_f64().filter(|_| number.is_f64()) else {
        let digits = number.to_string();
        return if grouped { group(&digits) } else { digits };
    };
    let magnitude = value.abs();
    let text = if value == 0.0 {
        "0".into()
    } else if !(1e-4..1e15).contains(&magnitude) {
        return format!("{value:.3e}");
    } else if magnitude < 0.01 {
        format!("{value:.6}")
    } else {
        format!("{value:.4}")
    };
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    };
    if grouped { group(&text) } else { text }
}

fn group(text: &str) -> String {
    let (sign, rest) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (whole, fraction) = rest.split_once('.').map_or((rest, None), |(w, f)| (w, Some(f)));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let fraction = fraction.map_or(String::new(), |fraction| format!(".{fraction}"));
    format!("{sign}{grouped}{fraction}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn figures_read_well() {
        for (field, value, expected) in [
            ("peak_mw", json!(197_634), "peak: 197,634 MW"),
            ("peak_mw", json!(-1234.5), "peak: -1,234.5 MW"),
            ("temp_c", json!(38), "temp: 38 °C"),
            ("risk_score", json!(0.239), "risk score: 0.239"),
            ("rate_per_year", json!(0.000_51), "rate: 0.00051 per year"),
            ("year", json!(2023), "year: 2023"),
            ("load_factor_pct", json!(59.7), "load factor: 59.7 %"),
            ("ok", json!(true), "ok: yes"),
            ("tiny", json!(1.5e-9), "tiny: 1.500e-9"),
        ] {
            let (label, unit) = label(field);
            assert_eq!(format!("{label}: {}", scalar(&value, unit).unwrap()), expected);
        }
    }
}
