//! Finds out what the machine has, by trying.
use std::{
    fs::File,
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
};

use rustix::{
    mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen},
    process::{DumpableBehavior, WaitOptions, geteuid, set_dumpable_behavior, waitpid},
};

use super::{
    bounds, cgroup,
    ids::{Ids, owned_by},
    landlock::Abi,
    launch::{NAMESPACES, try_out},
    plan::{Bind, Kind},
    root::take,
    seccomp::{self, FilterOptions},
};
use crate::{
    Bounds, Found, Part, Survey,
    danger::{
        network::loopback_up,
        process::{Namespaces, Parent, copy},
    },
};

/// What the machine has of every part.
pub(super) fn take_all() -> Survey {
    // As `launch` does, for the same reason.
    set_dumpable_behavior(DumpableBehavior::Dumpable).ok();
    rustix::thread::set_no_new_privs(true).ok();
    Survey { parts: Part::ALL.into_iter().map(|part| (part, found(part))).collect() }
}

fn found(part: Part) -> Found {
    match tried(part) {
        Ok(how) => Found::Present(how),
        Err(e) => Found::Missing { why: why(part, &e), remedy: part.remedy() },
    }
}

/// The system's word, and where it is about a number that somebody set, where that stands.
fn why(part: Part, error: &io::Error) -> String {
    if error.raw_os_error() != Some(libc::ENOSPC) {
        return error.to_string();
    }
    // Without one of users, others cannot be tried.
    let users = !geteuid().is_root() && try_out(Namespaces::USER).is_err();
    match number_of(if users { Part::Users } else { part }) {
        Some(name) => format!("there may be no more of them: see `/proc/sys/user/{name}`"),
        None => error.to_string(),
    }
}

/// How many namespaces of the kind that a part is there may be.
const fn number_of(part: Part) -> Option<&'static str> {
    match part {
        Part::Users => Some("max_user_namespaces"),
        Part::Mounts => Some("max_mnt_namespaces"),
        Part::Processes => Some("max_pid_namespaces"),
        Part::Ipc => Some("max_ipc_namespaces"),
        Part::HostName => Some("max_uts_namespaces"),
        Part::Network => Some("max_net_namespaces"),
        Part::LandlockFiles
        | Part::LandlockNetwork
        | Part::LandlockScopes
        | Part::Seccomp
        | Part::Privileges
        | Part::MemoryBound
        | Part::ProcessBound
        | Part::ProcessLimits => None,
    }
}

fn tried(part: Part) -> io::Result<String> {
    match part {
        Part::Users => users(),
        Part::Mounts => trial(part, take_root).map(|()| mapped()),
        Part::Processes => processes_apart(),
        Part::Ipc | Part::HostName => trial(part, || Ok(())).map(|()| String::from("of its own")),
        Part::Network => trial(part, loopback_up).map(|()| String::from("with its own loopback")),
        Part::LandlockFiles | Part::LandlockNetwork | Part::LandlockScopes => landlock(part),
        Part::Seccomp => trial_in(Namespaces::default(), || {
            seccomp::install(&seccomp::program(&FilterOptions::default()))
        })
        .map(|()| String::from("an allow-list")),
        Part::Privileges => Ok(String::from("no capabilities, no new privileges")),
        Part::MemoryBound if grouped() => Ok(String::from("cgroup")),
        Part::MemoryBound => Ok(String::from(
            "watch: the jailer adds up memory up to 100 times a second and ends a program that has too much; \
             beside it a limit on the data of each process",
        )),
        Part::ProcessBound => Ok(processes()),
        Part::ProcessLimits => Ok(String::from(
            "rlimits; what a server writes where it may write is bounded for each file, not in sum: \
             that takes a quota, or a file system of its own",
        )),
    }
}

/// Whether a control group can be made, which is so found out.
fn grouped() -> bool {
    let number = rustix::process::getpid().as_raw_nonzero().get().unsigned_abs();
    let made = cgroup::Parent::find().map(|parent| parent.make(number, &Bounds::default()));
    made.is_some_and(|made| made.inspect(cgroup::Group::remove).is_ok())
}

fn users() -> io::Result<String> {
    trial_in(Namespaces::USER, || Ok(()))?;
    let ids = Ids::of(rustix::process::getpid())?;
    Ok(String::from(if ids.others {
        "programs run as users that nobody else is"
    } else {
        "programs run as this user, who is nobody special inside"
    }))
}

fn landlock(part: Part) -> io::Result<String> {
    let abi = Abi::of_kernel();
    if abi.has(part) {
        Ok(format!("version {}", abi.number()))
    } else if abi.number() == 0 {
        Err(io::Error::other("the kernel has no Landlock, or it is not switched on"))
    } else {
        Err(io::Error::other(format!("the kernel's Landlock is of version {}", abi.number())))
    }
}

/// A PID namespace, and its own `/proc`, which takes mounts of one's own too.
fn processes_apart() -> io::Result<String> {
    trial(Part::Processes, || Ok(()))?;
    let mounts = trial(Part::Mounts, || Ok(())).is_ok();
    if mounts {
        trial_with(Namespaces::PID.and(Namespaces::MOUNT), own_proc)?;
    }
    let proc = if mounts { "with a `/proc` of its own" } else { "without a `/proc` of its own" };
    Ok(String::from(proc))
}

fn processes() -> String {
    let own_numbers = trial(Part::Processes, || {
        let mut file = File::options().write(true).open("/proc/sys/kernel/pid_max")?;
        file.write_all(bounds::pid_max(256).to_string().as_bytes())
    });
    if grouped() {
        return String::from("cgroup, and beside it an rlimit");
    }
    let beside = if own_numbers.is_ok() { ", and the PID namespace's own limit" } else { "" };
    match try_out(Namespaces::USER) {
        Ok(()) => format!("rlimit, counted in its own user namespace{beside}"),
        Err(_) => format!("rlimit, counted for all processes of its user{beside}"),
    }
}

/// What a mount namespace is for.
fn take_root() -> io::Result<()> {
    let slash = Path::new("/");
    take(
        slash,
        Bind { kind: Kind::Read, is_folder: true, owner: (0, 0), may_be_gone: false },
        None,
    )?;
    let memory = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&memory)?;
    fsmount(&memory, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::MOUNT_ATTR_NOSUID)?;
    Ok(())
}

/// How files of others are seen.
fn mapped() -> String {
    let Ok(ids) = Ids::of(rustix::process::getpid()) else { return String::new() };
    if !ids.others {
        return String::from("files are seen as this user sees them");
    }
    let bind = Bind { kind: Kind::Read, is_folder: true, owner: (0, 0), may_be_gone: false };
    let tried = owned_by((0, 0), &ids).and_then(|map| {
        let tree = take(Path::new("/usr"), bind, None)?;
        let attributes = MountAttrFlags::empty();
        crate::danger::mount::set_attributes(
            std::os::fd::AsFd::as_fd(&tree),
            attributes,
            false,
            Some(std::os::fd::AsFd::as_fd(&map)),
        )
    });
    String::from(match tried {
        Ok(()) => "what is given is seen as the program's own",
        Err(_) => "without id-mapped mounts: only what everybody may read can be read",
    })
}

fn own_proc() -> io::Result<()> {
    let proc = fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&proc)?;
    fsmount(&proc, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::MOUNT_ATTR_RDONLY)?;
    Ok(())
}

/// Tries something in the namespace that a part is, made as it would be for a program.
fn trial(part: Part, what: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let one = NAMESPACES.iter().find(|(this, _)| *this == part).map(|(_, one)| *one);
    let one = one.unwrap_or_default();
    trial_with(one, what)
}

fn trial_with(into: Namespaces, what: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let users = if geteuid().is_root() && try_out(Namespaces::USER).is_err() {
        Namespaces::default()
    } else {
        Namespaces::USER
    };
    trial_in(into.and(users), what)
}

fn trial_in(into: Namespaces, what: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let (mut line, mut their_line) = UnixStream::pair()?;
    let Some(child) = copy(into, Parent::This)? else {
        drop(line);
        let go = their_line.read_exact(&mut [0]);
        let done = go.and_then(|()| what());
        let errno = done.err().map_or(0, |e| e.raw_os_error().unwrap_or(libc::EPROTO));
        their_line.write_all(&errno.to_le_bytes()).ok();
        std::process::exit(0);
    };
    drop(their_line);
    let told = mapped_ids(into, child).and_then(|()| {
        line.write_all(b"g")?;
        let mut errno = [0; 4];
        line.read_exact(&mut errno)?;
        match i32::from_le_bytes(errno) {
            0 => Ok(()),
            errno => Err(io::Error::from_raw_os_error(errno)),
        }
    });
    drop(line);
    waitpid(Some(child), WaitOptions::empty())?;
    told
}

fn mapped_ids(into: Namespaces, child: rustix::process::Pid) -> io::Result<()> {
    if into.holds(Namespaces::USER) { Ids::of(child)?.map(child) } else { Ok(()) }
}
