//! Typing that does not show, and how the terminal treats typing at all.
use std::{
    fs::{File, OpenOptions},
    io,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};

/// The terminal that the process was started on.
pub(crate) const DEVICE: &str = "/dev/tty";

/// While this lives, what a person types does not show on the terminal that the process was
/// started on, where it would stand in the middle of an answer and spoil what is drawn again. It
/// is not lost: who reads next gets it. Control-C works as before. Dropping it brings back what was,
/// but for what a question that is being asked needs.
#[derive(Debug)]
pub struct Hush {
    _echo: Modes,
}

impl Hush {
    /// Nothing, if there is no terminal, or it belongs to another program now.
    #[must_use]
    pub fn new() -> Option<Self> {
        let terminal = OpenOptions::new().read(true).write(true).open(DEVICE).ok()?;
        if !is_ours(&terminal).ok()? {
            return None;
        }
        Some(Self { _echo: Modes::set(terminal, SILENCE).ok()? })
    }
}

/// Whether this process may read from the terminal, and change it: it would be stopped otherwise.
pub(crate) fn is_ours(terminal: &File) -> io::Result<bool> {
    Ok(tcgetpgrp(terminal)? == rustix::process::getpgrp())
}

/// What somebody wants of the terminal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    on: LocalModes,
    off: LocalModes,
}

/// Nothing that is typed shows.
const SILENCE: Wish = Wish { on: LocalModes::empty(), off: LocalModes::ECHO };
/// Lines come whole, and show as they are typed.
pub(crate) const LINES: Wish =
    Wish { on: LocalModes::ECHO.union(LocalModes::ICANON), off: LocalModes::empty() };

/// All wishes of this process: whichever of them ends first, the others go on, and what was before
/// comes back with the last.
static WISHES: Mutex<Wishes> = Mutex::new(Wishes { before: None, all: Vec::new(), next: 0 });

#[derive(Debug)]
struct Wishes {
    before: Option<Termios>,
    /// In order: the later ones count more.
    all: Vec<(u64, Wish)>,
    next: u64,
}

impl Wishes {
    fn lock() -> MutexGuard<'static, Self> {
        WISHES.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn apply(&self, terminal: &File, before: &Termios) -> io::Result<()> {
        let mut after = before.clone();
        for (_, wish) in &self.all {
            after.local_modes = (after.local_modes | wish.on) - wish.off;
        }
        Ok(tcsetattr(terminal, OptionalActions::Now, &after)?)
    }
}

/// How the terminal treats typing, until this is dropped.
#[derive(Debug)]
pub(crate) struct Modes {
    terminal: File,
    number: u64,
}

impl Modes {
    pub(crate) fn set(terminal: File, wish: Wish) -> io::Result<Self> {
        let mut wishes = Wishes::lock();
        let before = match &wishes.before {
            Some(before) => before.clone(),
            None => tcgetattr(&terminal)?,
        };
        let number = wishes.next;
        wishes.next = number.wrapping_add(1);
        wishes.all.push((number, wish));
        // Also where it fails, dropping this takes the wish back.
        let modes = Self { terminal, number };
        let applied = wishes.apply(&modes.terminal, &before);
        wishes.before = Some(before);
        drop(wishes);
        applied.map(|()| modes)
    }
}

impl Drop for Modes {
    fn drop(&mut self) {
        let mut wishes = Wishes::lock();
        wishes.all.retain(|(number, _)| *number != self.number);
        let Some(before) = wishes.before.take() else { return };
        // It fails where the terminal is gone, and then nothing is left to bring back.
        wishes.apply(&self.terminal, &before).ok();
        wishes.before = Some(before).filter(|_| !wishes.all.is_empty());
    }
}
