//! A jailer's work while its program runs.
use std::{
    io::{Read, Write},
    os::{fd::OwnedFd, unix::net::UnixStream},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, kill_process_group, wait},
};

use super::{descendants::children, memory::MemoryBound};
use crate::message::{KILL, Report, STOP};

/// How often the end of killed processes is looked for. Their signals usually say so before.
const ROUND: Duration = Duration::from_millis(20);

/// A running program, and what was asked for it.
pub(super) struct Watch {
    control: UnixStream,
    /// Whether the gateway may still have something to say.
    listening: bool,
    signals: OwnedFd,
    /// The program, which leads its group; `None` once it was reaped and its number is free again.
    program: Option<Pid>,
    grace: Duration,
    /// When the grace is over; `None` before anybody asked the program to stop.
    deadline: Option<Instant>,
    memory: Option<MemoryBound>,
    /// Whether it is killed for what it took of memory.
    over_memory: bool,
}

/// What happened.
#[derive(Default)]
struct Events {
    child_ended: bool,
    stop: bool,
    kill: bool,
}

impl Watch {
    pub(super) fn new(
        control: UnixStream,
        signals: OwnedFd,
        program: Pid,
        grace: Duration,
    ) -> Self {
        Self {
            control,
            listening: true,
            signals,
            program: Some(program),
            grace,
            deadline: None,
            memory: None,
            over_memory: false,
        }
    }

    /// The same, with an eye on memory.
    pub(super) fn bounded(self, memory: Option<MemoryBound>) -> Self {
        Self { memory, ..self }
    }

    /// Returns when the program and all that it started are gone.
    pub(super) fn run(mut self) {
        while self.program.is_some() {
            let left = self.deadline.map(|d| d.saturating_duration_since(Instant::now()));
            let round = self.memory.as_ref().map(MemoryBound::pause);
            let events = self.events(left.into_iter().chain(round).min());
            if events.child_ended {
                self.reap();
            }
            if events.stop {
                self.ask_to_stop();
            }
            self.over_memory = self.memory.as_mut().is_some_and(MemoryBound::is_exceeded);
            if events.kill || self.over_memory || self.deadline.is_some_and(|d| d <= Instant::now())
            {
                break;
            }
        }
        self.kill_all();
    }

    /// Ends the program without having run it for anybody, and without a word: whoever was to go on
    /// with the start says why it did not.
    pub(super) fn end(mut self) {
        self.program = None;
        self.kill_all();
    }

    fn ask_to_stop(&mut self) {
        if let (Some(group), None) = (self.program, self.deadline) {
            kill_process_group(group, Signal::TERM).ok();
            self.deadline = Instant::now().checked_add(self.grace);
        }
    }

    /// Every round kills the children there are; the orphans of those are the next round's.
    fn kill_all(mut self) {
        loop {
            if let Some(group) = self.program {
                kill_process_group(group, Signal::KILL).ok();
            }
            // The `/proc` at hand may be that of the namespace outside, which names them otherwise.
            if rustix::process::getpid().is_init() {
                crate::danger::process::kill_all_others();
            }
            // Only children, which nobody else can reap: their numbers cannot have passed to others.
            for child in children().unwrap_or_default() {
                kill_process(child, Signal::KILL).ok();
            }
            if !self.reap() {
                return;
            }
            self.events(Some(ROUND));
        }
    }

    /// Reaps who has ended, and says whether children are left.
    fn reap(&mut self) -> bool {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) if self.program == Some(pid) => {
                    self.program = None;
                    self.report(status);
                }
                Ok(Some(_)) | Err(Errno::INTR) => {}
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
    }

    fn report(&mut self, status: WaitStatus) {
        let report = match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Report::Exited(code),
            (None, _) if self.over_memory => Report::OverMemory,
            (None, signal) => Report::Killed(signal.unwrap_or_default()),
        };
        // A gateway that has gone does not ask.
        self.control.write_all(&report.encode()).ok();
    }

    /// Waits for something to happen, for `limit` at most.
    fn events(&mut self, limit: Option<Duration>) -> Events {
        let limit = limit.and_then(|l| Timespec::try_from(l).ok());
        let mut wanted = vec![PollFd::new(&self.signals, PollFlags::IN)];
        if self.listening {
            wanted.push(PollFd::new(&self.control, PollFlags::IN));
        }
        let polled = poll(&mut wanted, limit.as_ref());
        let ready: Vec<bool> = wanted.iter().map(|fd| !fd.revents().is_empty()).collect();
        let mut events = Events::default();
        match polled {
            Ok(_) => {
                if ready.first() == Some(&true) {
                    self.read_signals(&mut events);
                }
                if ready.get(1) == Some(&true) {
                    self.read_control(&mut events);
                }
            }
            Err(Errno::INTR) => {}
            // A jailer that cannot listen must not keep its program running.
            Err(_) => events.kill = true,
        }
        events
    }

    fn read_signals(&self, events: &mut Events) {
        let mut info = [0; size_of::<libc::signalfd_siginfo>()];
        while let Ok(1..) = rustix::io::read(&self.signals, &mut info) {
            // Its first field is the signal's number.
            let number = info.first_chunk().map(|bytes| i32::from_ne_bytes(*bytes));
            if number == Some(Signal::CHILD.as_raw()) {
                events.child_ended = true;
            } else {
                events.stop = true;
            }
        }
    }

    fn read_control(&mut self, events: &mut Events) {
        let mut wishes = [0; 16];
        match self.control.read(&mut wishes) {
            Ok(count @ 1..) => {
                let wishes = wishes.get(..count).unwrap_or_default();
                events.stop |= wishes.contains(&STOP);
                events.kill |= wishes.contains(&KILL);
            }
            Ok(0) | Err(_) => {
                self.listening = false;
                events.stop = true;
            }
        }
    }
}
