//! What the audit log says about the calls of a conversation.
use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use tagout_audit::{
    Line, Outcome, Reader, Verdict,
    record::{Decided, Event},
};

use super::{Entry, entry::Spoken};
use crate::{failure::Failure, places::Places};

/// By a call's identifier in the conversation, where it stands in the audit log.
pub(crate) type Decisions = BTreeMap<String, Decision>;

/// Where a call stands in the audit log, and what that says.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Decision {
    /// The record's number.
    pub(crate) record: u64,
    /// The tool that the record is about; nothing if there is no such record of a call.
    pub(crate) tool: Option<String>,
    /// What was decided, in words.
    pub(crate) decided: Option<String>,
    /// How it ended, in words.
    pub(crate) ended: Option<String>,
}

/// Looks up what was decided about the calls in `entries`, which began at `since`.
pub(crate) fn decisions(
    places: &Places,
    entries: &[Entry],
    since: Timestamp,
) -> Result<Decisions, Failure> {
    let results = entries.iter().flat_map(|entry| match entry {
        Entry::Said { said: Spoken { results, .. }, .. } => results.as_slice(),
        Entry::Message { .. } => &[],
    });
    let calls: Vec<_> =
        results.filter_map(|result| Some((result.id.clone(), result.record?))).collect();
    let mut found: BTreeMap<u64, Decision> = calls
        .iter()
        .map(|(_, record)| (*record, Decision { record: *record, ..Decision::default() }))
        .collect();
    if !found.is_empty() {
        // Two clocks of one machine are never far apart.
        let since = since.checked_sub(SignedDuration::from_mins(1)).unwrap_or(since);
        let read = Reader::new(&places.audit()).back_to(since, |line| take(line, &mut found));
        read.map_err(|error| Failure::of(&error, error.code(), error.help()))?;
    }
    let of = |record| found.get(&record).cloned();
    Ok(calls.into_iter().filter_map(|(id, record)| Some((id, of(record)?))).collect())
}

/// Lines come the last one first, so the first decision that is seen of a call is the last word.
fn take(line: Line, found: &mut BTreeMap<u64, Decision>) {
    match line.event {
        Event::Begin(begun) => {
            if let Some(decision) = found.get_mut(&line.n) {
                decision.tool = begun.subject;
            }
        }
        Event::Decision(decided) => {
            if let Some(decision) = found.get_mut(&decided.of) {
                decision.decided.get_or_insert_with(|| words(&decided));
            }
        }
        Event::End(ended) => {
            if let Some(decision) = found.get_mut(&ended.of) {
                let code = ended.refusal.map(|code| format!(" ({code})")).unwrap_or_default();
                decision.ended = Some(format!("{}{code}", outcome(ended.outcome)));
            }
        }
        Event::Genesis(_)
        | Event::Note(_)
        | Event::Said(_)
        | Event::Torn(_)
        | Event::Adopted(_)
        | Event::Lost(_)
        | Event::Erased(_)
        | Event::Rotated {} => {}
    }
}

fn words(decided: &Decided) -> String {
    let verdict = match decided.verdict {
        Verdict::Allow => "allowed",
        Verdict::Ask => "a person was to be asked",
        Verdict::Deny => "denied",
    };
    let rule = decided.rule.as_deref();
    let rule = rule.map(|rule| format!(" by rule {rule}")).unwrap_or_default();
    let approval = decided.approval.as_ref().map(|approval| {
        let by = approval.by.as_deref().map(|by| format!(" by {by}")).unwrap_or_default();
        format!(", answered `{}`{by} ({})", approval.decision, approval.how)
    });
    format!("{verdict}{rule}{}", approval.unwrap_or_default())
}

const fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok => "the server answered",
        Outcome::Error => "the server answered with an error, or not at all",
        Outcome::Refused => "refused",
        Outcome::Cancelled => "cancelled",
    }
}
