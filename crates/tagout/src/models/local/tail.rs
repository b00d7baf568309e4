//! The last of what a program says.
use std::{
    collections::VecDeque,
    fs::File,
    io::Read as _,
    os::fd::OwnedFd,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// Bytes that are kept.
const BYTES: usize = 4096;
/// Lines that are shown.
const LINES: usize = 8;
/// How long the last words of a program that has ended are waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// The last of what a program says. All of it is read: a program to which nobody listens comes to a
/// halt.
#[derive(Clone, Default)]
pub(super) struct Tail(Arc<(Mutex<Kept>, Condvar)>);

#[derive(Default)]
struct Kept {
    bytes: VecDeque<u8>,
    /// Streams that have not ended.
    open: usize,
}

impl Tail {
    /// Reads from `stream` until it ends.
    pub(super) fn follow(&self, stream: OwnedFd) {
        let tail = self.clone();
        self.kept().open += 1;
        let read = move || {
            tail.read(File::from(stream));
            tail.kept().open -= 1;
            tail.0.1.notify_all();
        };
        if thread::Builder::new().name("llama-server-says".to_owned()).spawn(read).is_err() {
            self.kept().open -= 1;
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, mut stream: File) {
        let mut buffer = vec![0; BYTES];
        while let Ok(read) = stream.read(&mut buffer) {
            if read == 0 {
                return;
            }
            let bytes = &mut self.kept().bytes;
            bytes.extend(buffer.get(..read).unwrap_or_default());
            let over = bytes.len().saturating_sub(BYTES);
            drop(bytes.drain(..over));
        }
    }

    /// The last lines, without `secret`; of a program that has `ended`, all that it said is waited
    /// for.
    pub(super) fn lines(&self, secret: &str, ended: bool) -> String {
        let kept = self.kept();
        let goes_on = |kept: &mut Kept| ended && kept.open > 0;
        let waited = self.0.1.wait_timeout_while(kept, PATIENCE, goes_on);
        let (kept, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let bytes: Vec<u8> = kept.bytes.iter().copied().collect();
        drop(kept);
        let text = String::from_utf8_lossy(&bytes).replace(secret, "(key)");
        let lines: Vec<_> = text.lines().map(str::trim_end).filter(|l| !l.is_empty()).collect();
        let last = lines.get(lines.len().saturating_sub(LINES)..).unwrap_or_default();
        last.join("\n")
    }
}
