//! The forward proxy that a server has to go through: CONNECT, and plain HTTP/1.1.
use std::{
    fmt, io,
    net::{SocketAddr, TcpListener as StdListener},
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::{Instant, sleep, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::{
    allow::Allow,
    begun::Begun,
    dial::{Unanswered, dial},
    guard::Guard,
    head::{Head, HeadError, Wish},
    meter::{Budget, EgressBounds, Meter, Metered},
    plain,
    report::{Bound, Connection, Kind, Late, Refused},
    tunnel::tunnel,
};

/// Who is told of every connection at its end. What it says is whether that is on record; where it
/// is not, the proxy ends.
pub type Report = Arc<dyn Fn(&Connection) -> bool + Send + Sync>;

/// The proxy of one server.
#[derive(Clone)]
pub struct Proxy(Arc<Inner>);

struct Inner {
    allow: Allow,
    guard: Guard,
    budget: Arc<Budget>,
    report: Report,
    /// Places for connections that lead somewhere.
    places: Arc<Semaphore>,
}

/// Connections beyond those that may lead somewhere, to be told so.
const TOLD: usize = 16;
/// How long to wait when the system has no more connections to give.
const EXHAUSTED: Duration = Duration::from_millis(100);
/// How long, and how much, is read from who was refused, so that the answer is not lost.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 256 << 10;

impl Proxy {
    /// A proxy that lets a server to what `allow` says, where `guard` has nothing against it.
    #[must_use]
    pub fn new(allow: Allow, guard: Guard, bounds: EgressBounds, report: Report) -> Self {
        Self::within(allow, guard, Arc::new(Budget::new(bounds)), report)
    }

    /// The same, with a budget that other proxies may use too.
    #[must_use]
    pub fn within(allow: Allow, guard: Guard, budget: Arc<Budget>, report: Report) -> Self {
        let places = Arc::new(Semaphore::new(budget.bounds.at_once));
        Self(Arc::new(Inner { allow, guard, budget, report, places }))
    }

    /// Serves connections to `listener` until `stop` is cancelled; then it ends those that are
    /// under way, and returns once all are reported.
    ///
    /// # Errors
    /// The listener cannot be used.
    pub async fn serve(self, listener: StdListener, stop: CancellationToken) -> io::Result<()> {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let most = self.0.budget.bounds.at_once.saturating_add(TOLD);
        let room = Arc::new(Semaphore::new(most));
        let mut tasks = JoinSet::new();
        while let Some(Some((stream, permit))) =
            stop.run_until_cancelled(accept(&listener, &room)).await
        {
            while tasks.try_join_next().is_some() {}
            tasks.spawn(self.clone().connection(stream, permit, stop.clone()));
        }
        drop(listener);
        while tasks.join_next().await.is_some() {}
        Ok(())
    }

    async fn connection(
        self,
        stream: TcpStream,
        _permit: OwnedSemaphorePermit,
        stop: CancellationToken,
    ) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "answers of a connection may be held back");
        }
        let meter = Meter::new(Arc::clone(&self.0.budget));
        let mut seen = Seen { subject: None, kind: Kind::Unread, address: None };
        let served = self.0.serve(Begun::new(stream), &mut seen, &meter);
        let served = stop.run_until_cancelled(served).await;
        let served = served.unwrap_or_else(|| Ok(seen.kind != Kind::Unread));
        if matches!(served, Ok(false)) {
            return;
        }
        let reached = meter.reached().map(Refused::Bound);
        let connection = Connection {
            subject: seen.subject,
            kind: seen.kind,
            address: seen.address,
            bytes_out: meter.bytes_out(),
            bytes_in: meter.bytes_in(),
            lasted: meter.lasted(),
            refused: reached.or(served.err()),
        };
        if !(self.0.report)(&connection) {
            stop.cancel();
        }
    }
}

/// What is known of a connection.
struct Seen {
    subject: Option<String>,
    kind: Kind,
    address: Option<SocketAddr>,
}

impl Inner {
    /// Serves one connection; says whether there was anything to serve.
    async fn serve(
        &self,
        mut client: Begun,
        seen: &mut Seen,
        meter: &Arc<Meter>,
    ) -> Result<bool, Refused> {
        let asked = match self.head(&mut client).await {
            Ok(Some(asked)) => asked,
            Ok(None) => return Ok(false),
            Err(refused) => return Err(turn_away(client, refused).await),
        };
        let (head, length) = asked;
        seen.subject = Some(format!("{}:{}", head.host, head.port));
        let tunnels = matches!(head.wish, Wish::Tunnel);
        seen.kind = if tunnels { Kind::Tunnel } else { Kind::Request };
        let (server, _place) = match self.reach(&head, seen).await {
            Ok(reached) => reached,
            Err(refused) => return Err(turn_away(client, refused).await),
        };
        let server = Metered::new(server, Arc::clone(meter));
        if tunnels {
            client.advance(length);
            let place = (&head.host, head.port);
            tunnel(client, server, place, (meter, &self.budget.bounds)).await?;
        } else {
            plain::request(client, server, &head, meter).await?;
        }
        Ok(true)
    }

    /// The head of the one request of a connection; nothing if there is none.
    async fn head(&self, client: &mut Begun) -> Result<Option<(Head, usize)>, Refused> {
        let deadline = Instant::now() + self.budget.bounds.head;
        let mut looked = 0;
        loop {
            if is_worth_a_look(client.said(), looked)
                && let Some(read) = Head::read(client.said()).map_err(as_refused)?
            {
                return Ok(Some(read));
            }
            looked = client.said().len();
            match timeout_at(deadline, client.more()).await {
                Ok(Ok(true)) => {}
                // Who says nothing is not told anything either.
                Ok(Ok(false) | Err(_)) | Err(_) if client.said().is_empty() => return Ok(None),
                Ok(Ok(false) | Err(_)) => return Err(Refused::Malformed(HeadError::Line)),
                Err(_) => return Err(Refused::Late(Late::Head)),
            }
        }
    }

    /// A connection to where the request goes, if it may go there.
    async fn reach(
        &self,
        head: &Head,
        seen: &mut Seen,
    ) -> Result<(TcpStream, OwnedSemaphorePermit), Refused> {
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_| Refused::Bound(Bound::AtOnce))?;
        if self.allow.permits(&head.host, head.port).is_none() {
            return Err(Refused::NotListed);
        }
        if !self.budget.connection() {
            return Err(Refused::Bound(Bound::Connections));
        }
        let addresses = self.guard.listed(&head.host, head.port, &self.allow).await?;
        seen.address = addresses.first().copied();
        let deadline = Instant::now() + self.budget.bounds.connect;
        let stream = match dial(addresses, deadline).await {
            Ok(stream) => stream,
            Err(unanswered) => {
                self.guard.forget(&head.host.to_string());
                return Err(match unanswered {
                    Unanswered::Refused(error) => Refused::Unreachable(error.to_string()),
                    Unanswered::TimedOut => Refused::Late(Late::Connecting),
                });
            }
        };
        seen.address = stream.peer_addr().ok().or(seen.address);
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "requests of a connection may be held back");
        }
        Ok((stream, place))
    }
}

/// Whether what came after the first `looked` bytes may end a head, or makes it none: whoever sends
/// byte by byte does not have all of them read each time.
fn is_worth_a_look(said: &[u8], looked: usize) -> bool {
    let fresh = said.get(looked.saturating_sub(3)..).unwrap_or_default();
    let ends = || fresh.windows(4).any(|four| four == b"\r\n\r\n");
    let odd = || fresh.windows(2).any(|two| two == b"\n\n");
    !said.is_empty() && (looked == 0 || said.len() >= Head::MOST_BYTES || ends() || odd())
}

fn as_refused(problem: HeadError) -> Refused {
    match problem {
        HeadError::Host(problem) => Refused::Host(problem),
        HeadError::TooLarge
        | HeadError::TooMany
        | HeadError::Line
        | HeadError::LineEnd
        | HeadError::Header
        | HeadError::Target
        | HeadError::User
        | HeadError::Method
        | HeadError::HostHeader
        | HeadError::Framing => Refused::Malformed(problem),
    }
}

/// Says why, and waits a little for the program to read it: a connection that is closed while
/// something is unread takes the answer with it.
async fn turn_away(mut client: Begun, refused: Refused) -> Refused {
    let answer = refused.answer();
    let stream = client.stream();
    let telling = async {
        stream.write_all(&answer).await?;
        stream.shutdown().await?;
        let (mut buffer, mut read) = ([0; 4 << 10], 0);
        while read < LINGER_BYTES {
            match stream.read(&mut buffer).await? {
                0 => break,
                some => read += some,
            }
        }
        Ok::<_, io::Error>(())
    };
    // Whoever does not listen is not told.
    drop(timeout(LINGER, telling).await);
    refused
}

/// The next connection; nothing once there can be none.
async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let permit = room.clone().acquire_owned().await.ok()?;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return Some((stream, permit)),
            Err(error) => {
                tracing::debug!(%error, "a connection cannot be accepted");
                sleep(EXHAUSTED).await;
            }
        }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { allow, guard, .. } = self.0.as_ref();
        f.debug_struct("Proxy").field("allow", allow).field("guard", guard).finish_non_exhaustive()
    }
}
