//! What the configuration has sent along with every request to one server, as it is at the time.
use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use bytes::Bytes;
use tagout_proto::Secret;
use tagout_wire::http::{
    Answer, Client, HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri,
};
use tokio::task::JoinSet;

use super::problem;
use crate::{
    config::Source,
    secrets::{Secrets, warn},
    upstream::UpstreamError,
};

/// Headers whose values are secrets, and may be others by the next request.
pub(in crate::upstream) struct Credentials {
    secrets: Secrets,
    written: BTreeMap<String, Source>,
    now: RwLock<Arc<Sent>>,
}

/// Values, and the headers that are made of them.
#[derive(Default)]
struct Sent {
    texts: BTreeMap<String, Arc<Secret<String>>>,
    headers: HeaderMap,
}

impl Credentials {
    /// As they are now.
    ///
    /// # Errors
    /// One is not to be had, or fits no header.
    pub(in crate::upstream) async fn of(
        secrets: Secrets,
        written: BTreeMap<String, Source>,
    ) -> Result<Self, UpstreamError> {
        let this = Self { secrets, written, now: RwLock::default() };
        let now = this.read(None).await?;
        for (name, text) in &now.texts {
            if let Some(source) = this.written.get(name) {
                warn(source, text);
            }
        }
        this.set(now);
        Ok(this)
    }

    /// Sends a request with them beside its own headers. Refused with 401, it is sent once more if
    /// they are others by then: the server did nothing.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub(super) async fn send(
        &self,
        client: &Client,
        (method, uri): (Method, &Uri),
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answer, UpstreamError> {
        self.look().await;
        let now = self.now();
        let sent = client.send(method.clone(), uri, beside(&now, headers.clone()), body.clone());
        let answer = sent.await.map_err(problem)?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        let Some(other) = self.anew(&now).await else { return Ok(answer) };
        client.send(method, uri, beside(&other, headers), body).await.map_err(problem)
    }

    fn now(&self) -> Arc<Sent> {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn set(&self, now: Sent) -> Arc<Sent> {
        let now = Arc::new(now);
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&now);
        now
    }

    /// Takes what changed; what cannot be read is as it was.
    async fn look(&self) {
        match self.read(None).await {
            Ok(now) => drop(self.set(now)),
            Err(error) => tracing::warn!(%error, "a credential stays as it was"),
        }
    }

    /// What there is in place of `refused`, if any of it is another.
    async fn anew(&self, refused: &Sent) -> Option<Arc<Sent>> {
        match self.read(Some(refused)).await {
            Ok(now) if now.headers != refused.headers => Some(self.set(now)),
            Ok(_) => None,
            Err(error) => {
                tracing::warn!(%error, "a credential was refused and cannot be read again");
                None
            }
        }
    }

    /// Reads all of them, at the same time.
    async fn read(&self, refused: Option<&Sent>) -> Result<Sent, UpstreamError> {
        let mut reading = JoinSet::new();
        for (name, source) in &self.written {
            let refused = refused.and_then(|refused| refused.texts.get(name)).cloned();
            let (secrets, name, source) = (self.secrets.clone(), name.clone(), source.clone());
            reading.spawn(async move {
                let text = match refused {
                    Some(refused) => secrets.anew(&source, &refused).await,
                    None => secrets.get(&source).await,
                };
                (name, text)
            });
        }
        let mut now = Sent::default();
        while let Some(read) = reading.join_next().await {
            let gone = |_| UpstreamError::SecretMissing("a credential was not read".to_owned());
            let (name, text) = read.map_err(gone)?;
            now.texts.insert(name, text.map_err(UpstreamError::Secret)?);
        }
        for (name, source) in &self.written {
            let Some(text) = now.texts.get(name) else { continue };
            let name = HeaderName::from_bytes(name.as_bytes());
            let name = name.map_err(|_| unfit(source, "belongs to no header"))?;
            now.headers.insert(name, value(source, text)?);
        }
        Ok(now)
    }
}

fn beside(sent: &Sent, headers: HeaderMap) -> HeaderMap {
    let mut all = sent.headers.clone();
    all.extend(headers);
    all
}

fn value(source: &Source, text: &Secret<String>) -> Result<HeaderValue, UpstreamError> {
    let text = text.expose().trim_end_matches(['\r', '\n']);
    let value = HeaderValue::from_str(text).map_err(|_| unfit(source, "holds what no header can"));
    let mut value = value?;
    if value.is_empty() {
        return Err(unfit(source, "is empty"));
    }
    value.set_sensitive(true);
    Ok(value)
}

fn unfit(source: &Source, why: &str) -> UpstreamError {
    UpstreamError::SecretMissing(format!("`{source}` {why}"))
}
