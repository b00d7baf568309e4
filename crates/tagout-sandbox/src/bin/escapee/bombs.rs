//! More of the machine than it may take. Each ends a little beyond the bound, so that it harms
//! nothing where there is none.
use std::{
    fs::{self, File},
    io::Write as _,
    os::{fd::AsRawFd as _, unix::fs::OpenOptionsExt as _},
    path::Path,
    thread,
    time::Duration,
};

use rustix::{
    fs::MemfdFlags,
    process::{Pid, Resource, Rlimit, Signal, WaitOptions, setrlimit, waitpid},
};

use crate::{
    attempt::{Attempt, Facts, Outcome, why},
    raw::{self, Arg, call},
    seen::Seen,
};

const MIB: u64 = 1 << 20;

/// What memory is filled with.
static BLOCK: [u8; 1 << 16] = [1; 1 << 16];

pub(super) const ALL: &[Attempt] = &[
    Attempt::new("fork-bomb", "more processes than it may", forks, Seen::said).by_itself(),
    Attempt::new("thread-bomb", "more threads than it may", threads, Seen::said).by_itself(),
    Attempt::new("memory-bomb", "more memory than it may", memory, Seen::said),
    Attempt::new("memory-bomb-shared", "the same over many processes", many, Seen::said),
    Attempt::new("memory-file-bomb", "the same in files of memory", memfds, Seen::said),
    Attempt::new("pipe-bomb", "the same in pipes", pipes, Seen::said).of_root(),
    Attempt::new("tmp-bomb", "fill `/tmp`", tmp, Seen::said),
    Attempt::new("shm-bomb", "fill `/dev/shm`", shm, Seen::said),
    Attempt::new("file-bomb", "a larger file than it may write", file, Seen::said),
    Attempt::new("descriptor-bomb", "more open files than it may", descriptors, Seen::said),
    Attempt::new("processor-bomb", "more processor time than it may", processor, Seen::said),
    Attempt::new("core-dump", "leave its memory in a file", core, Seen::said)
        .if_there("the system sends core dumps elsewhere, or nowhere"),
];

/// As far as the hard limit lets it.
fn raise(resource: Resource) {
    let hard = rustix::process::getrlimit(resource).maximum;
    setrlimit(resource, Rlimit { current: hard, maximum: hard }).ok();
    setrlimit(resource, Rlimit { current: None, maximum: None }).ok();
}

/// Children that wait, and end with this process.
fn forks(facts: &Facts) -> Outcome {
    raise(Resource::Nproc);
    let wanted = facts.number("processes")?.saturating_add(16);
    let mut children = Vec::new();
    let mut stopped = None;
    for _ in 0..wanted {
        match raw::fork(wait_a_moment) {
            Ok(child) => children.push(child),
            Err(error) => {
                stopped = Some(why(error));
                break;
            }
        }
    }
    let count = children.len();
    end(&children);
    stopped.map_or_else(|| Ok(format!("{count} at once")), Err)
}

fn wait_a_moment() -> i32 {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).ok();
    thread::sleep(Duration::from_secs(3));
    0
}

fn end(children: &[Pid]) {
    for child in children {
        rustix::process::kill_process(*child, Signal::KILL).ok();
        waitpid(Some(*child), WaitOptions::empty()).ok();
    }
}

fn threads(facts: &Facts) -> Outcome {
    raise(Resource::Nproc);
    let wanted = facts.number("processes")?.saturating_add(16);
    let (stop, stopped) = std::sync::mpsc::sync_channel::<()>(0);
    let stopped = std::sync::Mutex::new(stopped);
    thread::scope(|scope| {
        let mut failed = None;
        for _ in 0..wanted {
            let wait = || drop(stopped.lock().map(|stopped| stopped.recv()));
            let thread = thread::Builder::new().stack_size(32 << 10);
            if let Err(error) = thread.spawn_scoped(scope, wait) {
                failed = Some(why(error));
                break;
            }
        }
        drop(stop);
        failed.map_or_else(|| Ok(format!("{wanted} at once")), Err)
    })
}

/// Every page of it is written to.
fn take(bytes: u64) -> Result<Vec<u8>, String> {
    let mut taken: Vec<u8> = Vec::new();
    let bytes = usize::try_from(bytes).map_err(why)?;
    taken.try_reserve_exact(bytes).map_err(why)?;
    // By copying, which is fast in a build without optimisation too.
    while taken.len() < bytes {
        let left = bytes.saturating_sub(taken.len());
        taken.extend_from_slice(BLOCK.get(..left).unwrap_or(&BLOCK));
    }
    Ok(taken)
}

fn memory(facts: &Facts) -> Outcome {
    raise(Resource::As);
    raise(Resource::Data);
    let wanted = facts.number("memory")?.saturating_add(32 * MIB);
    let mut taken = Vec::new();
    for _ in 0..wanted.div_euclid(MIB) {
        taken.push(take(MIB)?);
    }
    Ok(format!("{} MiB", taken.len()))
}

/// Four processes that hold two thirds of what is allowed to all of them, each.
fn many(facts: &Facts) -> Outcome {
    let each = facts.number("memory")?.saturating_mul(2).div_euclid(3);
    let ready = facts.path("out")?.join("ready");
    let mut children = Vec::new();
    for number in 0..4 {
        let ready = ready.with_extension(number.to_string());
        children.push(
            raw::fork(move || {
                let taken = take(each);
                if taken.is_ok() {
                    fs::write(&ready, b"x").ok();
                    wait_a_moment();
                }
                drop(taken);
                1
            })
            .map_err(why)?,
        );
    }
    let all = || (0..4).filter(|it| ready.with_extension(it.to_string()).exists()).count();
    for _ in 0..60 {
        thread::sleep(Duration::from_millis(25));
        if all() == 4 {
            break;
        }
    }
    // Long enough for whoever watches to see it.
    thread::sleep(Duration::from_millis(300));
    let ended = children
        .iter()
        .filter(|it| matches!(waitpid(Some(**it), WaitOptions::NOHANG), Ok(Some(_)) | Err(_)));
    let (ended, held) = (ended.count(), all());
    end(&children);
    if ended == 0 && held == 4 {
        Ok(format!("4 processes with {} MiB each", each.div_euclid(MIB)))
    } else {
        Err(format!("{held} got theirs, {ended} were ended"))
    }
}

fn memfds(facts: &Facts) -> Outcome {
    let each = facts.number("file")?.div_euclid(2);
    let wanted = facts.number("memory")?.saturating_add(32 * MIB);
    let mut files = Vec::new();
    let block = take(MIB)?;
    for _ in 0..wanted.div_euclid(each) {
        let fd = rustix::fs::memfd_create("bomb", MemfdFlags::empty()).map_err(why)?;
        let mut file = File::from(fd);
        for _ in 0..each.div_euclid(MIB) {
            file.write_all(&block).map_err(why)?;
        }
        files.push(file);
    }
    thread::sleep(Duration::from_millis(300));
    Ok(format!("{} files with {} MiB each", files.len(), each.div_euclid(MIB)))
}

/// Unread, each as large as a pipe may be.
fn pipes(facts: &Facts) -> Outcome {
    raise(Resource::Nofile);
    let wanted = facts.number("memory")?.saturating_add(16 * MIB);
    let block = take(MIB)?;
    let mut held = Vec::new();
    for _ in 0..wanted.div_euclid(MIB) {
        let (reading, writing) = rustix::pipe::pipe().map_err(why)?;
        let mut args = [
            Arg::Int(writing.as_raw_fd().into()),
            Arg::Int(libc::F_SETPIPE_SZ.into()),
            Arg::Int(1 << 20),
        ];
        call(libc::SYS_fcntl, &mut args).map_err(why)?;
        let mut writing = File::from(writing);
        writing.write_all(&block).map_err(why)?;
        held.push((reading, writing));
    }
    Ok(format!("{} MiB", held.len()))
}

/// Many files, none of which is too large, and no more of them than this.
fn fill(folder: &Path, facts: &Facts) -> Outcome {
    let wanted = facts.number("tmp")?.saturating_add(8 * MIB);
    let each = facts.number("file")?.div_euclid(2);
    let label = format!("tagout-escape-fill-{}", std::process::id());
    let block = take(MIB)?;
    let files = (0..wanted.div_euclid(each).saturating_add(1)).map(|number| {
        let path = folder.join(format!("{label}-{number}"));
        let mut file =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path);
        let file = file.as_mut().map_err(|it| why(&*it));
        let written = file.and_then(|file| {
            (0..each.div_euclid(MIB)).try_for_each(|_| file.write_all(&block).map_err(why))
        });
        (path, written)
    });
    let mut outcome = Ok(format!("{} MiB", wanted.div_euclid(MIB)));
    let mut left = Vec::new();
    for (path, written) in files {
        left.push(path);
        if let Err(why) = written {
            outcome = Err(why);
            break;
        }
    }
    left.iter().for_each(|path| drop(fs::remove_file(path)));
    outcome
}

fn tmp(facts: &Facts) -> Outcome {
    fill(Path::new("/tmp"), facts)
}

fn shm(facts: &Facts) -> Outcome {
    fill(Path::new("/dev/shm"), facts)
}

fn file(facts: &Facts) -> Outcome {
    raise(Resource::Fsize);
    let wanted = facts.number("file")?.saturating_add(4 * MIB);
    let block = take(MIB)?;
    let mut file = File::create(facts.path("out")?.join("large")).map_err(why)?;
    for _ in 0..wanted.div_euclid(MIB) {
        file.write_all(&block).map_err(why)?;
    }
    Ok(format!("{} MiB", wanted.div_euclid(MIB)))
}

fn descriptors(facts: &Facts) -> Outcome {
    raise(Resource::Nofile);
    let wanted = facts.number("open-files")?.saturating_add(64);
    let own = facts.path("server")?.join("code.js");
    let mut held = Vec::new();
    for _ in 0..wanted {
        held.push(File::open(&own).map_err(why)?);
    }
    Ok(format!("{} at once", held.len()))
}

/// Half as long again as it may.
fn processor(facts: &Facts) -> Outcome {
    raise(Resource::Cpu);
    let wanted = facts.number("processor-ms")?.saturating_mul(3).div_euclid(2);
    let wanted = Duration::from_millis(wanted);
    let mut sum = 0_u64;
    loop {
        for number in 0..1_000_000_u64 {
            sum = std::hint::black_box(sum.wrapping_add(number));
        }
        let used = processor_time()?;
        if used > wanted {
            return Ok(format!("{} ms", used.as_millis()));
        }
    }
}

/// What this process has used.
fn processor_time() -> Result<Duration, String> {
    let mut time = [0; 16];
    let clock = Arg::Int(libc::CLOCK_PROCESS_CPUTIME_ID.into());
    call(libc::SYS_clock_gettime, &mut [clock, Arg::Out(&mut time)]).map_err(why)?;
    let (seconds, nanoseconds) = time.split_at(8);
    let word = |bytes: &[u8]| u64::from_ne_bytes(bytes.first_chunk().copied().unwrap_or_default());
    Ok(Duration::from_secs(word(seconds)) + Duration::from_nanos(word(nanoseconds)))
}

fn core(facts: &Facts) -> Outcome {
    raise(Resource::Core);
    std::env::set_current_dir(facts.path("out")?).map_err(why)?;
    let child = raw::fork(|| {
        call(
            libc::SYS_kill,
            &mut [Arg::Int(std::process::id().into()), Arg::Int(libc::SIGQUIT.into())],
        )
        .ok();
        thread::sleep(Duration::from_secs(2));
        0
    })
    .map_err(why)?;
    let ended = waitpid(Some(child), WaitOptions::empty()).map_err(why)?;
    let status = ended.map(|(_, status)| status.as_raw()).unwrap_or_default();
    let dumped = libc::WIFSIGNALED(status) && libc::WCOREDUMP(status);
    if dumped {
        Ok(String::from("its memory was written"))
    } else {
        Err(String::from("it was not"))
    }
}
