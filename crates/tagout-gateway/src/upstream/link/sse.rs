//! HTTP+SSE, the transport of 2024-11-05: one stream from the server, which names an endpoint that
//! takes what goes to it.
use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::Bytes;
use tagout_wire::http::{self, Client, Events, HeaderMap, HeaderValue, Uri, header};
use tokio::{sync::Semaphore, time::timeout};

use super::{
    credentials::Credentials,
    events::{Cursor, read},
    http::{HEADER_BYTES, Kind, kind},
    problem,
};
use crate::upstream::{Connection, UpstreamError};

/// The endpoint that a server named.
pub(in crate::upstream) struct Sse {
    client: Client,
    endpoint: Uri,
    credentials: Arc<Credentials>,
    asides: Arc<Semaphore>,
}

/// Messages that may be on their way without anybody waiting.
const ASIDES: usize = 16;
/// How long a message may take.
const ASIDE: Duration = Duration::from_secs(10);
/// Events before the one that names the endpoint.
const PREAMBLE: usize = 16;

impl Sse {
    /// Opens the stream, and waits for the endpoint that it names.
    ///
    /// # Errors
    /// The server offers no such stream, or names an endpoint at another origin.
    pub(in crate::upstream) async fn open(
        (client, credentials): (Client, Arc<Credentials>),
        uri: &Uri,
        frame_bytes: usize,
    ) -> Result<(Arc<Self>, Events), UpstreamError> {
        let mut asking = HeaderMap::new();
        asking.insert(header::ACCEPT, HeaderValue::from_static("text/event-stream"));
        let way = (http::Method::GET, uri);
        let answer = credentials.send(&client, way, asking, Bytes::new()).await?;
        let status = answer.status.as_u16();
        if matches!(status, 401 | 403) {
            return Err(UpstreamError::Unauthorised { status });
        }
        if status != 200 || kind(&answer.headers) != Some(Kind::Events) {
            return Err(UpstreamError::Status { status });
        }
        let mut events = answer.body.events(frame_bytes);
        for _ in 0..PREAMBLE {
            let Some(event) = events.next().await else { break };
            let event = event.map_err(problem)?;
            if event.event.as_deref() == Some("endpoint") {
                let endpoint = resolved(uri, event.data.trim())?;
                let asides = Arc::new(Semaphore::new(ASIDES));
                return Ok((Arc::new(Self { client, endpoint, credentials, asides }), events));
            }
        }
        Err(UpstreamError::Handshake("it names no endpoint".to_owned()))
    }

    /// Sends a frame. The answer comes by the stream.
    ///
    /// # Errors
    /// The server did not take it.
    pub(in crate::upstream) async fn send(&self, frame: String) -> Result<(), UpstreamError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let body = Bytes::from(frame);
        let way = (http::Method::POST, &self.endpoint);
        let answer = self.credentials.send(&self.client, way, headers, body).await?;
        let status = answer.status.as_u16();
        match status {
            200..=299 => {
                // A word of a few bytes: read, so that the connection can be used again.
                drop(answer.body.collect(HEADER_BYTES).await);
                Ok(())
            }
            401 | 403 => Err(UpstreamError::Unauthorised { status }),
            _ => Err(UpstreamError::Status { status }),
        }
    }

    /// As [`Sse::send`], without waiting; `false` if too much is on its way already.
    pub(super) fn offer(self: &Arc<Self>, frame: String) -> bool {
        let (Ok(permit), Ok(runtime)) =
            (Arc::clone(&self.asides).try_acquire_owned(), tokio::runtime::Handle::try_current())
        else {
            return false;
        };
        let this = Arc::clone(self);
        runtime.spawn(async move {
            drop(timeout(ASIDE, this.send(frame)).await);
            drop(permit);
        });
        true
    }
}

/// Takes what the stream brings until it ends.
pub(in crate::upstream) async fn listen(connection: Weak<Connection>, mut events: Events) {
    let read = read(&connection, &mut events, None, &mut Cursor::endless()).await;
    let Some(connection) = connection.upgrade() else { return };
    if let Err(error) = read {
        connection.over(error);
    }
    connection.nothing_more();
}

/// The endpoint that a server named, which has to be at its own origin.
fn resolved(base: &Uri, named: &str) -> Result<Uri, UpstreamError> {
    let bad = |why: &str| UpstreamError::Handshake(format!("it names an endpoint {why}"));
    if named.len() > HEADER_BYTES || !named.bytes().all(|b| b.is_ascii_graphic() && b != b'\\') {
        return Err(bad("that is no URL"));
    }
    let named = named.split('#').next().unwrap_or_default();
    let scheme = base.scheme_str().unwrap_or_default();
    let authority = base.authority().map_or("", |authority| authority.as_str());
    let whole = if named.contains("://") || named.starts_with("//") {
        let given =
            if named.starts_with("//") { format!("{scheme}:{named}") } else { named.into() };
        let uri: Uri = given.parse().map_err(|_| bad("that is no URL"))?;
        if origin(&uri) != origin(base) {
            return Err(bad("at another origin"));
        }
        let rest = uri.path_and_query().map_or("/", |rest| rest.as_str());
        format!("{scheme}://{authority}{rest}")
    } else if named.starts_with('/') {
        format!("{scheme}://{authority}{named}")
    } else if named.starts_with('?') {
        format!("{scheme}://{authority}{}{named}", base.path())
    } else {
        let folder = base.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{scheme}://{authority}{folder}/{named}")
    };
    whole.parse().map_err(|_| bad("that is no URL"))
}

/// Scheme, host and port; a user makes another origin, which none of ours has.
fn origin(uri: &Uri) -> (String, String, Option<u16>) {
    let scheme = uri.scheme_str().unwrap_or_default().to_ascii_lowercase();
    let default = match scheme.as_str() {
        "https" => Some(443),
        "http" => Some(80),
        _ => None,
    };
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let host = uri.host().unwrap_or_default().to_ascii_lowercase();
    let user = if authority.contains('@') { "@" } else { "" };
    (scheme, format!("{user}{host}"), uri.port_u16().or(default))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_stay_at_their_origin() {
        let base: Uri = "http://Example.com:80/sse/open?x=1".parse().unwrap();
        for (named, whole) in [
            ("/messages?id=1", Some("http://Example.com:80/messages?id=1")),
            ("messages", Some("http://Example.com:80/sse/messages")),
            ("?id=1", Some("http://Example.com:80/sse/open?id=1")),
            ("http://example.com/messages", Some("http://Example.com:80/messages")),
            ("//example.com/messages", Some("http://Example.com:80/messages")),
            ("https://example.com/messages", None),
            ("http://example.com:81/messages", None),
            ("http://evil.example/messages", None),
            ("//evil.example/messages", None),
            ("http://example.com@evil.example/", None),
            ("http://ann@example.com/", None),
            ("/messages id", None),
            ("\\\\evil.example\\x", None),
        ] {
            let got = resolved(&base, named).ok().map(|uri| uri.to_string());
            assert_eq!(got.as_deref(), whole, "{named}");
        }
    }
}
