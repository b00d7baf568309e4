//! A proxy with a stand-in for the internet on loopback.
use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr, TcpListener as StdListener},
    sync::{Arc, Mutex},
};

use tagout_wire::egress::{
    Allow, Budget, Connection, EgressBounds, Guard, Looked, Proxy, Resolve,
    danger::guard_with_a_stand_in,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::peers::{rest, soon, until};

/// Names with their addresses, one list after the other; the last stays.
#[derive(Debug, Default)]
pub(crate) struct Names {
    known: Mutex<HashMap<String, Vec<Vec<IpAddr>>>>,
    asked: Mutex<Vec<String>>,
}

impl Names {
    pub(crate) fn of(known: &[(&str, &[&[&str]])]) -> Arc<Self> {
        let read = |list: &&[&str]| list.iter().map(|one| one.parse().unwrap()).collect();
        let known = known
            .iter()
            .map(|(name, lists)| ((*name).to_owned(), lists.iter().map(read).collect()));
        Arc::new(Self { known: Mutex::new(known.collect()), asked: Mutex::default() })
    }

    /// The names that were looked up.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Resolve for Names {
    fn resolve<'a>(&'a self, name: &'a str) -> Looked<'a> {
        Box::pin(async move {
            self.asked.lock().unwrap().push(name.to_owned());
            if name == "never.example" {
                std::future::pending::<()>().await;
            }
            let mut known = self.known.lock().unwrap();
            let lists = known.get_mut(name).ok_or(io::ErrorKind::NotFound)?;
            Ok(if lists.len() > 1 { lists.remove(0) } else { lists[0].clone() })
        })
    }
}

/// A proxy, and what it reported.
pub(crate) struct Behind {
    pub(crate) address: SocketAddr,
    pub(crate) names: Arc<Names>,
    reported: tokio::sync::mpsc::Receiver<Connection>,
    pub(crate) stop: CancellationToken,
    pub(crate) task: JoinHandle<io::Result<()>>,
}

/// What most tests know of the internet.
pub(crate) fn internet() -> Arc<Names> {
    Names::of(&[
        ("app.example", &[&["127.0.0.1"]]),
        ("other.example", &[&["127.0.0.1"]]),
        ("inside.example", &[&["169.254.169.254"]]),
        ("private.example", &[&["10.0.0.1"]]),
        ("both.example", &[&["127.0.0.1", "10.0.0.1"]]),
        ("empty.example", &[&[]]),
        ("localhost", &[&["127.0.0.1"]]),
    ])
}

impl Behind {
    pub(crate) fn new(allow: &[&str], bounds: EgressBounds) -> Self {
        let names = internet();
        Self::with(allow, guard_with_a_stand_in(names.clone(), Default::default()), (names, bounds))
    }

    /// `port` of every host is at `stand_in` of this machine.
    pub(crate) fn at((port, stand_in): (u16, u16), entry: &str, bounds: EgressBounds) -> Self {
        let names = internet();
        let guard = guard_with_a_stand_in(names.clone(), [(port, stand_in)].into());
        Self::with(&[entry], guard, (names, bounds))
    }

    pub(crate) fn with(
        allow: &[&str],
        guard: Guard,
        (names, bounds): (Arc<Names>, EgressBounds),
    ) -> Self {
        Self::within(allow, guard, (names, Arc::new(Budget::new(bounds))))
    }

    /// The next start of a server, with what the last one left of its budget.
    pub(crate) fn again(allow: &[&str], budget: &Arc<Budget>) -> Self {
        let names = internet();
        let guard = guard_with_a_stand_in(names.clone(), Default::default());
        Self::within(allow, guard, (names, Arc::clone(budget)))
    }

    fn within(allow: &[&str], guard: Guard, (names, budget): (Arc<Names>, Arc<Budget>)) -> Self {
        let listener = StdListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, reported) = tokio::sync::mpsc::channel(256);
        let report = Arc::new(move |one: &Connection| sender.try_send(one.clone()).is_ok());
        let allow = Allow::parse(allow).unwrap();
        let proxy = Proxy::within(allow, guard, budget, report);
        let stop = CancellationToken::new();
        let task = tokio::spawn(proxy.serve(listener, stop.clone()));
        Self { address, names, reported, stop, task }
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// All that comes back until the proxy closes the connection.
    pub(crate) async fn raw(&self, request: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect().await;
        // The proxy may have refused and gone before all was written.
        stream.write_all(request.as_ref()).await.ok();
        rest(&mut stream).await
    }

    /// A request of plain HTTP for `url`.
    pub(crate) async fn get(&self, url: &str) -> String {
        let host = url.split('/').nth(2).unwrap();
        self.raw(format!("GET {url} HTTP/1.1\r\nHost: {host}\r\n\r\n")).await
    }

    /// A tunnel to `place`, which has to come about.
    pub(crate) async fn tunnel(&self, place: &str) -> TcpStream {
        let mut stream = self.connect().await;
        let ask = format!("CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n\r\n");
        stream.write_all(ask.as_bytes()).await.unwrap();
        let answer = until(&mut stream, "\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        stream
    }

    /// What the next connection came to.
    pub(crate) async fn next(&mut self) -> Connection {
        soon(self.reported.recv()).await.unwrap()
    }

    /// The code of the next refusal; empty for what came about.
    pub(crate) async fn code(&mut self) -> &'static str {
        self.next().await.refused.map_or("", |refused| refused.code())
    }

    /// From now on nothing can be reported.
    pub(crate) fn forget(&mut self) {
        self.reported.close();
    }

    pub(crate) fn nothing_reported(&mut self) -> bool {
        self.reported.try_recv().is_err()
    }
}

/// A host that reads one head a connection and answers with `answer`, for ever. Gives what it read.
pub(crate) async fn host(answer: &'static str) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let read = Arc::new(Mutex::new(Vec::new()));
    let seen = read.clone();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let seen = seen.clone();
            tokio::spawn(async move {
                let mut all = String::new();
                let mut piece = [0; 4096];
                while !all.contains("\r\n\r\n") {
                    let read = stream.read(&mut piece).await.unwrap_or(0);
                    if read == 0 {
                        return;
                    }
                    all.push_str(&String::from_utf8_lossy(&piece[..read]));
                }
                seen.lock().unwrap().push(all);
                stream.write_all(answer.as_bytes()).await.ok();
            });
        }
    });
    (port, read)
}

/// A host that sends back whatever it gets.
pub(crate) async fn echo() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                tokio::io::copy(&mut read, &mut write).await.ok();
            });
        }
    });
    port
}
