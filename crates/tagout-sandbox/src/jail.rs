//! The jailer: starts one program, watches over it, and ends all that it started.
//!
//! It is single-threaded and stays so: creating namespaces and forking both ask for it.
mod bounds;
pub(crate) mod cgroup;
mod descendants;
mod failure;
mod first;
mod ids;
mod landlock;
mod launch;
mod memory;
mod plan;
mod program;
mod root;
pub(crate) mod seccomp;
mod survey;
pub(crate) mod system;
mod watch;

use std::{
    ffi::OsStr,
    io::{self, Read, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::{net::UnixStream, process::CommandExt},
    },
    process::{Command, ExitCode},
};

use rustix::{
    fs::Mode,
    io::Errno,
    process::{DumpableBehavior, Pid, Signal},
};

use zeroize::Zeroize as _;

use self::{failure::Failure, watch::Watch};
use crate::{
    Profile, Stage, danger, handover,
    message::{ORDER_BYTES, Order, Report, VERSION},
};

/// The name under which a jailer is started.
pub(crate) const JAILER_NAME: &str = "tagout-jail";

/// What the jailer listens to: its children, and whoever ends it by hand or at shutdown.
const SIGNALS: [Signal; 5] = [Signal::CHILD, Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT];

/// Plays the jailer when this process was started as one, and returns its exit code; returns
/// `None` at once in every other process.
///
/// Must come first in `main`, before any thread, runtime or open file.
#[must_use = "a jailer that goes on as the gateway would start itself again"]
pub fn jail_if_asked() -> Option<ExitCode> {
    let asked = std::env::args_os().next().is_some_and(|name| name == OsStr::new(JAILER_NAME));
    asked.then(|| match jail() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    })
}

/// An error has nowhere to go: the gateway has gone, or this was never a jailer's socket.
fn jail() -> io::Result<()> {
    #[expect(unsafe_code, reason = "the one caller of the one unsafe function")]
    // SAFETY: `jail_if_asked` runs first in `main`, in the only thread, when nothing was opened.
    unsafe {
        danger::close_inherited()?;
    }
    let mut control = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    control.write_all(&Report::Ready(VERSION).encode())?;
    match obey(&mut control) {
        Ok(()) => Ok(()),
        Err(failure) => control.write_all(&Report::from(failure).encode()),
    }
}

fn obey(control: &mut UnixStream) -> Result<(), Failure> {
    let (order, pipes) = receive(control).map_err(Stage::Order.failed())?;
    let watched = matches!(order, Order::Watch(_));
    let mut profile = match order {
        Order::Start(profile) | Order::Watch(profile) => profile,
        Order::Survey => {
            let report = Report::Surveyed(survey::take_all());
            return control.write_all(&report.encode()).map_err(Stage::Order.failed());
        }
    };
    let pipes = pipes.try_into();
    let pipes = pipes.map_err(|_| Failure::Step(Stage::Order, Errno::PROTO.into()))?;
    let isolation = profile.isolation.take();
    let ready = Ready { watched, ..prepare(profile, pipes)? };
    match isolation {
        Some(isolation) => launch::launch(control, ready, isolation),
        None => {
            let control = control.try_clone().map_err(Stage::Order.failed())?;
            start(ready, control)
        }
    }
}

/// All that a start takes.
struct Ready {
    profile: Profile,
    pipes: [OwnedFd; 3],
    signals: OwnedFd,
    /// Whether calls are to wait for the gateway's word.
    watched: bool,
}

fn prepare(profile: Profile, pipes: [OwnedFd; 3]) -> Result<Ready, Failure> {
    danger::reset_dispositions();
    let signals = danger::signal_descriptor(&SIGNALS).map_err(Stage::Signals.failed())?;
    // Only shows in listings of processes.
    rustix::thread::set_name(c"tagout-jail").ok();
    rustix::process::setsid().map_err(Stage::Session.refused())?;
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    rustix::thread::set_no_new_privs(true).map_err(Stage::Privileges.refused())?;
    // The program runs as the same user: this keeps it from tracing the jailer.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(Stage::Privileges.refused())?;
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(Stage::Orphans.refused())?;
    // A promise to find descendants is only made where they can be found.
    descendants::children().map_err(Stage::Orphans.failed())?;
    Ok(Ready { profile, pipes, signals, watched: false })
}

fn receive(control: &mut UnixStream) -> io::Result<(Order, Vec<OwnedFd>)> {
    let strange = || io::Error::from(Errno::PROTO);
    let mut length = [0; 8];
    let pipes = handover::receive(control, &mut length)?;
    let bytes = usize::try_from(u64::from_le_bytes(length)).map_err(|_| strange())?;
    if bytes > ORDER_BYTES {
        return Err(strange());
    }
    let mut order = vec![0; bytes];
    control.read_exact(&mut order)?;
    let decoded = Order::decode(&order);
    order.zeroize();
    Ok((decoded.ok_or_else(strange)?, pipes))
}

fn start(ready: Ready, mut control: UnixStream) -> Result<(), Failure> {
    let Ready { profile, pipes: [stdin, stdout, stderr], signals, watched: _ } = ready;
    let dir = profile.cwd.as_deref().unwrap_or(std::path::Path::new("/"));
    // Here and not in `Command`, whose error does not tell a bad directory from a bad program.
    rustix::process::chdir(dir).map_err(Stage::WorkingDirectory.refused())?;
    #[expect(clippy::disallowed_methods, reason = "this is where processes are started")]
    let mut command = Command::new(&profile.program);
    command.args(&profile.args).env_clear().envs(&profile.env);
    command.stdin(stdin).stdout(stdout).stderr(stderr).process_group(0);
    let program = danger::spawn_tied(&mut command).map_err(Stage::Exec.failed())?;
    // The jailer's copies of the pipes: an end of file must reach the gateway.
    drop(command);
    let program = Pid::from_child(&program);
    control.write_all(&Report::Started(program.as_raw_nonzero().get()).encode()).ok();
    Watch::new(control, signals, program, profile.grace).run();
    Ok(())
}
