//! Short questions on the terminal's own device.
mod turn;
mod withdrawal;

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::OFlags,
    io::Errno,
    termios::{QueueSelector, tcflush},
};

use crate::{
    Screen,
    hush::{DEVICE, LINES, Modes, is_ours},
    printable,
    style::{Span, Style, painted},
    wrap::{without_tabs, wrap},
};
use turn::{Limit, Waited};

pub use withdrawal::{Waiting, Withdrawn, withdrawal};

/// A terminal hands over no longer line at once.
const ANSWER_BYTES: usize = 4_096;

/// A question that is put to a person.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// What is asked. It goes through [`printable`] and is shown whole.
    pub question: &'a str,
    /// How long to wait, until questions before it are over as well.
    pub limit: Duration,
    /// Tells when nobody waits for the answer any more.
    pub withdrawn: &'a Withdrawn,
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
    /// The question was withdrawn; the cursor stands where it stood. Nothing of what is typed from
    /// then on was taken.
    Withdrawn,
    /// The terminal belongs to another program now: nobody was asked.
    Background,
}

/// Asks on the terminal that this process was started on, by its device: whoever feeds standard
/// input cannot answer. It blocks its thread. The answer shows as it is typed: this is not for secrets.
///
/// One question is asked at a time; others of this process wait until it is over, and the terminal
/// is as it was.
///
/// # Errors
/// There is no terminal, or it fails.
pub fn ask_line(asked: &Asked<'_>) -> io::Result<Answered> {
    let limit = Limit::from_now(asked.limit);
    let _turn = match turn::wait(limit, asked.withdrawn) {
        Waited::Ours(turn) => turn,
        Waited::TimedOut => return Ok(Answered::TimedOut),
        Waited::Withdrawn => return Ok(Answered::Withdrawn),
    };
    let mut terminal = OpenOptions::new().read(true).write(true).open(DEVICE)?;
    if !is_ours(&terminal)? {
        return Ok(Answered::Background);
    }
    let mut keyboard = keyboard()?;
    // Somebody may have silenced it, or take every key at once.
    let _modes = Modes::set(terminal.try_clone()?, LINES)?;
    // What was typed before the question was read is no answer to it.
    tcflush(&terminal, QueueSelector::IFlush)?;
    let span = Span::new(without_tabs(&printable(asked.question)), Style::PLAIN);
    let rows = wrap(&[span], asked.screen.columns());
    let rows: Vec<_> = rows.iter().map(|row| painted(row, asked.screen)).collect();
    write!(terminal, "{} ", rows.join("\r\n"))?;
    terminal.flush()?;
    let answered = read_line(&mut keyboard, limit, asked.withdrawn)?;
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

/// The terminal once more, so that reading never waits: another process may have taken the line.
fn keyboard() -> io::Result<File> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).map_err(io::Error::other)?;
    OpenOptions::new().read(true).custom_flags(flags).open(DEVICE)
}

fn read_line(keyboard: &mut File, limit: Limit, withdrawn: &Withdrawn) -> io::Result<Answered> {
    let mut typed = Vec::new();
    loop {
        let left = limit.left();
        if withdrawn.is_so() {
            return Ok(Answered::Withdrawn);
        }
        if left.is_zero() {
            return Ok(Answered::TimedOut);
        }
        wait_for(keyboard, withdrawn, left)?;
        // What is typed after a withdrawal is somebody else's.
        if withdrawn.is_so() {
            return Ok(Answered::Withdrawn);
        }
        let mut buffer = [0; ANSWER_BYTES];
        let read = match keyboard.read(&mut buffer) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
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

/// Waits until something was typed, the question is withdrawn, or time is up.
fn wait_for(keyboard: &File, withdrawn: &Withdrawn, left: Duration) -> io::Result<()> {
    let both = &mut [PollFd::new(keyboard, PollFlags::IN), PollFd::new(withdrawn, PollFlags::IN)];
    // A time that a terminal cannot wait for has no end.
    match poll(both, Timespec::try_from(left).ok().as_ref()) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
