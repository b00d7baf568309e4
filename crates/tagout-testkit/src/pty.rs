//! A person at a terminal: types, and waits for what shows.
//!
//! ```no_run
//! # use std::time::Duration;
//! # use tagout_testkit::pty::{Pty, Seat, Streams};
//! let mut seat = Seat::new("/bin/sh");
//! seat.args = vec!["-c".into(), "read answer < /dev/tty && echo got $answer > /dev/tty".into()];
//! seat.streams = Streams::Piped;
//! let mut pty = Pty::spawn(&seat).unwrap();
//! pty.send("yes\n").unwrap();
//! pty.expect("got yes", Duration::from_secs(10)).unwrap();
//! ```
mod screen;

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Read, Write},
    os::{fd::AsFd, unix::ffi::OsStrExt},
    path::PathBuf,
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

use crate::program;

/// How often it is looked whether the program has ended.
const ROUND: Duration = Duration::from_millis(20);

/// Where a program's standard input, output and error are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Streams {
    /// On the terminal, as when a person starts it.
    Terminal,
    /// Pipes, in [`Pty::stdin`], [`Pty::stdout`] and [`Pty::stderr`]; the terminal is still the
    /// program's controlling terminal, `/dev/tty`.
    Piped,
}

/// What to run on a terminal.
#[derive(Clone, Debug)]
pub struct Seat {
    /// The program's absolute path.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Its whole environment.
    pub env: BTreeMap<OsString, OsString>,
    /// Its working directory; `None` is the test's.
    pub cwd: Option<PathBuf>,
    /// Where its streams are.
    pub streams: Streams,
    /// The terminal's columns.
    pub columns: u16,
}

impl Seat {
    /// `program` without arguments, its streams on a terminal of 100 columns, and no environment
    /// but `TERM`.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: BTreeMap::from([("TERM".into(), "xterm".into())]),
            cwd: None,
            streams: Streams::Terminal,
            columns: 100,
        }
    }
}

/// What somebody waited for at a terminal in vain.
#[derive(Debug, thiserror::Error)]
pub enum PtyError {
    /// It did not show in time, or the program ended without showing it.
    #[error("`{text}` did not show; this did:\n{screen}")]
    NotShown {
        /// What was expected.
        text: String,
        /// The whole screen.
        screen: String,
    },
    /// The program did not end in time.
    #[error("the program did not end; this showed:\n{screen}")]
    NotEnded {
        /// The whole screen.
        screen: String,
    },
    /// The terminal failed.
    #[error("the terminal failed")]
    Terminal(#[from] io::Error),
}

/// A program on a pseudo-terminal. Dropping it kills the program and hangs up.
#[derive(Debug)]
pub struct Pty {
    /// The program's input, with [`Streams::Piped`].
    pub stdin: Option<ChildStdin>,
    /// The program's output, with [`Streams::Piped`].
    pub stdout: Option<ChildStdout>,
    /// The program's complaints, with [`Streams::Piped`].
    pub stderr: Option<ChildStderr>,
    child: Child,
    keyboard: File,
    /// The program's side, until the program has ended.
    held: Option<File>,
    shown: Arc<Shown>,
    /// How much of the stripped text was expected already.
    passed: usize,
}

#[derive(Debug, Default)]
struct Shown {
    bytes: Mutex<Output>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct Output {
    bytes: Vec<u8>,
    ended: bool,
}

impl Pty {
    /// Starts a program.
    ///
    /// # Errors
    /// No terminal can be had, or the helper cannot be started. That the program itself cannot be
    /// started shows on the terminal and as exit code 127.
    pub fn spawn(seat: &Seat) -> io::Result<Self> {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&ours)?;
        unlockpt(&ours)?;
        let size = Winsize { ws_row: 40, ws_col: seat.columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&ours, size)?;
        let theirs = ptsname(&ours, Vec::new())?;
        let theirs = OsStr::from_bytes(theirs.as_bytes());
        // A terminal that nobody holds open reads as hung up, and a program beside it may open it
        // at any time.
        let held = File::options().read(true).write(true).open(theirs)?;
        let mut child = command(seat, theirs).spawn()?;
        let screen = File::from(ours.as_fd().try_clone_to_owned()?);
        let shown = Arc::new(Shown::default());
        thread::spawn({
            let shown = Arc::clone(&shown);
            move || shown.follow(screen)
        });
        Ok(Self {
            stdin: child.stdin.take(),
            stdout: child.stdout.take(),
            stderr: child.stderr.take(),
            child,
            keyboard: File::from(ours),
            held: Some(held),
            shown,
            passed: 0,
        })
    }

    /// The program's process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Types `text`; `\n` is the return key, `\x03` control-C.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn send(&mut self, text: &str) -> io::Result<()> {
        self.keyboard.write_all(text.as_bytes())
    }

    /// Waits until `text` shows after what was expected before, and returns what showed in between,
    /// `text` included. Escape sequences and carriage returns are no part of it.
    ///
    /// # Errors
    /// [`PtyError::NotShown`], also when the program ended before.
    pub fn expect(&mut self, text: &str, timeout: Duration) -> Result<String, PtyError> {
        let end = Instant::now() + timeout;
        loop {
            self.poll_end()?;
            let output = self.shown.lock();
            let stripped = screen::strip(&output.bytes);
            let fresh = stripped.get(self.passed..).unwrap_or_default();
            if let Some(at) = find(fresh, text.as_bytes()) {
                let until = at + text.len();
                self.passed += until;
                return Ok(lossy(fresh.get(..until).unwrap_or_default()));
            }
            let left = end.saturating_duration_since(Instant::now());
            if output.ended || left.is_zero() {
                return Err(PtyError::NotShown { text: text.to_owned(), screen: lossy(&stripped) });
            }
            self.shown.wait(output);
        }
    }

    /// All that has shown so far, without escape sequences.
    #[must_use]
    pub fn screen(&self) -> String {
        lossy(&screen::strip(&self.shown.lock().bytes))
    }

    /// All that the terminal got so far, as it came.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.shown.lock().bytes.clone()
    }

    /// Makes the terminal of another size; who is at its front is told.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn resize(&self, columns: u16, rows: u16) -> io::Result<()> {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        Ok(tcsetwinsize(&self.keyboard, size)?)
    }

    /// Waits for the program's end and for the last of what it shows.
    ///
    /// # Errors
    /// [`PtyError::NotEnded`].
    pub fn wait(&mut self, timeout: Duration) -> Result<ExitStatus, PtyError> {
        let end = Instant::now() + timeout;
        loop {
            let status = self.poll_end()?;
            let left = end.saturating_duration_since(Instant::now());
            let output = self.shown.lock();
            match status {
                // A descendant may keep the terminal; its words are not waited for longer.
                Some(status) if output.ended || left.is_zero() => return Ok(status),
                None if left.is_zero() => {
                    return Err(PtyError::NotEnded {
                        screen: lossy(&screen::strip(&output.bytes)),
                    });
                }
                Some(_) | None => self.shown.wait(output),
            }
        }
    }

    fn poll_end(&mut self) -> io::Result<Option<ExitStatus>> {
        let status = self.child.try_wait()?;
        if status.is_some() {
            self.held = None;
        }
        Ok(status)
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        // Both fail only when the program has ended, and was waited for.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn command(seat: &Seat, tty: &OsStr) -> Command {
    #[expect(clippy::disallowed_methods, reason = "it starts the program under test")]
    let mut command = Command::new(program(env!("CARGO_PKG_NAME"), "with-terminal"));
    let (place, stdio): (_, fn() -> Stdio) = match seat.streams {
        Streams::Terminal => ("on", Stdio::null),
        Streams::Piped => ("beside", Stdio::piped),
    };
    command.arg(place).arg(tty).arg(&seat.program).args(&seat.args);
    command.env_clear().envs(&seat.env).stdin(stdio()).stdout(stdio()).stderr(stdio());
    if let Some(dir) = &seat.cwd {
        command.current_dir(dir);
    }
    command
}

impl Shown {
    fn lock(&self) -> MutexGuard<'_, Output> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for more to show, but not long, because the program's end shows nowhere.
    fn wait(&self, output: MutexGuard<'_, Output>) {
        drop(self.more.wait_timeout(output, ROUND));
    }

    /// Reads until the last process has let go of the terminal.
    fn follow(&self, mut screen: File) {
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = screen.read(&mut bytes) {
            self.lock().bytes.extend(bytes.get(..count).unwrap_or_default());
            self.more.notify_all();
        }
        self.lock().ended = true;
        self.more.notify_all();
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    if wanted.is_empty() {
        return Some(0);
    }
    text.windows(wanted.len()).position(|window| window == wanted)
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
