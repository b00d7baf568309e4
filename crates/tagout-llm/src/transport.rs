//! What the wires need of the world: requests with streamed answers, a clock, and nothing else.
use std::{fmt, future::Future, pin::Pin, time::Duration};

use tagout_proto::Secret;

/// Something that is waited for.
pub type Waiting<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A request's method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// `GET`, without a body.
    Get,
    /// `POST`.
    Post,
}

/// A header's value.
pub enum HeaderText {
    /// Anybody may see it.
    Plain(&'static str),
    /// A credential.
    Secret(Secret<String>),
}

impl HeaderText {
    /// The bare value.
    #[must_use]
    pub fn expose(&self) -> &str {
        match self {
            Self::Plain(text) => text,
            Self::Secret(secret) => secret.expose(),
        }
    }
}

impl fmt::Debug for HeaderText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(text) => fmt::Debug::fmt(text, f),
            Self::Secret(secret) => fmt::Debug::fmt(secret, f),
        }
    }
}

/// A request to a provider.
#[derive(Debug)]
pub struct HttpRequest {
    /// Its method.
    pub verb: Verb,
    /// The whole URL; never holds a credential.
    pub url: String,
    /// Headers, names in lower case.
    pub headers: Vec<(&'static str, HeaderText)>,
    /// The body, JSON.
    pub body: Vec<u8>,
}

/// A provider's answer, whose body is still to be read.
pub struct HttpAnswer {
    /// Its status. A redirect is an answer like any other.
    pub status: u16,
    /// Its headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Box<dyn Chunks>,
}

impl HttpAnswer {
    /// A header's value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

impl fmt::Debug for HttpAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpAnswer").field("status", &self.status).finish_non_exhaustive()
    }
}

/// A body that comes in pieces of any length.
pub trait Chunks: Send {
    /// The next piece; nothing at the end. Must give up by itself when none comes for long.
    fn next(&mut self) -> Waiting<'_, Option<Result<Vec<u8>, TransportError>>>;
}

/// A body that is already here.
impl Chunks for std::vec::IntoIter<Vec<u8>> {
    fn next(&mut self) -> Waiting<'_, Option<Result<Vec<u8>, TransportError>>> {
        Box::pin(std::future::ready(Iterator::next(self).map(Ok)))
    }
}

/// Why a request has no answer, or no more of it. Holds no credential.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct TransportError {
    /// What happened.
    pub detail: String,
    /// What that means for another try.
    pub fault: Fault,
}

/// What a failed request means for another try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A little later it may do better.
    Passing,
    /// It would fail again.
    Lasting,
    /// It was not made: a recording is played, and has another request, or none.
    NotRecorded,
}

/// Sends requests. It reaches the host of its provider and no other, follows no redirect, and uses
/// no proxy that the environment names.
pub trait Transport: Send + Sync {
    /// Sends one request and waits for the head of its answer.
    fn send<'a>(
        &'a self,
        request: &'a HttpRequest,
    ) -> Waiting<'a, Result<HttpAnswer, TransportError>>;
}

/// Time, from outside.
pub trait Clock: Send + Sync {
    /// Seconds since 1970, for dates in headers.
    fn now_s(&self) -> i64;
    /// Waits.
    fn sleep(&self, wait: Duration) -> Waiting<'_, ()>;
    /// A fresh number from 0 to below 1, so that many clients do not come back at once.
    fn jitter(&self) -> f64;
}
