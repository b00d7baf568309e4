//! What does not fit together in a story.
use std::collections::BTreeMap;

use serde::Serialize;

use super::{Part, Whose, links::Links};
use crate::{
    Cause, Record, What,
    record::{Call, Payload, Subject, Uttered},
    said::Compared,
};

/// Something in a record that what it names does not bear out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Doubt {
    /// The record that says it.
    pub n: u64,
    /// What is wrong.
    pub kind: DoubtKind,
    /// In words.
    pub detail: String,
}

/// What can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DoubtKind {
    /// There is no such record.
    CauseMissing,
    /// It is no record that could have led to this.
    CauseUnfit,
    /// It is of another user, or of another conversation.
    CauseForeign,
    /// It came after this.
    CauseLater,
    /// The response has not proposed such a call.
    CallNotProposed,
    /// It has proposed another tool.
    ToolDiffers,
    /// It has proposed other arguments.
    ArgumentsDiffer,
    /// It is another model's.
    ModelDiffers,
    /// Another call says that it is the same.
    CallTwice,
    /// A result is said to be that of a record that it is not.
    ResultUnfit,
}

/// Why it is not known whether a call was made with the arguments that were proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Uncompared {
    /// What tells it was erased.
    Erased,
    /// What tells it is not on record.
    Unrecorded,
}

/// What does not fit, and what nobody can tell any more, by record.
pub(super) type Found = (Vec<Doubt>, BTreeMap<u64, Uncompared>);

/// What there is to hold records against.
struct Against<'a> {
    records: &'a BTreeMap<u64, Record>,
    links: &'a Links,
    whose: &'a Whose,
}

/// What does not fit in those of `records` that are `parts` of the story.
pub(super) fn doubts(
    records: &BTreeMap<u64, Record>,
    parts: &BTreeMap<u64, Part>,
    (links, whose): (&Links, &Whose),
) -> Found {
    let against = Against { records, links, whose };
    let (mut doubts, mut uncompared) = (Vec::new(), BTreeMap::new());
    for (n, record) in records.iter().filter(|(n, _)| parts.contains_key(n)) {
        if Whose::of_record(record).as_ref() != Some(whose) {
            continue;
        }
        let mut doubt =
            |kind: DoubtKind, detail: String| doubts.push(Doubt { n: *n, kind, detail });
        match &record.subject {
            Subject::Call(call) => {
                let open = against.call((*n, call), &mut doubt);
                uncompared.extend(open.map(|why| (*n, why)));
            }
            Subject::Said { said, .. } => against.said((*n, said), &mut doubt),
            Subject::Other { .. } => {}
        }
    }
    (doubts, uncompared)
}

type Say<'a> = &'a mut dyn FnMut(DoubtKind, String);

impl Against<'_> {
    fn call(&self, (n, call): (u64, &Call), doubt: Say<'_>) -> Option<Uncompared> {
        let begin = &call.begin;
        let cause = begin.cause.as_ref()?;
        let of = cause.record;
        let record = self.found(n, of, doubt)?;
        let Subject::Said { said, payload } = &record.subject else {
            let detail = format!("record {of} led to it, but that is no response of a model");
            doubt(DoubtKind::CauseUnfit, detail);
            return None;
        };
        if said.what != What::Response {
            let detail = format!("record {of} led to it, but that is a {}", said.what.as_str());
            doubt(DoubtKind::CauseUnfit, detail);
            return None;
        }
        let uncompared = held_against((call, cause), (said, payload), doubt);
        if let Some(twin) = self.links.twin(n) {
            let detail =
                format!("it is call `{}` of record {of}, but so does record {twin}", cause.call);
            doubt(DoubtKind::CallTwice, detail);
        }
        uncompared
    }

    fn said(&self, (n, said): (u64, &Uttered), doubt: Say<'_>) {
        if let Some(of) = said.cause
            && let Some(record) = self.found(n, of, doubt)
            && !leads_to(&record.subject, said.what)
        {
            let what = said.what.as_str();
            let detail = format!("record {of} led to it, but no {what} follows from that");
            doubt(DoubtKind::CauseUnfit, detail);
        }
        for result in &said.results {
            let Some(of) = result.record else { continue };
            let unfit = |why: &str| {
                format!("it brings the result of call `{}`, record {of}, but {why}", result.id)
            };
            let Some(record) = self.records.get(&of) else {
                doubt(DoubtKind::ResultUnfit, unfit("there is no such record"));
                continue;
            };
            let Subject::Call(call) = &record.subject else {
                doubt(DoubtKind::ResultUnfit, unfit("that is no call"));
                continue;
            };
            let claimed = call.begin.cause.as_ref().map(|cause| cause.call.as_str());
            if Whose::of_record(record).as_ref() != Some(self.whose) {
                let why = "that is another's, or of another conversation";
                doubt(DoubtKind::ResultUnfit, unfit(why));
            } else if claimed.is_some_and(|claimed| claimed != result.id) {
                doubt(DoubtKind::ResultUnfit, unfit("that says it is another call"));
            }
        }
    }

    /// The record `of` that `n` names as what led to it, where it is one that could be.
    fn found(&self, n: u64, of: u64, doubt: Say<'_>) -> Option<&Record> {
        let Some(record) = self.records.get(&of) else {
            let detail = format!("record {of} led to it, but there is no such record");
            doubt(DoubtKind::CauseMissing, detail);
            return None;
        };
        match Whose::of_record(record) {
            Some(whose) if whose == *self.whose => {}
            Some(_) => {
                let detail = format!(
                    "record {of} led to it, but that is another's, or of another conversation"
                );
                doubt(DoubtKind::CauseForeign, detail);
                return None;
            }
            None => {
                let detail = format!("record {of} led to it, but nothing is said there");
                doubt(DoubtKind::CauseUnfit, detail);
                return None;
            }
        }
        if of >= n {
            let detail = format!("record {of} led to it, but that came no earlier");
            doubt(DoubtKind::CauseLater, detail);
        }
        Some(record)
    }
}

/// Whether something of the kind `what` can follow from `subject`.
const fn leads_to(subject: &Subject, what: What) -> bool {
    let Subject::Said { said, .. } = subject else { return false };
    match what {
        What::Prompt => matches!(said.what, What::Response | What::Stopped),
        What::Request => matches!(said.what, What::Prompt | What::Response | What::Request),
        What::Response => matches!(said.what, What::Request),
        What::Stopped => !matches!(said.what, What::Stopped),
    }
}

/// Holds a call against the response that it says it is of.
fn held_against(
    (call, cause): (&Call, &Cause),
    (said, beside): (&Uttered, &Payload),
    doubt: Say<'_>,
) -> Option<Uncompared> {
    let (of, begin) = (cause.record, &call.begin);
    if let (Some(claims), Some(model)) = (&begin.model, &said.model)
        && claims != model
    {
        let detail = format!("`{claims}` proposed it, but record {of} is of `{model}`");
        doubt(DoubtKind::ModelDiffers, detail);
    }
    let mut calls = said.calls.iter().enumerate();
    let Some((index, proposed)) = calls.find(|(_, call)| call.id == cause.call) else {
        // What found no room in the record may be it.
        if said.left_out == 0 {
            let detail = format!("it is call `{}` of record {of}, but that has none", cause.call);
            doubt(DoubtKind::CallNotProposed, detail);
            return None;
        }
        return Some(Uncompared::Unrecorded);
    };
    let subject = begin.subject.as_deref().unwrap_or_default();
    if proposed.tool != subject {
        let detail = format!(
            "it is call `{}` of record {of}, but that is a call of `{}`",
            cause.call, proposed.tool
        );
        doubt(DoubtKind::ToolDiffers, detail);
    }
    let came = Compared::of(&call.payload).came();
    match (came, Compared::of(beside).proposed(index)) {
        (Some(came), Some(proposed)) if came == proposed => None,
        (Some(_), Some(_)) => {
            let detail = format!(
                "it is call `{}` of record {of}, but that was proposed with other arguments",
                cause.call
            );
            doubt(DoubtKind::ArgumentsDiffer, detail);
            None
        }
        _ if [&call.payload, beside].contains(&&Payload::Erased) => Some(Uncompared::Erased),
        _ => Some(Uncompared::Unrecorded),
    }
}
