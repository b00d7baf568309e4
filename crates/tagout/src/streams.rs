//! Standard input and output as their kind allows: pipes and sockets, which is what hosts use, are
//! waited for without a thread in between.
use std::{
    io,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    path::Path,
    pin::Pin,
    task::{Context, Poll},
};

use rustix::fs::{FileType, fstat};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{UnixStream, unix::pipe},
};

use crate::failure::Failure;

/// Standard input.
pub(crate) enum Input {
    Pipe(pipe::Receiver),
    Socket(UnixStream),
    Other(tokio::io::Stdin),
}

/// Standard output.
pub(crate) enum Output {
    Pipe(pipe::Sender),
    Socket(UnixStream),
    Other(tokio::io::Stdout),
}

/// Both of them, for one client. To be called within the runtime.
pub(crate) fn standard() -> Result<(Input, Output), Failure> {
    open().map_err(|error| Failure::io(Path::new("standard streams"), error))
}

fn open() -> io::Result<(Input, Output)> {
    let (stdin, stdout) = (io::stdin(), io::stdout());
    let (reads, writes) = (kind(stdin.as_fd())?, kind(stdout.as_fd())?);
    let input = if reads == FileType::Fifo {
        Input::Pipe(pipe::Receiver::from_owned_fd(own(stdin.as_fd())?)?)
    } else if reads == FileType::Socket {
        Input::Socket(socket(own(stdin.as_fd())?)?)
    } else {
        Input::Other(tokio::io::stdin())
    };
    let output = if writes == FileType::Fifo {
        Output::Pipe(pipe::Sender::from_owned_fd(own(stdout.as_fd())?)?)
    } else if writes == FileType::Socket {
        Output::Socket(socket(own(stdout.as_fd())?)?)
    } else {
        Output::Other(tokio::io::stdout())
    };
    Ok((input, output))
}

fn kind(descriptor: BorrowedFd<'_>) -> io::Result<FileType> {
    Ok(FileType::from_raw_mode(fstat(descriptor)?.st_mode))
}

fn own(descriptor: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    descriptor.try_clone_to_owned()
}

fn socket(descriptor: OwnedFd) -> io::Result<UnixStream> {
    let socket = std::os::unix::net::UnixStream::from(descriptor);
    socket.set_nonblocking(true)?;
    UnixStream::from_std(socket)
}

impl AsyncRead for Input {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Pipe(pipe) => Pin::new(pipe).poll_read(context, buffer),
            Self::Socket(socket) => Pin::new(socket).poll_read(context, buffer),
            Self::Other(other) => Pin::new(other).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Output {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Pipe(pipe) => Pin::new(pipe).poll_write(context, bytes),
            Self::Socket(socket) => Pin::new(socket).poll_write(context, bytes),
            Self::Other(other) => Pin::new(other).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Pipe(pipe) => Pin::new(pipe).poll_flush(context),
            Self::Socket(socket) => Pin::new(socket).poll_flush(context),
            Self::Other(other) => Pin::new(other).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(context)
    }
}
