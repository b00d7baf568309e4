//! What a client is answered.
use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use ::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::sync::mpsc;

use super::socket::Turn;

/// An answer.
#[derive(Debug)]
pub struct Response {
    status: StatusCode,
    headers: HeaderMap,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Empty,
    Full(Bytes),
    Stream(mpsc::Receiver<Bytes>),
}

const EVENT_STREAM: &[u8] = b"text/event-stream";

impl Response {
    /// Without a body.
    #[must_use]
    pub fn empty(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), content: Content::Empty }
    }

    /// With a whole body.
    #[must_use]
    pub fn full(status: StatusCode, content_type: HeaderValue, body: Bytes) -> Self {
        Self::of(status, content_type, Content::Full(body))
    }

    /// With a body that comes piece by piece, each sent on at once, until the last sender is gone.
    ///
    /// When the client goes, the receiver is dropped, so that the senders' `closed` resolves.
    #[must_use]
    pub fn stream(
        status: StatusCode,
        content_type: HeaderValue,
        pieces: mpsc::Receiver<Bytes>,
    ) -> Self {
        Self::of(status, content_type, Content::Stream(pieces))
    }

    fn of(status: StatusCode, content_type: HeaderValue, content: Content) -> Self {
        let mut headers = HeaderMap::with_capacity(6);
        if content_type.as_bytes().starts_with(EVENT_STREAM) {
            let unchanged = HeaderValue::from_static("no-cache, no-transform");
            headers.insert(header::CACHE_CONTROL, unchanged);
            let unbuffered = HeaderName::from_static("x-accel-buffering");
            headers.insert(unbuffered, HeaderValue::from_static("no"));
        }
        headers.insert(header::CONTENT_TYPE, content_type);
        Self { status, headers, content }
    }

    /// With one more header, in place of one with the same name.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Its status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    pub(super) fn finish(mut self, turn: Turn, last: bool) -> ::http::Response<Reply> {
        let nosniff = HeaderValue::from_static("nosniff");
        self.headers.insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
        if last {
            self.headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        let mut response = ::http::Response::new(Reply { content: self.content, _turn: turn });
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

/// The body, which holds the connection's turn until it is gone.
pub(super) struct Reply {
    content: Content,
    _turn: Turn,
}

impl http_body::Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = match &mut self.content {
            Content::Empty => None,
            Content::Full(bytes) => Some(std::mem::take(bytes)).filter(|bytes| !bytes.is_empty()),
            Content::Stream(pieces) => std::task::ready!(pieces.poll_recv(cx)),
        };
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Empty => true,
            Content::Full(bytes) => bytes.is_empty(),
            Content::Stream(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Empty => SizeHint::with_exact(0),
            Content::Full(bytes) => {
                SizeHint::with_exact(u64::try_from(bytes.len()).unwrap_or(u64::MAX))
            }
            Content::Stream(_) => SizeHint::default(),
        }
    }
}
