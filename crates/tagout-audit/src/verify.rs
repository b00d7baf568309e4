//! Finds what was changed, removed, reordered, inserted or cut.
use std::path::Path;

use tagout_proto::Digest;

use crate::{
    AuditError, Covered, Notice, Problem, ProblemKind, PublicKey, Report,
    chain::{Chain, Followed, Place},
    files::{self, Directory, LINE_BYTES, Lines, Piece},
    head::{self, Found, Head},
    key::{MarkKey, SecretKey},
    ledger::Ledger,
    limits, line, mark,
    payload::PayloadReader,
    record::Genesis,
    start::read_genesis,
};

/// Verifies the log in `directory` without writing to it: streaming, in bounded memory, also
/// while it is being written. `key` is the key that its head must be signed with; without one it
/// is the key that the log itself names, which says less.
///
/// # Errors
/// [`AuditError::Unreadable`]. What is wrong with the log is in the report.
pub fn verify(directory: &Path, key: Option<&PublicKey>) -> Result<Report, AuditError> {
    verify_with(directory, key, None)
}

/// Like [`verify`], with the signing key in `key_file`: it also tells who made the mark, which
/// stands for the lines that are not signed yet.
///
/// # Errors
/// As [`verify`]; [`AuditError::Key`] if there is no such key.
pub fn verify_as_owner(directory: &Path, key_file: &Path) -> Result<Report, AuditError> {
    let key = SecretKey::load(key_file)?;
    verify_with(directory, Some(&key.public()), Some(&key.marks()))
}

fn verify_with(
    directory: &Path,
    key: Option<&PublicKey>,
    marks: Option<&MarkKey>,
) -> Result<Report, AuditError> {
    let directory = Directory::new(directory);
    let snapshot = Snapshot::take(&directory)?;
    let genesis = first_genesis(&directory)?;
    let used = key.copied().or(genesis.as_ref().map(|genesis| genesis.key));
    let found = match used {
        Some(key) => head::check(&snapshot.head, &key),
        None => Found::Bad("nothing says which key it should be signed with"),
    };
    let mark = mark::check(&snapshot.mark, marks);
    let mut verifier = Verifier::new(&found, &mark);
    verifier.genesis(genesis.as_ref(), key);
    verifier.head(genesis.as_ref());
    for (index, &(segment, length)) in snapshot.segments.iter().enumerate() {
        verifier.expect_segment(index, segment);
        let is_last = index + 1 == snapshot.segments.len();
        verifier.segment(&directory, segment, length, is_last)?;
    }
    let mut report = verifier.finish();
    report.log = genesis.map(|genesis| genesis.log);
    report.key = used;
    report.key_given = key.is_some();
    report.segments = u32::try_from(snapshot.segments.len()).unwrap_or(u32::MAX);
    Ok(report)
}

/// One moment of a log that may be in use.
struct Snapshot {
    head: Vec<u8>,
    mark: Vec<u8>,
    /// The log's files and how long each was.
    segments: Vec<(u32, u64)>,
}

impl Snapshot {
    fn take(directory: &Directory) -> Result<Self, AuditError> {
        // A copy on another machine may have no lock; then nobody writes to it either.
        let lock = files::open_existing(&directory.lock())?;
        let _locked = match &lock {
            Some(file) => Some(files::lock(file, &directory.lock(), true)?),
            None => None,
        };
        let mut segments = Vec::new();
        for segment in directory.segments()? {
            let path = directory.log(segment);
            let length = path.metadata().map_err(files::unreadable(&path))?.len();
            segments.push((segment, length));
        }
        let load = |path: &Path| match files::open_existing(path)? {
            Some(file) => head::load(&file, path),
            None => Ok(Vec::new()),
        };
        let (head, mark) = (load(&directory.head())?, load(&directory.mark())?);
        Ok(Self { head, mark, segments })
    }
}

/// The facts of the log's first line, if it has one.
fn first_genesis(directory: &Directory) -> Result<Option<Genesis>, AuditError> {
    let path = directory.log(1);
    let Some(file) = files::open_existing(&path)? else { return Ok(None) };
    let mut lines = Lines::new(file, 0, u64::MAX, LINE_BYTES).map_err(files::unreadable(&path))?;
    let first = lines.next().map_err(files::unreadable(&path))?;
    Ok(first.and_then(|(_, bytes)| {
        let line = line::read(bytes).ok()?;
        line::is_whole(&line, bytes).then(|| read_genesis(&line)).flatten()
    }))
}

struct Verifier<'a> {
    found: &'a Found,
    mark: &'a Found,
    chain: Chain,
    ledger: Ledger,
    lines: u64,
    problems: Vec<Problem>,
    /// The hash of the line whose number the head has.
    at_head: Option<(Digest, Place)>,
    /// The hash of the line whose number the mark has.
    at_mark: Option<(Digest, Place)>,
    /// The last place that was read.
    end: Place,
}

impl<'a> Verifier<'a> {
    fn new(found: &'a Found, mark: &'a Found) -> Self {
        let end = Place { file: files::log_name(1), line: 0 };
        let (chain, ledger) = (Chain::default(), Ledger::default());
        let problems = Vec::new();
        Self { found, mark, chain, ledger, lines: 0, problems, at_head: None, at_mark: None, end }
    }

    const fn signed(&self) -> Option<&'a Head> {
        match self.found {
            Found::Signed(head) => Some(head),
            Found::Nothing | Found::Bad(_) => None,
        }
    }

    /// What the mark says, where it says more than the head.
    fn marked(&self) -> Option<&'a Head> {
        let signed = self.signed().filter(|signed| signed.marked)?;
        match self.mark {
            Found::Signed(mark) if mark.n > signed.n => Some(mark),
            Found::Signed(_) | Found::Nothing | Found::Bad(_) => None,
        }
    }

    fn genesis(&mut self, genesis: Option<&Genesis>, key: Option<&PublicKey>) {
        let Some(genesis) = genesis else {
            return self
                .problem(ProblemKind::Genesis, "the log's first line is missing or damaged");
        };
        if let Some(key) = key.filter(|&key| *key != genesis.key) {
            let detail = format!("the log was begun with the key {}, not {key}", genesis.key);
            self.problem(ProblemKind::Genesis, &detail);
        }
        if genesis.format != crate::start::FORMAT {
            let detail = format!("its format is {}, which is not known here", genesis.format);
            self.problem(ProblemKind::Genesis, &detail);
        }
    }

    fn head(&mut self, genesis: Option<&Genesis>) {
        let detail = match self.found {
            Found::Signed(head) if genesis.is_none_or(|genesis| genesis.log == head.log) => {
                match self.mark {
                    _ if !head.marked => return,
                    Found::Signed(mark) if mark.log == head.log => return,
                    Found::Signed(_) => "the mark beside it is that of another log",
                    Found::Nothing => "the mark beside it is missing",
                    Found::Bad(problem) => problem,
                }
            }
            Found::Signed(_) => "it is that of another log",
            Found::Nothing => "it is missing: nothing shows whether the log was cut",
            Found::Bad(problem) => problem,
        };
        let (file, detail) = ("head".to_owned(), detail.to_owned());
        let kind = ProblemKind::Head;
        self.problems.push(Problem { kind, n: None, file, line: None, detail });
    }

    /// The files are numbered from 1 on without a gap.
    fn expect_segment(&mut self, index: usize, segment: u32) {
        let expected = u32::try_from(index).unwrap_or(u32::MAX).saturating_add(1);
        // Said once, at the first file after the gap.
        if segment != expected && self.end.file != files::log_name(segment.saturating_sub(1)) {
            let detail = format!("the file before {} is missing", files::log_name(segment));
            self.problem(ProblemKind::Genesis, &detail);
        }
    }

    fn segment(
        &mut self,
        directory: &Directory,
        segment: u32,
        length: u64,
        is_last: bool,
    ) -> Result<(), AuditError> {
        let path = directory.log(segment);
        self.end = Place { file: files::log_name(segment), line: 0 };
        let Some(file) = files::open_existing(&path)? else { return Ok(()) };
        let mut lines =
            Lines::new(file, 0, length, LINE_BYTES).map_err(files::unreadable(&path))?;
        let mut payloads = PayloadReader::open(directory.payloads(segment))?;
        while let Some((piece, bytes)) = lines.next().map_err(files::unreadable(&path))? {
            if is_last && piece == Piece::Fragment {
                self.ledger.notice(Notice::TornTail { bytes: bytes.len() as u64 });
                continue;
            }
            self.end.line += 1;
            self.lines += 1;
            self.line(piece, bytes, &mut payloads)?;
        }
        // A payload of a line that is not written yet belongs to nobody's death.
        if let Some(last) = self.chain.last() {
            payloads.skip_before(last + 1)?;
        }
        if payloads.orphans > 0 {
            let (file, count) = (files::payloads_name(segment), payloads.orphans);
            self.ledger.notice(Notice::Orphans { file, count });
        }
        Ok(())
    }

    fn line(
        &mut self,
        piece: Piece,
        bytes: &[u8],
        payloads: &mut PayloadReader,
    ) -> Result<(), AuditError> {
        let place = self.end.clone();
        let read = line::read(bytes).ok().filter(|line| line::is_whole(line, bytes));
        let Some(line) = read.filter(|_| piece == Piece::Line) else {
            self.chain.bad_line(place);
            return Ok(());
        };
        if self.chain.line(&line, place.clone()) == Followed::No {
            return Ok(());
        }
        if self.signed().is_some_and(|head| head.n == line.n) {
            self.at_head = Some((line.hash, place.clone()));
        }
        if self.marked().is_some_and(|mark| mark.n == line.n) {
            self.at_mark = Some((line.hash, place.clone()));
        }
        self.ledger.line(line, &place, payloads)
    }

    fn problem(&mut self, kind: ProblemKind, detail: &str) {
        let (file, detail) = (self.end.file.clone(), detail.to_owned());
        self.problems.push(Problem { kind, n: None, file, line: None, detail });
    }

    /// Compares the end of the log with what was signed.
    fn compare_head(&mut self) -> Option<Covered> {
        let (head, mark) = (self.signed()?, self.marked());
        let (at_head, at_mark) = (self.at_head.take(), self.at_mark.take());
        self.compare(head, "the head signs", at_head);
        let last = self.chain.last();
        // What the head covers and is gone is said already.
        if let Some(mark) = mark.filter(|_| last.is_some_and(|last| last >= head.n)) {
            self.compare(mark, "the mark names", at_mark);
        }
        let marked = mark.map_or(0, |mark| mark.n - head.n);
        let uncovered = last.map_or(0, |last| last.saturating_sub(head.n + marked));
        Some(Covered { n: head.n, at: head.at, marked, uncovered })
    }

    /// Holds what stands there against what `head` says.
    fn compare(&mut self, head: &Head, says: &str, at: Option<(Digest, Place)>) {
        let last = self.chain.last();
        if last.is_none_or(|last| last < head.n) {
            let from = last.map_or(0, |last| last + 1);
            let span = crate::record::Span { from, to: head.n };
            let detail = format!("{says} line {}, and lines {span} are not there", head.n);
            let file = self.end.file.clone();
            let (kind, n) = (ProblemKind::Cut, Some(from));
            self.problems.push(Problem { kind, n, file, line: None, detail });
        }
        if let Some((hash, place)) = at
            && hash != head.hash
        {
            let detail = format!(
                "{says} another line {}: it or a line before it was changed, and all hashes after that computed anew",
                head.n
            );
            let (kind, n, line) = (ProblemKind::Head, Some(head.n), Some(place.line));
            self.problems.push(Problem { kind, n, file: place.file, line, detail });
        }
    }

    fn finish(mut self) -> Report {
        let covered = self.compare_head();
        let (mut problems, left_out) = self.chain.finish();
        problems.append(&mut self.problems);
        problems.append(&mut self.ledger.payload_problems());
        let ledger = self.ledger;
        Report {
            ok: problems.is_empty() && left_out == 0,
            log: None,
            key: None,
            key_given: false,
            segments: 0,
            lines: self.lines,
            calls: ledger.calls,
            head: covered,
            problems,
            notices: ledger.notices,
            open: ledger.open.into_values().collect(),
            payloads: ledger.payloads,
            left_out: left_out + ledger.left_out,
            limits: limits(),
        }
    }
}
