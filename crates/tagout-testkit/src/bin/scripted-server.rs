//! A server over standard input and output that behaves as the script says that is its argument.
use std::{
    error::Error,
    io::{self, Write},
    process::ExitCode,
};

use tagout_testkit::{Script, server};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            // Without standard error there is nobody to tell.
            writeln!(io::stderr(), "scripted-server: {e}").ok();
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    server::linger_if_asked()?;
    let path = std::env::args_os().nth(1).ok_or("usage: scripted-server SCRIPT.json")?;
    let script = Script::load(path.as_ref())?;
    match server::serve(script, io::stdin().lock(), io::stdout()) {
        // The client's leaving is an end like any other.
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}
