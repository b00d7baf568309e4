//! Golden transcripts over HTTP: what several clients send, and what must come back to each.
//!
//! One entry a line. Empty lines and lines that start with `#` are for the reader.
//!
//! | line | meaning |
//! |---|---|
//! | `set NAME VALUE` | a setting for whoever sets the peer up; only before all entries that do something |
//! | `let NAME JSON` | `"<as NAME>"` stands for this value from now on |
//! | `headers SET NAME: VALUE` | a header that requests which name `SET` have |
//! | `! NOTE` | what follows is about; shown when it fails |
//! | `request CONNECTION METHOD PATH SET…` | sends a request over a connection of its own |
//! | `response CONNECTION STATUS` | its status comes back |
//! | `event CONNECTION JSON` | the next message of the stream that came back |
//! | `event+ CONNECTION JSON` | as `event`; may come in any order with those right before it |
//! | `endpoint CONNECTION TEXT` | the next event of the stream is `endpoint` with this |
//! | `end CONNECTION` | nothing more comes back: the stream ends |
//! | `disconnect CONNECTION` | the client breaks the connection off |
//! | `until CONDITION` | waits for something that whoever set the peer up knows of |
//! | `audit RECORD` | a record holds at least this; all `audit` lines find theirs in this order |
//!
//! After `request` and `response` come lines of their own:
//!
//! | line | meaning |
//! |---|---|
//! | `\| NAME: VALUE` | a header; in a request beside those of its sets, a `host` in place of the right one |
//! | `\|- NAME` | no such header |
//! | `> BODY` | the request's body, as it stands |
//! | `>> BYTES` | the same; `\xNN`, `\n` and `\\` are escapes |
//! | `< JSON` | the response's body |
//!
//! What is expected may hold the stand-ins of [transcripts](crate::transcript). In what is sent,
//! also in paths and headers, `<as NAME>` without quotes stands for the text of a value;
//! `<as CONNECTION.id>` is the id of the last event that came on a connection. Events without data
//! are passed over, but for their id. Whether an answer comes by itself or as the event of a
//! stream makes no difference to `<` and `event`: that depends on how long it takes.
mod connection;
mod play;

use serde_json::Value;

pub use self::play::Holds;
use crate::transcript::{BadLine, json, matching, unescape};

/// Values by name, for `"<as NAME>"`.
pub type Names = matching::Names;

/// A golden transcript over HTTP.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HttpTranscript {
    settings: Vec<(String, String)>,
    names: Names,
    sets: Vec<(String, (String, String))>,
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
    Request(Request),
    Response(Response),
    /// A group, each with its line.
    Events(String, Vec<(usize, Value)>),
    Endpoint(String, Value),
    End(String),
    Disconnect(String),
    Until(String),
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Request {
    connection: String,
    method: String,
    path: String,
    sets: Vec<String>,
    headers: Vec<(String, String)>,
    without: Vec<String>,
    body: Option<Vec<u8>>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Response {
    connection: String,
    status: u16,
    headers: Vec<(String, String)>,
    without: Vec<String>,
    body: Option<Value>,
}

impl HttpTranscript {
    /// Reads a transcript.
    ///
    /// # Errors
    /// The first line that is no entry.
    pub fn parse(text: &str) -> Result<Self, BadLine> {
        let mut this = Self::default();
        for (line, content) in (1..).zip(text.lines()) {
            if content.is_empty() || content.starts_with('#') {
                continue;
            }
            let (word, rest) = content.split_once(' ').unwrap_or((content, ""));
            let (name, value) = rest.split_once(' ').unwrap_or((rest, ""));
            let named = || (name.to_owned(), value.trim().to_owned());
            match word {
                "set" if this.entries.is_empty() => this.settings.push(named()),
                "let" => drop(this.names.insert(name.to_owned(), json(line, value)?)),
                "headers" => {
                    let header = header(value).ok_or_else(|| bad(line, "no header"))?;
                    this.sets.push((name.to_owned(), header));
                }
                "audit" => this.audit.push((line, json(line, rest)?)),
                "event+" => {
                    let group = this.entries.last_mut().map(|entry| &mut entry.act);
                    let Some(Act::Events(_, group)) = group else {
                        return Err(bad(line, "`event+` comes after an event"));
                    };
                    group.push((line, json(line, value)?));
                }
                "|" | "|-" | ">" | ">>" | "<" => this.more(line, word, rest)?,
                _ => {
                    let act = act(line, word, rest)?;
                    this.entries.push(Entry { line, act });
                }
            }
        }
        Ok(this)
    }

    /// A line that belongs to a request or a response.
    fn more(&mut self, line: usize, word: &str, rest: &str) -> Result<(), BadLine> {
        let act = self.entries.last_mut().map(|entry| &mut entry.act);
        match (act, word) {
            (Some(Act::Request(request)), ">") => {
                request.body = Some(rest.as_bytes().to_owned());
            }
            (Some(Act::Request(request)), ">>") => {
                let bytes = unescape(rest).ok_or_else(|| bad(line, "not an escape"))?;
                request.body = Some(bytes);
            }
            (Some(Act::Response(response)), "<") => response.body = Some(json(line, rest)?),
            (
                Some(
                    Act::Request(Request { headers, .. }) | Act::Response(Response { headers, .. }),
                ),
                "|",
            ) => headers.push(header(rest).ok_or_else(|| bad(line, "no header"))?),
            (
                Some(
                    Act::Request(Request { without, .. }) | Act::Response(Response { without, .. }),
                ),
                "|-",
            ) => without.push(rest.to_owned()),
            _ => return Err(bad(line, "it belongs to no request and no response")),
        }
        Ok(())
    }

    /// The values of `set` lines with this name.
    pub fn settings<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.all_settings().filter(move |(n, _)| *n == name).map(|(_, value)| value)
    }

    /// Every `set` line.
    pub fn all_settings(&self) -> impl Iterator<Item = (&str, &str)> {
        self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Looks for the record of each `audit` line among `records`, in order.
    ///
    /// # Errors
    /// The first line without one.
    pub fn check_audit(&self, records: &[Value]) -> Result<(), BadLine> {
        let mut records = records.iter();
        for (line, expected) in &self.audit {
            if !records.any(|record| lacks_nothing(expected, record)) {
                return Err(bad(*line, &format!("no record, or none in this order: {expected}")));
            }
        }
        Ok(())
    }
}

/// Whether `actual` holds at least what `expected` does.
#[must_use]
pub fn lacks_nothing(expected: &Value, actual: &Value) -> bool {
    matching::lacking(expected, actual).is_empty()
}

fn bad(line: usize, problem: &str) -> BadLine {
    BadLine { line, problem: problem.to_owned() }
}

fn header(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once(':')?;
    Some((name.to_ascii_lowercase(), value.strip_prefix(' ').unwrap_or(value).to_owned()))
}

fn act(line: usize, word: &str, rest: &str) -> Result<Act, BadLine> {
    let (connection, value) = rest.split_once(' ').unwrap_or((rest, ""));
    let connection = connection.to_owned();
    match word {
        "!" => Ok(Act::Note(rest.to_owned())),
        "request" => {
            // A name in the path belongs to it.
            let value = value.replace("<as ", "<as\0");
            let mut words = value.split_whitespace().map(|word| word.replace('\0', " "));
            let (Some(method), Some(path)) = (words.next(), words.next()) else {
                return Err(bad(line, "`request` takes a connection, a method and a path"));
            };
            let sets = words.collect();
            Ok(Act::Request(Request { connection, method, path, sets, ..Request::default() }))
        }
        "response" => {
            let status = value.parse().map_err(|_| bad(line, "no status"))?;
            Ok(Act::Response(Response { connection, status, ..Response::default() }))
        }
        "event" => Ok(Act::Events(connection, vec![(line, json(line, value)?)])),
        "endpoint" => Ok(Act::Endpoint(connection, Value::from(value))),
        "end" => Ok(Act::End(connection)),
        "disconnect" => Ok(Act::Disconnect(connection)),
        "until" => Ok(Act::Until(rest.to_owned())),
        _ => Err(bad(line, "no entry starts so, or not here")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_belong_to_the_request_or_response_before_them() {
        let text = "headers h A: 1\nrequest c POST /x h\n| b: 2\n|- c\n> {}\nresponse c 200\n< 1";
        let transcript = HttpTranscript::parse(text).unwrap();
        let Some(Entry { act: Act::Request(request), line: 2 }) = transcript.entries.first() else {
            panic!("{transcript:?}")
        };
        assert_eq!(request.headers, [("b".to_owned(), "2".to_owned())]);
        assert_eq!(request.without, ["c"]);
        assert_eq!(request.body.as_deref(), Some(&b"{}"[..]));
        assert_eq!(transcript.sets, [("h".to_owned(), ("a".to_owned(), "1".to_owned()))]);
    }

    #[test]
    fn a_bad_line_is_named() {
        for (text, line) in [
            ("> a", 1),
            ("request c POST", 1),
            ("end c\n| a: b", 2),
            ("request c GET /\n< 1", 2),
            ("event+ c 1", 1),
            ("end c\nset a b", 2),
            ("response c ok", 1),
        ] {
            assert_eq!(HttpTranscript::parse(text).unwrap_err().line, line, "{text}");
        }
    }

    #[test]
    fn audit_lines_find_their_records_in_order() {
        let transcript = HttpTranscript::parse("audit {\"a\":1}\naudit {\"b\":2}").unwrap();
        let record = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        let [a, b, c] = ["{\"a\":1,\"n\":0}", "{\"b\":2}", "{\"c\":3}"].map(record);
        assert!(transcript.check_audit(&[a.clone(), c, b.clone()]).is_ok());
        assert_eq!(transcript.check_audit(&[b, a]).unwrap_err().line, 2);
    }
}
