//! Opens a log, or begins one.
use std::{path::Path, sync::Arc};

use jiff::Timestamp;
use tagout_proto::Digest;

use crate::{
    AuditError, Line, Settings,
    files::{self, Directory, LINE_BYTES, Lines, Piece},
    head::Head,
    key::SecretKey,
    line::{self, Kind, Own, Written},
    payload::PayloadFile,
    record::{Event, Genesis},
    tail::Tail,
    writer::{Writer, last_said},
};

/// The version of the format.
pub(crate) const FORMAT: u32 = 1;

/// The number of the first file.
const FIRST: u32 = 1;

/// Opens the log in `path`, or begins one there.
pub(crate) fn open(
    path: &Path,
    key_file: &Path,
    settings: Settings,
    now: Timestamp,
) -> Result<Writer, AuditError> {
    let directory = Directory::new(path);
    files::make_directory(path, 0o077)?;
    let lock = Arc::new(files::open_private(&directory.lock())?);
    let held = Arc::clone(&lock);
    let _locked = files::lock(&held, &directory.lock(), false)?;
    let segments = directory.segments()?;
    let first = if segments.is_empty() { None } else { first_line(&directory)? };
    let head = files::open_private(&directory.head())?;
    let mark = files::open_private(&directory.mark())?;
    let handles = Handles { directory: directory.clone(), lock, head, mark };
    let Some(first) = first else {
        check_nothing(&handles, &segments)?;
        let key = SecretKey::load_or_make(key_file)?;
        return begin(handles, key, (settings, now));
    };
    let key = SecretKey::load(key_file)?;
    let genesis = genesis_of(&directory, &first, key_file, &key)?;
    let length = handles.head.metadata().map_err(files::unreadable(&directory.head()))?.len();
    let last = if first.is_alone && length == 0 {
        // A writer died after it had begun the log and before it could sign.
        at_genesis(&genesis, &first, now)
    } else {
        last_said(&directory, (&handles.head, &handles.mark), &key, &genesis.log)?
    };
    let mut tail = at_head(&directory, &last)?;
    let repairs = tail.follow(&directory, &last)?;
    let mut writer = writer(handles, key, genesis.log, tail, settings)?;
    writer.durable = last.durable;
    let repaired = !repairs.is_empty();
    if repaired {
        let ((), unforced) = writer.append_locked(now, repairs, |_| Ok(()))?;
        unforced.force(&writer.directory)?;
        writer.durable = unforced.n;
    }
    if !last.marked {
        writer.begin_marks(now)?;
    }
    if repaired || !last.marked {
        writer.sign(now)?;
    }
    Ok(writer)
}

/// What is open in a log's directory.
struct Handles {
    directory: Directory,
    lock: Arc<std::fs::File>,
    head: std::fs::File,
    mark: std::fs::File,
}

fn writer(
    Handles { directory, lock, head, mark }: Handles,
    key: SecretKey,
    log: String,
    tail: Tail,
    settings: Settings,
) -> Result<Writer, AuditError> {
    let payloads = PayloadFile::open(directory.payloads(tail.segment))?;
    let (payloads_of, public, marks) = (tail.segment, key.public(), key.marks());
    let durable = 0;
    Ok(Writer {
        directory,
        lock,
        head,
        mark,
        key,
        marks,
        public,
        log,
        tail,
        payloads,
        payloads_of,
        settings,
        durable,
        unsigned: None,
        deferred: false,
    })
}

/// The first line of a log and what stands around it.
struct First {
    line: Line,
    /// Where it ends.
    end: u64,
    /// Whether nothing comes after it.
    is_alone: bool,
}

/// The first line, if there is a whole one.
fn first_line(directory: &Directory) -> Result<Option<First>, AuditError> {
    let path = directory.log(FIRST);
    let corrupt =
        |problem: &str| AuditError::Corrupt { path: path.clone(), problem: problem.into() };
    let file = files::open_existing(&path)?.ok_or_else(|| corrupt("the first file is missing"))?;
    let length = file.metadata().map_err(files::unreadable(&path))?.len();
    let mut lines = Lines::new(file, 0, length, LINE_BYTES).map_err(files::unreadable(&path))?;
    let line = match lines.next().map_err(files::unreadable(&path))? {
        None | Some((Piece::Fragment, _)) => return Ok(None),
        Some((Piece::TooLong, _)) => return Err(corrupt("the first line is too long")),
        Some((Piece::Line, bytes)) => line::read(bytes)
            .ok()
            .filter(|line| line::is_whole(line, bytes))
            .ok_or_else(|| corrupt("the first line is no line of a log"))?,
    };
    Ok(Some(First { line, end: lines.end, is_alone: lines.end == length }))
}

/// A log is begun only where nothing shows that there was one.
fn check_nothing(handles: &Handles, segments: &[u32]) -> Result<(), AuditError> {
    let Handles { directory, head, .. } = handles;
    let length = head.metadata().map_err(files::unreadable(&directory.head()))?.len();
    if length == 0 && segments.iter().all(|&segment| segment == FIRST) {
        return Ok(());
    }
    let problem = "the log is gone, but not what stood beside it".to_owned();
    Err(AuditError::Replaced { path: directory.log(FIRST), problem })
}

fn genesis_of(
    directory: &Directory,
    first: &First,
    key_file: &Path,
    key: &SecretKey,
) -> Result<Genesis, AuditError> {
    let corrupt =
        |problem: &str| AuditError::Corrupt { path: directory.log(FIRST), problem: problem.into() };
    let genesis =
        read_genesis(&first.line).ok_or_else(|| corrupt("the first line is no first line"))?;
    if genesis.format != FORMAT {
        return Err(corrupt(&format!(
            "its format is {}, this program knows {FORMAT}",
            genesis.format
        )));
    }
    if genesis.key != key.public() {
        let problem = format!("it is {}, the log was begun with {}", key.public(), genesis.key);
        return Err(AuditError::Key { path: key_file.to_owned(), problem });
    }
    Ok(genesis)
}

/// The facts of a log's first line, if `line` is one.
pub(crate) fn read_genesis(line: &Line) -> Option<Genesis> {
    let Event::Genesis(genesis) = &line.event else { return None };
    (line.n == 0 && line.prev == Digest::of(genesis.log.as_bytes())).then(|| genesis.clone())
}

fn begin(
    handles: Handles,
    key: SecretKey,
    (settings, now): (Settings, Timestamp),
) -> Result<Writer, AuditError> {
    let mut id = [0; 16];
    let directory = handles.directory.clone();
    getrandom::fill(&mut id)
        .map_err(|e| files::unwritable(directory.path())(std::io::Error::other(e)))?;
    let log = hex::encode(id);
    let prev = Digest::of(log.as_bytes());
    let facts =
        Own { at: now, facts: Genesis { format: FORMAT, log: log.clone(), key: key.public() } };
    let mut bytes = Vec::new();
    let line = Written { n: 0, prev: &prev, kind: Kind::Genesis, of: None, facts, payload: None };
    let hash = line::write(&mut bytes, &line)?;
    let mut tail = Tail::at_start(&directory, FIRST, 0, prev)?;
    // Half a first line of a writer that died holds nothing that anybody relied on.
    let path = directory.log(FIRST);
    tail.file.set_len(0).map_err(files::unwritable(&path))?;
    let mut writer = writer(handles, key, log, tail.clone(), settings)?;
    tail.hash = hash;
    writer.tail = tail;
    writer.put_first(&bytes, now)?;
    Ok(writer)
}

/// The head that a log which holds nothing but its first line should have.
fn at_genesis(genesis: &Genesis, first: &First, now: Timestamp) -> Head {
    Head {
        log: genesis.log.clone(),
        n: 0,
        hash: first.line.hash,
        at: now,
        segment: FIRST,
        offset: first.end,
        durable: 0,
        marked: false,
    }
}

/// The end of the log as the head has it, or, if that is gone, the last line before it.
fn at_head(directory: &Directory, head: &Head) -> Result<Tail, AuditError> {
    let path = directory.log(head.segment);
    let replaced =
        |problem: &str| AuditError::Replaced { path: path.clone(), problem: problem.into() };
    let Some(file) = files::open_existing(&path)? else {
        return Err(replaced("the head covers it and it is gone"));
    };
    let length = file.metadata().map_err(files::unreadable(&path))?.len();
    // Only a log that is shorter than its head is read as a whole.
    let from = if length < head.offset { 0 } else { head.offset.saturating_sub(LINE_BYTES) };
    let mut lines = Lines::new(file, from, head.offset.min(length), LINE_BYTES)
        .map_err(files::unreadable(&path))?;
    let mut last = Vec::new();
    let mut end = 0;
    while let Some((piece, bytes)) = lines.next().map_err(files::unreadable(&path))? {
        if piece == Piece::Line {
            last.clear();
            last.extend_from_slice(bytes);
            end = lines.end;
        }
    }
    let last = line::read(&last)
        .ok()
        .filter(|line| line::is_whole(line, &last))
        .ok_or_else(|| replaced("the head covers lines that are gone"))?;
    if length >= head.offset && (last.hash != head.hash || end != head.offset) {
        return Err(replaced("the head signs another line than stands there"));
    }
    let tail = Tail::at_start(directory, head.segment, last.n, last.hash)?;
    let tail = Tail { offset: end, ..tail };
    if matches!(last.event, Event::Rotated {}) {
        return Tail::at_start(directory, head.segment + 1, last.n, last.hash);
    }
    Ok(tail)
}
