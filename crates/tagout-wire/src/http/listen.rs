//! The server: accepts connections, each of them one task that ends alone.
use std::{
    convert::Infallible,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use ::http::{HeaderValue, Method, StatusCode, header};
use bytes::Bytes;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    access::{Access, Refusal},
    load::Load,
    places::{Place, Places},
    request::Request,
    response::{Reply, Response},
    socket::{Paced, Patience, Stream, Turns},
    strangers::{Guest, Held, Strangers},
    tls::Tls,
};

/// An address that connections come to.
#[derive(Debug)]
pub struct Listener {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<Tls>,
}

/// Why nothing is listened on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Others could read along.
    #[error("`{address}` can be reached from other machines and needs a certificate")]
    PlainBeyondLoopback {
        /// The address.
        address: SocketAddr,
    },
    /// The address cannot be had.
    #[error("`{address}` cannot be listened on")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
}

impl Listener {
    /// Listens on `address`; port 0 is any free one.
    ///
    /// # Errors
    /// By variant, see [`ListenError`].
    pub async fn bind(address: SocketAddr, tls: Option<Tls>) -> Result<Self, ListenError> {
        if tls.is_none() && !address.ip().is_loopback() {
            return Err(ListenError::PlainBeyondLoopback { address });
        }
        let failed = |source| ListenError::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address, tls })
    }

    /// Where it listens, with the port that it got.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Whether connections are encrypted.
    #[must_use]
    pub fn secure(&self) -> bool {
        self.tls.is_some()
    }
}

/// What a server puts up with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ServerLimits {
    /// Connections at a time; more wait to be accepted.
    pub connections: usize,
    /// Of these, of one peer on the network (an IPv4 address, or an IPv6 network of 64 bits); more
    /// are closed at once.
    pub connections_of_peer: usize,
    /// Of these, from this machine; more are closed at once.
    pub connections_of_loopback: usize,
    /// Requests that are worked on at a time, of all connections; more are answered with 503, and so
    /// is everything while timers are later than `late`.
    pub requests: usize,
    /// How late timers may be.
    pub late: Duration,
    /// The path at which whoever asks is told `ok` and nothing else, whatever there is to do.
    pub health: Option<&'static str>,
    /// Connections beyond the others that are told that, and 503 if they ask for anything else; only
    /// where there is such a path.
    pub reserve: usize,
    /// Whether the handler says by [`Request::vouch`] when it knows who sent a request. A connection
    /// of which it has not said so gets `head` in all, and the oldest of them makes room for one that
    /// comes when there is none.
    pub vouches: bool,
    /// Bytes of a request's line and headers; more is answered with 431.
    pub header_bytes: usize,
    /// Headers of a request; more is answered with 431.
    pub headers: usize,
    /// For the TLS handshake.
    pub handshake: Duration,
    /// For the head of a request, from its first byte, and for the first request of a connection.
    pub head: Duration,
    /// For the body of a request, all of it.
    pub body: Duration,
    /// For a client to take something of an answer.
    pub write: Duration,
    /// Between two requests of a connection.
    pub idle: Duration,
    /// For requests under way when the server stops.
    pub grace: Duration,
}

impl ServerLimits {
    fn connections_of(&self, peer: IpAddr) -> usize {
        if peer.to_canonical().is_loopback() {
            self.connections_of_loopback
        } else {
            self.connections_of_peer
        }
    }
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            connections: 1024,
            connections_of_peer: 128,
            connections_of_loopback: 512,
            requests: 896,
            late: Duration::from_secs(1),
            health: None,
            reserve: 16,
            vouches: false,
            header_bytes: 32 << 10,
            headers: 100,
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(10),
            body: Duration::from_secs(30),
            write: Duration::from_secs(30),
            idle: Duration::from_secs(120),
            grace: Duration::from_secs(5),
        }
    }
}

/// Answers requests.
pub trait Handler: Send + Sync + 'static {
    /// The answer to a request.
    ///
    /// The future is dropped when the client goes before it is ready; so is the receiver of a
    /// stream. Both need the request's body to be read by then, and are late for a client that
    /// has sent more on the same connection: it is missed only when something is written to it.
    /// A panic ends the one connection.
    fn handle(self: &Arc<Self>, request: Request) -> impl Future<Output = Response> + Send;
}

struct Server<H> {
    handler: Arc<H>,
    access: Access,
    limits: ServerLimits,
    tls: Option<Tls>,
    stop: CancellationToken,
    builder: http1::Builder,
    load: Arc<Load>,
}

/// How long a connection beyond the others may take.
const SPARE: Duration = Duration::from_secs(2);

/// Serves until `stop` is cancelled. Then nobody is accepted any more, connections without a
/// request end, the others get [`ServerLimits::grace`]; when this returns nothing is left running.
/// Dropping the future ends everything at once.
pub async fn serve<H: Handler>(
    listener: Listener,
    limits: ServerLimits,
    access: Access,
    handler: Arc<H>,
    stop: CancellationToken,
) {
    let Listener { listener, address, tls } = listener;
    let access = access.at(address);
    let builder = builder(&limits);
    let load = Load::new(limits.requests, limits.late);
    let mut tasks = JoinSet::new();
    tasks.spawn(Arc::clone(&load).watch(stop.clone()));
    let stopped = stop.clone();
    let server = Arc::new(Server { handler, access, limits, tls, stop, builder, load });
    let room = Room::of(&limits);
    let places = Arc::new(Places::default());
    while let Some(Some((stream, peer, permit))) =
        stopped.run_until_cancelled(accept(&listener, &room)).await
    {
        while tasks.try_join_next().is_some() {}
        let place = places.take(peer.ip(), limits.connections_of(peer.ip()));
        let Some(held) = room.held(permit, place, peer.ip()) else {
            tracing::debug!(%peer, "has too many connections");
            continue;
        };
        let spare = held.spare;
        let guest = room.strangers.came(peer.ip(), held);
        tasks.spawn(server.clone().connection(stream, peer, (guest, spare)));
    }
    drop(listener);
    let ended = async { while tasks.join_next().await.is_some() {} };
    if timeout(limits.grace, ended).await.is_err() {
        tasks.shutdown().await;
    }
}

/// The smallest buffer that hyper takes.
const LEAST_BUFFER: usize = 8 << 10;
/// What a connection reads ahead of whoever takes its bytes.
const BUFFER: usize = 64 << 10;
/// As many headers as fit on the stack.
const FEW_HEADERS: usize = 100;

fn builder(limits: &ServerLimits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder.half_close(false).max_header_size(limits.header_bytes);
    builder.max_buf_size(limits.header_bytes.max(BUFFER).max(LEAST_BUFFER));
    if limits.headers != FEW_HEADERS {
        builder.max_headers(limits.headers);
    }
    builder
}

/// How long to wait when the system has no more connections to give.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// Room for connections, and some beyond for who only asks whether the server lives.
struct Room {
    ordinary: Arc<Semaphore>,
    spare: Arc<Semaphore>,
    strangers: Arc<Strangers>,
    vouches: bool,
}

/// Room for one connection.
struct Permit {
    permit: OwnedSemaphorePermit,
    spare: bool,
}

impl Room {
    fn of(limits: &ServerLimits) -> Self {
        let spare = limits.health.map_or(0, |_| limits.reserve);
        let [ordinary, spare] = [limits.connections, spare].map(|n| Arc::new(Semaphore::new(n)));
        Self { ordinary, spare, strangers: Arc::default(), vouches: limits.vouches }
    }

    /// Waits for room; nothing once there can be none.
    async fn permit(&self) -> Option<Permit> {
        let [ordinary, spare] = [&self.ordinary, &self.spare].map(Arc::clone);
        tokio::select! {
            biased;
            permit = ordinary.acquire_owned() => Some(Permit { permit: permit.ok()?, spare: false }),
            permit = spare.acquire_owned() => Some(Permit { permit: permit.ok()?, spare: true }),
        }
    }

    /// What a connection from `peer` holds; nothing where it has to go.
    fn held(&self, permit: Permit, place: Option<Place>, peer: IpAddr) -> Option<Held> {
        let Permit { permit, spare } = permit;
        match (place, spare) {
            (Some(place), false) => Some(Held { permit, place: Some(place), spare }),
            (Some(place), true) => {
                let (permit, spare) = match self.evicted(None) {
                    Some(old) => (old.permit, false),
                    None => (permit, true),
                };
                Some(Held { permit, place: Some(place), spare })
            }
            (None, spare) => self.evicted(Some(peer)).or_else(|| {
                // Its peer has too many, which must not be all that a probe from there learns.
                let kept = || Arc::clone(&self.spare).try_acquire_owned().ok();
                let permit = if spare { permit } else { kept()? };
                Some(Held { permit, place: None, spare: true })
            }),
        }
    }

    /// What the oldest connection without a credential held, from where `peer` is if that is said.
    fn evicted(&self, peer: Option<IpAddr>) -> Option<Held> {
        if self.vouches { self.strangers.evict(peer) } else { None }
    }
}

/// The next connection; nothing once there can be none.
async fn accept(listener: &TcpListener, room: &Room) -> Option<(TcpStream, SocketAddr, Permit)> {
    let permit = room.permit().await?;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return Some((stream, peer, permit)),
            Err(error) if gone_before_accepted(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                sleep(EXHAUSTED).await;
            }
        }
    }
}

fn gone_before_accepted(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    [Kind::ConnectionAborted, Kind::ConnectionReset, Kind::Interrupted].contains(&error.kind())
}

impl<H: Handler> Server<H> {
    async fn connection(
        self: Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        (guest, spare): (Arc<Guest>, bool),
    ) {
        tokio::select! {
            () = guest.evicted() => tracing::debug!(%peer, "made room for another"),
            () = self.spoken_with(stream, peer, (&guest, spare)) => {}
        }
    }

    /// Until a connection has shown no credential for too long.
    async fn is_stranger(&self, guest: &Guest) {
        if !self.limits.vouches || timeout(self.limits.head, guest.vouched()).await.is_ok() {
            std::future::pending::<()>().await;
        }
    }

    async fn spoken_with(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        (guest, spare): (&Arc<Guest>, bool),
    ) {
        let stream = self.stop.run_until_cancelled(self.handshake(stream, spare)).await;
        let Some(Some(stream)) = stream else { return };
        let turns = Turns::default();
        let ServerLimits { idle, head, write, .. } = self.limits;
        let patience = match spare {
            false => Patience { idle, head, write },
            true => {
                Patience { idle: SPARE.min(idle), head: SPARE.min(head), write: SPARE.min(write) }
            }
        };
        let stream = Paced::new(stream, turns.clone(), patience);
        let service = service_fn(|request| self.answer(request, (peer, spare), (&turns, guest)));
        let connection = self.builder.serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        let until_stop = self.stop.run_until_cancelled(connection.as_mut());
        let ended = tokio::select! {
            () = self.is_stranger(guest) => return,
            ended = until_stop => ended,
        };
        let ended = match ended {
            Some(ended) => ended,
            None => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%peer, %error, "a connection ended early");
        }
    }

    async fn handshake(&self, stream: TcpStream, spare: bool) -> Option<Stream> {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "answers of a connection may be held back");
        }
        let Some(tls) = &self.tls else { return Some(Stream::Plain(stream)) };
        let patience = self.limits.handshake.min(if spare { SPARE } else { Duration::MAX });
        match timeout(patience, tls.acceptor().accept(stream)).await {
            Ok(Ok(stream)) => Some(Stream::Tls(Box::new(stream))),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a TLS handshake failed");
                None
            }
            Err(_) => None,
        }
    }

    async fn answer(
        &self,
        request: ::http::Request<Incoming>,
        (peer, spare): (SocketAddr, bool),
        (turns, guest): (&Turns, &Arc<Guest>),
    ) -> Result<::http::Response<Reply>, Infallible> {
        let turn = turns.begin();
        // How long such a body is can be told in two ways, on which a proxy may not agree with us.
        // What follows it is therefore not read as a request.
        let mut last = request.headers().contains_key(header::TRANSFER_ENCODING);
        let response = match self.check(&request) {
            Err(refusal) => {
                last = true;
                refused(refusal)
            }
            Ok(()) if self.asks_for_health(&request) => {
                // Whoever asks it has shown no credential, and does not stay.
                last = true;
                healthy()
            }
            Ok(()) => match self.load.begin().filter(|_| !spare) {
                None => overloaded(),
                Some(_under_way) => {
                    let from = (peer, self.tls.is_some());
                    let request = Request::new(request, from, self.limits.body, Arc::clone(guest));
                    self.handler.handle(request).await
                }
            },
        };
        // Who got no further than the door does not stay in it.
        last |= is_turned_away(response.status());
        Ok(response.finish(turn, last))
    }

    fn asks_for_health(&self, request: &::http::Request<Incoming>) -> bool {
        let reads = [Method::GET, Method::HEAD].contains(request.method());
        reads && self.limits.health == Some(request.uri().path())
    }

    fn check(&self, request: &::http::Request<Incoming>) -> Result<(), Refusal> {
        self.access.check(request.version(), request.uri(), request.headers())?;
        if [Method::OPTIONS, Method::TRACE, Method::CONNECT].contains(request.method()) {
            return Err(Refusal::Method);
        }
        Ok(())
    }
}

/// Whether so is answered who has shown no credential that is known.
fn is_turned_away(status: StatusCode) -> bool {
    let door = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN, StatusCode::SERVICE_UNAVAILABLE];
    door.contains(&status)
}

fn refused(refusal: Refusal) -> Response {
    let json = HeaderValue::from_static("application/json");
    let body = Bytes::from_static(refusal.body().as_bytes());
    let response = Response::full(refusal.status(), json, body);
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        return response.header(header::ALLOW, HeaderValue::from_static("GET, POST, DELETE"));
    }
    response
}

/// The server lives; nothing else is said to who has shown no credential.
fn healthy() -> Response {
    let text = HeaderValue::from_static("text/plain");
    Response::full(StatusCode::OK, text, Bytes::from_static(b"ok\n"))
        .header(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))
}

/// There is too much to do.
fn overloaded() -> Response {
    let json = HeaderValue::from_static("application/json");
    let body = Bytes::from_static(OVERLOADED.as_bytes());
    Response::full(StatusCode::SERVICE_UNAVAILABLE, json, body)
        .header(header::RETRY_AFTER, HeaderValue::from_static("1"))
}

const OVERLOADED: &str = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"there is too much to do now; try again","data":{"by":"tagout","code":"overloaded","retry_after":1}}}"#;
