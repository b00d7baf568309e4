//! The start of an isolated program, as far as it takes the rights of the gateway's user.
//!
//! Three processes: this one, which the gateway started; the *first* process of the program's
//! namespaces, which makes them what they are; and the program. This one goes when the program
//! runs. The first stays, as the gateway's child, and is the jailer from then on.
use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Read},
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    path::{Path, PathBuf},
};

use rustix::process::{
    DumpableBehavior, Pid, WaitOptions, geteuid, set_dumpable_behavior, waitpid,
};

use super::{
    Ready,
    cgroup::{self, Group},
    descendants::children_of,
    failure::Failure,
    first::{self, First, Identity},
    ids::{Ids, owned_by},
    landlock::Abi,
    plan::{Kind, Plan},
    root::take,
    seccomp::{self, FilterOptions},
};
use crate::{
    Isolation, Part, Stage,
    danger::process::{Namespaces, Parent, copy},
    handover::{self, AT_ONCE},
    message::Report,
};

/// The longest word of a failure.
const FAILURE_BYTES: u64 = 64 << 10;

/// Which part is which namespace.
pub(super) const NAMESPACES: [(Part, Namespaces); 5] = [
    (Part::Mounts, Namespaces::MOUNT),
    (Part::Processes, Namespaces::PID),
    (Part::Ipc, Namespaces::IPC),
    (Part::HostName, Namespaces::UTS),
    (Part::Network, Namespaces::NETWORK),
];

/// Starts the program, and tells the gateway what it needs to know of it.
pub(super) fn launch(
    control: &UnixStream,
    ready: Ready,
    isolation: Isolation,
) -> Result<(), Failure> {
    let wanted = wanted(&isolation)?;
    let plan = Plan::of(&isolation)?;
    // What maps ids belongs to root in processes that do not show themselves.
    set_dumpable_behavior(DumpableBehavior::Dumpable).map_err(Stage::Privileges.refused())?;
    let program = ready.profile.program.clone();
    let watched = ready.watched;
    let (line, their_line) = UnixStream::pair().map_err(Stage::Namespaces.failed())?;
    let (failures, their_failures) = io::pipe().map_err(Stage::Namespaces.failed())?;
    let control_of_first = control.try_clone().map_err(Stage::Namespaces.failed())?;
    let filtered = isolation.wants(Part::Seccomp) && can_be_filtered(&isolation)?;
    let (copied, into, mut lacking) = copy_into(&isolation, &wanted, &plan)?;
    if isolation.wants(Part::Seccomp) && !filtered {
        lacking.insert(Part::Seccomp);
    }
    let Some(jailer) = copied else {
        drop((line, failures));
        first::play(
            First { ready, isolation, plan, into, lacking, control: control_of_first },
            their_line,
            their_failures,
        );
    };
    drop((ready, their_line, their_failures, control_of_first));
    let told = handover::send(control, &Report::Jailer(number(jailer)).encode(), &[]);
    told.map_err(Stage::Namespaces.failed())?;
    let ids = identify(&isolation, jailer, into)?;
    if into.holds(Namespaces::USER) {
        ids.map(jailer).map_err(Stage::Identity.failed())?;
    }
    let group = group(&isolation, jailer);
    if let Some(group) = &group {
        let said = Report::Group(group.path().to_owned());
        handover::send(control, &said.encode(), &[]).map_err(Stage::Bounds.failed())?;
    }
    let identity = Identity { ids, grouped: group.is_some() };
    handover::send(&line, &identity.encode(), &[]).map_err(Stage::Identity.failed())?;
    if ids.others && into.holds(Namespaces::MOUNT) {
        send_mounts(&line, &plan, &ids, filtered)?;
    }
    if watched {
        // Before the program is executed, which is the first call that waits. Who has nothing to
        // attach has failed, and says so below.
        let listener = handover::receive(&line, &mut [0]).unwrap_or_default();
        let listener: Vec<_> = listener.iter().map(AsFd::as_fd).collect();
        handover::send(control, &Report::Watched.encode(), &listener)
            .map_err(Stage::Filter.failed())?;
    }
    started(failures, &program)?;
    let egress = handover::receive(&line, &mut [0]).map_err(Stage::Network.failed())?;
    // Its one child, which it does not reap before it is told to go on.
    let program = children_of(jailer).ok().and_then(|all| all.first().copied());
    let program = program.ok_or_else(|| Failure::Step(Stage::Exec, io::ErrorKind::NotFound.into()));
    let egress: Vec<_> = egress.iter().map(AsFd::as_fd).collect();
    handover::send(control, &Report::Started(number(program?)).encode(), &egress)
        .map_err(Stage::Exec.failed())?;
    handover::send(&line, b"g", &[]).map_err(Stage::Exec.failed())
}

const fn number(pid: Pid) -> i32 {
    pid.as_raw_nonzero().get()
}

/// The parts that are to be put in place, which the machine has or may have.
fn wanted(isolation: &Isolation) -> Result<BTreeSet<Part>, Failure> {
    let abi = Abi::of_kernel();
    let mut missing = BTreeMap::new();
    for part in [Part::LandlockFiles, Part::LandlockNetwork, Part::LandlockScopes] {
        if isolation.wants(part) && !abi.has(part) {
            missing.insert(part, format!("the kernel's Landlock is of version {}", abi.number()));
        }
    }
    accept(isolation, missing)?;
    Ok(Part::ALL.into_iter().filter(|part| isolation.wants(*part)).collect())
}

/// Goes on without the missing parts, where the program may do without them all.
fn accept(isolation: &Isolation, mut missing: BTreeMap<Part, String>) -> Result<(), Failure> {
    missing.retain(|part, _| !isolation.accepted.contains(part));
    if missing.is_empty() { Ok(()) } else { Err(Failure::Missing(missing.into_iter().collect())) }
}

/// Whether the filter of system calls will be there; `false` only where the program does without.
fn can_be_filtered(isolation: &Isolation) -> Result<bool, Failure> {
    // Who needs it fails when it cannot be put in place.
    if !isolation.accepted.contains(&Part::Seccomp) {
        return Ok(true);
    }
    let copied = copy(Namespaces::default(), Parent::This).map_err(Stage::Filter.failed())?;
    let Some(child) = copied else {
        let filter = seccomp::program(&FilterOptions::default());
        let bound = rustix::thread::set_no_new_privs(true).map_err(io::Error::from);
        let tried = bound.and_then(|()| seccomp::install(&filter));
        std::process::exit(i32::from(tried.is_err()));
    };
    let ended = waitpid(Some(child), WaitOptions::empty()).map_err(Stage::Filter.refused())?;
    Ok(ended.is_some_and(|(_, status)| status.exit_status() == Some(0)))
}

/// Without a root of its own, nothing can be shown to a program alone, and only Landlock keeps from
/// it what it is not to see: that holds where none of it lies in what is given.
fn without_mounts(
    isolation: &Isolation,
    plan: &Plan,
    lacking: &BTreeSet<Part>,
) -> Result<(), Failure> {
    let refuse = |why: &str| Err(Failure::Missing(vec![(Part::Mounts, why.to_owned())]));
    if !isolation.files.is_empty() {
        return refuse("its private files need it");
    }
    let without_rules = !isolation.wants(Part::LandlockFiles)
        || lacking.contains(&Part::LandlockFiles)
        || !Abi::of_kernel().has(Part::LandlockFiles);
    if without_rules && !isolation.hide.is_empty() {
        return refuse("without it and Landlock, nothing hides from it what it must not see");
    }
    let given = |hidden: &Path| hidden.ancestors().any(|above| plan.binds.contains_key(above));
    match isolation.hide.iter().find(|path| given(path) || given(&real(path))) {
        Some(path) => {
            let path = path.display();
            refuse(&format!("`{path}`, which it must not see, is in what it may read or write"))
        }
        None => Ok(()),
    }
}

/// The path without links, as far as there is anything at it.
fn real(path: &Path) -> PathBuf {
    let found = path.ancestors().find_map(|above| Some((above, above.canonicalize().ok()?)));
    found.map_or_else(
        || path.to_owned(),
        |(above, real)| match path.strip_prefix(above) {
            Ok(rest) if !rest.as_os_str().is_empty() => real.join(rest),
            Ok(_) | Err(_) => real,
        },
    )
}

/// Copies this process into the namespaces that are wanted, or into those that there are, where the
/// program does without the others, which are returned as well.
fn copy_into(
    isolation: &Isolation,
    wanted: &BTreeSet<Part>,
    plan: &Plan,
) -> Result<(Option<Pid>, Namespaces, BTreeSet<Part>), Failure> {
    let into = all_namespaces(wanted);
    // Trying them out first would make them twice, which takes more time than all the rest.
    if let Ok(copied) = copy(into, Parent::Same) {
        return Ok((copied, into, BTreeSet::new()));
    }
    let (into, lacking) = available(isolation, wanted, into)?;
    if lacking.contains(&Part::Mounts) {
        without_mounts(isolation, plan, &lacking)?;
    }
    let copied = copy(into, Parent::Same).map_err(Stage::Namespaces.failed())?;
    Ok((copied, into, lacking))
}

fn all_namespaces(wanted: &BTreeSet<Part>) -> Namespaces {
    let root = geteuid().is_root();
    let all = NAMESPACES.iter().filter(|(part, _)| wanted.contains(part));
    let others = all.fold(Namespaces::default(), |all, (_, one)| all.and(*one));
    // Only the superuser has a right to namespaces without one of users.
    let users = wanted.contains(&Part::Users) || !(root || others.is_empty());
    if users { others.and(Namespaces::USER) } else { others }
}

/// Which of the wanted namespaces can be made, and which parts cannot.
fn available(
    isolation: &Isolation,
    wanted: &BTreeSet<Part>,
    into: Namespaces,
) -> Result<(Namespaces, BTreeSet<Part>), Failure> {
    let mut missing = BTreeMap::new();
    let mut into =
        if into.holds(Namespaces::USER) { Namespaces::USER } else { Namespaces::default() };
    if let Err(e) = try_out(into) {
        missing.insert(Part::Users, e.to_string());
        into = Namespaces::default();
    }
    for (part, one) in NAMESPACES.iter().filter(|(part, _)| wanted.contains(part)) {
        match try_out(into.and(*one)) {
            Ok(()) => into = into.and(*one),
            Err(e) => drop(missing.insert(*part, e.to_string())),
        }
    }
    let lacking = missing.keys().copied().collect();
    accept(isolation, missing)?;
    Ok((into, lacking))
}

/// Whether such namespaces can be made.
pub(super) fn try_out(into: Namespaces) -> io::Result<()> {
    let Some(child) = copy(into, Parent::This)? else { std::process::exit(0) };
    waitpid(Some(child), WaitOptions::empty())?;
    Ok(())
}

/// The program's control group, with its first process in it, where groups can be made.
fn group(isolation: &Isolation, jailer: Pid) -> Option<Group> {
    if !(isolation.wants(Part::MemoryBound) && isolation.wants(Part::ProcessBound)) {
        return None;
    }
    // Where it cannot be had, the jailer looks itself.
    let group = cgroup::Parent::find()?;
    let group = group.make(number(jailer).unsigned_abs(), &isolation.bounds).ok()?;
    match group.take_in(jailer) {
        Ok(()) => Some(group),
        Err(_) => {
            group.remove();
            None
        }
    }
}

fn identify(isolation: &Isolation, jailer: Pid, into: Namespaces) -> Result<Ids, Failure> {
    if !isolation.wants(Part::Users) && !into.holds(Namespaces::USER) {
        return Ok(Ids::kept());
    }
    let ids = Ids::of(jailer).map_err(Stage::Identity.failed())?;
    Ok(if ids.others || into.holds(Namespaces::USER) { ids } else { Ids::kept() })
}

/// Takes what the program may see, with the superuser's rights, and so that what is owned by who
/// gave it seems to be owned by the program.
fn send_mounts(line: &UnixStream, plan: &Plan, ids: &Ids, filtered: bool) -> Result<(), Failure> {
    let mut maps: BTreeMap<(u32, u32), Option<OwnedFd>> = BTreeMap::new();
    let mut trees = Vec::new();
    for (path, bind) in &plan.binds {
        let mapped = match bind.kind {
            Kind::System | Kind::Device => false,
            Kind::Read => true,
            // What it writes belongs to the path's owner: it must not make that owner's programs,
            // and only the filter refuses the bits that would.
            Kind::Write => filtered,
        };
        let map = if mapped {
            maps.entry(bind.owner).or_insert_with(|| owned_by(bind.owner, ids).ok()).as_ref()
        } else {
            None
        };
        match take(path, *bind, map.map(AsFd::as_fd)) {
            Ok(tree) => trees.push(tree),
            // A superuser of a namespace that does not own the mounts: the first process does, of
            // its own.
            Err(e) if e.raw_os_error() == Some(libc::EPERM) => {
                return handover::send(line, b"n", &[]).map_err(Stage::Mounts.failed());
            }
            Err(e) => return Err(Failure::Path(path.clone(), format!("cannot be given: {e}"))),
        }
    }
    for some in trees.chunks(AT_ONCE) {
        let fds: Vec<_> = some.iter().map(AsFd::as_fd).collect();
        handover::send(line, b"m", &fds).map_err(Stage::Mounts.failed())?;
    }
    Ok(())
}

/// Waits until the program runs, or somebody on the way says why it does not.
fn started(failures: io::PipeReader, program: &Path) -> Result<(), Failure> {
    let mut said = Vec::new();
    #[expect(clippy::disallowed_methods, reason = "bounded by `take`")]
    failures.take(FAILURE_BYTES).read_to_end(&mut said).map_err(Stage::Exec.failed())?;
    if said.is_empty() {
        return Ok(());
    }
    let report = Report::read(&said[..]).map_err(Stage::Exec.failed())?;
    let refused = matches!(report, Report::Failed(Stage::Exec, libc::ENOENT | libc::EACCES));
    // A program that is there, but not for the program.
    if refused && std::fs::metadata(program).is_ok_and(|about| about.is_file()) {
        let what = "cannot be executed by an isolated program: it, or the interpreter that it \
                    names, is not in what that may read, or is in what it may write";
        return Err(Failure::Path(program.to_owned(), what.to_owned()));
    }
    Err(Failure::Told(report))
}
