//! The processes of one server that was started, and the sockets that they hold.
use std::{collections::BTreeSet, fs, path::Path};

use tagout_sandbox::Child;

use super::table::read;

/// Entries of a folder that are looked at.
const ENTRIES: usize = 1 << 20;

/// What was started: a program, below the jailer that watches over it. A number that is given to
/// another process later does not pass for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tree {
    program: u32,
    began: u64,
    jailer: u32,
}

/// What the system says of a process.
struct About {
    parent: u32,
    /// In ticks since the machine was started.
    began: u64,
}

impl Tree {
    /// The one of `child`, while its program runs.
    pub(super) fn of(child: &Child) -> Option<Self> {
        let (program, jailer) = (child.pid(), child.jailer());
        let About { parent, began } = about(program)?;
        (parent == jailer).then_some(Self { program, began, jailer })
    }

    /// Whether a process of it holds one of `sockets`, by their inodes.
    pub(super) fn holds(&self, sockets: &BTreeSet<u64>) -> bool {
        !sockets.is_empty() && self.processes().iter().any(|process| has(*process, sockets))
    }

    /// All that the jailer watches over, orphans included; none once the program has ended.
    fn processes(&self) -> Vec<u32> {
        let is_there = about(self.program)
            .is_some_and(|now| (now.parent, now.began) == (self.jailer, self.began));
        if !is_there {
            return Vec::new();
        }
        let all = numbers(Path::new("/proc"));
        let all: Vec<_> = all.filter_map(|one| Some((one, about(one)?.parent))).collect();
        let mut found = vec![self.jailer];
        let mut next = 0;
        while let Some(parent) = found.get(next).copied() {
            next += 1;
            let below = all.iter().filter(|(one, of)| *of == parent && !found.contains(one));
            let below: Vec<_> = below.map(|(one, _)| *one).collect();
            found.extend(below);
        }
        found
    }
}

fn has(process: u32, sockets: &BTreeSet<u64>) -> bool {
    let folder = format!("/proc/{process}/fd");
    let folder = Path::new(&folder);
    numbers(folder).any(|fd| {
        let held = fs::read_link(folder.join(fd.to_string())).ok();
        held.and_then(|held| inode(held.to_str()?)).is_some_and(|inode| sockets.contains(&inode))
    })
}

/// The inode of `socket:[INODE]`.
fn inode(held: &str) -> Option<u64> {
    held.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// The entries of `folder` that are numbers.
fn numbers(folder: &Path) -> impl Iterator<Item = u32> {
    let entries = fs::read_dir(folder).into_iter().flatten().take(ENTRIES);
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

fn about(process: u32) -> Option<About> {
    parsed(&read(&format!("/proc/{process}/stat"))?)
}

/// The fourth field and the twenty-second; the second is a name, which may hold anything.
fn parsed(stat: &str) -> Option<About> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace();
    let parent = fields.nth(1)?.parse().ok()?;
    let began = fields.nth(17)?.parse().ok()?;
    Some(About { parent, began })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_forge_a_parent() {
        let rest = "7 7 0 -1 4194304 1 0 0 0 1 1 0 0 20 0 1 0 777 8888";
        let about = parsed(&format!("7 (a) S 1 (b)) R 42 {rest}")).unwrap();
        assert_eq!((about.parent, about.began), (42, 777));
        assert!(parsed("").is_none() && parsed("7 (a) R 42 7").is_none());
    }

    #[test]
    fn links_name_sockets() {
        assert_eq!(inode("socket:[42]"), Some(42));
        for other in ["pipe:[42]", "socket:[42", "socket:[]", "/tmp/socket:[42]"] {
            assert_eq!(inode(other), None, "{other}");
        }
    }
}
