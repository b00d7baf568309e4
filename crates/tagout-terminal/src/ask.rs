//! Short questions on the terminal's own device.
use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    termios::{LocalModes, QueueSelector, tcflush},
};

use crate::{
    Screen,
    hush::{Modes, is_ours},
    printable,
    style::{Span, Style, painted},
    wrap::{without_tabs, wrap},
};

/// How often a waiting question looks whether it was withdrawn.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
/// A terminal hands over no longer line at once.
const ANSWER_BYTES: usize = 4_096;

/// A question that is put to a person.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// What is asked. It goes through [`printable`] and is shown whole.
    pub question: &'a str,
    /// How long to wait.
    pub limit: Duration,
    /// Set when nobody waits for the answer any more.
    pub withdrawn: &'a AtomicBool,
    /// How the question is shown.
    pub screen: &'a Screen,
}

/// What came of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answered {
    /// A line, without its end, with control characters taken out. Only what was typed after the
    /// question stood there is in it.
    Line(String),
    /// Control-D, or the terminal is gone.
    End,
    /// Nobody answered in time.
    TimedOut,
    /// The question was withdrawn; the cursor stands where it stood.
    Withdrawn,
    /// The terminal belongs to another program now: nobody was asked.
    Background,
}

/// Asks on the terminal that this process was started on, by its device: whoever feeds standard
/// input cannot answer. It blocks its thread. The answer shows as it is typed: this is not for secrets.
///
/// # Errors
/// There is no terminal, or it fails.
pub fn ask_line(asked: &Asked<'_>) -> io::Result<Answered> {
    let until = Instant::now() + asked.limit;
    let device = Path::new("/dev/tty");
    let mut terminal = OpenOptions::new().read(true).write(true).open(device)?;
    if !is_ours(&terminal)? {
        return Ok(Answered::Background);
    }
    // Somebody may have silenced it, or take every key at once.
    let lines = LocalModes::ECHO | LocalModes::ICANON;
    let _modes = Modes::set(terminal.try_clone()?, |modes| modes | lines)?;
    // What was typed before the question was read is no answer to it.
    tcflush(&terminal, QueueSelector::IFlush)?;
    let span = Span::new(without_tabs(&printable(asked.question)), Style::PLAIN);
    let rows = wrap(&[span], asked.screen.columns());
    let rows: Vec<_> = rows.iter().map(|row| painted(row, asked.screen)).collect();
    write!(terminal, "{} ", rows.join("\r\n"))?;
    terminal.flush()?;
    let answered = read_line(&mut terminal, until, asked.withdrawn)?;
    match answered {
        Answered::Line(_) => {}
        // What was begun is no answer to the next question either. Whoever withdrew the question
        // may be writing already.
        Answered::Withdrawn => tcflush(&terminal, QueueSelector::IFlush)?,
        Answered::End | Answered::TimedOut | Answered::Background => {
            tcflush(&terminal, QueueSelector::IFlush)?;
            write!(terminal, "\r\n")?;
        }
    }
    Ok(answered)
}

fn read_line(terminal: &mut File, until: Instant, withdrawn: &AtomicBool) -> io::Result<Answered> {
    let mut typed = Vec::new();
    loop {
        if withdrawn.load(Ordering::Relaxed) {
            return Ok(Answered::Withdrawn);
        }
        if Instant::now() >= until {
            return Ok(Answered::TimedOut);
        }
        let ready = match poll(&mut [PollFd::new(terminal, PollFlags::IN)], Some(&LOOK)) {
            Ok(ready) => ready,
            Err(Errno::INTR) => 0,
            Err(error) => return Err(error.into()),
        };
        if ready == 0 {
            continue;
        }
        let mut buffer = [0; ANSWER_BYTES];
        let read = terminal.read(&mut buffer)?;
        if read == 0 {
            return Ok(Answered::End);
        }
        typed.extend_from_slice(buffer.get(..read).unwrap_or_default());
        if typed.contains(&b'\n') || typed.len() > ANSWER_BYTES {
            let line = typed.split(|byte| *byte == b'\n').next().unwrap_or_default();
            return Ok(Answered::Line(
                printable(&String::from_utf8_lossy(line)).replace('\t', " "),
            ));
        }
    }
}
