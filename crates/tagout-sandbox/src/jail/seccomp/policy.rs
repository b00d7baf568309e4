//! Which system calls an ordinary program may make: the tables.
//!
//! What is not in them is answered as by a kernel that does not have it, so that programs take
//! their older way. What is known to lead out, or into the kernel's seldom used corners, is refused
//! by name. Calls are named here once for all architectures; those that only one of them has stand
//! below.
use super::arguments::{
    Arm, CLONE, IOCTL, IOPRIO, MODE_SECOND, MODE_THIRD, NODE_THIRD, OF_OTHERS, OPEN_THIRD,
    PERSONALITY, PRCTL, PRIORITY, PRLIMIT, SECCOMP, SEND_FOURTH, SEND_THIRD, SET_OPTION, SOCKET,
    SOCKETPAIR,
};

/// How a call is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Allow,
    /// It fails with this error and is not made.
    Refuse(i32),
}

/// What a filter does about a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    Always(Outcome),
    /// The first arm whose tests hold, or else the last.
    By(&'static [Arm], Outcome),
}

/// A call, by the name that manuals use.
pub(super) struct Named {
    name: &'static str,
    number: i64,
}

impl Named {
    pub(super) fn name(&self) -> &'static str {
        self.name.strip_prefix("SYS_").unwrap_or(self.name)
    }

    pub(super) fn number(&self) -> u32 {
        u32::try_from(self.number).unwrap_or(u32::MAX)
    }
}

macro_rules! named {
    ($($name:ident),* $(,)?) => {
        &[$(Named { name: stringify!($name), number: number::$name }),*]
    };
}

macro_rules! ruled {
    ($($name:ident => $rule:expr),* $(,)?) => {
        &[$((Named { name: stringify!($name), number: number::$name }, $rule)),*]
    };
}

/// The numbers, with those that the C library's bindings lack.
#[expect(non_upper_case_globals, reason = "named like those beside them")]
mod number {
    pub(super) use libc::*;

    // From 424 on, numbers are the same everywhere.
    #[cfg(not(target_arch = "x86_64"))]
    pub(super) const SYS_fchmodat2: c_long = 452;
    pub(super) const SYS_map_shadow_stack: c_long = 453;
    pub(super) const SYS_futex_wake: c_long = 454;
    pub(super) const SYS_futex_wait: c_long = 455;
    pub(super) const SYS_futex_requeue: c_long = 456;
    #[cfg(target_arch = "aarch64")]
    pub(super) const SYS_renameat: c_long = 38;
    #[cfg(target_arch = "aarch64")]
    pub(super) const SYS_sync_file_range: c_long = 84;
    #[cfg(target_arch = "aarch64")]
    pub(super) const SYS_getrlimit: c_long = 163;
    #[cfg(target_arch = "aarch64")]
    pub(super) const SYS_setrlimit: c_long = 164;
}

/// What programs of Node, Python, Rust, Go, Java and shells do.
pub(super) const ALLOWED: &[&[Named]] = &[FILES, MEMORY, PROCESSES, SIGNALS, TIME, SOCKETS, HERE];

const FILES: &[Named] = named![
    SYS_read,
    SYS_write,
    SYS_readv,
    SYS_writev,
    SYS_pread64,
    SYS_pwrite64,
    SYS_preadv,
    SYS_pwritev,
    SYS_preadv2,
    SYS_pwritev2,
    SYS_lseek,
    SYS_close,
    SYS_close_range,
    SYS_dup,
    SYS_dup3,
    SYS_pipe2,
    SYS_fcntl,
    SYS_flock,
    SYS_fstat,
    SYS_newfstatat,
    SYS_statx,
    SYS_statfs,
    SYS_fstatfs,
    SYS_faccessat,
    SYS_faccessat2,
    SYS_readlinkat,
    SYS_getdents64,
    SYS_getcwd,
    SYS_chdir,
    SYS_fchdir,
    SYS_mkdirat,
    SYS_unlinkat,
    SYS_linkat,
    SYS_symlinkat,
    SYS_renameat,
    SYS_renameat2,
    SYS_truncate,
    SYS_ftruncate,
    SYS_fallocate,
    SYS_fadvise64,
    SYS_readahead,
    SYS_sync,
    SYS_syncfs,
    SYS_fsync,
    SYS_fdatasync,
    SYS_sync_file_range,
    SYS_utimensat,
    SYS_fchown,
    SYS_fchownat,
    SYS_umask,
    SYS_sendfile,
    SYS_copy_file_range,
    SYS_splice,
    SYS_tee,
    SYS_getxattr,
    SYS_lgetxattr,
    SYS_fgetxattr,
    SYS_listxattr,
    SYS_llistxattr,
    SYS_flistxattr,
    SYS_setxattr,
    SYS_lsetxattr,
    SYS_fsetxattr,
    SYS_removexattr,
    SYS_lremovexattr,
    SYS_fremovexattr,
    SYS_inotify_init1,
    SYS_inotify_add_watch,
    SYS_inotify_rm_watch,
    SYS_epoll_create1,
    SYS_epoll_ctl,
    SYS_epoll_pwait,
    SYS_epoll_pwait2,
    SYS_ppoll,
    SYS_pselect6,
    SYS_eventfd2,
];

const MEMORY: &[Named] = named![
    SYS_brk,
    SYS_mmap,
    SYS_munmap,
    SYS_mprotect,
    SYS_mremap,
    SYS_madvise,
    SYS_mincore,
    SYS_msync,
    SYS_mlock,
    SYS_mlock2,
    SYS_mlockall,
    SYS_munlock,
    SYS_munlockall,
    SYS_mseal,
    SYS_pkey_alloc,
    SYS_pkey_free,
    SYS_pkey_mprotect,
    SYS_map_shadow_stack,
    SYS_membarrier,
    SYS_get_mempolicy,
    SYS_set_mempolicy,
    SYS_set_mempolicy_home_node,
    SYS_mbind,
];

/// A program may let go of what it has, and of its own kind there is nobody else.
const PROCESSES: &[Named] = named![
    SYS_execve,
    SYS_execveat,
    SYS_exit,
    SYS_exit_group,
    SYS_wait4,
    SYS_waitid,
    SYS_getpid,
    SYS_getppid,
    SYS_gettid,
    SYS_getpgid,
    SYS_setpgid,
    SYS_getsid,
    SYS_setsid,
    SYS_getuid,
    SYS_geteuid,
    SYS_getgid,
    SYS_getegid,
    SYS_getresuid,
    SYS_getresgid,
    SYS_getgroups,
    SYS_setuid,
    SYS_setgid,
    SYS_setreuid,
    SYS_setregid,
    SYS_setresuid,
    SYS_setresgid,
    SYS_setfsuid,
    SYS_setfsgid,
    SYS_setgroups,
    SYS_capget,
    SYS_capset,
    SYS_getrlimit,
    SYS_setrlimit,
    SYS_getrusage,
    SYS_getpriority,
    SYS_ioprio_get,
    SYS_sched_yield,
    SYS_sched_getaffinity,
    SYS_sched_getattr,
    SYS_sched_getparam,
    SYS_sched_getscheduler,
    SYS_sched_get_priority_max,
    SYS_sched_get_priority_min,
    SYS_sched_rr_get_interval,
    SYS_getcpu,
    SYS_set_tid_address,
    SYS_set_robust_list,
    SYS_get_robust_list,
    SYS_rseq,
    SYS_futex,
    SYS_futex_waitv,
    SYS_futex_wake,
    SYS_futex_wait,
    SYS_futex_requeue,
    SYS_pidfd_open,
    SYS_pidfd_send_signal,
    SYS_uname,
    SYS_sysinfo,
    SYS_getrandom,
    SYS_landlock_create_ruleset,
    SYS_landlock_add_rule,
    SYS_landlock_restrict_self,
];

const SIGNALS: &[Named] = named![
    SYS_kill,
    SYS_tkill,
    SYS_tgkill,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_rt_sigpending,
    SYS_rt_sigsuspend,
    SYS_rt_sigtimedwait,
    SYS_rt_sigqueueinfo,
    SYS_rt_tgsigqueueinfo,
    SYS_sigaltstack,
    SYS_signalfd4,
    SYS_restart_syscall,
];

const TIME: &[Named] = named![
    SYS_clock_gettime,
    SYS_clock_getres,
    SYS_clock_nanosleep,
    SYS_nanosleep,
    SYS_gettimeofday,
    SYS_times,
    SYS_getitimer,
    SYS_setitimer,
    SYS_timer_create,
    SYS_timer_settime,
    SYS_timer_gettime,
    SYS_timer_getoverrun,
    SYS_timer_delete,
    SYS_timerfd_create,
    SYS_timerfd_settime,
    SYS_timerfd_gettime,
];

const SOCKETS: &[Named] = named![
    SYS_bind,
    SYS_listen,
    SYS_accept,
    SYS_accept4,
    SYS_connect,
    SYS_shutdown,
    SYS_getsockname,
    SYS_getpeername,
    SYS_getsockopt,
    SYS_recvfrom,
    SYS_recvmsg,
    SYS_recvmmsg,
];

#[cfg(target_arch = "x86_64")]
const HERE: &[Named] = named![
    SYS_access,
    SYS_alarm,
    SYS_arch_prctl,
    SYS_chown,
    SYS_dup2,
    SYS_epoll_create,
    SYS_epoll_wait,
    SYS_eventfd,
    SYS_fork,
    SYS_vfork,
    SYS_futimesat,
    SYS_getdents,
    SYS_getpgrp,
    SYS_inotify_init,
    SYS_lchown,
    SYS_link,
    SYS_lstat,
    SYS_mkdir,
    SYS_pause,
    SYS_pipe,
    SYS_poll,
    SYS_readlink,
    SYS_rename,
    SYS_rmdir,
    SYS_select,
    SYS_signalfd,
    SYS_stat,
    SYS_symlink,
    SYS_time,
    SYS_unlink,
    SYS_utime,
    SYS_utimes,
];

#[cfg(not(target_arch = "x86_64"))]
const HERE: &[Named] = &[];

/// Calls whose arguments decide.
pub(super) const RULED: &[&[(Named, Rule)]] = &[RULED_EVERYWHERE, RULED_HERE];

const RULED_EVERYWHERE: &[(Named, Rule)] = ruled![
    SYS_clone => CLONE,
    SYS_fchmod => MODE_SECOND,
    SYS_fchmodat => MODE_THIRD,
    SYS_fchmodat2 => MODE_THIRD,
    SYS_ioctl => IOCTL,
    SYS_ioprio_set => IOPRIO,
    SYS_mknodat => NODE_THIRD,
    SYS_openat => OPEN_THIRD,
    SYS_personality => PERSONALITY,
    SYS_prctl => PRCTL,
    SYS_prlimit64 => PRLIMIT,
    SYS_sched_setaffinity => OF_OTHERS,
    SYS_sched_setattr => OF_OTHERS,
    SYS_sched_setparam => OF_OTHERS,
    SYS_sched_setscheduler => OF_OTHERS,
    SYS_seccomp => SECCOMP,
    SYS_sendmmsg => SEND_FOURTH,
    SYS_sendmsg => SEND_THIRD,
    SYS_sendto => SEND_FOURTH,
    SYS_setpriority => PRIORITY,
    SYS_socket => SOCKET,
    SYS_socketpair => SOCKETPAIR,
    SYS_setsockopt => SET_OPTION,
];

#[cfg(target_arch = "x86_64")]
const RULED_HERE: &[(Named, Rule)] = ruled![
    SYS_chmod => MODE_SECOND,
    SYS_creat => MODE_SECOND,
    SYS_mknod => super::arguments::NODE_SECOND,
    SYS_open => super::arguments::OPEN_SECOND,
];

#[cfg(not(target_arch = "x86_64"))]
const RULED_HERE: &[(Named, Rule)] = &[];

/// Known to lead out: refused, so that a program is told that it may not rather than that nobody
/// can.
pub(super) const DANGEROUS: &[&[Named]] = &[OTHERS, MACHINE, DANGEROUS_HERE];

/// Other processes, namespaces, mounts, keys, and what is done to the kernel's insides.
const OTHERS: &[Named] = named![
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_process_madvise,
    SYS_process_mrelease,
    SYS_kcmp,
    SYS_pidfd_getfd,
    SYS_move_pages,
    SYS_migrate_pages,
    SYS_unshare,
    SYS_setns,
    SYS_mount,
    SYS_umount2,
    SYS_move_mount,
    SYS_open_tree,
    SYS_fsopen,
    SYS_fsconfig,
    SYS_fsmount,
    SYS_fspick,
    SYS_mount_setattr,
    SYS_pivot_root,
    SYS_chroot,
    SYS_open_by_handle_at,
    SYS_name_to_handle_at,
    SYS_fanotify_init,
    SYS_fanotify_mark,
    SYS_add_key,
    SYS_request_key,
    SYS_keyctl,
    SYS_bpf,
    SYS_perf_event_open,
    SYS_userfaultfd,
];

/// What concerns the whole machine.
const MACHINE: &[Named] = named![
    SYS_acct,
    SYS_adjtimex,
    SYS_clock_adjtime,
    SYS_clock_settime,
    SYS_settimeofday,
    SYS_delete_module,
    SYS_finit_module,
    SYS_init_module,
    SYS_kexec_load,
    SYS_kexec_file_load,
    SYS_quotactl,
    SYS_quotactl_fd,
    SYS_reboot,
    SYS_setdomainname,
    SYS_sethostname,
    SYS_swapoff,
    SYS_swapon,
    SYS_syslog,
    SYS_vhangup,
];

#[cfg(target_arch = "x86_64")]
const DANGEROUS_HERE: &[Named] = named![SYS_ioperm, SYS_iopl, SYS_modify_ldt];

#[cfg(not(target_arch = "x86_64"))]
const DANGEROUS_HERE: &[Named] = &[];

/// Known, and answered as by a kernel that does not have them, each for its reason:
///
/// - `clone3` and `openat2` take their flags and modes behind a pointer, where no filter can look;
///   the C library falls back on `clone` and `openat`.
/// - `io_uring` makes calls that no filter sees; the older way to read and write without waiting,
///   and `vmsplice`, are corners of the kernel that ordinary programs do without.
/// - Files of `memfd_create` may be executed, whatever mounts and Landlock say, and their memory
///   counts for no process; so does that of System V's shared memory and of message queues.
///   Programs take files in `/tmp` or `/dev/shm` instead, which are bounded.
pub(super) const ABSENT: &[Named] = named![
    SYS_io_setup,
    SYS_io_destroy,
    SYS_io_submit,
    SYS_io_cancel,
    SYS_io_getevents,
    SYS_vmsplice,
    SYS_clone3,
    SYS_openat2,
    SYS_io_uring_setup,
    SYS_io_uring_enter,
    SYS_io_uring_register,
    SYS_memfd_create,
    SYS_memfd_secret,
    SYS_shmget,
    SYS_shmat,
    SYS_shmctl,
    SYS_shmdt,
    SYS_semget,
    SYS_semop,
    SYS_semctl,
    SYS_semtimedop,
    SYS_msgget,
    SYS_msgsnd,
    SYS_msgrcv,
    SYS_msgctl,
    SYS_mq_open,
    SYS_mq_unlink,
    SYS_mq_timedsend,
    SYS_mq_timedreceive,
    SYS_mq_notify,
    SYS_mq_getsetattr,
    SYS_remap_file_pages,
    SYS_lookup_dcookie,
    SYS_nfsservctl,
];
