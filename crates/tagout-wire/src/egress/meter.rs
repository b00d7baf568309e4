//! How much a server may use of the network, and what a connection used of that.
use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, sleep_until},
};

use super::report::{Bound, Late};

/// How much a server may use of the network.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EgressBounds {
    /// Connections at once.
    pub at_once: usize,
    /// Connections of one hour.
    pub connections: u64,
    /// Bytes sent in one hour.
    pub bytes_out: u64,
    /// Bytes received in one hour.
    pub bytes_in: u64,
    /// How long a connection may be open.
    pub whole: Duration,
    /// How long nothing may move.
    pub idle: Duration,
    /// For the head of a request, and for the greeting of TLS, all of it.
    pub head: Duration,
    /// For a connection to come about.
    pub connect: Duration,
}

impl Default for EgressBounds {
    fn default() -> Self {
        Self {
            at_once: 64,
            connections: 10_000,
            bytes_out: 256 << 20,
            bytes_in: 4 << 30,
            whole: Duration::from_secs(3600),
            idle: Duration::from_secs(300),
            head: Duration::from_secs(10),
            connect: Duration::from_secs(10),
        }
    }
}

/// The time for which bytes and connections are counted.
const WINDOW: Duration = Duration::from_secs(3600);

/// What a server has used of what it may, in the hour that is counted. Several proxies may share one:
/// a server that is started again goes on with what is left.
#[derive(Debug)]
pub struct Budget {
    pub(super) bounds: EgressBounds,
    used: Mutex<Used>,
}

#[derive(Debug)]
struct Used {
    since: Instant,
    connections: u64,
    bytes_out: u64,
    bytes_in: u64,
}

impl Budget {
    /// One of which nothing is used.
    #[must_use]
    pub fn new(bounds: EgressBounds) -> Self {
        Self { bounds, used: Mutex::new(Used::none()) }
    }

    /// What it was made with.
    #[must_use]
    pub const fn bounds(&self) -> &EgressBounds {
        &self.bounds
    }

    /// Whether it is as good as a new one.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let used = self.used();
        (used.connections, used.bytes_out, used.bytes_in) == (0, 0, 0)
    }

    /// One more connection, if there may be one.
    pub(super) fn connection(&self) -> bool {
        let mut used = self.used();
        let may = used.connections < self.bounds.connections;
        used.connections += u64::from(may);
        may
    }

    fn left_out(&self) -> u64 {
        self.bounds.bytes_out.saturating_sub(self.used().bytes_out)
    }

    fn sent(&self, bytes: u64) {
        self.used().bytes_out += bytes;
    }

    /// Whether that was still within the bound.
    fn received(&self, bytes: u64) -> bool {
        let mut used = self.used();
        used.bytes_in += bytes;
        used.bytes_in <= self.bounds.bytes_in
    }

    fn used(&self) -> MutexGuard<'_, Used> {
        // The guarded sections do not panic.
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if used.since.elapsed() >= WINDOW {
            *used = Used::none();
        }
        used
    }
}

impl Used {
    fn none() -> Self {
        Self { since: Instant::now(), connections: 0, bytes_out: 0, bytes_in: 0 }
    }
}

/// What one connection used.
#[derive(Debug)]
pub(super) struct Meter {
    budget: Arc<Budget>,
    began: Instant,
    bytes_out: AtomicU64,
    bytes_in: AtomicU64,
    /// When something moved last, in milliseconds since it began.
    moved: AtomicU64,
    /// The bound that ended it.
    reached: OnceLock<Bound>,
}

impl Meter {
    pub(super) fn new(budget: Arc<Budget>) -> Arc<Self> {
        Arc::new(Self {
            budget,
            began: Instant::now(),
            bytes_out: AtomicU64::new(0),
            bytes_in: AtomicU64::new(0),
            moved: AtomicU64::new(0),
            reached: OnceLock::new(),
        })
    }

    pub(super) fn bytes_out(&self) -> u64 {
        self.bytes_out.load(Ordering::Relaxed)
    }

    pub(super) fn bytes_in(&self) -> u64 {
        self.bytes_in.load(Ordering::Relaxed)
    }

    pub(super) fn lasted(&self) -> Duration {
        self.began.elapsed()
    }

    pub(super) fn reached(&self) -> Option<Bound> {
        self.reached.get().copied()
    }

    /// Ready once the connection has lasted, or nothing has moved, for too long.
    pub(super) async fn expires(&self) -> Late {
        let EgressBounds { idle, whole, .. } = self.budget.bounds;
        let end = self.began + whole;
        loop {
            let moved = Duration::from_millis(self.moved.load(Ordering::Relaxed));
            let due = self.began + moved + idle;
            let now = Instant::now();
            if now >= end {
                return Late::Whole;
            }
            if now >= due {
                return Late::Idle;
            }
            sleep_until(due.min(end)).await;
        }
    }

    fn moves(&self) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved.store(now, Ordering::Relaxed);
    }

    fn over(&self, bound: Bound) -> io::Error {
        self.reached.get_or_init(|| bound);
        io::ErrorKind::QuotaExceeded.into()
    }

    fn read(&self, bytes: usize) -> io::Result<()> {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.bytes_in.fetch_add(bytes, Ordering::Relaxed);
        self.moves();
        if self.budget.received(bytes) { Ok(()) } else { Err(self.over(Bound::BytesIn)) }
    }

    fn wrote(&self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.bytes_out.fetch_add(bytes, Ordering::Relaxed);
        self.budget.sent(bytes);
        self.moves();
    }
}

/// A connection to a host, of which every byte is counted.
pub(super) struct Metered {
    stream: TcpStream,
    meter: Arc<Meter>,
}

impl Metered {
    pub(super) fn new(stream: TcpStream, meter: Arc<Meter>) -> Self {
        meter.moves();
        Self { stream, meter }
    }

    /// Waits until the host has said something, or gone.
    pub(super) async fn speaks(&self) {
        // An error is met again by who reads.
        drop(self.stream.readable().await);
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        let read = buffer.filled().len().saturating_sub(before);
        Poll::Ready(if read == 0 { Ok(()) } else { self.meter.read(read) })
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let left = usize::try_from(self.meter.budget.left_out()).unwrap_or(usize::MAX);
        if left == 0 && !bytes.is_empty() {
            return Poll::Ready(Err(self.meter.over(Bound::BytesOut)));
        }
        let some = bytes.get(..left).unwrap_or(bytes);
        let wrote = ready!(Pin::new(&mut self.stream).poll_write(cx, some))?;
        self.meter.wrote(wrote);
        Poll::Ready(Ok(wrote))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
