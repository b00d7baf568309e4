//! Who is left: the jailer's children, which after a while are all of its descendants, because the
//! orphans of those it kills become its own.
use std::{
    fs::File,
    io::{self, Read},
};

use rustix::process::Pid;

/// More than any process table holds, in bytes.
const LISTING_BYTES: u64 = 64 << 20;

/// The process ids of this process's children, zombies among them.
///
/// While children come and go the list may miss some; callers ask again until none is left to wait
/// for.
pub(crate) fn children() -> io::Result<Vec<Pid>> {
    children_of(rustix::process::getpid())
}

/// The same of another process, which has one thread.
pub(super) fn children_of(parent: Pid) -> io::Result<Vec<Pid>> {
    let parent = parent.as_raw_nonzero();
    match read(&format!("/proc/{parent}/task/{parent}/children")) {
        Ok(list) => Ok(list.split_ascii_whitespace().filter_map(pid).collect()),
        // Kernels may be built without that file.
        Err(e) if e.kind() == io::ErrorKind::NotFound => search(parent.get()),
        Err(e) => Err(e),
    }
}

fn search(parent: i32) -> io::Result<Vec<Pid>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(candidate) = name.to_str().and_then(pid) else { continue };
        // One that cannot be read has ended in the meantime.
        let stat = read(&format!("/proc/{candidate}/stat")).unwrap_or_default();
        if parent_of(&stat) == Some(parent) {
            found.push(candidate);
        }
    }
    Ok(found)
}

/// The fourth field; the second is a name in parentheses which may hold anything.
fn parent_of(stat: &str) -> Option<i32> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_ascii_whitespace().nth(1)?.parse().ok()
}

fn pid(text: &str) -> Option<Pid> {
    text.parse().ok().and_then(Pid::from_raw)
}

fn read(path: &str) -> io::Result<String> {
    let mut bytes = Vec::new();
    #[expect(clippy::disallowed_methods, reason = "bounded by `take`")]
    File::open(path)?.take(LISTING_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_forge_a_parent() {
        assert_eq!(parent_of("7 (a) S 1 (b)) R 42 7 7 0"), Some(42));
        assert_eq!(parent_of(""), None);
    }

    #[test]
    fn both_ways_find_a_child() {
        #[expect(clippy::disallowed_methods, reason = "a child to look for")]
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = Pid::from_child(&child);
        let own = rustix::process::getpid().as_raw_nonzero().get();
        assert!(search(own).unwrap().contains(&pid));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
