//! Streams of events that a client may lose and take up again.
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::Bytes;
use tagout_wire::sse::{self, Event};
use tokio::{sync::mpsc, time::timeout};

use super::{FRAMES, PATIENCE, locked};

/// Events that are kept of one stream.
const EVENTS: usize = 256;
/// Bytes that are kept of all streams of a session.
const BYTES: usize = 4 << 20;
/// Streams that are kept of one session, where not more are under way.
const STREAMS: usize = 32;
/// How long a stream is kept that is over and was taken whole.
const KEPT: Duration = Duration::from_secs(60);
/// How long a client is to wait before it takes up a stream again.
const RETRY: Duration = Duration::from_secs(1);

/// The streams of one session.
#[derive(Clone, Default)]
pub(super) struct Streams(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    last: u64,
    bytes: usize,
    streams: BTreeMap<u64, Said>,
}

/// One stream under way: what is said on it. Dropping it says that nothing more will be.
pub(super) struct Stream {
    number: u64,
    streams: Streams,
}

#[derive(Default)]
struct Said {
    events: VecDeque<(u64, Bytes)>,
    last: u64,
    listener: Option<mpsc::Sender<Bytes>>,
    /// Something was said that nobody took.
    missed: bool,
    over: Option<Instant>,
}

impl Said {
    fn bytes(&self) -> usize {
        self.events.iter().map(|(_, bytes)| bytes.len()).sum()
    }
}

impl Streams {
    /// A new stream and what is to be sent of it. One that is over makes room.
    pub(super) fn open(&self) -> (Stream, mpsc::Receiver<Bytes>) {
        let (listener, listens) = mpsc::channel(FRAMES);
        let mut known = locked(&self.0);
        known.tidy();
        // Those under way have a bound of their own.
        while known.streams.len() >= STREAMS && known.forget_one() {}
        known.last += 1;
        let number = known.last;
        known.streams.insert(number, Said { listener: Some(listener), ..Said::default() });
        (Stream { number, streams: self.clone() }, listens)
    }

    /// The rest of a stream after the event `id`; nothing where that is not known any more.
    pub(super) fn resume(&self, id: &str) -> Option<mpsc::Receiver<Bytes>> {
        let (stream, event) = id.split_once('-')?;
        let (stream, event): (u64, u64) = (stream.parse().ok()?, event.parse().ok()?);
        let mut known = locked(&self.0);
        let said = known.streams.get_mut(&stream)?;
        let (listener, listens) = mpsc::channel(FRAMES + EVENTS);
        for (_, bytes) in said.events.iter().filter(|(number, _)| *number > event) {
            // There is room for all that is kept.
            listener.try_send(bytes.clone()).ok()?;
        }
        said.missed = false;
        match &mut said.over {
            None => said.listener = Some(listener),
            // It may be lost once more.
            Some(over) => *over = Instant::now(),
        }
        Some(listens)
    }

    /// Forgets streams that are over and were taken whole a while ago.
    pub(super) fn tidy(&self) {
        locked(&self.0).tidy();
    }
}

impl Known {
    fn tidy(&mut self) {
        let done = |said: &Said| !said.missed && said.over.is_some_and(|at| at.elapsed() >= KEPT);
        let mut freed = 0;
        self.streams.retain(|_, said| {
            let done = done(said);
            freed += if done { said.bytes() } else { 0 };
            !done
        });
        self.bytes -= freed;
    }

    /// Forgets the oldest stream that is over, rather one that was taken whole; whether there was
    /// one.
    fn forget_one(&mut self) -> bool {
        let over =
            |missed| move |(_, said): &(&u64, &Said)| said.over.is_some() && said.missed == missed;
        let whole = self.streams.iter().find(over(false));
        let oldest =
            whole.or_else(|| self.streams.iter().find(over(true))).map(|(number, _)| *number);
        let Some(said) = oldest.and_then(|number| self.streams.remove(&number)) else {
            return false;
        };
        self.bytes -= said.bytes();
        true
    }

    /// Keeps what is kept within its bound.
    fn make_room(&mut self) {
        while self.bytes > BYTES && self.forget_one() {}
        while self.bytes > BYTES {
            // Whoever says most loses its oldest.
            let Some(longest) = self.streams.values_mut().max_by_key(|said| said.bytes()) else {
                return;
            };
            let Some((_, old)) = longest.events.pop_front() else { return };
            self.bytes -= old.len();
        }
    }

    fn push(
        &mut self,
        number: u64,
        event: impl FnOnce(u64) -> Bytes,
    ) -> Option<(Option<mpsc::Sender<Bytes>>, Bytes)> {
        let said = self.streams.get_mut(&number)?;
        said.last += 1;
        let bytes = event(said.last);
        said.events.push_back((said.last, bytes.clone()));
        said.missed |= said.listener.is_none();
        self.bytes += bytes.len();
        if said.events.len() > EVENTS
            && let Some((_, old)) = said.events.pop_front()
        {
            self.bytes -= old.len();
        }
        let listener = said.listener.clone();
        self.make_room();
        Some((listener, bytes))
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
        let event = |number| event(format!("{}-{number}", self.number));
        let pushed = locked(&self.streams.0).push(self.number, event);
        let Some((Some(listener), bytes)) = pushed else { return };
        // A client that does not read can come back for it.
        if matches!(timeout(PATIENCE, listener.send(bytes)).await, Ok(Ok(()))) {
            return;
        }
        if let Some(said) = locked(&self.streams.0).streams.get_mut(&self.number)
            && said.listener.as_ref().is_some_and(|now| now.same_channel(&listener))
        {
            said.listener = None;
            said.missed = true;
        }
    }

    /// Says that the stream is alive, to whoever listens.
    pub(super) fn keep_alive(&self) {
        let known = locked(&self.streams.0);
        let listener = known.streams.get(&self.number).and_then(|said| said.listener.as_ref());
        if let Some(listener) = listener {
            drop(listener.try_send(sse::COMMENT));
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Some(said) = locked(&self.streams.0).streams.get_mut(&self.number) {
            said.over = Some(Instant::now());
            // A client that left before the end may come back for it.
            said.missed |= said.listener.take().is_none_or(|listener| listener.is_closed());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many streams and bytes are kept.
    fn kept(streams: &Streams) -> (usize, usize) {
        let known = locked(&streams.0);
        assert_eq!(known.bytes, known.streams.values().map(Said::bytes).sum::<usize>());
        (known.streams.len(), known.bytes)
    }

    #[tokio::test]
    async fn what_is_kept_of_all_streams_has_one_bound() {
        let (streams, frame) = (Streams::default(), vec![b'x'; 1 << 20]);
        let (under_way, _listens) = streams.open();
        for _ in 0..12 {
            let (stream, _listens) = streams.open();
            stream.say(&frame).await;
            under_way.say(b"a little").await;
        }
        let (count, bytes) = kept(&streams);
        assert!(count <= 4 && bytes <= BYTES, "{count} {bytes}");
        for _ in 0..12 {
            under_way.say(&frame).await;
        }
        assert!(kept(&streams).1 <= BYTES);
        assert!(streams.resume("1-23").is_some(), "one under way makes no room");
    }

    #[tokio::test]
    async fn what_was_taken_goes_before_what_was_not() {
        let streams = Streams::default();
        let (missed, listens) = streams.open();
        drop(listens);
        missed.say(b"nobody hears this").await;
        drop(missed);
        let taken: Vec<_> = (1..STREAMS).map(|_| streams.open()).collect();
        for (stream, _) in &taken {
            stream.say(b"somebody hears this").await;
        }
        let listening: Vec<_> = taken.into_iter().map(|(_, listens)| listens).collect();
        drop(streams.open());
        assert!(streams.resume("1-0").is_some());
        assert!(streams.resume("2-0").is_none());
        drop(listening);
    }

    #[tokio::test]
    async fn what_was_taken_whole_is_forgotten_after_a_while() {
        let streams = Streams::default();
        let (stream, listens) = streams.open();
        let (other, unheard) = streams.open();
        drop(unheard);
        stream.say(b"1").await;
        other.say(b"1").await;
        drop((stream, other));
        streams.tidy();
        assert_eq!(kept(&streams).0, 2);
        let long_ago = Instant::now().checked_sub(KEPT);
        locked(&streams.0).streams.values_mut().for_each(|said| said.over = long_ago);
        streams.tidy();
        assert_eq!(kept(&streams).0, 1);
        assert!(streams.resume("2-0").is_some());
        drop(listens);
    }
}
