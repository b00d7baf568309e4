//! The terminal's modes.
use std::{fs::File, io};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// The modes as they were; put back at the end, whatever happened in between: who is asked for a
/// line while the program is told to end leaves the terminal as editors need it.
pub(crate) struct Kept(Option<(File, Termios)>);

impl Kept {
    pub(crate) fn of_terminal() -> Self {
        let kept = || -> io::Result<(File, Termios)> {
            let terminal = File::open("/dev/tty")?;
            let modes = tcgetattr(&terminal)?;
            Ok((terminal, modes))
        };
        Self(kept().ok())
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some((terminal, modes)) = &self.0 {
            // A terminal that is gone has no modes.
            if let Err(error) = tcsetattr(terminal, OptionalActions::Now, modes) {
                tracing::debug!(%error, "the modes of the terminal are not put back");
            }
        }
    }
}

/// While it is there, keys do not show: they would stand in the middle of an answer.
pub(crate) struct Quiet(Option<File>);

impl Quiet {
    pub(crate) fn new() -> Self {
        let terminal = File::open("/dev/tty").ok();
        let quiet = terminal.filter(|terminal| echo(terminal, false).is_ok());
        Self(quiet)
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        if let Some(terminal) = &self.0 {
            drop(echo(terminal, true));
        }
    }
}

/// Whether keys show.
pub(crate) fn echo(terminal: &File, shows: bool) -> io::Result<()> {
    let mut modes = tcgetattr(terminal)?;
    modes.local_modes.set(LocalModes::ECHO, shows);
    tcsetattr(terminal, OptionalActions::Now, &modes)?;
    Ok(())
}
