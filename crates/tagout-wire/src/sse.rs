//! Event streams (`text/event-stream`), as WHATWG's HTML standard defines them (9.2.5, 9.2.6).
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};

/// A comment, which keeps a quiet stream open and is no event.
pub const COMMENT: Bytes = Bytes::from_static(b":\n\n");

/// One event.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Event {
    /// `id`, if it was given with this event; empty where the stream takes the last one back.
    pub id: Option<String>,
    /// `event`, its type; none is `message`.
    pub event: Option<String>,
    /// `data`, its lines joined by a line feed; empty where only the others were given.
    pub data: String,
    /// `retry`, how long to wait before connecting again.
    pub retry: Option<Duration>,
}

/// Why a stream cannot be read on.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SseError {
    /// An event, or a single line, is longer than the limit.
    #[error("an event is longer than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// A line is not UTF-8.
    #[error("an event is not UTF-8")]
    NotUtf8,
}

/// Room for a field's name beside the content that the limit is about.
const FIELD_NAME_BYTES: usize = 16;
/// Memory that is kept between events.
const KEEP_BYTES: usize = 64 << 10;

/// Takes bytes as they come and gives events. Every byte is looked at once, however they are cut.
///
/// After an error nothing more comes. What stands at the stream's end without an empty line after
/// it is no event.
#[derive(Debug)]
pub struct Decoder {
    limit: usize,
    buffer: BytesMut,
    /// Bytes at the buffer's start that are known to hold no line end.
    scanned: usize,
    /// The last line ended with a carriage return, so that a line feed still belongs to it.
    after_return: bool,
    /// A line was read: no byte order mark is expected any more.
    started: bool,
    failed: bool,
    event: Event,
    /// A line of data was read for this event.
    has_data: bool,
}

impl Decoder {
    /// Events of at most `event_bytes` of content.
    #[must_use]
    pub fn new(event_bytes: usize) -> Self {
        Self {
            limit: event_bytes,
            buffer: BytesMut::new(),
            scanned: 0,
            after_return: false,
            started: false,
            failed: false,
            event: Event::default(),
            has_data: false,
        }
    }

    /// Takes more of the stream. Call [`Decoder::next`] until it gives nothing before the next
    /// push: what was pushed and not asked for is held in memory.
    pub fn push(&mut self, bytes: &[u8]) {
        if !self.failed {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// The next event in what was pushed; `None` where more is needed.
    ///
    /// # Errors
    /// By variant, see [`SseError`]; it is said once, and then there is nothing more.
    #[expect(clippy::should_implement_trait, reason = "nothing is not the end: more may be pushed")]
    pub fn next(&mut self) -> Option<Result<Event, SseError>> {
        while !self.failed {
            let length = match self.line() {
                Ok(length) => length?,
                Err(error) => return Some(Err(self.fail(error))),
            };
            let buffer = std::mem::take(&mut self.buffer);
            let ended = self.field(buffer.get(..length).unwrap_or_default());
            self.buffer = buffer;
            match ended {
                Ok(event) => {
                    self.consume(length);
                    if let Some(event) = event {
                        return Some(Ok(event));
                    }
                }
                Err(error) => return Some(Err(self.fail(error))),
            }
        }
        None
    }

    fn fail(&mut self, error: SseError) -> SseError {
        self.failed = true;
        self.buffer = BytesMut::new();
        self.event = Event::default();
        error
    }

    /// The length of the next whole line, which stands at the buffer's start.
    fn line(&mut self) -> Result<Option<usize>, SseError> {
        if self.after_return && !self.buffer.is_empty() {
            self.after_return = false;
            if self.buffer.first() == Some(&b'\n') {
                self.buffer.advance(1);
            }
        }
        let unseen = self.buffer.get(self.scanned..).unwrap_or_default();
        let end = unseen.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
        let length = end.map_or(self.buffer.len(), |end| self.scanned + end);
        if length > self.limit.saturating_add(FIELD_NAME_BYTES) {
            return Err(SseError::TooLarge { limit: self.limit });
        }
        self.scanned = length;
        Ok(end.map(|_| length))
    }

    /// Leaves the line and its end behind.
    fn consume(&mut self, length: usize) {
        self.after_return = self.buffer.get(length) == Some(&b'\r');
        self.buffer.advance(self.buffer.len().min(length + 1));
        self.scanned = 0;
        if self.buffer.is_empty() && self.buffer.capacity() > KEEP_BYTES {
            self.buffer = BytesMut::new();
        }
    }

    /// Takes a line in; an empty one ends the event.
    fn field(&mut self, line: &[u8]) -> Result<Option<Event>, SseError> {
        let mut line = std::str::from_utf8(line).map_err(|_| SseError::NotUtf8)?;
        if !self.started {
            self.started = true;
            line = line.strip_prefix('\u{feff}').unwrap_or(line);
        }
        if line.is_empty() {
            return Ok(self.end());
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "data" => self.data(value),
            "event" => self.event.event = (!value.is_empty()).then(|| value.to_owned()),
            "id" if !value.contains('\0') => self.event.id = Some(value.to_owned()),
            "retry" if value.bytes().all(|byte| byte.is_ascii_digit()) => {
                let given = value.parse().ok().map(Duration::from_millis);
                self.event.retry = given.or(self.event.retry);
            }
            _ => {}
        }
        if self.held() > self.limit {
            return Err(SseError::TooLarge { limit: self.limit });
        }
        Ok(None)
    }

    fn data(&mut self, value: &str) {
        if self.has_data {
            self.event.data.push('\n');
        }
        self.has_data = true;
        self.event.data.push_str(value);
    }

    /// Bytes of the event so far.
    fn held(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        self.event.data.len() + text(&self.event.id) + text(&self.event.event)
    }

    fn end(&mut self) -> Option<Event> {
        let event = std::mem::take(&mut self.event);
        let has_data = std::mem::take(&mut self.has_data);
        (has_data || event.id.is_some() || event.retry.is_some()).then_some(event)
    }
}

/// The bytes of an event. Each line of `data` goes into a field of its own, so that a carriage
/// return arrives as a line feed; an `id` or `event` that a field cannot hold (line ends; NUL in an
/// `id`) is left out.
#[must_use]
pub fn encode(event: &Event) -> Bytes {
    let mut bytes = BytesMut::with_capacity(event.data.len() + 64);
    let mut field = |name: &[u8], value: &[u8]| {
        for part in [name, b": ", value, b"\n"] {
            bytes.extend_from_slice(part);
        }
    };
    let fits = |text: &&String| !text.contains(['\r', '\n']);
    if let Some(event) = event.event.as_ref().filter(fits) {
        field(b"event", event.as_bytes());
    }
    if let Some(id) = event.id.as_ref().filter(fits).filter(|id| !id.contains('\0')) {
        field(b"id", id.as_bytes());
    }
    if let Some(retry) = event.retry {
        field(b"retry", retry.as_millis().to_string().as_bytes());
    }
    data_fields(event.data.as_bytes(), field);
    bytes.extend_from_slice(b"\n");
    bytes.freeze()
}

/// The bytes of an event that has nothing but data, as is the rule for frames.
#[must_use]
pub fn message(data: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(data.len() + 8);
    data_fields(data, |name, value| {
        for part in [name, b": ", value, b"\n"] {
            bytes.extend_from_slice(part);
        }
    });
    bytes.extend_from_slice(b"\n");
    bytes.freeze()
}

fn data_fields(data: &[u8], mut field: impl FnMut(&[u8], &[u8])) {
    let mut rest = data;
    while let Some(end) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
        let (line, after) = rest.split_at(end);
        field(b"data", line);
        let ended = if after.starts_with(b"\r\n") { 2 } else { 1 };
        rest = after.get(ended..).unwrap_or_default();
    }
    field(b"data", rest);
}
