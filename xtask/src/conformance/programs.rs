//! Programs of the workspace that a run needs, built and started.
use std::{
    fs::File,
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::sync_channel,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{root, tree::command};

/// A program says its first line within this.
const START: Duration = Duration::from_secs(20);
/// How often something is looked after that says nothing by itself.
const TICK: Duration = Duration::from_millis(50);
/// No first line is longer, in bytes.
const LINE_BYTES: u64 = 4096;

/// Where the programs are.
pub(crate) struct Programs {
    pub(crate) tagout: PathBuf,
    pub(crate) fixture: PathBuf,
    pub(super) client: PathBuf,
    pub(super) add_header: PathBuf,
}

impl Programs {
    /// Builds them; `tagout` only where it is needed and none is given.
    pub(crate) fn build(tagout: Option<&Path>, needed: bool) -> Result<Self, String> {
        let program = |name: &str| build("tagout-testkit", name, false);
        let tagout = match tagout {
            Some(path) => std::path::absolute(path).map_err(|error| error.to_string())?,
            None if needed => build("tagout", "tagout", true)?,
            None => PathBuf::new(),
        };
        Ok(Self {
            tagout,
            fixture: program("fixture-server")?,
            client: if needed { program("conformance-client")? } else { PathBuf::new() },
            add_header: if needed { program("add-header")? } else { PathBuf::new() },
        })
    }
}

/// Builds a program, and says where it is.
pub(crate) fn build(package: &str, program: &str, release: bool) -> Result<PathBuf, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = command(cargo);
    build.current_dir(root()).args(["build", "--locked", "--package", package, "--bin", program]);
    build.args(release.then_some("--release")).arg("--message-format=json-render-diagnostics");
    let out = build.stderr(Stdio::inherit()).output().map_err(|error| format!("cargo: {error}"))?;
    let messages = String::from_utf8_lossy(&out.stdout);
    let built = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|message| message.get("executable")?.as_str().map(PathBuf::from))
        .next_back();
    built.filter(|_| out.status.success()).ok_or_else(|| format!("cannot build {program}"))
}

/// A program that runs until this is dropped.
pub(crate) struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is gone after this.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Running {
    /// Starts it; what it says goes to `log`.
    pub(crate) fn start(mut run: Command, log: &Path) -> Result<Self, String> {
        let said = to_file(log)?;
        run.stdin(Stdio::null()).stdout(said.0).stderr(said.1);
        let name = run.get_program().to_string_lossy().into_owned();
        run.spawn().map(Self).map_err(|error| format!("{name}: {error}"))
    }

    /// Starts it and reads its first line.
    pub(crate) fn start_and_read(mut run: Command, log: &Path) -> Result<(Self, String), String> {
        let name = run.get_program().to_string_lossy().into_owned();
        run.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(to_file(log)?.1);
        let mut child = run.spawn().map_err(|error| format!("{name}: {error}"))?;
        let out = child.stdout.take();
        let running = Self(child);
        let (send, first) = sync_channel(1);
        thread::spawn(move || {
            let mut line = String::new();
            let mut out = BufReader::new(out?).take(LINE_BYTES);
            out.read_line(&mut line).ok()?;
            send.send(line).ok()
        });
        let line = first.recv_timeout(START).unwrap_or_default();
        match line.trim() {
            "" => Err(format!("{name} says nothing; see {}", log.display())),
            line => Ok((running, line.to_owned())),
        }
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.0.try_wait(), Ok(None))
    }
}

/// Runs something to its end, with all that it says in `log`.
pub(super) fn finish(run: Command, log: &Path, within: Duration) -> Result<ExitStatus, String> {
    let name = run.get_program().to_string_lossy().into_owned();
    let mut running = Running::start(run, log)?;
    let end = Instant::now() + within;
    loop {
        match running.0.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if Instant::now() < end => thread::sleep(TICK),
            Ok(None) => return Err(format!("{name} does not end; see {}", log.display())),
            Err(error) => return Err(format!("{name}: {error}")),
        }
    }
}

fn to_file(log: &Path) -> Result<(File, File), String> {
    let failed = |error| format!("{}: {error}", log.display());
    let file = File::options().create(true).append(true).open(log).map_err(failed)?;
    let copy = file.try_clone().map_err(failed)?;
    Ok((file, copy))
}
