//! Landlock's three system calls.
use std::{
    io,
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd},
    ptr,
};

/// What a ruleset is about: whatever of it no rule allows is refused.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Handled {
    pub(crate) files: u64,
    /// Since the fourth version.
    pub(crate) network: u64,
    /// Since the sixth.
    pub(crate) scopes: u64,
}

/// Packed in the kernel's own header.
#[repr(C, packed)]
struct BeneathPath {
    allowed: u64,
    parent: i32,
}

#[repr(C)]
struct AtPort {
    allowed: u64,
    port: u64,
}

const ASK_VERSION: u32 = 1;
const BENEATH_PATH: u32 = 1;
const AT_PORT: u32 = 2;

/// The version that this kernel has.
pub(crate) fn version() -> io::Result<u32> {
    // SAFETY: with this flag the kernel reads no memory, and wants a null pointer and no size.
    let version = unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, ptr::null::<Handled>(), 0, ASK_VERSION)
    };
    u32::try_from(version).map_err(|_| io::Error::last_os_error())
}

/// A ruleset without rules. An older kernel takes `handled` if the fields that it does not know are
/// zero.
pub(crate) fn ruleset(handled: &Handled) -> io::Result<OwnedFd> {
    // SAFETY: the kernel reads as many bytes as the size says, which is that of `handled`.
    let fd = unsafe {
        let handled: *const Handled = handled;
        libc::syscall(libc::SYS_landlock_create_ruleset, handled, size_of::<Handled>(), 0)
    };
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just opened it, closed on exec, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Allows something with the file, or with all in the folder, that `path` is open at.
pub(crate) fn allow_beneath(ruleset: &OwnedFd, path: impl AsFd, allowed: u64) -> io::Result<()> {
    let rule = BeneathPath { allowed, parent: path.as_fd().as_raw_fd() };
    add(ruleset, BENEATH_PATH, &raw const rule)
}

/// Allows something with a port.
pub(crate) fn allow_at(ruleset: &OwnedFd, port: u16, allowed: u64) -> io::Result<()> {
    let rule = AtPort { allowed, port: u64::from(port) };
    add(ruleset, AT_PORT, &raw const rule)
}

/// `rule` is of the form that `kind` asks for, and valid to read: its callers stand above.
fn add<Rule>(ruleset: &OwnedFd, kind: u32, rule: *const Rule) -> io::Result<()> {
    // SAFETY: the kernel reads one rule of that kind, and its callers hand in one that lives.
    let done =
        unsafe { libc::syscall(libc::SYS_landlock_add_rule, ruleset.as_raw_fd(), kind, rule, 0) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Puts the calling thread under the ruleset for good.
pub(crate) fn restrict(ruleset: &OwnedFd) -> io::Result<()> {
    // SAFETY: the call takes a descriptor and flags.
    let done = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
