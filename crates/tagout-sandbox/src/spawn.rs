//! The gateway's side of a start.
use std::{
    io::{self, Write},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::{net::UnixStream, process::CommandExt},
    },
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use zeroize::Zeroize as _;

use crate::{
    Child, Jailer, Profile, SpawnError, Stage, Survey,
    child::Line,
    handover,
    jail::JAILER_NAME,
    message::{ORDER_BYTES, Order, Report, VERSION},
};

/// How long a jailer may take to answer. It waits for nothing but the processor and the disk, so
/// this only keeps a binary that is no jailer from hanging its caller.
const ANSWER: Duration = Duration::from_secs(30);

/// The program's ends of its three pipes.
struct Theirs(OwnedFd, OwnedFd, OwnedFd);

/// Starts what `profile` describes, and returns when it runs.
///
/// Blocks for the time of two process starts, some milliseconds.
///
/// # Errors
/// [`SpawnError::NotAbsolute`], [`SpawnError::VariableName`] and [`SpawnError::ZeroByte`] for a
/// profile that makes no sense; [`SpawnError::WorkingDirectory`] and [`SpawnError::Exec`] when the
/// operating system refuses it; [`SpawnError::Missing`] and [`SpawnError::Path`] when it cannot be
/// isolated as the profile says; [`SpawnError::Jailer`], [`SpawnError::NotAJailer`] and
/// [`SpawnError::Jail`] when the jailer cannot do its work.
pub fn spawn(profile: &Profile, jailer: &Jailer) -> Result<Child, SpawnError> {
    profile.check()?;
    begin(profile, jailer, &Order::Start(profile.clone()), |_| ())
}

/// The same, but that calls of the program wait for the word of whoever gets the descriptor, from
/// before it runs.
pub(crate) fn spawn_watched(
    profile: &Profile,
    jailer: &Jailer,
    watch: impl FnMut(OwnedFd),
) -> Result<Child, SpawnError> {
    profile.check()?;
    begin(profile, jailer, &Order::Watch(profile.clone()), watch)
}

fn begin(
    profile: &Profile,
    jailer: &Jailer,
    order: &Order,
    watch: impl FnMut(OwnedFd),
) -> Result<Child, SpawnError> {
    let cannot_start = |source| SpawnError::Jailer { binary: jailer.binary.clone(), source };
    let no_jailer = |source| SpawnError::NotAJailer { binary: jailer.binary.clone(), source };
    let (line, ours, theirs) = start_jailer(jailer).map_err(cannot_start)?;
    let report = greet(&line)
        .and_then(|()| send_order(&line, order, Some(theirs)))
        .and_then(|()| line.read_answer(watch));
    match report {
        Ok((Report::Started(pid), attached)) => {
            line.control.set_read_timeout(None).map_err(cannot_start)?;
            let Ours { stdin, stdout, stderr } = ours;
            Ok(Child {
                stdin: Some(stdin),
                stdout: Some(stdout),
                stderr: Some(stderr),
                egress: attached.into_iter().next(),
                pid: pid.unsigned_abs(),
                line,
            })
        }
        Ok((Report::Failed(stage, errno), _)) => Err(failed(profile, stage, errno)),
        Ok((Report::Path(path, what), _)) => Err(SpawnError::Path { path, what }),
        Ok((Report::Missing(parts), _)) => Err(SpawnError::Missing { parts }),
        Ok((
            Report::Ready(_)
            | Report::Jailer(_)
            | Report::Group(_)
            | Report::Watched
            | Report::Surveyed(_)
            | Report::Exited(_)
            | Report::Killed(_)
            | Report::OverMemory,
            _,
        )) => {
            line.abandon();
            Err(no_jailer(io::ErrorKind::InvalidData.into()))
        }
        Err(source) => {
            line.abandon();
            Err(no_jailer(source))
        }
    }
}

/// Asks a jailer what the machine has.
pub(crate) fn ask_for_survey(jailer: &Jailer) -> io::Result<Survey> {
    let (line, _ours, theirs) = start_jailer(jailer)?;
    drop(theirs);
    let answer = greet(&line)
        .and_then(|()| send_order(&line, &Order::Survey, None))
        .and_then(|()| line.read_answer(|_| ()));
    match answer {
        Ok((Report::Surveyed(survey), _)) => Ok(survey),
        Ok(_) => {
            line.abandon();
            Err(io::ErrorKind::InvalidData.into())
        }
        Err(e) => {
            line.abandon();
            Err(e)
        }
    }
}

/// The gateway's ends of the program's three pipes.
struct Ours {
    stdin: OwnedFd,
    stdout: OwnedFd,
    stderr: OwnedFd,
}

fn start_jailer(jailer: &Jailer) -> io::Result<(Line, Ours, Theirs)> {
    let (stdin_reader, stdin_writer) = io::pipe()?;
    let (stdout_reader, stdout_writer) = io::pipe()?;
    let (stderr_reader, stderr_writer) = io::pipe()?;
    let (control, their_control) = UnixStream::pair()?;
    control.set_read_timeout(Some(ANSWER))?;
    control.set_write_timeout(Some(ANSWER))?;
    #[expect(clippy::disallowed_methods, reason = "this is where processes are started")]
    let process = Command::new(&jailer.binary)
        .arg0(JAILER_NAME)
        .env_clear()
        .current_dir("/")
        .stdin(OwnedFd::from(their_control))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let ours = Ours {
        stdin: stdin_writer.into(),
        stdout: stdout_reader.into(),
        stderr: stderr_reader.into(),
    };
    let theirs = Theirs(stdin_reader.into(), stdout_writer.into(), stderr_writer.into());
    Ok((Line::new(control, &process), ours, theirs))
}

fn greet(line: &Line) -> io::Result<()> {
    match line.read_report()? {
        Report::Ready(VERSION) => Ok(()),
        Report::Ready(_)
        | Report::Jailer(_)
        | Report::Group(_)
        | Report::Watched
        | Report::Started(_)
        | Report::Failed(..)
        | Report::Path(..)
        | Report::Missing(_)
        | Report::Surveyed(_)
        | Report::Exited(_)
        | Report::Killed(_)
        | Report::OverMemory => {
            Err(io::Error::new(io::ErrorKind::InvalidData, "a jailer of another version"))
        }
    }
}

fn send_order(line: &Line, order: &Order, theirs: Option<Theirs>) -> io::Result<()> {
    let mut order = order.encode();
    if order.len() > ORDER_BYTES {
        return Err(io::Error::new(io::ErrorKind::ArgumentListTooLong, "an order over 16 MiB"));
    }
    let fds = theirs.iter().flat_map(|theirs| [&theirs.0, &theirs.1, &theirs.2]);
    let fds: Vec<BorrowedFd<'_>> = fds.map(AsFd::as_fd).collect();
    let length = (order.len() as u64).to_le_bytes();
    let sent = handover::send(&line.control, &length, &fds)
        .and_then(|()| (&line.control).write_all(&order));
    order.zeroize();
    sent
}

fn failed(profile: &Profile, stage: Stage, errno: i32) -> SpawnError {
    let source = io::Error::from_raw_os_error(errno);
    match stage {
        Stage::WorkingDirectory => SpawnError::WorkingDirectory {
            dir: profile.cwd.clone().unwrap_or_else(|| PathBuf::from("/")),
            source,
        },
        Stage::Exec => SpawnError::Exec { program: profile.program.clone(), source },
        Stage::Order
        | Stage::Signals
        | Stage::Session
        | Stage::Privileges
        | Stage::Orphans
        | Stage::Namespaces
        | Stage::Identity
        | Stage::Mounts
        | Stage::Root
        | Stage::Proc
        | Stage::Files
        | Stage::Network
        | Stage::Bounds
        | Stage::Landlock
        | Stage::Filter => SpawnError::Jail { stage, source },
    }
}
