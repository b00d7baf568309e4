//! As whom a program runs.
//!
//! An ordinary user's program runs as that user, which is all that the kernel lets such a user give.
//! The superuser's runs as a user that nobody else is, so that it owns nothing of the machine's.
use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::OwnedFd,
    time::Duration,
};

use rustix::process::{
    Pid, Signal, WaitOptions, getegid, geteuid, getpid, getppid, kill_process,
    set_parent_process_death_signal, waitpid,
};

use crate::danger::process::{Namespaces, Parent, copy};

/// Where ids begin that no system gives to anybody: above what is given to containers, below what
/// is negative to some programs.
const UNUSED: u32 = 0x6000_0000;
/// More than the kernel shows: at most 340 lines of 33 bytes.
const MAP_BYTES: u64 = 16 << 10;

/// The ids of a program, as it sees them and as its parent namespace does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ids {
    pub(super) user: Id,
    pub(super) group: Id,
    /// Whether these are not the ids that this process has.
    pub(super) others: bool,
}

/// One id, seen from both sides of the program's user namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Id {
    pub(super) inside: u32,
    pub(super) outside: u32,
}

impl Ids {
    /// The ids for the program of `jailer`.
    ///
    /// # Errors
    /// What maps this process's ids cannot be read.
    pub(super) fn of(jailer: Pid) -> io::Result<Self> {
        let (user, group) = (geteuid().as_raw(), getegid().as_raw());
        let (users, groups) = (Map::read("uid")?, Map::read("gid")?);
        let wanted = UNUSED.saturating_add(jailer.as_raw_nonzero().get().unsigned_abs());
        let unused = |id: &u32| *id != 0 && users.has(*id) && groups.has(*id);
        let unused = [wanted, users.high(wanted)].into_iter().find(unused);
        Ok(match unused {
            Some(id) if user == 0 => {
                let id = Id { inside: id, outside: id };
                Self { user: id, group: id, others: true }
            }
            _ => Self { user: Id::own(user), group: Id::own(group), others: false },
        })
    }

    /// The ids of this process, which the program keeps.
    pub(super) fn kept() -> Self {
        let same = |id| Id { inside: id, outside: id };
        let (user, group) = (same(geteuid().as_raw()), same(getegid().as_raw()));
        Self { user, group, others: false }
    }

    /// How long they are as bytes.
    pub(super) const BYTES: usize = 17;

    pub(super) fn encode(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let Self { user, group, others } = self;
        let numbers = [user.inside, user.outside, group.inside, group.outside];
        let all = numbers.into_iter().flat_map(u32::to_le_bytes).chain([u8::from(*others)]);
        bytes.iter_mut().zip(all).for_each(|(place, byte)| *place = byte);
        bytes
    }

    pub(super) fn decode(bytes: [u8; Self::BYTES]) -> Self {
        let (numbers, others) = (bytes.as_chunks::<4>().0, bytes.last() == Some(&1));
        let mut numbers = numbers.iter().map(|bytes| u32::from_le_bytes(*bytes));
        let mut id = || {
            let inside = numbers.next().unwrap_or_default();
            Id { inside, outside: numbers.next().unwrap_or_default() }
        };
        let (user, group) = (id(), id());
        Self { user, group, others }
    }

    /// Says to the kernel who is who in the user namespace of `process`.
    pub(super) fn map(&self, process: Pid) -> io::Result<()> {
        if !self.others {
            // An ordinary user may not give groups, so as not to take away one that forbids.
            write(process, "setgroups", "deny")?;
        }
        write(process, "uid_map", &self.user.line())?;
        write(process, "gid_map", &self.group.line())
    }
}

impl Id {
    /// The superuser of a namespace with no other id is not the superuser inside.
    const fn own(id: u32) -> Self {
        Self { inside: if id == 0 { 1000 } else { id }, outside: id }
    }

    fn line(self) -> String {
        format!("{} {} 1", self.inside, self.outside)
    }
}

/// A user namespace in which `owner`, a user and a group of files, is who `ids` runs as. Mounts are
/// seen through it.
pub(super) fn owned_by(owner: (u32, u32), ids: &Ids) -> io::Result<OwnedFd> {
    // Such a namespace lives by somebody in it, or who holds it open.
    let parent = getpid();
    let Some(holder) = copy(Namespaces::USER, Parent::This)? else { hold(parent) };
    let seen = |id, outside: u32| Id { inside: id, outside }.line();
    let opened = write(holder, "uid_map", &seen(owner.0, ids.user.outside))
        .and_then(|()| write(holder, "gid_map", &seen(owner.1, ids.group.outside)))
        .and_then(|()| File::open(format!("/proc/{holder}/ns/user")));
    kill_process(holder, Signal::KILL).ok();
    waitpid(Some(holder), WaitOptions::empty()).ok();
    Ok(opened?.into())
}

/// Is there until it is killed, or its parent ends.
fn hold(parent: Pid) -> ! {
    set_parent_process_death_signal(Some(Signal::KILL)).ok();
    while getppid() == Some(parent) {
        std::thread::sleep(Duration::from_secs(1));
    }
    std::process::exit(0);
}

fn write(process: Pid, file: &str, text: &str) -> io::Result<()> {
    File::options().write(true).open(format!("/proc/{process}/{file}"))?.write_all(text.as_bytes())
}

/// The ids that this process's namespace has: the first, and how many.
struct Map(Vec<(u32, u32)>);

impl Map {
    fn read(which: &str) -> io::Result<Self> {
        let mut text = String::new();
        #[expect(clippy::disallowed_methods, reason = "bounded by `take`")]
        File::open(format!("/proc/self/{which}_map"))?.take(MAP_BYTES).read_to_string(&mut text)?;
        Ok(Self::parse(&text))
    }

    fn parse(text: &str) -> Self {
        let line = |line: &str| {
            let mut numbers = line.split_ascii_whitespace().map(str::parse::<u32>);
            let (first, _, count) = (numbers.next()?, numbers.next()?, numbers.next()?);
            Some((first.ok()?, count.ok()?))
        };
        Self(text.lines().filter_map(line).collect())
    }

    fn has(&self, id: u32) -> bool {
        self.0.iter().any(|(first, count)| id.checked_sub(*first).is_some_and(|n| n < *count))
    }

    /// One near the end of the longest range, where the fewest are given to anybody.
    fn high(&self, spread: u32) -> u32 {
        let longest = self.0.iter().max_by_key(|(_, count)| *count);
        let (first, count) = longest.copied().unwrap_or_default();
        let back = spread % (count / 8).max(1);
        first.saturating_add(count.saturating_sub(1)).saturating_sub(back)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unused_id_is_one_that_there_is() {
        let whole = Map::parse("         0          0 4294967295\n");
        assert!(whole.has(UNUSED + 4_194_304) && !whole.has(u32::MAX));
        let container = Map::parse("0 100000 65536");
        assert!(!container.has(UNUSED) && container.has(65535) && !container.has(65536));
        for spread in [0, 1, 9000, u32::MAX] {
            assert!(container.has(container.high(spread)) && container.high(spread) > 50000);
        }
        let lonely = Map::parse("0 1000 1");
        assert_eq!((lonely.high(7), lonely.has(UNUSED)), (0, false));
        assert_eq!(Map::parse("").high(7), 0);
    }

    #[test]
    fn ids_travel() {
        let id = |inside, outside| Id { inside, outside };
        let ids = Ids { user: id(1, 2), group: id(3, u32::MAX), others: true };
        assert_eq!(Ids::decode(ids.encode()), ids);
    }

    #[test]
    fn nobody_is_the_superuser_inside() {
        assert_eq!(Id::own(0), Id { inside: 1000, outside: 0 });
        assert_eq!(Id::own(33).line(), "33 33 1");
    }
}
