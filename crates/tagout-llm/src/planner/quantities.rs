//! Figures with units in a sentence.
use std::sync::LazyLock;

use regex::Regex;

use super::words::Span;

/// What a unit measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dimension {
    Temperature,
    Speed,
    Length,
    Time,
    Power,
    ApparentPower,
    ReactivePower,
    Energy,
    Voltage,
    Current,
    Ratio,
    Frequency,
}

/// A unit: `base = value × factor + offset`.
#[derive(Debug)]
pub(super) struct Unit {
    pub(super) symbol: &'static str,
    pub(super) dimension: Dimension,
    factor: f64,
    offset: f64,
    /// How it is written, in lower case. The first may end a field's name.
    names: &'static [&'static str],
}

const fn unit(
    symbol: &'static str,
    dimension: Dimension,
    factor: f64,
    names: &'static [&'static str],
) -> Unit {
    Unit { symbol, dimension, factor, offset: 0.0, names }
}

use Dimension::{
    ApparentPower, Current, Energy, Frequency, Length, Power, Ratio, ReactivePower, Speed,
    Temperature, Time, Voltage,
};

/// The table. Factors are exact by definition (BIPM SI Brochure, 9th edition; NIST SP 811).
static UNITS: &[Unit] = &[
    unit(
        "°C",
        Temperature,
        1.0,
        &[
            "c",
            "celsius",
            "°c",
            "º c",
            "° c",
            "ºc",
            "℃",
            "degc",
            "deg c",
            "degrees c",
            "degree c",
            "degrees celsius",
            "degree celsius",
            "centigrade",
        ],
    ),
    Unit {
        symbol: "°F",
        dimension: Temperature,
        factor: 5.0 / 9.0,
        offset: -160.0 / 9.0,
        names: &[
            "f",
            "fahrenheit",
            "°f",
            "° f",
            "ºf",
            "℉",
            "degf",
            "deg f",
            "degrees f",
            "degree f",
            "degrees fahrenheit",
            "degree fahrenheit",
        ],
    },
    Unit {
        symbol: "K",
        dimension: Temperature,
        factor: 1.0,
        offset: -273.15,
        names: &["kelvin", "kelvins"],
    },
    unit(
        "km/h",
        Speed,
        1.0,
        &[
            "kph",
            "km/h",
            "kmh",
            "kmph",
            "km / h",
            "kilometres per hour",
            "kilometers per hour",
            "kilometres an hour",
            "kilometers an hour",
            "km per hour",
        ],
    ),
    unit("mph", Speed, 1.609_344, &["mph", "miles per hour", "miles an hour", "mi/h"]),
    unit("m/s", Speed, 3.6, &["mps", "m/s", "metres per second", "meters per second", "ms-1"]),
    unit("kn", Speed, 1.852, &["kn", "kt", "kts", "knot", "knots"]),
    unit("mm", Length, 1.0, &["mm", "millimetre", "millimetres", "millimeter", "millimeters"]),
    unit("cm", Length, 10.0, &["cm", "centimetre", "centimetres", "centimeter", "centimeters"]),
    unit("m", Length, 1e3, &["m", "metre", "metres", "meter", "meters"]),
    unit("km", Length, 1e6, &["km", "kilometre", "kilometres", "kilometer", "kilometers"]),
    unit("in", Length, 25.4, &["inch", "inches", "″"]),
    unit("ft", Length, 304.8, &["ft", "foot", "feet"]),
    unit("mi", Length, 1_609_344.0, &["mile", "miles"]),
    unit("h", Time, 1.0, &["h", "hours", "hour", "hr", "hrs"]),
    unit("min", Time, 1.0 / 60.0, &["min", "minutes", "minute", "mins"]),
    unit("s", Time, 1.0 / 3600.0, &["s", "seconds", "second", "sec", "secs"]),
    unit("d", Time, 24.0, &["d", "days", "day"]),
    unit("wk", Time, 168.0, &["weeks", "week"]),
    unit("MW", Power, 1.0, &["mw", "megawatt", "megawatts"]),
    unit("kW", Power, 1e-3, &["kw", "kilowatt", "kilowatts"]),
    unit("GW", Power, 1e3, &["gw", "gigawatt", "gigawatts"]),
    unit("MVA", ApparentPower, 1.0, &["mva"]),
    unit("kVA", ApparentPower, 1e-3, &["kva"]),
    unit("Mvar", ReactivePower, 1.0, &["mvar", "mvars"]),
    unit("MWh", Energy, 1.0, &["mwh", "megawatt hours", "megawatt-hours"]),
    unit("kWh", Energy, 1e-3, &["kwh", "kilowatt hours", "kilowatt-hours"]),
    unit("GWh", Energy, 1e3, &["gwh", "gigawatt hours", "gigawatt-hours"]),
    unit("kV", Voltage, 1.0, &["kv", "kilovolt", "kilovolts"]),
    unit("V", Voltage, 1e-3, &["v", "volt", "volts"]),
    unit("A", Current, 1.0, &["a", "amps", "amp", "amperes", "ampere"]),
    unit("kA", Current, 1e3, &["ka", "kiloamps"]),
    unit("%", Ratio, 0.01, &["pct", "%", "percent", "per cent"]),
    unit("pu", Ratio, 1.0, &["pu", "p.u.", "per unit"]),
    unit("Hz", Frequency, 1.0, &["hz", "hertz"]),
];

/// A figure in the question.
#[derive(Clone, Debug)]
pub(super) struct Quantity {
    pub(super) value: f64,
    pub(super) unit: Option<&'static Unit>,
    /// `degrees` without a scale.
    pub(super) degrees: bool,
    pub(super) span: Span,
}

impl Unit {
    /// `value` of this unit in `target`, to four decimals, which is finer than any sensor behind
    /// such a question.
    pub(super) fn convert(&self, value: f64, target: &Self) -> f64 {
        let base = value.mul_add(self.factor, self.offset);
        round((base - target.offset) / target.factor)
    }
}

/// To four decimals.
pub(super) fn round(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

/// The unit that a schema names: `x-unit`, else the ending of the property's name, else the first
/// unit in its description.
pub(super) fn unit_of(
    declared: Option<&str>,
    name: &str,
    description: &str,
) -> Option<&'static Unit> {
    let named = |text: &str| {
        let text = text.trim().to_lowercase();
        UNITS
            .iter()
            .find(|unit| unit.symbol.to_lowercase() == text || unit.names.contains(&text.as_str()))
    };
    declared
        .and_then(named)
        .or_else(|| named(name.rsplit_once('_').map_or("", |(_, ending)| ending)))
        .or_else(|| described(description))
}

/// Single letters are units in a description only behind a degree sign or in brackets.
fn described(description: &str) -> Option<&'static Unit> {
    let lower = description.to_lowercase();
    let mut best: Option<(usize, usize, &Unit)> = None;
    for unit in UNITS {
        for name in unit.names {
            let bracketed = format!("({name})");
            let place = if name.chars().count() > 1 { whole(&lower, name) } else { None }
                .or_else(|| lower.find(&bracketed));
            if let Some(place) = place
                && best.is_none_or(|(at, length, _)| {
                    (place, name.len()) < (at, length) || (place == at && name.len() > length)
                })
            {
                best = Some((place, name.len(), unit));
            }
        }
    }
    best.map(|(_, _, unit)| unit)
}

/// Where `name` stands as a whole word.
fn whole(text: &str, name: &str) -> Option<usize> {
    text.match_indices(name).map(|(at, _)| at).find(|&at| {
        let before = text.get(..at).and_then(|left| left.chars().next_back());
        let after = text.get(at + name.len()..).and_then(|right| right.chars().next());
        let open = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '/' && c != '_');
        (open(before) || !name.starts_with(char::is_alphanumeric)) && open(after)
    })
}

/// Every figure of `text`, in order, with its unit if it has one. Figures that are part of an
/// identifier, a range or a date are none.
pub(super) fn quantities(text: &str) -> Vec<Quantity> {
    static NUMBER: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"(?:[-+−])?(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:[.,]\d+)?|\.\d+)").ok()
    });
    let Some(number) = NUMBER.as_ref() else { return Vec::new() };
    let mut found: Vec<Quantity> =
        number.find_iter(text).filter_map(|m| figure(text, m.start(), m.end())).collect();
    found.extend(spelled(text));
    found.sort_by_key(|quantity| quantity.span.start);
    found
}

fn figure(text: &str, start: usize, end: usize) -> Option<Quantity> {
    let written = text.get(start..end)?;
    let before = text.get(..start)?;
    let after = text.get(end..)?;
    let part_of_word =
        |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '−' | '.' | '/' | ':' | '#' | '–');
    if before.chars().next_back().is_some_and(part_of_word) || continues(after) {
        return None;
    }
    let mut value = parse(written)?;
    let mut start = start;
    let left = before.trim_end();
    for minus in ["minus", "negative"] {
        let at = left.len().saturating_sub(minus.len());
        let said = left.get(at..).is_some_and(|word| word.eq_ignore_ascii_case(minus));
        if value > 0.0 && said {
            value = -value;
            start = at;
        }
    }
    let (unit, degrees, length) = unit_at(after);
    let glued = after.chars().next().is_some_and(char::is_alphabetic);
    if glued && unit.is_none() {
        return None;
    }
    Some(Quantity { value, unit, degrees, span: Span { start, end: end + length } })
}

/// Whether a figure goes on: `24-36`, `2020-07-01`, `12:30`, `1/2`, `7_CT`.
fn continues(after: &str) -> bool {
    let mut rest = after.chars();
    let first = rest.next();
    let second = rest.next();
    match first {
        Some('-' | '–' | ':' | '/' | '.' | ',') => second.is_some_and(|c| c.is_ascii_digit()),
        Some('_') => true,
        Some(_) | None => false,
    }
}

fn parse(written: &str) -> Option<f64> {
    let plain = written.replace('−', "-");
    let plain = plain.trim_start_matches('+');
    let groups = plain.trim_start_matches('-').split(',').skip(1);
    // `1,000` groups thousands; `38,5` has a decimal comma.
    let grouped = groups.clone().all(|group| group.split('.').next().is_some_and(|g| g.len() == 3));
    let plain = if grouped { plain.replace(',', "") } else { plain.replace(',', ".") };
    plain.parse::<f64>().ok().filter(|value| value.is_finite() && value.abs() < 1e15)
}

/// The unit at the start of `after`, and how many bytes of `after` belong to the figure.
fn unit_at(after: &str) -> (Option<&'static Unit>, bool, usize) {
    let gap = match after.chars().next() {
        Some('-' | '\u{a0}' | '\u{202f}') => after.chars().next().map_or(0, char::len_utf8),
        Some(' ') => after.len() - after.trim_start_matches(' ').len(),
        Some(_) | None => 0,
    };
    let rest = after.get(gap..).unwrap_or_default();
    let mut best: Option<(usize, &Unit)> = None;
    for unit in UNITS {
        for name in unit.names {
            if best.is_none_or(|(length, _)| name.len() > length) && begins(rest, name) {
                best = Some((name.len(), unit));
            }
        }
    }
    if let Some((length, unit)) = best {
        return (Some(unit), false, gap + length);
    }
    for name in ["degrees", "degree", "deg", "°"] {
        if begins(rest, name) {
            return (None, true, gap + name.len());
        }
    }
    (None, false, 0)
}

/// Whether `text` begins with the word `name`, which is in lower case. The article `a` is an ampere
/// only as a capital.
fn begins(text: &str, name: &str) -> bool {
    let Some(head) = text.get(..name.len()) else { return false };
    let same = if name == "a" { head == "A" } else { head.to_lowercase() == name };
    let next = text.get(name.len()..).and_then(|rest| rest.chars().next());
    same && next.is_none_or(|c| !c.is_alphanumeric() && c != '/' && c != '_')
}

/// `two days`, `a week`, `half an inch`: a spelled figure counts only before the name of a unit of
/// time, unless it is a half.
fn spelled(text: &str) -> Vec<Quantity> {
    const NAMES: [(&str, f64); 16] = [
        ("a", 1.0),
        ("an", 1.0),
        ("one", 1.0),
        ("two", 2.0),
        ("three", 3.0),
        ("four", 4.0),
        ("five", 5.0),
        ("six", 6.0),
        ("seven", 7.0),
        ("eight", 8.0),
        ("nine", 9.0),
        ("ten", 10.0),
        ("twelve", 12.0),
        ("fourteen", 14.0),
        ("twenty", 20.0),
        ("thirty", 30.0),
    ];
    let mut found = Vec::new();
    let mut half = None;
    for (token, span) in super::words::tokens(text) {
        let begun = half.take();
        if token.eq_ignore_ascii_case("half") {
            half = Some(span.start);
        }
        // `two-day` is `two day`, as `2-day` is.
        let word = token.split('-').next().unwrap_or(token);
        let Some((_, whole)) = NAMES.iter().find(|(name, _)| word.eq_ignore_ascii_case(name))
        else {
            continue;
        };
        let span = Span { start: span.start, end: span.start + word.len() };
        let (unit, _, length) = unit_at(text.get(span.end..).unwrap_or_default());
        // `half an inch` cannot mean anything else; `a metre` and `one bar` can.
        let Some(unit) =
            unit.filter(|unit| length > 3 && (begun.is_some() || unit.dimension == Time))
        else {
            continue;
        };
        let value = if begun.is_some() { whole / 2.0 } else { *whole };
        let span = Span { start: begun.unwrap_or(span.start), end: span.end + length };
        found.push(Quantity { value, unit: Some(unit), degrees: false, span });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(text: &str) -> String {
        let shown: Vec<String> = quantities(text)
            .iter()
            .map(|q| {
                let unit = q.unit.map_or(if q.degrees { "deg" } else { "-" }, |unit| unit.symbol);
                format!("{} {unit}", q.value)
            })
            .collect();
        shown.join(", ")
    }

    #[test]
    fn figures_and_units() {
        for (text, expected) in [
            ("at 38 C with 70 km/h wind", "38 °C, 70 km/h"),
            ("38°C, 38 °C, 38C and 100F", "38 °C, 38 °C, 38 °C, 100 °F"),
            ("minus 5 degrees celsius and -3.5 C and −2 C", "-5 °C, -3.5 °C, -2 °C"),
            ("45 mph, 20 m/s, 30 knots", "45 mph, 20 m/s, 30 kn"),
            ("a 48-hour window over 2 days or two weeks", "48 h, 2 d, 2 wk"),
            ("a two-day window, one-way, a three-phase line", "2 d"),
            ("1,200 mm or 38,5 C or 0.5 inches", "1200 mm, 38.5 °C, 0.5 in"),
            ("38 degrees", "38 deg"),
            ("half an inch in half a day", "0.5 in, 0.5 d"),
            ("A12-1, 101_CT_1, A7, 2020-07-01, 24-36 hours, 12:30, 7th", ""),
            ("5 in a row, 70 A, 80 %", "5 -, 70 A, 80 %"),
            ("in 2023", "2023 -"),
        ] {
            assert_eq!(seen(text), expected, "{text}");
        }
    }

    #[test]
    fn conversions() {
        for (text, target, expected) in [
            ("100 F", "celsius", 37.7778),
            ("-40 F", "celsius", -40.0),
            ("45 mph", "km/h", 72.4205),
            ("20 m/s", "km/h", 72.0),
            ("0.5 inch", "mm", 12.7),
            ("2 days", "h", 48.0),
            ("300 kelvin", "°C", 26.85),
            ("80 %", "pu", 0.8),
        ] {
            let target = unit_of(Some(target), "", "").unwrap();
            let quantity = quantities(text).remove(0);
            assert_eq!(quantity.unit.unwrap().convert(quantity.value, target), expected, "{text}");
        }
    }

    #[test]
    fn units_are_found_in_names_and_descriptions() {
        for (name, description, expected) in [
            ("temp_c", "", Some("°C")),
            ("temperature", "Air temperature in °C", Some("°C")),
            ("wind", "Sustained wind in km/h at 10 m", Some("km/h")),
            ("ambient", "Ambient temperature, degrees Celsius", Some("°C")),
            ("window_hours", "", Some("h")),
            ("count", "How many rows", None),
            ("n", "A number of c", None),
        ] {
            assert_eq!(
                unit_of(None, name, description).map(|unit| unit.symbol),
                expected,
                "{name}"
            );
        }
    }
}
