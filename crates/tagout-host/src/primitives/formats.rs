//! What texts in forms have to look like.
use serde::Serialize;
use serde_json::Value;

/// What a text has to look like. There are no others in the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TextFormat {
    /// An e-mail address.
    Email,
    /// A URI with its scheme.
    Uri,
    /// A day, `2026-03-08`.
    Date,
    /// A moment with its offset, `2026-03-08T02:30:00Z` (RFC 3339).
    DateTime,
}

impl std::fmt::Display for TextFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Email => "an e-mail address",
            Self::Uri => "a URI",
            Self::Date => "a date, such as 2026-03-08",
            Self::DateTime => "a date with its time, such as 2026-03-08T02:30:00Z",
        })
    }
}

impl TextFormat {
    pub(super) fn read(written: &Value) -> Result<Self, String> {
        match written.as_str() {
            Some("email") => Ok(Self::Email),
            Some("uri") => Ok(Self::Uri),
            Some("date") => Ok(Self::Date),
            Some("date-time") => Ok(Self::DateTime),
            Some(other) => Err(format!("wants a format `{other}` that is not known")),
            None => Err("has a format that is no text".to_owned()),
        }
    }
}

/// Whether `text` looks like that. Servers look closer: this keeps slips of the pen from being sent.
pub(super) fn fits(format: TextFormat, text: &str) -> bool {
    match format {
        TextFormat::Email => is_email(text),
        TextFormat::Uri => is_uri(text),
        TextFormat::Date => is_date(text),
        TextFormat::DateTime => is_moment(text),
    }
}

fn is_email(text: &str) -> bool {
    let plain = |part: &str| {
        !part.is_empty() && !part.contains(|c: char| c.is_whitespace() || c.is_control())
    };
    let Some((name, domain)) = text.rsplit_once('@') else { return false };
    plain(name) && !name.contains('@') && domain.split('.').all(plain)
}

fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
    let letter = scheme.starts_with(|c: char| c.is_ascii_alphabetic());
    let blank = |c: char| c.is_whitespace() || c.is_control();
    letter && scheme.bytes().all(fits) && !rest.is_empty() && !rest.contains(blank)
}

/// Digits of a fixed count.
fn digits(text: Option<&str>, count: usize) -> Option<u32> {
    let text = text.filter(|text| text.len() == count)?;
    if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
}

fn is_date(text: &str) -> bool {
    let mut parts = text.split('-');
    let year = digits(parts.next(), 4);
    let (month, day) = (digits(parts.next(), 2), digits(parts.next(), 2));
    let (Some(year), Some(month), Some(day), None) = (year, month, day, parts.next()) else {
        return false;
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return false,
    };
    (1..=days).contains(&day)
}

fn is_moment(text: &str) -> bool {
    let Some((date, rest)) = text.split_once(['T', 't']) else { return false };
    let (clock, offset) = match rest.strip_suffix(['Z', 'z']) {
        Some(clock) => (clock, None),
        None => match rest.rsplit_once(['+', '-']) {
            Some((clock, offset)) => (clock, Some(offset)),
            None => return false,
        },
    };
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let fraction = !fraction.is_empty() && fraction.bytes().all(|b| b.is_ascii_digit());
    is_date(date) && fraction && is_clock(clock, true) && offset.is_none_or(|o| is_clock(o, false))
}

fn is_clock(text: &str, seconds: bool) -> bool {
    let mut parts = text.split(':');
    let hour = digits(parts.next(), 2).is_some_and(|hour| hour < 24);
    let minute = digits(parts.next(), 2).is_some_and(|minute| minute < 60);
    // A leap second is one.
    let second = !seconds || digits(parts.next(), 2).is_some_and(|second| second <= 60);
    hour && minute && second && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_fit_what_they_say() {
        use TextFormat::{Date, DateTime, Email, Uri};
        for (format, good, bad) in [
            (Email, "a.b@c.example", "a b@c.example"),
            (Email, "ü@localhost", "@c.example"),
            (Email, "x+y@c.d.example", "a@@c"),
            (Email, "a@b", "a@b..c"),
            (Uri, "https://a.example/x?y", "a.example"),
            (Uri, "urn:isbn:1", "1a:b"),
            (Uri, "grid://load/north", "https://a b"),
            (Date, "2024-02-29", "2026-02-29"),
            (Date, "2000-02-29", "1900-02-29"),
            (Date, "2026-12-31", "2026-13-01"),
            (Date, "2026-04-30", "2026-04-31"),
            (Date, "0001-01-01", "2026-1-1"),
            (DateTime, "2026-03-08T02:30:00Z", "2026-03-08T02:30:00"),
            (DateTime, "2026-03-08t02:30:00.125+01:00", "2026-03-08T24:30:00Z"),
            (DateTime, "2026-03-08T23:59:60-05:00", "2026-03-08 02:30:00Z"),
            (DateTime, "2026-03-08T00:00:00z", "2026-03-08T02:30:00.Z"),
        ] {
            assert!(fits(format, good), "{good}");
            assert!(!fits(format, bad), "{bad}");
        }
    }
}
