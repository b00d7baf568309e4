//! What a server is to the operating system, and does to it.
#![expect(clippy::disallowed_methods, reason = "it starts a process that tries to get away")]
use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read, Write},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use rustix::process::{Signal, getpid, kill_process, setsid};
use serde_json::{Value, json};

const LEAVE: &str = "--leave-session";
const LINGER: &str = "--linger";
/// Ends what a failed test leaves behind.
const LONG: Duration = Duration::from_secs(600);

/// Plays the process that [`crate::Step::Daemon`] starts, when this is one; returns at once
/// otherwise.
///
/// # Errors
/// It cannot leave the session.
pub fn linger_if_asked() -> io::Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some(LEAVE) => {
            setsid()?;
            let daemon =
                Command::new(std::env::current_exe()?).arg(LINGER).stderr(Stdio::null()).spawn()?;
            writeln!(io::stderr(), "{}", daemon.id())?;
            std::process::exit(0)
        }
        Some(LINGER) => {
            setsid()?;
            thread::sleep(LONG);
            std::process::exit(0)
        }
        _ => Ok(()),
    }
}

/// Starts the process, in the way of daemons: its parent exits, it leads a session of its own.
pub(super) fn daemon() -> io::Result<u32> {
    let mut between = Command::new(std::env::current_exe()?)
        .arg(LEAVE)
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut said = String::new();
    if let Some(stderr) = between.stderr.take() {
        stderr.take(64).read_to_string(&mut said)?;
    }
    between.wait()?;
    said.trim().parse().map_err(io::Error::other)
}

pub(super) fn environment() -> io::Result<Value> {
    let env: BTreeMap<String, String> = std::env::vars_os()
        .map(|(name, value)| (name.display().to_string(), value.display().to_string()))
        .collect();
    let mut descriptors = BTreeMap::new();
    for entry in fs::read_dir("/proc/self/fd")? {
        let entry = entry?;
        let target = fs::read_link(entry.path())?;
        // But for the one that lists them.
        if target.parent() != Some(format!("/proc/{}", std::process::id()).as_ref()) {
            descriptors.insert(entry.file_name().display().to_string(), target);
        }
    }
    let (group, session) = group_and_session()?;
    Ok(json!({
        "env": env,
        "descriptors": descriptors,
        "cwd": std::env::current_dir()?,
        "pid": std::process::id(),
        "parent": std::os::unix::process::parent_id(),
        "group": group,
        "session": session,
        "terminal": fs::File::open("/dev/tty").is_ok(),
    }))
}

/// From the kernel's table, because they are 0 where they began in an outer PID namespace, which
/// `getpgrp` and `getsid` of rustix take for impossible.
fn group_and_session() -> io::Result<(i32, i32)> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let numbers = stat.rsplit_once(") ").and_then(|(_, fields)| {
        let mut fields = fields.split(' ').skip(2).map(|field| field.parse().ok());
        Some((fields.next()??, fields.next()??))
    });
    numbers.ok_or_else(|| io::Error::other("/proc/self/stat is in no known form"))
}

pub(super) fn hang() -> ! {
    thread::sleep(LONG);
    std::process::exit(0)
}

pub(super) fn kill_self() -> io::Result<()> {
    kill_process(getpid(), Signal::KILL)?;
    Ok(())
}
