//! Calls whose arguments decide.
//!
//! Every test looks at 32 bits. Where the kernel takes an `int`, that is all that it looks at
//! itself, whatever stands in the upper half. Where it takes a pointer or a `long` that matters,
//! both halves are tested.
use std::ffi::{c_int, c_uint, c_ulong};

use libc::{EAFNOSUPPORT, EINVAL, ENOTTY, EPERM, EPROTONOSUPPORT};

use super::policy::{
    Outcome::{self, Allow, Refuse},
    Rule,
};

/// Half of an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Low(u8),
    High(u8),
}

impl Word {
    /// Where it is in what the kernel lays before the filter.
    pub(super) const fn offset(self) -> u32 {
        match self {
            Self::Low(argument) => 16 + 8 * argument as u32,
            Self::High(argument) => 20 + 8 * argument as u32,
        }
    }
}

/// Holds where the word, with the bits of `mask` kept, is one of some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Test {
    pub(super) word: Word,
    pub(super) mask: u32,
    pub(super) among: &'static [u32],
}

/// What follows where all tests hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arm(pub(super) &'static [Test], pub(super) Outcome);

const fn is(argument: u8, among: &'static [u32]) -> Test {
    Test { word: Word::Low(argument), mask: u32::MAX, among }
}

const fn has_none(argument: u8, bits: u32) -> Test {
    Test { word: Word::Low(argument), mask: bits, among: &[0] }
}

const fn number(value: c_int) -> u32 {
    value.cast_unsigned()
}

#[expect(clippy::cast_possible_truncation, reason = "all of these are 32 bits in the kernel")]
const fn flag(value: c_ulong) -> u32 {
    value as u32
}

/// The set-user-id and set-group-id bits: whoever ran such a file would run it as this user.
const BITS: u32 = 0o6000;
/// Flags of `open` that make a file, and with which alone its mode counts.
const MAKES: u32 = 0o100 | 0o2000_0000;

macro_rules! mode {
    ($argument:literal) => {
        Rule::By(&[Arm(&[has_none($argument, BITS)], Allow)], Refuse(EPERM))
    };
}

macro_rules! open {
    ($flags:literal, $mode:literal) => {
        Rule::By(
            &[Arm(&[has_none($flags, MAKES)], Allow), Arm(&[has_none($mode, BITS)], Allow)],
            Refuse(EPERM),
        )
    };
}

macro_rules! node {
    ($mode:literal) => {
        Rule::By(
            &[Arm(&[has_none($mode, BITS), Test { mask: 0o170_000, ..is($mode, NODES) }], Allow)],
            Refuse(EPERM),
        )
    };
}

/// Regular files, named pipes and sockets, but no devices.
const NODES: &[u32] = &[0, 0o100_000, 0o010_000, 0o140_000];

pub(super) const MODE_SECOND: Rule = mode!(1);
pub(super) const MODE_THIRD: Rule = mode!(2);
pub(super) const OPEN_SECOND: Rule = open!(1, 2);
pub(super) const OPEN_THIRD: Rule = open!(2, 3);
pub(super) const NODE_SECOND: Rule = node!(1);
pub(super) const NODE_THIRD: Rule = node!(2);

const NEW_NAMESPACES: u32 = number(
    libc::CLONE_NEWNS
        | libc::CLONE_NEWCGROUP
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUSER
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWNET,
);

/// Processes and threads, in the namespaces that there are.
pub(super) const CLONE: Rule =
    Rule::By(&[Arm(&[has_none(0, NEW_NAMESPACES)], Allow)], Refuse(EPERM));

/// No packets made by hand, no protocol that other namespaces share (vsock), that Landlock does not
/// know (MPTCP, SMC), or that is code of the kernel's which few use. The kernel ignores bits above
/// the low four of a type, but for two flags.
pub(super) const SOCKET: Rule = Rule::By(
    &[
        Arm(&[is(0, &[number(libc::AF_UNIX)])], Allow),
        Arm(&[is(0, INTERNET), kind(&[number(libc::SOCK_STREAM)]), is(2, &[0, TCP])], Allow),
        Arm(&[is(0, INTERNET), kind(&[number(libc::SOCK_DGRAM)]), is(2, &[0, UDP])], Allow),
        Arm(&[is(0, INTERNET), kind(&[number(libc::SOCK_RAW), SOCK_PACKET])], Refuse(EPERM)),
        Arm(&[is(0, INTERNET)], Refuse(EPROTONOSUPPORT)),
        // With which the C library, Node and Python list interfaces.
        Arm(&[is(0, &[number(libc::AF_NETLINK)]), is(2, &[0])], Allow),
        Arm(&[is(0, &[number(libc::AF_NETLINK)])], Refuse(EPROTONOSUPPORT)),
        Arm(&[is(0, &[number(libc::AF_PACKET)])], Refuse(EPERM)),
    ],
    Refuse(EAFNOSUPPORT),
);

const INTERNET: &[u32] = &[number(libc::AF_INET), number(libc::AF_INET6)];
/// The older way to raw packets.
const SOCK_PACKET: u32 = 10;
const TCP: u32 = number(libc::IPPROTO_TCP);
const UDP: u32 = number(libc::IPPROTO_UDP);

const fn kind(among: &'static [u32]) -> Test {
    Test { word: Word::Low(1), mask: 0xf, among }
}

pub(super) const SOCKETPAIR: Rule =
    Rule::By(&[Arm(&[is(0, &[number(libc::AF_UNIX)])], Allow)], Refuse(EAFNOSUPPORT));

/// Connects while it sends, which Landlock's rule about connecting does not see.
const FAST_OPEN: u32 = number(libc::MSG_FASTOPEN);

macro_rules! send {
    ($flags:literal) => {
        Rule::By(&[Arm(&[has_none($flags, FAST_OPEN)], Allow)], Refuse(libc::EOPNOTSUPP))
    };
}

pub(super) const SEND_THIRD: Rule = send!(2);
pub(super) const SEND_FOURTH: Rule = send!(3);

/// The size of a socket's buffers, whose content counts for no process. Who sets it is told that it is
/// set, as by a kernel that lets nobody have larger ones.
pub(super) const SET_OPTION: Rule =
    Rule::By(&[Arm(&[is(1, &[number(libc::SOL_SOCKET)]), is(2, BUFFERS)], Refuse(0))], Allow);

const BUFFERS: &[u32] = &[
    number(libc::SO_SNDBUF),
    number(libc::SO_RCVBUF),
    number(libc::SO_SNDBUFFORCE),
    number(libc::SO_RCVBUFFORCE),
];

/// What terminals, pipes, sockets and files are asked for. A request that is not here is answered
/// as by a file that does not know it; those that put input into a terminal are refused.
pub(super) const IOCTL: Rule = Rule::By(
    &[
        Arm(&[is(1, REQUESTS)], Allow),
        Arm(&[is(1, &[flag(libc::TIOCSTI), flag(libc::TIOCLINUX), TIOCSETD])], Refuse(EPERM)),
    ],
    Refuse(ENOTTY),
);

const TIOCSETD: u32 = 0x5423;

const REQUESTS: &[u32] = &[
    // Terminals: settings, size, groups, and pairs of one's own.
    flag(libc::TCGETS),
    flag(libc::TIOCGWINSZ),
    flag(libc::TCSETS),
    flag(libc::TCSETSW),
    flag(libc::TCSETSF),
    flag(libc::TIOCSWINSZ),
    flag(libc::TIOCGPGRP),
    flag(libc::TIOCSPGRP),
    flag(libc::TIOCGSID),
    flag(libc::TIOCSCTTY),
    flag(libc::TIOCNOTTY),
    flag(libc::TCSBRK),
    flag(libc::TCXONC),
    flag(libc::TCFLSH),
    flag(libc::TIOCGPTN),
    flag(libc::TIOCSPTLCK),
    0x5441,      // TIOCGPTPEER
    0x802c_542a, // TCGETS2
    0x402c_542b, // TCSETS2
    0x402c_542c, // TCSETSW2
    0x402c_542d, // TCSETSF2
    // Any descriptor.
    flag(libc::FIOCLEX),
    flag(libc::FIONCLEX),
    flag(libc::FIONBIO),
    flag(libc::FIONREAD),
    flag(libc::FIOASYNC),
    flag(libc::TIOCOUTQ),
    0x5460, // FIOQSIZE
    // Sockets, and the interfaces that there are.
    0x8905, // SIOCATMARK
    flag(libc::SIOCGIFCONF),
    flag(libc::SIOCGIFNAME),
    flag(libc::SIOCGIFINDEX),
    flag(libc::SIOCGIFFLAGS),
    flag(libc::SIOCGIFADDR),
    flag(libc::SIOCGIFBRDADDR),
    flag(libc::SIOCGIFNETMASK),
    flag(libc::SIOCGIFMTU),
    flag(libc::SIOCGIFHWADDR),
    // Files: copies that share blocks, flags, where their blocks are.
    0x4004_9409, // FICLONE
    0x4020_940d, // FICLONERANGE
    0xc018_9436, // FIDEDUPERANGE
    0x8008_6601, // FS_IOC_GETFLAGS
    0x801c_581f, // FS_IOC_FSGETXATTR
    0xc020_660b, // FS_IOC_FIEMAP
];

/// Only the personality of an ordinary program, or the question which it is.
pub(super) const PERSONALITY: Rule =
    Rule::By(&[Arm(&[is(0, &[0, u32::MAX])], Allow)], Refuse(EPERM));

/// What a process may set and ask about itself. Unknown options are answered as by an older kernel.
pub(super) const PRCTL: Rule = Rule::By(
    &[Arm(&[is(0, OPTIONS)], Allow), Arm(&[is(0, REFUSED_OPTIONS)], Refuse(EPERM))],
    Refuse(EINVAL),
);

/// The signal at a parent's end among them: what ends with the first process of a PID namespace
/// does so whatever it set.
const OPTIONS: &[u32] = &[
    number(libc::PR_SET_NAME),
    number(libc::PR_GET_NAME),
    PR_SET_VMA,
    number(libc::PR_SET_PDEATHSIG),
    number(libc::PR_GET_PDEATHSIG),
    number(libc::PR_GET_DUMPABLE),
    number(libc::PR_SET_DUMPABLE),
    number(libc::PR_GET_KEEPCAPS),
    number(libc::PR_GET_SECCOMP),
    number(libc::PR_SET_SECCOMP),
    number(libc::PR_CAPBSET_READ),
    number(libc::PR_GET_SECUREBITS),
    number(libc::PR_SET_TIMERSLACK),
    number(libc::PR_GET_TIMERSLACK),
    number(libc::PR_SET_CHILD_SUBREAPER),
    number(libc::PR_GET_CHILD_SUBREAPER),
    number(libc::PR_SET_NO_NEW_PRIVS),
    number(libc::PR_GET_NO_NEW_PRIVS),
    number(libc::PR_GET_TID_ADDRESS),
    number(libc::PR_SET_THP_DISABLE),
    number(libc::PR_GET_THP_DISABLE),
    number(libc::PR_GET_SPECULATION_CTRL),
    number(libc::PR_SET_SPECULATION_CTRL),
    // Vector lengths, pointer authentication and tagged addresses of aarch64.
    50,
    51,
    54,
    55,
    56,
    60,
    61,
    63,
    64,
    // Memory that may be written or executed, never both.
    65,
    66,
    PR_SET_PTRACER,
    PR_GET_AUXV,
];

const PR_SET_VMA: u32 = 0x5356_4d41;
const PR_SET_PTRACER: u32 = 0x5961_6d61;
const PR_GET_AUXV: u32 = 0x4155_5856;

const REFUSED_OPTIONS: &[u32] = &[
    number(libc::PR_SET_MM),
    number(libc::PR_SET_KEEPCAPS),
    number(libc::PR_SET_SECUREBITS),
    number(libc::PR_CAPBSET_DROP),
    number(libc::PR_CAP_AMBIENT),
    // System calls redirected by address.
    59,
    // Core scheduling.
    62,
];

/// A program may put filters of its own on top, but not ask to be told of calls.
pub(super) const SECCOMP: Rule = Rule::By(
    &[
        Arm(&[is(0, &[SET_MODE_FILTER]), has_none(1, NEW_LISTENER)], Allow),
        Arm(&[is(0, &[SET_MODE_STRICT, GET_ACTION_AVAIL])], Allow),
    ],
    Refuse(EPERM),
);

const SET_MODE_STRICT: c_uint = libc::SECCOMP_SET_MODE_STRICT;
const SET_MODE_FILTER: c_uint = libc::SECCOMP_SET_MODE_FILTER;
const GET_ACTION_AVAIL: c_uint = libc::SECCOMP_GET_ACTION_AVAIL;
const NEW_LISTENER: u32 = flag(libc::SECCOMP_FILTER_FLAG_NEW_LISTENER);

/// A process's own limits; of others', only the question what they are.
pub(super) const PRLIMIT: Rule = Rule::By(
    &[
        Arm(&[is(0, &[0])], Allow),
        Arm(&[is(2, &[0]), Test { word: Word::High(2), mask: u32::MAX, among: &[0] }], Allow),
    ],
    Refuse(EPERM),
);

/// The first process of a PID namespace, which keeps watch over the others as the same user: nobody
/// puts it last in the queue.
const WATCH: u32 = 1;

/// How a process or a thread is scheduled, by its number.
pub(super) const OF_OTHERS: Rule = Rule::By(&[Arm(&[is(0, &[WATCH])], Refuse(EPERM))], Allow);

/// Of processes (0) and groups (1), but not of all processes of a user.
pub(super) const PRIORITY: Rule = Rule::By(
    &[Arm(&[is(1, &[WATCH])], Refuse(EPERM)), Arm(&[is(0, &[0, 1])], Allow)],
    Refuse(EPERM),
);

/// The same, whose kinds are counted from 1.
pub(super) const IOPRIO: Rule = Rule::By(
    &[Arm(&[is(1, &[WATCH])], Refuse(EPERM)), Arm(&[is(0, &[1, 2])], Allow)],
    Refuse(EPERM),
);
