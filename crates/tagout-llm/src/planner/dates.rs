//! Dates in a sentence. Only those that name a day: there is no clock here that could say what
//! `yesterday` is.
use std::sync::LazyLock;

use jiff::{Timestamp, civil::Date};
use regex::Regex;

use super::words::Span;

/// A date, or a date and time, in the form that JSON Schema's `format` asks for.
#[derive(Clone, Debug)]
pub(super) struct Day {
    pub(super) written: String,
    pub(super) has_time: bool,
    pub(super) span: Span,
}

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// The dates of `text`, in order.
pub(super) fn dates(text: &str) -> Vec<Day> {
    static FORMS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
        [
            r"\b\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|[+-]\d{2}:\d{2})",
            r"\b(?<y>\d{4})-(?<m>\d{2})-(?<d>\d{2})\b",
            r"(?i)\b(?<d>\d{1,2})(?:st|nd|rd|th)? (?<n>[a-z]{3,9}),? (?<y>\d{4})\b",
            r"(?i)\b(?<n>[a-z]{3,9}) (?<d>\d{1,2})(?:st|nd|rd|th)?,? (?<y>\d{4})\b",
        ]
        .iter()
        .filter_map(|form| Regex::new(form).ok())
        .collect()
    });
    let mut found: Vec<Day> = Vec::new();
    for form in FORMS.iter() {
        for captures in form.captures_iter(text) {
            let Some(whole) = captures.get(0) else { continue };
            let span = Span { start: whole.start(), end: whole.end() };
            if found.iter().any(|day| day.span.overlaps(span)) {
                continue;
            }
            let part = |name: &str| captures.name(name).map(|part| part.as_str());
            let day = match part("y") {
                Some(year) => {
                    civil(year, part("m"), part("n"), part("d")).map(|date| (date, false))
                }
                None => {
                    whole.as_str().parse::<Timestamp>().ok().map(|_| (whole.as_str().into(), true))
                }
            };
            if let Some((written, has_time)) = day {
                found.push(Day { written, has_time, span });
            }
        }
    }
    found.sort_by_key(|day| day.span.start);
    found
}

fn civil(year: &str, month: Option<&str>, name: Option<&str>, day: Option<&str>) -> Option<String> {
    let month = match (month, name) {
        (Some(number), _) => number.parse().ok()?,
        (None, Some(name)) => {
            let short: String = name.to_lowercase().chars().take(3).collect();
            i8::try_from(MONTHS.iter().position(|month| *month == short)?).ok()? + 1
        }
        (None, None) => return None,
    };
    Date::new(year.parse().ok()?, month, day?.parse().ok()?).ok().map(|date| date.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_named() {
        for (text, expected) in [
            ("from 2024-07-16 to 17 July 2024", "2024-07-16 2024-07-17"),
            ("July 4th, 2023", "2023-07-04"),
            ("at 2024-07-16T08:00:00Z", "2024-07-16T08:00:00Z"),
            ("2024-02-30, 31 Smarch 2024, yesterday, in 2023", ""),
        ] {
            let found: Vec<String> = dates(text).into_iter().map(|day| day.written).collect();
            assert_eq!(found.join(" "), expected, "{text}");
        }
    }
}
