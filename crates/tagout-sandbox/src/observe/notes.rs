//! What is kept of what a program does.
use std::{
    collections::BTreeSet,
    ffi::OsStr,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::unix::ffi::OsStrExt as _,
    path::{Component, Path, PathBuf},
};

use super::{Deed, Observed};
use crate::EGRESS_PORT;

/// How many of each kind are kept.
const MOST: usize = 20_000;
/// How many refused calls are kept: more than there are.
const MOST_CALLS: usize = 1000;

/// What is made for every program, or for none.
const MADE: &[&str] = &["/proc", "/dev", "/sys", "/run/secrets"];

impl Observed {
    /// Notes what was done with a file, under the name that the program gave it.
    pub(super) fn note(&mut self, path: &Path, deed: Deed) {
        let path = plain(path);
        if MADE.iter().any(|made| path.starts_with(made)) {
            return;
        }
        // What is not there cannot be given; and a program that finds nothing goes on without.
        let is_there = || path.symlink_metadata().is_ok();
        let kept = match deed {
            Deed::Write => insert(&mut self.write, path),
            Deed::MakeFolder if is_there() => true,
            Deed::MakeFolder => insert(&mut self.write, path),
            Deed::Remove if !is_there() => true,
            Deed::Change | Deed::Remove => path.parent().is_none_or(|folder| {
                // What is in a folder that is not there is not there either.
                !folder.is_dir() || insert(&mut self.change, folder.to_owned())
            }),
            Deed::Look => !is_there() || insert(&mut self.look, path),
            Deed::Read => !is_there() || insert(&mut self.read, path),
            Deed::Execute => !is_there() || insert(&mut self.execute, path),
        };
        self.incomplete |= !kept;
    }

    /// Notes where a program connects to, from the address as it is laid before the kernel.
    pub(super) fn note_connection(&mut self, address: &[u8]) {
        let Some(to) = target(address) else { return };
        let kept = insert(&mut self.connect, to);
        self.incomplete |= !kept;
    }

    /// Notes a call that its filter refused.
    pub(super) fn note_refusal(&mut self, call: String) {
        if self.refused.len() >= MOST_CALLS && !self.refused.contains_key(&call) {
            self.incomplete = true;
            return;
        }
        let count = self.refused.entry(call).or_default();
        *count = count.saturating_add(1);
    }
}

/// Whether there was room.
fn insert<T: Ord>(into: &mut BTreeSet<T>, one: T) -> bool {
    if into.len() < MOST {
        into.insert(one);
        return true;
    }
    into.contains(&one)
}

/// The name without what leads nowhere. Where it goes up again, links decide where that is: then it
/// is as the file system says, as far as it is there.
fn plain(path: &Path) -> PathBuf {
    let goes_up = |path: &Path| path.components().any(|part| part == Component::ParentDir);
    if !goes_up(path) {
        return path.components().collect();
    }
    let mut there = path.to_owned();
    let mut rest = Vec::new();
    while !there.exists() {
        match there.components().next_back() {
            Some(part) => rest.push(part.as_os_str().to_owned()),
            None => break,
        }
        there.pop();
    }
    let mut plain = there.canonicalize().unwrap_or(there);
    for part in rest.into_iter().rev() {
        if part == ".." {
            plain.pop();
        } else {
            plain.push(part);
        }
    }
    plain
}

/// The file that an address names.
pub(super) fn socket_file(address: &[u8]) -> Option<&Path> {
    let (family, rest) = address.split_first_chunk::<2>()?;
    let name = rest.split(|byte| *byte == 0).next()?;
    let is_file = i32::from(u16::from_ne_bytes(*family)) == libc::AF_UNIX && !name.is_empty();
    is_file.then(|| Path::new(OsStr::from_bytes(name)))
}

/// What an address names, where that is worth saying.
fn target(address: &[u8]) -> Option<String> {
    let (family, rest) = address.split_first_chunk::<2>()?;
    match i32::from(u16::from_ne_bytes(*family)) {
        libc::AF_UNIX => {
            let end = rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len());
            let (name, _) = rest.split_at_checked(end)?;
            // Without a name it is a socket pair; abstract ones begin with a zero.
            let kind = if name.is_empty() { "unix:@" } else { "unix:" };
            let name = if name.is_empty() { rest.get(1..)? } else { name };
            let text = String::from_utf8_lossy(name).into_owned();
            (!name.is_empty()).then(|| format!("{kind}{text}"))
        }
        libc::AF_INET => {
            let (port, rest) = rest.split_first_chunk::<2>()?;
            let ip = Ipv4Addr::from(*rest.first_chunk::<4>()?);
            outside(SocketAddr::new(IpAddr::V4(ip), u16::from_be_bytes(*port)))
        }
        libc::AF_INET6 => {
            let (port, rest) = rest.split_first_chunk::<2>()?;
            let (_flow, rest) = rest.split_first_chunk::<4>()?;
            let ip = Ipv6Addr::from(*rest.first_chunk::<16>()?);
            outside(SocketAddr::new(ip.to_canonical(), u16::from_be_bytes(*port)))
        }
        _ => None,
    }
}

/// Neither the proxy, nor what programs ask for to learn their own address.
fn outside(address: SocketAddr) -> Option<String> {
    let is_proxy = address.ip().is_loopback() && address.port() == EGRESS_PORT;
    (!is_proxy && address.port() != 0).then(|| address.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let v4 = [2, 0, 0x01, 0xbb, 10, 0, 0, 7, 0, 0];
        let mut v6 = vec![10, 0, 0x00, 0x50, 0, 0, 0, 0];
        v6.extend([0; 15]);
        v6.push(1);
        let proxy = [2, 0, 0x0c, 0x38, 127, 0, 0, 1];
        for (address, expected) in [
            (&v4[..], Some("10.0.0.7:443")),
            (&v6, Some("[::1]:80")),
            (&proxy, None),
            (b"\x01\x00/run/docker.sock\0xx", Some("unix:/run/docker.sock")),
            (b"\x01\x00\0abstract", Some("unix:@abstract")),
            (b"\x01\x00", None),
            (b"\x10\x00\0\0", None),
            (&v4[..6], None),
            (b"", None),
        ] {
            assert_eq!(target(address).as_deref(), expected, "{address:?}");
            let file =
                expected.and_then(|to| to.strip_prefix("unix:")).filter(|to| !to.starts_with('@'));
            assert_eq!(socket_file(address), file.map(Path::new), "{address:?}");
        }
    }

    #[test]
    fn a_name_that_goes_up_is_followed() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::os::unix::fs::symlink(root.join("a/b"), root.join("link")).unwrap();
        for (path, expected) in [
            ("a/./b//c", "a/b/c"),
            ("link/x", "link/x"),
            ("link/../x", "a/x"),
            ("a/../none/../x", "x"),
        ] {
            assert_eq!(plain(&root.join(path)), root.join(expected), "{path}");
        }
    }

    #[test]
    fn what_is_kept_has_a_bound() {
        let mut observed = Observed::default();
        for number in 0..MOST + 5 {
            observed.note(&PathBuf::from(format!("/nowhere/{number}")), Deed::Write);
        }
        assert_eq!(observed.write.len(), MOST);
        assert!(observed.incomplete);

        let mut observed = Observed::default();
        for number in 0..MOST_CALLS + 5 {
            observed.note_refusal(format!("call {number}"));
            observed.note_refusal(String::from("ptrace"));
        }
        assert_eq!(observed.refused.len(), MOST_CALLS);
        assert_eq!(observed.refused.get("ptrace"), Some(&(MOST_CALLS as u64 + 5)));
        assert!(observed.incomplete);
    }
}
