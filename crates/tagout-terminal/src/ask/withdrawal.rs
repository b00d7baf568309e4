//! Questions that are taken back.
use std::{
    io::{self, PipeReader, PipeWriter, Write as _},
    os::fd::{AsFd, BorrowedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::turn;

/// Kept by whoever waits for the answer to a question. Dropped, it takes the question back, at once.
#[derive(Debug)]
pub struct Waiting(Arc<Bell>);

/// Tells a question whether anybody still waits for its answer.
#[derive(Debug)]
pub struct Withdrawn(Arc<Bell>);

#[derive(Debug)]
struct Bell {
    rung: AtomicBool,
    /// Readable from then on, so that whoever waits for typing wakes up.
    reader: PipeReader,
    writer: PipeWriter,
}

/// The two ends of a question's withdrawal.
///
/// # Errors
/// The process has no more file descriptors.
pub fn withdrawal() -> io::Result<(Waiting, Withdrawn)> {
    let (reader, writer) = io::pipe()?;
    let bell = Arc::new(Bell { rung: AtomicBool::new(false), reader, writer });
    Ok((Waiting(Arc::clone(&bell)), Withdrawn(bell)))
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.rung.store(true, Ordering::Release);
        // One byte always has room, and both ends are open as long as anybody has one of them.
        (&self.0.writer).write_all(&[0]).ok();
        turn::look();
    }
}

impl Withdrawn {
    pub(super) fn is_so(&self) -> bool {
        self.0.rung.load(Ordering::Acquire)
    }
}

impl AsFd for Withdrawn {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.reader.as_fd()
    }
}
