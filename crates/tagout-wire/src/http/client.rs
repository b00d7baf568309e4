//! The client: requests over connections that are kept and used again.
use std::{path::PathBuf, sync::Arc, time::Duration};

use ::http::{
    HeaderMap, HeaderValue, Method, StatusCode, Uri, header,
    uri::{PathAndQuery, Scheme},
};
use bytes::Bytes;
use http_body_util::Full;

use super::{
    body::Body,
    connect::Connector,
    error::HttpError,
    line::{Line, Outcome},
    pool::{Pool, Target},
    tls::TlsError,
    vet::Vet,
};
use crate::egress::Guard;

/// Whose certificates are trusted.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Roots {
    /// The authorities that the system trusts; read when first needed.
    #[default]
    System,
    /// Those of a PEM file, and no others.
    Pem(PathBuf),
}

/// How a client behaves.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// Whose certificates are trusted.
    pub roots: Roots,
    /// For a connection to come about, name and TLS included.
    pub connect: Duration,
    /// From there to the answer's headers. How long its body may take is the reader's to say.
    pub answer: Duration,
    /// How long a connection is kept unused.
    pub idle: Duration,
    /// Unused connections that are kept to one host.
    pub idle_per_host: usize,
    /// Bytes of an answer's headers.
    pub header_bytes: usize,
    /// Looks at where connections go. Addresses that stand in a URL, and `localhost`, are meant; a
    /// name may lead to public addresses only, unless this lets it.
    pub guard: Guard,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            roots: Roots::System,
            connect: Duration::from_secs(10),
            answer: Duration::from_secs(600),
            idle: Duration::from_secs(30),
            idle_per_host: 32,
            header_bytes: 64 << 10,
            guard: Guard::new(),
        }
    }
}

/// Sends requests. Cheap to clone; clones share connections.
#[derive(Clone, Debug)]
pub struct Client(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    connector: Connector,
    pool: Arc<Pool>,
    answer: Duration,
}

/// What a server answers.
#[derive(Debug)]
pub struct Answer {
    /// Its status; redirects are not followed.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, still to be read.
    pub body: Body,
}

impl Client {
    /// A client without connections.
    ///
    /// # Errors
    /// The file of [`Roots::Pem`] cannot be used.
    pub fn new(options: ClientOptions) -> Result<Self, TlsError> {
        let pool = Pool::new(options.idle, options.idle_per_host);
        let answer = options.answer;
        let connector = Connector::new(options)?;
        Ok(Self(Arc::new(Inner { connector, pool, answer })))
    }

    /// A client that has `vet` look at every connection before anything is sent over it, and keeps
    /// none for another request: who is there may change.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn vetting(options: ClientOptions, vet: Arc<dyn Vet>) -> Result<Self, TlsError> {
        let pool = Pool::new(options.idle, 0);
        let answer = options.answer;
        let connector = Connector::new(options)?.vetted_by(vet);
        Ok(Self(Arc::new(Inner { connector, pool, answer })))
    }

    /// Sends a request and waits for the head of its answer. `Host` and the body's length are set
    /// here; what `headers` says of them, and of the connection, does not count.
    ///
    /// A request is sent again, over another connection, only if nothing of it had left.
    /// Cancelling closes the connection.
    ///
    /// # Errors
    /// By variant, see [`HttpError`]; [`HttpError::reached`] says whether the server may have it.
    pub async fn send(
        &self,
        method: Method,
        uri: &Uri,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answer, HttpError> {
        let target = target(uri)?;
        let mut request = request(method, uri, headers, body);
        let (mut line, mut fresh) = self.line(&target).await?;
        loop {
            request.headers_mut().insert(header::HOST, line.host());
            match line.exchange(request, self.0.answer).await {
                Outcome::Answer(response, line) => return Ok(answer(response, line)),
                Outcome::Failed(error) => return Err(error),
                Outcome::Unsent(_, error) if fresh => return Err(error),
                Outcome::Unsent(back, _) => {
                    request = *back;
                    (line, fresh) = self.line(&target).await?;
                }
            }
        }
    }

    /// A connection, and whether it is new.
    async fn line(&self, target: &Target) -> Result<(Box<Line>, bool), HttpError> {
        if let Some(line) = self.0.pool.take(target) {
            return Ok((line, false));
        }
        let pool = Arc::downgrade(&self.0.pool);
        Ok((self.0.connector.connect(target, pool).await?, true))
    }
}

fn answer(response: ::http::Response<hyper::body::Incoming>, line: Box<Line>) -> Answer {
    let (parts, incoming) = response.into_parts();
    Answer { status: parts.status, headers: parts.headers, body: Body::new(incoming, line) }
}

fn target(uri: &Uri) -> Result<Target, HttpError> {
    let bad = |problem| HttpError::Address { problem };
    let secure = match uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTPS => true,
        Some(scheme) if *scheme == Scheme::HTTP => false,
        _ => return Err(bad("it does not begin with https:// or http://")),
    };
    let authority = uri.authority().ok_or_else(|| bad("it names no host"))?;
    if authority.as_str().contains('@') {
        return Err(bad("it holds a user's name or password"));
    }
    if authority.host().is_empty() {
        return Err(bad("it names no host"));
    }
    Ok(Target { secure, authority: authority.clone() })
}

/// What is ours to say, not the caller's.
const OURS: [header::HeaderName; 6] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::TE,
    header::EXPECT,
];

fn request(
    method: Method,
    uri: &Uri,
    mut headers: HeaderMap,
    body: Bytes,
) -> ::http::Request<Full<Bytes>> {
    for name in OURS {
        headers.remove(name);
    }
    if body.is_empty() && method != Method::GET {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    let mut request = ::http::Request::new(Full::new(body));
    let root = || PathAndQuery::from_static("/");
    *request.uri_mut() = Uri::from(uri.path_and_query().cloned().unwrap_or_else(root));
    *request.method_mut() = method;
    *request.headers_mut() = headers;
    request
}
