//! Payloads: what can be erased, beside the chain that cannot.
//!
//! The chain holds a digest over a random salt and the payload. The salt stands with the payload
//! and goes with it, so that nobody can find out an erased payload by trying likely ones.
use std::{
    collections::BTreeSet,
    fs::File,
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use tagout_proto::Digest;

use crate::{
    AuditError,
    backward::Backward,
    files::{self, Lines, Piece},
    line::write_ascii,
    record::Payload,
};

/// The largest payload, in bytes.
const PAYLOAD_BYTES: usize = 16 << 20;
/// The longest line of a payload file: every byte escaped as six, and the rest.
const PAYLOAD_LINE_BYTES: u64 = (PAYLOAD_BYTES as u64) * 6 + 256;

/// A payload with its salt.
#[derive(Debug)]
pub(crate) struct Sealed<'a> {
    salt: String,
    text: &'a str,
    /// What the chain holds of it.
    pub(crate) digest: Digest,
}

#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    n: u64,
    salt: std::borrow::Cow<'a, str>,
    payload: std::borrow::Cow<'a, str>,
}

fn salted(salt: &str, text: &str) -> Digest {
    Digest::of_parts([salt.as_bytes(), text.as_bytes()])
}

impl<'a> Sealed<'a> {
    pub(crate) fn new(text: &'a str) -> Result<Self, AuditError> {
        if text.len() > PAYLOAD_BYTES {
            return Err(AuditError::TooLarge { got: text.len(), limit: PAYLOAD_BYTES });
        }
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)
            .map_err(|e| files::unwritable(Path::new("payloads"))(std::io::Error::other(e)))?;
        let salt = hex::encode(bytes);
        let digest = salted(&salt, text);
        Ok(Self { salt, text, digest })
    }
}

/// The payload file of the current segment, for the writer that holds the lock.
#[derive(Debug)]
pub(crate) struct PayloadFile {
    path: PathBuf,
    pub(crate) file: Arc<File>,
    /// How long it was after the last write.
    pub(crate) length: u64,
}

impl PayloadFile {
    pub(crate) fn open(path: PathBuf) -> Result<Self, AuditError> {
        let file = Arc::new(files::open_private(&path)?);
        Ok(Self { path, file, length: 0 })
    }

    pub(crate) fn write(&mut self, n: u64, sealed: &Sealed<'_>) -> Result<(), AuditError> {
        let metadata = self.file.metadata().map_err(files::unreadable(&self.path))?;
        let length = metadata.len();
        if metadata.nlink() == 0 || length < self.length {
            let problem = "it was removed or cut while it was in use".to_owned();
            return Err(AuditError::Replaced { path: self.path.clone(), problem });
        }
        let mut bytes = Vec::with_capacity(sealed.text.len() + 128);
        // Somebody else wrote last, and may have died half-way through a line.
        if length != self.length && length > 0 {
            let mut last = [0];
            self.file
                .read_exact_at(&mut last, length - 1)
                .map_err(files::unreadable(&self.path))?;
            if last != *b"\n" {
                bytes.push(b'\n');
            }
        }
        let (salt, payload) = (sealed.salt.as_str().into(), sealed.text.into());
        write_ascii(&mut bytes, &Stored { n, salt, payload })?;
        bytes.push(b'\n');
        self.file.write_all_at(&bytes, length).map_err(files::unwritable(&self.path))?;
        self.length = length + bytes.len() as u64;
        Ok(())
    }
}

/// Reads a payload file along with its log file: numbers are asked for in ascending order.
#[derive(Debug)]
pub(crate) struct PayloadReader {
    path: PathBuf,
    lines: Option<Lines>,
    /// The line that was read last and not used yet: its number, salt and payload.
    next: Option<(u64, String, String)>,
    /// Lines that belong to no record.
    pub(crate) orphans: u64,
}

impl PayloadReader {
    pub(crate) fn open(path: PathBuf) -> Result<Self, AuditError> {
        let lines = match files::open_existing(&path)? {
            Some(file) => Some(
                Lines::new(file, 0, u64::MAX, PAYLOAD_LINE_BYTES)
                    .map_err(files::unreadable(&path))?,
            ),
            None => None,
        };
        let mut reader = Self { path, lines, next: None, orphans: 0 };
        reader.advance()?;
        Ok(reader)
    }

    /// What became of the payload of line `n`, of which the chain holds `digest`.
    pub(crate) fn find(&mut self, n: u64, digest: &Digest) -> Result<Payload, AuditError> {
        self.skip_before(n)?;
        let mut found = Payload::Erased;
        while let Some((_, salt, text)) = self.next.take_if(|(at, ..)| *at == n) {
            if salted(&salt, &text) == *digest {
                found = Payload::Present(text);
            } else if found == Payload::Erased {
                found = Payload::Changed;
            }
            self.advance()?;
        }
        Ok(found)
    }

    /// Passes over payloads of lines before `n`, which nobody asked for.
    pub(crate) fn skip_before(&mut self, n: u64) -> Result<(), AuditError> {
        while self.next.as_ref().is_some_and(|(at, ..)| *at < n) {
            self.orphans += 1;
            self.advance()?;
        }
        Ok(())
    }

    fn advance(&mut self) -> Result<(), AuditError> {
        self.next = None;
        let Some(lines) = &mut self.lines else { return Ok(()) };
        while let Some((piece, bytes)) = lines.next().map_err(files::unreadable(&self.path))? {
            if bytes.trim_ascii().is_empty() {
                continue;
            }
            if let (Piece::Line, Ok(stored)) = (piece, serde_json::from_slice::<Stored<'_>>(bytes))
            {
                let Stored { n, salt, payload } = stored;
                self.next = Some((n, salt.into_owned(), payload.into_owned()));
                return Ok(());
            }
            // Half a line of a writer that died, or half erased: its record's payload is then
            // found missing, or the record was never written.
            self.orphans += 1;
        }
        Ok(())
    }
}

/// Reads a payload file from its end: numbers are asked for in descending order.
#[derive(Debug)]
pub(crate) struct PayloadBackward {
    lines: Option<Backward>,
    next: Option<(u64, String, String)>,
}

impl PayloadBackward {
    pub(crate) fn open(path: &Path) -> Result<Self, AuditError> {
        let lines = Backward::open(path, PAYLOAD_LINE_BYTES)?;
        Ok(Self { lines, next: None })
    }

    /// What became of the payload of line `n`, of which the chain holds `digest`.
    pub(crate) fn find(&mut self, n: u64, digest: &Digest) -> Result<Payload, AuditError> {
        let mut found = Payload::Erased;
        loop {
            if self.next.is_none() && !self.advance()? {
                return Ok(found);
            }
            match self.next.take() {
                Some((at, ..)) if at > n => {}
                Some((at, salt, text)) if at == n => {
                    if salted(&salt, &text) == *digest {
                        found = Payload::Present(text);
                    } else if found == Payload::Erased {
                        found = Payload::Changed;
                    }
                }
                other => {
                    self.next = other;
                    return Ok(found);
                }
            }
        }
    }

    fn advance(&mut self) -> Result<bool, AuditError> {
        let Some(lines) = &mut self.lines else { return Ok(false) };
        while let Some(bytes) = lines.next()? {
            if let Ok(Stored { n, salt, payload }) = serde_json::from_slice::<Stored<'_>>(&bytes) {
                self.next = Some((n, salt.into_owned(), payload.into_owned()));
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Whether a line stands there that begins as the payload of line `n` does.
pub(crate) fn is_there(path: &Path, n: u64) -> Result<bool, AuditError> {
    let Some(file) = files::open_existing(path)? else { return Ok(false) };
    let mut lines =
        Lines::new(file, 0, u64::MAX, PAYLOAD_LINE_BYTES).map_err(files::unreadable(path))?;
    while let Some((_, bytes)) = lines.next().map_err(files::unreadable(path))? {
        if number_of(bytes).is_some_and(|(number, _)| number == n) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Which of `numbers` have a payload in the file, in its order.
pub(crate) fn there_of(path: &Path, numbers: &BTreeSet<u64>) -> Result<Vec<u64>, AuditError> {
    let Some(file) = files::open_existing(path)? else { return Ok(Vec::new()) };
    let mut lines =
        Lines::new(file, 0, u64::MAX, PAYLOAD_LINE_BYTES).map_err(files::unreadable(path))?;
    let mut there = Vec::new();
    while let Some((_, bytes)) = lines.next().map_err(files::unreadable(path))? {
        there.extend(number_of(bytes).map(|(n, _)| n).filter(|n| numbers.contains(n)));
    }
    there.dedup();
    Ok(there)
}

/// The number of the line whose payload this is, and how many bytes say so: also when it is half
/// erased.
fn number_of(line: &[u8]) -> Option<(u64, usize)> {
    let rest = line.strip_prefix(b"{\"n\":")?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = std::str::from_utf8(rest.get(..digits)?).ok()?.parse().ok()?;
    (rest.get(digits) == Some(&b',')).then_some((number, b"{\"n\":,".len() + digits))
}

/// Overwrites the payloads of `numbers` with spaces; gives how many lines that were. The file keeps
/// its length, so that writers who append to it at the same time are not disturbed.
pub(crate) fn erase(path: &Path, numbers: &BTreeSet<u64>) -> Result<u64, AuditError> {
    let Some(file) = files::open_existing(path)? else { return Ok(0) };
    let mut lines =
        Lines::new(file, 0, u64::MAX, PAYLOAD_LINE_BYTES).map_err(files::unreadable(path))?;
    let target = files::open_private(path)?;
    let mut found = 0;
    while let Some((_, bytes)) = lines.next().map_err(files::unreadable(path))? {
        let Some((_, prefix)) = number_of(bytes).filter(|(n, _)| numbers.contains(n)) else {
            continue;
        };
        let (blank, start) = (vec![b' '; bytes.len()], lines.start);
        // How it begins goes last, so that a second try still finds what a first one left.
        let (first, rest) = blank.split_at(prefix);
        target
            .write_all_at(rest, start + prefix as u64)
            .and_then(|()| target.write_all_at(first, start))
            .map_err(files::unwritable(path))?;
        found += 1;
    }
    if found > 0 {
        target.sync_data().map_err(files::unwritable(path))?;
    }
    Ok(found)
}
