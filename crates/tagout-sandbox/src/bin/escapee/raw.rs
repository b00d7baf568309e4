//! System calls as a program makes them that cares for no wrapper.
#![expect(unsafe_code, reason = "a hostile program makes calls that nobody wraps")]
use std::{fs::File, io, os::fd::FromRawFd as _};

use rustix::{io::Errno, process::Pid};

/// What a system call is given.
pub(crate) enum Arg<'a> {
    /// A number, a descriptor, or an address that the kernel does not follow in this process.
    Int(i64),
    /// What the kernel reads.
    In(&'a [u8]),
    /// What the kernel writes.
    Out(&'a mut [u8]),
}

/// Makes one system call.
pub(crate) fn call(number: libc::c_long, args: &mut [Arg<'_>]) -> Result<i64, Errno> {
    let mut words = [0_i64; 6];
    for (word, arg) in words.iter_mut().zip(args) {
        *word = match arg {
            Arg::Int(value) => *value,
            Arg::In(bytes) => bytes.as_ptr() as i64,
            Arg::Out(bytes) => bytes.as_mut_ptr() as i64,
        };
    }
    let [a, b, c, d, e, f] = words;
    // SAFETY: the buffers are valid for the call, and each caller hands over as many bytes as its
    // call reads or writes. No caller asks for a mapping in place of one that is used.
    let done = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    if done < 0 {
        let error = io::Error::last_os_error().raw_os_error().unwrap_or_default();
        return Err(Errno::from_raw_os_error(error));
    }
    Ok(done)
}

/// The same, for what gives a descriptor.
pub(crate) fn open(number: libc::c_long, args: &mut [Arg<'_>]) -> Result<File, Errno> {
    let fd = i32::try_from(call(number, args)?).map_err(|_| Errno::BADF)?;
    // SAFETY: the kernel just made it, and nobody else knows it.
    Ok(unsafe { File::from_raw_fd(fd) })
}

/// Takes a descriptor that was inherited.
pub(crate) fn inherited(fd: i32) -> Option<File> {
    call(libc::SYS_fcntl, &mut [Arg::Int(fd.into()), Arg::Int(libc::F_GETFD.into())]).ok()?;
    // SAFETY: it is open, and nothing in this process opened it.
    Some(unsafe { File::from_raw_fd(fd) })
}

/// A child that runs `work` and exits with what that returns.
pub(crate) fn fork(work: impl FnOnce() -> i32) -> Result<Pid, Errno> {
    // SAFETY: wherever this program forks it has one thread, so the child may do as it likes.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let code = work();
        // SAFETY: it ends the process, and nothing of the parent's is to be cleaned up in it.
        unsafe { libc::_exit(code) };
    }
    Pid::from_raw(pid.max(0)).ok_or_else(last)
}

fn last() -> Errno {
    Errno::from_raw_os_error(io::Error::last_os_error().raw_os_error().unwrap_or_default())
}

/// The content of a segment of System V's shared memory.
pub(crate) fn shared_memory(id: i64, bytes: usize) -> Result<Vec<u8>, Errno> {
    let id = i32::try_from(id).map_err(|_| Errno::INVAL)?;
    // SAFETY: the kernel chooses the place.
    let place = unsafe { libc::shmat(id, std::ptr::null(), libc::SHM_RDONLY) };
    if place as isize == -1 {
        return Err(last());
    }
    // SAFETY: the segment was made with at least so many bytes, and is mapped until the end.
    Ok(unsafe { std::slice::from_raw_parts(place.cast::<u8>(), bytes) }.to_vec())
}

/// Puts `content` into a new segment of System V's shared memory.
pub(crate) fn share_memory(key: i32, content: &[u8]) -> Result<i32, Errno> {
    // SAFETY: the call takes numbers.
    let id = unsafe { libc::shmget(key, 4096, libc::IPC_CREAT | 0o600) };
    if id < 0 {
        return Err(last());
    }
    // SAFETY: the kernel chooses the place.
    let place = unsafe { libc::shmat(id, std::ptr::null(), 0) };
    if place as isize == -1 {
        return Err(last());
    }
    let fitting = content.len().min(4096);
    // SAFETY: a page was asked for, no more is written, and nobody else writes to it.
    unsafe { std::ptr::copy_nonoverlapping(content.as_ptr(), place.cast::<u8>(), fitting) };
    Ok(id)
}

/// The process id, asked for by the calls of 32-bit programs.
pub(crate) fn pid_by_old_calls() -> Option<i64> {
    #[cfg(target_arch = "x86_64")]
    {
        let mut number: i64 = 20;
        // SAFETY: `getpid` of the 32-bit table; it touches no memory.
        unsafe {
            std::arch::asm!("int 0x80", inout("rax") number, out("r8") _, out("r9") _,
                out("r10") _, out("r11") _);
        }
        Some(number)
    }
    #[cfg(not(target_arch = "x86_64"))]
    None
}

/// Fills the gaps that make a number of bytes.
pub(crate) fn bytes_of(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// The same for longer words.
pub(crate) fn bytes_of_long(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// A path or name as the kernel reads it.
pub(crate) fn name(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    bytes.push(0);
    bytes
}
