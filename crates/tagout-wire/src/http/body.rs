//! The body of an answer, whole, piece by piece, or as events.
use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http_body::{Body as _, Frame};
use hyper::body::Incoming;
use tokio::time::timeout;

use super::{error::HttpError, line::Line};
use crate::sse::{Decoder, Event};

/// A body, and the connection that it comes over. When its end was read the connection is kept
/// for another request; dropped before that, it is closed.
#[derive(Debug)]
pub struct Body {
    /// Nothing once it ended.
    live: Option<(Incoming, Box<Line>)>,
}

impl Body {
    pub(super) fn new(incoming: Incoming, line: Box<Line>) -> Self {
        let mut body = Self { live: Some((incoming, line)) };
        body.settle();
        body
    }

    /// The next piece, of whatever length it came in; `None` at the end. Waits for as long as the
    /// server takes.
    ///
    /// Cancel safe: nothing that was read is lost.
    ///
    /// # Errors
    /// The connection broke before the end; then nothing more comes.
    pub async fn chunk(&mut self) -> Option<Result<Bytes, HttpError>> {
        poll_fn(|cx| self.poll_chunk(cx)).await
    }

    /// All of it, if that is at most `limit` bytes.
    ///
    /// # Errors
    /// It is longer, or broke off.
    pub async fn collect(mut self, limit: usize) -> Result<Bytes, HttpError> {
        let announced = self.live.as_ref().map_or(0, |(body, _)| body.size_hint().lower());
        let announced = usize::try_from(announced).unwrap_or(usize::MAX);
        if announced > limit {
            return Err(HttpError::TooLarge { limit });
        }
        let mut whole = BytesMut::new();
        while let Some(piece) = self.chunk().await {
            let piece = piece?;
            if whole.len() + piece.len() > limit {
                return Err(HttpError::TooLarge { limit });
            }
            if whole.is_empty() && self.live.is_none() {
                return Ok(piece);
            }
            if whole.is_empty() {
                whole.reserve(announced.clamp(piece.len(), MOST_AHEAD.max(piece.len())));
            }
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    }

    /// The events in it, of at most `event_bytes` each.
    #[must_use]
    pub fn events(self, event_bytes: usize) -> Events {
        Events { body: self, decoder: Decoder::new(event_bytes) }
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, HttpError>>> {
        while let Some((incoming, line)) = &mut self.live {
            match ready!(poll_frame(incoming, line, cx)) {
                None => self.end(),
                Some(Err(error)) => {
                    self.live = None;
                    return Poll::Ready(Some(Err(error)));
                }
                Some(Ok(frame)) => {
                    let Ok(data) = frame.into_data() else { continue };
                    self.settle();
                    return Poll::Ready(Some(Ok(data)));
                }
            }
        }
        Poll::Ready(None)
    }

    /// Gives the connection back if nothing more is to come.
    fn settle(&mut self) {
        if self.live.as_ref().is_some_and(|(incoming, _)| incoming.is_end_stream()) {
            self.end();
        }
    }

    fn end(&mut self) {
        if let Some((_, line)) = self.live.take() {
            line.release();
        }
    }
}

/// What came, and if nothing did, what the connection gets done now.
fn poll_frame(
    incoming: &mut Incoming,
    line: &mut Line,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
    let broken = |error: hyper::Error| HttpError::broken(true, &error);
    if let Poll::Ready(frame) = Pin::new(&mut *incoming).poll_frame(cx) {
        return Poll::Ready(frame.map(|frame| frame.map_err(broken)));
    }
    let ended = line.poll(cx).is_ready();
    match Pin::new(incoming).poll_frame(cx) {
        Poll::Ready(frame) => Poll::Ready(frame.map(|frame| frame.map_err(broken))),
        Poll::Pending if ended => {
            let problem = "it ended before the answer did".to_owned();
            Poll::Ready(Some(Err(HttpError::Broken { reached: true, problem })))
        }
        Poll::Pending => Poll::Pending,
    }
}

/// Memory that is set aside on nothing but a server's word.
const MOST_AHEAD: usize = 64 << 10;

/// The events of an answer.
#[derive(Debug)]
pub struct Events {
    body: Body,
    decoder: Decoder,
}

/// What is read to get a connection back.
const FINISH_BYTES: usize = 16 << 10;

impl Events {
    /// The next event; `None` at the stream's end. Waits for as long as the server takes.
    ///
    /// Cancel safe: nothing that was read is lost.
    ///
    /// # Errors
    /// The connection broke, or what came is no event stream; then nothing more comes.
    pub async fn next(&mut self) -> Option<Result<Event, HttpError>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Event, HttpError>>> {
        loop {
            if let Some(event) = self.decoder.next() {
                if event.is_err() {
                    self.body.live = None;
                }
                return Poll::Ready(Some(event.map_err(HttpError::from)));
            }
            match ready!(self.body.poll_chunk(cx)) {
                Some(Ok(piece)) => self.decoder.push(&piece),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }

    /// Reads on for a little, to no end but to get the connection back for another request: at
    /// most for `within` and 16 KiB. Otherwise the connection is closed.
    pub async fn finish(mut self, within: Duration) {
        let drained = async {
            let mut left = FINISH_BYTES;
            while let Some(Ok(piece)) = self.body.chunk().await {
                let Some(rest) = left.checked_sub(piece.len()) else { return };
                left = rest;
            }
        };
        // Late or not, what was not read to its end is closed with the body.
        timeout(within, drained).await.ok();
    }
}
