//! Reading a log: the last records, one record, what is new.
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::Path,
    sync::{Arc, Mutex},
};

use jiff::Timestamp;
use tagout_proto::Digest;

use crate::{
    AuditError, Line, Record,
    backward::Backward,
    files::{self, Directory, LINE_BYTES, Lines, Piece},
    line,
    payload::{PayloadBackward, PayloadReader},
    record::{Call, Decided, Ended, Event, Payload, Subject},
};

/// Reads a log. It passes over what cannot be read, and checks nothing: see [`crate::verify`].
#[derive(Clone, Debug)]
pub struct Reader {
    directory: Directory,
    /// Where the last [`Reader::read_from`] ended, so that following a log costs only what is new.
    followed: Arc<Mutex<Option<Place>>>,
}

/// Where in the log a number is to be looked for.
#[derive(Clone, Copy, Debug)]
struct Place {
    n: u64,
    segment: u32,
    offset: u64,
}

/// What the lines after a begin line, seen in any order, say about its record.
#[derive(Debug, Default)]
struct Later {
    decision: Option<Decided>,
    end: Option<Ended>,
}

impl Later {
    /// Notes what a later line of its record says.
    fn take_in(&mut self, event: Event) {
        if let Event::Decision(decided) = event {
            self.decision = Some(decided);
        } else if let Event::End(ended) = event {
            self.end = Some(ended);
        }
    }

    /// What a record is about that begins with `event`.
    fn subject(self, event: Event, payload: Payload) -> Subject {
        match event {
            Event::Begin(begin) => {
                let Self { decision, end } = self;
                Subject::Call(Box::new(Call { begin: *begin, decision, end, payload }))
            }
            Event::Said(said) => Subject::Said { said, payload },
            Event::Genesis(_)
            | Event::Decision(_)
            | Event::End(_)
            | Event::Note(_)
            | Event::Torn(_)
            | Event::Adopted(_)
            | Event::Lost(_)
            | Event::Erased(_)
            | Event::Rotated {} => Subject::Other { event: Box::new(event) },
        }
    }
}

/// What lines say about records whose begin line comes further up.
#[derive(Debug, Default)]
struct Unclaimed(HashMap<u64, Later>);

impl Unclaimed {
    /// Keeps what belongs to a record further up, and gives back what is a record by itself.
    fn take_in(&mut self, event: Event) -> Option<Event> {
        match event {
            Event::Decision(decided) => {
                // The last decision is the one in force, and comes first here.
                let later = self.0.entry(decided.of).or_default();
                later.decision.get_or_insert(decided);
                None
            }
            Event::End(ended) => {
                let of = ended.of;
                self.0.entry(of).or_default().end = Some(ended);
                None
            }
            Event::Rotated {} => None,
            Event::Genesis(_)
            | Event::Begin(_)
            | Event::Note(_)
            | Event::Said(_)
            | Event::Torn(_)
            | Event::Adopted(_)
            | Event::Lost(_)
            | Event::Erased(_) => Some(event),
        }
    }

    fn subject(
        &mut self,
        n: u64,
        event: Event,
        payloads: &mut PayloadBackward,
    ) -> Result<Subject, AuditError> {
        let payload = match event.payload() {
            Some(digest) => payloads.find(n, digest)?,
            None => Payload::None,
        };
        let later = self.0.remove(&n).unwrap_or_default();
        Ok(later.subject(event, payload))
    }
}

impl Reader {
    /// A reader of the log in `directory`, which it never writes to.
    #[must_use]
    pub fn new(directory: &Path) -> Self {
        Self { directory: Directory::new(directory), followed: Arc::default() }
    }

    /// The last `count` records, oldest first: calls merged from their lines, and notes.
    ///
    /// # Errors
    /// [`AuditError::Unreadable`].
    pub fn last(&self, count: usize) -> Result<Vec<Record>, AuditError> {
        let mut records = Vec::new();
        let mut later = Unclaimed::default();
        for segment in self.directory.segments()?.into_iter().rev() {
            let Some(mut lines) = Backward::open(&self.directory.log(segment), LINE_BYTES)? else {
                continue;
            };
            let mut payloads = PayloadBackward::open(&self.directory.payloads(segment))?;
            while records.len() < count {
                let Some(bytes) = lines.next()? else { break };
                let Ok(Line { n, at, event, .. }) = line::read(&bytes) else { continue };
                if let Some(event) = later.take_in(event) {
                    let subject = later.subject(n, event, &mut payloads)?;
                    records.push(Record { n, at, subject });
                }
            }
        }
        records.reverse();
        Ok(records)
    }

    /// Record `n`, or the record that line `n` belongs to.
    ///
    /// # Errors
    /// [`AuditError::Unreadable`].
    pub fn show(&self, n: u64) -> Result<Option<Record>, AuditError> {
        let Some((_, line)) = self.line(n)? else { return Ok(None) };
        let of = line.event.of().unwrap_or(n);
        let found = if of == n { self.line(n)? } else { self.line(of)? };
        let Some((segment, Line { n, at, event, .. })) = found else { return Ok(None) };
        let payload = match event.payload() {
            Some(digest) => self.payload(segment, n, digest)?,
            None => Payload::None,
        };
        let later = if let Event::Begin(_) = event { self.later(n)? } else { Later::default() };
        let subject = later.subject(event, payload);
        Ok(Some(Record { n, at, subject }))
    }

    /// Up to `count` lines from number `n` on, for following a log: ask again from the last
    /// number plus one.
    ///
    /// # Errors
    /// [`AuditError::Unreadable`].
    pub fn read_from(&self, n: u64, count: usize) -> Result<Vec<Line>, AuditError> {
        let place = self.followed.lock().ok().and_then(|place| *place).filter(|p| p.n == n);
        let start = match place {
            Some(place) => place,
            None => self.locate(n)?,
        };
        let mut lines = Vec::new();
        let mut end = start;
        self.walk(start, |place, bytes| {
            if lines.len() == count {
                return false;
            }
            end = place;
            if let Ok(line) = line::read(bytes)
                && line.n >= n
            {
                end.n = line.n + 1;
                lines.push(line);
            }
            true
        })?;
        if !lines.is_empty()
            && let Ok(mut followed) = self.followed.lock()
        {
            *followed = Some(end);
        }
        Ok(lines)
    }

    /// Gives the lines of `since` and later, the last one first. Holds one line at a time.
    ///
    /// # Errors
    /// [`AuditError::Unreadable`].
    pub fn back_to(&self, since: Timestamp, mut visit: impl FnMut(Line)) -> Result<(), AuditError> {
        for segment in self.directory.segments()?.into_iter().rev() {
            let path = self.directory.log(segment);
            let Some(mut lines) = Backward::open(&path, LINE_BYTES)? else { continue };
            while let Some(bytes) = lines.next()? {
                let Ok(line) = line::read(&bytes) else { continue };
                if line.at < since {
                    return Ok(());
                }
                visit(line);
            }
        }
        Ok(())
    }

    /// Gives every line of the log in its order, each with its payload, until `visit` gives
    /// `false`. Holds one line at a time.
    ///
    /// # Errors
    /// [`AuditError::Unreadable`].
    pub fn each(&self, mut visit: impl FnMut(Line, Payload) -> bool) -> Result<(), AuditError> {
        for segment in self.directory.segments()? {
            let path = self.directory.log(segment);
            let Some(file) = files::open_existing(&path)? else { continue };
            let mut payloads = PayloadReader::open(self.directory.payloads(segment))?;
            let mut lines =
                Lines::new(file, 0, u64::MAX, LINE_BYTES).map_err(files::unreadable(&path))?;
            while let Some((piece, bytes)) = lines.next().map_err(files::unreadable(&path))? {
                let (Piece::Line, Ok(line)) = (piece, line::read(bytes)) else { continue };
                let payload = match line.event.payload() {
                    Some(digest) => payloads.find(line.n, digest)?,
                    None => Payload::None,
                };
                if !visit(line, payload) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The records of these numbers that there are, each whole.
    ///
    /// # Errors
    /// [`AuditError::Unreadable`].
    pub(crate) fn records(
        &self,
        numbers: &BTreeSet<u64>,
    ) -> Result<BTreeMap<u64, Record>, AuditError> {
        let mut begun: BTreeMap<u64, (Timestamp, Event, Payload)> = BTreeMap::new();
        let mut later: HashMap<u64, Later> = HashMap::new();
        self.each(|Line { n, at, event, .. }, payload| {
            let of = event.of().filter(|of| begun.contains_key(of));
            if let Some(of) = of {
                later.entry(of).or_default().take_in(event);
            } else if numbers.contains(&n) {
                begun.insert(n, (at, event, payload));
            }
            true
        })?;
        let records = begun.into_iter().map(|(n, (at, event, payload))| {
            let subject = later.remove(&n).unwrap_or_default().subject(event, payload);
            (n, Record { n, at, subject })
        });
        Ok(records.collect())
    }

    /// Gives every line of the log in its order, without payloads.
    ///
    /// # Errors
    /// [`AuditError::Unreadable`].
    pub(crate) fn each_line(&self, mut visit: impl FnMut(Line)) -> Result<(), AuditError> {
        self.walk(self.locate(0)?, |_, bytes| {
            if let Ok(line) = line::read(bytes) {
                visit(line);
            }
            true
        })
    }

    /// The number of the file in which record `n` stands, if it has a payload.
    pub(crate) fn segment_with_payload(&self, n: u64) -> Result<Option<u32>, AuditError> {
        let Some((segment, line)) = self.line(n)? else { return Ok(None) };
        Ok(line.event.payload().map(|_| segment))
    }

    /// What the lines after the begin line `n` say about it.
    fn later(&self, n: u64) -> Result<Later, AuditError> {
        let mut later = Later::default();
        let needle = format!("\"of\":{n},");
        let from = self.locate(n)?;
        self.walk(from, |_, bytes| {
            // Lines of other records are not worth parsing.
            let start = bytes.get(..256).unwrap_or(bytes);
            if start.windows(needle.len()).any(|part| part == needle.as_bytes()) {
                match line::read(bytes).map(|line| line.event) {
                    Ok(Event::Decision(decided)) if decided.of == n => {
                        later.decision = Some(decided);
                    }
                    Ok(Event::End(ended)) if ended.of == n => later.end = Some(ended),
                    _ => {}
                }
            }
            later.end.is_none()
        })?;
        Ok(later)
    }

    fn payload(&self, segment: u32, n: u64, digest: &Digest) -> Result<Payload, AuditError> {
        PayloadReader::open(self.directory.payloads(segment))?.find(n, digest)
    }

    /// Line `n` and the number of the file that it stands in.
    fn line(&self, n: u64) -> Result<Option<(u32, Line)>, AuditError> {
        let mut found = None;
        let prefix = format!("{{\"n\":{n},");
        let from = self.locate(n)?;
        self.walk(from, |place, bytes| {
            if bytes.starts_with(prefix.as_bytes()) {
                found = line::read(bytes).ok().map(|line| (place.segment, line));
            }
            found.is_none()
        })?;
        Ok(found)
    }

    /// The beginning of the last file whose first number is not after `n`.
    fn locate(&self, n: u64) -> Result<Place, AuditError> {
        let segments = self.directory.segments()?;
        let first = segments.first().copied().unwrap_or(1);
        for segment in segments.into_iter().rev() {
            let path = self.directory.log(segment);
            let Some(file) = files::open_existing(&path)? else { continue };
            let mut lines =
                Lines::new(file, 0, u64::MAX, LINE_BYTES).map_err(files::unreadable(&path))?;
            let begins = lines.next().map_err(files::unreadable(&path))?;
            if let Some((Piece::Line, bytes)) = begins
                && line::read(bytes).is_ok_and(|line| line.n <= n)
            {
                return Ok(Place { n, segment, offset: 0 });
            }
        }
        Ok(Place { n, segment: first, offset: 0 })
    }

    /// Gives every line from `from` on, with the place after it, until `visit` gives `false`.
    fn walk(
        &self,
        from: Place,
        mut visit: impl FnMut(Place, &[u8]) -> bool,
    ) -> Result<(), AuditError> {
        for segment in self.directory.segments()? {
            if segment < from.segment {
                continue;
            }
            let path = self.directory.log(segment);
            let Some(file) = files::open_existing(&path)? else { continue };
            let offset = if segment == from.segment { from.offset } else { 0 };
            let mut lines =
                Lines::new(file, offset, u64::MAX, LINE_BYTES).map_err(files::unreadable(&path))?;
            while let Some((piece, bytes, offset)) =
                lines.next_and_end().map_err(files::unreadable(&path))?
            {
                if piece == Piece::Line && !visit(Place { n: from.n, segment, offset }, bytes) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}
