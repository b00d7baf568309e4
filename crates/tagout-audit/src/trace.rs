//! From a record back to the question that led to it, and forward to all that came of it.
//!
//! What led to a call is what its client says: a number and an identifier. It is held against what
//! is on record, and what does not fit is said. All of it is read in a few passes over the log,
//! whatever the numbers say.
mod doubt;
mod links;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;
use tagout_proto::{Conversation, Principal};

pub use self::doubt::{Doubt, DoubtKind, Uncompared};
use self::links::Links;
use crate::{
    AuditError, Line, Reader, Record,
    record::{Event, Noted, Subject},
};

/// The most records of one story.
const STEPS: usize = 300;

/// What led to a record, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trace {
    /// The record that was asked about.
    pub record: u64,
    /// The story, in the order of the log.
    pub steps: Vec<Step>,
    /// What does not fit together.
    pub doubts: Vec<Doubt>,
    /// The calls of which nobody can tell whether they were made as they were proposed.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub uncompared: BTreeMap<u64, Uncompared>,
    /// How many records of the story, or of its conversation, found no room.
    pub left_out: u64,
}

/// One record of a story.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    /// Where it stands in the story.
    pub part: Part,
    /// The record.
    #[serde(flatten)]
    pub record: Record,
    /// What people answered to its question, each a note of its own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<Answer>,
}

/// Where a record stands in a story.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// It led to the record that was asked about.
    LedTo,
    /// It is that record.
    Asked,
    /// It came of that record.
    CameOf,
}

/// What somebody answered to a question about a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// The number of the note.
    pub n: u64,
    /// When.
    pub at: Timestamp,
    /// In words.
    pub detail: String,
}

/// Whose records belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Whose {
    user: String,
    authenticated_by: String,
    conversation: Conversation,
}

impl Whose {
    fn new(principal: &Principal, conversation: &Conversation) -> Self {
        Self {
            user: principal.user.to_string(),
            authenticated_by: principal.authenticated_by.to_string(),
            conversation: conversation.clone(),
        }
    }

    fn of(event: &Event) -> Option<Self> {
        match event {
            Event::Begin(begun) => {
                Some(Self::new(begun.principal.as_ref()?, begun.conversation.as_ref()?))
            }
            Event::Said(said) => Some(Self::new(&said.principal, &said.conversation)),
            Event::Genesis(_)
            | Event::Decision(_)
            | Event::End(_)
            | Event::Note(_)
            | Event::Torn(_)
            | Event::Adopted(_)
            | Event::Lost(_)
            | Event::Erased(_)
            | Event::Rotated {} => None,
        }
    }

    fn of_record(record: &Record) -> Option<Self> {
        match &record.subject {
            Subject::Call(call) => {
                Some(Self::new(call.begin.principal.as_ref()?, call.begin.conversation.as_ref()?))
            }
            Subject::Said { said, .. } => Some(Self::new(&said.principal, &said.conversation)),
            Subject::Other { .. } => None,
        }
    }
}

impl Reader {
    /// The story of record `n`, or of the record that line `n` belongs to.
    ///
    /// # Errors
    /// [`AuditError::Unreadable`].
    pub fn trace(&self, n: u64) -> Result<Option<Trace>, AuditError> {
        let Some(asked) = self.show(n)? else { return Ok(None) };
        let n = asked.n;
        let Some(whose) = Whose::of_record(&asked) else {
            let step = Step { part: Part::Asked, record: asked, answers: Vec::new() };
            return Ok(Some(Trace {
                record: n,
                steps: vec![step],
                doubts: Vec::new(),
                uncompared: BTreeMap::new(),
                left_out: 0,
            }));
        };
        let mut links = Links::new(n, whose.clone());
        self.each_line(|line| links.take_in(line))?;
        let (parts, mut left_out) = links.story(n, STEPS);
        // What is only named is looked at too, to tell what is wrong with it.
        let wanted: BTreeSet<u64> = links.named_by(parts.keys());
        let mut records = self.records(&wanted)?;
        left_out += links.left_out;
        let (doubts, uncompared) = doubt::doubts(&records, &parts, (&links, &whose));
        let is_theirs = |record: &Record| Whose::of_record(record).as_ref() == Some(&whose);
        records.retain(|n, record| parts.contains_key(n) && is_theirs(record));
        let mut answers = self.answers(&records)?;
        let steps = records.into_iter().filter_map(|(n, record)| {
            let answers = answers.remove(&n).unwrap_or_default();
            Some(Step { part: *parts.get(&n)?, record, answers })
        });
        Ok(Some(Trace { record: n, steps: steps.collect(), doubts, uncompared, left_out }))
    }

    /// What was answered to the questions that stand in `records`, by record.
    fn answers(
        &self,
        records: &BTreeMap<u64, Record>,
    ) -> Result<BTreeMap<u64, Vec<Answer>>, AuditError> {
        let asked = records.iter().filter_map(|(n, record)| Some((question_of(record)?, *n)));
        let asked: BTreeMap<String, u64> = asked.collect();
        let mut answers: BTreeMap<u64, Vec<Answer>> = BTreeMap::new();
        if asked.is_empty() {
            return Ok(answers);
        }
        let mut room = STEPS;
        self.each_line(|Line { n, at, event, .. }| {
            let Event::Note(noted) = event else { return };
            let of = answered(&noted).and_then(|question| asked.get(question));
            if let (Some(of), Some(left)) = (of, room.checked_sub(1)) {
                room = left;
                let detail = noted.detail.unwrap_or_default();
                answers.entry(*of).or_default().push(Answer { n, at, detail });
            }
        })?;
        Ok(answers)
    }
}

/// The question that was asked about a call.
fn question_of(record: &Record) -> Option<String> {
    let Subject::Call(call) = &record.subject else { return None };
    let decided = call.decision.as_ref().and_then(|decided| decided.approval.as_ref());
    let approved = decided.or_else(|| call.end.as_ref()?.approval.as_ref())?;
    approved.question.clone()
}

/// The question in `…, question NAME`.
fn answered(noted: &Noted) -> Option<&str> {
    if noted.event != "approval-answered" {
        return None;
    }
    noted.detail.as_deref()?.rsplit_once(", question ").map(|(_, question)| question)
}
