//! The gateway, its server, and two who call.
use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{BURST, LIMIT};
use crate::{
    conformance::programs::{Programs, Running},
    tree::command,
};

/// It accepts connections within this.
const START: Duration = Duration::from_secs(30);
const TICK: Duration = Duration::from_millis(50);
const POLICY: &str = "@id(\"all\")\npermit (principal, action, resource);\n";

/// A gateway that runs until this is dropped, and the keys of two who may call it.
pub(super) struct Stage {
    pub(super) address: SocketAddr,
    pub(super) flood_key: String,
    pub(super) neighbour_key: String,
    folder: PathBuf,
    tagout: PathBuf,
    gateway: Running,
    _server: Running,
}

/// What is on record.
pub(super) struct Recorded {
    pub(super) lines: u64,
    pub(super) bytes: u64,
    /// Refusals that notes count, and the notes.
    pub(super) counted: u64,
    pub(super) notes: u64,
}

impl Stage {
    /// Starts everything, with all that it keeps in `folder`.
    pub(super) fn set(folder: &Path, binary: Option<&Path>) -> Result<Self, String> {
        let programs = Programs::build(binary, true)?;
        let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
        if folder.exists() {
            fs::remove_dir_all(folder).map_err(failed)?;
        }
        fs::create_dir_all(folder.join("policies")).map_err(failed)?;
        let mut server = command(&programs.fixture);
        server.args(["--http", "127.0.0.1:0", "--era", "both"]);
        let (server, url) = Running::start_and_read(server, &folder.join("server.log"))?;
        fs::write(folder.join("policies/all.cedar"), POLICY).map_err(failed)?;
        fs::write(folder.join("tagout.toml"), configuration(&url)).map_err(failed)?;
        let tagout = programs.tagout.clone();
        say(run(&tagout, folder, &["pin"]))?;
        say(run(&tagout, folder, &["pin", "--accept", "fixture"]))?;
        let key = |name| say(run(&tagout, folder, &["key", "add", name]));
        let [flood_key, neighbour_key] = [key("flood")?, key("neighbour")?];
        let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        drop(listener);
        let gateway = run(&tagout, folder, &["run", "--http", &address.to_string()]);
        let gateway = Running::start(gateway, &folder.join("gateway.log"))?;
        let mut stage = Self {
            address,
            flood_key: flood_key.trim().to_owned(),
            neighbour_key: neighbour_key.trim().to_owned(),
            folder: folder.to_owned(),
            tagout,
            gateway,
            _server: server,
        };
        stage.listens()?;
        Ok(stage)
    }

    fn listens(&mut self) -> Result<(), String> {
        let end = Instant::now() + START;
        while TcpStream::connect_timeout(&self.address, TICK).is_err() {
            if self.gateway.has_ended() || Instant::now() > end {
                let log = self.folder.join("gateway.log");
                return Err(format!("the gateway does not listen; see {}", log.display()));
            }
            thread::sleep(TICK);
        }
        Ok(())
    }

    /// The gateway's resident memory, in KiB.
    pub(super) fn resident_kib(&self) -> Option<u64> {
        let status = fs::File::open(format!("/proc/{}/status", self.gateway.id())).ok()?;
        let mut lines = BufReader::new(status).lines().map_while(Result::ok);
        let line = lines.find(|line| line.starts_with("VmRSS:"))?;
        line.split_whitespace().nth(1)?.parse().ok()
    }

    /// What is on record now.
    pub(super) fn recorded(&self) -> Result<Recorded, String> {
        let mut seen = Recorded { lines: 0, bytes: 0, counted: 0, notes: 0 };
        let audit = self.folder.join("xdg_state_home/tagout/audit");
        let failed = |error: std::io::Error| format!("{}: {error}", audit.display());
        for entry in fs::read_dir(&audit).map_err(failed)?.flatten() {
            if entry.path().extension().is_none_or(|kind| kind != "jsonl") {
                continue;
            }
            let file = fs::File::open(entry.path()).map_err(failed)?;
            for line in BufReader::new(file).lines().map_while(Result::ok) {
                seen.add(&line);
            }
        }
        Ok(seen)
    }

    /// The log says of itself that it is whole.
    pub(super) fn verified(&self) -> Result<(), String> {
        say(run(&self.tagout, &self.folder, &["audit", "verify"])).map(drop)
    }
}

impl Recorded {
    fn add(&mut self, line: &str) {
        self.lines += 1;
        self.bytes += u64::try_from(line.len()).unwrap_or_default() + 1;
        if !line.contains("limit-exceeded") {
            return;
        }
        self.notes += 1;
        let detail = serde_json::from_str(line).ok().and_then(|line: Value| {
            let detail = line.get("detail")?.as_str()?;
            detail.split(' ').next()?.parse().ok()
        });
        self.counted += detail.unwrap_or(0);
    }
}

fn configuration(url: &str) -> String {
    format!(
        "profile = \"none\"\npolicies = \"policies\"\n\n[consent]\nagreed = [\"fixture\"]\n\n\
         [limits.principals.flood]\ncalls = \"{LIMIT}/s burst {BURST}\"\n\n\
         [server.fixture]\nurl = \"{url}\"\nprefix = \"\"\nstateless = true\n"
    )
}

/// The program with nothing of this machine's own configuration and state.
fn run(tagout: &Path, folder: &Path, arguments: &[&str]) -> Command {
    let mut run = command(tagout);
    run.arg("--config").arg(folder.join("tagout.toml")).args(arguments);
    for variable in ["HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME"] {
        run.env(variable, folder.join(variable.to_lowercase()));
    }
    run
}

/// What a command prints.
fn say(mut run: Command) -> Result<String, String> {
    let out = run.output().map_err(|error| format!("{run:?}: {error}"))?;
    if !out.status.success() {
        return Err(format!("{run:?}: {}", String::from_utf8_lossy(&out.stderr)));
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}
