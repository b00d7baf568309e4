//! A server's program: found, held against the lockfile, started, greeted.
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use sha2::Digest as _;
use tagout_proto::{Digest, Method, Revision, quoted};
use tagout_sandbox::{Jailer, Profile, resolve};
use tagout_wire::{Incoming, outgoing};
use tokio::{
    io::AsyncReadExt as _,
    net::unix::pipe::{Receiver, Sender},
};

use super::{Connection, Upstream, UpstreamError};
use crate::{
    config::{Server, Start},
    lockfile::{PinnedFile, PinnedServer},
};

/// What a server is started by, found but not looked into.
#[derive(Clone, Debug)]
pub struct Program {
    /// Completely what is started.
    pub profile: Result<Profile, UpstreamError>,
    /// The names of the variables that its entry gives it, whether they are set or not.
    pub variables: Vec<String>,
    /// Whether it is this very program, which needs no pin.
    pub built_in: bool,
}

/// What `server` is started by. Relative programs are looked for in the gateway's `PATH`.
#[must_use]
pub fn start_of(server: &Server, own: &Path) -> Program {
    match &server.start {
        Start::BuiltIn(which) => {
            let mut profile = Profile::new(own);
            profile.args = vec![which.subcommand().into()];
            Program { profile: Ok(profile), variables: Vec::new(), built_in: true }
        }
        Start::Command(command) => {
            let search = std::env::var_os("PATH").unwrap_or_default();
            let here = command.cwd.clone().or_else(|| std::env::current_dir().ok());
            let here = here.unwrap_or_else(|| PathBuf::from("/"));
            let found = resolve(command.program.as_ref(), &search, &here);
            let profile = found.map_err(|e| UpstreamError::Spawn(Arc::new(e))).map(|program| {
                let mut profile = Profile::new(program);
                profile.args = command.args.iter().map(OsString::from).collect();
                let passed = command.pass_env.iter();
                let passed = passed.filter_map(|name| Some((name.into(), std::env::var_os(name)?)));
                let named = command.env.iter();
                let named = named.map(|(name, value)| (name.into(), value.expose().into()));
                profile.env = passed.chain(named).collect::<BTreeMap<OsString, OsString>>();
                profile.cwd = command.cwd.clone();
                profile
            });
            let variables: BTreeSet<_> = command.env.keys().chain(&command.pass_env).collect();
            let variables = variables.into_iter().cloned().collect();
            Program { profile, variables, built_in: false }
        }
    }
}

impl Program {
    /// What the lockfile should say of it. Reads the program's file whole.
    ///
    /// # Errors
    /// It was not found, or cannot be read.
    pub fn pin(&self) -> Result<PinnedServer, UpstreamError> {
        if self.built_in {
            return Ok(PinnedServer::default());
        }
        let profile = self.profile.as_ref().map_err(Clone::clone)?;
        let unreadable = |path: &Path, error: io::Error| {
            UpstreamError::Unchecked(format!("cannot read `{}`: {error}", path.display()))
        };
        let text = |part: &OsString| part.to_string_lossy().into_owned();
        let mut command = vec![profile.program.to_string_lossy().into_owned()];
        command.extend(profile.args.iter().map(text));
        let executable =
            digest_of_file(&profile.program).map_err(|e| unreadable(&profile.program, e))?;
        let mut files = Vec::new();
        for path in code(profile) {
            let digest = digest_of_file(&path).map_err(|e| unreadable(&path, e))?;
            files.push(PinnedFile { path, digest });
        }
        Ok(PinnedServer {
            command: Some(command),
            executable: Some(executable),
            files,
            environment: self.variables.clone(),
            cwd: profile.cwd.clone(),
            ..PinnedServer::default()
        })
    }

    /// Holds the program against what was pinned of it.
    fn check(&self, pinned: Option<&PinnedServer>) -> Result<(), UpstreamError> {
        let Some(pinned) = pinned.filter(|pinned| pinned.command.is_some()) else { return Ok(()) };
        let found = self.pin()?;
        let changed = |what: &str| Err(UpstreamError::Changed(what.to_owned()));
        if found.command != pinned.command {
            return changed("its command line differs");
        }
        if found.executable != pinned.executable {
            return changed("the program's file differs");
        }
        if found.files != pinned.files {
            return changed("a file that it is started with differs");
        }
        if found.environment != pinned.environment || found.cwd != pinned.cwd {
            return changed("its environment or its working directory differs");
        }
        Ok(())
    }
}

/// Programs that run the first file among their arguments.
const INTERPRETERS: &[&str] = &[
    "node", "nodejs", "python", "pypy", "ruby", "perl", "deno", "bun", "bash", "sh", "dash", "zsh",
    "php", "java", "env", "uv", "tsx",
];

/// Endings of files that interpreters run.
const CODE: &[&str] = &[
    "js", "mjs", "cjs", "jsx", "ts", "mts", "cts", "tsx", "py", "pyc", "pyz", "rb", "pl", "php",
    "sh", "lua", "jar", "wasm", "r",
];

/// The files among the arguments that are code: by their ending, or because they may be executed.
/// Data that a server is started on may change.
fn code(profile: &Profile) -> Vec<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    let here = profile.cwd.clone().unwrap_or_else(|| PathBuf::from("/"));
    let name = profile.program.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = name.unwrap_or_default();
    let plain = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    let interprets = INTERPRETERS.contains(&plain);
    let mut paths = Vec::new();
    for argument in &profile.args {
        // `--import=/x.js` names a file too.
        let text = argument.to_string_lossy();
        let named = text.split_once('=').filter(|_| text.starts_with('-')).map(|(_, value)| value);
        let path = here.join(named.unwrap_or(&text));
        let Ok(about) = path.metadata() else { continue };
        let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase());
        let is_code = ending.is_some_and(|ending| CODE.contains(&ending.as_str()))
            || about.permissions().mode() & 0o111 != 0
            // The first file of an interpreter is what it runs, whatever it is called.
            || (interprets && paths.is_empty());
        if about.is_file() && is_code && !paths.contains(&path) {
            paths.push(path);
        }
    }
    paths
}

fn digest_of_file(path: &Path) -> io::Result<Digest> {
    let mut file = File::open(path)?;
    let mut hash = sha2::Sha256::new();
    let mut buffer = vec![0; 128 << 10];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(Digest::from_bytes(hash.finalize().into()));
        }
        hash.update(buffer.get(..read).unwrap_or_default());
    }
}

/// Starts the server and shakes hands with it.
pub(super) async fn start(
    upstream: &Upstream,
    pinned: Option<&PinnedServer>,
) -> Result<Arc<Connection>, UpstreamError> {
    let (program, pinned) = (upstream.program.clone(), pinned.cloned());
    let starting = tokio::task::spawn_blocking(move || {
        program.check(pinned.as_ref())?;
        let profile = program.profile?;
        tagout_sandbox::spawn(&profile, &Jailer::this_program())
            .map_err(|e| UpstreamError::Spawn(Arc::new(e)))
    });
    let mut child = starting.await.map_err(|e| UpstreamError::Unchecked(e.to_string()))??;
    let broken = |e: io::Error| UpstreamError::Handshake(e.to_string());
    let pipe = || UpstreamError::Handshake("it was started without pipes".to_owned());
    let stdin = Sender::from_owned_fd(child.stdin.take().ok_or_else(pipe)?).map_err(broken)?;
    let stdout = Receiver::from_owned_fd(child.stdout.take().ok_or_else(pipe)?).map_err(broken)?;
    let stderr = Receiver::from_owned_fd(child.stderr.take().ok_or_else(pipe)?).map_err(broken)?;
    tokio::spawn(drain(upstream.name.to_string(), stderr));
    let (out, _writer) = outgoing(stdin);
    let incoming = Incoming::new(stdout, upstream.limits.frame.frame_bytes);
    let frame = upstream.limits.frame;
    let connection = Connection::open(
        child,
        (incoming, out),
        frame,
        (upstream.name.clone(), upstream.events.clone()),
    );
    greet(upstream, &connection).await?;
    Ok(connection)
}

async fn greet(upstream: &Upstream, connection: &Connection) -> Result<(), UpstreamError> {
    let failed = |why: &str| UpstreamError::Handshake(why.to_owned());
    let params = format!(
        r#"{{"protocolVersion":"{}","capabilities":{{}},"clientInfo":{{"name":"tagout","version":{}}}}}"#,
        Revision::LATEST_LEGACY,
        quoted(env!("CARGO_PKG_VERSION"))
    );
    let limit = upstream.server.start_timeout;
    let answer = connection.ask(Method::Initialize, &params, limit).await?;
    let tagout_proto::Message::Response { outcome, .. } = answer.message() else {
        return Err(failed("it did not answer"));
    };
    let result = outcome.map_err(|error| {
        let message = error.get("message").and_then(|m| m.text()).unwrap_or_default();
        failed(&format!("it refused: {message}"))
    })?;
    let version = result.get("protocolVersion").and_then(|v| v.text()).unwrap_or_default();
    if Revision::parse_legacy(&version).is_none() {
        return Err(failed(&format!("it speaks revision {version:?}, which is not spoken here")));
    }
    if let Some(capabilities) = result.get("capabilities") {
        connection.set_capabilities(capabilities);
    }
    connection.notify(Method::Initialized, "{}").await;
    Ok(())
}

/// What a server complains is read, or it would come to a halt; the last of it is for diagnosis.
async fn drain(server: String, mut stderr: Receiver) {
    let mut buffer = vec![0; 8 << 10];
    loop {
        match stderr.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(read) => {
                let text = String::from_utf8_lossy(buffer.get(..read).unwrap_or_default());
                let (text, _) = tagout_inspect::characters::made_visible(&text);
                tracing::debug!(%server, "{}", text.trim_end());
            }
        }
    }
}
