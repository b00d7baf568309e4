//! Points in time as Cedar writes them.

const DAY_MS: i64 = 86_400_000;
/// The first and the last millisecond that four digits of a year can say.
const FIRST_MS: i64 = -62_167_219_200_000;
const LAST_MS: i64 = 253_402_300_799_999;

/// Milliseconds since the beginning of 1970 as `2026-11-21T17:02:26.000Z`; what lies outside the
/// years 0 to 9999 as their beginning or end.
pub(crate) fn datetime(now_ms: i64) -> String {
    let now_ms = now_ms.clamp(FIRST_MS, LAST_MS);
    let (day, ms) = (now_ms.div_euclid(DAY_MS), now_ms.rem_euclid(DAY_MS));
    let (year, month, day) = civil(day);
    let (hours, minutes) = (ms / 3_600_000, ms / 60_000 % 60);
    let (seconds, ms) = (ms / 1000 % 60, ms % 1000);
    format!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{ms:03}Z")
}

/// Year, month and day of a day counted from the beginning of 1970, in the Gregorian calendar.
/// Counted from the first of March of the year 0, so that a leap day ends its year.
const fn civil(day: i64) -> (i64, i64, i64) {
    let day = day + 719_468;
    let era = day.div_euclid(146_097);
    let of_era = day.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (year + era * 400 + next, month, of_month)
}
