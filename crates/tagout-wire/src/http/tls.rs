//! A server's certificate, which can be replaced while it serves.
use std::{
    fs::{File, Metadata},
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, ring},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject as _};
use tokio::{
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// A certificate chain with its key, from two PEM files. Cheap to clone; all clones have the same
/// certificate at any time. TLS 1.2 and 1.3.
#[derive(Clone)]
pub struct Tls {
    files: Arc<Files>,
    current: Arc<Current>,
    acceptor: TlsAcceptor,
}

#[derive(Debug)]
struct Files {
    chain: PathBuf,
    key: PathBuf,
}

/// The certificate for the next handshake.
#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("`{}` cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file is larger than any certificate or key.
    #[error("`{}` is larger than {limit} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit, in bytes.
        limit: u64,
    },
    /// Others than its owner may use the key.
    #[error("`{}` can be used by others than its owner (mode {mode:03o}): make it 600", path.display())]
    KeyExposed {
        /// The key's file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A file is not PEM, or there is nothing of the kind in it.
    #[error("`{}` holds no {wanted} in PEM: {problem}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What should be in it.
        wanted: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// Key and certificate cannot be used, or not together.
    #[error("the certificate in `{}` and the key in `{}` cannot be used: {problem}", chain.display(), key.display())]
    Unusable {
        /// The certificates' file.
        chain: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A certificate to trust cannot be used.
    #[error("no certificate to trust can be used: {problem}")]
    Roots {
        /// What is wrong.
        problem: String,
    },
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Tls {
    /// Loads a certificate chain, the server's own first, and its key.
    ///
    /// # Errors
    /// By variant, see [`TlsError`].
    pub fn load(cert_chain: &Path, key: &Path) -> Result<Self, TlsError> {
        let files = Files { chain: cert_chain.to_owned(), key: key.to_owned() };
        let current = Arc::new(Current(RwLock::new(Arc::new(files.load()?))));
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| files.unusable(&error))?
            .with_no_client_auth()
            .with_cert_resolver(current.clone());
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Ok(Self { files: Arc::new(files), current, acceptor })
    }

    /// Reads the files again, for connections from now on; says whether the certificate is another.
    /// Blocks for as long as reading them takes.
    ///
    /// # Errors
    /// As [`Tls::load`]; the certificate then stays what it was.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let new = self.files.load()?;
        let mut current = self.current.0.write().unwrap_or_else(PoisonError::into_inner);
        let changed = new.cert != current.cert;
        *current = Arc::new(new);
        Ok(changed)
    }

    /// Looks at the files every so often and reloads them when they changed, until `stop` is
    /// cancelled. What cannot be loaded is logged and tried again.
    pub async fn watch(&self, every: Duration, stop: CancellationToken) {
        let mut clock = interval(every.max(Duration::from_millis(1)));
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // What they were when they were loaded is not known: the first look reloads.
        let (mut loaded, mut said) = (None, None);
        while stop.run_until_cancelled(clock.tick()).await.is_some() {
            let this = self.clone();
            let look = spawn_blocking(move || {
                let stamps = this.files.stamps();
                (stamps, (stamps != loaded).then(|| this.reload()))
            });
            let Ok((stamps, result)) = look.await else { continue };
            match result {
                None => {}
                Some(Ok(changed)) => {
                    loaded = stamps;
                    if changed {
                        tracing::info!(chain = %self.files.chain.display(), "new certificate");
                    }
                }
                Some(Err(error)) if said != stamps => {
                    said = stamps;
                    tracing::warn!(%error, "the certificate was not reloaded");
                }
                Some(Err(_)) => {}
            }
        }
    }

    pub(super) fn acceptor(&self) -> &TlsAcceptor {
        &self.acceptor
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Device, file, length, and time of the last change of each of both files.
type Stamps = Option<[(u64, u64, u64, i64, i64); 2]>;

impl Files {
    fn load(&self) -> Result<CertifiedKey, TlsError> {
        let chain = certificates(&self.chain)?;
        let (pem, metadata) = read(&self.key)?;
        let mode = metadata.mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(TlsError::KeyExposed { path: self.key.clone(), mode });
        }
        let key = PrivateKeyDer::from_pem_slice(&pem)
            .map_err(|error| malformed(&self.key, "private key", &error))?;
        CertifiedKey::from_der(chain, key, &provider()).map_err(|error| self.unusable(&error))
    }

    fn unusable(&self, error: &rustls::Error) -> TlsError {
        let (chain, key) = (self.chain.clone(), self.key.clone());
        TlsError::Unusable { chain, key, problem: error.to_string() }
    }

    fn stamps(&self) -> Stamps {
        let stamp = |path: &Path| {
            let file = std::fs::metadata(path).ok()?;
            Some((file.dev(), file.ino(), file.len(), file.mtime(), file.mtime_nsec()))
        };
        Some([stamp(&self.chain)?, stamp(&self.key)?])
    }
}

/// All certificates of a PEM file; at least one.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let (pem, _) = read(path)?;
    let certificates = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| malformed(path, "certificate", &error))?;
    if certificates.is_empty() {
        return Err(malformed(path, "certificate", &pem::Error::NoItemsFound));
    }
    Ok(certificates)
}

fn malformed(path: &Path, wanted: &'static str, error: &pem::Error) -> TlsError {
    TlsError::Malformed { path: path.to_owned(), wanted, problem: error.to_string() }
}

/// More than chains and keys, and a bundle of roots, ever are.
const MOST_BYTES: u64 = 4 << 20;

fn read(path: &Path) -> Result<(Vec<u8>, Metadata), TlsError> {
    let failed = |source| TlsError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    let mut bytes = Vec::new();
    #[expect(clippy::disallowed_methods, reason = "bounded by `take`")]
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > MOST_BYTES) {
        return Err(TlsError::TooLarge { path: path.to_owned(), limit: MOST_BYTES });
    }
    Ok((bytes, metadata))
}
