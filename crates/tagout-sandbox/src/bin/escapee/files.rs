//! Reading what is nobody's business, by every way to a file.
use std::{
    fs::{self, File},
    io::IoSliceMut,
    mem::MaybeUninit,
    os::{
        fd::{AsFd as _, AsRawFd as _, OwnedFd},
        unix::{
            fs::symlink,
            net::{UnixListener, UnixStream},
        },
    },
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    fs::{CWD, Mode, OFlags, RenameFlags, openat, renameat_with},
    net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg},
};

use crate::{
    attempt::{Attempt, Facts, Outcome, read, read_from, why},
    raw::{Arg, call, name, open},
    seen::Seen,
};

/// How long a race is run.
const RACE: Duration = Duration::from_millis(150);

/// The private key in the user's home, relative to it.
const KEY: &str = ".ssh/id_ed25519";

pub(super) const ALL: &[Attempt] = &[
    Attempt::new("ssh-key", "read `~/.ssh/id_ed25519`", ssh_key, Seen::secret),
    Attempt::new("shadow", "read `/etc/shadow`, or one that the user may read", shadow, Seen::said),
    Attempt::new("state", "read the gateway's own keys", state, Seen::secret),
    Attempt::new("other-secrets", "read `/run/secrets` of another server", others, Seen::secret),
    Attempt::new("inherited-descriptor", "use a descriptor left open", inherited, Seen::secret),
    Attempt::new(
        "inherited-variable",
        "read the gateway's environment in its own",
        var,
        Seen::secret,
    ),
    Attempt::new(
        "proc-self-root",
        "the host's files by `/proc/self/root`",
        self_root,
        Seen::secret,
    ),
    Attempt::new("proc-other-root", "`/proc/N/root`, also of process 1", other_root, Seen::secret),
    Attempt::new("proc-other-cwd", "`/proc/N/cwd/…`", other_cwd, Seen::secret),
    Attempt::new("dot-dot", "`..` out of its writable folder", dot_dot, Seen::secret),
    Attempt::new(
        "symbolic-link",
        "a symbolic link in its writable folder",
        link_read,
        Seen::secret,
    ),
    Attempt::new("hard-link", "a hard link in its writable folder", hard_link, Seen::secret),
    Attempt::new("rename-race", "swap a folder for a link while opening", race, Seen::secret),
    Attempt::new(
        "descriptor-from-outside",
        "a folder handed in over a socket",
        handed,
        Seen::secret,
    ),
    Attempt::new("file-handle", "`open_by_handle_at`, past every path", handle, Seen::secret)
        .of_root(),
    Attempt::new("chroot", "`chroot` and out of it again", chroot, Seen::secret).of_root(),
    Attempt::new("under-a-mount", "unmount what covers a file", uncover, Seen::secret).of_root(),
    Attempt::new("disk", "read the disk's device", disk, Seen::said)
        .of_root()
        .if_there("no block device that can be read"),
    Attempt::new("device", "make a device file and read it", device, Seen::said).of_root(),
    Attempt::new("posix-shared-memory", "read another's file in `/dev/shm`", dev_shm, Seen::secret),
];

fn ssh_key(facts: &Facts) -> Outcome {
    read(&facts.path("home")?.join(KEY))
}

/// Says how much there is, and nothing of it.
fn shadow(facts: &Facts) -> Outcome {
    let paths = [PathBuf::from("/etc/shadow"), facts.path("shadow")?];
    let found = paths.iter().find_map(|path| read(path).ok().filter(|text| text.contains("root:")));
    let found = found.ok_or("neither can be read")?;
    Ok(format!("{} accounts with their digests", found.lines().count()))
}

fn state(facts: &Facts) -> Outcome {
    read(&facts.path("state")?.join("signing.key"))
}

fn others(_: &Facts) -> Outcome {
    let texts = processes().filter_map(|root| read(&root.join("root/run/secrets/token")).ok());
    let found: Vec<String> = texts.collect();
    if found.is_empty() { Err(String::from("no process shows any")) } else { Ok(found.join(" ")) }
}

fn inherited(_: &Facts) -> Outcome {
    let open = (3..64).filter_map(crate::raw::inherited);
    let texts = open.filter_map(|mut file| {
        std::io::Seek::rewind(&mut file).ok()?;
        read_from(&file).ok()
    });
    texts.into_iter().find(|text| !text.is_empty()).ok_or_else(|| String::from("none is open"))
}

fn var(_: &Facts) -> Outcome {
    let mut all = std::env::vars();
    let found = all.find(|(name, _)| name == "TAGOUT_ESCAPE_SECRET");
    found.map(|(_, value)| value).ok_or_else(|| String::from("it is not there"))
}

/// Every process that `/proc` shows.
pub(super) fn processes() -> impl Iterator<Item = PathBuf> {
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let named = all.filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok());
    named.map(|entry| entry.path())
}

fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

fn self_root(facts: &Facts) -> Outcome {
    read(&below(Path::new("/proc/self/root"), &facts.path("home")?.join(KEY)))
}

fn other_root(facts: &Facts) -> Outcome {
    let key = facts.path("home")?.join(KEY);
    let own = std::process::id().to_string();
    let others = processes().filter(|path| !path.ends_with(&own));
    let found = others.into_iter().find_map(|path| read(&below(&path.join("root"), &key)).ok());
    found.ok_or_else(|| String::from("no process shows it"))
}

fn other_cwd(facts: &Facts) -> Outcome {
    let key = facts.path("home")?.join(KEY);
    let up = Path::new("../../../../../../../../..");
    let own = std::process::id().to_string();
    let others = processes().filter(|path| !path.ends_with(&own));
    let found =
        others.into_iter().find_map(|path| read(&below(&path.join("cwd").join(up), &key)).ok());
    found.ok_or_else(|| String::from("no process shows it"))
}

fn dot_dot(facts: &Facts) -> Outcome {
    let folder = File::open(facts.path("out")?).map_err(why)?;
    let up = Path::new("../home").join(KEY);
    let file = openat(&folder, &up, OFlags::RDONLY, Mode::empty()).map_err(why)?;
    read_from(File::from(file)).map_err(why)
}

fn link_read(facts: &Facts) -> Outcome {
    let link = facts.path("out")?.join("link");
    symlink(facts.path("home")?.join(KEY), &link).map_err(why)?;
    read(&link)
}

fn hard_link(facts: &Facts) -> Outcome {
    let link = facts.path("out")?.join("hard");
    fs::hard_link(facts.path("home")?.join(KEY), &link).map_err(why)?;
    read(&link)
}

/// One thread swaps a folder and a link, the other opens a file through whatever is there.
fn race(facts: &Facts) -> Outcome {
    let out = facts.path("out")?;
    let (folder, link) = (out.join("turn"), out.join("turn-link"));
    fs::create_dir(&folder).map_err(why)?;
    symlink(facts.path("home")?.join(".ssh"), &link).map_err(why)?;
    let stop = AtomicBool::new(false);
    let started = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                renameat_with(CWD, &folder, CWD, &link, RenameFlags::EXCHANGE).ok();
            }
        });
        let mut found = Err(String::from("never won"));
        while found.is_err() && started.elapsed() < RACE {
            found = read(&folder.join("id_ed25519"));
        }
        stop.store(true, Ordering::Relaxed);
        found
    })
}

/// A socket in its writable folder, at which an accomplice outside hands over the user's home.
fn handed(facts: &Facts) -> Outcome {
    let place = facts.path("out")?.join("accomplice");
    let listener = UnixListener::bind(&place).map_err(why)?;
    listener.set_nonblocking(true).map_err(why)?;
    let started = Instant::now();
    let peer = loop {
        if let Ok((peer, _)) = listener.accept() {
            break peer;
        }
        if started.elapsed() > Duration::from_secs(2) {
            return Err(String::from("nobody came"));
        }
        thread::sleep(Duration::from_millis(5));
    };
    let folder = receive(&peer)?;
    let file = openat(&folder, KEY, OFlags::RDONLY, Mode::empty()).map_err(why)?;
    read_from(File::from(file)).map_err(why)
}

fn receive(peer: &UnixStream) -> Result<OwnedFd, String> {
    peer.set_nonblocking(false).map_err(why)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut attached = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let mut into = [IoSliceMut::new(&mut byte)];
    recvmsg(peer.as_fd(), &mut into, &mut attached, RecvFlags::CMSG_CLOEXEC).map_err(why)?;
    let found = attached.drain().find_map(|message| {
        if let RecvAncillaryMessage::ScmRights(mut fds) = message { fds.next() } else { None }
    });
    found.ok_or_else(|| String::from("nothing was handed over"))
}

/// The handle of the key is nothing but its inode's number and generation, which can be guessed.
fn handle(facts: &Facts) -> Outcome {
    let id = unhex(facts.text("handle")?);
    let kind = u32::try_from(facts.number("handle-kind")?).map_err(why)?;
    let length = u32::try_from(id.len()).map_err(why)?;
    let mut handle = crate::raw::bytes_of(&[length, kind]);
    handle.extend(id);
    let folder = File::open(facts.path("out")?).map_err(why)?;
    let mut args = [Arg::Int(folder.as_raw_fd().into()), Arg::In(&handle), Arg::Int(0)];
    let file = open(libc::SYS_open_by_handle_at, &mut args).map_err(why)?;
    read_from(file).map_err(why)
}

fn unhex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks(2).filter_map(|pair| std::str::from_utf8(pair).ok());
    pairs.filter_map(|pair| u8::from_str_radix(pair, 16).ok()).collect()
}

fn chroot(facts: &Facts) -> Outcome {
    let out = facts.path("out")?;
    let inner = out.join("inner");
    fs::create_dir(&inner).map_err(why)?;
    let root = File::open("/").map_err(why)?;
    rustix::process::chroot(&inner).map_err(why)?;
    rustix::process::fchdir(&root).map_err(why)?;
    for _ in 0..16 {
        rustix::process::chdir("..").map_err(why)?;
    }
    rustix::process::chroot(".").map_err(why)?;
    read(&facts.path("home")?.join(KEY))
}

/// A file system lies over the folder where the secret is.
fn uncover(facts: &Facts) -> Outcome {
    let covered = facts.path("covered")?;
    let path = name(&covered.to_string_lossy());
    call(libc::SYS_umount2, &mut [Arg::In(&path), Arg::Int(libc::MNT_DETACH.into())])
        .map_err(why)?;
    read(&covered.join("secret"))
}

fn disk(_: &Facts) -> Outcome {
    let kind = |path: &Path| {
        use std::os::unix::fs::FileTypeExt as _;
        fs::metadata(path).is_ok_and(|it| it.file_type().is_block_device())
    };
    for entry in fs::read_dir("/dev").map_err(why)?.flatten().filter(|it| kind(&it.path())) {
        let mut sector = [0; 512];
        let opened = File::open(entry.path());
        if opened.is_ok_and(|mut disk| std::io::Read::read_exact(&mut disk, &mut sector).is_ok()) {
            return Ok(format!("the first sector of {}", entry.path().display()));
        }
    }
    Err(String::from("no block device can be read"))
}

/// The kernel's random numbers, as harmless a device as there is.
fn device(facts: &Facts) -> Outcome {
    let place = facts.path("out")?.join("device");
    let path = name(&place.to_string_lossy());
    let mode = libc::S_IFCHR | 0o600;
    let number = i64::try_from(libc::makedev(1, 9)).map_err(why)?;
    call(
        libc::SYS_mknodat,
        &mut [
            Arg::Int(libc::AT_FDCWD.into()),
            Arg::In(&path),
            Arg::Int(mode.into()),
            Arg::Int(number),
        ],
    )
    .map_err(why)?;
    let mut bytes = [0; 8];
    let mut file = File::open(&place).map_err(why)?;
    std::io::Read::read_exact(&mut file, &mut bytes).map_err(why)?;
    Ok(String::from("a device of its own making can be read"))
}

fn dev_shm(facts: &Facts) -> Outcome {
    read(&facts.path("shm-file")?)
}
