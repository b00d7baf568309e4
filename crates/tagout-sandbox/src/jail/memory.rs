//! The bound on the memory of all of a program's processes together, where no cgroup keeps it: the
//! jailer looks, and ends the program when it has more.
//!
//! A look reads a few lines for each process, and takes some ten microseconds. Only when what those
//! say could be too much, which counts shared memory for each that shares it, a closer look is
//! taken, which counts it once.
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{self, Read},
    ops::RangeInclusive,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::fs::statvfs;

use super::plan::{Kind, Plan};
use crate::danger::process::{Namespaces, same_memory};

/// How often it looks: the nearer the bound, the more often.
const ROUNDS: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_millis(250);
/// How much a program takes in a second at most, roughly: as fast as two processors fill memory.
const BYTES_A_SECOND: u64 = 4 << 30;
/// How many sockets any program may have, whose buffers are not counted.
const FREE_SOCKETS: u64 = 128;
/// What one holds at most: the kernel's usual size of a buffer, which the filter of system calls
/// does not let a program raise.
const SOCKET_BYTES: u64 = 212_992;
/// How often the threads of a process whose first has ended are asked, where they change meanwhile.
const THREADS_TRIES: u32 = 8;
/// How many rounds go by before it looks at files in memory that no process has mapped.
const FILES_EVERY: u32 = 4;
/// More than any of the kernel's files that are read here, in bytes.
const FILE_BYTES: u64 = 16 << 10;

/// A bound on memory.
pub(super) struct MemoryBound {
    bytes: u64,
    /// File systems in memory that belong to the program.
    own: Vec<PathBuf>,
    round: u32,
    /// What files in memory took when they were last looked at.
    files: u64,
    /// Whether all processes in sight, but this one, are the program's.
    alone: bool,
    /// Whether all shared memory of System V in sight is the program's.
    segments: bool,
    /// Whether all sockets in sight are the program's.
    network: bool,
    /// When to look again.
    next: Instant,
}

impl MemoryBound {
    pub(super) fn new(bytes: u64, plan: &Plan, into: Namespaces) -> Self {
        let given: BTreeSet<&Path> = plan
            .binds
            .iter()
            .filter(|(_, bind)| bind.kind == Kind::Write)
            .map(|(path, _)| path.as_path())
            .collect();
        let own = ["/tmp", "/dev/shm"].map(PathBuf::from);
        let own = own.into_iter().filter(|path| !given.contains(path.as_path()));
        let own = own.filter(|_| into.holds(Namespaces::MOUNT)).collect();
        let (alone, segments) = (into.holds(Namespaces::PID), into.holds(Namespaces::IPC));
        let network = into.holds(Namespaces::NETWORK);
        Self { bytes, own, round: 0, files: 0, alone, segments, network, next: Instant::now() }
    }

    /// How long it need not look.
    pub(super) fn pause(&self) -> Duration {
        self.next.saturating_duration_since(Instant::now())
    }

    /// Whether the program has more than it may. Looks only when it is time.
    pub(super) fn is_exceeded(&mut self) -> bool {
        if !self.pause().is_zero() {
            return false;
        }
        let taken = self.taken();
        let left =
            Duration::from_millis(self.bytes.saturating_sub(taken) / (BYTES_A_SECOND / 1000));
        self.next = Instant::now() + left.clamp(*ROUNDS.start(), *ROUNDS.end());
        taken > self.bytes
    }

    /// How much the program has, in bytes; perhaps less, where this says that it is within the bound.
    fn taken(&mut self) -> u64 {
        let in_files: u64 = self.own.iter().map(|path| used(path)).sum();
        let Ok(all) = self.processes() else { return u64::MAX };
        if self.round.is_multiple_of(FILES_EVERY) {
            self.files = all.keys().map(|number| unmapped(&entry(*number))).sum();
            if self.network {
                self.files = self.files.saturating_add(sockets());
            }
            if self.segments {
                self.files = self.files.saturating_add(segments());
            }
        }
        self.round = self.round.wrapping_add(1);
        let beside = in_files.saturating_add(self.files);
        let roughly = all.values().map(Process::roughly).fold(0, u64::saturating_add);
        if roughly.saturating_add(beside) <= self.bytes {
            return roughly.saturating_add(beside);
        }
        all_of(&all).saturating_add(beside)
    }

    /// The program's processes that have memory, by their numbers.
    fn processes(&self) -> Result<BTreeMap<i32, Process>, Unknown> {
        let numbers = if self.alone { others() } else { descendants() };
        let mut all = BTreeMap::new();
        for number in numbers {
            if let Some(process) = Process::at(&entry(number))? {
                all.insert(number, process);
            }
        }
        Ok(all)
    }
}

fn entry(number: i32) -> PathBuf {
    PathBuf::from(format!("/proc/{number}"))
}

/// All processes in sight but this one, which is the first.
fn others() -> Vec<i32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let number = |name: &str| name.parse::<i32>().ok().filter(|number| *number > 1);
    entries.flatten().filter_map(|entry| entry.file_name().to_str().and_then(number)).collect()
}

/// Every descendant, as far as they are found: a few levels of children.
fn descendants() -> Vec<i32> {
    let mut all = super::descendants::children().unwrap_or_default();
    let mut next = 0;
    while let Some(parent) = all.get(next).copied() {
        all.extend(super::descendants::children_of(parent).unwrap_or_default());
        next += 1;
    }
    all.iter().map(|pid| pid.as_raw_nonzero().get()).collect()
}

/// What the sockets of its own network hold at most, beyond the few that any program has: what is
/// sent and not yet read counts for no process. Those are counted that no process has open any more.
fn sockets() -> u64 {
    read(Path::new("/proc/net/sockstat")).map_or(0, |text| held_by_sockets(&text))
}

fn held_by_sockets(text: &str) -> u64 {
    let used = text.lines().find_map(|line| line.strip_prefix("sockets: used "));
    let used = used.and_then(|used| used.trim().parse::<u64>().ok()).unwrap_or(0);
    used.saturating_sub(FREE_SOCKETS).saturating_mul(SOCKET_BYTES)
}

/// How much a file system in memory holds.
fn used(path: &Path) -> u64 {
    statvfs(path).map_or(0, |of| of.f_blocks.saturating_sub(of.f_bfree).saturating_mul(of.f_frsize))
}

/// A process, as far as the kernel tells of its memory.
struct Process {
    /// What is told of its memory: itself, or one of its threads where the first has ended.
    told_at: PathBuf,
    /// What its status says.
    status: String,
}

impl Process {
    /// `None` for one that has no memory any more, and `Err` for one whose threads change so fast
    /// that none of them can be asked: it may have any amount.
    fn at(process: &Path) -> Result<Option<Self>, Unknown> {
        let Ok(status) = read(&process.join("status")) else { return Ok(None) };
        if has_memory(&status) {
            return Ok(Some(Self { told_at: process.to_owned(), status }));
        }
        // The first thread may end before the others, and has no memory then; they do.
        let mut threads = threads_of(process);
        for _ in 0..THREADS_TRIES {
            let asked = threads.iter().map(|thread| (thread, read(&thread.join("status"))));
            let mut told = asked.filter_map(|(thread, status)| Some((thread, status.ok()?)));
            if let Some((thread, status)) = told.find(|(_, status)| has_memory(status)) {
                return Ok(Some(Self { told_at: thread.clone(), status }));
            }
            let now = threads_of(process);
            if now.is_subset(&threads) {
                return Ok(None);
            }
            threads = now;
        }
        Err(Unknown)
    }

    /// At least what it has that is nobody else's: what it made, and what of that was swapped out,
    /// and the tables that say where it is. Files of the machine that it has mapped are not its
    /// memory: the kernel takes that back.
    fn roughly(&self) -> u64 {
        sum_of(&self.status, &["RssAnon:", "RssShmem:", "VmSwap:"]).saturating_add(self.tables())
    }

    /// The same, with what several processes share in parts.
    fn exactly(&self) -> u64 {
        let found = read(&self.told_at.join("smaps_rollup"));
        match found.as_deref().map(|text| sum_of(text, &["Pss_Anon:", "Pss_Shmem:", "SwapPss:"])) {
            Ok(sum) if sum > 0 => sum.saturating_add(self.tables()),
            // It has just ended, or hides.
            Ok(_) | Err(_) => self.roughly(),
        }
    }

    fn tables(&self) -> u64 {
        sum_of(&self.status, &["VmPTE:", "VmPMD:"])
    }

    fn number(&self, key: &str) -> Option<i32> {
        let line = self.status.lines().find_map(|line| line.strip_prefix(key))?;
        line.trim().parse().ok()
    }

    /// Whether it is the same memory as its parent's, as that of a child which is about to become
    /// another program.
    fn is_its_parents(&self, all: &BTreeMap<i32, Self>) -> bool {
        let parent = self.number("PPid:").and_then(|parent| all.get(&parent));
        let [own, parents] = [Some(self), parent].map(|of| of.and_then(|of| of.number("Pid:")));
        matches!((own, parents), (Some(own), Some(parents)) if same_memory(own, parents))
    }
}

/// Whose memory nobody tells.
#[derive(Debug)]
struct Unknown;

fn has_memory(status: &str) -> bool {
    status.lines().any(|line| line.starts_with("RssAnon:"))
}

fn threads_of(process: &Path) -> BTreeSet<PathBuf> {
    let Ok(threads) = std::fs::read_dir(process.join("task")) else { return BTreeSet::new() };
    threads.flatten().map(|thread| thread.path()).collect()
}

/// Whether the numbers of `/proc` are those that system calls take, which they are not where the
/// `/proc` in sight is that of a namespace outside.
fn numbers_are_own() -> bool {
    let own = rustix::process::getpid().as_raw_nonzero().to_string();
    std::fs::read_link("/proc/self").is_ok_and(|found| found.as_os_str() == own.as_str())
}

/// What all have, with memory that several have counted once.
fn all_of(all: &BTreeMap<i32, Process>) -> u64 {
    let told = numbers_are_own();
    let counted = all.values().filter(|process| !(told && process.is_its_parents(all)));
    counted.map(Process::exactly).fold(0, u64::saturating_add)
}

/// What a process holds in files that only it has, mapped or not.
fn unmapped(process: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(process.join("fd")) else { return 0 };
    let mut seen = BTreeSet::new();
    let mut held = 0_u64;
    for entry in entries.flatten().take(4096) {
        let Ok(target) = entry.path().read_link() else { continue };
        if !target.as_os_str().as_encoded_bytes().starts_with(b"/memfd:") {
            continue;
        }
        let Ok(about) = rustix::fs::stat(entry.path()) else { continue };
        if seen.insert(about.st_ino) {
            held = held.saturating_add(u64::try_from(about.st_blocks).unwrap_or(0) * 512);
        }
    }
    held
}

/// What is in shared memory of System V that nobody has attached. Of its own IPC namespace, where it
/// has one.
fn segments() -> u64 {
    read(Path::new("/proc/sysvipc/shm")).map_or(0, |text| detached(&text))
}

/// Of each line, the eighth field is how many have it attached, and the fifteenth what is in memory.
fn detached(table: &str) -> u64 {
    let held = table.lines().skip(1).filter_map(|line| {
        let mut fields = line.split_ascii_whitespace().skip(6);
        let attached = fields.next()?;
        let resident: u64 = fields.nth(7)?.parse().ok()?;
        (attached == "0").then_some(resident)
    });
    held.fold(0, u64::saturating_add)
}

/// The sum of lines such as `RssAnon:  12 kB`, in bytes.
fn sum_of(text: &str, keys: &[&str]) -> u64 {
    let values = text.lines().filter_map(|line| {
        let (key, value) = line.split_once(char::is_whitespace)?;
        keys.contains(&key).then(|| value.split_ascii_whitespace().next()?.parse::<u64>().ok())?
    });
    values.fold(0, |sum: u64, kib| sum.saturating_add(kib.saturating_mul(1024)))
}

fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    #[expect(clippy::disallowed_methods, reason = "bounded by `take`")]
    File::open(path)?.take(FILE_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_asked_for_is_added_up() {
        let text = "Name:\tRssAnon: 5\nRssAnon:\t     100 kB\nRssFile:\t 7 kB\nVmSwap:\t 3 kB\n";
        assert_eq!(sum_of(text, &["RssAnon:", "VmSwap:"]), 103 << 10);
    }

    #[test]
    fn only_what_nobody_has_attached_is_counted() {
        let table = "key shmid perms size cpid lpid nattch uid gid cuid cgid atime dtime ctime rss \
                     swap\n\
                     0 1 600 9 1 1 2 0 0 0 0 0 0 0 4096 0\n\
                     0 2 600 9 1 1 0 0 0 0 0 0 0 0 8192 0\n";
        assert_eq!(detached(table), 8192);
    }

    #[test]
    fn only_sockets_beyond_the_usual_are_counted() {
        for (text, held) in [
            ("sockets: used 7\nTCP: inuse 3\n", 0),
            ("sockets: used 130\nTCP: inuse 3\n", 2 * SOCKET_BYTES),
            ("TCP: inuse 3\n", 0),
        ] {
            assert_eq!(held_by_sockets(text), held, "{text}");
        }
    }

    #[test]
    fn this_process_has_some_memory_and_less_than_a_bound() {
        let own = Process::at(Path::new("/proc/self")).unwrap().unwrap();
        let (rough, exact) = (own.roughly(), own.exactly());
        assert!(rough > 4096 && exact > 4096 && exact < 1 << 40, "{rough} {exact}");
        assert!(own.tables() > 0);
        let number = own.number("Pid:").unwrap();
        assert!(same_memory(number, number) && !same_memory(number, own.number("PPid:").unwrap()));
    }
}
