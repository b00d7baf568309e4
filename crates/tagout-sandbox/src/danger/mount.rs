//! What a mount lets through.
#![expect(unsafe_code, reason = "rustix does not wrap `mount_setattr`")]
use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
};

use rustix::mount::MountAttrFlags;

/// Sets attributes of the mount at `mount`, and makes its changes its own: with `whole`, also those of
/// all mounts below. With a user namespace, files are seen through its map.
pub(crate) fn set_attributes(
    mount: BorrowedFd<'_>,
    attributes: MountAttrFlags,
    whole: bool,
    mapped: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    let flags = libc::AT_EMPTY_PATH | if whole { libc::AT_RECURSIVE } else { 0 };
    let mapping = if mapped.is_some() { libc::MOUNT_ATTR_IDMAP } else { 0 };
    let wanted = libc::mount_attr {
        attr_set: u64::from(attributes.bits()) | mapping,
        attr_clr: 0,
        propagation: libc::MS_PRIVATE,
        userns_fd: mapped.map_or(0, |fd| fd.as_raw_fd().unsigned_abs().into()),
    };
    // SAFETY: the kernel reads an empty C string and as many bytes of `wanted` as it is told.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const wanted,
            size_of::<libc::mount_attr>(),
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
