//! Calls to the kernel that an ordinary program has no use for.
//!
//! What could harm the machine is asked for in a form that does nothing when it is granted: that
//! the kernel looked past the caller's rights is success.
use std::{fs, fs::File, os::fd::AsRawFd as _};

use rustix::io::Errno;

use crate::{
    attempt::{Attempt, Facts, Outcome, why},
    raw::{self, Arg, call, name, open},
    seen::Seen,
};

pub(super) const ALL: &[Attempt] = &[
    Attempt::new("ptrace-child", "trace a child of its own", trace_child, Seen::said),
    Attempt::new("add-key", "`add_key`", add_key, Seen::said),
    Attempt::new("bpf", "`bpf`: make a map", bpf, Seen::said).of_root(),
    Attempt::new("io-uring", "`io_uring_setup`", io_uring, Seen::said)
        .if_there("io_uring is switched off"),
    Attempt::new("userfaultfd", "`userfaultfd`", userfaultfd, Seen::said)
        .if_there("no userfaultfd in this kernel"),
    Attempt::new("perf", "`perf_event_open`", perf, Seen::said).if_there("not for this user"),
    Attempt::new("mount", "`mount`", mount, Seen::said).of_root(),
    Attempt::new("mount-by-descriptor", "`fsopen`, `open_tree`", fsopen, Seen::said).of_root(),
    Attempt::new("remount", "make what is read-only writable", remount, Seen::said).of_root(),
    Attempt::new("umount", "`umount2`", umount, Seen::said).of_root(),
    Attempt::new("pivot-root", "`pivot_root`", pivot, Seen::said).of_root(),
    Attempt::new("unshare-user", "`unshare` into a user namespace", unshare_user, Seen::said)
        .if_there("this user may make no user namespaces"),
    Attempt::new("unshare", "`unshare` the other namespaces", unshare, Seen::said).of_root(),
    Attempt::new("clone-namespace", "`clone` into a user namespace", clone, Seen::said)
        .if_there("this user may make no user namespaces"),
    Attempt::new("clone3-namespace", "the same by `clone3`", clone3, Seen::said)
        .if_there("this user may make no user namespaces"),
    Attempt::new("personality", "`personality`: no random addresses", personality, Seen::said),
    Attempt::new("kexec", "`kexec_load`", kexec, Seen::said)
        .of_root()
        .if_there("no kexec in this kernel"),
    Attempt::new("load-module", "`init_module`", module, Seen::said)
        .of_root()
        .if_there("no modules in this kernel"),
    Attempt::new("swap", "`swapon`", swap, Seen::said).of_root(),
    Attempt::new("reboot", "`reboot`", reboot, Seen::said).of_root(),
    Attempt::new("host-name", "`sethostname`", host_name, Seen::said).of_root(),
    Attempt::new("clock", "`settimeofday`", clock, Seen::said).of_root(),
    Attempt::new("ports", "`ioperm`", ports, Seen::said)
        .of_root()
        .if_there("no ports in this kernel"),
    Attempt::new("kernel-log", "`syslog`: read the kernel's log", log, Seen::said)
        .if_there("not for this user"),
    Attempt::new("watch-files", "`fanotify_init`", fanotify, Seen::said)
        .of_root()
        .if_there("no fanotify in this kernel"),
    Attempt::new("capabilities", "use or raise a capability", capabilities, Seen::said).of_root(),
    Attempt::new("priority", "a higher priority than others", priority, Seen::said).of_root(),
    Attempt::new("old-calls", "32-bit system calls", old_calls, Seen::said)
        .if_there("no 32-bit calls in this kernel"),
    Attempt::new("x32-calls", "x32 system calls", x32, Seen::said)
        .if_there("no x32 calls in this kernel"),
    Attempt::new("descriptor-table", "`modify_ldt`", ldt, Seen::said)
        .if_there("no such tables on this machine"),
    Attempt::new("virtual-machine", "open `/dev/kvm`", kvm, Seen::said)
        .if_there("no KVM for this user"),
];

fn done(number: libc::c_long, args: &mut [Arg<'_>]) -> Outcome {
    call(number, args).map(|_| String::from("the kernel did it")).map_err(why)
}

/// Asks for what cannot be done, and whether it fails for that reason.
fn past(number: libc::c_long, args: &mut [Arg<'_>], reasons: &[Errno]) -> Outcome {
    match call(number, args) {
        Ok(_) => Ok(String::from("the kernel did it")),
        Err(error) if reasons.contains(&error) => Ok(format!("only stopped by: {error}")),
        Err(error) => Err(why(error)),
    }
}

fn trace_child(_: &Facts) -> Outcome {
    let child = raw::fork(|| {
        std::thread::sleep(std::time::Duration::from_secs(2));
        0
    })
    .map_err(why)?;
    let pid = i64::from(child.as_raw_nonzero().get());
    let seize = i64::from(libc::PTRACE_SEIZE);
    let mut args = [Arg::Int(seize), Arg::Int(pid), Arg::Int(0), Arg::Int(0)];
    let traced = done(libc::SYS_ptrace, &mut args);
    rustix::process::kill_process(child, rustix::process::Signal::KILL).ok();
    traced
}

fn add_key(_: &Facts) -> Outcome {
    let (kind, label) = (name("user"), name("tagout-escape-own"));
    // Into the process's keyring, which ends with it.
    let mut args = [Arg::In(&kind), Arg::In(&label), Arg::In(b"x"), Arg::Int(1), Arg::Int(-2)];
    done(libc::SYS_add_key, &mut args)
}

fn bpf(_: &Facts) -> Outcome {
    // An array of one element of four bytes.
    let mut attributes = raw::bytes_of(&[2, 4, 4, 1]);
    attributes.resize(128, 0);
    let map = open(libc::SYS_bpf, &mut [Arg::Int(0), Arg::In(&attributes), Arg::Int(128)]);
    map.map(|_| String::from("a map")).map_err(why)
}

fn io_uring(_: &Facts) -> Outcome {
    let mut parameters = [0; 120];
    let ring = open(libc::SYS_io_uring_setup, &mut [Arg::Int(4), Arg::Out(&mut parameters)]);
    ring.map(|_| String::from("a ring")).map_err(why)
}

fn userfaultfd(_: &Facts) -> Outcome {
    // Only for its own faults, which takes no rights.
    let fd = open(libc::SYS_userfaultfd, &mut [Arg::Int(1)]);
    fd.map(|_| String::from("its faults are its own")).map_err(why)
}

fn perf(_: &Facts) -> Outcome {
    // The processor's time in user space: software, type 1, size 64, event 1, without the kernel.
    let mut attributes = raw::bytes_of(&[1, 64]);
    attributes.extend(1_u64.to_ne_bytes());
    attributes.resize(40, 0);
    attributes.extend(0b110_0000_u64.to_ne_bytes());
    attributes.resize(64, 0);
    let mut args = [Arg::In(&attributes), Arg::Int(0), Arg::Int(-1), Arg::Int(-1), Arg::Int(0)];
    open(libc::SYS_perf_event_open, &mut args).map(|_| String::from("a counter")).map_err(why)
}

fn mount(facts: &Facts) -> Outcome {
    let (kind, place) = (name("tmpfs"), name(facts.text("out")?));
    let mut args = [Arg::In(&kind), Arg::In(&place), Arg::In(&kind), Arg::Int(0), Arg::Int(0)];
    done(libc::SYS_mount, &mut args)
}

fn fsopen(facts: &Facts) -> Outcome {
    let (kind, place) = (name("tmpfs"), name(facts.text("out")?));
    let opened = open(libc::SYS_fsopen, &mut [Arg::In(&kind), Arg::Int(0)]);
    // A copy of a part of the tree.
    let tree = open(
        libc::SYS_open_tree,
        &mut [Arg::Int(libc::AT_FDCWD.into()), Arg::In(&place), Arg::Int(1)],
    );
    opened.or(tree).map(|_| String::from("a file system of its own")).map_err(why)
}

fn remount(facts: &Facts) -> Outcome {
    let place = name(facts.text("server")?);
    let bind = i64::try_from(libc::MS_REMOUNT | libc::MS_BIND).map_err(why)?;
    let over = i64::try_from(libc::MS_BIND).map_err(why)?;
    for flags in [over, bind] {
        let mut args =
            [Arg::In(&place), Arg::In(&place), Arg::Int(0), Arg::Int(flags), Arg::Int(0)];
        call(libc::SYS_mount, &mut args).map_err(why)?;
    }
    Ok(String::from("its program's folder is mounted anew"))
}

fn umount(_: &Facts) -> Outcome {
    let place = name("/dev/shm");
    done(libc::SYS_umount2, &mut [Arg::In(&place), Arg::Int(libc::MNT_DETACH.into())])
}

/// Without a mount at that place it fails after the rights were looked at.
fn pivot(facts: &Facts) -> Outcome {
    let place = name(facts.text("out")?);
    past(
        libc::SYS_pivot_root,
        &mut [Arg::In(&place), Arg::In(&place)],
        &[Errno::INVAL, Errno::BUSY],
    )
}

fn unshare_user(_: &Facts) -> Outcome {
    done(libc::SYS_unshare, &mut [Arg::Int(libc::CLONE_NEWUSER.into())])?;
    Ok(String::from("it has every capability in there"))
}

fn unshare(_: &Facts) -> Outcome {
    let kinds = [libc::CLONE_NEWNS, libc::CLONE_NEWNET, libc::CLONE_NEWPID, libc::CLONE_NEWIPC];
    let tried = kinds.map(|kind| done(libc::SYS_unshare, &mut [Arg::Int(kind.into())]));
    tried.into_iter().reduce(Result::or).ok_or("nothing was tried")?
}

/// A child that ends at once, in a namespace of its own.
fn clone(_: &Facts) -> Outcome {
    let flags = i64::from(libc::CLONE_NEWUSER | libc::SIGCHLD);
    let mut args = [Arg::Int(flags), Arg::Int(0), Arg::Int(0), Arg::Int(0), Arg::Int(0)];
    ended_in_child(call(libc::SYS_clone, &mut args))
}

fn clone3(_: &Facts) -> Outcome {
    let flags = u64::from(libc::CLONE_NEWUSER.unsigned_abs());
    let signal = u64::from(libc::SIGCHLD.unsigned_abs());
    let arguments = raw::bytes_of_long(&[flags, 0, 0, 0, signal, 0, 0, 0]);
    ended_in_child(call(libc::SYS_clone3, &mut [Arg::In(&arguments), Arg::Int(64)]))
}

fn ended_in_child(cloned: Result<i64, Errno>) -> Outcome {
    if cloned == Ok(0) {
        call(libc::SYS_exit_group, &mut [Arg::Int(0)]).ok();
    }
    cloned.map(|_| String::from("its child has every capability in there")).map_err(why)
}

fn personality(_: &Facts) -> Outcome {
    call(libc::SYS_personality, &mut [Arg::Int(0x004_0000)]).map_err(why)?;
    let now = call(libc::SYS_personality, &mut [Arg::Int(0xffff_ffff)]).map_err(why)?;
    if now == 0x004_0000 { Ok(String::from("it is another now")) } else { Err(format!("{now:#x}")) }
}

/// Without a segment, which unloads what nobody loaded.
fn kexec(_: &Facts) -> Outcome {
    done(libc::SYS_kexec_load, &mut [Arg::Int(0), Arg::Int(0), Arg::Int(0), Arg::Int(0)])
}

fn module(_: &Facts) -> Outcome {
    let empty = name("");
    let mut args = [Arg::In(b"no module"), Arg::Int(9), Arg::In(&empty)];
    past(libc::SYS_init_module, &mut args, &[Errno::NOEXEC])
}

fn swap(_: &Facts) -> Outcome {
    let place = name("/nowhere/swap");
    past(libc::SYS_swapon, &mut [Arg::In(&place), Arg::Int(0)], &[Errno::NOENT])
}

/// With a wrong number in place of the magic one.
fn reboot(_: &Facts) -> Outcome {
    let mut args = [Arg::Int(1), Arg::Int(2), Arg::Int(0), Arg::Int(0)];
    past(libc::SYS_reboot, &mut args, &[Errno::INVAL])
}

fn host_name(_: &Facts) -> Outcome {
    // The second of the names that a system has, each in 65 bytes.
    let mut names = [0; 390];
    call(libc::SYS_uname, &mut [Arg::Out(&mut names)]).map_err(why)?;
    let own = names.get(65..130).unwrap_or_default().split(|byte| *byte == 0).next();
    let own = own.unwrap_or_default();
    let length = i64::try_from(own.len()).map_err(why)?;
    done(libc::SYS_sethostname, &mut [Arg::In(own), Arg::Int(length)])
}

/// With nothing to set.
fn clock(_: &Facts) -> Outcome {
    done(libc::SYS_settimeofday, &mut [Arg::Int(0), Arg::Int(0)])
}

fn ports(_: &Facts) -> Outcome {
    #[cfg(target_arch = "x86_64")]
    {
        done(libc::SYS_ioperm, &mut [Arg::Int(0x80), Arg::Int(1), Arg::Int(1)])
    }
    #[cfg(not(target_arch = "x86_64"))]
    Err(String::from("this machine has no ports"))
}

fn log(_: &Facts) -> Outcome {
    let mut text = [0; 64];
    // SYSLOG_ACTION_READ_ALL.
    done(libc::SYS_syslog, &mut [Arg::Int(3), Arg::Out(&mut text), Arg::Int(64)])
}

fn fanotify(_: &Facts) -> Outcome {
    let fd = open(libc::SYS_fanotify_init, &mut [Arg::Int(0x4), Arg::Int(0)]);
    fd.map(|_| String::from("it may watch every file")).map_err(why)
}

/// Whether it has any, and whether it can have some that it has not.
fn capabilities(_: &Facts) -> Outcome {
    let header = raw::bytes_of(&[0x2008_0522, 0]);
    let all = raw::bytes_of(&[0xffff_ffff, 0xffff_ffff, 0, 0x1ff, 0x1ff, 0]);
    if call(libc::SYS_capset, &mut [Arg::In(&header), Arg::In(&all)]).is_ok() {
        return Ok(String::from("it raised all of them"));
    }
    let status = crate::attempt::read("/proc/self/status".as_ref())?;
    let held = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap_or_default();
    let held = held.trim();
    if held.bytes().any(|digit| digit != b'0') {
        return Ok(format!("it has {held}"));
    }
    Err(String::from("it has none and gets none"))
}

fn priority(_: &Facts) -> Outcome {
    // A higher one for itself, then among those of real time.
    let nicer = done(libc::SYS_setpriority, &mut [Arg::Int(0), Arg::Int(0), Arg::Int(-5)]);
    let one = raw::bytes_of(&[1]);
    nicer.or_else(|_| {
        done(libc::SYS_sched_setscheduler, &mut [Arg::Int(0), Arg::Int(1), Arg::In(&one)])
    })
}

fn old_calls(_: &Facts) -> Outcome {
    let seen = raw::pid_by_old_calls();
    if seen == Some(i64::from(std::process::id())) {
        Ok(String::from("the filter's numbers do not hold for it"))
    } else {
        Err(format!("{seen:?}"))
    }
}

fn x32(_: &Facts) -> Outcome {
    let number = 0x4000_0000 | libc::SYS_getppid;
    done(number, &mut [])
}

fn ldt(_: &Facts) -> Outcome {
    #[cfg(target_arch = "x86_64")]
    {
        // A writable data segment of no length, in the first entry.
        let entry = raw::bytes_of(&[0, 0, 0, 0b111_1001]);
        done(libc::SYS_modify_ldt, &mut [Arg::Int(1), Arg::In(&entry), Arg::Int(16)])
    }
    #[cfg(not(target_arch = "x86_64"))]
    Err(String::from("this machine has no such tables"))
}

fn kvm(_: &Facts) -> Outcome {
    let device = fs::OpenOptions::new().read(true).write(true).open("/dev/kvm").map_err(why)?;
    let fd: &File = &device;
    // KVM_GET_API_VERSION.
    done(libc::SYS_ioctl, &mut [Arg::Int(fd.as_raw_fd().into()), Arg::Int(0xae00), Arg::Int(0)])
}
