//! What gateway and jailer say to each other.
//!
//! The jailer says [`Report::Ready`]; the gateway sends the order, with the program's three pipes
//! attached to its first byte. A jailer that makes another one for an isolated program names it in
//! [`Report::Jailer`]; where calls are to wait for the gateway's word, they wait at what is attached
//! to [`Report::Watched`]. The answer is [`Report::Started`], with the listener attached where there is
//! one, or why not; and later, once, [`Report::Exited`], [`Report::Killed`] or
//! [`Report::OverMemory`]. Between those the gateway may send [`STOP`] and [`KILL`]. The end of the stream means the same as [`STOP`].
mod order;

use std::{
    ffi::{OsStr, OsString},
    io::{self, Read},
    os::fd::OwnedFd,
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        net::UnixStream,
    },
    path::PathBuf,
};

pub(crate) use self::order::Order;
use crate::{Found, Part, Stage, Survey, handover};

/// Raised with every change of what is said here.
pub(crate) const VERSION: i32 = 6;
/// Ask the program to end, and kill it after its grace.
pub(crate) const STOP: u8 = b's';
/// Kill the program now.
pub(crate) const KILL: u8 = b'k';
/// An order's limit. The kernel's own for arguments and environment is at most 6 MiB.
pub(crate) const ORDER_BYTES: usize = 16 << 20;
/// A report's limit.
const REPORT_BYTES: u32 = 64 << 10;

/// What a jailer has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Report {
    /// It is a jailer, and this is its [`VERSION`].
    Ready(i32),
    /// This process watches over the program from here on, as another child of the gateway's.
    Jailer(i32),
    /// The program is in this control group, which is to be removed when all is over.
    Group(PathBuf),
    /// Where the program's calls wait is attached. Where nothing is, it will not be started.
    Watched,
    /// The program runs, under this process id.
    Started(i32),
    /// The program was not started: what failed, and the error number.
    Failed(Stage, i32),
    /// The program was not started: a path that it was given is of no use, and why.
    Path(PathBuf, String),
    /// The program was not started: what the machine lacks for it, and the system's word.
    Missing(Vec<(Part, String)>),
    /// What the machine has.
    Surveyed(Survey),
    /// The program exited with this code.
    Exited(i32),
    /// The program was killed by this signal.
    Killed(i32),
    /// The jailer killed the program, which took more memory than it may.
    OverMemory,
}

impl Report {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut text = Vec::new();
        let (tag, stage, value) = match self {
            Self::Ready(version) => (b'R', 0, *version),
            Self::Jailer(pid) => (b'J', 0, *pid),
            Self::Group(path) => {
                put(&mut text, path.as_os_str());
                (b'G', 0, 0)
            }
            Self::Watched => (b'W', 0, 0),
            Self::Started(pid) => (b'S', 0, *pid),
            Self::Failed(stage, errno) => (b'F', stage.number(), *errno),
            Self::Path(path, what) => {
                put(&mut text, path.as_os_str());
                put(&mut text, what.as_ref());
                (b'P', 0, 0)
            }
            Self::Missing(parts) => {
                for (part, why) in parts {
                    put(&mut text, part.as_str().as_ref());
                    put(&mut text, why.as_ref());
                }
                (b'M', 0, 0)
            }
            Self::Surveyed(survey) => {
                put_survey(&mut text, survey);
                (b'V', 0, 0)
            }
            Self::Exited(code) => (b'E', 0, *code),
            Self::Killed(signal) => (b'K', 0, *signal),
            Self::OverMemory => (b'O', 0, 0),
        };
        let mut out = vec![tag, stage];
        out.extend(value.to_le_bytes());
        out.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
        out.extend(text);
        out
    }

    /// Reads one report; `UnexpectedEof` when the jailer is gone.
    pub(crate) fn read(mut from: impl Read) -> io::Result<Self> {
        let mut head = [0; 10];
        from.read_exact(&mut head)?;
        Self::read_rest(head, from)
    }

    /// Reads one report from a socket, with what is attached to it.
    pub(crate) fn receive(from: &UnixStream) -> io::Result<(Self, Vec<OwnedFd>)> {
        let mut head = [0; 10];
        let attached = handover::receive(from, &mut head)?;
        Ok((Self::read_rest(head, from)?, attached))
    }

    fn read_rest(head: [u8; 10], mut from: impl Read) -> io::Result<Self> {
        let [tag, stage, a, b, c, d, length @ ..] = head;
        let (value, length) = (i32::from_le_bytes([a, b, c, d]), u32::from_le_bytes(length));
        if !b"RJGWSFPMVEKO".contains(&tag) || length > REPORT_BYTES {
            return Err(strange());
        }
        let mut text = vec![0; length as usize];
        from.read_exact(&mut text)?;
        Self::decode(tag, Stage::from_number(stage), value, &text).ok_or_else(strange)
    }

    fn decode(tag: u8, stage: Option<Stage>, value: i32, text: &[u8]) -> Option<Self> {
        let mut texts = Texts(text);
        let report = match tag {
            b'R' => Self::Ready(value),
            b'J' => Self::Jailer(value),
            b'G' => Self::Group(texts.next()?.into()),
            b'W' => Self::Watched,
            b'S' => Self::Started(value),
            b'F' => Self::Failed(stage?, value),
            b'P' => Self::Path(texts.next()?.into(), texts.string()?),
            b'M' => {
                let mut parts = Vec::new();
                while !texts.is_empty() {
                    parts.push((Part::of_name(&texts.string()?)?, texts.string()?));
                }
                Self::Missing(parts)
            }
            b'V' => Self::Surveyed(survey(&mut texts)?),
            b'E' => Self::Exited(value),
            b'K' => Self::Killed(value),
            b'O' => Self::OverMemory,
            _ => return None,
        };
        texts.is_empty().then_some(report)
    }
}

fn strange() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "not a jailer's report")
}

fn put_survey(text: &mut Vec<u8>, survey: &Survey) {
    for (part, found) in &survey.parts {
        put(text, part.as_str().as_ref());
        let (is_there, what) = match found {
            Found::Present(how) => ("present", how),
            Found::Missing { why, remedy: _ } => ("missing", why),
        };
        put(text, is_there.as_ref());
        put(text, what.as_ref());
    }
}

fn survey(texts: &mut Texts<'_>) -> Option<Survey> {
    let mut parts = std::collections::BTreeMap::new();
    while !texts.is_empty() {
        let part = Part::of_name(&texts.string()?)?;
        let found = match texts.string()?.as_str() {
            "present" => Found::Present(texts.string()?),
            "missing" => Found::Missing { why: texts.string()?, remedy: part.remedy() },
            _ => return None,
        };
        parts.insert(part, found);
    }
    Some(Survey { parts })
}

/// Every text stands with its length before it.
fn put(out: &mut Vec<u8>, text: &OsStr) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

struct Texts<'a>(&'a [u8]);

impl Texts<'_> {
    const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn next(&mut self) -> Option<OsString> {
        let (length, rest) = self.0.split_first_chunk::<8>()?;
        let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
        let (text, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(OsString::from_vec(text.to_vec()))
    }

    fn string(&mut self) -> Option<String> {
        self.next()?.into_string().ok()
    }

    fn number(&mut self) -> Option<u64> {
        self.next()?.to_str()?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_arrive_as_they_were_given() {
        let failed = (0..=u8::MAX).filter_map(Stage::from_number).map(|s| Report::Failed(s, 2));
        let missing = Found::Missing { why: String::from("no"), remedy: Part::Users.remedy() };
        let parts = [(Part::Ipc, Found::Present(String::new())), (Part::Users, missing)];
        let others = [
            Report::Ready(VERSION),
            Report::Jailer(8),
            Report::Group("/sys/fs/cgroup/tagout-5".into()),
            Report::Watched,
            Report::Started(7),
            Report::Path("/data".into(), String::from("there is no such file")),
            Report::Missing(vec![(Part::Users, String::from("not permitted"))]),
            Report::Surveyed(Survey { parts: parts.into() }),
            Report::Exited(255),
            Report::Killed(9),
            Report::OverMemory,
        ];
        for report in failed.chain(others) {
            assert_eq!(Report::read(&report.encode()[..]).unwrap(), report);
        }
    }

    #[test]
    fn a_report_has_a_limit() {
        let mut bytes = Report::Ready(VERSION).encode();
        bytes[6..10].fill(0xff);
        assert_eq!(Report::read(&bytes[..]).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
