//! Tests of rules: a file of calls, and what is to be decided about each.
mod written;

use std::{ops::Range, sync::Arc};

use miette::{Diagnostic, NamedSource, SourceSpan};
use tagout_policy::{Decision, Given, Policy, Verdict};

use super::{Case, Pinned};

/// A call, and what is to be decided about it.
#[derive(Clone, Debug)]
pub struct Expected {
    /// The case's name.
    pub name: String,
    /// The call.
    pub case: Case,
    /// The approvals that it has, where it is asked whether they do.
    pub given: Option<Given>,
    /// What is to be decided.
    pub decision: Decision,
    /// By which rule.
    pub rule: Option<String>,
    /// The least approvals that are to do.
    pub demand: Option<Given>,
}

/// How a case came out.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Came {
    /// The case's name.
    pub name: String,
    /// Whether it came out as it should.
    pub passed: bool,
    /// What is decided.
    pub verdict: Verdict,
    /// What is not as it should be.
    pub problems: Vec<String>,
}

/// What is wrong with a file of cases, and where.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{problem}")]
#[diagnostic(code("cases-invalid"))]
pub struct CasesError {
    problem: Box<str>,
    #[help]
    help: Option<Box<str>>,
    #[source_code]
    file: NamedSource<Arc<str>>,
    #[label("here")]
    at: Option<SourceSpan>,
}

/// Reads `text`, the content of the file called `name`; what a case does not say of its tool is
/// what is `pinned`.
///
/// # Errors
/// The first thing wrong, with its place.
pub fn read(name: &str, text: &str, pinned: &Pinned) -> Result<Vec<Expected>, CasesError> {
    let error = |problem: String, help: Option<String>, at: Option<Range<usize>>| CasesError {
        problem: problem.into(),
        help: help.map(Into::into),
        file: NamedSource::new(name, Arc::from(text)),
        at: at.map(SourceSpan::from),
    };
    written::read(text, pinned).map_err(|wrong| error(wrong.problem, wrong.help, wrong.at))
}

impl Expected {
    /// Puts the case to `policy`.
    pub fn put(&self, policy: &Policy) -> Came {
        let facts = self.case.facts();
        let verdict = match &self.given {
            None => policy.decide(&facts),
            Some(given) => policy.allows(&facts, given),
        };
        let mut problems = Vec::new();
        if verdict.decision != self.decision {
            problems.push(format!("expected {}, got {}", self.decision, verdict.decision));
        }
        if let Some(rule) = self.rule.as_ref().filter(|rule| **rule != verdict.rule) {
            problems.push(format!("expected by `{rule}`, got by `{}`", verdict.rule));
        }
        if let Some(demand) = self.demand.as_ref().filter(|d| Some(*d) != verdict.demand.as_ref()) {
            let got =
                verdict.demand.as_ref().map_or_else(|| "nothing".to_owned(), ToString::to_string);
            problems.push(format!("expected to ask for approval by {demand}, got {got}"));
        }
        Came { name: self.name.clone(), passed: problems.is_empty(), verdict, problems }
    }
}
