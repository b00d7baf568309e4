//! Copies of this process.
#![expect(unsafe_code, reason = "std and rustix have no safe way to copy a process")]
use std::io;

use rustix::process::Pid;

/// What a copy gets to itself, as the kernel's flags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Namespaces(u64);

impl Namespaces {
    pub(crate) const USER: Self = Self(libc::CLONE_NEWUSER as u64);
    pub(crate) const MOUNT: Self = Self(libc::CLONE_NEWNS as u64);
    pub(crate) const PID: Self = Self(libc::CLONE_NEWPID as u64);
    pub(crate) const IPC: Self = Self(libc::CLONE_NEWIPC as u64);
    pub(crate) const UTS: Self = Self(libc::CLONE_NEWUTS as u64);
    pub(crate) const NETWORK: Self = Self(libc::CLONE_NEWNET as u64);

    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) const fn holds(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// Whose child a copy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parent {
    /// This process's.
    This,
    /// That of this process's parent, which so waits for it.
    Same,
}

/// Copies this process into new namespaces; `None` in the copy.
///
/// Only for jailers: they have one thread, so that the copy has all of it, and no lock is held that
/// nobody would open.
pub(crate) fn copy(into: Namespaces, parent: Parent) -> io::Result<Option<Pid>> {
    let (flags, exit_signal) = match parent {
        Parent::This => (into.0, libc::SIGCHLD as u64),
        // The kernel takes the signal that this process was started with.
        Parent::Same => (into.0 | libc::CLONE_PARENT as u64, 0),
    };
    // SAFETY: a `clone_args` is plain bits, for which zero is a value: no stack, no settings.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = flags;
    args.exit_signal = exit_signal;
    // SAFETY: without CLONE_VM the copy has memory of its own and goes on where this process does,
    // on its own copy of the stack; `args` lives on it. This process has one thread.
    let pid =
        unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<libc::clone_args>()) };
    if pid < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(i32::try_from(pid).ok().and_then(Pid::from_raw))
}

/// Marks every descriptor above 2, so that it is closed when a program is executed.
pub(crate) fn close_on_exec() -> io::Result<()> {
    // SAFETY: the call takes three integers and closes nothing now.
    let done = unsafe {
        libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC)
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Kills every process that this one may see and kill, but itself. As the first of a PID namespace,
/// that is all the others of it.
pub(crate) fn kill_all_others() {
    // SAFETY: the call takes two integers.
    unsafe { libc::kill(-1, libc::SIGKILL) };
}

/// Whether two threads, by their numbers, have the same memory. Where that cannot be told, they have
/// not.
pub(crate) fn same_memory(one: i32, other: i32) -> bool {
    const KCMP_VM: libc::c_int = 1;
    // SAFETY: the call takes five integers, of which it uses three here, and changes nothing.
    let order = unsafe { libc::syscall(libc::SYS_kcmp, one, other, KCMP_VM, 0_u64, 0_u64) };
    order == 0
}
