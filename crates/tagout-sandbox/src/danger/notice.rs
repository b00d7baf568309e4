//! System calls that wait for another process's word.
use std::{
    ffi::{c_int, c_ulong, c_ushort},
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
};

use crate::jail::seccomp::{Call, Instruction};

/// A call that waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Notice {
    id: u64,
    /// Whose call it is, as this process numbers it.
    pub(crate) process: u32,
    pub(crate) call: Call,
}

/// Puts the calling thread under a filter for good, and returns where calls are told that the filter
/// wants told.
pub(crate) fn install_and_listen(program: &[Instruction]) -> io::Result<OwnedFd> {
    // Calls that nobody has begun to answer are not broken off by signals, which some runtimes send
    // to themselves all the time; kernels before 5.19 do not have that.
    let patient = libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    let listen = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    match install(program, listen | patient) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => install(program, listen),
        done => done,
    }
}

fn install(program: &[Instruction], flags: c_ulong) -> io::Result<OwnedFd> {
    let mut filter: Vec<libc::sock_filter> = program.iter().map(super::seccomp::raw).collect();
    let len = c_ushort::try_from(filter.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let program = libc::sock_fprog { len, filter: filter.as_mut_ptr() };
    // SAFETY: the kernel reads `program` and the `len` instructions that it points to, both of
    // which live until the call is over, and writes nothing.
    let fd = unsafe {
        let mode = libc::SECCOMP_SET_MODE_FILTER;
        libc::syscall(libc::SYS_seccomp, mode, flags, &raw const program)
    };
    let fd = c_int::try_from(fd).map_err(io::Error::other)?;
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just opened it, closed on exec, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The next call that waits. Blocks; `NotFound` when it was given up in the meantime.
pub(crate) fn next(listener: &OwnedFd) -> io::Result<Notice> {
    // SAFETY: a `seccomp_notif` is plain numbers, for which zero is a value; the kernel wants it so.
    let mut told: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes one `seccomp_notif`, whose size is part of the request's number.
    let done =
        unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut told) };
    if done != 0 {
        return Err(io::Error::last_os_error());
    }
    let call = Call {
        number: told.data.nr.cast_unsigned(),
        architecture: told.data.arch,
        arguments: told.data.args,
    };
    Ok(Notice { id: told.id, process: told.pid, call })
}

/// Whether the call still waits, so that its process is still the one of that number.
pub(crate) fn still_waits(listener: &OwnedFd, notice: &Notice) -> bool {
    // SAFETY: the kernel reads one number of 64 bits.
    let done = unsafe {
        let id: *const u64 = &raw const notice.id;
        libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_ID_VALID, id)
    };
    done == 0
}

/// Lets the call be made, or fail with an error's number.
pub(crate) fn answer(listener: &OwnedFd, notice: &Notice, error: Option<i32>) -> io::Result<()> {
    let (error, flags) = match error {
        Some(number) => (-number, 0),
        // Fits: it is a single bit.
        None => (0, u32::try_from(libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE).unwrap_or(1)),
    };
    let answer = libc::seccomp_notif_resp { id: notice.id, val: 0, error, flags };
    // SAFETY: the kernel reads one `seccomp_notif_resp`, whose size is part of the request's number.
    let done = unsafe {
        libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &raw const answer)
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
