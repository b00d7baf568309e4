//! A place for the suite where what succeeds harms nobody: namespaces with the addresses to attack,
//! a terminal, a folder, and the user whose servers are tried.
use std::{
    fs::{self, Permissions},
    net::{Ipv4Addr, UdpSocket},
    os::{
        fd::AsRawFd as _,
        unix::fs::{PermissionsExt as _, chown},
    },
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use rustix::process::{DumpableBehavior, WaitOptions, waitpid};

use crate::{
    attempt::why,
    layers::Layers,
    raw::{self, Arg, call},
    services::Services,
    suite::{self, Suite},
    terminal::Ends,
};

/// Whom to play when started by root.
const SOMEBODY: u32 = 65_534;

/// The addresses to attack, each on the loopback.
const ADDRESSES: [[u8; 4]; 4] =
    [[169, 254, 169, 254], [10, 1, 2, 3], [203, 0, 113, 7], [10, 0, 0, 53]];

/// What the command line says.
#[derive(Clone, Default)]
pub(crate) struct Options {
    /// One attempt in place of all.
    pub(crate) only: Option<String>,
    /// Only with every layer.
    pub(crate) short: bool,
    /// Only one round of each, with these.
    pub(crate) layers: Option<Layers>,
    /// As an ordinary user, though started by root.
    pub(crate) as_user: bool,
}

impl Options {
    fn parse(words: &[String]) -> Result<Self, String> {
        let mut options = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--short" => options.short = true,
                "--as-user" => options.as_user = true,
                "--layers" => {
                    let named = words.next().map(String::as_str).unwrap_or_default();
                    options.layers = Some(Layers::of_name(named)?);
                }
                "--only" => options.only = words.next().cloned(),
                word => return Err(format!("`{word}` is no option of this")),
            }
        }
        Ok(options)
    }
}

/// Runs the suite in a child that leads a session; this process only clears up after it.
pub(crate) fn run(words: &[String]) -> Result<ExitCode, String> {
    let options = Options::parse(words)?;
    let work = PathBuf::from(format!("/tmp/tagout-escape-{}", std::process::id()));
    fs::create_dir(&work).map_err(why)?;
    let inside = work.clone();
    let child = raw::fork(move || match play(&inside, options) {
        Ok(()) => 0,
        Err(error) => {
            println!("{}", crate::report::failed(&error));
            1
        }
    });
    let ended = child.and_then(|child| waitpid(Some(child), WaitOptions::empty()));
    fs::remove_dir_all(&work).ok();
    let code = ended.map_err(why)?.and_then(|(_, status)| status.exit_status());
    Ok(if code == Some(0) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn play(work: &Path, options: Options) -> Result<(), String> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .map_err(why)?;
    rustix::process::setsid().map_err(why)?;
    ignore_hangup();
    let was_root = rustix::process::geteuid().is_root();
    let ends = Ends::open().ok();
    // Before the namespaces: in one of its own an ordinary user's files are still its own.
    let program = work.join("program");
    fs::set_permissions(work, Permissions::from_mode(0o755)).map_err(why)?;
    fs::copy("/proc/self/exe", &program).map_err(why)?;
    let addresses = apart(was_root).is_ok() && give_addresses().is_ok();
    let mut facts = Vec::new();
    if was_root {
        let owner = if options.as_user { 0 } else { 1 };
        facts.extend(plant_set_id(work, owner)?);
        let somebody = options.as_user.then_some(SOMEBODY);
        let theirs = ends.iter().map(|ends| ends.path.as_path());
        for path in theirs.chain([work, &program]) {
            chown(path, somebody, somebody).map_err(why)?;
        }
    }
    if was_root && options.as_user {
        become_somebody()?;
    }
    let services = Arc::new(Services::start(work, addresses)?);
    let terminal = ends.map(Ends::attend).map(Arc::new);
    facts.extend(terminal.iter().map(|it| format!("terminal={}", it.path.display())));
    let role = if rustix::process::geteuid().is_root() { "root" } else { "user" };
    let suite = Suite { work: work.to_owned(), options, services, terminal, facts, role };
    suite::run(&suite)
}

/// The terminal's end is no reason to end without a word.
fn ignore_hangup() {
    let mut ignore = [0; 32];
    if let Some(first) = ignore.first_mut() {
        *first = 1;
    }
    let hangup = Arg::Int(libc::SIGHUP.into());
    call(libc::SYS_rt_sigaction, &mut [hangup, Arg::In(&ignore), Arg::Int(0), Arg::Int(8)]).ok();
}

/// Namespaces for what is shared by a whole machine. An ordinary user has to own a user namespace
/// for that, and gives up its capabilities in there with the next program that it executes.
fn apart(was_root: bool) -> Result<(), String> {
    let own = libc::CLONE_NEWNS | libc::CLONE_NEWNET | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;
    if was_root {
        call(libc::SYS_unshare, &mut [Arg::Int(own.into())]).map_err(why)?;
    } else {
        let (user, group) = (rustix::process::getuid(), rustix::process::getgid());
        let with_users = own | libc::CLONE_NEWUSER;
        call(libc::SYS_unshare, &mut [Arg::Int(with_users.into())]).map_err(why)?;
        fs::write("/proc/self/setgroups", "deny").map_err(why)?;
        fs::write("/proc/self/uid_map", format!("{user} {user} 1")).map_err(why)?;
        fs::write("/proc/self/gid_map", format!("{group} {group} 1")).map_err(why)?;
    }
    let (none, root) = (raw::name("none"), raw::name("/"));
    let private = i64::try_from(libc::MS_REC | libc::MS_PRIVATE).map_err(why)?;
    let mut args = [Arg::In(&none), Arg::In(&root), Arg::Int(0), Arg::Int(private), Arg::Int(0)];
    call(libc::SYS_mount, &mut args).map(drop).map_err(why)
}

/// Puts the addresses on the loopback, and takes it up.
fn give_addresses() -> Result<(), String> {
    let socket = UdpSocket::bind(("0.0.0.0", 0)).map_err(why)?;
    let control = |label: &str, number: u64, value: &[u8]| {
        let mut request = label.as_bytes().to_vec();
        request.resize(16, 0);
        request.extend(value);
        request.resize(40, 0);
        let fd = Arg::Int(socket.as_raw_fd().into());
        let number = i64::try_from(number).map_err(why)?;
        call(libc::SYS_ioctl, &mut [fd, Arg::Int(number), Arg::In(&request)]).map_err(why)
    };
    let address = |ip: [u8; 4]| {
        let mut bytes = 2_u16.to_ne_bytes().to_vec();
        bytes.extend([0, 0]);
        bytes.extend(Ipv4Addr::from(ip).octets());
        bytes
    };
    // The services there are an ordinary user's.
    fs::write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0").map_err(why)?;
    let up = libc::IFF_UP | libc::IFF_LOOPBACK | libc::IFF_RUNNING;
    let up = i16::try_from(up).map_err(why)?.to_ne_bytes();
    control("lo", libc::SIOCSIFFLAGS, &up)?;
    for (number, ip) in ADDRESSES.into_iter().enumerate() {
        let label = format!("lo:{}", number.saturating_add(1));
        control(&label, libc::SIOCSIFADDR, &address(ip))?;
        control(&label, libc::SIOCSIFNETMASK, &address([255; 4]))?;
    }
    Ok(())
}

/// A program that runs as its owner, whoever starts it.
fn plant_set_id(work: &Path, owner: u32) -> Result<[String; 2], String> {
    let folder = work.join("set-id");
    let program = folder.join("program");
    fs::create_dir(&folder).map_err(why)?;
    fs::set_permissions(&folder, Permissions::from_mode(0o755)).map_err(why)?;
    fs::copy("/proc/self/exe", &program).map_err(why)?;
    chown(&program, Some(owner), Some(owner)).map_err(why)?;
    fs::set_permissions(&program, Permissions::from_mode(0o4755)).map_err(why)?;
    Ok([format!("set-id-program={}", program.display()), format!("set-id-user={owner}")])
}

fn become_somebody() -> Result<(), String> {
    let id = || Arg::Int(SOMEBODY.into());
    call(libc::SYS_setgroups, &mut [Arg::Int(0), Arg::Int(0)]).map_err(why)?;
    call(libc::SYS_setresgid, &mut [id(), id(), id()]).map_err(why)?;
    call(libc::SYS_setresuid, &mut [id(), id(), id()]).map_err(why)?;
    // A process that changed its user hides from that user.
    rustix::process::set_dumpable_behavior(DumpableBehavior::Dumpable).map_err(why)?;
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .map_err(why)
}
