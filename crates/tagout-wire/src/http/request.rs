//! What a client asks.
use std::{net::SocketAddr, sync::Arc, time::Duration};

use ::http::{HeaderMap, Method};
use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::timeout;

use super::strangers::Guest;

/// A request whose host and origin are allowed.
#[derive(Debug)]
pub struct Request {
    /// Its method; never `OPTIONS`, `TRACE` or `CONNECT`.
    pub method: Method,
    /// The path, as it was sent, without the query.
    pub path: String,
    /// What stands after the `?`.
    pub query: Option<String>,
    /// All headers.
    pub headers: HeaderMap,
    /// Where the connection comes from.
    pub peer: SocketAddr,
    /// Whether it came over TLS.
    pub secure: bool,
    body: Option<Incoming>,
    patience: Duration,
    guest: Arc<Guest>,
}

/// Why there is no body. The connection ends after the answer.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It is longer than the limit.
    #[error("the body is longer than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The connection broke, or the body is not what its headers say.
    #[error("the body broke off")]
    Broken(#[source] hyper::Error),
    /// It did not come in time.
    #[error("the body did not come in time")]
    TimedOut,
}

impl Request {
    pub(super) fn new(
        request: ::http::Request<Incoming>,
        (peer, secure): (SocketAddr, bool),
        patience: Duration,
        guest: Arc<Guest>,
    ) -> Self {
        let (parts, body) = request.into_parts();
        Self {
            method: parts.method,
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().map(ToOwned::to_owned),
            headers: parts.headers,
            peer,
            secure,
            body: Some(body),
            patience,
            guest,
        }
    }

    /// Says that whoever sent it is known: from here on its connection makes room for no other, and
    /// has time.
    pub fn vouch(&self) {
        self.guest.vouch();
    }

    /// The whole body, of at most `limit` bytes; empty when it was asked for before. A length that
    /// the client gives and that is over the limit is refused before anything is read.
    ///
    /// Read it before doing anything that takes long: only then is it seen when the client goes.
    ///
    /// # Errors
    /// By variant, see [`BodyError`].
    pub async fn body(&mut self, limit: usize) -> Result<Bytes, BodyError> {
        let Some(body) = self.body.take() else { return Ok(Bytes::new()) };
        let too_large = body.size_hint().lower() > u64::try_from(limit).unwrap_or(u64::MAX);
        if too_large {
            return Err(BodyError::TooLarge { limit });
        }
        timeout(self.patience, collect(body, limit)).await.unwrap_or(Err(BodyError::TimedOut))
    }
}

async fn collect(mut body: Incoming, limit: usize) -> Result<Bytes, BodyError> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(BodyError::Broken)?.into_data() else { continue };
        if whole.len() + data.len() > limit {
            return Err(BodyError::TooLarge { limit });
        }
        if whole.is_empty() && body.is_end_stream() {
            return Ok(data);
        }
        let expected = usize::try_from(body.size_hint().lower()).unwrap_or(limit).min(limit);
        whole.reserve(data.len() + expected.min(MOST_AHEAD));
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

/// Memory that is set aside on nothing but a client's word.
const MOST_AHEAD: usize = 64 << 10;
