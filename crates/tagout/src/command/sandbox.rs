//! `sandbox`: what a server would see, for any program.
mod learn;

use std::{
    ffi::OsString,
    fs::File,
    io,
    net::TcpListener,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    thread::{self, JoinHandle},
};

use tagout_gateway::{
    Guarded,
    config::{Command, Config, Isolated, Sandbox, Server, Start},
    isolate,
};
use tagout_sandbox::{Child, Exit, Jailer, Profile, SpawnError, observe, resolve, spawn};
use tagout_wire::egress::{Connection, Guard, Proxy, Report};
use tokio_util::sync::CancellationToken;

use crate::{
    cli,
    command::in_runtime,
    failure::{Ended, Failure},
    output,
    places::Places,
    setup,
};

pub(crate) fn sandbox(places: &Places, command: &cli::Sandbox) -> Result<ExitCode, Failure> {
    match command {
        cli::Sandbox::Run(run) => self::run(places, run),
    }
}

/// Runs a program as a server would run.
fn run(places: &Places, run: &cli::SandboxRun) -> Result<ExitCode, Failure> {
    let config = setup::config(places)?;
    let (isolated, entry) = allowed(&config, run.profile.as_deref())?;
    let guarded = Guarded::of(places.guarded(config.policies.clone()), &config);
    let profile = profile(run, entry)?;
    // The proxy lives as long as the program.
    in_runtime(async {
        if run.learn {
            learnt(profile, isolated, &guarded)
        } else {
            isolated_run(profile, &isolated, &guarded)
        }
    })
}

fn isolated_run(
    profile: Profile,
    isolated: &Isolated,
    guarded: &Guarded,
) -> Result<ExitCode, Failure> {
    let profile = isolate(profile, isolated, guarded).map_err(exposed)?;
    let child = spawn(&profile, &Jailer::this_program()).map_err(|error| not_started(&error))?;
    let told = |connection: &Connection| {
        if let (Some(subject), Some(refused)) = (&connection.subject, &connection.refused) {
            output::aside(format_args!("tagout: {subject}: {refused}"));
        }
        true
    };
    Ok(shown(&attended(child, isolated, Arc::new(told))))
}

/// Lets it read everything and watches what it does.
fn learnt(profile: Profile, isolated: Isolated, guarded: &Guarded) -> Result<ExitCode, Failure> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let sandbox = match &isolated {
        Isolated::Fully(sandbox) => sandbox.as_ref().clone(),
        Isolated::Not => Sandbox::default(),
    };
    let out = learn::let_out(isolated).map_err(|wrong| exposed(wrong.to_string()))?;
    let profile = isolate(profile, &out, guarded).map_err(exposed)?;
    let given = profile.isolation.clone().unwrap_or_default();
    let (child, observer) = observe(&profile, &Jailer::this_program(), home.as_deref())
        .map_err(|error| not_started(&error))?;
    let went = Arc::new(learn::Places::default());
    let exit = attended(child, &out, Arc::new(went.noted()));
    let observed = observer.observed();
    let proposal = observed.propose(&given, home.as_deref());
    // Standard output is the program's.
    output::aside(learn::proposed(&observed, &proposal, (&went, &sandbox)));
    Ok(shown(&exit))
}

fn exposed(problem: String) -> Failure {
    Failure::usage("sandbox-path", problem, "name a folder beside it, or below it")
}

/// What the profile of that name allows: a table of its own, or a server's, with what that is started
/// by.
fn allowed<'a>(
    config: &'a Config,
    name: Option<&str>,
) -> Result<(Isolated, Option<&'a Command>), Failure> {
    let Some(name) = name else { return Ok((Isolated::Fully(Box::default()), None)) };
    if let Some(profile) = config.sandboxes.get(name) {
        return Ok((Isolated::Fully(Box::new(profile.clone())), None));
    }
    let server = config.servers.iter().find(|(server, _)| server.as_str() == name);
    let found = server.map(|(_, server)| (server.isolated.clone(), command_of(server)));
    found.ok_or_else(|| {
        let known = config.sandboxes.keys().map(String::as_str);
        let known: Vec<_> = known.chain(config.servers.keys().map(|name| name.as_str())).collect();
        let help = format!("there are: {}", known.join(", "));
        Failure::usage("sandbox-unknown", format!("there is no profile `{name}`"), &help)
    })
}

const fn command_of(server: &Server) -> Option<&Command> {
    match &server.start {
        Start::Command(command) => Some(command),
        Start::BuiltIn(_) | Start::Remote(_) => None,
    }
}

/// Sets what a server's entry gives its program, but for secrets, and says what those are.
fn as_its_server(profile: &mut Profile, entry: &Command) {
    profile.cwd.clone_from(&entry.cwd);
    let passed = entry.pass_env.iter();
    profile.env = passed.filter_map(|name| Some((name.into(), std::env::var_os(name)?))).collect();
    let named = entry.env.iter().map(|(name, value)| (name.into(), value.expose().into()));
    profile.env.extend(named);
    let files = entry.secret_files.keys().map(|name| format!("/run/secrets/{name}"));
    let left_out: Vec<_> = entry.secret_env.keys().cloned().chain(files).collect();
    if !left_out.is_empty() {
        let left_out = left_out.join(", ");
        output::aside(format_args!("tagout: without the secrets of its server: {left_out}"));
    }
}

fn profile(run: &cli::SandboxRun, entry: Option<&Command>) -> Result<Profile, Failure> {
    let (program, args) = run.command.split_first().ok_or_else(|| {
        Failure::usage("arguments-unreadable", "there is no program", "write it after `--`")
    })?;
    let here = std::env::current_dir().map_err(|error| Failure::io(Path::new("."), error))?;
    let search = std::env::var_os("PATH").unwrap_or_default();
    let found = resolve(program.as_ref(), &search, &here).map_err(|error| not_started(&error))?;
    let mut profile = Profile::new(found);
    profile.args = args.iter().map(OsString::from).collect();
    if let Some(entry) = entry {
        as_its_server(&mut profile, entry);
    }
    // A file that is named from here is looked for where the program works.
    let is_here =
        |argument: &String| Path::new(argument).is_relative() && here.join(argument).is_file();
    if profile.cwd.is_none() && args.iter().any(is_here) {
        output::aside(format_args!("tagout: it works in {}, and may read it", here.display()));
        profile.cwd = Some(here);
    }
    for pair in &run.env {
        let (name, value) = pair.split_once('=').ok_or_else(|| {
            let message = format!("`{pair}` is not NAME=VALUE");
            Failure::usage("arguments-unreadable", message, "write --env NAME=VALUE")
        })?;
        profile.env.insert(name.into(), value.into());
    }
    for name in &run.pass_env {
        profile.env.extend(std::env::var_os(name).map(|value| (name.into(), value)));
    }
    Ok(profile)
}

/// Why a program does not run.
pub(crate) fn not_started(error: &SpawnError) -> Failure {
    Failure::of(error, error.code(), error.help())
}

/// Passes on what it reads and writes, and serves its way out, until it ends.
fn attended(mut child: Child, isolated: &Isolated, report: Report) -> Exit {
    let stop = CancellationToken::new();
    if let (Some(listener), Isolated::Fully(sandbox)) = (child.egress.take(), isolated) {
        let proxy = Proxy::new(sandbox.allow.clone(), Guard::new(), sandbox.egress, report);
        let stop = stop.clone();
        tokio::spawn(async move { proxy.serve(TcpListener::from(listener), stop).await });
    }
    let _stops = stop.drop_guard();
    if let Some(stdin) = child.stdin.take() {
        // Ends with this process: nobody waits for a terminal that says nothing.
        drop(copied(io::stdin(), File::from(stdin)));
    }
    let out = child.stdout.take().map(|fd: OwnedFd| copied(File::from(fd), io::stdout()));
    let err = child.stderr.take().map(|fd: OwnedFd| copied(File::from(fd), io::stderr()));
    let exit = child.wait();
    for copying in [out, err].into_iter().flatten() {
        // What one of them could not pass on is lost with its reader.
        drop(copying.join());
    }
    exit
}

fn copied(
    mut from: impl io::Read + Send + 'static,
    mut to: impl io::Write + Send + 'static,
) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            let piece = buffer.get(..read).unwrap_or_default();
            if to.write_all(piece).and_then(|()| to.flush()).is_err() {
                return;
            }
        }
    })
}

/// As a shell would have it.
fn shown(exit: &Exit) -> ExitCode {
    const SIGNALLED: i32 = 128;
    let code = match exit {
        Exit::Code(code) => *code,
        Exit::Signal(signal) => SIGNALLED + signal,
        Exit::Memory => {
            output::aside(format_args!("tagout: the program {exit}, and was killed"));
            SIGNALLED + 9
        }
        Exit::Lost => return Ended::Failed.into(),
    };
    u8::try_from(code).map_or_else(|_| Ended::Failed.into(), ExitCode::from)
}
