//! Runs a program in a new session whose controlling terminal is TTY: `on` has it for standard
//! input, output and error too, `beside` leaves those as they are.
use std::{
    error::Error,
    ffi::OsString,
    fs::OpenOptions,
    io::{self, Write},
    os::unix::process::CommandExt,
    process::{Command, ExitCode},
};

use rustix::{
    process::{ioctl_tiocsctty, setsid},
    stdio::{dup2_stderr, dup2_stdin, dup2_stdout},
};

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    let failure = match run(&args) {
        Ok(never) => match never {},
        Err(e) => e,
    };
    // Without standard error there is nobody to tell.
    writeln!(io::stderr(), "with-terminal: {failure}").ok();
    ExitCode::from(127)
}

fn run(args: &[OsString]) -> Result<std::convert::Infallible, Box<dyn Error>> {
    let [place, tty, program, rest @ ..] = args else {
        return Err("usage: with-terminal on|beside TTY PROGRAM [ARG]…".into());
    };
    setsid()?;
    let terminal = OpenOptions::new().read(true).write(true).open(tty)?;
    ioctl_tiocsctty(&terminal)?;
    match place.to_str() {
        Some("on") => {
            dup2_stdin(&terminal)?;
            dup2_stdout(&terminal)?;
            dup2_stderr(&terminal)?;
        }
        Some("beside") => {}
        _ => return Err("the first argument is `on` or `beside`".into()),
    }
    drop(terminal);
    #[expect(clippy::disallowed_methods, reason = "it becomes the program under test")]
    Err(Command::new(program).args(rest).exec().into())
}
