//! `privacy`: what is held of somebody, and forgetting it.
use std::{collections::BTreeSet, fmt, process::ExitCode};

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tagout_audit::{
    Line, Reader,
    record::{Event, Payload},
};
use tagout_gateway::{
    Gateway,
    privacy::{About, PrivacyTrouble},
};
use tagout_proto::Principal;
use tagout_store::{HeldRow, HeldValue, Store, StoreError};

use crate::{
    cli::{Privacy, Whose},
    clients::confirm::confirm,
    conversation::{Album, Conversations, Decisions, Document, counted},
    failure::{Ended, Failure},
    output,
    places::Places,
    setup::{self, Setup, clock},
};

/// Exports or erases what is held of somebody.
pub(crate) fn privacy(places: &Places, privacy: &Privacy, json: bool) -> Result<ExitCode, Failure> {
    match privacy {
        Privacy::Export(whose) => export(places, whose),
        Privacy::Erase { whose, yes } => erase(places, whose, *yes, json),
    }
}

/// Prints one JSON document, piece by piece: a log may be larger than the memory.
fn export(places: &Places, whose: &Whose) -> Result<ExitCode, Failure> {
    let config = setup::config(places)?;
    let (gateway, log) = opened(places)?;
    let principal = known(whose, &gateway, &log)?;
    let who = json!({"user": principal.user, "authenticated_by": principal.authenticated_by});
    let now = clock().now();
    piece(format_args!("{{\"principal\":{who},\"exported_at\":\"{now}\""))?;
    piece(format_args!(",\"held\":{}", held(gateway.store(), &principal)?))?;
    sessions(&Conversations::of(places, &config, principal.clone())?)?;
    piece(format_args!(",\"pictures\":{}", pictures(places, &gateway, &principal)?))?;
    output::line(",\"records\":[")?;
    let mut about = About::new(&principal);
    let (mut printed, mut first) = (Ok(()), true);
    let read = log.each(|line, payload| {
        if about.picks(&line) {
            let comma = if std::mem::take(&mut first) { "" } else { "," };
            printed = piece(format_args!("{comma}{}", record(&line, payload)));
        }
        printed.is_ok()
    });
    read.map_err(|error| failed(&error.into()))?;
    printed?;
    output::line("]}")?;
    Ok(Ended::Done.into())
}

fn piece(json: fmt::Arguments<'_>) -> Result<(), Failure> {
    output::line(output::escaped(&json.to_string()))
}

/// What was said in each session; why not, where that cannot be known. One at a time: a session may
/// be large.
fn sessions(own: &Conversations<'_>) -> Result<(), Failure> {
    output::line(",\"sessions\":[")?;
    for (n, id) in own.ids()?.iter().enumerate() {
        let comma = if n == 0 { "" } else { "," };
        let session = match own.whole(id) {
            Ok(whole) => Document::new(&whole, &Decisions::new()).json(),
            Err(failure) => json!({"session": {"id": id.as_str()}, "code": failure.code()}),
        };
        piece(format_args!("{comma}{session}"))?;
    }
    output::line("]")
}

/// The pictures that tools returned. The assistant runs as the operating system's user, so they are
/// that one's.
fn album(places: &Places, gateway: &Gateway, principal: &Principal) -> Option<Album> {
    let own = gateway.principal();
    let same = own.user == principal.user && own.authenticated_by == principal.authenticated_by;
    same.then(|| Album::kept(places))
}

/// Where they are; what is in them is in the files.
fn pictures(places: &Places, gateway: &Gateway, principal: &Principal) -> Result<Value, Failure> {
    let mut all = match album(places, gateway, principal) {
        Some(album) => album.pictures()?,
        None => Vec::new(),
    };
    all.sort_by(|a, b| a.path.cmp(&b.path));
    let told = all.iter().map(|picture| {
        json!({"path": picture.path.display().to_string(), "bytes": picture.bytes, "at": picture.at})
    });
    Ok(told.collect())
}

/// A line of the log; of a call with what was sent, and of what was said with its words, as far as
/// that was kept.
fn record(line: &Line, payload: Payload) -> Value {
    let mut record = Map::new();
    record.insert("n".to_owned(), line.n.into());
    record.insert("at".to_owned(), line.at.to_string().into());
    if let Ok(Value::Object(event)) = serde_json::to_value(&line.event) {
        record.extend(event);
    }
    if matches!(line.event, Event::Begin(_) | Event::Said(_)) {
        let sent = match payload {
            Payload::None => Value::Null,
            Payload::Present(text) => parsed(text),
            Payload::Erased => "erased".into(),
            Payload::Changed => "changed".into(),
        };
        record.insert("sent".to_owned(), sent);
    }
    Value::Object(record)
}

/// What the store holds, table by table.
fn held(store: &Store, principal: &Principal) -> Result<Value, Failure> {
    let tables = Store::tables_of_people().into_iter();
    let mut held: Map<_, _> = tables.map(|table| (table.to_owned(), json!([]))).collect();
    let read = store.each_held(principal, |row| {
        if let Some(Value::Array(rows)) = held.get_mut(row.table) {
            rows.push(object(row));
        }
    });
    read.map_err(|error| of_store(&error))?;
    Ok(Value::Object(held))
}

fn object(row: HeldRow) -> Value {
    let columns = row.columns.into_iter().map(|(name, value)| {
        let value = match value {
            HeldValue::Nothing => Value::Null,
            HeldValue::Whole(number) => number.into(),
            // Cards and the like are JSON themselves.
            HeldValue::Text(text) if text.starts_with('{') => parsed(text),
            HeldValue::Text(text) => text.into(),
        };
        (name, value)
    });
    Value::Object(columns.collect())
}

fn parsed(text: String) -> Value {
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

fn erase(places: &Places, whose: &Whose, yes: bool, json: bool) -> Result<ExitCode, Failure> {
    let (gateway, log) = opened(places)?;
    let principal = known(whose, &gateway, &log)?;
    let (user, how) = (&principal.user, &principal.authenticated_by);
    confirm(&to_erase(&principal), "Erase it?", yes)?;
    let erased = gateway.erase(&principal, &log).map_err(|error| failed(&error))?;
    let album = album(places, &gateway, &principal);
    let pictures = album.map_or(Ok(0), |album| album.expire(Timestamp::MAX))?;
    let forgotten = erased.forgotten;
    if json {
        output::json(&json!({
            "erased": {"user": user, "authenticated_by": how}, "record": erased.record,
            "payloads": erased.payloads, "conversations": forgotten.conversations,
            "approvals": forgotten.approvals, "consents": forgotten.consents,
            "answers": forgotten.answers, "sessions": forgotten.sessions, "pictures": pictures,
        }))?;
    } else {
        output::line(format_args!(
            "erased what `{user}` sent in {} (calls, and what was said to models and by them), the \
             clients of {}, {} questions and grants, {}, {} about others' calls, {}, {}; record {}",
            counted(erased.payloads, "record"),
            counted(forgotten.conversations, "conversation"),
            forgotten.approvals,
            counted(forgotten.consents, "consent"),
            counted(forgotten.answers, "answer"),
            counted(forgotten.sessions, "session"),
            counted(pictures, "picture"),
            erased.record
        ))?;
    }
    Ok(Ended::Done.into())
}

fn to_erase(principal: &Principal) -> String {
    let (user, how) = (&principal.user, &principal.authenticated_by);
    format!(
        "What `{user}` (known by `{how}`) sent in calls, and what was said to models and by them, as far\n\
         as the audit log kept it; the names of their clients; questions about their calls, what was\n\
         granted and agreed to; their answers to questions about others' calls; their sessions with\n\
         the assistant, and the pictures that it was given. It does not come back.\n\
         That they called, when, and which tools, and what they approved, stays on record, and so do\n\
         their keys, an approver's among them."
    )
}

fn opened(places: &Places) -> Result<(std::sync::Arc<Gateway>, Reader), Failure> {
    Ok((Setup::read(places)?.open(places)?, Reader::new(&places.audit())))
}

/// The principal who is meant: somebody of that name whom log or store know. Two people may have
/// one name, so where it is known in two ways, the way has to be said.
fn known(whose: &Whose, gateway: &Gateway, log: &Reader) -> Result<Principal, Failure> {
    let user = whose.principal.as_str();
    let mut ways: BTreeSet<String> =
        gateway.store().ways_to_know(user).map_err(|error| of_store(&error))?;
    // Who does nothing but approve is known by that alone.
    let approver = Principal {
        user: user.into(),
        groups: BTreeSet::new(),
        authenticated_by: "approver".into(),
    };
    let mut about = About::new(&approver);
    let mut answers = gateway.store().is_approver(user).map_err(|error| of_store(&error))?;
    let read = log.each(|line, _| {
        answers |= about.answers(&line);
        let who = line.event.principal().filter(|who| *who.user == *user);
        ways.extend(who.map(|who| who.authenticated_by.to_string()));
        true
    });
    read.map_err(|error| failed(&error.into()))?;
    if ways.is_empty() && answers {
        ways.insert(approver.authenticated_by.to_string());
    }
    if let Some(how) = &whose.authenticated_by {
        ways.retain(|way| way == how);
    }
    let mut all = ways.iter();
    match (all.next(), all.next()) {
        (Some(only), None) => Ok(Principal {
            user: user.into(),
            groups: BTreeSet::new(),
            authenticated_by: only.as_str().into(),
        }),
        (None, _) => {
            let message = format!("nothing is held of `{user}`");
            Err(Failure::usage("principal-unknown", message, "see `tagout audit tail`"))
        }
        (Some(_), Some(_)) => {
            let ways: Vec<_> = ways.iter().map(String::as_str).collect();
            let message = format!("`{user}` is known by {}", ways.join(" and by "));
            let help = "say which one: `--authenticated-by HOW`";
            Err(Failure::usage("principal-ambiguous", message, help))
        }
    }
}

fn failed(error: &PrivacyTrouble) -> Failure {
    Failure::of(error, error.code(), error.help())
}

fn of_store(error: &StoreError) -> Failure {
    Failure::of(error, error.code(), error.help())
}
