//! A `llama-server` for one file, as long as it is used.
use std::{
    env,
    ffi::{OsStr, OsString},
    fmt::Write as _,
    io::{self, IsTerminal as _, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use tagout_llm::Row;
use tagout_proto::Secret;
use tagout_sandbox::{Child, Exit, Jailer, Profile, SpawnError, resolve, spawn};
use tokio_util::sync::CancellationToken;

use super::{ModelFile, doorkeeper::Doorkeeper, tail::Tail};
use crate::{
    failure::{Ended, Failure},
    output,
    places::Places,
};

/// What it is called where nothing else is configured.
const PROGRAM: &str = "llama-server";
/// How long a model may take to be loaded: large ones come from slow disks.
const LOADING: Duration = Duration::from_secs(600);
/// How often a model that is loading is looked at.
const ROUND: Duration = Duration::from_millis(50);
/// How long one look may take.
const LOOK: Duration = Duration::from_secs(2);
/// How often another port is tried, when somebody else was quicker.
const TRIES: usize = 3;
/// Bytes of a status line.
const STATUS_BYTES: usize = 12;

/// A running `llama-server`. It ends with this value, and with this process however that ends.
pub(super) struct Server {
    child: Child,
    port: u16,
    key: Secret<String>,
    said: Tail,
    doorkeeper: Doorkeeper,
    /// The server reads the model through this process.
    file: ModelFile,
}

/// Why a server that was started does not serve.
enum Unready {
    Ended(Exit),
    TooSlow,
    /// The model's file was written to meanwhile.
    Written,
    /// What answers is somebody else.
    Foreign,
    /// Nobody waits for it any more.
    Unwanted,
}

impl Server {
    /// Starts it, and waits until the model is loaded, or until it is to `stop`.
    pub(super) fn start(
        places: &Places,
        row: &Row,
        file: ModelFile,
        stop: &CancellationToken,
    ) -> Result<Self, Failure> {
        let program = program(places, row)?;
        let mut file = file;
        let mut tries = 1;
        loop {
            let server = Self::started(places, row, (&program, file))?;
            let Err(unready) = server.is_ready(stop) else { return Ok(server) };
            // Somebody may have taken the port since it was free.
            let taken = match unready {
                Unready::Ended(_) => server.said.lines(server.key.expose(), true).contains("bind"),
                Unready::Foreign => true,
                Unready::TooSlow | Unready::Written | Unready::Unwanted => false,
            };
            if !taken || tries >= TRIES {
                return Err(server.failed(&unready));
            }
            tries += 1;
            file = server.file;
        }
    }

    fn started(
        places: &Places,
        row: &Row,
        (program, file): (&Path, ModelFile),
    ) -> Result<Self, Failure> {
        let port = free_port().map_err(|error| not_started(program, &error.to_string()))?;
        let key = key().map_err(|error| not_started(program, &error))?;
        let mut profile = Profile::new(program);
        profile.args = arguments(&file, port, row)?;
        // Neither in its arguments, which everybody can read, nor in a file.
        profile.env.insert("LLAMA_API_KEY".into(), key.expose().into());
        // It looks for a folder of its own, and without a home some versions do not get over that.
        profile.env.insert("LLAMA_CACHE".into(), places.state.join("llama-cache").into());
        let spawned = spawn(&profile, &Jailer::this_program());
        let mut child = spawned.map_err(|error| not_started(program, &told(&error)))?;
        let doorkeeper = Doorkeeper::of(&child);
        drop(child.stdin.take());
        let said = Tail::default();
        for stream in [child.stdout.take(), child.stderr.take()].into_iter().flatten() {
            said.follow(stream);
        }
        Ok(Self { child, port, key, said, doorkeeper, file })
    }

    /// Where it is reached.
    pub(super) fn url(&self) -> String {
        format!("http://{}:{}/v1", Ipv4Addr::LOCALHOST, self.port)
    }

    /// What it wants to be shown.
    pub(super) fn key(&self) -> Secret<String> {
        Secret::new(self.key.expose().clone())
    }

    /// Who looks at every connection to it before anything is sent.
    pub(super) const fn doorkeeper(&self) -> Doorkeeper {
        self.doorkeeper
    }

    /// How it ended, and its last words, if it did.
    pub(super) fn ended(&self) -> Option<String> {
        let exit = self.child.try_wait()?;
        Some(self.last_words(&format!("llama-server ended: {exit}"), true))
    }

    fn is_ready(&self, stop: &CancellationToken) -> Result<(), Unready> {
        let shows = io::stderr().is_terminal();
        let ready = self.loaded(stop, shows);
        if shows && !stop.is_cancelled() {
            output::progress("");
        }
        ready
    }

    fn loaded(&self, stop: &CancellationToken, shows: bool) -> Result<(), Unready> {
        let began = Instant::now();
        let mut shown = None;
        while began.elapsed() < LOADING {
            if stop.is_cancelled() {
                return Err(Unready::Unwanted);
            }
            if let Some(exit) = self.child.try_wait() {
                return Err(Unready::Ended(exit));
            }
            if self.is_healthy() {
                // What answers may be somebody else, while this one is just about to give up.
                return match () {
                    () if !self.doorkeeper.listens(self.port) => Err(Unready::Foreign),
                    () if !self.file.is_as_it_was() => Err(Unready::Written),
                    () => Ok(()),
                };
            }
            let seconds = began.elapsed().as_secs();
            if shows && shown != Some(seconds) {
                shown = Some(seconds);
                output::progress(format_args!("llama-server loads the model: {seconds} s"));
            }
            thread::sleep(ROUND);
        }
        Err(Unready::TooSlow)
    }

    /// Whether it says that it can be asked.
    fn is_healthy(&self) -> bool {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let asked = || -> io::Result<[u8; STATUS_BYTES]> {
            let mut stream = TcpStream::connect_timeout(&address, LOOK)?;
            stream.set_read_timeout(Some(LOOK))?;
            stream.set_write_timeout(Some(LOOK))?;
            let host = format!("host: {address}\r\nconnection: close");
            write!(stream, "GET /health HTTP/1.1\r\n{host}\r\n\r\n")?;
            let mut status = [0; STATUS_BYTES];
            stream.read_exact(&mut status)?;
            Ok(status)
        };
        asked().is_ok_and(|status| status == *b"HTTP/1.1 200")
    }

    fn failed(&self, unready: &Unready) -> Failure {
        let ended = matches!(unready, Unready::Ended(_));
        let what = match unready {
            Unready::Ended(exit) => {
                format!("llama-server ended before the model was loaded: {exit}")
            }
            Unready::TooSlow => {
                format!("llama-server did not load the model within {} s", LOADING.as_secs())
            }
            Unready::Written => {
                let message = format!("`{}` was written to while it was loaded", self.path());
                return Failure::new(Ended::Refused, "model-changed", message)
                    .with_help("wait until nobody writes to it, then pin it again");
            }
            Unready::Unwanted => "nobody waits for llama-server any more".to_owned(),
            Unready::Foreign => {
                "what answers at the port of llama-server is no process of it".to_owned()
            }
        };
        Failure::new(Ended::Failed, "model-server", self.last_words(&what, ended))
            .with_help("try llama-server with the file by itself: llama-server --model FILE")
    }

    fn path(&self) -> String {
        self.file.path().display().to_string()
    }

    fn last_words(&self, what: &str, ended: bool) -> String {
        let mut said = self.said.lines(self.key.expose(), ended);
        if let Ok(held) = self.file.held() {
            // It knows the file by another name than whoever reads this.
            said = said.replace(&held.display().to_string(), &self.path());
        }
        if said.is_empty() { what.to_owned() } else { format!("{what}; its last words:\n{said}") }
    }
}

/// The program that is configured, or the one that is found.
fn program(places: &Places, row: &Row) -> Result<PathBuf, Failure> {
    let name = row.program.as_deref().unwrap_or(PROGRAM);
    let search = env::var_os("PATH").unwrap_or_default();
    let found = resolve(OsStr::new(name), &search, places.folder());
    found.map_err(|error| {
        let help = "install llama.cpp (`brew install llama.cpp`, `nix profile install \
                    nixpkgs#llama-cpp`, or a release of github.com/ggml-org/llama.cpp), or name the \
                    program: `[provider.local] program = \"/…/llama-server\"`";
        Failure::usage("model-server-missing", error, help)
    })
}

fn arguments(file: &ModelFile, port: u16, row: &Row) -> Result<Vec<OsString>, Failure> {
    let mut arguments: Vec<OsString> = vec!["--model".into(), file.held()?.into()];
    let texts = [
        ("--alias", file.model().name().to_owned()),
        ("--host", Ipv4Addr::LOCALHOST.to_string()),
        ("--port", port.to_string()),
        ("--ctx-size", row.settings.num_ctx.to_string()),
        // One conversation at a time, which has the whole context.
        ("--parallel", "1".to_owned()),
    ];
    arguments.extend(texts.into_iter().flat_map(|(name, value)| [name.into(), value.into()]));
    // Tools need the model's own template; nobody looks at its pages, and it has nothing to fetch.
    arguments.extend(["--jinja", "--no-webui", "--offline"].map(OsString::from));
    Ok(arguments)
}

/// A port that nobody listens on now.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// A key that was drawn for this start.
fn key() -> Result<Secret<String>, String> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|error| error.to_string())?;
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let written = write!(text, "{byte:02x}");
        debug_assert!(written.is_ok(), "writing to a string does not fail");
    }
    Ok(Secret::new(text))
}

fn told(error: &SpawnError) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    format!("{error}{}", cause.unwrap_or_default())
}

fn not_started(program: &Path, problem: &str) -> Failure {
    let message = format!("`{}` cannot be started: {problem}", program.display());
    Failure::new(Ended::Failed, "model-server", message)
}
