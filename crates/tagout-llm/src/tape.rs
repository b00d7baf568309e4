//! Exchanges with a provider, kept and played again. What is kept holds no headers of the request,
//! and a request or an answer that repeats the key is kept without it.
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tagout_proto::Secret;

use crate::transport::{
    Chunks, Fault, HeaderText, HttpAnswer, HttpRequest, Transport, TransportError, Waiting,
};

/// Bytes of one answer that are kept; a longer one is kept as broken off.
const KEPT_BYTES: usize = 16 << 20;

/// One request and its answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// The model identifier that was asked.
    pub model: String,
    /// The URL.
    pub url: String,
    /// The request's body.
    pub request: Value,
    /// The answer's status.
    pub status: u16,
    /// The answer's body as text; what is not UTF-8 in it is replaced.
    pub answer: String,
    /// Whether the answer was read to its end; a reader stops where the turn is complete.
    pub complete: bool,
}

/// Where exchanges are kept.
pub trait Deck: Send + Sync {
    /// Keeps an exchange.
    fn keep(&self, exchange: &Exchange);
}

/// Keeps what goes through it.
pub struct Recorder {
    model: String,
    inner: Arc<dyn Transport>,
    deck: Arc<dyn Deck>,
}

impl Recorder {
    /// Records what is asked of `model` over `inner`.
    #[must_use]
    pub fn new(model: String, inner: Arc<dyn Transport>, deck: Arc<dyn Deck>) -> Self {
        Self { model, inner, deck }
    }
}

impl Transport for Recorder {
    fn send<'a>(
        &'a self,
        request: &'a HttpRequest,
    ) -> Waiting<'a, Result<HttpAnswer, TransportError>> {
        Box::pin(async move {
            let HttpAnswer { status, headers, body } = self.inner.send(request).await?;
            let secrets = secrets(request);
            let exchange = Exchange {
                model: self.model.clone(),
                url: request.url.clone(),
                request: without(&secrets, asked(request)),
                status,
                answer: String::new(),
                complete: false,
            };
            let deck = Arc::clone(&self.deck);
            let (bytes, full) = (Vec::new(), false);
            let body = Recording { inner: body, bytes, full, secrets, exchange, deck };
            Ok(HttpAnswer { status, headers, body: Box::new(body) })
        })
    }
}

/// The credentials that went along, with and without the word before them.
fn secrets(request: &HttpRequest) -> Secret<Vec<String>> {
    let mut secrets = Vec::new();
    for (_, value) in &request.headers {
        if let HeaderText::Secret(secret) = value {
            let whole = secret.expose();
            secrets.push(whole.clone());
            secrets.extend(whole.split_once(' ').map(|(_, key)| key.to_owned()));
        }
    }
    secrets.retain(|secret| !secret.is_empty());
    Secret::new(secrets)
}

fn asked(request: &HttpRequest) -> Value {
    serde_json::from_slice(&request.body).unwrap_or_default()
}

/// What stands in a recording in place of a key.
const HIDDEN: &str = "(key)";

/// `value` without the secrets, in keys as in texts.
fn without(secrets: &Secret<Vec<String>>, value: Value) -> Value {
    let hidden = |text: String| {
        secrets.expose().iter().fold(text, |text, secret| text.replace(secret, HIDDEN))
    };
    match value {
        Value::String(text) => Value::String(hidden(text)),
        Value::Array(list) => list.into_iter().map(|value| without(secrets, value)).collect(),
        Value::Object(map) => {
            map.into_iter().map(|(key, value)| (hidden(key), without(secrets, value))).collect()
        }
        Value::Number(number) => match hidden(number.to_string()) {
            same if same == number.to_string() => Value::Number(number),
            other => Value::String(other),
        },
        Value::Null | Value::Bool(_) => value,
    }
}

/// A body that is kept when nobody reads on.
struct Recording {
    inner: Box<dyn Chunks>,
    bytes: Vec<u8>,
    /// There was more than is kept.
    full: bool,
    secrets: Secret<Vec<String>>,
    exchange: Exchange,
    deck: Arc<dyn Deck>,
}

impl Chunks for Recording {
    fn next(&mut self) -> Waiting<'_, Option<Result<Vec<u8>, TransportError>>> {
        Box::pin(async move {
            let piece = self.inner.next().await;
            match &piece {
                Some(Ok(piece)) => {
                    self.full |= self.bytes.len() + piece.len() > KEPT_BYTES;
                    if !self.full {
                        self.bytes.extend_from_slice(piece);
                    }
                }
                Some(Err(_)) => {}
                None => self.exchange.complete = !self.full,
            }
            piece
        })
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        let mut answer = String::from_utf8_lossy(&self.bytes).into_owned();
        for secret in self.secrets.expose() {
            answer = answer.replace(secret, HIDDEN);
        }
        self.exchange.answer = answer;
        self.deck.keep(&self.exchange);
    }
}

/// A URL without scheme and host: a recording is as good where the provider has moved.
fn path(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').and_then(|at| rest.get(at..)).unwrap_or_default()
}

/// Plays exchanges again, in their order, to whoever asks the same of the same model.
pub struct Player {
    model: String,
    exchanges: Vec<Exchange>,
    next: AtomicUsize,
}

impl Player {
    /// Plays `exchanges` in place of `model`.
    #[must_use]
    pub const fn new(model: String, exchanges: Vec<Exchange>) -> Self {
        Self { model, exchanges, next: AtomicUsize::new(0) }
    }
}

impl Transport for Player {
    fn send<'a>(
        &'a self,
        request: &'a HttpRequest,
    ) -> Waiting<'a, Result<HttpAnswer, TransportError>> {
        let at = self.next.fetch_add(1, Ordering::Relaxed);
        let failed = |detail: String| Err(TransportError { detail, fault: Fault::NotRecorded });
        let answer = match self.exchanges.get(at) {
            None => failed(format!("the recording has {} requests", self.exchanges.len())),
            Some(exchange) => {
                let asked = asked(request);
                if exchange.model != self.model {
                    failed(format!("request {} was put to `{}`", at + 1, exchange.model))
                } else if path(&exchange.url) != path(&request.url) {
                    failed(format!("request {} went to `{}`", at + 1, path(&exchange.url)))
                } else if asked == exchange.request {
                    let body = vec![exchange.answer.clone().into_bytes()].into_iter();
                    let (status, headers) = (exchange.status, Vec::new());
                    Ok(HttpAnswer { status, headers, body: Box::new(body) })
                } else {
                    let place = difference(&exchange.request, &asked, String::new());
                    failed(format!("request {} is not as recorded, at `{place}`", at + 1))
                }
            }
        };
        Box::pin(std::future::ready(answer))
    }
}

/// Where two values differ first.
fn difference(a: &Value, b: &Value, place: String) -> String {
    match (a, b) {
        (Value::Object(x), Value::Object(y)) if x.len() == y.len() => {
            let other = x.iter().find(|(key, value)| y.get(*key) != Some(value));
            other.map_or(place.clone(), |(key, value)| {
                let there = y.get(key).unwrap_or(&Value::Null);
                difference(value, there, format!("{place}/{key}"))
            })
        }
        (Value::Array(x), Value::Array(y)) if x.len() == y.len() => {
            let other = x.iter().zip(y).enumerate().find(|(_, (one, two))| one != two);
            other.map_or(place.clone(), |(at, (one, two))| {
                difference(one, two, format!("{place}/{at}"))
            })
        }
        _ => place,
    }
}
