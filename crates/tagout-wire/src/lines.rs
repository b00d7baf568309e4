//! One frame a line, in both directions; every buffer and queue has a bound.
use std::io;

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader},
    sync::mpsc,
    task::JoinHandle,
};

/// Frames that come in.
#[derive(Debug)]
pub struct Incoming<R> {
    reader: BufReader<R>,
    line: BytesMut,
    limit: usize,
    /// Bytes thrown away of a line that is too long; nothing while none is.
    dropped: Option<usize>,
}

/// Why no frame came.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// A frame is longer than the limit; it is skipped, and the next one can be read.
    #[error("a frame is longer than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// A frame does not end; no more is read.
    #[error("a frame goes on after {read} bytes")]
    Endless {
        /// Bytes read of it.
        read: usize,
    },
    /// The stream broke.
    #[error("the connection broke")]
    Broken(#[from] io::Error),
}

/// A line is skipped up to this many times the limit before its sender is given up.
const PATIENCE: usize = 16;
/// Memory that a connection keeps between frames.
const KEEP_BYTES: usize = 64 << 10;

impl<R: AsyncRead + Unpin> Incoming<R> {
    /// Reads frames of at most `limit` bytes from `reader`.
    pub fn new(reader: R, limit: usize) -> Self {
        let reader = BufReader::with_capacity(16 << 10, reader);
        Self { reader, line: BytesMut::new(), limit, dropped: None }
    }

    /// The next frame, without its line end; empty lines are passed over. `None` at the end of
    /// the stream; what stands there without a line end is no frame.
    ///
    /// Cancel safe: nothing that was read is lost.
    ///
    /// # Errors
    /// After [`WireError::TooLarge`] there may be more; after the others there is not.
    pub async fn next(&mut self) -> Option<Result<Bytes, WireError>> {
        loop {
            let available = match self.reader.fill_buf().await {
                Ok([]) => return None,
                Ok(available) => available,
                Err(error) => return Some(Err(error.into())),
            };
            let end = available.iter().position(|&byte| byte == b'\n');
            let taken = end.map_or(available.len(), |end| end + 1);
            let content = available.get(..end.unwrap_or(taken)).unwrap_or_default();
            match &mut self.dropped {
                Some(dropped) => *dropped += taken,
                None if self.line.len() + content.len() > self.limit => {
                    // Said at once: whoever waits for this frame need not wait for its end.
                    self.dropped = end.is_none().then_some(self.line.len() + taken);
                    self.line = BytesMut::new();
                    self.reader.consume(taken);
                    return Some(Err(WireError::TooLarge { limit: self.limit }));
                }
                None => self.line.extend_from_slice(content),
            }
            self.reader.consume(taken);
            if let Some(result) = self.finished(end.is_some()) {
                return Some(result);
            }
        }
    }

    fn finished(&mut self, ended: bool) -> Option<Result<Bytes, WireError>> {
        if let Some(read) = self.dropped {
            if ended {
                self.dropped = None;
                return None;
            }
            let patience = self.limit.saturating_mul(PATIENCE);
            return (read > patience).then_some(Err(WireError::Endless { read }));
        }
        if !ended {
            return None;
        }
        let mut line = self.line.split();
        if self.line.capacity() > KEEP_BYTES {
            self.line = BytesMut::new();
        }
        if line.last() == Some(&b'\r') {
            line.truncate(line.len() - 1);
        }
        (!line.is_empty()).then(|| Ok(line.freeze()))
    }
}

/// Where frames go out. Cheap to clone; frames of all clones are queued together.
#[derive(Clone, Debug)]
pub struct Outgoing(mpsc::Sender<Bytes>);

/// Room for one frame in the queue.
#[derive(Debug)]
pub struct Room<'a>(mpsc::Permit<'a, Bytes>);

impl Room<'_> {
    /// Queues the frame, which must hold no line end, without waiting.
    pub fn take(self, frame: Bytes) {
        debug_assert!(!frame.contains(&b'\n'), "a frame is one line");
        self.0.send(frame);
    }
}

/// Frames that may wait for a slow reader before senders have to.
const QUEUE: usize = 64;

/// Writes what is sent to the [`Outgoing`] to `writer`, until every clone of it is dropped or the
/// writer fails; the task then closes the writer and ends.
pub fn outgoing<W>(writer: W) -> (Outgoing, JoinHandle<io::Result<()>>)
where
    W: AsyncWrite + Send + Unpin + 'static,
{
    let (sender, receiver) = mpsc::channel(QUEUE);
    (Outgoing(sender), tokio::spawn(write(writer, receiver)))
}

async fn write<W>(mut writer: W, mut frames: mpsc::Receiver<Bytes>) -> io::Result<()>
where
    W: AsyncWrite + Unpin,
{
    let mut batch = Vec::with_capacity(QUEUE);
    let mut buffer = Vec::new();
    while frames.recv_many(&mut batch, QUEUE).await > 0 {
        for frame in batch.drain(..) {
            buffer.extend_from_slice(&frame);
            buffer.push(b'\n');
        }
        writer.write_all(&buffer).await?;
        writer.flush().await?;
        buffer.clear();
        buffer.shrink_to(KEEP_BYTES);
    }
    writer.shutdown().await
}

impl Outgoing {
    /// Queues a frame, which must hold no line end; waits while the queue is full.
    ///
    /// Cancel safe: a frame is queued whole or not at all.
    ///
    /// # Errors
    /// The other side is gone.
    pub async fn send(&self, frame: Bytes) -> Result<(), WireError> {
        debug_assert!(!frame.contains(&b'\n'), "a frame is one line");
        let gone = |_| WireError::Broken(io::ErrorKind::BrokenPipe.into());
        self.0.send(frame).await.map_err(gone)
    }

    /// Waits for room in the queue and keeps it.
    ///
    /// Cancel safe: room that nobody takes is given back.
    ///
    /// # Errors
    /// The other side is gone.
    pub async fn room(&self) -> Result<Room<'_>, WireError> {
        let gone = |_| WireError::Broken(io::ErrorKind::BrokenPipe.into());
        self.0.reserve().await.map(Room).map_err(gone)
    }

    /// Queues a frame if there is room; for what may be lost and must not wait.
    #[must_use]
    pub fn offer(&self, frame: Bytes) -> bool {
        self.0.try_send(frame).is_ok()
    }
}
