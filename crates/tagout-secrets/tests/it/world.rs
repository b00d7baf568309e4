//! What fetching needs of the world, in tests: HTTP over loopback as the gateway does it, and a
//! clock that is moved by hand.
use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use bytes::Bytes;
use jiff::Timestamp;
use tagout_proto::Secret;
use tagout_secrets::{
    Answer, Clock, Request, SecretError, Source, Transport, TransportError, Waiting, World,
    read_file, read_variable,
};
use tagout_wire::http::{Client, ClientOptions, HeaderMap, HeaderName, HeaderValue, Method};

pub(crate) struct Wire(Client);

impl Wire {
    pub(crate) fn new() -> Self {
        Self(Client::new(ClientOptions::default()).unwrap())
    }
}

impl Transport for Wire {
    fn send<'a>(&'a self, request: &'a Request) -> Waiting<'a, Result<Answer, TransportError>> {
        Box::pin(async move {
            let mut headers = HeaderMap::new();
            for (name, value) in &request.headers {
                let name = HeaderName::from_static(name);
                headers.insert(name, HeaderValue::from_str(value.expose()).unwrap());
            }
            let method = if request.body.is_some() { Method::POST } else { Method::GET };
            let body = request.body.as_ref().map(|body| Bytes::copy_from_slice(body.expose()));
            let uri = request.url.parse().unwrap();
            let failed = |error: tagout_wire::http::HttpError| TransportError {
                detail: error.to_string(),
                passing: true,
            };
            let sent = self.0.send(method, &uri, headers, body.unwrap_or_default()).await;
            let answer = sent.map_err(failed)?;
            let status = answer.status.as_u16();
            let body = answer.body.collect(request.answer_bytes).await.map_err(failed)?;
            Ok(Answer { status, body: Secret::new(body.to_vec()) })
        })
    }
}

/// Time that passes when it is told to, and while somebody sleeps.
pub(crate) struct Hands(AtomicI64);

impl Hands {
    pub(crate) const fn at_noon() -> Self {
        Self(AtomicI64::new(1_795_000_000_000))
    }

    pub(crate) fn pass(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }
}

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.0.load(Ordering::SeqCst)).unwrap()
    }

    fn sleep(&self, wait: Duration) -> Waiting<'_, ()> {
        self.0.fetch_add(i64::try_from(wait.as_millis()).unwrap(), Ordering::SeqCst);
        Box::pin(std::future::ready(()))
    }
}

/// Reads what is on this machine.
pub(crate) fn local(source: &Source) -> Result<Secret<String>, SecretError> {
    match source {
        Source::Env(name) => read_variable(name).map_err(|e| SecretError::local(source, &e)),
        Source::File(path) => {
            let read = read_file(path).map_err(|e| SecretError::local(source, &e));
            read.map(|(secret, _)| secret)
        }
        Source::Stored(_) | Source::Vault(_) | Source::Aws { .. } => panic!("not local"),
    }
}

pub(crate) fn world<'a>(wire: &'a Wire, clock: &'a Hands) -> World<'a> {
    World { transport: wire, clock, local: &local }
}

/// A file that holds `text`, in a folder that lives as long.
pub(crate) fn kept(folder: &tempfile::TempDir, name: &str, text: &str) -> Source {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    Source::File(path)
}
