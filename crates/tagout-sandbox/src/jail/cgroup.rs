//! The bounds that a control group keeps, where the machine's second version of them is delegated.
//!
//! A group with processes of its own cannot pass its controllers on, so a program's group is made
//! beside the gateway's, in the nearest group above that passes them on or can. No process of
//! anybody's is moved but the program's.
use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Component, Path, PathBuf},
    time::Duration,
};

use rustix::process::{Pid, geteuid};

use crate::Bounds;

/// What is needed of it.
const CONTROLLERS: [&str; 2] = ["memory", "pids"];
/// What names a group of ours begins with.
const PREFIX: &str = "tagout-";
/// After this time an empty group of ours was left over by a gateway that was killed.
const LEFT_OVER: Duration = Duration::from_secs(600);
/// More than any file that is read here, in bytes.
const FILE_BYTES: u64 = 1 << 20;

/// A group in which groups of programs can be made.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parent(PathBuf);

impl Parent {
    /// The one for this process's programs, where there is one.
    pub(super) fn find() -> Option<Self> {
        let table = read(Path::new("/proc/self/mountinfo")).ok()?;
        let own = read(Path::new("/proc/self/cgroup")).ok()?;
        let (mount, own) = (mount_of(&table)?, own_group(&own)?);
        // The superuser may write everywhere; what was given to Tagout is marked by who gave it.
        Self::above(&mount, &mount.join(own), |group| !geteuid().is_root() || is_delegated(group))
    }

    fn above(mount: &Path, own: &Path, is_ours: impl Fn(&Path) -> bool) -> Option<Self> {
        let mut groups = own.ancestors().skip(1);
        let group =
            groups.find(|group| passes_on(group)).filter(|group| group.starts_with(mount))?;
        let given = group.ancestors().take_while(|above| above.starts_with(mount)).any(is_ours);
        given.then(|| Self(group.to_owned()))
    }

    /// Makes the group of a program, before the program is in it.
    ///
    /// # Errors
    /// The group is not this user's to make groups in, or does not pass on what it should.
    pub(super) fn make(&self, name: u32, bounds: &Bounds) -> io::Result<Group> {
        self.sweep();
        let group = Group(self.0.join(format!("{PREFIX}{name}")));
        fs::create_dir(&group.0)?;
        let made = group.set(bounds);
        if made.is_err() {
            group.remove();
        }
        made.map(|()| group)
    }

    /// Removes what killed gateways left.
    fn sweep(&self) {
        let Ok(groups) = fs::read_dir(&self.0) else { return };
        for group in groups.flatten() {
            let ours = group.file_name().to_string_lossy().starts_with(PREFIX);
            let made = group.metadata().and_then(|about| about.modified());
            let old = made.is_ok_and(|made| made.elapsed().is_ok_and(|age| age > LEFT_OVER));
            if ours && old {
                // One that has processes stays.
                fs::remove_dir(group.path()).ok();
            }
        }
    }
}

/// A program's group.
#[derive(Debug)]
pub(super) struct Group(PathBuf);

impl Group {
    fn set(&self, bounds: &Bounds) -> io::Result<()> {
        let set = |file: &str, value: &str| fs::write(self.0.join(file), value);
        set("memory.max", &bounds.memory.to_string())?;
        // The first process of the namespaces is in it too.
        set("pids.max", &bounds.processes.saturating_add(1).to_string())?;
        // All of it, rather than one process that the others miss.
        set("memory.oom.group", "1")?;
        // Not there where the kernel does not count what was swapped out.
        set("memory.swap.max", "0").ok();
        Ok(())
    }

    pub(super) fn take_in(&self, process: Pid) -> io::Result<()> {
        fs::write(self.0.join("cgroup.procs"), process.to_string())
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn remove(&self) {
        remove(&self.0);
    }
}

/// Whether processes of a group were killed because it was at its bound on memory.
pub(crate) fn was_over_memory(group: &Path) -> bool {
    let events = read(&group.join("memory.events")).unwrap_or_default();
    let happened = |name: &str| {
        let mut counts = events.lines().filter_map(|line| line.split_once(' '));
        counts.any(|(key, count)| key == name && count != "0")
    };
    // Killed alone may be for want of memory in the machine.
    happened("oom") && happened("oom_kill")
}

/// Removes a group with all that is in it.
pub(crate) fn remove(group: &Path) {
    fs::write(group.join("cgroup.kill"), "1").ok();
    fs::remove_dir(group).ok();
}

/// Whether groups can be made in it that have the controllers. One without processes of its own is
/// made to pass them on.
fn passes_on(group: &Path) -> bool {
    let has = |file: &str| {
        let found = read(&group.join(file)).unwrap_or_default();
        CONTROLLERS.iter().all(|one| found.split_ascii_whitespace().any(|found| found == *one))
    };
    let is_empty = || read(&group.join("cgroup.procs")).is_ok_and(|all| all.trim().is_empty());
    let passes = || has("cgroup.subtree_control");
    passes()
        || (has("cgroup.controllers")
            && is_empty()
            && fs::write(group.join("cgroup.subtree_control"), "+memory +pids").is_ok()
            && passes())
}

/// Whether systemd says that it keeps out of a group.
fn is_delegated(group: &Path) -> bool {
    let says = |name: &str| {
        let mut value = [0; 8];
        let length = rustix::fs::getxattr(group, name, &mut value[..]);
        length.is_ok_and(|length| value.get(..length) == Some(b"1"))
    };
    says("trusted.delegate") || says("user.delegate")
}

/// Where the second version is mounted whole; its fields are described in `proc(5)`.
fn mount_of(table: &str) -> Option<PathBuf> {
    table.lines().find_map(|line| {
        let (place, about) = line.split_once(" - ")?;
        let mut place = place.split(' ').skip(3);
        let (root, at) = (place.next()?, place.next()?);
        (about.starts_with("cgroup2 ") && root == "/").then(|| PathBuf::from(at))
    })
}

/// The group of this process, within the mount.
fn own_group(table: &str) -> Option<PathBuf> {
    let path = Path::new(table.lines().find_map(|line| line.strip_prefix("0::/"))?);
    let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    plain.then(|| path.to_owned())
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    #[expect(clippy::disallowed_methods, reason = "bounded by `take`")]
    File::open(path)?.take(FILE_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that looks like a group.
    fn group(at: &Path, controllers: &str, subtree: &str, processes: &str) {
        fs::create_dir_all(at).unwrap();
        for (file, content) in [
            ("cgroup.controllers", controllers),
            ("cgroup.subtree_control", subtree),
            ("cgroup.procs", processes),
        ] {
            fs::write(at.join(file), content).unwrap();
        }
    }

    #[test]
    fn groups_are_found_where_the_kernel_says() {
        let table = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
                     41 31 0:38 / /sys/fs/cgroup/unified rw,nosuid shared:9 - cgroup2 cgroup2 rw\n";
        assert_eq!(mount_of(table), Some("/sys/fs/cgroup/unified".into()));
        assert_eq!(mount_of("1 2 0:3 /sub /sys/fs/cgroup rw - cgroup2 cgroup2 rw"), None);
        let own = "9:name=systemd:/\n0::/user.slice/tagout.service\n";
        assert_eq!(own_group(own), Some("user.slice/tagout.service".into()));
        assert_eq!(own_group("0::/"), Some("".into()));
        assert_eq!((own_group("0::/../outside"), own_group("1:cpu:/")), (None, None));
    }

    #[test]
    fn the_nearest_that_passes_controllers_on_is_used() {
        let dir = tempfile::tempdir().unwrap();
        let mount = dir.path();
        let (slice, own) = (mount.join("app.slice"), mount.join("app.slice/tagout.scope"));
        group(mount, "cpu memory pids", "memory pids", "");
        group(&slice, "memory pids", "memory pids", "");
        group(&own, "memory pids", "", "77\n");
        let found = |ours: bool| Parent::above(mount, &own, |_| ours);
        assert_eq!(found(true), Some(Parent(slice.clone())));
        assert_eq!(found(false), None, "somebody else's");
        group(&slice, "memory", "memory", "1\n");
        assert_eq!(found(true), Some(Parent(mount.to_owned())));
        group(mount, "cpu", "cpu", "");
        assert_eq!(found(true), None);
        assert_eq!(Parent::above(mount, mount, |_| true), None, "nothing is above the first");
    }

    #[test]
    fn a_group_knows_why_its_program_was_killed() {
        let dir = tempfile::tempdir().unwrap();
        let events = |text: &str| {
            fs::write(dir.path().join("memory.events"), text).unwrap();
            was_over_memory(dir.path())
        };
        assert!(!was_over_memory(dir.path()), "nothing is known");
        assert!(events("low 0\nhigh 0\nmax 9\noom 1\noom_kill 3\noom_group_kill 1\n"));
        assert!(!events("low 0\nhigh 0\nmax 9\noom 0\noom_kill 0\noom_group_kill 0\n"));
        assert!(!events("max 0\noom 0\noom_kill 1\n"), "the machine had no more");
    }

    #[test]
    fn a_program_is_bounded_before_it_is_in_its_group() {
        let dir = tempfile::tempdir().unwrap();
        let parent = Parent(dir.path().to_owned());
        let bounds = Bounds { memory: 1000, processes: 7, ..Bounds::default() };
        let made = parent.make(5, &bounds).unwrap();
        made.take_in(rustix::process::getpid()).unwrap();
        let said = |file: &str| read(&dir.path().join("tagout-5").join(file)).unwrap();
        assert_eq!((said("memory.max").as_str(), said("pids.max").as_str()), ("1000", "8"));
        assert_eq!((said("memory.oom.group"), said("memory.swap.max")), ("1".into(), "0".into()));
        assert_eq!(said("cgroup.procs"), rustix::process::getpid().to_string());
        assert!(parent.make(5, &bounds).is_err(), "names are not used twice");
    }
}
