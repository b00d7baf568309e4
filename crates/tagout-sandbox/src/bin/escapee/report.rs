//! One line of JSON each for what was tried and what was seen.
use std::fmt::Write as _;

use crate::attempt::Tried;

/// A text in quotes.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => {
                // Writing to a string does not fail.
                write!(out, "\\u{:04x}", u32::from(c)).ok();
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

pub(crate) fn failed(error: &str) -> String {
    format!("{{\"failed\": {}}}", quoted(error))
}

pub(crate) fn began(name: &str) -> String {
    format!("{{\"attempt\": {}, \"began\": true}}", quoted(name))
}

pub(crate) fn ended(name: &str, tried: &Tried) -> String {
    let (succeeded, evidence) = match tried {
        Tried::Got(evidence) => (true, evidence),
        Tried::Stopped(why) => (false, why),
    };
    let (name, evidence) = (quoted(name), quoted(evidence));
    format!("{{\"attempt\": {name}, \"succeeded\": {succeeded}, \"evidence\": {evidence}}}")
}

/// What a program said, as this module wrote it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    /// It ran as far as its attempt.
    pub(crate) began: bool,
    /// It says that it succeeded.
    pub(crate) succeeded: bool,
    /// It came to its end.
    pub(crate) ended: bool,
    /// Why the program was not started.
    pub(crate) failed: Option<String>,
    pub(crate) evidence: String,
}

impl Said {
    pub(crate) fn take(&mut self, line: &str) {
        if let Some(why) = between(line, "{\"failed\": \"", "\"}") {
            self.failed = Some(why.to_owned());
        } else if line.ends_with("\"began\": true}") {
            self.began = true;
        } else if let Some((_, rest)) = line.split_once("\"succeeded\": ") {
            self.ended = true;
            self.succeeded = rest.starts_with("true");
            let evidence = between(rest, "\"evidence\": \"", "\"}").unwrap_or_default();
            evidence.clone_into(&mut self.evidence);
        } else if let Some(how) = line.strip_prefix("gone: ") {
            self.ended = true;
            if self.evidence.is_empty() {
                self.evidence = format!("ended by {how}");
            }
        }
    }
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(start)?;
    rest.rsplit_once(end).map(|(inside, _)| inside)
}
