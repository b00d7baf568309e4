//! The first process of a program's namespaces: makes them what they are, starts the program, and
//! is its jailer from then on.
use std::{
    collections::BTreeSet,
    io::{self, PipeWriter, Write},
    net::{Ipv4Addr, TcpListener},
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
};

use rustix::{
    process::{DumpableBehavior, Gid, Uid, set_dumpable_behavior},
    thread::{
        CapabilitySet, CapabilitySets, set_capabilities, set_thread_groups, set_thread_res_gid,
        set_thread_res_uid,
    },
};

use super::{
    Ready, bounds,
    failure::Failure,
    ids::Ids,
    memory::MemoryBound,
    plan::Plan,
    program::{self, Program},
    root::Making,
    system::HOST_NAME,
    watch::Watch,
};
use crate::{
    EGRESS_PORT, Isolation, Part, Stage,
    danger::{
        network::loopback_up,
        process::{Namespaces, Parent, copy},
    },
    handover::{self, AT_ONCE},
    message::Report,
};

/// All that the first process works with.
pub(super) struct First {
    pub(super) ready: Ready,
    pub(super) isolation: Isolation,
    pub(super) plan: Plan,
    /// The namespaces that it is in.
    pub(super) into: Namespaces,
    /// Parts that the machine lacks, and that the program does without.
    pub(super) lacking: BTreeSet<Part>,
    /// To the gateway.
    pub(super) control: UnixStream,
}

/// What the first process is told before it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    /// As whom the program runs.
    pub(super) ids: Ids,
    /// Whether a control group bounds it.
    pub(super) grouped: bool,
}

impl Identity {
    const BYTES: usize = Ids::BYTES + 1;

    pub(super) fn encode(&self) -> Vec<u8> {
        [&self.ids.encode()[..], &[u8::from(self.grouped)]].concat()
    }

    fn receive(line: &UnixStream) -> io::Result<Self> {
        let mut bytes = [0; Self::BYTES];
        handover::receive(line, &mut bytes)?;
        let (ids, rest) = bytes.split_first_chunk().ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self { ids: Ids::decode(*ids), grouped: rest == [1] })
    }
}

/// What the jailer keeps while the program runs.
struct Running {
    watch: Watch,
    egress: Option<OwnedFd>,
}

/// Does all of it, and ends with this process. `line` leads to who made it.
pub(super) fn play(first: First, line: UnixStream, failures: PipeWriter) -> ! {
    let alone = first.into.holds(Namespaces::PID);
    let mut failures = failures;
    match first.start(&line, &mut failures) {
        Ok(Running { watch, egress }) => {
            // The end of this is the sign that the program runs.
            drop(failures);
            let attached: Vec<_> = egress.iter().map(AsFd::as_fd).collect();
            let gone_on = handover::send(&line, b"r", &attached)
                .and_then(|()| handover::receive(&line, &mut [0]));
            drop(attached);
            // Only the gateway listens: when it does no more, nobody does.
            drop((egress, line));
            if gone_on.is_ok() { watch.run() } else { watch.end() }
        }
        Err(failure) => {
            failures.write_all(&Report::from(failure).encode()).ok();
            if alone {
                crate::danger::process::kill_all_others();
            }
        }
    }
    std::process::exit(0)
}

impl First {
    fn start(mut self, line: &UnixStream, failures: &mut PipeWriter) -> Result<Running, Failure> {
        let Identity { ids, grouped } = self.take_identity(line)?;
        if self.into.holds(Namespaces::UTS) {
            rustix::system::sethostname(HOST_NAME.as_bytes())
                .map_err(Stage::Namespaces.refused())?;
        }
        let egress = self.network().map_err(Stage::Network.failed())?;
        self.bound_namespaces();
        let taken = self.receive_mounts(line, &ids)?;
        if self.into.holds(Namespaces::MOUNT) {
            let making = Making {
                plan: &self.plan,
                isolation: &self.isolation,
                ids: &ids,
                taken,
                processes: self.into.holds(Namespaces::PID),
                may_lack_proc: self.isolation.accepted.contains(&Part::Processes),
            };
            making.enter()?;
        }
        let memory = (self.isolation.wants(Part::MemoryBound) && !grouped)
            .then(|| MemoryBound::new(self.isolation.bounds.memory, &self.plan, self.into));
        // Wiped: they are in place.
        self.isolation.files.clear();
        let switch = ids.others && !self.into.holds(Namespaces::USER);
        let Self { ready, isolation, plan, into, .. } = self;
        let Ready { profile, pipes, signals, watched } = ready;
        let watch = watched.then(UnixStream::pair).transpose().map_err(Stage::Filter.failed())?;
        let (watch, their_watch) = watch.unzip();
        let grace = profile.grace;
        let program = Program {
            profile,
            pipes,
            isolation,
            plan,
            into,
            lacking: self.lacking,
            ids: switch.then_some(ids),
            watch: their_watch,
        };
        let parent = rustix::process::getpid();
        let copied = copy(Namespaces::default(), Parent::This).map_err(Stage::Exec.failed())?;
        let Some(pid) = copied else { fail(program::become_it(program, parent), failures) };
        drop(program);
        if let Some(watch) = watch {
            // Nothing comes from a program that failed before.
            let listener = handover::receive(&watch, &mut [0]).unwrap_or_default();
            let listener: Vec<_> = listener.iter().map(AsFd::as_fd).collect();
            handover::send(line, b"w", &listener).map_err(Stage::Filter.failed())?;
        }
        lower_capabilities();
        let watch = Watch::new(self.control, signals, pid, grace).bounded(memory);
        Ok(Running { watch, egress })
    }

    /// Becomes who the program is to be.
    fn take_identity(&self, line: &UnixStream) -> Result<Identity, Failure> {
        let identity = Identity::receive(line).map_err(Stage::Identity.failed())?;
        let ids = identity.ids;
        if ids.others && self.into.holds(Namespaces::USER) {
            switch(&ids)?;
        }
        // The program runs as the same user: this keeps it from looking into this process.
        set_dumpable_behavior(DumpableBehavior::NotDumpable)
            .map_err(Stage::Privileges.refused())?;
        Ok(identity)
    }

    fn network(&self) -> io::Result<Option<OwnedFd>> {
        if !self.into.holds(Namespaces::NETWORK) {
            return Ok(None);
        }
        loopback_up()?;
        let listen = || TcpListener::bind((Ipv4Addr::LOCALHOST, EGRESS_PORT)).map(OwnedFd::from);
        self.isolation.egress.then(listen).transpose()
    }

    /// What the namespaces themselves can bound, where the kernel lets their owner say so.
    fn bound_namespaces(&self) {
        let bounds = &self.isolation.bounds;
        if self.into.holds(Namespaces::PID) && self.isolation.wants(Part::ProcessBound) {
            bounds::set("kernel/pid_max", bounds::pid_max(bounds.processes));
        }
        if self.into.holds(Namespaces::NETWORK) && self.isolation.wants(Part::MemoryBound) {
            for buffer in ["net/ipv4/tcp_rmem", "net/ipv4/tcp_wmem"] {
                bounds::set(buffer, bounds::TCP_BYTES);
            }
        }
        if self.into.holds(Namespaces::IPC) {
            bounds::set("kernel/shmall", bounds.tmp / 4096);
            bounds::set("kernel/shmmax", bounds.tmp);
        }
    }

    fn receive_mounts(
        &self,
        line: &UnixStream,
        ids: &Ids,
    ) -> Result<Option<Vec<OwnedFd>>, Failure> {
        if !(ids.others && self.into.holds(Namespaces::MOUNT)) {
            return Ok(None);
        }
        let mut taken = Vec::new();
        for _ in 0..self.plan.binds.len().div_ceil(AT_ONCE) {
            let mut word = [0];
            taken.extend(handover::receive(line, &mut word).map_err(Stage::Mounts.failed())?);
            if word == *b"n" {
                return Ok(None);
            }
        }
        Ok(Some(taken))
    }
}

/// Changes all ids of this thread, the only one.
pub(super) fn switch(ids: &Ids) -> Result<(), Failure> {
    let (user, group) = (Uid::from_raw(ids.user.inside), Gid::from_raw(ids.group.inside));
    set_thread_groups(&[]).map_err(Stage::Identity.refused())?;
    set_thread_res_gid(group, group, group).map_err(Stage::Identity.refused())?;
    set_thread_res_uid(user, user, user).map_err(Stage::Identity.refused())
}

/// Keeps what it takes to look at and to end the program, which may hide from its own user.
fn lower_capabilities() {
    let kept = CapabilitySet::SYS_PTRACE | CapabilitySet::KILL;
    let sets =
        CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    // Without namespaces of its own, and as an ordinary user, it has none to lower.
    set_capabilities(None, sets).ok();
}

fn fail(failure: Failure, failures: &mut PipeWriter) -> ! {
    failures.write_all(&Report::from(failure).encode()).ok();
    std::process::exit(127)
}
