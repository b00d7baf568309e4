//! A server to ask, raw clients, and raw servers that follow a script.
use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tagout_wire::http::{
    Access, BodyError, Handler, HeaderValue, Listener, Request, Response, ServerLimits, StatusCode,
    Tls, serve,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// So long that only a test that hangs gets there.
pub(crate) const FOREVER: Duration = Duration::from_secs(30);
pub(crate) const BODY_LIMIT: usize = 1000;

/// What `future` gives, unless it hangs.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(FOREVER, future).await.expect("it should not hang")
}

/// What happens in a [`Probe`].
#[derive(Debug)]
pub(crate) enum Seen {
    /// A request to `/wait` is being worked on.
    Waiting,
    /// It was dropped.
    Dropped,
    /// A request to `/stream` was answered, and this is where the stream comes from.
    Streaming(mpsc::Sender<Bytes>),
}

/// Answers, and tells what it sees.
pub(crate) struct Probe {
    pub(crate) requests: AtomicUsize,
    pub(crate) peers: Mutex<BTreeSet<SocketAddr>>,
    seen: mpsc::Sender<Seen>,
}

struct Watched(mpsc::Sender<Seen>);

impl Drop for Watched {
    fn drop(&mut self) {
        self.0.try_send(Seen::Dropped).unwrap();
    }
}

fn text(body: impl Into<Bytes>) -> Response {
    Response::full(StatusCode::OK, HeaderValue::from_static("text/plain"), body.into())
}

impl Handler for Probe {
    async fn handle(self: &Arc<Self>, mut request: Request) -> Response {
        self.requests.fetch_add(1, Ordering::SeqCst);
        self.peers.lock().unwrap().insert(request.peer);
        match request.path.as_str() {
            "/known" => {
                request.vouch();
                text("known")
            }
            "/echo" => match request.body(BODY_LIMIT).await {
                Ok(body) => text(body),
                Err(BodyError::TooLarge { .. }) => Response::empty(StatusCode::PAYLOAD_TOO_LARGE),
                Err(BodyError::TimedOut) => Response::empty(StatusCode::REQUEST_TIMEOUT),
                Err(BodyError::Broken(_)) => Response::empty(StatusCode::BAD_REQUEST),
            },
            "/what" => {
                let Request { method, path, query, secure, .. } = &request;
                text(format!("{method} {path} {query:?} {secure}"))
            }
            "/wait" => {
                request.body(BODY_LIMIT).await.unwrap();
                let _watched = Watched(self.seen.clone());
                self.seen.send(Seen::Waiting).await.unwrap();
                std::future::pending().await
            }
            "/stream" => {
                let (sender, receiver) = mpsc::channel(1);
                self.seen.send(Seen::Streaming(sender)).await.unwrap();
                let events = HeaderValue::from_static("text/event-stream");
                Response::stream(StatusCode::OK, events, receiver)
            }
            "/401" => Response::empty(StatusCode::UNAUTHORIZED),
            "/403" => Response::empty(StatusCode::FORBIDDEN),
            "/panic" => panic!("as asked"),
            "/redirect" => Response::empty(StatusCode::FOUND)
                .header(tagout_wire::http::header::LOCATION, HeaderValue::from_static("/what")),
            _ => Response::empty(StatusCode::NOT_FOUND),
        }
    }
}

/// A server under test.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    pub(crate) probe: Arc<Probe>,
    pub(crate) seen: mpsc::Receiver<Seen>,
    pub(crate) stop: CancellationToken,
    pub(crate) task: JoinHandle<()>,
}

impl Served {
    pub(crate) async fn plain() -> Self {
        Self::with(ServerLimits::default(), Access::new(), None).await
    }

    pub(crate) async fn limited(limits: ServerLimits) -> Self {
        Self::with(limits, Access::new(), None).await
    }

    pub(crate) async fn with(limits: ServerLimits, access: Access, tls: Option<Tls>) -> Self {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), tls).await.unwrap();
        let address = listener.local_addr();
        let (sender, seen) = mpsc::channel(64);
        let probe = Arc::new(Probe { requests: 0.into(), peers: Mutex::default(), seen: sender });
        let stop = CancellationToken::new();
        let task = tokio::spawn(serve(listener, limits, access, probe.clone(), stop.clone()));
        Self { address, probe, seen, stop, task }
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// All that comes back until the server closes the connection.
    pub(crate) async fn raw(&self, request: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect().await;
        // The server may have refused and gone before all was written.
        stream.write_all(request.as_ref()).await.ok();
        rest(&mut stream).await
    }

    pub(crate) fn requests(&self) -> usize {
        self.probe.requests.load(Ordering::SeqCst)
    }

    pub(crate) async fn next(&mut self) -> Seen {
        soon(self.seen.recv()).await.unwrap()
    }

    pub(crate) async fn next_stream(&mut self) -> mpsc::Sender<Bytes> {
        match self.next().await {
            Seen::Streaming(sender) => sender,
            other @ (Seen::Waiting | Seen::Dropped) => panic!("{other:?}"),
        }
    }
}

/// What comes until the other side closes.
pub(crate) async fn rest(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    let mut piece = [0; 4096];
    while let Ok(1..) = soon(stream.read(&mut piece)).await.inspect(|&read| {
        all.extend_from_slice(&piece[..read]);
    }) {}
    String::from_utf8_lossy(&all).into_owned()
}

/// What comes until `end` was seen.
pub(crate) async fn until(stream: &mut TcpStream, end: &str) -> String {
    let mut all = String::new();
    let mut piece = [0; 4096];
    while !all.contains(end) {
        let read = soon(stream.read(&mut piece)).await.unwrap();
        assert_ne!(read, 0, "the connection ended after {all:?}");
        all.push_str(&String::from_utf8_lossy(&piece[..read]));
    }
    all
}

/// The status of an answer.
pub(crate) fn status(answer: &str) -> &str {
    answer.get(9..12).unwrap_or(answer)
}

/// A server whose every connection is one item of `script`: the answers to one request after the
/// other, then the end. Gives the requests that it read, by connection.
pub(crate) async fn scripted(
    script: Vec<Vec<&'static str>>,
) -> (SocketAddr, JoinHandle<Vec<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let mut read = Vec::new();
        for answers in script {
            let (mut stream, _) = soon(listener.accept()).await.unwrap();
            let mut requests = Vec::new();
            for answer in answers {
                requests.push(until(&mut stream, "\r\n\r\n").await);
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
            read.push(requests);
        }
        read
    });
    (address, task)
}
