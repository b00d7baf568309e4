//! What the configuration has sent along with every request to one server, as it is at the time.
use std::{
    collections::BTreeMap,
    sync::{PoisonError, RwLock},
};

use bytes::Bytes;
use tagout_proto::Secret;
use tagout_wire::http::{
    Answer, Client, HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri,
};

use super::problem;
use crate::{config::Source, secrets::Secrets, upstream::UpstreamError};

/// Headers whose values are secrets, and may be others by the next request.
pub(in crate::upstream) struct Credentials {
    secrets: Secrets,
    written: BTreeMap<String, Source>,
    now: RwLock<HeaderMap>,
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
        let now = this.read(false).await?;
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
        let sent = client.send(method.clone(), uri, self.beside(headers.clone()), body.clone());
        let answer = sent.await.map_err(problem)?;
        if answer.status != StatusCode::UNAUTHORIZED || !self.anew().await {
            return Ok(answer);
        }
        client.send(method, uri, self.beside(headers), body).await.map_err(problem)
    }

    fn beside(&self, headers: HeaderMap) -> HeaderMap {
        let mut all = self.now();
        all.extend(headers);
        all
    }

    fn now(&self) -> HeaderMap {
        self.now.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, now: HeaderMap) {
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = now;
    }

    /// Takes what changed; what cannot be read is as it was.
    async fn look(&self) {
        match self.read(false).await {
            Ok(now) => self.set(now),
            Err(error) => tracing::warn!(%error, "a credential stays as it was"),
        }
    }

    /// Reads all of them again; tells whether any is another.
    async fn anew(&self) -> bool {
        let before = self.now();
        match self.read(true).await {
            Ok(now) if now != before => {
                self.set(now);
                true
            }
            Ok(_) => false,
            Err(error) => {
                tracing::warn!(%error, "a credential was refused and cannot be read again");
                false
            }
        }
    }

    async fn read(&self, anew: bool) -> Result<HeaderMap, UpstreamError> {
        let mut headers = HeaderMap::new();
        for (name, source) in &self.written {
            let text = match anew {
                true => self.secrets.anew(source).await,
                false => self.secrets.get(source).await,
            };
            let text = text.map_err(UpstreamError::Secret)?;
            let name = HeaderName::from_bytes(name.as_bytes());
            let name = name.map_err(|_| unfit(source, "belongs to no header"))?;
            headers.insert(name, value(source, &text)?);
        }
        Ok(headers)
    }
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
