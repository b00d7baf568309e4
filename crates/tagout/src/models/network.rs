//! The way to a provider: to its host and to no other.
use std::{
    error::Error,
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
    time::Duration,
};

use tagout_gateway::Clock as SystemClock;
use tagout_llm::{
    Row,
    transport::{
        Chunks, Clock, Fault, HeaderText, HttpAnswer, HttpRequest, Transport, TransportError, Verb,
        Waiting,
    },
};
use tagout_wire::{
    egress::Guard,
    http::{
        Body, Client, ClientOptions, HeaderMap, HeaderName, HeaderValue, HttpError, Method, Uri,
        Vet,
    },
};

/// For a connection to be taken by a server that is asked who it is.
const TAKEN: Duration = Duration::from_secs(30);
/// From a connection to the answer's headers. A local model may have to be loaded first.
const ANSWER: Duration = Duration::from_secs(300);
/// From one piece of an answer to the next.
const PIECE: Duration = Duration::from_secs(120);

/// Sends requests to one provider.
pub(crate) struct Network {
    client: Client,
    /// Scheme and authority of the one place that is reached.
    origin: Uri,
}

impl Network {
    /// The way to a provider; with `vet`, by connections that it has looked at.
    pub(crate) fn new(row: &Row, vet: Option<Arc<dyn Vet>>) -> Result<Self, String> {
        let url = &row.url;
        let origin = url.parse().map_err(|error| format!("`{url}`: {error}"))?;
        let guard = Guard::new();
        let guard = if row.private_network { guard.allowing_private() } else { guard };
        let options = ClientOptions { answer: ANSWER, guard, ..ClientOptions::default() };
        let client = match vet {
            None => Client::new(options),
            Some(vet) => Client::vetting(ClientOptions { connect: TAKEN, ..options }, vet),
        };
        let client = client.map_err(|error| error.to_string())?;
        Ok(Self { client, origin })
    }

    async fn exchange(&self, request: &HttpRequest) -> Result<HttpAnswer, TransportError> {
        let refused =
            |detail: &str| TransportError { detail: detail.to_owned(), fault: Fault::Lasting };
        let uri: Uri = request.url.parse().map_err(|_| refused("the URL cannot be used"))?;
        let place = |uri: &Uri| (uri.scheme().cloned(), uri.authority().cloned());
        if place(&uri) != place(&self.origin) {
            return Err(refused("the request was for another host than the provider's"));
        }
        let headers = headers(request).ok_or_else(|| refused("a header cannot be sent"))?;
        let method = match request.verb {
            Verb::Get => Method::GET,
            Verb::Post => Method::POST,
        };
        let body = request.body.clone().into();
        let answer = self.client.send(method, &uri, headers, body).await.map_err(|e| failed(&e))?;
        let text = |value: &HeaderValue| value.to_str().map(str::to_owned).ok();
        let headers = answer.headers.iter();
        let headers = headers.filter_map(|(name, value)| Some((name.to_string(), text(value)?)));
        Ok(HttpAnswer {
            status: answer.status.as_u16(),
            headers: headers.collect(),
            body: Box::new(Pieces(answer.body)),
        })
    }
}

fn headers(request: &HttpRequest) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in &request.headers {
        let mut text = HeaderValue::from_str(value.expose()).ok()?;
        text.set_sensitive(matches!(value, HeaderText::Secret(_)));
        headers.insert(HeaderName::from_static(name), text);
    }
    Some(headers)
}

impl Transport for Network {
    fn send<'a>(
        &'a self,
        request: &'a HttpRequest,
    ) -> Waiting<'a, Result<HttpAnswer, TransportError>> {
        Box::pin(self.exchange(request))
    }
}

fn failed(error: &HttpError) -> TransportError {
    let mut detail = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        detail.push_str(&format!(": {error}"));
        cause = error.source();
    }
    let passes = match error {
        // Nobody is there, or nobody can be trusted; neither changes in a second.
        HttpError::Address { .. } | HttpError::Tls { .. } | HttpError::Refused { .. } => false,
        HttpError::Stranger { .. } | HttpError::Denied(_) => false,
        HttpError::TooLarge { .. } | HttpError::Events(_) => false,
        // What was waited for this long is not waited for again.
        HttpError::TimedOut { reached } => !reached,
        HttpError::Dns { .. } | HttpError::Broken { .. } => true,
    };
    let fault = if passes { Fault::Passing } else { Fault::Lasting };
    TransportError { detail, fault }
}

struct Pieces(Body);

impl Chunks for Pieces {
    fn next(&mut self) -> Waiting<'_, Option<Result<Vec<u8>, TransportError>>> {
        Box::pin(async move {
            match tokio::time::timeout(PIECE, self.0.chunk()).await {
                Ok(piece) => {
                    piece.map(|piece| piece.map(|p| p.to_vec()).map_err(|error| failed(&error)))
                }
                Err(_) => {
                    let detail = format!("nothing came for {} s", PIECE.as_secs());
                    Some(Err(TransportError { detail, fault: Fault::Lasting }))
                }
            }
        })
    }
}

/// Time as it passes.
pub(crate) struct Passing(pub(crate) SystemClock);

impl Clock for Passing {
    fn now_s(&self) -> i64 {
        self.0.now().as_second()
    }

    fn sleep(&self, wait: Duration) -> Waiting<'_, ()> {
        Box::pin(tokio::time::sleep(wait))
    }

    fn jitter(&self) -> f64 {
        // Its keys are drawn afresh; nothing here has to be hard to guess.
        let drawn = RandomState::new().hash_one(0) >> 32;
        u32::try_from(drawn).map_or(0.5, |drawn| f64::from(drawn) / f64::from(u32::MAX))
    }
}
