//! The gateway's side of a start.
use std::{
    io::{self, IoSlice, Write},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::{net::UnixStream, process::CommandExt},
    },
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use crate::{
    Child, Profile, SpawnError, Stage,
    child::Line,
    jail::JAILER_NAME,
    message::{ORDER_BYTES, Report, VERSION, encode_order},
};

/// How long a jailer may take to answer. It waits for nothing but the processor and the disk, so
/// this only keeps a binary that is no jailer from hanging its caller.
const ANSWER: Duration = Duration::from_secs(30);

/// Where the jailer is: a binary that calls [`crate::jail_if_asked`] first thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jailer {
    /// The binary's path.
    pub binary: PathBuf,
}

impl Jailer {
    /// The running program itself, also after its file was replaced or removed.
    #[must_use]
    pub fn this_program() -> Self {
        Self { binary: PathBuf::from("/proc/self/exe") }
    }
}

/// The program's ends of its three pipes.
struct Theirs(OwnedFd, OwnedFd, OwnedFd);

/// Starts what `profile` describes, and returns when it runs.
///
/// Blocks for the time of two process starts, some milliseconds.
///
/// # Errors
/// [`SpawnError::NotAbsolute`], [`SpawnError::VariableName`] and [`SpawnError::ZeroByte`] for a
/// profile that makes no sense; [`SpawnError::WorkingDirectory`] and [`SpawnError::Exec`] when the
/// operating system refuses it; [`SpawnError::Jailer`], [`SpawnError::NotAJailer`] and
/// [`SpawnError::Jail`] when the jailer cannot do its work.
pub fn spawn(profile: &Profile, jailer: &Jailer) -> Result<Child, SpawnError> {
    profile.check()?;
    let cannot_start = |source| SpawnError::Jailer { binary: jailer.binary.clone(), source };
    let no_jailer = |source| SpawnError::NotAJailer { binary: jailer.binary.clone(), source };
    let (line, ours, theirs) = start_jailer(jailer).map_err(cannot_start)?;
    let report = greet(&line)
        .and_then(|()| send_order(&line, profile, theirs))
        .and_then(|()| line.read_report());
    match report {
        Ok(Report::Started(pid)) => {
            line.control.set_read_timeout(None).map_err(cannot_start)?;
            let Ours { stdin, stdout, stderr } = ours;
            Ok(Child {
                stdin: Some(stdin),
                stdout: Some(stdout),
                stderr: Some(stderr),
                egress: None,
                pid: pid.unsigned_abs(),
                line,
            })
        }
        Ok(Report::Failed(stage, errno)) => Err(failed(profile, stage, errno)),
        Ok(Report::Ready(_) | Report::Exited(_) | Report::Killed(_)) => {
            line.abandon();
            Err(no_jailer(io::ErrorKind::InvalidData.into()))
        }
        Err(source) => {
            line.abandon();
            Err(no_jailer(source))
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
    Ok((Line::new(control, process), ours, theirs))
}

fn greet(line: &Line) -> io::Result<()> {
    match line.read_report()? {
        Report::Ready(VERSION) => Ok(()),
        Report::Ready(_)
        | Report::Started(_)
        | Report::Failed(..)
        | Report::Exited(_)
        | Report::Killed(_) => {
            Err(io::Error::new(io::ErrorKind::InvalidData, "a jailer of another version"))
        }
    }
}

fn send_order(line: &Line, profile: &Profile, theirs: Theirs) -> io::Result<()> {
    let order = encode_order(profile);
    if order.len() > ORDER_BYTES {
        return Err(io::Error::new(io::ErrorKind::ArgumentListTooLong, "an order over 16 MiB"));
    }
    let fds: [BorrowedFd<'_>; 3] = [theirs.0.as_fd(), theirs.1.as_fd(), theirs.2.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
    let mut attached = SendAncillaryBuffer::new(&mut space);
    attached.push(SendAncillaryMessage::ScmRights(&fds));
    let length = (order.len() as u64).to_le_bytes();
    let sent =
        sendmsg(&line.control, &[IoSlice::new(&length)], &mut attached, SendFlags::NOSIGNAL)?;
    if sent != length.len() {
        return Err(io::ErrorKind::WriteZero.into());
    }
    (&line.control).write_all(&order)
}

fn failed(profile: &Profile, stage: Stage, errno: i32) -> SpawnError {
    let source = io::Error::from_raw_os_error(errno);
    match stage {
        Stage::WorkingDirectory => SpawnError::WorkingDirectory {
            dir: profile.cwd.clone().unwrap_or_else(|| PathBuf::from("/")),
            source,
        },
        Stage::Exec => SpawnError::Exec { program: profile.program.clone(), source },
        Stage::Order | Stage::Signals | Stage::Session | Stage::Privileges | Stage::Orphans => {
            SpawnError::Jail { stage, source }
        }
    }
}
