//! `key`: who may call over HTTP.
use std::process::ExitCode;

use jiff::{Timestamp, ToSpan as _, civil::Date, tz::TimeZone};
use tagout_gateway::{
    Gateway, assertion,
    keys::{KeyRequest, KeyTrouble},
};
use tagout_store::{BadKeyName, KeyGroups, StoredKey};

use crate::{
    cli::{Key, KeyAdd},
    failure::{Ended, Failure},
    output,
    places::Places,
    setup::{Setup, clock},
};

/// Makes, lists or revokes keys.
pub(crate) fn key(places: &Places, key: &Key, json: bool) -> Result<ExitCode, Failure> {
    match key {
        Key::Add(add) => make(places, add, json),
        Key::List => list(places, json),
        Key::Revoke { which } => revoke(places, which, json),
        Key::Assertion => assertion(places, json),
    }
}

fn make(places: &Places, add: &KeyAdd, json: bool) -> Result<ExitCode, Failure> {
    let now = clock().now();
    let request = KeyRequest {
        name: add.name.parse().map_err(|error| misnamed(&error))?,
        groups: KeyGroups::new(add.group.iter().cloned()).map_err(|error| misnamed(&error))?,
        expires: add.expires.as_deref().map(|text| expiry(text, now)).transpose()?,
    };
    let gateway = Setup::read(places)?.open(places)?;
    let minted = gateway.add_key(&request).map_err(|error| failed(&error))?;
    // Standard output has the key and nothing else, so that it can go straight to where it is kept.
    if json {
        output::json(&serde_json::json!({
            "id": minted.id, "name": request.name.as_str(), "key": minted.key.expose(),
            "groups": request.groups.as_set(), "expires": request.expires,
        }))?;
    } else {
        output::line(minted.key.expose())?;
    }
    output::aside(format_args!(
        "This key is shown once and kept nowhere. Whoever has it is `{}` to Tagout.\n\
         Put it into a variable of the client's environment, say TAGOUT_KEY, and let the client send\n\
         `Authorization: Bearer <key>` to the address of `tagout run --http`:\n\
         tagout client connect NAME --http http://127.0.0.1:PORT/mcp --key env:TAGOUT_KEY\n\
         To take it back: tagout key revoke {}",
        request.name, minted.id
    ));
    Ok(Ended::Done.into())
}

fn list(places: &Places, json: bool) -> Result<ExitCode, Failure> {
    let keys = opened(places)?.keys().map_err(|error| failed(&error))?;
    let now = clock().now();
    if keys.is_empty() && !json {
        output::line("no keys; make one with `tagout key add NAME`")?;
    }
    let mut rows = Vec::new();
    for key in &keys {
        if json {
            output::json(&serde_json::json!({
                "id": key.id, "name": key.name.as_str(), "groups": key.groups.as_set(),
                "standing": standing(key, now), "created": key.created_at,
                "expires": key.expires_at, "revoked": key.revoked_at, "used_on": key.used_on,
            }))?;
            continue;
        }
        let day = |time: Timestamp| time.to_zoned(TimeZone::UTC).date().to_string();
        let groups: Vec<_> = key.groups.as_set().iter().map(String::as_str).collect();
        rows.push(vec![
            key.id.clone(),
            key.name.to_string(),
            standing(key, now).to_owned(),
            format!("made {}", day(key.created_at)),
            key.expires_at.map_or("no expiry".to_owned(), |at| format!("until {}", day(at))),
            key.used_on.map_or("never used".to_owned(), |on| format!("used {on}")),
            groups.join(", "),
        ]);
    }
    if !rows.is_empty() {
        output::line(output::table(&rows))?;
    }
    Ok(Ended::Done.into())
}

fn revoke(places: &Places, which: &str, json: bool) -> Result<ExitCode, Failure> {
    let revoked = opened(places)?.revoke_key(which).map_err(|error| failed(&error))?;
    if json {
        let revoked = serde_json::json!({"id": revoked.id, "name": revoked.name.as_str()});
        output::json(&serde_json::json!({ "revoked": revoked }))?;
    } else {
        output::line(format_args!(
            "revoked `{}` ({}); gateways that run turn it away within a second or two",
            revoked.name, revoked.id
        ))?;
    }
    Ok(Ended::Done.into())
}

/// Prints the key set; for people, with what to do with it beside.
fn assertion(places: &Places, json: bool) -> Result<ExitCode, Failure> {
    let file = assertion::key_file(&places.head_key);
    let public = assertion::public_key(&file)
        .map_err(|error| Failure::of(&error, error.code(), error.help()))?;
    output::line(public.jwks())?;
    if !json {
        output::aside(format_args!(
            "This key is no secret. Give it to servers whose entry says `assertion = true`; they\n\
             verify with it who calls. Its private half is in {}.",
            file.display()
        ));
    }
    Ok(Ended::Done.into())
}

fn opened(places: &Places) -> Result<std::sync::Arc<Gateway>, Failure> {
    Setup::read(places)?.open(places)
}

fn standing(key: &StoredKey, now: Timestamp) -> &'static str {
    match (key.revoked_at, key.is_live(now)) {
        (Some(_), _) => "revoked",
        (None, true) => "live",
        (None, false) => "expired",
    }
}

/// `30d`, `12h` or `8w` from now; or a day, until its end in UTC.
fn expiry(text: &str, now: Timestamp) -> Result<Timestamp, Failure> {
    let unclear = || {
        let message = format!("`{text}` is no time from now and no day");
        Failure::usage("key-expiry", message, "write `30d`, `12h`, `8w` or `2027-01-31`")
    };
    if let Ok(day) = text.parse::<Date>() {
        let end = day.tomorrow().ok().and_then(|day| day.to_zoned(TimeZone::UTC).ok());
        return end.map(|end| end.timestamp()).ok_or_else(unclear);
    }
    let unit = text.chars().last().ok_or_else(unclear)?;
    let count: i64 =
        text.strip_suffix(unit).and_then(|count| count.parse().ok()).ok_or_else(unclear)?;
    let hours = match unit {
        'h' => Some(count),
        'd' => count.checked_mul(24),
        'w' => count.checked_mul(24 * 7),
        _ => None,
    };
    // A hundred years and no more, which is what a span of hours takes.
    let hours = hours.filter(|hours| (1..=24 * 36_525).contains(hours)).ok_or_else(unclear)?;
    now.checked_add(hours.hours()).map_err(|_| unclear())
}

fn misnamed(error: &BadKeyName) -> Failure {
    Failure::usage("key-name", error, "choose another name")
}

fn failed(error: &KeyTrouble) -> Failure {
    match error {
        KeyTrouble::Exists(_) | KeyTrouble::Past | KeyTrouble::Unknown | KeyTrouble::Ambiguous => {
            Failure::usage(error.code(), error, error.help())
        }
        KeyTrouble::Full
        | KeyTrouble::Unhashed
        | KeyTrouble::Audit(_)
        | KeyTrouble::RevokedUnrecorded(_)
        | KeyTrouble::Store(_) => Failure::of(error, error.code(), error.help()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expiries_are_read() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("30d", Some("2026-12-21T12:00:00Z")),
            ("1h", Some("2026-11-21T13:00:00Z")),
            ("2w", Some("2026-12-05T12:00:00Z")),
            ("2027-01-31", Some("2027-02-01T00:00:00Z")),
            ("2026-01-01", Some("2026-01-02T00:00:00Z")),
            ("", None),
            ("d", None),
            ("0d", None),
            ("-1d", None),
            ("30", None),
            ("30m", None),
            ("30\u{e9}", None),
            ("9223372036854775807w", None),
            ("99999999d", None),
            ("tomorrow", None),
        ] {
            let expected = expected.map(|text| text.parse::<Timestamp>().unwrap());
            assert_eq!(expiry(text, now).ok(), expected, "{text}");
        }
    }
}
