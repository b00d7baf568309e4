//! Asking a person.
use std::{
    fs::{File, OpenOptions},
    future::Future,
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    pin::Pin,
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
use tagout_inspect::characters::{made_visible, one_line};
use tagout_policy::Effects;
use tagout_proto::{Digest, Kind, Value, quoted};

/// What a person decides on.
#[derive(Clone, Debug)]
pub struct Card {
    /// On whose behalf.
    pub user: String,
    /// What the client calls itself.
    pub client: String,
    /// The server.
    pub server: String,
    /// The tool, resource or prompt, as the server calls it.
    pub subject: String,
    /// What it may do.
    pub effects: Effects,
    /// Whether a person has reviewed that.
    pub reviewed: bool,
    /// The rule that asks, and why.
    pub rule: String,
    /// Why it asks.
    pub reason: String,
    /// All the arguments, in full, with nothing hidden.
    pub arguments: String,
    /// What else the server gets; empty if there is nothing.
    pub beside: String,
    /// What the approval binds to.
    pub digest: Digest,
    /// What a person types to approve this card, and no other: drawn at random, because whoever
    /// makes the call can make calls whose digests are alike.
    pub code: String,
}

/// What came of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Go ahead, this once.
    Allow,
    /// Stop.
    Deny,
    /// There is nobody to ask.
    Nobody,
    /// Nobody answered in time.
    TimedOut,
}

/// An answer that takes its time.
pub type Asking<'a> = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

/// A way to ask a person.
pub trait Approver: Send + Sync {
    /// Asks, and waits at most `limit`. Dropping the future withdraws the question.
    fn ask<'a>(&'a self, card: &'a Card, limit: Duration) -> Asking<'a>;

    /// The way's name in records: `terminal`, `none`.
    fn channel(&self) -> &'static str;
}

/// Nobody: every question is answered by no.
#[derive(Clone, Copy, Debug)]
pub struct Nobody;

impl Approver for Nobody {
    fn ask<'a>(&'a self, _card: &'a Card, _limit: Duration) -> Asking<'a> {
        Box::pin(std::future::ready(Answer::Nobody))
    }

    fn channel(&self) -> &'static str {
        "none"
    }
}

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
                let question = Question { card: card.to_string(), code: card.code.clone(), limit };
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
        write!(
            terminal,
            "{}\nType {} to approve, once; anything else denies: ",
            self.card, self.code
        )?;
        terminal.flush()?;
        let answer = self.read_answer(&mut terminal, until, withdrawn)?;
        let said = match answer {
            Answer::Allow => "approved, once",
            Answer::Deny => "denied",
            Answer::TimedOut => "\nno answer: denied",
            Answer::Nobody => "\nwithdrawn",
        };
        writeln!(terminal, "{said}")?;
        Ok(answer)
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
                let yes = typed.trim_ascii().eq_ignore_ascii_case(self.code.as_bytes());
                return Ok(if yes { Answer::Allow } else { Answer::Deny });
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

impl std::fmt::Display for Card {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let effects: Vec<_> = self.effects.iter().map(|effect| effect.as_str()).collect();
        let reviewed = if self.reviewed { "reviewed" } else { "NOT reviewed by anyone" };
        writeln!(f, "\n== Tagout: a call waits for you =====================================")?;
        writeln!(f, "   tool       {} on server {}", one_line(&self.subject), self.server)?;
        writeln!(f, "   may        {} ({reviewed})", effects.join(", "))?;
        writeln!(f, "   for        {}, through {}", one_line(&self.user), one_line(&self.client))?;
        writeln!(f, "   asked by   {}: {}", one_line(&self.rule), one_line(&self.reason))?;
        writeln!(f, "   digest     {}", self.digest)?;
        writeln!(f, "   arguments")?;
        for line in self.arguments.lines() {
            writeln!(f, "     {line}")?;
        }
        if !self.beside.is_empty() {
            writeln!(f, "   also sent")?;
            for line in self.beside.lines() {
                writeln!(f, "     {line}")?;
            }
        }
        writeln!(f, "======================================================================")?;
        // Long arguments scroll the top away.
        let bytes = self.arguments.len() + self.beside.len();
        let subject = one_line(&self.subject);
        write!(f, "{subject} on {} may {}; {bytes} bytes above", self.server, effects.join(", "))
    }
}

impl Card {
    /// The card as the message of a form: its frame and its typed code are a terminal's.
    #[must_use]
    pub fn for_a_form(&self) -> String {
        let text = self.to_string();
        let lines = text.trim().lines().filter(|line| !line.starts_with("=="));
        let body: Vec<_> = lines.collect();
        format!("Tagout: a call waits for your approval.\n{}", body.join("\n"))
    }
}

/// Arguments for a person: indented, in full, numbers as they were written, and nothing hidden.
#[must_use]
pub fn readable(value: Value<'_>) -> String {
    let mut out = String::new();
    indent(value, 0, &mut out);
    out
}

fn indent(value: Value<'_>, level: usize, out: &mut String) {
    let line = |out: &mut String, level: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", level));
    };
    match value.kind() {
        Kind::Object if value.members().next().is_some() => {
            out.push('{');
            for (n, (key, member)) in value.members().enumerate() {
                if n > 0 {
                    out.push(',');
                }
                line(out, level + 1);
                out.push_str(&made_visible(&quoted(&key)).0);
                out.push_str(": ");
                indent(member, level + 1, out);
            }
            line(out, level);
            out.push('}');
        }
        Kind::Array if value.elements().next().is_some() => {
            out.push('[');
            for (n, element) in value.elements().enumerate() {
                if n > 0 {
                    out.push(',');
                }
                line(out, level + 1);
                indent(element, level + 1, out);
            }
            line(out, level);
            out.push(']');
        }
        Kind::String | Kind::Escaped => {
            out.push_str(&made_visible(&quoted(&value.text().unwrap_or_default())).0);
        }
        Kind::Object => out.push_str("{}"),
        Kind::Array => out.push_str("[]"),
        Kind::Number | Kind::True | Kind::False | Kind::Null => out.push_str(value.raw()),
    }
}
