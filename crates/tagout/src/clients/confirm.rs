//! Asking whether to write.
use std::{
    fs::{File, OpenOptions},
    io::{Read as _, Write as _},
};

use crate::failure::{Ended, Failure};

/// The longest answer that is read, in bytes.
const ANSWER: usize = 64;

/// Asks on the terminal whether to go ahead; `--yes` has answered already. Never on standard input:
/// whoever feeds that may be the model itself.
pub(crate) fn confirm(question: &str, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    let unavailable = || {
        Failure::new(
            Ended::NeedsApproval,
            "confirmation-unavailable",
            "there is no terminal to ask on",
        )
        .with_help("nothing was changed; look at the change, then run it again with `--yes`")
    };
    let mut terminal = terminal().ok_or_else(unavailable)?;
    write!(terminal, "{question} Type `yes` to go ahead: ").map_err(|_| unavailable())?;
    if line(&mut terminal).trim() == "yes" {
        return Ok(());
    }
    let message = "the answer was not `yes`";
    Err(Failure::new(Ended::Refused, "confirmation-denied", message)
        .with_help("nothing was changed"))
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
