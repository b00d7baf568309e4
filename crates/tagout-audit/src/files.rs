//! The directory's files: their names, private modes, bounded reading.
use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom},
    os::unix::fs::{
        DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
    },
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, OFlags};

use crate::AuditError;

/// The longest line of the chain that is read, in bytes.
pub(crate) const LINE_BYTES: u64 = 1 << 20;

/// The directory of one log.
#[derive(Clone, Debug)]
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn log(&self, segment: u32) -> PathBuf {
        self.0.join(log_name(segment))
    }

    pub(crate) fn payloads(&self, segment: u32) -> PathBuf {
        self.0.join(payloads_name(segment))
    }

    pub(crate) fn head(&self) -> PathBuf {
        self.0.join("head")
    }

    pub(crate) fn mark(&self) -> PathBuf {
        self.0.join("mark")
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }

    /// The numbers of the log's files that exist, in order.
    pub(crate) fn segments(&self) -> Result<Vec<u32>, AuditError> {
        let mut segments = Vec::new();
        for entry in fs::read_dir(&self.0).map_err(unreadable(&self.0))? {
            let name = entry.map_err(unreadable(&self.0))?.file_name();
            let number = name
                .to_str()
                .and_then(|name| name.strip_prefix("log-")?.strip_suffix(".jsonl"))
                .filter(|digits| digits.len() >= 6 && digits.bytes().all(|b| b.is_ascii_digit()))
                .and_then(|digits| digits.parse::<u32>().ok());
            segments.extend(number);
        }
        segments.sort_unstable();
        Ok(segments)
    }

    /// Makes a new file's name survive a power failure.
    pub(crate) fn force(&self) -> Result<(), AuditError> {
        File::open(&self.0).and_then(|d| d.sync_all()).map_err(unwritable(&self.0))
    }
}

pub(crate) fn log_name(segment: u32) -> String {
    format!("log-{segment:06}.jsonl")
}

pub(crate) fn payloads_name(segment: u32) -> String {
    format!("payloads-{segment:06}.jsonl")
}

/// Makes `path` and what is above it, for this user only. If it is there and has any bit of `lax`,
/// it is closed to others.
pub(crate) fn make_directory(path: &Path, lax: u32) -> Result<(), AuditError> {
    let make = || {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        let mode = fs::metadata(path)?.permissions().mode();
        if mode & lax != 0 {
            fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
        }
        Ok(())
    };
    make().map_err(unwritable(path))
}

/// Opens a file of this user only, made if it is not there. Never through a symbolic link.
pub(crate) fn open_private(path: &Path) -> Result<File, AuditError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(no_follow())
        .open(path)
        .map_err(unwritable(path))
}

/// Opens a file to read it, if it is there. Never through a symbolic link.
pub(crate) fn open_existing(path: &Path) -> Result<Option<File>, AuditError> {
    match OpenOptions::new().read(true).custom_flags(no_follow()).open(path) {
        Ok(file) => Ok(Some(file)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(unreadable(path)(e)),
    }
}

fn no_follow() -> i32 {
    // The bits are those of C's `int`; the conversion only changes how Rust sees them.
    OFlags::NOFOLLOW.bits().cast_signed()
}

pub(crate) fn unwritable(path: &Path) -> impl Fn(io::Error) -> AuditError {
    move |source| AuditError::Unwritable { path: path.to_owned(), source }
}

pub(crate) fn unreadable(path: &Path) -> impl Fn(io::Error) -> AuditError {
    move |source| AuditError::Unreadable { path: path.to_owned(), source }
}

/// A lock between processes, held until dropped.
#[derive(Debug)]
pub(crate) struct Locked<'a>(&'a File);

/// Waits until no other process writes (or, if `shared`, until none does but readers may).
pub(crate) fn lock<'a>(
    file: &'a File,
    path: &Path,
    shared: bool,
) -> Result<Locked<'a>, AuditError> {
    let how = if shared { FlockOperation::LockShared } else { FlockOperation::LockExclusive };
    rustix::io::retry_on_intr(|| rustix::fs::flock(file, how))
        .map_err(|e| unwritable(path)(e.into()))?;
    // A lock on a file that has another name, or none, excludes nobody.
    if file.metadata().map_err(unwritable(path))?.nlink() == 0 {
        let problem = "the lock file was removed while it was in use".to_owned();
        return Err(AuditError::Replaced { path: path.to_owned(), problem });
    }
    Ok(Locked(file))
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        // Closing the file, or the end of the process, releases it as well.
        let _released = rustix::fs::flock(self.0, FlockOperation::Unlock);
    }
}

/// What [`Lines`] finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// A line that ends.
    Line,
    /// The file ends without ending the line.
    Fragment,
    /// A line with more bytes than are read; what is given is its beginning.
    TooLong,
}

/// The lines of a file, one at a time, each of bounded length.
#[derive(Debug)]
pub(crate) struct Lines {
    reader: BufReader<io::Take<File>>,
    limit: u64,
    buffer: Vec<u8>,
    /// Where the last piece began.
    pub(crate) start: u64,
    /// Where the last piece ended, after its newline.
    pub(crate) end: u64,
}

impl Lines {
    /// The lines of `file` from offset `from` up to offset `to`, each of at most `limit` bytes.
    pub(crate) fn new(mut file: File, from: u64, to: u64, limit: u64) -> io::Result<Self> {
        file.seek(SeekFrom::Start(from))?;
        let reader = BufReader::with_capacity(64 << 10, file.take(to.saturating_sub(from)));
        Ok(Self { reader, limit, buffer: Vec::new(), start: from, end: from })
    }

    /// The next piece, without its newline.
    pub(crate) fn next(&mut self) -> io::Result<Option<(Piece, &[u8])>> {
        self.buffer.clear();
        self.start = self.end;
        let got = self.fill(self.limit.saturating_add(1))?;
        if got == 0 {
            return Ok(None);
        }
        if self.buffer.last() == Some(&b'\n') {
            self.buffer.pop();
            return Ok(Some((Piece::Line, &self.buffer)));
        }
        if got <= self.limit {
            return Ok(Some((Piece::Fragment, &self.buffer)));
        }
        self.skip_line()?;
        Ok(Some((Piece::TooLong, &self.buffer)))
    }

    /// [`Lines::next`] with the offset at which the piece ended.
    pub(crate) fn next_and_end(&mut self) -> io::Result<Option<(Piece, &[u8], u64)>> {
        let Some((piece, _)) = self.next()? else { return Ok(None) };
        Ok(Some((piece, &self.buffer, self.end)))
    }

    fn fill(&mut self, most: u64) -> io::Result<u64> {
        let got = (&mut self.reader).take(most).read_until(b'\n', &mut self.buffer)? as u64;
        self.end += got;
        Ok(got)
    }

    fn skip_line(&mut self) -> io::Result<()> {
        let kept = self.buffer.len();
        loop {
            let got = self.fill(self.limit)?;
            let ended = self.buffer.last() == Some(&b'\n');
            self.buffer.truncate(kept);
            if got == 0 || ended {
                return Ok(());
            }
        }
    }
}
