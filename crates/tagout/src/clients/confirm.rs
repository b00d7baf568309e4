//! Asking whether to write.
use std::{
    fs::{File, OpenOptions},
    io::{Read as _, Write as _},
};

use crate::{
    failure::{Ended, Failure},
    output,
};

/// The longest answer that is read, in bytes.
const ANSWER: usize = 64;

/// Shows what would be written and asks on the terminal whether to go ahead; `--yes` has answered
/// already. Never on standard input: whoever feeds that may be the model itself. Without a question
/// it is shown on standard error.
pub(crate) fn confirm(shown: &str, question: &str, yes: bool) -> Result<(), Failure> {
    let terminal = if yes { None } else { terminal() };
    let Some(mut terminal) = terminal else {
        output::aside(shown);
        return if yes { Ok(()) } else { Err(unavailable()) };
    };
    // What was typed before it could be read is no answer to it.
    let flushed = rustix::termios::tcflush(&terminal, rustix::termios::QueueSelector::IFlush);
    flushed.map_err(|_| unavailable())?;
    let asked = write!(terminal, "{shown}\n\n{question} Type `yes` to go ahead: ");
    asked.map_err(|_| unavailable())?;
    if line(&mut terminal).trim() == "yes" {
        return Ok(());
    }
    let message = "the answer was not `yes`";
    Err(Failure::new(Ended::Refused, "confirmation-denied", message)
        .with_help("nothing was changed"))
}

/// Refuses what nobody could be asked about, before anything is done for it.
pub(crate) fn can_ask(yes: bool) -> Result<(), Failure> {
    if yes || terminal().is_some() { Ok(()) } else { Err(unavailable()) }
}

fn unavailable() -> Failure {
    let message = "there is no terminal to ask on";
    Failure::new(Ended::NeedsApproval, "confirmation-unavailable", message)
        .with_help("nothing was changed; look at the change, then run it again with `--yes`")
}

/// The terminal of this process, if it is in its foreground.
fn terminal() -> Option<File> {
    let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty").ok()?;
    let front = rustix::termios::tcgetpgrp(&terminal).ok()?;
    (front == rustix::process::getpgrp()).then_some(terminal)
}

fn line(terminal: &mut File) -> String {
    let mut out = Vec::new();
    let mut byte = [0];
    while out.len() < ANSWER {
        match terminal.read(&mut byte) {
            Ok(1) if byte != *b"\n" => out.extend(byte),
            Ok(_) | Err(_) => break,
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
