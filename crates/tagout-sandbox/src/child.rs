//! The gateway's hold on a running program.
use std::{
    io,
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::PathBuf,
    process,
    sync::{Mutex, MutexGuard, PoisonError, TryLockError},
    thread,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::{SendFlags, send},
    process::{Pid, Signal, WaitOptions, kill_process, waitpid},
};

use crate::{
    Exit,
    message::{KILL, Report, STOP},
};

/// A running program. Dropping it asks the program to end, kills it and all that it started after
/// its grace, and does not wait for that.
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
    /// The listener on its loopback, where its isolation has one.
    pub egress: Option<OwnedFd>,
    pub(crate) pid: u32,
    pub(crate) line: Line,
}

impl Child {
    /// The program's process id, which is also its process group.
    #[must_use]
    pub const fn pid(&self) -> u32 {
        self.pid
    }

    /// The process that watches over the program: its parent, and in the end that of all orphans
    /// that it leaves. Blocks while another thread is in [`Child::wait`].
    #[must_use]
    pub fn jailer(&self) -> u32 {
        self.line.end().jailer.as_raw_nonzero().get().unsigned_abs()
    }

    /// Asks the program to end: SIGTERM to its group now, SIGKILL to all that it started when it
    /// has ended or its grace is over. Does not wait, and does nothing when it has ended.
    pub fn stop(&self) {
        self.line.ask(STOP);
    }

    /// Kills the program and all that it started. Does not wait, and does nothing when it has
    /// ended.
    pub fn kill(&self) {
        self.line.ask(KILL);
    }

    /// Waits until the program and all that it started are gone. Blocks the thread; every later
    /// call returns the same at once.
    #[must_use]
    pub fn wait(&self) -> Exit {
        self.line.wait()
    }

    /// How the program ended, when it and all that it started are gone; `None` before that, and
    /// while another thread is in [`Child::wait`].
    #[must_use]
    pub fn try_wait(&self) -> Option<Exit> {
        self.line.try_wait()
    }
}

/// The socket to a jailer, and the jailer's process.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) control: UnixStream,
    end: Mutex<End>,
}

#[derive(Debug)]
struct End {
    /// The process that watches over the program.
    jailer: Pid,
    /// This process's children that are to be waited for: the jailer, and until it ends that which
    /// made the jailer.
    left: Vec<Pid>,
    exit: Option<Exit>,
    /// The control group of the program, which is removed in the end.
    group: Option<PathBuf>,
}

impl Line {
    pub(crate) fn new(control: UnixStream, process: &process::Child) -> Self {
        let jailer = Pid::from_child(process);
        Self {
            control,
            end: Mutex::new(End { jailer, left: vec![jailer], exit: None, group: None }),
        }
    }

    pub(crate) fn read_report(&self) -> io::Result<Report> {
        Report::read(&self.control)
    }

    /// Reads what became of an order, with what is attached to it.
    pub(crate) fn read_answer(
        &self,
        watch: impl FnMut(OwnedFd),
    ) -> io::Result<(Report, Vec<OwnedFd>)> {
        let mut watch = watch;
        loop {
            match Report::receive(&self.control)? {
                (Report::Jailer(pid), _) => {
                    let pid = Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidData)?;
                    let mut end = self.end();
                    end.jailer = pid;
                    end.left.push(pid);
                }
                (Report::Group(path), _) => self.end().group = Some(path),
                (Report::Watched, listener) => listener.into_iter().take(1).for_each(&mut watch),
                answer => {
                    self.end().reap_maker();
                    return Ok(answer);
                }
            }
        }
    }

    fn ask(&self, wish: u8) {
        // A jailer that is gone has done what is wished; one that does not read has a wish already.
        send(&self.control, &[wish], SendFlags::NOSIGNAL | SendFlags::DONTWAIT).ok();
    }

    /// Kills what was started and turned out to be no jailer.
    pub(crate) fn abandon(&self) {
        let mut end = self.end();
        for process in &end.left {
            // Not waited for yet, so that the number is still its own.
            kill_process(*process, Signal::KILL).ok();
        }
        end.reap();
    }

    fn end(&self) -> MutexGuard<'_, End> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self) -> Exit {
        let mut end = self.end();
        let known = end.exit;
        let exit = known.unwrap_or_else(|| end.explained(self.read_exit()));
        end.exit = Some(exit);
        end.reap();
        exit
    }

    fn try_wait(&self) -> Option<Exit> {
        let mut end = match self.end.try_lock() {
            Ok(end) => end,
            Err(TryLockError::Poisoned(end)) => end.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        if end.exit.is_none() && self.has_report() {
            end.exit = Some(end.explained(self.read_exit()));
        }
        let exit = end.exit?;
        end.try_reap().then_some(exit)
    }

    /// Blocks until the jailer has reported or is gone.
    fn read_exit(&self) -> Exit {
        match self.read_report() {
            Ok(Report::Exited(code)) => Exit::Code(code),
            Ok(Report::Killed(signal)) => Exit::Signal(signal),
            Ok(Report::OverMemory) => Exit::Memory,
            Ok(
                Report::Ready(_)
                | Report::Jailer(_)
                | Report::Group(_)
                | Report::Watched
                | Report::Started(_)
                | Report::Failed(..)
                | Report::Path(..)
                | Report::Missing(_)
                | Report::Surveyed(_),
            )
            | Err(_) => Exit::Lost,
        }
    }

    fn has_report(&self) -> bool {
        let mut wanted = [PollFd::new(&self.control, PollFlags::IN)];
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        matches!(poll(&mut wanted, Some(&at_once)), Ok(1))
    }
}

impl End {
    /// Waits for the jailer, which goes when nothing is left that it watches over.
    fn reap(&mut self) {
        for process in self.left.drain(..) {
            // It can only fail when somebody else reaped it, which comes to the same.
            while matches!(waitpid(Some(process), WaitOptions::empty()), Err(Errno::INTR)) {}
        }
        self.remove_group();
    }

    /// What a control group knows of an end: it takes the jailer along, which cannot tell.
    fn explained(&self, exit: Exit) -> Exit {
        let over = || self.group.as_deref().is_some_and(crate::jail::cgroup::was_over_memory);
        match exit {
            Exit::Lost | Exit::Signal(9) if over() => Exit::Memory,
            Exit::Code(_) | Exit::Signal(_) | Exit::Memory | Exit::Lost => exit,
        }
    }

    fn remove_group(&mut self) {
        if let Some(group) = self.group.take() {
            crate::jail::cgroup::remove(&group);
        }
    }

    /// Waits for what made the jailer, which goes when its work is done.
    fn reap_maker(&mut self) {
        let jailer = self.jailer;
        for maker in self.left.extract_if(.., |process| *process != jailer) {
            while matches!(waitpid(Some(maker), WaitOptions::empty()), Err(Errno::INTR)) {}
        }
    }

    fn try_reap(&mut self) -> bool {
        self.left.retain(|process| {
            matches!(waitpid(Some(*process), WaitOptions::NOHANG), Ok(None) | Err(Errno::INTR))
        });
        let all = self.left.is_empty();
        if all {
            self.remove_group();
        }
        all
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.control.shutdown(std::net::Shutdown::Both).ok();
        let end = self.end.get_mut().unwrap_or_else(PoisonError::into_inner);
        if end.try_reap() {
            return;
        }
        // Waiting takes a thread of its own, and ends with the jailer, soon after the grace.
        let mut left = End {
            jailer: end.jailer,
            left: std::mem::take(&mut end.left),
            exit: end.exit,
            group: end.group.take(),
        };
        let reaper = thread::Builder::new().name(String::from("reap-jailer"));
        reaper.spawn(move || left.reap()).ok();
    }
}
