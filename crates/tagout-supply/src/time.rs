//! Times as they are written in trust roots and timestamps, as seconds since 1970.

/// `2021-01-12T11:53:27Z`, with or without a fraction; always in UTC.
pub(crate) fn rfc3339(text: &str) -> Option<i64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let time = time.split_once('.').map_or(time, |(whole, _)| whole);
    let digits = |text: &str, separator: char| {
        let parts: Vec<_> = text.split(separator).map(str::parse::<i64>).collect();
        match parts.as_slice() {
            [Ok(a), Ok(b), Ok(c)] => Some((*a, *b, *c)),
            _ => None,
        }
    };
    seconds(digits(date, '-')?, digits(time, ':')?)
}

/// `20210112115327Z`, with or without a fraction.
pub(crate) fn generalized(text: &str) -> Option<i64> {
    let text = text.strip_suffix('Z')?;
    let whole = text.split_once('.').map_or(text, |(whole, _)| whole);
    if whole.len() != 14 || !whole.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part = |from: usize, to: usize| whole.get(from..to)?.parse::<i64>().ok();
    seconds((part(0, 4)?, part(4, 6)?, part(6, 8)?), (part(8, 10)?, part(10, 12)?, part(12, 14)?))
}

fn seconds(
    (year, month, day): (i64, i64, i64),
    (hour, minute, second): (i64, i64, i64),
) -> Option<i64> {
    let sound = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60).contains(&second);
    if !sound {
        return None;
    }
    // Years that begin in March have their odd day at the end.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day - 1 - 719_468;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        assert_eq!(rfc3339("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(rfc3339("2000-02-29T12:00:01.999Z"), Some(951_825_601));
        assert_eq!(rfc3339("2022-12-31T23:59:59Z"), Some(1_672_531_199));
        assert_eq!(generalized("20221231235959Z"), Some(1_672_531_199));
        for wrong in ["", "2022-12-31", "2022-12-31T23:59:59+01:00", "2022-13-31T23:59:59Z"] {
            assert_eq!(rfc3339(wrong), None, "{wrong}");
        }
        for wrong in ["", "2022123123595Z", "20221231235959", "2022123123595é"] {
            assert_eq!(generalized(wrong), None, "{wrong}");
        }
    }
}
