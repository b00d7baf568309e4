//! Golden transcripts: what a client sends, and what must come back.
//!
//! One entry a line. Empty lines and lines that start with `#` are for the reader.
//!
//! | line | meaning |
//! |---|---|
//! | `set NAME VALUE` | a setting for whoever sets the peer up; only before all entries that do something |
//! | `! NOTE` | what follows is about; shown when it fails |
//! | `> FRAME` | the client sends this, as it stands, and a line's end |
//! | `>> BYTES` | the client sends this and no line's end; `\xNN`, `\n` and `\\` are escapes |
//! | `< FRAME` | this comes back |
//! | `close` | the client closes its side |
//! | `vanish` | the client closes its side and reads no more |
//! | `end` | nothing more comes back, and the peer closes its side |
//! | `audit RECORD` | a record holds at least this; all records must have their line, in order |
//!
//! `<` lines that follow each other directly are a group: they may come in any order. An empty line
//! or any other entry ends a group.
//!
//! In what is expected, objects are equal whatever their order, and these stand for others:
//!
//! | expected | matches |
//! |---|---|
//! | `"<any>"` | any value |
//! | `"begins <any> ends"` | a string that begins and ends so; as often as wanted |
//! | `"<as NAME>"` | any value, which `"<as NAME>"` in later lines, sent or expected, then stands for |
//! | `{"...": 0, …}` | an object that has at least the other members |
//!
//! ```text
//! set server crashes.json
//!
//! ! the upstream dies in mid-call
//! > {"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"s__sum","arguments":{}}}
//! < {"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"<any>","data":{"...":0,"code":"upstream"}}}
//! close
//! end
//! audit {"event":"end","outcome":"unknown"}
//! ```
pub(crate) mod matching;
mod play;

use serde_json::Value;

pub use self::{matching::differences, play::Mismatch};

/// A golden transcript.
#[derive(Clone, Debug, PartialEq)]
pub struct Transcript {
    settings: Vec<(String, String)>,
    entries: Vec<Entry>,
    audit: Vec<(usize, Value)>,
}

/// Something to do, and the line that says so.
#[derive(Clone, Debug, PartialEq)]
struct Entry {
    line: usize,
    act: Act,
}

#[derive(Clone, Debug, PartialEq)]
enum Act {
    Note(String),
    Send(Vec<u8>),
    /// A group, each with its line.
    Receive(Vec<(usize, Value)>),
    Close,
    Vanish,
    End,
}

/// A line that is no entry.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct BadLine {
    /// Its number, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: String,
}

impl Transcript {
    /// Reads a transcript.
    ///
    /// # Errors
    /// The first line that is no entry.
    pub fn parse(text: &str) -> Result<Self, BadLine> {
        let mut this = Self { settings: Vec::new(), entries: Vec::new(), audit: Vec::new() };
        let mut in_group = false;
        for (line, content) in (1..).zip(text.lines()) {
            let (word, rest) = content.split_once(' ').unwrap_or((content, ""));
            let bad = |problem: &str| BadLine { line, problem: problem.to_owned() };
            let was_in_group = std::mem::take(&mut in_group);
            if !this.audit.is_empty() && !matches!(word, "" | "audit") && !word.starts_with('#') {
                return Err(bad("only `audit` lines may follow an `audit` line"));
            }
            match word {
                "" => {}
                comment if comment.starts_with('#') => in_group = was_in_group,
                "set" if this.entries.is_empty() => {
                    let (name, value) = rest.split_once(' ').ok_or_else(|| bad("no value"))?;
                    this.settings.push((name.to_owned(), value.trim().to_owned()));
                }
                "set" => return Err(bad("`set` comes before all else")),
                "audit" => this.audit.push((line, json(line, rest)?)),
                "<" => {
                    in_group = true;
                    this.receive(line, json(line, rest)?, was_in_group);
                }
                _ => this.entries.push(Entry { line, act: act(word, rest).map_err(bad)? }),
            }
        }
        Ok(this)
    }

    fn receive(&mut self, line: usize, frame: Value, in_group: bool) {
        match self.entries.last_mut() {
            Some(Entry { act: Act::Receive(group), .. }) if in_group => group.push((line, frame)),
            _ => self.entries.push(Entry { line, act: Act::Receive(vec![(line, frame)]) }),
        }
    }

    /// The values of `set` lines with this name.
    pub fn settings<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.settings.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// Every `set` line.
    pub fn all_settings(&self) -> impl Iterator<Item = (&str, &str)> {
        self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether there are `audit` lines to compare with.
    #[must_use]
    pub fn has_audit(&self) -> bool {
        !self.audit.is_empty()
    }

    /// Compares all `records` with the `audit` lines: as many, in this order, each holding at least
    /// what its line says.
    ///
    /// # Errors
    /// The first difference.
    pub fn check_audit(&self, records: &[Value]) -> Result<(), Mismatch> {
        let mut records = records.iter();
        for (line, expected) in &self.audit {
            let got = records.next();
            let differences = got.map_or_else(
                || vec![String::from("no such record")],
                |record| matching::lacking(expected, record),
            );
            if !differences.is_empty() {
                let got = got.map(ToString::to_string).unwrap_or_default();
                return Err(Mismatch::new(*line, expected.to_string(), got, differences));
            }
        }
        match records.next() {
            None => Ok(()),
            Some(more) => {
                let line = self.audit.last().map_or(0, |(line, _)| *line);
                let differences = vec![String::from("a record too many")];
                Err(Mismatch::new(line, String::new(), more.to_string(), differences))
            }
        }
    }
}

pub(crate) fn json(line: usize, text: &str) -> Result<Value, BadLine> {
    serde_json::from_str(text).map_err(|e| BadLine { line, problem: e.to_string() })
}

fn act(word: &str, rest: &str) -> Result<Act, &'static str> {
    match word {
        "!" => Ok(Act::Note(rest.to_owned())),
        ">" => Ok(Act::Send([rest.as_bytes(), b"\n"].concat())),
        ">>" => Ok(Act::Send(unescape(rest).ok_or("not an escape")?)),
        "close" => Ok(Act::Close),
        "vanish" => Ok(Act::Vanish),
        "end" => Ok(Act::End),
        _ => Err(
            "an entry starts with `set`, `!`, `>`, `>>`, `<`, `close`, `vanish`, `end` or `audit`",
        ),
    }
}

pub(crate) fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut bytes = text.as_bytes();
    while let [first, rest @ ..] = bytes {
        let (byte, rest) = match (first, rest) {
            (b'\\', [b'x', high, low, rest @ ..]) => (hex(*high)? << 4 | hex(*low)?, rest),
            (b'\\', [b'n', rest @ ..]) => (b'\n', rest),
            (b'\\', [b'\\', rest @ ..]) => (b'\\', rest),
            (b'\\', _) => return None,
            (byte, rest) => (*byte, rest),
        };
        out.push(byte);
        bytes = rest;
    }
    Some(out)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_that_follow_each_other_are_a_group() {
        let transcript = Transcript::parse("> {}\n< 1\n# why\n< 2\n\n< 3\nclose").unwrap();
        let groups: Vec<usize> = transcript
            .entries
            .iter()
            .map(|entry| if let Act::Receive(group) = &entry.act { group.len() } else { 0 })
            .collect();
        assert_eq!(groups, [0, 2, 1, 0]);
    }

    #[test]
    fn bytes_may_be_anything() {
        assert_eq!(unescape(r#"{"a\\":"\xff\n"#).unwrap(), b"{\"a\\\":\"\xff\n");
        for bad in [r"\", r"\x1", r"\xzz", r"\q"] {
            assert_eq!(unescape(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_bad_line_is_named() {
        for (text, line) in [("> a\n< {", 2), ("\nhello", 2), ("> a\nset b c", 2), ("set a", 1)] {
            assert_eq!(Transcript::parse(text).unwrap_err().line, line, "{text}");
        }
        assert!(Transcript::parse("audit {}\n> a").is_err());
    }

    #[test]
    fn records_are_compared_in_order_and_number() {
        let transcript = Transcript::parse("audit {\"a\":1}\naudit {\"b\":\"x<any>\"}").unwrap();
        let record = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        let (first, second) = (record(r#"{"a":1,"n":1}"#), record(r#"{"b":"xyz","n":2}"#));
        assert!(transcript.check_audit(&[first.clone(), second.clone()]).is_ok());
        for wrong in
            [vec![], vec![second.clone(), first.clone()], vec![first, second.clone(), second]]
        {
            assert!(transcript.check_audit(&wrong).is_err());
        }
    }
}
