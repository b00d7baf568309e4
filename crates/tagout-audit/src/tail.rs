//! The end of the log as a writer knows it, and how it catches up with other writers.
use std::{
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt as _,
    sync::Arc,
};

use tagout_proto::Digest;

use crate::{
    AuditError, Line,
    files::{self, Directory, LINE_BYTES, Lines, Piece},
    head::Head,
    line,
    record::{Event, Span, Torn},
};

/// The most of a half-written line that is kept in full, in bytes.
const FRAGMENT_BYTES: usize = 256 << 10;

/// The end of the log.
#[derive(Clone, Debug)]
pub(crate) struct Tail {
    /// The number of the file that it stands in.
    pub(crate) segment: u32,
    /// Where in that file the last line ends.
    pub(crate) offset: u64,
    /// The last line's number.
    pub(crate) n: u64,
    /// The last line's hash.
    pub(crate) hash: Digest,
    /// That file.
    pub(crate) file: Arc<File>,
    /// What tells that file from all others for as long as it is open: device and inode.
    pub(crate) identity: (u64, u64),
}

/// What the next writer has to write down before anything else.
#[derive(Clone, Debug)]
pub(crate) enum Repair {
    /// Half a line stands at the end.
    Torn(Torn),
    /// No head covers these lines.
    Adopted(Span),
    /// A head covers these lines, which are gone.
    Lost(Span),
}

impl Tail {
    /// The beginning of segment `segment`, after line `n` with `hash`.
    pub(crate) fn at_start(
        directory: &Directory,
        segment: u32,
        n: u64,
        hash: Digest,
    ) -> Result<Self, AuditError> {
        let path = directory.log(segment);
        let new = !fs::exists(&path).map_err(files::unreadable(&path))?;
        let file = Arc::new(files::open_private(&path)?);
        if new {
            directory.force()?;
        }
        let ours = file.metadata().map_err(files::unreadable(&path))?;
        let identity = (ours.dev(), ours.ino());
        Ok(Self { segment, offset: 0, n, hash, file, identity })
    }

    /// How long the file is, if it is still the one that stands under its name.
    pub(crate) fn length(&self, directory: &Directory) -> Result<u64, AuditError> {
        let path = directory.log(self.segment);
        let named = match fs::symlink_metadata(&path) {
            Ok(named) => named,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(self.replaced(directory, "it was removed while it was in use"));
            }
            Err(e) => return Err(files::unreadable(&path)(e)),
        };
        if (named.dev(), named.ino()) != self.identity {
            return Err(self.replaced(directory, "another file stands in its place"));
        }
        if named.len() < self.offset {
            return Err(self.replaced(directory, "it is shorter than it was"));
        }
        Ok(named.len())
    }

    /// Reads on from the last known line to the end, and checks it against `head`, which was read
    /// under the same lock. Gives what must be written down about it.
    pub(crate) fn follow(
        &mut self,
        directory: &Directory,
        head: &Head,
    ) -> Result<Vec<Repair>, AuditError> {
        let mut repairs = Vec::new();
        if head.n < self.n {
            return Err(self.replaced(directory, "the head is older than it was"));
        }
        loop {
            match self.follow_file(directory, head)? {
                Stop::NextFile => {}
                Stop::End => break,
                Stop::Torn(torn) => {
                    repairs.push(Repair::Torn(torn));
                    break;
                }
            }
        }
        if head.n > self.n {
            let span = Span { from: self.n + 1, to: head.n };
            // What had not been forced to disk may be gone after a power failure. Going on is
            // safe, since the line that says so cannot be taken out again.
            if self.n < head.durable {
                let what = format!("lines {span} are signed by the head and gone");
                return Err(self.replaced(directory, &what));
            }
            // First, since it gives the numbers that the other repairs go on from.
            repairs.insert(0, Repair::Lost(span));
        }
        if head.n < self.n {
            repairs.push(Repair::Adopted(Span { from: head.n + 1, to: self.n }));
        }
        Ok(repairs)
    }

    /// Reads to the end of the current file.
    fn follow_file(&mut self, directory: &Directory, head: &Head) -> Result<Stop, AuditError> {
        let length = self.length(directory)?;
        let path = directory.log(self.segment);
        let Some(file) = files::open_existing(&path)? else {
            return Err(self.replaced(directory, "it was removed while it was in use"));
        };
        let mut lines =
            Lines::new(file, self.offset, length, LINE_BYTES).map_err(files::unreadable(&path))?;
        while let Some((piece, bytes)) = lines.next().map_err(files::unreadable(&path))? {
            match piece {
                Piece::TooLong => return Err(self.corrupt(directory, "a line is too long")),
                // It stays where it is until the line that keeps it overwrites it.
                Piece::Fragment => return Ok(Stop::Torn(torn(bytes))),
                Piece::Line => {}
            }
            let next = self.check_next(directory, bytes)?;
            self.offset = lines.end;
            self.n = next.n;
            self.hash = next.hash;
            if head.n == self.n && head.hash != self.hash {
                return Err(self.replaced(directory, "the head signs another line"));
            }
            if matches!(next.event, Event::Rotated {}) {
                *self = Self::at_start(directory, self.segment + 1, self.n, self.hash)?;
                return Ok(Stop::NextFile);
            }
        }
        Ok(Stop::End)
    }

    /// The line in `bytes`, if it is the one that comes next.
    fn check_next(&self, directory: &Directory, bytes: &[u8]) -> Result<Line, AuditError> {
        let next = line::read(bytes).map_err(|_| self.corrupt(directory, "no line of a log"))?;
        if next.prev != self.hash || !line::is_whole(&next, bytes) {
            return Err(self.corrupt(directory, "the hash is wrong"));
        }
        if next.n == self.n + 1 || admits_loss(&next, self.n) {
            Ok(next)
        } else {
            Err(self.corrupt(directory, "the number is wrong"))
        }
    }

    fn corrupt(&self, directory: &Directory, problem: &str) -> AuditError {
        let problem = format!("after line {}: {problem}", self.n);
        AuditError::Corrupt { path: directory.log(self.segment), problem }
    }

    fn replaced(&self, directory: &Directory, problem: &str) -> AuditError {
        AuditError::Replaced { path: directory.log(self.segment), problem: problem.to_owned() }
    }
}

/// Why reading to the end of a file stopped.
enum Stop {
    /// Nothing comes after.
    End,
    /// Half a line comes after.
    Torn(Torn),
    /// The log goes on in the next file.
    NextFile,
}

/// Whether `line` says that all lines between `last` and itself are lost.
pub(crate) fn admits_loss(line: &Line, last: u64) -> bool {
    let Event::Lost(span) = line.event else { return false };
    span.from == last + 1 && Some(span.to) == line.n.checked_sub(1)
}

fn torn(bytes: &[u8]) -> Torn {
    let kept = bytes.get(..FRAGMENT_BYTES).unwrap_or(bytes);
    Torn { bytes: bytes.len() as u64, digest: Digest::of(bytes), hex: hex::encode(kept) }
}
