//! Typing that does not show.
use std::{
    fs::{File, OpenOptions},
    io,
};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};

/// While this lives, what a person types does not show on the terminal that the process was
/// started on, where it would stand in the middle of an answer and spoil what is drawn again. It
/// is not lost: who reads next gets it. Control-C works as before. Dropping it brings back what was.
#[derive(Debug)]
pub struct Hush {
    _echo: Modes,
}

impl Hush {
    /// Nothing, if there is no terminal, or it belongs to another program now.
    #[must_use]
    pub fn new() -> Option<Self> {
        let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty").ok()?;
        if !is_ours(&terminal).ok()? {
            return None;
        }
        Some(Self { _echo: Modes::set(terminal, |modes| modes - LocalModes::ECHO).ok()? })
    }
}

/// Whether this process may read from the terminal, and change it: it would be stopped otherwise.
pub(crate) fn is_ours(terminal: &File) -> io::Result<bool> {
    Ok(tcgetpgrp(terminal)? == rustix::process::getpgrp())
}

/// How the terminal treats typing, until this is dropped.
#[derive(Debug)]
pub(crate) struct Modes {
    terminal: File,
    before: Termios,
}

impl Modes {
    pub(crate) fn set(
        terminal: File,
        change: impl FnOnce(LocalModes) -> LocalModes,
    ) -> io::Result<Self> {
        let before = tcgetattr(&terminal)?;
        let mut after = before.clone();
        after.local_modes = change(after.local_modes);
        tcsetattr(&terminal, OptionalActions::Now, &after)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Modes {
    fn drop(&mut self) {
        // It fails where the terminal is gone, and then nothing is left to bring back.
        tcsetattr(&self.terminal, OptionalActions::Now, &self.before).ok();
    }
}
