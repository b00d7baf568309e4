//! The way to keepers of secrets: HTTP as the gateway does it elsewhere.
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tagout_proto::Secret;
use tagout_secrets::{Answer, Request, SecretError, Source, Transport, TransportError, Waiting};
use tagout_wire::{
    egress::Guard,
    http::{Client, ClientOptions, HeaderMap, HeaderName, HeaderValue, HttpError, Method, Roots},
};

use crate::{Clock, config::Keeper};

/// The way to one keeper.
pub(super) struct Wire(Client);

/// How long a connection and an answer may take.
const CONNECT: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(10);

impl Wire {
    pub(super) fn to<T>(keeper: &Keeper<T>, of: &Source) -> Result<Self, SecretError> {
        let guard =
            if keeper.private_network { Guard::new().allowing_private() } else { Guard::new() };
        let options = ClientOptions {
            roots: keeper.ca.clone().map_or(Roots::System, Roots::Pem),
            connect: CONNECT,
            answer: ANSWER,
            guard,
            ..ClientOptions::default()
        };
        let failed = |error| SecretError::unreachable(of, format!("has no way to it: {error}"));
        Client::new(options).map(Self).map_err(failed)
    }

    async fn sent(&self, request: &Request) -> Result<Answer, TransportError> {
        let mut headers = HeaderMap::new();
        for (name, value) in &request.headers {
            let mut value = HeaderValue::from_str(value.expose())
                .map_err(|_| lasting("cannot be asked: its credential does not fit a header"))?;
            value.set_sensitive(true);
            headers.insert(HeaderName::from_static(name), value);
        }
        let uri = request.url.parse().map_err(|_| lasting("cannot be asked: its URL is none"))?;
        let body = request.body.as_ref().map(|body| Bytes::copy_from_slice(body.expose()));
        let method = if body.is_some() { Method::POST } else { Method::GET };
        let sending = self.0.send(method, &uri, headers, body.unwrap_or_default());
        let answer = sending.await.map_err(|error| failed(&error))?;
        let status = answer.status.as_u16();
        let reading = tokio::time::timeout(ANSWER, answer.body.collect(request.answer_bytes));
        let body = reading.await.map_err(|_| lasting("is not answered in time"))?;
        let body = body.map_err(|error| failed(&error))?;
        Ok(Answer { status, body: Secret::new(body.to_vec()) })
    }
}

fn lasting(detail: &str) -> TransportError {
    TransportError { detail: detail.to_owned(), passing: false }
}

fn failed(error: &HttpError) -> TransportError {
    let passing = matches!(
        error,
        HttpError::Refused { .. } | HttpError::TimedOut { .. } | HttpError::Broken { .. }
    );
    TransportError { detail: format!("cannot be asked for: {error}"), passing }
}

impl Transport for Wire {
    fn send<'a>(&'a self, request: &'a Request) -> Waiting<'a, Result<Answer, TransportError>> {
        Box::pin(self.sent(request))
    }
}

/// The gateway's clock.
pub(super) struct Time<'a>(pub(super) &'a Clock);

impl tagout_secrets::Clock for Time<'_> {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn sleep(&self, wait: Duration) -> Waiting<'_, ()> {
        Box::pin(tokio::time::sleep(wait))
    }
}
