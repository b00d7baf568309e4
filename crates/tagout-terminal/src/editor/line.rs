//! What the line editor asks about the text that is being typed.
use std::{
    borrow::Cow::{self, Borrowed, Owned},
    sync::{Mutex, PoisonError},
};

use rustyline::{
    Context, Helper, Result,
    completion::{Completer, Pair},
    highlight::{CmdKind, Highlighter},
    hint::Hinter,
    validate::{ValidationContext, ValidationResult, Validator},
};

use super::Complete;
use crate::{printable, printable::is_invisible};

/// The most candidates that are shown.
const CANDIDATES: usize = 200;
/// The most rows that are made by backslashes.
const ROWS: usize = 1_000;

/// The text that is being typed.
pub(super) struct Line {
    complete: Option<Complete>,
    /// What stood there when Enter was pressed after a backslash.
    continued: Mutex<Vec<String>>,
}

impl Line {
    pub(super) fn new(complete: Option<Complete>) -> Self {
        Self { complete, continued: Mutex::default() }
    }

    /// What stood there each time that Enter was pressed after a backslash; forgets it.
    pub(super) fn continued(&self) -> Vec<String> {
        std::mem::take(&mut *self.continued.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The text without the backslashes after which Enter was pressed. Those of a text that was pasted
/// are its own.
pub(super) fn joined(text: &str, continued: &[String]) -> String {
    let mut out = text.to_owned();
    // The last ones first, so that the places of the others stay.
    for before in continued.iter().rev() {
        let at = before.len().saturating_sub(1);
        if before.ends_with('\\')
            && text.starts_with(before.as_str())
            && text.get(before.len()..).is_some_and(|rest| rest.starts_with('\n'))
            && out.get(at..=at) == Some("\\")
        {
            out.remove(at);
        }
    }
    out
}

fn is_hidden(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\t')) || is_invisible(c)
}

/// The text with the names of characters that nobody sees.
pub(super) fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) {
            out.push_str(&format!("<U+{:04X}>", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
}

/// One sign for each of them while the text is typed, so that the cursor stays near its place.
fn sign(c: char) -> char {
    match c {
        '\0'..='\u{1f}' if is_hidden(c) => char::from_u32(0x2400 + u32::from(c)).unwrap_or('?'),
        '\u{7f}' => '\u{2421}',
        c if is_hidden(c) => '\u{fffd}',
        c => c,
    }
}

impl Completer for Line {
    type Candidate = Pair;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> Result<(usize, Vec<Pair>)> {
        let Some(complete) = &self.complete else { return Ok((pos, Vec::new())) };
        let (start, candidates) = complete(line, pos);
        if start > pos || !line.is_char_boundary(start) {
            return Ok((pos, Vec::new()));
        }
        // Servers name what they offer.
        let clean = |text: &str| printable(text).replace(['\n', '\t'], " ");
        let pairs = candidates.iter().take(CANDIDATES).map(|candidate| Pair {
            display: clean(&candidate.display),
            replacement: clean(&candidate.replacement),
        });
        Ok((start, pairs.collect()))
    }
}

impl Hinter for Line {
    type Hint = String;
}

impl Highlighter for Line {
    fn highlight<'l>(&self, line: &'l str, _: usize) -> Cow<'l, str> {
        if line.contains(is_hidden) {
            Owned(line.chars().map(sign).collect())
        } else {
            Borrowed(line)
        }
    }

    fn highlight_char(&self, line: &str, _: usize, _: CmdKind) -> bool {
        line.contains(is_hidden)
    }
}

impl Validator for Line {
    fn validate(&self, context: &mut ValidationContext<'_>) -> Result<ValidationResult> {
        let text = context.input();
        let mut continued = self.continued.lock().unwrap_or_else(PoisonError::into_inner);
        if text.ends_with('\\') && continued.len() < ROWS {
            continued.push(text.to_owned());
            return Ok(ValidationResult::Incomplete);
        }
        Ok(ValidationResult::Valid(None))
    }
}

impl Helper for Line {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_backslashes_before_enter_go() {
        let before = |texts: &[&str]| texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
        for (text, continued, expected) in [
            ("a\\\nb", before(&["a\\"]), "a\nb"),
            ("a\\\nb\\\nc", before(&["a\\", "a\\\nb\\"]), "a\nb\nc"),
            ("pasted \\\nb", before(&[]), "pasted \\\nb"),
            ("pasted \\\nb\\\nc", before(&["pasted \\\nb\\"]), "pasted \\\nb\nc"),
            ("other\\\nb", before(&["a\\"]), "other\\\nb"),
        ] {
            assert_eq!(joined(text, &continued), expected, "{text:?}");
        }
    }

    #[test]
    fn what_nobody_sees_is_named() {
        assert_eq!(visible("a\u{1b}[31m\tb\n\u{202e}ü"), "a<U+001B>[31m\tb\n<U+202E>ü");
        assert_eq!("\u{1b}\u{7f}\u{9b}\na".chars().map(sign).collect::<String>(), "␛␡\u{fffd}\na");
    }
}
