//! The last steps before the program: this process becomes it.
use std::{
    collections::{BTreeMap, BTreeSet},
    os::{
        fd::{AsFd, OwnedFd},
        unix::{net::UnixStream, process::CommandExt},
    },
    path::{Path, PathBuf},
    process::Command,
};

use rustix::{
    fs::Mode,
    process::{Pid, Signal, chdir, getppid, set_parent_process_death_signal, umask},
    thread::{
        CapabilitiesSecureBits, CapabilitySet, CapabilitySets, clear_ambient_capability_set,
        remove_capability_from_bounding_set, set_capabilities, set_capabilities_secure_bits,
    },
};

use super::{
    bounds,
    failure::Failure,
    first::switch,
    ids::Ids,
    landlock::{self, Access, Rules},
    plan::{Kind, Plan},
    seccomp::{self, FilterOptions},
};
use crate::{
    EGRESS_PORT, Isolation, Part, Profile, Stage,
    danger::{
        notice::install_and_listen,
        process::{Namespaces, close_on_exec},
        unblock_signals,
    },
    handover,
};

/// What is to run, and how.
pub(super) struct Program {
    pub(super) profile: Profile,
    pub(super) pipes: [OwnedFd; 3],
    pub(super) isolation: Isolation,
    pub(super) plan: Plan,
    /// The namespaces that it is in.
    pub(super) into: Namespaces,
    /// Parts that the machine lacks.
    pub(super) lacking: BTreeSet<Part>,
    /// As whom, where a user namespace has not said so.
    pub(super) ids: Option<Ids>,
    /// Whom to tell where its calls wait.
    pub(super) watch: Option<UnixStream>,
}

/// Becomes the program, as a child of `parent`; returns only with why not.
pub(super) fn become_it(program: Program, parent: Pid) -> Failure {
    match program.become_it(parent) {
        Ok(never) => match never {},
        Err(failure) => failure,
    }
}

/// What there is none of.
enum Never {}

impl Program {
    fn become_it(self, parent: Pid) -> Result<Never, Failure> {
        set_parent_process_death_signal(Some(Signal::KILL)).map_err(Stage::Session.refused())?;
        // The parent that is outside of a PID namespace has no number there.
        if getppid().is_some_and(|now| now != parent) {
            return Err(Failure::Step(Stage::Session, rustix::io::Errno::SRCH.into()));
        }
        umask(Mode::RWXG | Mode::RWXO);
        if let Some(ids) = &self.ids {
            switch(ids)?;
            set_parent_process_death_signal(Some(Signal::KILL))
                .map_err(Stage::Session.refused())?;
        }
        self.enter_directory()?;
        let limits = self.isolation.wants(Part::ProcessLimits);
        let processes = self.isolation.wants(Part::ProcessBound);
        bounds::limit(&self.isolation.bounds, limits, processes).map_err(Stage::Bounds.failed())?;
        let watched = self.watch.is_some();
        let filter = seccomp::program(&FilterOptions { watched });
        let rules = self.rules();
        close_on_exec().map_err(Stage::Exec.failed())?;
        if self.isolation.wants(Part::Privileges) {
            drop_privileges().map_err(Stage::Privileges.refused())?;
        }
        landlock::restrict(&rules).map_err(Stage::Landlock.failed())?;
        self.exec(&filter)
    }

    fn enter_directory(&self) -> Result<(), Failure> {
        let own_root = self.into.holds(Namespaces::MOUNT);
        let nowhere = Path::new(if own_root { "/tmp" } else { "/" });
        let dir = self.profile.cwd.as_deref().unwrap_or(nowhere);
        chdir(dir).map_err(|e| {
            let what = "cannot be its working directory, which is not in what it may read or write";
            Failure::Path(dir.to_owned(), format!("{what}: {e}"))
        })
    }

    /// What Landlock is to allow: what the mounts do, said once more.
    fn rules(&self) -> Rules {
        let own_root = self.into.holds(Namespaces::MOUNT);
        let of = |kind: &Kind| match kind {
            Kind::System | Kind::Read => Access::ReadExecute,
            Kind::Write => Access::ReadWrite,
            Kind::Device => Access::Device,
        };
        let seen = self.plan.binds.iter().map(|(path, bind)| (path.clone(), of(&bind.kind)));
        let mut files: BTreeMap<PathBuf, Access> = seen.collect();
        let mut also = |path: &str, access| {
            files.entry(path.into()).or_insert(access);
        };
        also("/proc", Access::Read);
        if own_root {
            // Programs list it. Its names, and those of all that is mounted there, are what was
            // given; the rules of what is in the files stay their own.
            also("/", Access::List);
            also("/tmp", Access::ReadWrite);
            also("/dev/shm", Access::ReadWrite);
            also("/dev", Access::Read);
            also("/etc", Access::Read);
            if Path::new("/run/secrets").is_dir() {
                also("/run/secrets", Access::Read);
            }
        }
        let egress = self.isolation.egress && self.into.holds(Namespaces::NETWORK);
        Rules {
            files,
            connect: egress.then_some(EGRESS_PORT).into_iter().collect(),
            bind: self.into.holds(Namespaces::NETWORK),
            off: self.isolation.off.union(&self.lacking).copied().collect(),
        }
    }

    fn exec(self, filter: &[seccomp::Instruction]) -> Result<Never, Failure> {
        let Self { profile, pipes: [stdin, stdout, stderr], isolation, lacking, watch, .. } = self;
        #[expect(clippy::disallowed_methods, reason = "this is where programs are started")]
        let mut command = Command::new(&profile.program);
        command.args(&profile.args).env_clear().envs(&profile.env);
        command.stdin(stdin).stdout(stdout).stderr(stderr).process_group(0);
        if let Some(watch) = watch {
            let listener = install_and_listen(filter).map_err(Stage::Filter.failed())?;
            handover::send(&watch, b"w", &[listener.as_fd()]).map_err(Stage::Filter.failed())?;
        } else if isolation.wants(Part::Seccomp) {
            match seccomp::install(filter) {
                Ok(()) => {}
                // What is given for writing was given as to a program without.
                Err(e) if lacking.contains(&Part::Seccomp) => drop(e),
                Err(e) => return Err(Failure::Missing(vec![(Part::Seccomp, e.to_string())])),
            }
        }
        // A descriptor reads the jailer's signals; the program gets its own.
        unblock_signals().map_err(Stage::Signals.failed())?;
        Err(Failure::Step(Stage::Exec, command.exec()))
    }
}

/// Gives up every capability, and the ways to come by one.
fn drop_privileges() -> rustix::io::Result<()> {
    clear_ambient_capability_set()?;
    for number in 0..64 {
        let one = CapabilitySet::from_bits_retain(1 << number);
        match remove_capability_from_bounding_set(one) {
            Ok(()) => {}
            // The kernel has no more.
            Err(rustix::io::Errno::INVAL) => break,
            // Who may not has none, and new privileges are out of reach.
            Err(rustix::io::Errno::PERM) => break,
            Err(e) => return Err(e),
        }
    }
    let locked = CapabilitiesSecureBits::NO_ROOT
        | CapabilitiesSecureBits::NO_ROOT_LOCKED
        | CapabilitiesSecureBits::NO_SETUID_FIXUP
        | CapabilitiesSecureBits::NO_SETUID_FIXUP_LOCKED
        | CapabilitiesSecureBits::KEEP_CAPS_LOCKED
        | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE
        | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE_LOCKED;
    set_capabilities_secure_bits(locked).or_else(|e| match e {
        rustix::io::Errno::PERM => Ok(()),
        e => Err(e),
    })?;
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })
}
