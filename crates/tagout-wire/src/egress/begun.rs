//! A stream of which something was read already.
use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// A program's connection, and what it has said that nobody has taken yet.
pub(super) struct Begun {
    stream: TcpStream,
    said: Vec<u8>,
    taken: usize,
}

/// What is read at once.
const CHUNK: usize = 4 << 10;

impl Begun {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream, said: Vec::new(), taken: 0 }
    }

    /// What nobody has taken yet.
    pub(super) fn said(&self) -> &[u8] {
        self.said.get(self.taken..).unwrap_or_default()
    }

    /// Takes what was understood.
    pub(super) fn advance(&mut self, bytes: usize) {
        self.taken = self.taken.saturating_add(bytes).min(self.said.len());
        if self.taken == self.said.len() {
            self.said = Vec::new();
            self.taken = 0;
        }
    }

    /// Waits for more; `false` if there is no more. Nothing is lost when it is cancelled.
    pub(super) async fn more(&mut self) -> io::Result<bool> {
        let mut chunk = [0; CHUNK];
        let read = self.stream.read(&mut chunk).await?;
        self.said.extend_from_slice(chunk.get(..read).unwrap_or_default());
        Ok(read > 0)
    }

    pub(super) fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }
}

impl AsyncRead for Begun {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let said = self.said();
        if said.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buffer);
        }
        let some = said.get(..buffer.remaining()).unwrap_or(said);
        buffer.put_slice(some);
        let taken = some.len();
        self.advance(taken);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Begun {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
