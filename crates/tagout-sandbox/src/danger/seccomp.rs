//! Filters of system calls.
use std::{ffi::c_ushort, io};

use crate::jail::seccomp::Instruction;

/// Puts the calling thread under a filter for good.
pub(crate) fn install(program: &[Instruction]) -> io::Result<()> {
    let mut filter: Vec<libc::sock_filter> = program.iter().map(raw).collect();
    let len = c_ushort::try_from(filter.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let program = libc::sock_fprog { len, filter: filter.as_mut_ptr() };
    // SAFETY: the kernel reads `program` and the `len` instructions that it points to, both of
    // which live until the call is over, and writes nothing.
    let done = unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program)
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

pub(super) fn raw(instruction: &Instruction) -> libc::sock_filter {
    let Instruction { code, yes, no, operand } = *instruction;
    libc::sock_filter { code, jt: yes, jf: no, k: operand }
}
