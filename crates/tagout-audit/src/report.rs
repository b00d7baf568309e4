//! What a verification found.
use std::fmt;

use jiff::Timestamp;
use serde::Serialize;

use crate::{PublicKey, Verdict, record::Span};

/// What a verification found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Whether nothing was found changed, removed, reordered, inserted or cut. Open records,
    /// erased payloads and notices do not count against it.
    pub ok: bool,
    /// The log's identity.
    pub log: Option<String>,
    /// The key that the head was verified with.
    pub key: Option<PublicKey>,
    /// Whether that key was given by the caller. Otherwise it is the one that the log names, which
    /// somebody who replaced the whole log has chosen.
    pub key_given: bool,
    /// How many files the log has.
    pub segments: u32,
    /// How many lines were read.
    pub lines: u64,
    /// How many calls were read.
    pub calls: u64,
    /// What the signed head says.
    pub head: Option<Covered>,
    /// What is wrong, in the order of the log; at most 1000.
    pub problems: Vec<Problem>,
    /// What is worth knowing and happens without anybody meaning harm; at most 1000.
    pub notices: Vec<Notice>,
    /// Calls whose outcome is unknown: their writer died or never came to an end; at most 10000.
    pub open: Vec<Open>,
    /// What became of the payloads.
    pub payloads: Payloads,
    /// How many problems, notices and open records are left out above.
    pub left_out: u64,
    /// What no verification can detect.
    pub limits: &'static [&'static str],
}

/// What the signed head covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Covered {
    /// The last line that it covers.
    pub n: u64,
    /// When it was signed.
    pub at: Timestamp,
    /// How many lines after it the mark stands for: they are signed within moments, or their
    /// writer died before it could.
    pub marked: u64,
    /// How many lines came after those: a writer died before it could mark them.
    pub uncovered: u64,
}

/// Something that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What is wrong.
    pub kind: ProblemKind,
    /// The number of the line, or of the first line, that it concerns.
    pub n: Option<u64>,
    /// The file.
    pub file: String,
    /// The line in that file, from 1; nothing where it is about no line that exists.
    pub line: Option<u64>,
    /// In words.
    pub detail: String,
}

/// What can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProblemKind {
    /// A line is not what was written.
    Changed,
    /// Lines are gone from the middle.
    Removed,
    /// A line stands in another place than it was written.
    Reordered,
    /// A line that was not written there.
    Inserted,
    /// A line is whole but does not follow the one before it: one of both was replaced.
    Unlinked,
    /// Lines are gone from the end.
    Cut,
    /// Lines that a head covered were lost before the next writer came; the log admits it.
    Lost,
    /// The log's beginning, or a whole file of it, is gone or not what it should be.
    Genesis,
    /// The head is missing, damaged, signed by another key, or about another log.
    Head,
    /// A payload is not what was recorded.
    PayloadChanged,
    /// A payload is gone and its erasure is not on record.
    PayloadMissing,
}

/// Something worth knowing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Notice {
    /// A writer died in mid-write and the next one kept what it left.
    Torn {
        /// The line that keeps it.
        n: u64,
        /// How much there was, in bytes.
        bytes: u64,
    },
    /// The log ends in a half-written line; the next writer will keep it as torn.
    TornTail {
        /// How much there is, in bytes.
        bytes: u64,
    },
    /// Lines that no head covered when the next writer came.
    Adopted {
        /// The line that says so.
        n: u64,
        /// The lines.
        lines: Span,
    },
    /// Payloads that belong to no record: a writer died between the two writes.
    Orphans {
        /// The file.
        file: String,
        /// How many.
        count: u64,
    },
}

/// A call whose outcome is unknown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Open {
    /// The record's number.
    pub n: u64,
    /// When it began.
    pub at: Timestamp,
    /// The protocol's method.
    pub method: String,
    /// The server.
    pub server: Option<String>,
    /// The tool, prompt or resource.
    pub subject: Option<String>,
    /// The user.
    pub user: Option<String>,
    /// What was decided; nothing if the call was not decided yet, so that it was never forwarded.
    pub verdict: Option<Verdict>,
}

/// What became of the payloads: how many of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Payloads {
    /// As they were recorded.
    pub present: u64,
    /// Erased, which is on record.
    pub erased: u64,
    /// Gone, which is not on record.
    pub missing: u64,
    /// Not what was recorded.
    pub changed: u64,
}

/// What no verification of this log can detect.
#[must_use]
pub const fn limits() -> &'static [&'static str] {
    &[
        "a rewrite of the whole log by someone who holds the signing key",
        "the log, the head and the payloads rolled back together to an older state, or replaced together with the key that the log names; keep the key, or a head that you saw, elsewhere",
        "a line added at the end by someone who can write to the directory: the next writer notes such lines as `adopted`, as it does those of a writer that died before it could mark them",
        "without the signing key, a cut or change of the last lines of a gateway that was killed, before their head was signed",
        "calls that were never recorded, because they did not pass through this gateway",
        "false facts in a record: times, client names and identities are as the gateway knew them",
        "which of the lines was changed, when somebody changed one and computed all hashes after it anew: the head shows only that it happened",
    ]
}

impl fmt::Display for ProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Changed => "changed",
            Self::Removed => "removed",
            Self::Reordered => "reordered",
            Self::Inserted => "inserted",
            Self::Unlinked => "unlinked",
            Self::Cut => "cut",
            Self::Lost => "lost",
            Self::Genesis => "genesis",
            Self::Head => "head",
            Self::PayloadChanged => "payload-changed",
            Self::PayloadMissing => "payload-missing",
        })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        if let Some(n) = self.n {
            write!(f, " {n}")?;
        }
        write!(f, " ({}", self.file)?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        write!(f, "): {}", self.detail)
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Torn { n, bytes } => {
                write!(
                    f,
                    "line {n} keeps {bytes} bytes that a writer left when it died in mid-write"
                )
            }
            Self::TornTail { bytes } => write!(
                f,
                "the log ends in {bytes} bytes of a half-written line; the next writer will keep them"
            ),
            Self::Adopted { n, lines } => write!(
                f,
                "line {n} adopts lines {lines}, which nobody had signed: their writer died before it could, or a stranger wrote them"
            ),
            Self::Orphans { file, count } => write!(
                f,
                "{file} holds {count} payloads of records that were never written: a writer died in between"
            ),
        }
    }
}

impl fmt::Display for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Strangers choose some of these texts, so they are shown escaped.
        write!(f, "record {}: {} {}", self.n, self.at, self.method.escape_debug())?;
        if let Some(server) = &self.server {
            write!(f, " {}", server.escape_debug())?;
        }
        if let Some(subject) = &self.subject {
            write!(f, " {}", subject.escape_debug())?;
        }
        if let Some(user) = &self.user {
            write!(f, " for {}", user.escape_debug())?;
        }
        f.write_str(match self.verdict {
            Some(Verdict::Allow) => ", allowed",
            Some(Verdict::Ask) => ", after asking",
            Some(Verdict::Deny) => ", denied",
            None => ", not decided yet, so never forwarded",
        })
    }
}

/// For people: what was found, then what cannot be found.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.ok { "verified" } else { "NOT VERIFIED" };
        let Self { lines, calls, segments, .. } = self;
        let files = if *segments == 1 { "1 file".to_owned() } else { format!("{segments} files") };
        writeln!(f, "{verdict}: {calls} calls, {lines} lines, {files}")?;
        self.fmt_head(f)?;
        let Payloads { present, erased, missing, changed } = self.payloads;
        writeln!(
            f,
            "payloads: {present} present, {erased} erased, {missing} missing, {changed} changed"
        )?;
        list(f, "problems", &self.problems)?;
        list(f, "outcome unknown", &self.open)?;
        list(f, "also", &self.notices)?;
        if self.left_out > 0 {
            writeln!(f, "{} more are left out", self.left_out)?;
        }
        list(f, "cannot be detected", self.limits)
    }
}

impl Report {
    fn fmt_head(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Covered { n, at, marked, uncovered }) = &self.head {
            write!(f, "signed head: up to line {n}, at {at}")?;
            if *marked > 0 {
                write!(f, "; {marked} lines after it are marked and not signed yet")?;
            }
            match uncovered {
                0 => writeln!(f)?,
                count => writeln!(f, "; {count} lines after it are not covered")?,
            }
        }
        match &self.key {
            Some(key) if self.key_given => writeln!(f, "key: {key}"),
            Some(key) => writeln!(f, "key: {key}, named by the log itself and by nobody else"),
            None => writeln!(f, "key: none"),
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, title: &str, items: &[impl fmt::Display]) -> fmt::Result {
    if items.is_empty() {
        return Ok(());
    }
    writeln!(f, "{title}:")?;
    items.iter().try_for_each(|item| writeln!(f, "  - {item}"))
}
