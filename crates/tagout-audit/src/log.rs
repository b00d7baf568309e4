//! The log that callers write to.
use std::{
    collections::BTreeSet,
    ops::Deref,
    path::Path,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use jiff::Timestamp;

use crate::{
    AuditError, Begin, Decision, Durability, End, Note, PublicKey, Reader, Said,
    files::Directory,
    line::{Kind, Nothing, Own},
    payload::{self, Sealed},
    signer::Signer,
    start,
    writer::{Batch, Due, Unforced, Writer},
};

/// How a log is kept. The default is right but for tests.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Size at which a file of the log is closed and the next begun, in bytes.
    pub segment_bytes: u64,
    /// Lines after which those that nobody waits for are forced to disk.
    pub group_lines: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { segment_bytes: 64 << 20, group_lines: 100 }
    }
}

/// Lines about erased payloads that are written at once.
const LINES_AT_ONCE: usize = 256;

/// An append-only, hash-chained log in a directory that several processes may share.
///
/// Cheap to clone; all clones are one writer. Calls block: some ten microseconds with
/// [`Durability::System`], as long as the disk takes with [`Durability::Disk`].
#[derive(Clone, Debug)]
pub struct Log {
    inner: Arc<Held>,
}

#[derive(Debug)]
struct Inner {
    writer: Mutex<Writer>,
    directory: Directory,
    key: PublicKey,
    /// Whether a write to disk failed: the operating system may then have dropped what it held,
    /// and a later success would say nothing about it.
    broken: AtomicBool,
    /// Sees to it that what nobody waits for is signed soon.
    signer: OnceLock<Arc<Signer>>,
}

impl Inner {
    /// Signs what is not signed yet, and forces what nobody waits for to disk where it is time.
    fn settle(&self) {
        let Ok(mut writer) = self.writer.lock() else { return };
        // What fails is done by the next line itself, which fails if that does.
        if writer.sign_pending().is_err() {
            writer.deferred = false;
        }
        let unforced = writer.unforced();
        drop(writer);
        if unforced.due.is_some() {
            // The log is broken if that fails, and the next line says so.
            drop(self.force_to_disk(&unforced));
        }
    }

    /// Waits for the disk without holding up other writers.
    fn force_to_disk(&self, unforced: &Unforced) -> Result<(), AuditError> {
        if let Err(e) = unforced.force(&self.directory) {
            self.broken.store(true, Ordering::Release);
            return Err(e);
        }
        let mut writer = self.writer.lock().map_err(|_| AuditError::Broken)?;
        writer.durable = writer.durable.max(unforced.n);
        Ok(())
    }
}

/// The log as its users hold it. The thread that signs holds what is within, and may hold it last:
/// nobody waits for that thread at the end of a process.
#[derive(Debug)]
struct Held(Arc<Inner>);

impl Deref for Held {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

/// A log that is closed ends with a signed head.
impl Drop for Held {
    fn drop(&mut self) {
        self.settle();
        if let Some(signer) = self.signer.get() {
            signer.close();
        }
    }
}

/// A call that is on record as begun. Dropping it leaves the record open, which verification
/// reports as *outcome unknown*: a crash or a cancelled task can hide a result but never a call.
#[derive(Debug)]
#[must_use = "an entry that is never ended is reported as an unknown outcome"]
pub struct Entry {
    log: Log,
    number: u64,
}

impl Log {
    /// Opens the log in `directory`, or begins one there: the directory (mode 0700), its first
    /// line, stamped `now`, and, at `key_file` (mode 0600), the key that signs its head. The key
    /// file belongs in another directory, better yet another place.
    ///
    /// # Errors
    /// [`AuditError::Unwritable`], [`AuditError::Unreadable`]; [`AuditError::Key`] if the log
    /// exists and the key does not, or is another; [`AuditError::Corrupt`] and
    /// [`AuditError::Replaced`] if the end of the log is not what the signed head says.
    pub fn open(directory: &Path, key_file: &Path, now: Timestamp) -> Result<Self, AuditError> {
        Self::open_with(directory, key_file, Settings::default(), now)
    }

    /// Like [`Log::open`], with `settings`.
    ///
    /// # Errors
    /// As [`Log::open`].
    pub fn open_with(
        directory: &Path,
        key_file: &Path,
        settings: Settings,
        now: Timestamp,
    ) -> Result<Self, AuditError> {
        let writer = start::open(directory, key_file, settings, now)?;
        let (directory, key) = (writer.directory.clone(), writer.public);
        let broken = AtomicBool::new(false);
        let (writer, signer) = (Mutex::new(writer), OnceLock::new());
        let inner = Arc::new(Inner { writer, directory, key, broken, signer });
        let log = Self { inner: Arc::new(Held(Arc::clone(&inner))) };
        let inner = Arc::downgrade(&inner);
        let sign = move || {
            inner.upgrade().is_some_and(|inner| {
                inner.settle();
                true
            })
        };
        if let Some(signer) = Signer::start(sign) {
            log.inner.signer.get_or_init(|| signer);
            log.writer()?.deferred = true;
        }
        Ok(log)
    }

    /// Writes down that a call is about to be tried.
    ///
    /// # Errors
    /// Any [`AuditError`]: the call must not go on.
    pub fn begin(&self, begin: &Begin<'_>, wait: Durability) -> Result<Entry, AuditError> {
        let sealed = begin.payload.map(Sealed::new).transpose()?;
        let number = self
            .append(begin.at, wait, |batch| batch.push_with(Kind::Begin, begin, sealed.as_ref()))?;
        Ok(Entry { log: self.clone(), number })
    }

    /// Like [`Log::begin`] followed by [`Entry::decided`], in one write.
    ///
    /// # Errors
    /// Any [`AuditError`]: the call must not go on.
    pub fn begin_decided(
        &self,
        begin: &Begin<'_>,
        decision: &Decision<'_>,
        wait: Durability,
    ) -> Result<Entry, AuditError> {
        let sealed = begin.payload.map(Sealed::new).transpose()?;
        let number = self.append(begin.at, wait, |batch| {
            let number = batch.push_with(Kind::Begin, begin, sealed.as_ref())?;
            batch.push(Kind::Decision, Some(number), decision)?;
            Ok(number)
        })?;
        Ok(Entry { log: self.clone(), number })
    }

    /// Writes down something that is no call, and gives its number.
    ///
    /// # Errors
    /// Any [`AuditError`].
    pub fn note(&self, note: &Note<'_>, wait: Durability) -> Result<u64, AuditError> {
        self.append(note.at, wait, |batch| batch.push(Kind::Note, None, note))
    }

    /// Writes down what was said, and gives its number.
    ///
    /// # Errors
    /// Any [`AuditError`]: what was to come of it must not be done.
    pub fn say(&self, said: &Said<'_>, wait: Durability) -> Result<u64, AuditError> {
        let sealed = said.payload.map(Sealed::new).transpose()?;
        self.append(said.at, wait, |batch| batch.push_with(Kind::Said, said, sealed.as_ref()))
    }

    /// Erases the payload of record `n` from its file and writes down that it did. The chain
    /// stays valid. Gives `false` if the record has no payload (any more). A verification that runs
    /// at the same moment may report the payload as missing.
    ///
    /// # Errors
    /// Any [`AuditError`]. The erasure may then be on record and not done: try again.
    pub fn erase_payload(&self, n: u64, now: Timestamp) -> Result<bool, AuditError> {
        let reader = Reader::new(self.inner.directory.path());
        let Some(segment) = reader.segment_with_payload(n)? else { return Ok(false) };
        let path = self.inner.directory.payloads(segment);
        if !payload::is_there(&path, n)? {
            return Ok(false);
        }
        // First the record, then the deed: what is gone is then always accounted for.
        let facts = Own { at: now, facts: Nothing {} };
        self.append(now, Durability::Disk, |batch| batch.push(Kind::Erased, Some(n), facts))?;
        Ok(payload::erase(&path, &[n].into())? > 0)
    }

    /// As [`Log::erase_payload`], of all the records in `numbers`, reading each file twice however
    /// many there are. Gives how many payloads that were; numbers without one count for nothing.
    ///
    /// # Errors
    /// Any [`AuditError`]. Some may then be erased, and more be on record as erased: try again.
    pub fn erase_payloads(
        &self,
        numbers: &BTreeSet<u64>,
        now: Timestamp,
    ) -> Result<u64, AuditError> {
        let mut erased = 0;
        for segment in self.inner.directory.segments()? {
            let path = self.inner.directory.payloads(segment);
            let there = payload::there_of(&path, numbers)?;
            for some in there.chunks(LINES_AT_ONCE) {
                self.append(now, Durability::System, |batch| {
                    some.iter().try_for_each(|n| {
                        let facts = Own { at: now, facts: Nothing {} };
                        batch.push(Kind::Erased, Some(*n), facts).map(drop)
                    })
                })?;
            }
            if !there.is_empty() {
                self.force()?;
                erased += payload::erase(&path, &there.into_iter().collect())?;
            }
        }
        Ok(erased)
    }

    /// Signs everything written so far and forces it to disk.
    ///
    /// # Errors
    /// [`AuditError::Unwritable`], and what signing finds wrong with the log.
    pub fn force(&self) -> Result<(), AuditError> {
        let mut writer = self.writer()?;
        writer.sign_pending()?;
        let unforced = writer.unforced();
        drop(writer);
        self.inner.force_to_disk(&unforced)
    }

    /// The key that verifies the head.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        self.inner.key
    }

    fn writer(&self) -> Result<std::sync::MutexGuard<'_, Writer>, AuditError> {
        if self.inner.broken.load(Ordering::Acquire) {
            return Err(AuditError::Broken);
        }
        self.inner.writer.lock().map_err(|_| AuditError::Broken)
    }

    fn append<'a, R>(
        &self,
        at: Timestamp,
        wait: Durability,
        compose: impl FnOnce(&mut Batch<'a>) -> Result<R, AuditError>,
    ) -> Result<R, AuditError> {
        let mut writer = self.writer()?;
        let signed = writer.unsigned.is_none();
        let (made, unforced) = writer.append((at, wait), compose)?;
        let due = signed && writer.unsigned.is_some();
        drop(writer);
        if let (true, Some(signer)) = (due, self.inner.signer.get()) {
            signer.wake();
        }
        if wait == Durability::Disk || unforced.due == Some(Due::Now) {
            self.inner.force_to_disk(&unforced)?;
        }
        Ok(made)
    }
}

impl Entry {
    /// The record's number, which people use to find it.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Writes down what was decided, before the call is forwarded.
    ///
    /// # Errors
    /// Any [`AuditError`]: the call must not be forwarded.
    pub fn decided(&self, decision: &Decision<'_>, wait: Durability) -> Result<(), AuditError> {
        self.log.append(decision.at, wait, |batch| {
            batch.push(Kind::Decision, Some(self.number), decision).map(drop)
        })
    }

    /// Writes down how the call ended, and gives the record's number.
    ///
    /// # Errors
    /// Any [`AuditError`]: the answer must be withheld.
    pub fn end(self, end: &End<'_>, wait: Durability) -> Result<u64, AuditError> {
        self.log.append(end.at, wait, |batch| batch.push(Kind::End, Some(self.number), end))?;
        Ok(self.number)
    }
}
