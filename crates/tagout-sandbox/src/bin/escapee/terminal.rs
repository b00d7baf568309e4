//! A user's terminal, into which nobody but the user types.
use std::{
    fs::{File, OpenOptions},
    io::Read as _,
    os::{fd::AsRawFd as _, unix::fs::OpenOptionsExt as _},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use crate::{
    attempt::why,
    raw::{Arg, call},
};

/// Both ends of it, and what came out of them.
pub(crate) struct Terminal {
    pub(crate) path: PathBuf,
    shown: Arc<Mutex<Vec<u8>>>,
    typed: Arc<Mutex<Vec<u8>>>,
}

/// The ends, before anything reads from them.
pub(crate) struct Ends {
    user: File,
    programs: File,
    pub(crate) path: PathBuf,
}

impl Ends {
    /// Makes it the controlling terminal of this process, which must lead a session without one.
    pub(crate) fn open() -> Result<Self, String> {
        let user = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NOCTTY)
            .open("/dev/ptmx");
        let user = user.map_err(why)?;
        let fd = i64::from(user.as_raw_fd());
        let control = |fd: i64, number: u64, arg: Arg<'_>| {
            let number = i64::try_from(number).map_err(why)?;
            call(libc::SYS_ioctl, &mut [Arg::Int(fd), Arg::Int(number), arg]).map_err(why)
        };
        control(fd, libc::TIOCSPTLCK, Arg::In(&[0; 4]))?;
        let mut number = [0; 4];
        control(fd, libc::TIOCGPTN, Arg::Out(&mut number))?;
        let path = PathBuf::from(format!("/dev/pts/{}", u32::from_ne_bytes(number)));
        let programs = OpenOptions::new().read(true).write(true).open(&path).map_err(why)?;
        control(programs.as_raw_fd().into(), libc::TIOCSCTTY, Arg::Int(0)).ok();
        Ok(Self { user, programs, path })
    }

    /// Notes what comes out of either end.
    pub(crate) fn attend(self) -> Terminal {
        let (shown, typed) = (note(self.user), note(self.programs));
        Terminal { path: self.path, shown, typed }
    }
}

fn note(mut end: File) -> Arc<Mutex<Vec<u8>>> {
    let noted = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&noted);
    thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(length @ 1..) = end.read(&mut bytes) {
            let new = bytes.get(..length).unwrap_or_default();
            notes.lock().unwrap_or_else(PoisonError::into_inner).extend(new);
        }
    });
    noted
}

impl Terminal {
    pub(crate) fn shows(&self, mark: &str) -> bool {
        has(&self.shown, mark)
    }

    pub(crate) fn was_typed(&self, mark: &str) -> bool {
        has(&self.typed, mark)
    }
}

fn has(noted: &Mutex<Vec<u8>>, mark: &str) -> bool {
    let noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
    noted.windows(mark.len()).any(|window| window == mark.as_bytes())
}
