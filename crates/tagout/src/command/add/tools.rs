//! Package managers, started as everything is: by the jailer, in an environment that is put together
//! here. They need the network and the machine's own programs, so they are not isolated; they run
//! nothing of what they fetch.
use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::File,
    io::Read as _,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tagout_sandbox::{Child, Jailer, Profile, resolve, spawn};
use tagout_supply::{MOST_ATTESTATION_BYTES, Order, Runner, Said};
use tagout_wire::http::{Client, ClientOptions, HeaderMap, HeaderValue, Method, Uri};

/// What of this process's environment says how the network is reached, and where packages are.
const PASSED: [&str; 21] = [
    "PATH",
    "LANG",
    "LC_ALL",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
    "REQUESTS_CA_BUNDLE",
    "PIP_CERT",
    "PIP_INDEX_URL",
    "PIP_DEFAULT_TIMEOUT",
    "npm_config_registry",
    "npm_config_cafile",
    "npm_config_proxy",
    "npm_config_https_proxy",
    "NODE_USE_ENV_PROXY",
];
/// How much of what they write is kept, in bytes.
const STDOUT: usize = 16 << 20;
const STDERR: usize = 64 << 10;
/// How often it is looked whether one has ended.
const ROUND: Duration = Duration::from_millis(10);
/// How long a registry may take to begin with an answer.
const ANSWER: Duration = Duration::from_secs(30);

/// Runs package managers.
pub(super) struct Tools {
    env: BTreeMap<OsString, OsString>,
}

impl Tools {
    pub(super) fn new() -> Self {
        let set = PASSED.iter().filter_map(|name| Some(((*name).into(), std::env::var_os(name)?)));
        // A password in a URL is a credential, and nobody's but the user's.
        let plain =
            set.filter(|(name, value): &(OsString, OsString)| !holds_credential(name, value));
        Self { env: plain.collect() }
    }
}

fn holds_credential(name: &OsString, value: &OsString) -> bool {
    let text = value.to_string_lossy();
    // A proxy need not be a URL.
    if name.to_string_lossy().to_lowercase().ends_with("proxy") {
        return text.contains('@');
    }
    let authority = text.split_once("://").map(|(_, rest)| rest.split(['/', '?']).next());
    authority.flatten().is_some_and(|authority| authority.contains('@'))
}

impl Runner for Tools {
    fn find(&self, name: &str) -> Option<PathBuf> {
        let search = self.env.get(&OsString::from("PATH")).cloned().unwrap_or_default();
        resolve(name.as_ref(), &search, Path::new("/")).ok()
    }

    fn run(&self, order: &Order) -> Result<Said, String> {
        let mut profile = Profile::new(&order.program);
        profile.args = order.args.iter().map(OsString::from).collect();
        profile.env = self.env.clone();
        profile.env.extend(order.env.iter().map(|(name, value)| (name.into(), value.into())));
        profile.cwd = Some(order.cwd.clone());
        let mut child = spawn(&profile, &Jailer::this_program()).map_err(|e| e.to_string())?;
        drop(child.stdin.take());
        let stdout = followed(child.stdout.take(), STDOUT, false);
        let stderr = followed(child.stderr.take(), STDERR, true);
        let success = ended(&child, order.patience)?;
        Ok(Said { success, stdout: text(stdout), stderr: text(stderr) })
    }

    fn fetch(&self, url: &str, media: &str) -> Result<Option<Vec<u8>>, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(|error| error.to_string())?.block_on(fetched(url, media))
    }
}

/// Whether it ended well, in time.
fn ended(child: &Child, patience: Duration) -> Result<bool, String> {
    let began = Instant::now();
    loop {
        if let Some(exit) = child.try_wait() {
            return Ok(exit.success());
        }
        if began.elapsed() > patience {
            child.kill();
            return Err(format!("it took longer than {} s", patience.as_secs()));
        }
        thread::sleep(ROUND);
    }
}

/// Reads all of a stream, and keeps as much as there is room for: the first of it, or the last.
fn followed(stream: Option<OwnedFd>, room: usize, last: bool) -> Option<JoinHandle<Vec<u8>>> {
    let mut stream = File::from(stream?);
    Some(thread::spawn(move || {
        let (mut kept, mut buffer) = (Vec::new(), vec![0; 16 << 10]);
        while let Ok(read @ 1..) = stream.read(&mut buffer) {
            let new = buffer.get(..read).unwrap_or_default();
            if last {
                kept.extend_from_slice(new);
                let over = kept.len().saturating_sub(room);
                drop(kept.drain(..over));
            } else {
                kept.extend(new.iter().take(room - kept.len()));
            }
        }
        kept
    }))
}

fn text(stream: Option<JoinHandle<Vec<u8>>>) -> String {
    let bytes = stream.and_then(|stream| stream.join().ok()).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

async fn fetched(url: &str, media: &str) -> Result<Option<Vec<u8>>, String> {
    let uri: Uri = url.parse().map_err(|_| format!("`{url}` is no URL"))?;
    let options = ClientOptions { answer: ANSWER, ..ClientOptions::default() };
    let client = Client::new(options).map_err(|error| error.to_string())?;
    let mut headers = HeaderMap::new();
    let wanted = HeaderValue::from_str(media).map_err(|error| error.to_string())?;
    headers.insert("accept", wanted);
    let answer = client.send(Method::GET, &uri, headers, Vec::new().into()).await;
    let answer = answer.map_err(|error| error.to_string())?;
    let kind = answer.headers.get("content-type").and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    match answer.status.as_u16() {
        200 if kind == media || kind == "application/json" => {
            let body = answer.body.collect(MOST_ATTESTATION_BYTES).await;
            Ok(Some(body.map_err(|error| error.to_string())?.to_vec()))
        }
        200 | 404 | 406 => Ok(None),
        status => Err(format!("the registry answered with HTTP status {status}")),
    }
}
