//! TLS on both sides, with certificates made here.
use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use tagout_wire::http::{
    Access, Client, ClientOptions, HeaderMap, HttpError, Method, Roots, ServerLimits, Tls,
    TlsError, Uri,
};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio_util::sync::CancellationToken;

use crate::peers::{Seen, Served, rest, soon};

pub(crate) struct Files {
    folder: TempDir,
}

impl Files {
    pub(crate) fn new() -> Self {
        let files = Self { folder: tempfile::tempdir().unwrap() };
        files.renew();
        files
    }

    pub(crate) fn chain(&self) -> PathBuf {
        self.folder.path().join("chain.pem")
    }

    fn key(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }

    /// Writes a new certificate and its key; gives the certificate.
    fn renew(&self) -> String {
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        fs::write(self.chain(), made.cert.pem()).unwrap();
        write_key(&self.key(), &made.signing_key.serialize_pem(), 0o600);
        made.cert.pem()
    }

    pub(crate) fn load(&self) -> Result<Tls, TlsError> {
        Tls::load(&self.chain(), &self.key())
    }
}

fn write_key(path: &Path, pem: &str, mode: u32) {
    fs::write(path, pem).unwrap();
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

pub(crate) async fn served(tls: Tls) -> Served {
    let limits = ServerLimits { handshake: Duration::from_millis(200), ..ServerLimits::default() };
    Served::with(limits, Access::new(), Some(tls)).await
}

fn client(roots: &Path) -> Client {
    let roots = Roots::Pem(roots.to_owned());
    Client::new(ClientOptions { roots, ..ClientOptions::default() }).unwrap()
}

async fn what(client: &Client, server: &Served, host: &str) -> Result<Bytes, HttpError> {
    let uri: Uri = format!("https://{host}:{}/what", server.address.port()).parse().unwrap();
    let answer = client.send(Method::GET, &uri, HeaderMap::new(), Bytes::new()).await?;
    answer.body.collect(1000).await
}

#[tokio::test]
async fn both_sides_speak_tls() {
    let files = Files::new();
    let server = served(files.load().unwrap()).await;
    let client = client(&files.chain());
    for host in ["localhost", "127.0.0.1"] {
        let body = what(&client, &server, host).await.unwrap();
        assert_eq!(body, "GET /what None true");
        what(&client, &server, host).await.unwrap();
    }
    assert_eq!(server.probe.peers.lock().unwrap().len(), 2, "one connection a name");
}

#[tokio::test]
async fn who_is_not_trusted_is_not_spoken_to() {
    let (files, others) = (Files::new(), Files::new());
    let server = served(files.load().unwrap()).await;
    let error = what(&client(&others.chain()), &server, "localhost").await.unwrap_err();
    assert!(matches!(error, HttpError::Tls { .. }) && !error.reached(), "{error}");
    // Its certificate says 127.0.0.1, which is the same machine, but not the same name.
    let error = what(&client(&files.chain()), &server, "127.0.0.2").await.unwrap_err();
    assert!(matches!(error, HttpError::Refused { .. } | HttpError::Tls { .. }), "{error}");
    let error = what(&client(&files.chain()), &server, "[::1]").await.unwrap_err();
    assert!(matches!(error, HttpError::Refused { .. }), "{error}");
    assert_eq!(server.requests(), 0);
}

#[tokio::test]
async fn a_client_that_does_not_speak_tls_is_left() {
    let files = Files::new();
    let server = served(files.load().unwrap()).await;
    let plain = server.raw("GET /what HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(!plain.contains("HTTP/1.1"), "{plain}");
    let mut silent = server.connect().await;
    assert_eq!(rest(&mut silent).await, "", "the handshake has its time and no more");
    let mut slow = server.connect().await;
    slow.write_all(b"\x16\x03\x01").await.unwrap();
    assert_eq!(rest(&mut slow).await, "");
    assert_eq!(server.requests(), 0);
}

#[tokio::test]
async fn a_client_that_goes_is_noticed_through_tls() {
    let files = Files::new();
    let mut server = served(files.load().unwrap()).await;
    let client = client(&files.chain());
    let at = |path: &str| -> Uri {
        format!("https://localhost:{}/{path}", server.address.port()).parse().unwrap()
    };
    let (wait, stream) = (at("wait"), at("stream"));
    {
        let waits = client.send(Method::POST, &wait, HeaderMap::new(), Bytes::from_static(b"{}"));
        tokio::select! {
            answer = waits => panic!("{answer:?}"),
            seen = server.next() => assert!(matches!(seen, Seen::Waiting)),
        }
    }
    assert!(matches!(server.next().await, Seen::Dropped));
    let answer = client.send(Method::GET, &stream, HeaderMap::new(), Bytes::new()).await.unwrap();
    let sender = server.next_stream().await;
    sender.send(Bytes::from_static(b"data: 1\n\n")).await.unwrap();
    let mut events = answer.body.events(100);
    assert_eq!(events.next().await.unwrap().unwrap().data, "1");
    drop(events);
    soon(sender.closed()).await;
}

#[tokio::test]
async fn a_new_certificate_serves_new_connections() {
    let files = Files::new();
    let old = files.folder.path().join("old.pem");
    fs::copy(files.chain(), &old).unwrap();
    let tls = files.load().unwrap();
    let server = served(tls.clone()).await;
    let (before, late) = (client(&old), client(&old));
    what(&before, &server, "localhost").await.unwrap();
    assert!(!tls.reload().unwrap(), "it is the same");
    files.renew();
    assert!(tls.reload().unwrap());
    what(&before, &server, "localhost").await.expect("what is open stays open");
    what(&late, &server, "localhost").await.unwrap_err();
    what(&client(&files.chain()), &server, "localhost").await.unwrap();
    // What cannot be used changes nothing.
    let good = files.folder.path().join("good.pem");
    fs::copy(files.chain(), &good).unwrap();
    fs::write(files.chain(), "garbage").unwrap();
    tls.reload().unwrap_err();
    what(&client(&good), &server, "localhost").await.unwrap();
}

#[tokio::test]
async fn a_new_certificate_is_noticed() {
    let files = Files::new();
    let tls = files.load().unwrap();
    let server = served(tls.clone()).await;
    let stop = CancellationToken::new();
    let watch = tokio::spawn({
        let stop = stop.clone();
        async move { tls.watch(Duration::from_millis(10), stop).await }
    });
    for _ in 0..2 {
        files.renew();
        let renewed = async {
            while what(&client(&files.chain()), &server, "localhost").await.is_err() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        soon(renewed).await;
    }
    stop.cancel();
    soon(watch).await.unwrap();
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let (files, others) = (Files::new(), Files::new());
    let (chain, key) = (files.chain(), files.key());
    let empty = files.folder.path().join("empty.pem");
    write_key(&empty, "", 0o600);
    let exposed = files.folder.path().join("exposed.pem");
    fs::copy(&key, &exposed).unwrap();
    fs::set_permissions(&exposed, Permissions::from_mode(0o640)).unwrap();
    let large = files.folder.path().join("large.pem");
    fs::write(&large, vec![b'\n'; 5 << 20]).unwrap();
    let missing = files.folder.path().join("missing.pem");
    let said = |chain: &Path, key: &Path| {
        let said = Tls::load(chain, key).unwrap_err().to_string();
        said.replace(&format!("{}/", files.folder.path().display()), "")
            .replace(&format!("{}/", others.folder.path().display()), "../")
    };
    let cases = [
        (&missing, &key, "`missing.pem` cannot be read"),
        (&chain, &missing, "`missing.pem` cannot be read"),
        (&large, &key, "`large.pem` is larger than 4194304 bytes"),
        (&empty, &key, "`empty.pem` holds no certificate in PEM: no items found"),
        (&key, &key, "`key.pem` holds no certificate in PEM: no items found"),
        (&chain, &empty, "`empty.pem` holds no private key in PEM: no items found"),
        (
            &chain,
            &exposed,
            "`exposed.pem` can be used by others than its owner (mode 640): make it 600",
        ),
        (
            &chain,
            &others.key(),
            "the certificate in `chain.pem` and the key in `../key.pem` cannot be used: \
             keys may not be consistent: KeyMismatch",
        ),
    ];
    for (chain, key, expected) in cases {
        assert_eq!(said(chain, key), expected);
    }
    let roots = Roots::Pem(empty);
    assert!(Client::new(ClientOptions { roots, ..ClientOptions::default() }).is_err());
}
