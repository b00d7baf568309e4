//! The terminal's own device.
use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{FlockOperation, flock},
    termios::{QueueSelector, tcflush, tcgetpgrp},
};
use tagout_store::Scope;

use super::{Answer, Approver, Asking, Card};

/// The terminal that this process was started on, by its device: whoever feeds standard input,
/// a model among them, cannot answer.
#[derive(Debug)]
pub struct Terminal {
    /// One question at a time, within this process…
    turn: tokio::sync::Mutex<()>,
    /// …and among all that share the terminal: where their locks are.
    locks: PathBuf,
}

impl Terminal {
    /// Asks on the terminal; other gateways on it are kept waiting by a lock in the folder `locks`.
    #[must_use]
    pub fn new(locks: PathBuf) -> Self {
        Self { turn: tokio::sync::Mutex::new(()), locks }
    }
}

impl Approver for Terminal {
    fn ask<'a>(&'a self, card: &'a Card, limit: Duration) -> Asking<'a> {
        Box::pin(async move {
            let asking = async {
                let _turn = self.turn.lock().await;
                let withdrawn = Withdrawn(Arc::new(AtomicBool::new(false)));
                let flag = Arc::clone(&withdrawn.0);
                let (text, code) = (card.to_string(), card.code.clone());
                let question = Question { card: text, code, scopes: card.scopes.clone(), limit };
                let locks = self.locks.clone();
                let asked = tokio::task::spawn_blocking(move || question.ask(&locks, &flag)).await;
                match asked {
                    Ok(Ok(answer)) => answer,
                    // No terminal, or one that fails: nobody has said yes.
                    Ok(Err(_)) | Err(_) => Answer::Nobody,
                }
            };
            // The wait for a turn counts too.
            tokio::time::timeout(limit, asking).await.unwrap_or(Answer::TimedOut)
        })
    }

    fn channel(&self) -> &'static str {
        "terminal"
    }
}

/// Tells the thread that asks to stop when nobody waits for it any more.
struct Withdrawn(Arc<AtomicBool>);

impl Drop for Withdrawn {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// How often a waiting question looks whether it was withdrawn.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
/// An answer is one short word.
const ANSWER_BYTES: usize = 64;

/// A card as it is put to a person.
struct Question {
    card: String,
    /// What approves it, and nothing else does: an answer that was meant for another card, which
    /// stood there a moment ago, has another code.
    code: String,
    /// What may be typed after it, to approve more than this one call.
    scopes: Vec<Scope>,
    limit: Duration,
}

impl Question {
    fn ask(&self, locks: &Path, withdrawn: &AtomicBool) -> io::Result<Answer> {
        let until = Instant::now() + self.limit;
        let mut terminal = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
        if tcgetpgrp(&terminal)? != rustix::process::getpgrp() {
            // In the background: the terminal is somebody else's, and reading would stop us.
            return Ok(Answer::Nobody);
        }
        let Some(_lock) = locked(locks, until, withdrawn)? else { return Ok(Answer::TimedOut) };
        // What was typed before the question was read is no answer to it.
        tcflush(&terminal, QueueSelector::IFlush)?;
        write!(terminal, "{}\n{}", self.card, self.prompt())?;
        terminal.flush()?;
        let answer = self.read_answer(&mut terminal, until, withdrawn)?;
        let said = match answer {
            Answer::Allow | Answer::AllowFor(Scope::Once) => "approved, once",
            Answer::AllowFor(Scope::Conversation) => "approved, for this conversation",
            Answer::AllowFor(Scope::Always) => "approved, always",
            Answer::Deny => "denied",
            Answer::TimedOut => "\nno answer: denied",
            Answer::Nobody => "\nwithdrawn",
        };
        writeln!(terminal, "{said}")?;
        Ok(answer)
    }

    fn prompt(&self) -> String {
        let more = self.scopes.iter().filter_map(|scope| match scope {
            Scope::Once => None,
            Scope::Conversation => Some(
                "The code and `conversation` approve just these arguments for this conversation.\n",
            ),
            Scope::Always => Some("The code and `always` approve just these arguments always.\n"),
        });
        let more: String = more.collect();
        format!("{more}Type {} to approve, once; anything else denies: ", self.code)
    }

    /// What is typed means what the card offers, or no.
    fn meant_by(&self, typed: &[u8]) -> Answer {
        let text = String::from_utf8_lossy(typed);
        let mut words = text.split_ascii_whitespace();
        if !words.next().is_some_and(|word| word.eq_ignore_ascii_case(&self.code)) {
            return Answer::Deny;
        }
        match (words.next(), words.next()) {
            (None, _) => Answer::Allow,
            (Some(word), None) => {
                let scope = Scope::of_word(&word.to_ascii_lowercase());
                let offered = scope.filter(|scope| self.scopes.contains(scope));
                offered.map_or(Answer::Deny, Answer::AllowFor)
            }
            (Some(_), Some(_)) => Answer::Deny,
        }
    }

    fn read_answer(
        &self,
        terminal: &mut File,
        until: Instant,
        withdrawn: &AtomicBool,
    ) -> io::Result<Answer> {
        let mut typed = Vec::new();
        loop {
            if withdrawn.load(Ordering::Relaxed) {
                return Ok(Answer::Nobody);
            }
            if Instant::now() >= until {
                return Ok(Answer::TimedOut);
            }
            let ready = match poll(&mut [PollFd::new(terminal, PollFlags::IN)], Some(&LOOK)) {
                Ok(ready) => ready,
                Err(rustix::io::Errno::INTR) => 0,
                Err(error) => return Err(error.into()),
            };
            if ready == 0 {
                continue;
            }
            let mut buffer = [0; ANSWER_BYTES];
            let read = io::Read::read(terminal, &mut buffer)?;
            if read == 0 {
                return Ok(Answer::Deny);
            }
            typed.extend_from_slice(buffer.get(..read).unwrap_or_default());
            if typed.contains(&b'\n') || typed.len() > ANSWER_BYTES {
                return Ok(self.meant_by(&typed));
            }
        }
    }
}

/// The terminal for this question alone, among all gateways that were started on it; nothing if
/// another question keeps it until the time is over.
fn locked(locks: &Path, until: Instant, withdrawn: &AtomicBool) -> io::Result<Option<File>> {
    let path = locks.join(format!("terminal-{}.lock", terminal_number()?));
    let mut open = OpenOptions::new();
    let file = open.write(true).create(true).truncate(false).mode(0o600).open(path)?;
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(Some(file)),
            Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        if Instant::now() >= until || withdrawn.load(Ordering::Relaxed) {
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The device number of the terminal that this process was started on, from proc(5).
fn terminal_number() -> io::Result<i64> {
    let mut text = String::new();
    #[expect(clippy::disallowed_methods, reason = "the reader before it has a bound")]
    File::open("/proc/self/stat")?.take(4096).read_to_string(&mut text)?;
    // The name in parentheses may hold anything; the number is the fifth field behind it.
    let fields = text.rsplit(')').next().unwrap_or_default();
    let number = fields.split_whitespace().nth(4).and_then(|field| field.parse().ok());
    number.ok_or_else(|| io::ErrorKind::InvalidData.into())
}
