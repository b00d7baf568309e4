//! From what a program did to what it should be allowed.
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use super::{Observed, Proposal, guarded::Guarded};
use crate::{
    Isolation,
    jail::system::{SOFTWARE, made_up},
    needs::{own_files, shared::Shared},
};

/// So many things in one folder become the folder.
const MANY: usize = 5;

/// Where every program has a folder of its own to write to.
const SCRATCH: &[&str] = &["/tmp", "/dev/shm"];

/// A name under which Python keeps what it has compiled, and goes on without where it cannot.
const COMPILED: &str = "__pycache__";

const SYSTEMS: &str = "it is the system's software, which no server changes";
const SHARED: &str = "all kinds of things are in it; name what of it is meant";
const NOT_THERE: &str = "it is not there, and would be in a folder where all kinds of things are; \
                         make it first";
const SOCKET: &str = "it is the way to another program, which is not isolated";

/// Where the C library asks first who somebody is, in every program, and goes on without.
const ASKED_BY_ALL: &str = "var/run/nscd/socket";

/// What it reads about names of machines, which nobody gives a program that cannot look them up.
const READ_BY_ALL: &[&str] = &["/etc/host.conf", "/etc/gai.conf"];

pub(super) fn propose(observed: &Observed, given: &Isolation, home: Option<&Path>) -> Proposal {
    let guarded = Guarded::of(home);
    let mut draft =
        Draft { given, home, guarded, shared: Shared::of(home), withheld: BTreeMap::new() };
    let write = draft.written(observed);
    let read = draft.read(observed);
    let sockets = observed.connect.iter().filter_map(|to| to.strip_prefix("unix:/"));
    for socket in sockets.filter(|socket| *socket != ASKED_BY_ALL) {
        draft.withheld.insert(Path::new("/").join(socket), SOCKET);
    }
    let write = draft.folded(write);
    let mut read = draft.folded(read);
    // What may be written may be read.
    read.retain(|path| !within(path, &write));
    Proposal { read, write, withheld: draft.withheld }
}

struct Draft<'a> {
    given: &'a Isolation,
    home: Option<&'a Path>,
    guarded: Guarded,
    shared: Shared,
    withheld: BTreeMap<PathBuf, &'static str>,
}

impl Draft<'_> {
    fn read(&mut self, observed: &Observed) -> BTreeSet<PathBuf> {
        // What it reads back in a folder of its own is not what the machine has of that name.
        let is_its_own = |path: &Path| is_scratch(path) && observed.write.contains(path);
        let mut wanted = observed.read.clone();
        wanted.retain(|path| !is_its_own(path));
        for program in &observed.execute {
            // The kernel opens the interpreter of a script by itself.
            wanted.extend(own_files(program, &[], self.home));
            wanted.insert(program.clone());
        }
        let whole: BTreeSet<PathBuf> = wanted.iter().chain(&self.given.read).cloned().collect();
        // Folders on the way to something are there without being given.
        let leads_on = |path: &Path| whole.iter().any(|further| further.starts_with(path));
        let asked = observed.look.iter().filter(|path| {
            let is_known = leads_on(path) || within(path, &self.given.write) || is_its_own(path);
            // What was found by listing a folder was not asked for by its name.
            let is_found = path.parent().is_some_and(|folder| observed.read.contains(folder));
            !is_known && !is_found && !self.holds_more(path)
        });
        wanted.extend(asked.cloned());
        wanted.retain(|path| !self.is_given(path));
        self.without_guarded(wanted)
    }

    fn written(&mut self, observed: &Observed) -> BTreeSet<PathBuf> {
        let mut wanted = BTreeSet::new();
        let is_compiled = |path: &Path| path.components().any(|part| part.as_os_str() == COMPILED);
        for path in observed.write.iter().filter(|path| !is_compiled(path)) {
            wanted.extend(self.place_of(path));
        }
        wanted.extend(observed.change.iter().filter(|path| !is_compiled(path)).cloned());
        wanted.retain(|path| !is_scratch(path) && !within(path, &self.given.write));
        wanted.retain(|path| {
            let is_systems = is_systems(path);
            if is_systems {
                self.withheld.insert(path.clone(), SYSTEMS);
            }
            !is_systems
        });
        self.without_guarded(wanted)
    }

    /// What has to be given for a file to be written: itself, where it is there, or the folder that
    /// it would be in.
    fn place_of(&mut self, path: &Path) -> Option<PathBuf> {
        if is_scratch(path) {
            return None;
        }
        if path.symlink_metadata().is_ok() {
            return Some(path.to_owned());
        }
        let mut missing = path;
        let folder = path.ancestors().skip(1).find(|above| {
            let is_there = above.is_dir();
            missing = if is_there { missing } else { above };
            is_there
        })?;
        if within(folder, &self.given.write) {
            return None;
        }
        if self.holds_more(folder) {
            let why = self.guarded.why(missing).unwrap_or(NOT_THERE);
            self.withheld.insert(missing.to_owned(), why);
            return None;
        }
        Some(folder.to_owned())
    }

    /// Takes out what is never proposed, and says so.
    fn without_guarded(&mut self, mut wanted: BTreeSet<PathBuf>) -> BTreeSet<PathBuf> {
        wanted.retain(|path| {
            let real = path.canonicalize().unwrap_or_else(|_| path.clone());
            let guarded = self.guarded.why(path).or_else(|| self.guarded.why(&real));
            let shared = || (path.is_dir() && self.holds_more(&real)).then_some(SHARED);
            let why = guarded.or_else(shared);
            if let Some(why) = why {
                self.withheld.insert(path.clone(), why);
            }
            why.is_none()
        });
        wanted
    }

    /// Whether a folder is not one program's.
    fn holds_more(&self, folder: &Path) -> bool {
        self.shared.has(folder) || self.guarded.is_home(folder) || self.guarded.is_below(folder)
    }

    /// Whether it may be read without being named.
    fn is_given(&self, path: &Path) -> bool {
        let made = || made_up(0, 0).iter().any(|(made, _)| path == Path::new("/").join(made));
        within(path, &self.given.read)
            || within(path, &self.given.write)
            || self.given.system && (is_systems(path) || made())
            || SCRATCH.iter().chain(READ_BY_ALL).any(|own| path == Path::new(own))
            || path == Path::new("/")
    }

    /// Many things in a folder become the folder; what is within another is left out.
    fn folded(&self, paths: BTreeSet<PathBuf>) -> BTreeSet<PathBuf> {
        // What of each folder is wanted, or leads to what is.
        let mut wanted: BTreeMap<&Path, BTreeSet<&Path>> = BTreeMap::new();
        for path in &paths {
            for (below, folder) in path.ancestors().zip(path.ancestors().skip(1)) {
                wanted.entry(folder).or_default().insert(below);
            }
        }
        wanted.retain(|folder, below| below.len() >= MANY && !self.holds_more(folder));
        let mut all: BTreeSet<PathBuf> = wanted.into_keys().map(Path::to_owned).collect();
        all.extend(paths);
        let outermost =
            |path: &&PathBuf| path.ancestors().skip(1).all(|above| !all.contains(above));
        all.iter().filter(outermost).cloned().collect()
    }
}

fn within(path: &Path, folders: &BTreeSet<PathBuf>) -> bool {
    path.ancestors().any(|above| folders.contains(above))
}

/// Whether it lies where every program has a folder of its own.
fn is_scratch(path: &Path) -> bool {
    SCRATCH.iter().any(|own| path.starts_with(own))
}

fn is_systems(path: &Path) -> bool {
    SOFTWARE.iter().any(|system| path.starts_with(system))
}
