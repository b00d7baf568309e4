//! A person at the terminal's own device: shown things there, and asked for a passphrase, which
//! nobody sees. Whoever feeds standard input, a model among them, is not asked.
use std::{
    fs::{File, OpenOptions},
    io::{Read as _, Write as _},
};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tagout_proto::Secret;

use crate::failure::{Ended, Failure};

/// The longest passphrase, in bytes.
const LONGEST: usize = 1024;

/// The person.
#[derive(Debug)]
pub(crate) struct Person {
    terminal: File,
}

impl Person {
    /// Whoever sits at the terminal that this process was started on, in its foreground.
    pub(crate) fn there() -> Result<Self, Failure> {
        let opened = OpenOptions::new().read(true).write(true).open("/dev/tty");
        let terminal =
            opened.map_err(|_| nobody("there is no terminal to ask for a passphrase on"))?;
        let front = rustix::termios::tcgetpgrp(&terminal).ok();
        if front == Some(rustix::process::getpgrp()) {
            return Ok(Self { terminal });
        }
        Err(nobody("this process is in the background of its terminal"))
    }

    /// Shows something there, wherever standard output goes.
    pub(crate) fn show(&mut self, text: &str) -> Result<(), Failure> {
        let shown = writeln!(self.terminal, "{text}").and_then(|()| self.terminal.flush());
        shown.map_err(|_| nobody("the terminal cannot be written"))
    }

    /// Asks for a word, which shows.
    pub(crate) fn word(&mut self, prompt: &str) -> Result<String, Failure> {
        let asked = write!(self.terminal, "{prompt}: ").and_then(|()| self.terminal.flush());
        asked.map_err(|_| nobody("the terminal cannot be written"))?;
        Ok(self.typed()?.expose().trim().to_owned())
    }

    /// Asks for a passphrase, which does not show.
    pub(crate) fn passphrase(&mut self, prompt: &str) -> Result<Secret<String>, Failure> {
        let quiet = Quiet::over(&self.terminal)?;
        let asked = write!(self.terminal, "{prompt}: ").and_then(|()| self.terminal.flush());
        asked.map_err(|_| nobody("the terminal cannot be written"))?;
        let typed = self.typed();
        drop(quiet);
        // The return key did not show either.
        self.show("")?;
        typed
    }

    fn typed(&mut self) -> Result<Secret<String>, Failure> {
        let mut line = Vec::new();
        let mut byte = [0];
        loop {
            match self.terminal.read(&mut byte) {
                Ok(1) => {}
                Ok(_) | Err(_) => return Err(nobody("the terminal ended")),
            }
            match byte {
                [b'\n' | b'\r'] => break,
                // Control-C and control-D.
                [3 | 4] => return Err(nobody("no passphrase was typed")),
                // Backspace takes a character back, not a byte of one.
                [8 | 127] => while line.pop().is_some_and(|last: u8| last & 0xc0 == 0x80) {},
                // Control-U.
                [21] => line.clear(),
                _ if line.len() >= LONGEST => return Err(nobody("the passphrase is too long")),
                [other] => line.push(other),
            }
        }
        let text = String::from_utf8(line).map_err(|_| nobody("the passphrase is no text"))?;
        Ok(Secret::new(text))
    }
}

fn nobody(message: &str) -> Failure {
    Failure::new(Ended::NeedsApproval, "approver-terminal", message)
        .with_help("run it yourself, in a terminal; nothing else can type a passphrase for you")
}

/// The terminal while it shows nothing of what is typed; as it was before, once this is dropped.
struct Quiet {
    terminal: File,
    before: Termios,
}

impl Quiet {
    /// What was typed before is thrown away: it was no answer to this.
    fn over(terminal: &File) -> Result<Self, Failure> {
        let failed = || nobody("the terminal cannot be set");
        let terminal = terminal.try_clone().map_err(|_| failed())?;
        let before = tcgetattr(&terminal).map_err(|_| failed())?;
        let mut quiet = before.clone();
        // No signals either: a process that ends here would leave the terminal mute.
        quiet.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        tcsetattr(&terminal, OptionalActions::Flush, &quiet).map_err(|_| failed())?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        if let Err(error) = tcsetattr(&self.terminal, OptionalActions::Now, &self.before) {
            tracing::warn!(%error, "what is typed may not show; `stty sane` mends that");
        }
    }
}
