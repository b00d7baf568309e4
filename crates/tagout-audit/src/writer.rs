//! Adds lines to the log, under the lock that all its writers share.
use std::{fs::File, os::unix::fs::FileExt as _, sync::Arc};

use jiff::Timestamp;
use serde::Serialize;
use tagout_proto::Digest;

use crate::{
    AuditError, Durability, PublicKey, Settings,
    files::{self, Directory},
    head::{self, Found, Head},
    key::{MarkKey, SecretKey},
    line::{self, Kind, Nothing, Own, Written},
    mark,
    payload::{PayloadFile, Sealed},
    tail::{Repair, Tail},
};

/// The one writer of this process.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) directory: Directory,
    pub(crate) lock: Arc<File>,
    pub(crate) head: File,
    pub(crate) mark: File,
    pub(crate) key: SecretKey,
    /// The key of marks, which follows from `key`.
    pub(crate) marks: MarkKey,
    /// The verifying half of `key`.
    pub(crate) public: PublicKey,
    /// The log's identity.
    pub(crate) log: String,
    pub(crate) tail: Tail,
    pub(crate) payloads: PayloadFile,
    /// The number of the file that `payloads` goes with.
    pub(crate) payloads_of: u32,
    pub(crate) settings: Settings,
    /// The last line known to be on disk.
    pub(crate) durable: u64,
    /// What the last mark of this writer said that it has not signed yet.
    pub(crate) unsigned: Option<Unsigned>,
    /// Whether somebody else sees to it that lines are signed soon.
    pub(crate) deferred: bool,
}

/// What was written and is not signed yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unsigned {
    at: Timestamp,
    writes: u32,
}

/// Room for the lines of an ordinary call.
const BATCH_BYTES: usize = 2048;
/// After so many writes the head is signed at once, however little time has passed.
const MOST_UNSIGNED: u32 = 1000;

/// Lines that are written together.
#[derive(Debug)]
pub(crate) struct Batch<'a> {
    at: Timestamp,
    n: u64,
    hash: Digest,
    bytes: Vec<u8>,
    payload: Option<(u64, &'a Sealed<'a>)>,
}

/// What is to be forced to disk after the locks are released, so that nobody waits but who must.
#[derive(Debug)]
#[must_use]
pub(crate) struct Unforced {
    files: [Arc<File>; 2],
    /// The last line in them.
    pub(crate) n: u64,
    /// Whether it is time to do so for the sake of lines that nobody waits for.
    pub(crate) due: Option<Due>,
}

/// How long lines that nobody waits for can stay off the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Until they are signed.
    Soon,
    /// No longer.
    Now,
}

/// So many groups of lines may stay off the disk while it is slow; then their writers wait.
const GROUPS: u64 = 100;

impl<'a> Batch<'a> {
    /// Adds a line, which belongs to record `of`, and gives its number.
    pub(crate) fn push<F: Serialize>(
        &mut self,
        kind: Kind,
        of: Option<u64>,
        facts: F,
    ) -> Result<u64, AuditError> {
        self.line(kind, of, facts, None)
    }

    /// Adds the begin line of a call, or what was said, with its payload, and gives its number.
    pub(crate) fn push_with<F: Serialize>(
        &mut self,
        kind: Kind,
        facts: F,
        payload: Option<&'a Sealed<'a>>,
    ) -> Result<u64, AuditError> {
        let n = self.line(kind, None, facts, payload.map(|sealed| &sealed.digest))?;
        self.payload = payload.map(|sealed| (n, sealed));
        Ok(n)
    }

    fn line<F: Serialize>(
        &mut self,
        kind: Kind,
        of: Option<u64>,
        facts: F,
        payload: Option<&Digest>,
    ) -> Result<u64, AuditError> {
        let n = self.n + 1;
        let line = Written { n, prev: &self.hash, kind, of, facts, payload };
        self.hash = line::write(&mut self.bytes, &line)?;
        self.n = n;
        Ok(n)
    }

    fn repair(&mut self, repair: Repair) -> Result<(), AuditError> {
        let at = self.at;
        match repair {
            Repair::Torn(facts) => self.push(Kind::Torn, None, Own { at, facts })?,
            Repair::Adopted(facts) => self.push(Kind::Adopted, None, Own { at, facts })?,
            Repair::Lost(facts) => {
                // Numbers that people may have seen are not given out again.
                self.n = facts.to;
                self.push(Kind::Lost, None, Own { at, facts })?
            }
        };
        Ok(())
    }
}

impl Unforced {
    /// Waits until everything is on disk.
    pub(crate) fn force(&self, directory: &Directory) -> Result<(), AuditError> {
        for file in &self.files {
            file.sync_data().map_err(files::unwritable(directory.path()))?;
        }
        Ok(())
    }
}

impl Writer {
    /// Adds the lines that `compose` makes, all of them in one write.
    pub(crate) fn append<'a, R>(
        &mut self,
        (at, wait): (Timestamp, Durability),
        compose: impl FnOnce(&mut Batch<'a>) -> Result<R, AuditError>,
    ) -> Result<(R, Unforced), AuditError> {
        let lock = Arc::clone(&self.lock);
        let _locked = files::lock(&lock, &self.directory.lock(), false)?;
        let repairs = self.catch_up()?;
        let appended = self.append_locked(at, repairs, compose)?;
        let full = self.unsigned.is_some_and(|unsigned| unsigned.writes >= MOST_UNSIGNED);
        if wait == Durability::Disk || full || !self.deferred {
            self.sign(at)?;
        }
        Ok(appended)
    }

    /// Signs what is not signed yet.
    pub(crate) fn sign_pending(&mut self) -> Result<(), AuditError> {
        let Some(Unsigned { at, .. }) = self.unsigned else { return Ok(()) };
        let lock = Arc::clone(&self.lock);
        let _locked = files::lock(&lock, &self.directory.lock(), false)?;
        let repairs = self.catch_up()?;
        if !repairs.is_empty() {
            self.repair(at, repairs)?;
        }
        self.sign(at)
    }

    /// [`Writer::append`] for who holds the lock and has read the log to its end.
    pub(crate) fn append_locked<'a, R>(
        &mut self,
        at: Timestamp,
        repairs: Vec<Repair>,
        compose: impl FnOnce(&mut Batch<'a>) -> Result<R, AuditError>,
    ) -> Result<(R, Unforced), AuditError> {
        if !repairs.is_empty() {
            self.repair(at, repairs)?;
        }
        if self.is_full() {
            let mut batch = self.batch(at);
            batch.push(Kind::Rotated, None, Own { at, facts: Nothing {} })?;
            self.put(batch)?;
            self.rotate()?;
        }
        let mut batch = self.batch(at);
        let made = compose(&mut batch)?;
        self.put(batch)?;
        Ok((made, self.unforced()))
    }

    fn batch<'a>(&self, at: Timestamp) -> Batch<'a> {
        Batch {
            at,
            n: self.tail.n,
            hash: self.tail.hash,
            bytes: Vec::with_capacity(BATCH_BYTES),
            payload: None,
        }
    }

    fn repair(&mut self, at: Timestamp, repairs: Vec<Repair>) -> Result<(), AuditError> {
        let mut batch = self.batch(at);
        for repair in repairs {
            batch.repair(repair)?;
        }
        self.put(batch)?;
        // Half a line too long to be kept in full may reach beyond the line that keeps it.
        let path = self.directory.log(self.tail.segment);
        self.tail.file.set_len(self.tail.offset).map_err(files::unwritable(&path))
    }

    fn is_full(&self) -> bool {
        let payloads = if self.payloads_of == self.tail.segment { self.payloads.length } else { 0 };
        self.tail.offset.max(payloads) >= self.settings.segment_bytes
    }

    /// What is not yet known to be on disk.
    pub(crate) fn unforced(&self) -> Unforced {
        let lines = self.tail.n.saturating_sub(self.durable);
        let group = self.settings.group_lines;
        let due = match lines {
            _ if lines < group => None,
            _ if self.deferred && lines < group.saturating_mul(GROUPS) => Some(Due::Soon),
            _ => Some(Due::Now),
        };
        Unforced {
            files: [Arc::clone(&self.payloads.file), Arc::clone(&self.tail.file)],
            n: self.tail.n,
            due,
        }
    }

    /// Reads what other writers have added. The common case, that there is nothing, costs two
    /// calls of `stat`.
    fn catch_up(&mut self) -> Result<Vec<Repair>, AuditError> {
        if self.tail.length(&self.directory)? == self.tail.offset {
            return Ok(Vec::new());
        }
        let files = (&self.head, &self.mark);
        let head = last_said(&self.directory, files, &self.key, &self.log)?;
        let mut tail = self.tail.clone();
        let repairs = tail.follow(&self.directory, &head)?;
        self.durable = self.durable.max(head.durable);
        self.tail = tail;
        Ok(repairs)
    }

    /// Writes a batch: its payload, its lines, the mark, in this order. After a death between two
    /// of them the payload belongs to no record, or the mark is behind; never the other way round.
    fn put(&mut self, batch: Batch<'_>) -> Result<(), AuditError> {
        if batch.bytes.is_empty() {
            return Ok(());
        }
        if let Some((n, sealed)) = batch.payload {
            self.payloads()?.write(n, sealed)?;
        }
        let path = self.directory.log(self.tail.segment);
        let length = batch.bytes.len() as u64;
        self.tail
            .file
            .write_all_at(&batch.bytes, self.tail.offset)
            .map_err(files::unwritable(&path))?;
        self.tail.offset += length;
        self.tail.n = batch.n;
        self.tail.hash = batch.hash;
        self.write_mark(batch.at)?;
        let writes = self.unsigned.map_or(0, |unsigned| unsigned.writes);
        self.unsigned = Some(Unsigned { at: batch.at, writes: writes.saturating_add(1) });
        Ok(())
    }

    /// Marks the last line.
    pub(crate) fn write_mark(&self, at: Timestamp) -> Result<(), AuditError> {
        mark::write(&self.mark, &self.directory.mark(), &self.marks, &self.end(at))
    }

    /// Writes the first line of a log, which `tail` already stands for, and makes sure of it.
    pub(crate) fn put_first(&mut self, bytes: &[u8], at: Timestamp) -> Result<(), AuditError> {
        let path = self.directory.log(self.tail.segment);
        self.tail.file.write_all_at(bytes, 0).map_err(files::unwritable(&path))?;
        self.tail.offset = bytes.len() as u64;
        self.begin_marks(at)?;
        self.sign(at)?;
        self.head.sync_data().map_err(files::unwritable(&self.directory.head()))?;
        self.unforced().force(&self.directory)?;
        self.directory.force()
    }

    /// Makes sure that there is a mark before any head says so.
    pub(crate) fn begin_marks(&self, at: Timestamp) -> Result<(), AuditError> {
        self.write_mark(at)?;
        self.mark.sync_data().map_err(files::unwritable(&self.directory.mark()))?;
        self.directory.force()
    }

    fn payloads(&mut self) -> Result<&mut PayloadFile, AuditError> {
        if self.payloads_of != self.tail.segment {
            self.payloads = PayloadFile::open(self.directory.payloads(self.tail.segment))?;
            self.payloads_of = self.tail.segment;
        }
        Ok(&mut self.payloads)
    }

    /// Signs the head. What fails is tried again with the next line, which then fails too.
    pub(crate) fn sign(&mut self, at: Timestamp) -> Result<(), AuditError> {
        head::write(&self.head, &self.directory.head(), &self.key, &self.end(at))?;
        self.unsigned = None;
        Ok(())
    }

    fn end(&self, at: Timestamp) -> Head {
        Head {
            log: self.log.clone(),
            n: self.tail.n,
            hash: self.tail.hash,
            at,
            segment: self.tail.segment,
            offset: self.tail.offset,
            durable: self.durable,
            marked: true,
        }
    }

    /// Goes on in the next file, after the line that says so.
    fn rotate(&mut self) -> Result<(), AuditError> {
        self.unforced().force(&self.directory)?;
        self.durable = self.tail.n;
        self.tail =
            Tail::at_start(&self.directory, self.tail.segment + 1, self.tail.n, self.tail.hash)?;
        Ok(())
    }
}

/// What the head and the mark say, whichever says more: what did not reach the disk before a power
/// failure may be either's last word.
pub(crate) fn last_said(
    directory: &Directory,
    (head, mark): (&File, &File),
    key: &SecretKey,
    log: &str,
) -> Result<Head, AuditError> {
    let ours = |found, nothing| match found {
        Found::Signed(head) if head.log == log => Ok(head),
        Found::Signed(_) => Err(bad_head(directory, "it is that of another log")),
        Found::Nothing => Err(bad_head(directory, nothing)),
        Found::Bad(problem) => Err(bad_head(directory, problem)),
    };
    let signed = head::read(head, &directory.head(), &key.public())?;
    let signed = ours(signed, "it is missing")?;
    if !signed.marked {
        return Ok(signed);
    }
    let bytes = head::load(mark, &directory.mark())?;
    let marked = ours(mark::check(&bytes, Some(&key.marks())), "the mark beside it is missing")?;
    Ok(if marked.n > signed.n { marked } else { signed })
}

fn bad_head(directory: &Directory, problem: &str) -> AuditError {
    AuditError::Corrupt { path: directory.head(), problem: problem.to_owned() }
}
