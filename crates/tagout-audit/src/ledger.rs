//! What the lines say: which calls are open, what became of their payloads, what writers noted.
use std::collections::BTreeMap;

use tagout_proto::Digest;

use crate::{
    AuditError, Line, Notice, Open, Payloads, Problem, ProblemKind,
    chain::Place,
    payload::PayloadReader,
    record::{Begun, Event, Payload},
};

/// The most open calls that are kept.
const OPEN: usize = 10_000;
/// The most of everything else that is kept.
const MOST: usize = 1000;

/// What the lines say, summed up in bounded memory.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) calls: u64,
    pub(crate) open: BTreeMap<u64, Open>,
    pub(crate) notices: Vec<Notice>,
    pub(crate) payloads: Payloads,
    pub(crate) left_out: u64,
    /// Payloads that are not there, until a later line says that they were erased.
    missing: BTreeMap<u64, Place>,
    changed: Vec<Problem>,
}

impl Ledger {
    /// Takes in a line that belongs where it stands.
    pub(crate) fn line(
        &mut self,
        line: Line,
        place: &Place,
        payloads: &mut PayloadReader,
    ) -> Result<(), AuditError> {
        let Line { n, at, event, .. } = line;
        match event {
            Event::Begin(begin) => {
                self.calls += 1;
                self.payload(n, begin.payload.as_ref(), place, payloads)?;
                self.begin(n, at, *begin);
            }
            Event::Said(said) => self.payload(n, said.payload.as_ref(), place, payloads)?,
            Event::Decision(decided) => {
                if let Some(open) = self.open.get_mut(&decided.of) {
                    open.verdict = Some(decided.verdict);
                }
            }
            Event::End(ended) => drop(self.open.remove(&ended.of)),
            Event::Erased(erased) => {
                self.payloads.erased += u64::from(self.missing.remove(&erased.of).is_some());
            }
            Event::Torn(torn) => self.notice(Notice::Torn { n, bytes: torn.bytes }),
            Event::Adopted(lines) => self.notice(Notice::Adopted { n, lines }),
            Event::Genesis(_) | Event::Note(_) | Event::Lost(_) | Event::Rotated {} => {}
        }
        Ok(())
    }

    pub(crate) fn notice(&mut self, notice: Notice) {
        if self.notices.len() < MOST {
            self.notices.push(notice);
        } else {
            self.left_out += 1;
        }
    }

    fn begin(&mut self, n: u64, at: jiff::Timestamp, begin: Begun) {
        let open = Open {
            n,
            at,
            method: begin.method,
            server: begin.server.map(|server| server.to_string()),
            subject: begin.subject,
            user: begin.principal.map(|principal| principal.user.to_string()),
            verdict: None,
        };
        if self.open.len() < OPEN {
            self.open.insert(n, open);
        } else {
            // Whether it is ended later is not known; saying too much is the safe side.
            self.left_out += 1;
        }
    }

    fn payload(
        &mut self,
        n: u64,
        digest: Option<&Digest>,
        place: &Place,
        payloads: &mut PayloadReader,
    ) -> Result<(), AuditError> {
        let Some(digest) = digest else { return Ok(()) };
        match payloads.find(n, digest)? {
            Payload::Present(_) => self.payloads.present += 1,
            Payload::Changed => {
                self.payloads.changed += 1;
                let detail = "its payload is not what was recorded".to_owned();
                let problem = problem(ProblemKind::PayloadChanged, n, place, detail);
                self.keep(problem);
            }
            Payload::Erased | Payload::None if self.missing.len() < OPEN => {
                self.missing.insert(n, place.clone());
            }
            Payload::Erased | Payload::None => {
                self.payloads.missing += 1;
                self.left_out += 1;
            }
        }
        Ok(())
    }

    fn keep(&mut self, problem: Problem) {
        if self.changed.len() < MOST {
            self.changed.push(problem);
        } else {
            self.left_out += 1;
        }
    }

    /// What is wrong with the payloads.
    pub(crate) fn payload_problems(&mut self) -> Vec<Problem> {
        for (n, place) in std::mem::take(&mut self.missing) {
            self.payloads.missing += 1;
            let detail = "its payload is gone and no line says that it was erased".to_owned();
            self.keep(problem(ProblemKind::PayloadMissing, n, &place, detail));
        }
        std::mem::take(&mut self.changed)
    }
}

fn problem(kind: ProblemKind, n: u64, place: &Place, detail: String) -> Problem {
    Problem { kind, n: Some(n), file: place.file.clone(), line: Some(place.line), detail }
}
