//! Descriptors that travel over a socket.
use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::{
        fd::{BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// How many travel at once.
pub(crate) const AT_ONCE: usize = 64;

/// Sends `bytes`, which are few, with `fds` attached to the first.
pub(crate) fn send(to: &UnixStream, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(AT_ONCE))];
    let mut attached = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !attached.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let sent = loop {
        match sendmsg(to, &[IoSlice::new(bytes)], &mut attached, SendFlags::NOSIGNAL) {
            Err(rustix::io::Errno::INTR) => {}
            done => break done?,
        }
    };
    if sent == bytes.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

/// Receives exactly what fills `bytes`, which was sent at once, and what was attached to it.
pub(crate) fn receive(from: &UnixStream, bytes: &mut [u8]) -> io::Result<Vec<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(AT_ONCE))];
    let mut attached = RecvAncillaryBuffer::new(&mut space);
    let wanted = bytes.len();
    let received = loop {
        let parts = &mut [IoSliceMut::new(bytes)];
        let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::WAITALL;
        match recvmsg(from, parts, &mut attached, flags) {
            Err(rustix::io::Errno::INTR) => {}
            done => break done?,
        }
    };
    if received.bytes != wanted {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let rights = attached.drain().filter_map(|message| {
        if let RecvAncillaryMessage::ScmRights(fds) = message { Some(fds) } else { None }
    });
    Ok(rights.flatten().collect())
}
