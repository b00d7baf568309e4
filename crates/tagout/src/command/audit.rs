//! `audit`: what happened.
mod trace;

use std::process::ExitCode;

use tagout_audit::{
    AuditError, PublicKey, Reader, Record, Verdict, What,
    record::{Call, Payload, Subject, Uttered},
    verify, verify_as_owner,
};
use tagout_inspect::characters::one_line;
use tagout_proto::Conversation;

use crate::{
    cli::Audit,
    command::policy,
    conversation::Words,
    failure::{Ended, Failure},
    output,
    places::Places,
};

/// Reads or verifies the audit log.
pub(crate) fn audit(places: &Places, audit: &Audit, json: bool) -> Result<ExitCode, Failure> {
    // A log that is gone while its key is there was taken away, and that is an error.
    if !places.audit().is_dir() && !places.head_key.exists() {
        let nothing = format!("nothing is recorded yet in `{}`", places.audit().display());
        let empty = serde_json::json!({"ok": true, "lines": 0, "calls": 0});
        if json {
            output::json(&empty)?
        } else {
            output::line(nothing)?
        }
        return Ok(Ended::Done.into());
    }
    let reader = Reader::new(&places.audit());
    match audit {
        Audit::Tail { lines } => {
            let records = reader.last(*lines).map_err(failed)?;
            if json {
                records.iter().try_for_each(output::json)?;
            } else if !records.is_empty() {
                let rows: Vec<_> = records.iter().map(row).collect();
                output::line(output::table(&rows))?;
            }
        }
        Audit::Show { number } => {
            let Some(record) = reader.show(*number).map_err(failed)? else {
                let message = format!("there is no record {number}");
                return Err(Failure::usage("record-unknown", message, "see `tagout audit tail`"));
            };
            if json {
                output::json(&record)?
            } else {
                show(&record, remedy(places, &record).as_deref())?
            }
        }
        Audit::Trace { number } => {
            let words = Words::of(places);
            let kept =
                |record: &Record| has_words(record).then(|| words.under(record.n, record.at))?;
            trace::trace(&reader, *number, &kept, json)?;
        }
        Audit::Verify => {
            // Where the key is not at hand, the one that the log itself names must do.
            let report = if PublicKey::of_key_file(&places.head_key).is_ok() {
                verify_as_owner(&places.audit(), &places.head_key)
            } else {
                verify(&places.audit(), None)
            };
            let report = report.map_err(failed)?;
            if json {
                output::json(&report)?
            } else {
                output::line(&report)?
            }
            if !report.ok {
                let message = "the audit log does not verify";
                return Err(Failure::new(Ended::Failed, "audit-not-valid", message)
                    .with_help("keep the files as they are, and compare with a backup"));
            }
        }
    }
    Ok(Ended::Done.into())
}

fn failed(error: AuditError) -> Failure {
    Failure::of(&error, error.code(), error.help())
}

/// The records of one conversation among the last `most`, as rows of a table.
pub(crate) fn rows_of(
    places: &Places,
    conversation: &Conversation,
    most: usize,
) -> Result<Vec<Vec<String>>, Failure> {
    let failed = |error: tagout_audit::AuditError| Failure::of(&error, error.code(), error.help());
    let records = Reader::new(&places.audit()).last(most).map_err(failed)?;
    let of = |record: &&Record| match &record.subject {
        Subject::Call(call) => call.begin.conversation.as_ref() == Some(conversation),
        Subject::Said { said, .. } => said.conversation == *conversation,
        Subject::Other { .. } => false,
    };
    Ok(records.iter().filter(of).map(row).collect())
}

/// A record as a line of a table.
fn row(record: &Record) -> Vec<String> {
    let at = record.at.strftime("%Y-%m-%d %H:%M:%SZ").to_string();
    let mut row = vec![record.n.to_string(), at];
    match &record.subject {
        Subject::Call(call) => {
            let subject = match (&call.begin.server, &call.begin.subject) {
                (Some(server), Some(subject)) => {
                    format!("{} {server}: {subject}", call.begin.method)
                }
                (_, Some(subject)) => format!("{} {subject}", call.begin.method),
                _ => call.begin.method.clone(),
            };
            let mut rule = rule(call).unwrap_or_default();
            if let Some(trial) = on_trial(call) {
                rule = format!("{rule}  on trial: {trial}");
            }
            let user = call.begin.principal.as_ref().map(|p| p.user.to_string());
            row.extend([user.unwrap_or_default(), one_line(&subject), outcome(call), rule]);
        }
        Subject::Said { said, .. } => {
            row.extend([one_line(&said.principal.user), short(&one_line(&in_short(said)))]);
        }
        Subject::Other { event } => row.extend([String::new(), short(&describe(event))]),
    }
    row
}

/// Whether words of its own may be kept beside it: those of a request went before it.
const fn has_words(record: &Record) -> bool {
    match &record.subject {
        Subject::Said { said, .. } => matches!(said.what, What::Prompt | What::Response),
        Subject::Call(_) | Subject::Other { .. } => false,
    }
}

/// What rules on trial say otherwise.
fn on_trial(call: &Call) -> Option<String> {
    let shadow = call.shadow()?;
    Some(format!("{} by {}", word(shadow.verdict), one_line(&shadow.rule)))
}

const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Allow => "allow",
        Verdict::Ask => "ask",
        Verdict::Deny => "deny",
    }
}

/// The least that an operator can do so that a call like this one is let through.
fn remedy(places: &Places, record: &Record) -> Option<String> {
    let Subject::Call(call) = &record.subject else { return None };
    // What a rule or a person refused; other codes have pages that say what to do.
    call.end.as_ref()?.rule.as_ref()?;
    let more = format!("more in `tagout policy explain {}`", record.n);
    match policy::least_remedy(places, call) {
        Some(remedy) => Some(format!("{remedy}; {more}")),
        None => Some(more),
    }
}

/// At most so long that the columns of calls stay in view.
fn short(text: &str) -> String {
    const MOST: usize = 72;
    if text.chars().count() <= MOST {
        return text.to_owned();
    }
    text.chars().take(MOST - 1).chain(['…']).collect()
}

fn describe(event: &tagout_audit::record::Event) -> String {
    let text = serde_json::to_value(event).unwrap_or_default();
    let field = |key: &str| text.get(key).and_then(|v| v.as_str()).map(one_line);
    let kind = field("kind").unwrap_or_else(|| "event".to_owned());
    let parts = [field("event"), field("server"), field("subject"), field("detail")];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    if parts.is_empty() { kind } else { parts.join(" ") }
}

fn outcome(call: &Call) -> String {
    let refusal = call.end.as_ref().and_then(|end| end.refusal.as_deref());
    match refusal {
        Some(refusal) => format!("{}: {}", call.outcome(), one_line(refusal)),
        None => call.outcome().to_owned(),
    }
}

fn rule(call: &Call) -> Option<String> {
    let decided = call.decision.as_ref().and_then(|decision| decision.rule.as_deref());
    let ended = call.end.as_ref().and_then(|end| end.rule.as_deref());
    decided.or(ended).map(one_line)
}

fn show(record: &Record, remedy: Option<&str>) -> Result<(), Failure> {
    let mut rows = vec![("record", record.n.to_string()), ("time", record.at.to_string())];
    match &record.subject {
        Subject::Call(call) => rows.extend(of_call(call)),
        Subject::Said { said, payload } => rows.extend(of_said(said, payload)),
        Subject::Other { event } => rows.push(("event", describe(event))),
    }
    rows.extend(remedy.map(|remedy| ("remedy", one_line(remedy))));
    let rows: Vec<_> = rows.into_iter().map(|(key, value)| vec![key.to_owned(), value]).collect();
    output::line(output::table(&rows))
}

fn of_call(call: &Call) -> Vec<(&'static str, String)> {
    let begin = &call.begin;
    let mut rows = Vec::new();
    let mut add = |key, value: Option<String>| rows.extend(value.map(|value| (key, value)));
    add("method", Some(one_line(&begin.method)));
    if let Some(principal) = &begin.principal {
        let groups: Vec<_> = principal.groups.iter().map(String::as_str).collect();
        let who =
            format!("{} ({}; {})", principal.user, principal.authenticated_by, groups.join(", "));
        add("who", Some(one_line(&who)));
    }
    let from = begin.origin.as_ref().map(|origin| {
        format!(
            "{} over {}, gateway process {}",
            origin.client, origin.transport, origin.gateway_pid
        )
    });
    add("from", from.map(|from| one_line(&from)));
    add("conversation", begin.conversation.as_ref().map(ToString::to_string));
    add("server", begin.server.as_ref().map(ToString::to_string));
    add("subject", begin.subject.as_deref().map(one_line));
    add("definition", begin.definition.map(|digest| digest.to_string()));
    add("arguments", Some(payload(&call.payload)));
    add("arguments digest", begin.arguments.map(|digest| digest.to_string()));
    add("claimed model", begin.model.as_deref().map(one_line));
    let cause = begin.cause.as_ref();
    let cause = cause.map(|cause| format!("call `{}` of record {}", cause.call, cause.record));
    add("claimed cause", cause.map(|cause| one_line(&cause)));
    add("claimed words", unknown_words(call).map(ToOwned::to_owned));
    for (key, said) in claimed(&call.payload) {
        add(key, Some(said));
    }
    if let Some(decision) = &call.decision {
        add("verdict", Some(word(decision.verdict).to_owned()));
    }
    add("rule", rule(call));
    add("rules", call.policy().map(|policy| policy.to_string()));
    add("on trial", on_trial(call));
    let approval = call.decision.as_ref().and_then(|decision| decision.approval.as_ref());
    let approval = approval.or_else(|| call.end.as_ref()?.approval.as_ref());
    add(
        "approval",
        approval.map(|a| {
            let by = a.by.as_deref().map(|by| format!(" by {by}")).unwrap_or_default();
            one_line(&format!("{}{by}, asked on: {}", a.decision, a.how))
        }),
    );
    add("outcome", Some(outcome(call)));
    if let Some(end) = &call.end {
        add("ended", Some(end.at.to_string()));
        add("result digest", end.result.map(|digest| digest.to_string()));
        add("result bytes", end.result_bytes.map(|bytes| bytes.to_string()));
        let screened =
            (end.screened > 0).then(|| format!("{} characters made visible", end.screened));
        add("screened", screened);
    }
    rows
}

/// What was said, in a few words.
fn in_short(said: &Uttered) -> String {
    let model = said.model.as_deref().unwrap_or_default();
    let mut text = match said.what {
        What::Prompt => "prompt".to_owned(),
        What::Request => format!("request to {model}"),
        What::Response => format!("response of {model}"),
        What::Stopped => "stopped without an answer".to_owned(),
    };
    let calls: Vec<_> = said.calls.iter().map(|call| call.tool.as_str()).collect();
    if !calls.is_empty() {
        text.push_str(&format!(": proposes {}", calls.join(", ")));
    }
    text
}

/// All that is on record of what was said.
fn of_said(said: &Uttered, beside: &Payload) -> Vec<(&'static str, String)> {
    let mut rows = vec![("said", one_line(&in_short(said)))];
    let mut add = |key, value: Option<String>| rows.extend(value.map(|value| (key, value)));
    add(
        "who",
        Some(one_line(&format!("{} ({})", said.principal.user, said.principal.authenticated_by))),
    );
    add("conversation", Some(said.conversation.to_string()));
    add("cause", said.cause.map(|of| format!("record {of}")));
    for call in &said.calls {
        add("proposes", Some(one_line(&format!("{} as call `{}`", call.tool, call.id))));
    }
    for result in &said.results {
        let record =
            result.record.map_or_else(|| "no record".to_owned(), |n| format!("record {n}"));
        add("brings", Some(one_line(&format!("the result of call `{}`, {record}", result.id))));
    }
    add("left out", (said.left_out > 0).then(|| format!("{} calls or results", said.left_out)));
    let tokens = said.tokens;
    add("tokens", tokens.map(|tokens| format!("{} read, {} written", tokens.input, tokens.output)));
    add("content", Some(content(beside)));
    add("content bytes", Some(said.bytes.to_string()));
    add("content digest", Some(said.content.to_string()));
    rows
}

/// The words, where they are kept.
fn content(beside: &Payload) -> String {
    match beside {
        Payload::Present(text) => match serde_json::from_str::<KeptWords>(text) {
            Ok(KeptWords { content: Some(content), .. }) => one_line(&content),
            Ok(KeptWords { left_out_bytes: Some(bytes), .. }) => {
                format!("{bytes} bytes, too many to be kept")
            }
            Ok(KeptWords { .. }) | Err(_) => "not kept; its digest is".to_owned(),
        },
        Payload::None => "not kept; its digest is".to_owned(),
        Payload::Erased => "erased".to_owned(),
        Payload::Changed => "CHANGED: what stands there is not what was recorded".to_owned(),
    }
}

/// The words alone; nothing where they are not kept.
fn words_in(beside: &Payload) -> Option<String> {
    let Payload::Present(text) = beside else { return None };
    serde_json::from_str::<KeptWords>(text).ok()?.content
}

/// What is kept of words beside the chain.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct KeptWords {
    content: Option<String>,
    left_out_bytes: Option<u64>,
}

/// What the client says about its call in words, as far as it is kept.
fn claimed(payload: &Payload) -> Vec<(&'static str, String)> {
    let told = told_in(payload);
    let words = told.words.into_iter().map(|words| ("claimed words", one_line(&words)));
    let concerns = told.concerns.into_iter().map(|concern| {
        let ToldConcern { path, code, detail, holds } = concern;
        let held = if holds { ", which holds it" } else { "" };
        ("claimed concern", one_line(&format!("{path}: {code}, {detail}{held}")))
    });
    words.chain(concerns).collect()
}

/// Why the words are not known that a client gave with its call.
fn unknown_words(call: &Call) -> Option<&'static str> {
    call.begin.words?;
    match &call.payload {
        Payload::Present(_) if told_in(&call.payload).words.is_some() => None,
        Payload::Present(_) | Payload::None => Some("not kept; their digest is"),
        Payload::Erased => Some("erased"),
        Payload::Changed => Some("CHANGED: what stands there is not what was recorded"),
    }
}

fn told_in(payload: &Payload) -> Told {
    let Payload::Present(text) = payload else { return Told::default() };
    serde_json::from_str(text).map(|Beside { told }| told).unwrap_or_default()
}

/// What is kept of what a client says about its call.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Beside {
    told: Told,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Told {
    words: Option<String>,
    concerns: Vec<ToldConcern>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct ToldConcern {
    path: String,
    code: String,
    detail: String,
    holds: bool,
}

/// What is kept beside the chain.
#[derive(serde::Deserialize)]
struct Kept<'a> {
    #[serde(borrow)]
    arguments: Option<&'a serde_json::value::RawValue>,
}

fn payload(payload: &Payload) -> String {
    match payload {
        Payload::None => "none".to_owned(),
        // Beside the arguments stands the salt of their digest.
        Payload::Present(text) => match serde_json::from_str(text) {
            Ok(Kept { arguments: Some(arguments) }) => one_line(arguments.get()),
            Ok(Kept { arguments: None }) | Err(_) => one_line(text),
        },
        Payload::Erased => "erased".to_owned(),
        Payload::Changed => "CHANGED: what stands there is not what was recorded".to_owned(),
    }
}
