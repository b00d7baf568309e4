//! The terminal's modes.
use std::{fs::File, io};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

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
