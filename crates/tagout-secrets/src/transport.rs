//! What fetching needs of the world: requests with bounded answers, the time, and nothing else.
use std::{fmt, future::Future, pin::Pin, time::Duration};

use jiff::Timestamp;
use tagout_proto::Secret;

/// Something that is waited for.
pub type Waiting<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A header's value.
pub enum HeaderText {
    /// Anybody may see it.
    Plain(String),
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

/// A request to a keeper of secrets: a `POST` where it has a body, a `GET` otherwise.
#[derive(Debug)]
pub struct Request {
    /// The whole URL; never holds a credential.
    pub url: String,
    /// Headers, names in lower case.
    pub headers: Vec<(&'static str, HeaderText)>,
    /// The body, JSON.
    pub body: Option<Secret<Vec<u8>>>,
    /// The most bytes of an answer's body.
    pub answer_bytes: usize,
}

/// What a keeper answers.
#[derive(Debug)]
pub struct Answer {
    /// Its status; a redirect is an answer like any other.
    pub status: u16,
    /// Its body, whole.
    pub body: Secret<Vec<u8>>,
}

/// Why a request has no answer. Holds no credential and nothing of a body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct TransportError {
    /// What happened.
    pub detail: String,
    /// Whether a little later it may do better.
    pub passing: bool,
}

/// Sends requests. It follows no redirect, uses no proxy, and gives up by itself.
pub trait Transport: Send + Sync {
    /// Sends one request and waits for its whole answer.
    fn send<'a>(&'a self, request: &'a Request) -> Waiting<'a, Result<Answer, TransportError>>;
}

/// Time, from outside.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
    /// Waits.
    fn sleep(&self, wait: Duration) -> Waiting<'_, ()>;
}

/// What fetching needs of the world.
#[derive(Clone, Copy)]
pub struct World<'a> {
    /// Sends requests.
    pub transport: &'a dyn Transport,
    /// Tells the time.
    pub clock: &'a dyn Clock,
    /// Reads references that are local: a keeper's own credentials.
    pub local: &'a (dyn Fn(&crate::Source) -> Result<Secret<String>, crate::SecretError> + Sync),
}
