//! New connections to servers.
use std::{
    io,
    pin::Pin,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, timeout_at},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    client::{ClientOptions, Roots},
    error::HttpError,
    line::Line,
    pool::{Pool, Target},
    tls::{TlsError, certificates, provider},
    vet::{Ends, Vet},
};
use crate::egress::{Denied, Guard, Unanswered, dial};

/// Makes connections.
#[derive(Debug)]
pub(super) struct Connector {
    /// Made when first needed, unless the roots are given.
    tls: OnceLock<Arc<ClientConfig>>,
    patience: Duration,
    builder: http1::Builder,
    guard: Guard,
    vet: Option<Arc<dyn Vet>>,
}

/// The smallest buffer that hyper takes.
const LEAST_BUFFER: usize = 8 << 10;
/// What a connection reads ahead of whoever takes its bytes.
const BUFFER: usize = 64 << 10;

impl Connector {
    pub(super) fn new(options: ClientOptions) -> Result<Self, TlsError> {
        let mut builder = http1::Builder::new();
        builder.max_header_size(options.header_bytes);
        builder.max_buf_size(options.header_bytes.max(BUFFER).max(LEAST_BUFFER));
        let tls = OnceLock::new();
        if let Roots::Pem(path) = &options.roots {
            let given = config(certificates(path)?)?;
            tls.get_or_init(|| given);
        }
        Ok(Self { tls, patience: options.connect, builder, guard: options.guard, vet: None })
    }

    /// The same, with somebody who looks at every connection.
    pub(super) fn vetted_by(self, vet: Arc<dyn Vet>) -> Self {
        Self { vet: Some(vet), ..self }
    }

    /// A connection to `target`.
    pub(super) async fn connect(
        &self,
        target: &Target,
        pool: Weak<Pool>,
    ) -> Result<Box<Line>, HttpError> {
        let deadline = Instant::now() + self.patience;
        let late = |_| HttpError::TimedOut { reached: false };
        let stream = timeout_at(deadline, self.stream(target, deadline)).await.map_err(late)??;
        let wrote = stream.wrote();
        let failed = |error: hyper::Error| HttpError::broken(false, &error);
        let (sender, connection) =
            self.builder.handshake(TokioIo::new(stream)).await.map_err(failed)?;
        Ok(Box::new(Line::new(sender, Box::pin(connection), wrote, target.clone(), pool)))
    }

    async fn stream(&self, target: &Target, deadline: Instant) -> Result<Stream, HttpError> {
        let tcp = self.dial(target, deadline).await?;
        if let Some(vet) = &self.vet {
            look(vet.as_ref(), &tcp, target).await?;
        }
        if let Err(error) = tcp.set_nodelay(true) {
            tracing::debug!(%error, "requests of a connection may be held back");
        }
        let tcp = Counted { stream: tcp, wrote: Arc::default() };
        if !target.secure {
            return Ok(Stream::Plain(tcp));
        }
        let host = bare(target.authority.host());
        let failed = |problem: String| HttpError::Tls { host: host.to_owned(), problem };
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| failed("no certificate can be for such a name".to_owned()))?;
        let config = self.tls().map_err(|error| failed(error.to_string()))?;
        let tls = TlsConnector::from(config).connect(name, tcp).await;
        Ok(Stream::Tls(Box::new(tls.map_err(|error| failed(error.to_string()))?)))
    }

    /// A connection to an address that the guard has looked at.
    async fn dial(&self, target: &Target, deadline: Instant) -> Result<TcpStream, HttpError> {
        let port = target.authority.port_u16().unwrap_or(if target.secure { 443 } else { 80 });
        let host = target.authority.host();
        let addresses = self.guard.own(host, port).await.map_err(denied)?;
        dial(addresses, deadline).await.map_err(|unanswered| {
            self.guard.forget(host);
            match unanswered {
                Unanswered::TimedOut => HttpError::TimedOut { reached: false },
                Unanswered::Refused(source) => {
                    HttpError::Refused { address: format!("{host}:{port}"), source }
                }
            }
        })
    }

    fn tls(&self) -> Result<Arc<ClientConfig>, TlsError> {
        if let Some(config) = self.tls.get() {
            return Ok(config.clone());
        }
        let system = rustls_native_certs::load_native_certs();
        let config = config(system.certs)?;
        Ok(self.tls.get_or_init(|| config).clone())
    }
}

fn config(
    roots: Vec<rustls_pki_types::CertificateDer<'static>>,
) -> Result<Arc<ClientConfig>, TlsError> {
    let mut store = RootCertStore::empty();
    let (taken, _) = store.add_parsable_certificates(roots);
    if taken == 0 {
        let problem = "there is none that can be read".to_owned();
        return Err(TlsError::Roots { problem });
    }
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::Roots { problem: error.to_string() })?
        .with_root_certificates(store)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn denied(denied: Denied) -> HttpError {
    match denied {
        Denied::Unknown { host, problem } => {
            HttpError::Dns { host, source: io::Error::other(problem) }
        }
        Denied::Slow { .. } => HttpError::TimedOut { reached: false },
        Denied::Host { .. } | Denied::NotListed { .. } | Denied::Address { .. } => {
            HttpError::Denied(denied)
        }
    }
}

async fn look(vet: &dyn Vet, tcp: &TcpStream, target: &Target) -> Result<(), HttpError> {
    let stranger = |problem| HttpError::Stranger { address: target.authority.to_string(), problem };
    let ends = tcp.local_addr().and_then(|own| Ok(Ends { own, peer: tcp.peer_addr()? }));
    let ends = ends.map_err(|error| stranger(error.to_string()))?;
    vet.vet(ends).await.map_err(stranger)
}

/// Without the brackets of an IPv6 address.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// A stream that knows whether the system has taken any byte since it was asked to look.
pub(super) struct Counted {
    stream: TcpStream,
    wrote: Arc<AtomicBool>,
}

/// How the bytes travel.
pub(super) enum Stream {
    Plain(Counted),
    Tls(Box<TlsStream<Counted>>),
}

impl Stream {
    fn wrote(&self) -> Arc<AtomicBool> {
        match self {
            Self::Plain(stream) => stream.wrote.clone(),
            Self::Tls(stream) => stream.get_ref().0.wrote.clone(),
        }
    }
}

impl Counted {
    fn seen(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if matches!(result, Poll::Ready(Ok(1..))) {
            self.wrote.store(true, Ordering::Relaxed);
        }
        result
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.seen(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, pieces);
        self.seen(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, pieces),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_write_vectored(cx, pieces),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
        }
    }
}
