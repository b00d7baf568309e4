mod programs;

use libc::{c_long, *};

use super::{policy::Named, *};

const KILLED: u32 = SECCOMP_RET_KILL_PROCESS;
const ALLOWED: u32 = SECCOMP_RET_ALLOW;

fn refused(error: i32) -> u32 {
    SECCOMP_RET_ERRNO | error.cast_unsigned()
}

fn answer_of(program: &[Instruction], number: c_long, arguments: &[i64]) -> u32 {
    let mut call = Call {
        number: u32::try_from(number).unwrap(),
        architecture: ARCHITECTURE,
        ..Call::default()
    };
    for (place, argument) in call.arguments.iter_mut().zip(arguments) {
        *place = argument.cast_unsigned();
    }
    interpret(program, &call).unwrap()
}

fn check(table: &[(c_long, &[i64], u32)]) {
    let program = program(&FilterOptions::default());
    for (number, arguments, expected) in table {
        let found = answer_of(&program, *number, arguments);
        assert_eq!(found, *expected, "{number} {arguments:x?}: {found:#x}");
    }
}

#[test]
fn the_kernel_takes_the_program() {
    let program = program(&FilterOptions::default());
    assert!(program.len() < 2000, "{}", program.len());
    // Every jump stays within, and the last instruction is an answer.
    for (place, instruction) in program.iter().enumerate() {
        let furthest = match instruction.code {
            assemble::JUMP => place + 1 + usize::try_from(instruction.operand).unwrap(),
            assemble::ANSWER => place,
            _ => place + 1 + usize::from(instruction.yes.max(instruction.no)),
        };
        assert!(furthest < program.len(), "{place}: {instruction:?}");
    }
}

/// The tree says of every number what the tables say, whatever the arguments.
#[test]
fn the_tree_says_what_the_tables_say() {
    let rules = rules();
    let program = program(&FilterOptions::default());
    let values = [0, 1, 2, 3, 9, 0o100, 0o4755, 0x5412, 0x1000_0000, i64::MAX, -1];
    for number in 0..1024_u32 {
        let rule = rules.get(&number).copied();
        let UNKNOWN = UNKNOWN else { unreachable!() };
        for seed in 0..values.len() {
            let arguments: Vec<i64> =
                (0..6).map(|place| values[(seed * (place + 1) + place) % values.len()]).collect();
            let expected = match rule.map(Leaf::Rule).unwrap_or(UNKNOWN) {
                Leaf::Kill => KILLED,
                Leaf::Rule(Rule::Always(outcome)) | Leaf::Told(Rule::Always(outcome)) => {
                    action(outcome)
                }
                Leaf::Rule(Rule::By(arms, otherwise)) | Leaf::Told(Rule::By(arms, otherwise)) => {
                    let holds = |test: &Test| {
                        let (argument, shift) = match test.word {
                            arguments::Word::Low(argument) => (argument, 0),
                            arguments::Word::High(argument) => (argument, 32),
                        };
                        let word = arguments[usize::from(argument)].cast_unsigned() >> shift;
                        let word = u32::try_from(word & 0xffff_ffff).unwrap();
                        test.among.contains(&(word & test.mask))
                    };
                    let arm = arms.iter().find(|arm| arm.0.iter().all(holds));
                    action(arm.map_or(otherwise, |arm| arm.1))
                }
            };
            let found = answer_of(&program, number.into(), &arguments);
            assert_eq!(found, expected, "{number} {arguments:x?}");
        }
    }
}

#[test]
fn a_jump_reaches_further_than_a_byte() {
    let mut assembler = Assembler::default();
    let far = assembler.answer(7);
    let mut next = assembler.answer(8);
    for value in 0..2000 {
        next = assembler.test(Ask::Equal, value, far, next);
    }
    assembler.load(NUMBER, next);
    let program = assembler.finish();
    for (number, expected) in [(0, 7), (1000, 7), (1999, 7), (2000, 8)] {
        let call = Call { number, ..Call::default() };
        assert_eq!(interpret(&program, &call), Some(expected), "{number}");
    }
}

#[test]
fn other_architectures_end_the_process() {
    let program = program(&FilterOptions::default());
    for architecture in [0, 0x4000_0003, 0xc000_00b7, 0xc000_003e, 0x4000_0028] {
        let call = Call { number: 39, architecture, ..Call::default() };
        let expected = if architecture == ARCHITECTURE { None } else { Some(KILLED) };
        let found = interpret(&program, &call);
        assert!(expected.is_none_or(|expected| found == Some(expected)), "{architecture:x}");
    }
    if cfg!(target_arch = "x86_64") {
        check(&[
            (0x4000_0000, &[], KILLED),
            (0x4000_0000 + 520, &[], KILLED),
            (0xffff_fffe, &[], KILLED),
        ]);
    }
    // What a tracer writes to skip a call, and some programs try.
    check(&[(0xffff_ffff, &[], refused(ENOSYS))]);
}

#[test]
fn what_leads_out_is_refused() {
    let eperm = refused(EPERM);
    let enosys = refused(ENOSYS);
    check(&[
        (SYS_ptrace, &[0], eperm),
        (SYS_process_vm_readv, &[1], eperm),
        (SYS_process_vm_writev, &[1], eperm),
        (SYS_pidfd_getfd, &[3, 0], eperm),
        (SYS_mount, &[], eperm),
        (SYS_umount2, &[], eperm),
        (SYS_move_mount, &[], eperm),
        (SYS_open_tree, &[], eperm),
        (SYS_unshare, &[i64::from(CLONE_NEWUSER)], eperm),
        (SYS_unshare, &[0], eperm),
        (SYS_setns, &[3, 0], eperm),
        (SYS_chroot, &[], eperm),
        (SYS_bpf, &[0], eperm),
        (SYS_perf_event_open, &[], eperm),
        (SYS_userfaultfd, &[0], eperm),
        (SYS_keyctl, &[0], eperm),
        (SYS_add_key, &[], eperm),
        (SYS_open_by_handle_at, &[], eperm),
        (SYS_kexec_load, &[], eperm),
        (SYS_finit_module, &[], eperm),
        (SYS_reboot, &[], eperm),
        (SYS_syslog, &[2], eperm),
        (SYS_fanotify_init, &[], eperm),
        (SYS_kcmp, &[], eperm),
        (SYS_io_uring_setup, &[1], enosys),
        (SYS_io_uring_enter, &[1], enosys),
        (SYS_clone3, &[], enosys),
        (SYS_openat2, &[], enosys),
        (SYS_memfd_create, &[], enosys),
        (SYS_shmget, &[], enosys),
        // Not assigned, or to be assigned.
        (1000, &[], enosys),
        (500, &[], enosys),
    ]);
}

#[test]
fn processes_are_made_in_the_same_namespaces_only() {
    let eperm = refused(EPERM);
    let thread = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
    check(&[
        (SYS_clone, &[SIGCHLD.into()], ALLOWED),
        (SYS_clone, &[thread.into()], ALLOWED),
        (SYS_clone, &[(CLONE_VM | CLONE_VFORK | SIGCHLD).into()], ALLOWED),
        (SYS_clone, &[(CLONE_NEWUSER | SIGCHLD).into()], eperm),
        (SYS_clone, &[(CLONE_NEWNET | SIGCHLD).into()], eperm),
        (SYS_clone, &[(CLONE_NEWNS | SIGCHLD).into()], eperm),
        (SYS_clone, &[CLONE_NEWPID.into()], eperm),
        (SYS_clone, &[CLONE_NEWCGROUP.into()], eperm),
        (SYS_clone, &[-1], eperm),
    ]);
}

#[test]
fn sockets_are_of_known_kinds() {
    let domain = refused(EAFNOSUPPORT);
    let protocol = refused(EPROTONOSUPPORT);
    let eperm = refused(EPERM);
    let (unix, inet, inet6) = (AF_UNIX.into(), AF_INET.into(), AF_INET6.into());
    let (stream, dgram, raw) = (SOCK_STREAM.into(), SOCK_DGRAM.into(), SOCK_RAW.into());
    let flagged = i64::from(SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK);
    let netlink = AF_NETLINK.into();
    check(&[
        (SYS_socket, &[unix, stream, 0], ALLOWED),
        (SYS_socket, &[unix, SOCK_SEQPACKET.into(), 0], ALLOWED),
        (SYS_socket, &[inet, stream, 0], ALLOWED),
        (SYS_socket, &[inet, flagged, IPPROTO_TCP.into()], ALLOWED),
        (SYS_socket, &[inet6, flagged, 0], ALLOWED),
        (SYS_socket, &[inet6, dgram, IPPROTO_UDP.into()], ALLOWED),
        // The kernel does not look at the upper half.
        (SYS_socket, &[inet | 1 << 40, stream, 0], ALLOWED),
        (SYS_socket, &[inet, raw, IPPROTO_ICMP.into()], eperm),
        (SYS_socket, &[inet, raw | i64::from(SOCK_CLOEXEC), IPPROTO_TCP.into()], eperm),
        (SYS_socket, &[inet6, 10, 0], eperm),
        (SYS_socket, &[inet, dgram, IPPROTO_ICMP.into()], protocol),
        (SYS_socket, &[inet, stream, IPPROTO_MPTCP.into()], protocol),
        (SYS_socket, &[inet, stream, IPPROTO_SCTP.into()], protocol),
        (SYS_socket, &[inet, SOCK_SEQPACKET.into(), 0], protocol),
        (SYS_socket, &[netlink, raw, NETLINK_ROUTE.into()], ALLOWED),
        (SYS_socket, &[netlink, dgram, NETLINK_KOBJECT_UEVENT.into()], protocol),
        (SYS_socket, &[netlink, raw, NETLINK_NETFILTER.into()], protocol),
        (SYS_socket, &[AF_PACKET.into(), raw, 0], eperm),
        (SYS_socket, &[AF_VSOCK.into(), stream, 0], domain),
        (SYS_socket, &[AF_ALG.into(), SOCK_SEQPACKET.into(), 0], domain),
        (SYS_socket, &[43, stream, 0], domain),
        (SYS_setsockopt, &[3, SOL_SOCKET.into(), SO_REUSEADDR.into()], ALLOWED),
        (SYS_setsockopt, &[3, IPPROTO_TCP.into(), SO_SNDBUF.into()], ALLOWED),
        (SYS_setsockopt, &[3, SOL_SOCKET.into(), SO_SNDBUF.into()], refused(0)),
        (SYS_setsockopt, &[3, SOL_SOCKET.into(), 1 << 40 | i64::from(SO_RCVBUF)], refused(0)),
        (SYS_setsockopt, &[3, SOL_SOCKET.into(), SO_SNDBUFFORCE.into()], refused(0)),
        (SYS_setsockopt, &[3, SOL_SOCKET.into(), SO_RCVBUFFORCE.into()], refused(0)),
        (SYS_socketpair, &[unix, stream, 0], ALLOWED),
        (SYS_socketpair, &[AF_TIPC.into(), stream, 0], domain),
        (SYS_sendto, &[3, 0, 0, MSG_NOSIGNAL.into()], ALLOWED),
        (SYS_sendto, &[3, 0, 0, MSG_FASTOPEN.into()], refused(EOPNOTSUPP)),
        (SYS_sendmsg, &[3, 0, MSG_FASTOPEN.into()], refused(EOPNOTSUPP)),
        (SYS_sendmmsg, &[3, 0, 1, MSG_FASTOPEN.into()], refused(EOPNOTSUPP)),
    ]);
}

#[test]
fn nobody_gets_anothers_rights_by_a_file() {
    let eperm = refused(EPERM);
    let here = AT_FDCWD.into();
    let make = i64::from(O_WRONLY | O_CREAT);
    check(&[
        (SYS_fchmod, &[3, 0o755], ALLOWED),
        (SYS_fchmod, &[3, 0o1777], ALLOWED),
        (SYS_fchmod, &[3, 0o4755], eperm),
        (SYS_fchmod, &[3, 0o2755], eperm),
        // The kernel takes 16 bits of it.
        (SYS_fchmod, &[3, 0xff_0000_01ed], ALLOWED),
        (SYS_fchmodat, &[here, 0, 0o644], ALLOWED),
        (SYS_fchmodat, &[here, 0, 0o6644], eperm),
        (452, &[here, 0, 0o644, 0], ALLOWED),
        (452, &[here, 0, 0o4644, 0], eperm),
        (SYS_openat, &[here, 0, make, 0o644], ALLOWED),
        (SYS_openat, &[here, 0, make, 0o4755], eperm),
        (SYS_openat, &[here, 0, O_RDONLY.into(), 0o4755], ALLOWED),
        (SYS_openat, &[here, 0, (O_TMPFILE | O_RDWR).into(), 0o4700], eperm),
        (SYS_mknodat, &[here, 0, (S_IFIFO | 0o600).into()], ALLOWED),
        (SYS_mknodat, &[here, 0, (S_IFSOCK | 0o600).into()], ALLOWED),
        (SYS_mknodat, &[here, 0, 0o600], ALLOWED),
        (SYS_mknodat, &[here, 0, (S_IFREG | 0o4600).into()], eperm),
        (SYS_mknodat, &[here, 0, (S_IFCHR | 0o600).into(), 0], eperm),
        (SYS_mknodat, &[here, 0, (S_IFBLK | 0o600).into(), 0x801], eperm),
    ]);
    #[cfg(target_arch = "x86_64")]
    check(&[
        (SYS_open, &[0, make, 0o644], ALLOWED),
        (SYS_open, &[0, make, 0o2755], eperm),
        (SYS_creat, &[0, 0o4755], eperm),
        (SYS_chmod, &[0, 0o4755], eperm),
        (SYS_chmod, &[0, 0o755], ALLOWED),
        (SYS_mknod, &[0, (S_IFCHR | 0o600).into(), 0x101], eperm),
        (SYS_iopl, &[3], eperm),
    ]);
}

#[test]
fn a_process_sets_only_what_is_its_own() {
    let eperm = refused(EPERM);
    check(&[
        (SYS_ioctl, &[0, 0x5401], ALLOWED),
        (SYS_ioctl, &[0, 0x5412], eperm),
        (SYS_ioctl, &[0, 0x541c], eperm),
        (SYS_ioctl, &[0, 0x5423], eperm),
        // The kernel does not look at the upper half, and neither may a filter.
        (SYS_ioctl, &[0, 0x1_0000_5412], eperm),
        (SYS_ioctl, &[0, -1], refused(ENOTTY)),
        (SYS_personality, &[0], ALLOWED),
        (SYS_personality, &[0xffff_ffff], ALLOWED),
        (SYS_personality, &[0x004_0000], eperm),
        (SYS_personality, &[8], eperm),
        (SYS_prctl, &[PR_SET_NAME.into()], ALLOWED),
        (SYS_prctl, &[PR_SET_NO_NEW_PRIVS.into(), 1], ALLOWED),
        (SYS_prctl, &[PR_SET_MM.into()], eperm),
        (SYS_prctl, &[PR_CAP_AMBIENT.into()], eperm),
        (SYS_prctl, &[9999], refused(EINVAL)),
        (SYS_seccomp, &[1, 0], ALLOWED),
        (SYS_seccomp, &[1, 1], ALLOWED),
        (SYS_seccomp, &[1, 8], eperm),
        (SYS_seccomp, &[3, 0], eperm),
        (SYS_prlimit64, &[0, 7, 0x7fff_0000_0000], ALLOWED),
        (SYS_prlimit64, &[1, 7, 0x7fff_0000_0000], eperm),
        (SYS_prlimit64, &[1, 7, 0x1000], eperm),
        (SYS_prlimit64, &[1, 7, 0], ALLOWED),
        (SYS_setpriority, &[0, 0, 10], ALLOWED),
        (SYS_setpriority, &[0, 77, 10], ALLOWED),
        (SYS_setpriority, &[1, 0, 10], ALLOWED),
        (SYS_setpriority, &[0, 1, 19], eperm),
        (SYS_setpriority, &[1, 1, 19], eperm),
        (SYS_setpriority, &[2, 1000, 19], eperm),
        (SYS_sched_setaffinity, &[0, 8, 0x1000], ALLOWED),
        (SYS_sched_setaffinity, &[1, 8, 0x1000], eperm),
        (SYS_sched_setscheduler, &[1, 5, 0x1000], eperm),
        (SYS_ioprio_set, &[1, 0, 0], ALLOWED),
        (SYS_ioprio_set, &[1, 1, 0], eperm),
        (SYS_ioprio_set, &[3, 1000, 0], eperm),
    ]);
}

#[test]
fn every_call_is_in_one_table() {
    let mut names: Vec<&str> = calls().map(Named::name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}

/// Under watch every refusal waits, and of what is allowed only what is about files and connections;
/// nothing gets better or worse by it.
#[test]
fn a_watched_filter_tells_what_it_is_to_tell() {
    let [plain, watched] = [false, true].map(|watched| program(&FilterOptions { watched }));
    let told = told();
    for number in (0..1024_u32).chain([OTHER_FORM, NO_CALL]) {
        for first in [0, 1, 0o4755, 0x5412, 0x1000_0000] {
            let arguments = [first; 6];
            let call = Call { number, architecture: ARCHITECTURE, arguments };
            let expected = match verdict(&plain, &call) {
                Verdict::Killed => KILLED,
                Verdict::Allowed if !told.contains(&number) => ALLOWED,
                Verdict::Allowed | Verdict::Refused(_) => SECCOMP_RET_USER_NOTIF,
            };
            assert_eq!(interpret(&watched, &call), Some(expected), "{}", name_of(number));
        }
    }
    assert!(told.len() > 20, "{told:?}");
    assert_eq!(name_of(SYS_openat.try_into().unwrap()), "openat");
    assert_eq!(name_of(1000), "call 1000");
}
