//! Printing, for people or for programs.
use std::{
    fmt::Write as _,
    io::{self, Write as _},
};

use tagout_terminal::printable;

use crate::failure::{Ended, Failure};

/// Prints a line. A reader that went away is no failure: it has what it wanted.
pub(crate) fn line(text: impl std::fmt::Display) -> Result<(), Failure> {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(Ended::Failed, "file-unusable", format!("standard output: {error}")))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Says something aside, on standard error; whoever closed it does not want to know.
pub(crate) fn aside(text: impl std::fmt::Display) {
    drop(writeln!(io::stderr(), "{text}"));
}

/// Shows how far something is, on a line of standard error that is written over; nothing clears it.
pub(crate) fn progress(text: impl std::fmt::Display) {
    let mut stderr = io::stderr();
    drop(write!(stderr, "\r\u{1b}[K{text}").and_then(|()| stderr.flush()));
}

/// Prints a value as one line of JSON.
pub(crate) fn json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let text =
        serde_json::to_string(value).map_err(|error| Failure::of(&error, "file-unusable", ""))?;
    line(escaped(&text))
}

/// JSON in which what would not show, or would drive a terminal, is written by its number; it means
/// the same, since outside of texts there is none.
pub(crate) fn escaped(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for character in json.chars() {
        let mut buffer = [0; 4];
        let text = character.encode_utf8(&mut buffer);
        if matches!(character, ' '..='~' | '\n') || printable(text) == *text {
            out.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            // Writing to a text does not fail.
            let _written = write!(out, "\\u{unit:04x}");
        }
    }
    out
}

/// Says where clients are served, and what the first of them needs: on standard error, because
/// whoever keeps the output of a service must not keep the key.
pub(crate) fn listening(url: &str, key: Option<&str>, json: bool) -> Result<(), Failure> {
    let mut text = String::new();
    if json {
        let value = serde_json::json!({ "url": url, "key": key });
        text.push_str(&value.to_string());
    } else {
        text.push_str(&format!("serving MCP clients at {url}"));
        if let Some(key) = key {
            text.push_str(&format!(
                "\nthere was no key yet; this is the first, shown once:\n  {key}\n\
                 clients send it as `Authorization: Bearer KEY`; more with `tagout key add`"
            ));
        }
    }
    match writeln!(io::stderr(), "{text}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(Ended::Failed, "file-unusable", format!("standard error: {error}")))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Rows as columns, each as wide as its widest cell; the last as it is.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|c| c.chars().count()).max()
    };
    let widths: Vec<_> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width + 2 - cell.chars().count().min(*width)));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn json_that_is_escaped_means_the_same() {
        let value = json!({"é\u{1b}\u{9b}": ["\u{202e}", "\u{e0041}", "🙂", "\u{7f}\n\t\"\\"]});
        let text = escaped(&value.to_string());
        assert!(text.chars().all(|c| !c.is_control() && c != '\u{202e}'), "{text}");
        assert!(text.contains('🙂') && text.contains("\\udb40\\udc41"), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }
}
