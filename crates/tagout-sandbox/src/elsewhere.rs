//! What there is on systems other than Linux: programs that are started as they are.
//!
//! The gateway starts them itself. A program gets exactly the environment that its [`Profile`] names,
//! descriptors 0, 1 and 2, and a process group of its own, which is stopped and killed as a whole.
//! What leaves that group is not found, and a gateway that is killed leaves its programs running,
//! with nothing at the other end of their pipes. The session, the umask and what other privileges
//! there are stay the gateway's. None of it was ever run on such a system.
use std::{
    io,
    os::{fd::OwnedFd, unix::process::CommandExt},
    path::Path,
    process::{self, Command, ExitCode, Stdio},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::{
    io::Errno,
    process::{
        Pid, Signal, WaitId, WaitIdOptions, WaitOptions, kill_process_group, waitid, waitpid,
    },
};

use crate::{
    Exit, Found, Isolation, Jailer, Observed, Observer, Part, Profile, Proposal, SpawnError,
    Survey, isolation::REMEDY_ELSEWHERE,
};

const NOT_LINUX: &str = "this system is not Linux";
/// How often the end of a program that was asked to end is looked for.
const ROUND: Duration = Duration::from_millis(20);

/// There are no jailers: returns `None`.
#[must_use = "a jailer that goes on as the gateway would start itself again"]
pub const fn jail_if_asked() -> Option<ExitCode> {
    None
}

fn every_part() -> SpawnError {
    let why = |part| (part, String::from(NOT_LINUX));
    SpawnError::Missing { parts: Part::ALL.into_iter().map(why).collect() }
}

/// What this machine has, which is nothing.
pub(crate) fn ask_for_survey(_jailer: &Jailer) -> io::Result<Survey> {
    let missing = Found::Missing { why: String::from(NOT_LINUX), remedy: REMEDY_ELSEWHERE };
    Ok(Survey { parts: Part::ALL.into_iter().map(|part| (part, missing.clone())).collect() })
}

/// Refuses: nothing can be watched here.
///
/// # Errors
/// [`SpawnError::Missing`], always.
pub fn observe(
    _profile: &Profile,
    _jailer: &Jailer,
    _home: Option<&Path>,
) -> Result<(Child, Observer), SpawnError> {
    Err(every_part())
}

/// Nothing, of nothing that was observed.
pub(crate) fn propose(_: &Observed, _given: &Isolation, _home: Option<&Path>) -> Proposal {
    Proposal::default()
}

/// Starts what `profile` describes, if it is to be isolated from nothing, and returns when it runs.
/// There is no jailer.
///
/// # Errors
/// [`SpawnError::Missing`] where the profile has an isolation, also if it accepts that parts are
/// missing. [`SpawnError::NotAbsolute`], [`SpawnError::VariableName`] and [`SpawnError::ZeroByte`]
/// for a profile that makes no sense; [`SpawnError::WorkingDirectory`] and [`SpawnError::Exec`] when
/// the operating system refuses it.
pub fn spawn(profile: &Profile, _jailer: &Jailer) -> Result<Child, SpawnError> {
    profile.check()?;
    if profile.isolation.is_some() {
        return Err(every_part());
    }
    let dir = profile.cwd.as_deref().unwrap_or(Path::new("/"));
    let refused = |source| SpawnError::WorkingDirectory { dir: dir.to_owned(), source };
    // `Command` does not tell a bad directory from a bad program.
    if !std::fs::metadata(dir).map_err(refused)?.is_dir() {
        return Err(refused(io::ErrorKind::NotADirectory.into()));
    }
    #[expect(clippy::disallowed_methods, reason = "this is where processes are started")]
    let mut command = Command::new(&profile.program);
    command.args(&profile.args).env_clear().envs(&profile.env).current_dir(dir).process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let started = command.spawn();
    let mut started =
        started.map_err(|source| SpawnError::Exec { program: profile.program.clone(), source })?;
    let pid = Pid::from_child(&started);
    let program = Program {
        pid,
        grace: profile.grace,
        ending: AtomicBool::new(false),
        exit: Mutex::new(None),
    };
    Ok(Child {
        stdin: started.stdin.take().map(OwnedFd::from),
        stdout: started.stdout.take().map(OwnedFd::from),
        stderr: started.stderr.take().map(OwnedFd::from),
        egress: None,
        pid: started.id(),
        program: Arc::new(program),
    })
}

/// A running program. Dropping it asks the program to end, kills its process group after its grace,
/// and does not wait for that.
///
/// Its methods take `&self`, so that one thread may wait while another stops.
#[derive(Debug)]
pub struct Child {
    /// Where the program reads from; dropping it tells the program that no more will come.
    pub stdin: Option<OwnedFd>,
    /// What the program writes.
    pub stdout: Option<OwnedFd>,
    /// What the program complains. A program whose complaints nobody reads comes to a halt.
    pub stderr: Option<OwnedFd>,
    /// Nothing: a program has no loopback of its own here.
    pub egress: Option<OwnedFd>,
    pid: u32,
    program: Arc<Program>,
}

impl Child {
    /// The program's process id, which is also its process group.
    #[must_use]
    pub const fn pid(&self) -> u32 {
        self.pid
    }

    /// The process that watches over the program: this one.
    #[must_use]
    pub fn jailer(&self) -> u32 {
        process::id()
    }

    /// Asks the program to end: SIGTERM to its group now, SIGKILL when it has ended or its grace is
    /// over. Does not wait, and does nothing when it has ended.
    pub fn stop(&self) {
        Program::stop(&self.program);
    }

    /// Kills the program and its group. Does not wait, and does nothing when it has ended.
    pub fn kill(&self) {
        self.program.signal(Signal::KILL);
    }

    /// Waits until the program and its group are gone. Blocks the thread; every later call returns
    /// the same at once.
    #[must_use]
    pub fn wait(&self) -> Exit {
        // It is left unreaped, so that its number stays its own until its group was killed.
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while self.program.exit().is_none()
            && matches!(waitid(WaitId::Pid(self.program.pid), options), Err(Errno::INTR))
        {}
        self.program.finish()
    }

    /// How the program ended, when it has; `None` before.
    #[must_use]
    pub fn try_wait(&self) -> Option<Exit> {
        self.program.has_ended().then(|| self.program.finish())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        Program::stop(&self.program);
    }
}

/// A process that leads its group.
#[derive(Debug)]
struct Program {
    pid: Pid,
    grace: Duration,
    /// Whether somebody sees to its end.
    ending: AtomicBool,
    /// How it ended, once it was reaped and its number is free again.
    exit: Mutex<Option<Exit>>,
}

impl Program {
    fn exit(&self) -> MutexGuard<'_, Option<Exit>> {
        self.exit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a signal to its group, unless that may be another's by now.
    fn signal(&self, signal: Signal) {
        let exit = self.exit();
        if exit.is_none() {
            kill_process_group(self.pid, signal).ok();
        }
    }

    fn has_ended(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        // An error says that it was reaped.
        let found = waitid(WaitId::Pid(self.pid), options);
        self.exit().is_some() || !matches!(found, Ok(None) | Err(Errno::INTR))
    }

    /// Kills what is left of its group, and reaps it.
    fn finish(&self) -> Exit {
        let mut exit = self.exit();
        if let Some(exit) = *exit {
            return exit;
        }
        kill_process_group(self.pid, Signal::KILL).ok();
        let status = loop {
            match waitpid(Some(self.pid), WaitOptions::empty()) {
                Err(Errno::INTR) => {}
                ended => break ended.ok().flatten().map(|(_, status)| status),
            }
        };
        let signal = || status.and_then(|status| status.terminating_signal()).map(Exit::Signal);
        let code = status.and_then(|status| status.exit_status()).map(Exit::Code);
        *exit.insert(code.or_else(signal).unwrap_or(Exit::Lost))
    }

    /// Sees to its end, once.
    fn stop(program: &Arc<Self>) {
        if program.ending.swap(true, Ordering::SeqCst) || program.exit().is_some() {
            return;
        }
        program.signal(Signal::TERM);
        let (own, deadline) = (program.clone(), Instant::now().checked_add(program.grace));
        let patient = thread::Builder::new().name(String::from("end-program"));
        let begun = patient.spawn(move || {
            while !own.has_ended() && deadline.is_none_or(|deadline| Instant::now() < deadline) {
                thread::sleep(ROUND);
            }
            own.finish();
        });
        if begun.is_err() {
            program.finish();
        }
    }
}
