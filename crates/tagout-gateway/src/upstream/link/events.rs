//! Streams of events, as far as Streamable HTTP and HTTP+SSE have them in common.
use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tagout_proto::{Frame, Revision};
use tagout_wire::{
    http::{Events, HeaderMap, HeaderValue},
    sse::Event,
};

use super::{
    http::{HEADER_BYTES, Http, LAST_EVENT},
    problem,
};
use crate::upstream::{Connection, UpstreamError, calls::UnderWay, hear::Taken};

/// How long a connection may take to come back for the next request when its answer was read.
pub(super) const FINISH: Duration = Duration::from_millis(5);
/// How long to wait before a stream is asked for again, where the server does not say; and at most.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The most events of one answer.
const MOST: u64 = 100_000;
/// How often a stream of news may be opened for nothing before it is given up.
const TRIES: u32 = 20;

/// How far a stream was read.
pub(super) struct Cursor {
    last: Option<HeaderValue>,
    retry: Option<Duration>,
    seen: u64,
    most: u64,
}

impl Default for Cursor {
    fn default() -> Self {
        Self { last: None, retry: None, seen: 0, most: MOST }
    }
}

impl Cursor {
    /// Of a stream that goes on as long as its connection.
    pub(super) fn endless() -> Self {
        Self { most: u64::MAX, ..Self::default() }
    }

    /// Events that were read.
    pub(super) const fn seen(&self) -> u64 {
        self.seen
    }

    /// Whether the server can be asked for the rest.
    pub(super) const fn can_resume(&self) -> bool {
        self.last.is_some()
    }

    pub(super) fn pause(&self) -> Duration {
        self.retry.unwrap_or(PAUSE).min(LONGEST_PAUSE)
    }

    pub(super) fn put(&self, headers: &mut HeaderMap) {
        if let Some(last) = &self.last {
            headers.insert(LAST_EVENT, last.clone());
        }
    }

    fn note(&mut self, event: &Event) {
        self.seen += 1;
        self.retry = event.retry.or(self.retry);
        if let Some(id) = &event.id {
            let fits = !id.is_empty() && id.len() <= HEADER_BYTES;
            self.last = HeaderValue::from_str(id).ok().filter(|_| fits);
        }
    }
}

/// Takes what a stream brings until the answer to `call` is there; nothing if the stream ends
/// before. Holds the connection only while it takes something.
pub(super) async fn read(
    connection: &Weak<Connection>,
    events: &mut Events,
    call: Option<&Arc<UnderWay>>,
    cursor: &mut Cursor,
) -> Result<Option<Frame>, UpstreamError> {
    loop {
        let event = match events.next().await {
            None => return Ok(None),
            Some(Ok(event)) => event,
            Some(Err(error)) => {
                let why = problem(error);
                let broke =
                    matches!(why, UpstreamError::Died { .. } | UpstreamError::Unreachable(_));
                return if broke { Ok(None) } else { Err(why) };
            }
        };
        cursor.note(&event);
        if cursor.seen() > cursor.most {
            let why = format!("more than {MOST} events on one stream");
            return Err(UpstreamError::Misbehaved(why));
        }
        let message = event.event.as_deref().is_none_or(|kind| kind == "message");
        if !message || event.data.is_empty() {
            continue;
        }
        let Some(connection) = connection.upgrade() else { return Ok(None) };
        match connection.take(event.data.as_bytes(), call) {
            Taken::Answer(frame) => return Ok(Some(frame)),
            Taken::Unreadable(why) if call.is_some() => return Err(why),
            Taken::Unreadable(_) | Taken::Other => {}
            Taken::Over => return Err(connection.how_it_ended()),
        }
    }
}

/// Follows what a server of a session says of its own accord, where it offers that, as long as the
/// session is the same.
pub(in crate::upstream) async fn follow(
    http: Arc<Http>,
    connection: Weak<Connection>,
    revision: Revision,
) {
    let session = http.session().number;
    let mut cursor = Cursor::endless();
    let mut barren = 0;
    while barren < TRIES && http.session().number == session {
        let before = cursor.seen();
        match http.listen(Some(revision), &cursor).await {
            Ok(mut events) => {
                let read = read(&connection, &mut events, None, &mut cursor).await;
                if let Err(error) = read {
                    tracing::debug!(%error, "a stream of news cannot be read");
                    return;
                }
            }
            Err(UpstreamError::Unreachable(_) | UpstreamError::Died { .. }) => {}
            // It offers none, or nothing more of this one.
            Err(_) => return,
        }
        barren = if cursor.seen() > before { 0 } else { barren + 1 };
        let pause = cursor.pause() * (barren + 1);
        tokio::time::sleep(pause.min(LONGEST_PAUSE)).await;
    }
}
