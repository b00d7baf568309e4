//! Folders in which all kinds of things are.
use std::{
    collections::BTreeSet,
    fs::File,
    io::Read as _,
    os::unix::ffi::OsStrExt as _,
    path::{Component, Path, PathBuf},
};

/// Folders that belong to nobody's software, so that a file in them is alone.
const SHARED: &[&str] = &[
    "/", "/boot", "/dev", "/dev/shm", "/etc", "/home", "/media", "/mnt", "/opt", "/proc", "/root",
    "/run", "/srv", "/sys", "/tmp", "/var", "/var/lib", "/var/run", "/var/tmp",
];

/// The same below somebody's home.
const SHARED_AT_HOME: &[&str] = &[
    "",
    ".cache",
    ".cargo",
    ".config",
    ".local",
    ".local/bin",
    ".local/lib",
    ".local/share",
    "bin",
    "Desktop",
    "Documents",
    "Downloads",
    "src",
];

/// Where it stands who has which home.
const USERS: &str = "/etc/passwd";
/// The most of it that is looked at, in bytes.
const USERS_BYTES: u64 = 1 << 20;

/// Which folders belong to nobody's software, by all their names.
pub(crate) struct Shared {
    folders: BTreeSet<PathBuf>,
    homes: BTreeSet<PathBuf>,
    /// Folders of homes.
    of_homes: BTreeSet<PathBuf>,
}

impl Shared {
    /// As this machine has them; `home` is that of whoever asks.
    pub(crate) fn of(home: Option<&Path>) -> Self {
        let known = home.map(Path::to_owned).into_iter().chain(homes_of_users());
        let mut homes = BTreeSet::new();
        for home in known.chain([PathBuf::from("/root")]) {
            names(&home, &mut homes);
        }
        let mut folders = BTreeSet::new();
        for folder in SHARED {
            names(Path::new(folder), &mut folders);
        }
        let mut of_homes = BTreeSet::new();
        names(Path::new("/home"), &mut of_homes);
        Self { folders, homes, of_homes }
    }

    /// Whether a folder is one of them, or has a home in it. One that is not there is taken for
    /// one; a file is none.
    pub(crate) fn has(&self, folder: &Path) -> bool {
        if folder.components().any(|part| part == Component::ParentDir) {
            return true;
        }
        let Ok(real) = folder.canonicalize() else { return true };
        real.is_dir() && (self.knows(folder) || self.knows(&real))
    }

    fn knows(&self, folder: &Path) -> bool {
        let is_a_home = |f: &Path| f.parent().is_some_and(|above| self.of_homes.contains(above));
        let above = folder.ancestors().filter(|folder| is_a_home(folder));
        let mut homes = self.homes.iter().map(PathBuf::as_path).chain(above);
        self.folders.contains(folder)
            || homes.any(|home| {
                let below = folder.strip_prefix(home);
                home.starts_with(folder)
                    || below.is_ok_and(|b| SHARED_AT_HOME.iter().any(|name| b == Path::new(name)))
            })
    }
}

fn names(folder: &Path, into: &mut BTreeSet<PathBuf>) {
    into.extend(folder.canonicalize());
    into.insert(folder.to_owned());
}

/// The homes of this machine's users, so far as it says them here.
fn homes_of_users() -> Vec<PathBuf> {
    let mut text = Vec::new();
    let read = File::open(USERS).map(|file| {
        #[expect(clippy::disallowed_methods, reason = "the reader before it has a bound")]
        file.take(USERS_BYTES).read_to_end(&mut text)
    });
    if !matches!(read, Ok(Ok(_))) {
        return Vec::new();
    }
    let home = |line: &[u8]| {
        let field = line.split(|&b| b == b':').nth(5)?;
        let home = PathBuf::from(std::ffi::OsStr::from_bytes(field));
        // Many who never log in have none, or something of the system's.
        (home.is_absolute() && home != Path::new("/")).then_some(home)
    };
    text.split(|&b| b == b'\n').filter_map(home).collect()
}
