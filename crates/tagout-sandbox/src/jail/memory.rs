//! The bound on the memory of all of a program's processes together, where no cgroup keeps it: the
//! jailer looks, and ends the program when it has more.
//!
//! A look reads a few lines for each process, and takes some ten microseconds. Only when what those
//! say could be too much, which counts shared memory for each that shares it, a closer look is
//! taken, which counts it once.
use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Read},
    ops::RangeInclusive,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::fs::statvfs;

use super::plan::{Kind, Plan};
use crate::danger::process::Namespaces;

/// How often it looks: the nearer the bound, the more often.
const ROUNDS: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_millis(250);
/// How much a program takes in a second at most, roughly: as fast as two processors fill memory.
const BYTES_A_SECOND: u64 = 4 << 30;
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
        Self { bytes, own, round: 0, files: 0, alone, segments, next: Instant::now() }
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
        let all = self.processes();
        if self.round.is_multiple_of(FILES_EVERY) {
            self.files = all.iter().map(|process| unmapped(process)).sum();
            if self.segments {
                self.files = self.files.saturating_add(segments());
            }
        }
        self.round = self.round.wrapping_add(1);
        let beside = in_files.saturating_add(self.files);
        let roughly: u64 = all.iter().map(|process| roughly(process)).sum();
        if roughly.saturating_add(beside) <= self.bytes {
            return roughly.saturating_add(beside);
        }
        let exactly: u64 = all.iter().map(|process| exactly(process)).sum();
        exactly.saturating_add(beside)
    }

    fn processes(&self) -> Vec<PathBuf> {
        if !self.alone {
            return descendants();
        }
        let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
        let number = |name: &str| name.parse::<u32>().is_ok_and(|number| number > 1);
        let names =
            entries.flatten().filter(|entry| entry.file_name().to_str().is_some_and(number));
        names.map(|entry| entry.path()).collect()
    }
}

/// Every descendant, as far as they are found: a few levels of children.
fn descendants() -> Vec<PathBuf> {
    let mut all = super::descendants::children().unwrap_or_default();
    let mut next = 0;
    while let Some(parent) = all.get(next).copied() {
        all.extend(super::descendants::children_of(parent).unwrap_or_default());
        next += 1;
    }
    all.iter().map(|pid| PathBuf::from(format!("/proc/{pid}"))).collect()
}

/// How much a file system in memory holds.
fn used(path: &Path) -> u64 {
    statvfs(path).map_or(0, |of| of.f_blocks.saturating_sub(of.f_bfree).saturating_mul(of.f_frsize))
}

/// At least what a process has that is nobody else's: what it made, and what of that was swapped out.
/// Files of the machine that it has mapped are not its memory: the kernel takes that back.
fn roughly(process: &Path) -> u64 {
    sum(&process.join("status"), &["RssAnon:", "RssShmem:", "VmSwap:"])
}

/// The same, with what several processes share in parts.
fn exactly(process: &Path) -> u64 {
    let found = read(&process.join("smaps_rollup"));
    match found.as_deref().map(|text| sum_of(text, &["Pss_Anon:", "Pss_Shmem:", "SwapPss:"])) {
        Ok(sum) if sum > 0 => sum,
        // It has just ended, or hides.
        Ok(_) | Err(_) => roughly(process),
    }
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

fn sum(file: &Path, keys: &[&str]) -> u64 {
    read(file).map_or(0, |text| sum_of(&text, keys))
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
    fn this_process_has_some_memory_and_less_than_a_bound() {
        let own = PathBuf::from("/proc/self");
        let (rough, exact) = (roughly(&own), exactly(&own));
        assert!(rough > 4096 && exact > 4096 && exact < 1 << 40, "{rough} {exact}");
    }
}
