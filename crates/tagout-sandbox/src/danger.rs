//! The unsafe code, all of it but one call.
#![expect(unsafe_code, reason = "system calls that std and rustix do not wrap safely")]
pub(crate) mod landlock;
pub(crate) mod mount;
pub(crate) mod network;
pub(crate) mod notice;
pub(crate) mod process;
pub(crate) mod seccomp;

use std::{
    io,
    os::{
        fd::{FromRawFd, OwnedFd},
        unix::process::CommandExt,
    },
    process::{Child, Command},
};

use rustix::process::{Pid, Signal};

/// Closes every descriptor but 0, 1 and 2.
///
/// # Safety
/// Nothing in this process may own a descriptor above 2, now or in another thread.
pub(crate) unsafe fn close_inherited() -> io::Result<()> {
    // By number, because older C libraries have no wrapper.
    // SAFETY: the call takes three integers; that nobody owns what it closes is the caller's word.
    let done = unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The size of the kernel's set of signals.
const SET_BYTES: usize = 8;

/// Gives every signal its default disposition, except that writing to a closed pipe or socket stays
/// an error: a jailer must outlive its gateway.
pub(crate) fn reset_dispositions() {
    // The kernel's `struct sigaction` for any architecture: default, no flags, empty mask.
    let default = [0_u64; 8];
    for number in 1..=libc::SIGRTMAX() {
        // Not by `signal`, with which the C library keeps two numbers for itself, ignored or not.
        // SAFETY: the kernel reads less than `default` holds, and writes nothing. A default runs no
        // code; what it replaces is Rust's handler that reports stack overflows, without which
        // they end the process all the same. SIGKILL and SIGSTOP are refused without harm.
        unsafe {
            let none = std::ptr::null_mut::<u64>();
            libc::syscall(libc::SYS_rt_sigaction, number, default.as_ptr(), none, SET_BYTES);
        }
    }
    // SAFETY: ignoring a signal runs no code.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
}

/// Blocks exactly `signals` in this thread and returns a descriptor that reads them, without
/// blocking.
pub(crate) fn signal_descriptor(signals: &[Signal]) -> io::Result<OwnedFd> {
    let mut set = no_signals();
    for signal in signals {
        // SAFETY: `set` is initialised, and lives on this stack.
        unsafe { libc::sigaddset(&raw mut set, signal.as_raw()) };
    }
    block_exactly(&set)?;
    // SAFETY: -1 asks for a new descriptor; `set` is initialised.
    let fd = unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `fd` was just opened and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn no_signals() -> libc::sigset_t {
    // SAFETY: a `sigset_t` is plain bits, for which zero is a value.
    let mut set = unsafe { std::mem::zeroed() };
    // SAFETY: `set` is a valid place to write to, and lives on this stack.
    unsafe { libc::sigemptyset(&raw mut set) };
    set
}

/// Blocks no signal in this thread.
pub(crate) fn unblock_signals() -> io::Result<()> {
    block_exactly(&no_signals())
}

fn block_exactly(set: &libc::sigset_t) -> io::Result<()> {
    // SAFETY: a reference is valid to read; a null pointer asks for no old mask.
    let done = unsafe { libc::sigprocmask(libc::SIG_SETMASK, set, std::ptr::null_mut()) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Starts `command` with no signal blocked, and so that the kernel kills it when the calling thread
/// of this process ends.
pub(crate) fn spawn_tied(command: &mut Command) -> io::Result<Child> {
    let parent = rustix::process::getpid();
    // SAFETY: between fork and exec the closure makes three system calls and touches no memory but
    // its own stack and its copy of a number: no lock, no allocation.
    unsafe { command.pre_exec(move || tie_to(parent)) };
    command.spawn()
}

fn tie_to(parent: Pid) -> io::Result<()> {
    block_exactly(&no_signals())?;
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    // A parent that died before the call above will send nothing.
    if rustix::process::getppid() == Some(parent) {
        Ok(())
    } else {
        Err(rustix::io::Errno::SRCH.into())
    }
}
