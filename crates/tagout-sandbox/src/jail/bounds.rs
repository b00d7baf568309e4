//! How much a program may take, as far as the kernel counts it for each process or namespace.
use std::{fmt, fs::File, io, io::Write};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::Bounds;

/// The least that the kernel lets a namespace have, on most machines.
const LEAST_PIDS: u64 = 301;
/// Processes that a namespace has beside the program's: its first.
const OWN_PROCESSES: u64 = 1;

/// Bounds this process, and what it becomes and starts: `each` process, and the `number` of them.
pub(super) fn limit(bounds: &Bounds, each: bool, number: bool) -> io::Result<()> {
    if number {
        // Counted for the user in its own user namespace, where that has processes of this program
        // only; elsewhere for all processes of that user.
        lower(Resource::Nproc, u64::from(bounds.processes).saturating_add(OWN_PROCESSES))?;
    }
    if !each {
        return Ok(());
    }
    // Not the address space: many runtimes reserve far more of it than they use.
    lower(Resource::Data, bounds.memory.saturating_mul(2))?;
    lower(Resource::Fsize, bounds.file)?;
    lower(Resource::Nofile, bounds.open_files)?;
    lower(Resource::Core, 0)?;
    lower(Resource::Memlock, 64 << 10)?;
    lower(Resource::Msgqueue, 800 << 10)?;
    lower(Resource::Sigpending, 4096)?;
    lower(Resource::Rtprio, 0)?;
    lower(Resource::Nice, 0)?;
    bounds.cpu.map_or(Ok(()), |cpu| lower(Resource::Cpu, cpu.as_secs().max(1)))
}

/// Sets a limit that nothing raises, where there is none that is lower already.
fn lower(resource: Resource, to: u64) -> io::Result<()> {
    let now = getrlimit(resource);
    let least = now.maximum.map_or(to, |now| now.min(to));
    Ok(setrlimit(resource, Rlimit { current: Some(least), maximum: Some(least) })?)
}

/// The highest process number of a namespace that may have so many: it keeps numbers below it.
pub(super) fn pid_max(processes: u32) -> u64 {
    u64::from(processes).saturating_add(OWN_PROCESSES + 1).max(LEAST_PIDS)
}

/// Sets what holds for this process's own namespaces, where the kernel lets their owner do that.
pub(super) fn set(name: &str, to: impl fmt::Display) {
    let file = File::options().write(true).open(format!("/proc/sys/{name}"));
    // What this bounds is bounded in other ways too.
    file.and_then(|mut file| file.write_all(to.to_string().as_bytes())).ok();
}

/// The least, the usual and the most bytes that either buffer of a TCP socket grows to: its network
/// is this machine's memory, where more is of no use.
pub(super) const TCP_BYTES: &str = "4096 65536 106496";
