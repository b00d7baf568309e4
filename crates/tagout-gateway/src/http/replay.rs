//! Streams of events that a client may lose and take up again.
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tagout_wire::sse::{self, Event};
use tokio::{sync::mpsc, time::timeout};

use super::FRAMES;

/// Events that are kept of one stream.
const EVENTS: usize = 256;
/// Bytes that are kept of one stream.
const BYTES: usize = 4 << 20;
/// Streams that are kept of one session.
const STREAMS: usize = 32;
/// How long a client is to wait before it takes up a stream again.
const RETRY: Duration = Duration::from_secs(1);
/// How long an event waits for a client that does not read.
const PATIENCE: Duration = Duration::from_secs(5);

/// The streams of one session.
#[derive(Default)]
pub(super) struct Streams(Mutex<Known>);

#[derive(Default)]
struct Known {
    last: u64,
    streams: VecDeque<Arc<Stream>>,
}

/// One stream: what was said on it, and who listens.
pub(super) struct Stream {
    number: u64,
    said: Mutex<Said>,
}

#[derive(Default)]
struct Said {
    events: VecDeque<(u64, Bytes)>,
    bytes: usize,
    last: u64,
    listener: Option<mpsc::Sender<Bytes>>,
    over: bool,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The guarded sections do not panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Streams {
    /// A new stream and what is to be sent of it. The oldest that is over makes room.
    pub(super) fn open(&self) -> (Arc<Stream>, mpsc::Receiver<Bytes>) {
        let (listener, listens) = mpsc::channel(FRAMES);
        let mut known = locked(&self.0);
        known.last += 1;
        let said = Said { listener: Some(listener), ..Said::default() };
        let stream = Arc::new(Stream { number: known.last, said: Mutex::new(said) });
        if known.streams.len() >= STREAMS {
            known.streams.pop_front();
        }
        known.streams.push_back(Arc::clone(&stream));
        (stream, listens)
    }

    /// The rest of a stream after the event `id`; nothing where that is not known any more.
    pub(super) fn resume(&self, id: &str) -> Option<mpsc::Receiver<Bytes>> {
        let (stream, event) = id.split_once('-')?;
        let (stream, event): (u64, u64) = (stream.parse().ok()?, event.parse().ok()?);
        let known = locked(&self.0);
        let stream = known.streams.iter().find(|known| known.number == stream)?;
        let mut said = locked(&stream.said);
        let (listener, listens) = mpsc::channel(FRAMES + EVENTS);
        for (_, bytes) in said.events.iter().filter(|(number, _)| *number > event) {
            // There is room for all that is kept.
            listener.try_send(bytes.clone()).ok()?;
        }
        if !said.over {
            said.listener = Some(listener);
        }
        Some(listens)
    }
}

impl Stream {
    /// Says that the stream can be taken up again, before anything else.
    pub(super) async fn prime(&self) {
        self.push(|id| {
            let data = String::new();
            let event = Event { id: Some(id), event: None, data, retry: Some(RETRY) };
            sse::encode(&event)
        })
        .await;
    }

    /// Says a frame.
    pub(super) async fn say(&self, frame: &[u8]) {
        self.push(|id| {
            let data = String::from_utf8_lossy(frame).into_owned();
            sse::encode(&Event { id: Some(id), event: None, data, retry: None })
        })
        .await;
    }

    async fn push(&self, event: impl FnOnce(String) -> Bytes) {
        let (listener, bytes) = {
            let mut said = locked(&self.said);
            said.last += 1;
            let number = said.last;
            let bytes = event(format!("{}-{number}", self.number));
            said.bytes += bytes.len();
            said.events.push_back((number, bytes.clone()));
            while said.events.len() > EVENTS || said.bytes > BYTES {
                let Some((_, old)) = said.events.pop_front() else { break };
                said.bytes -= old.len();
            }
            (said.listener.clone(), bytes)
        };
        let Some(listener) = listener else { return };
        // A client that does not read can come back for it.
        if !matches!(timeout(PATIENCE, listener.send(bytes)).await, Ok(Ok(()))) {
            let mut said = locked(&self.said);
            if said.listener.as_ref().is_some_and(|now| now.same_channel(&listener)) {
                said.listener = None;
            }
        }
    }

    /// Nothing more will be said.
    pub(super) fn end(&self) {
        let mut said = locked(&self.said);
        said.over = true;
        said.listener = None;
    }

    /// Says that the stream is alive, to whoever listens.
    pub(super) fn keep_alive(&self) {
        if let Some(listener) = &locked(&self.said).listener {
            drop(listener.try_send(sse::COMMENT));
        }
    }
}
