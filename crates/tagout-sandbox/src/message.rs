//! What gateway and jailer say to each other.
//!
//! The jailer says [`Report::Ready`]; the gateway sends the order, with the program's three pipes
//! attached to its first byte; the jailer answers [`Report::Started`] or [`Report::Failed`], and
//! once [`Report::Exited`] or [`Report::Killed`]. Between those the gateway may send [`STOP`] and
//! [`KILL`]. The end of the stream means the same as [`STOP`].
use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    io::{self, Read},
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::PathBuf,
    time::Duration,
};

use crate::{Profile, Stage};

/// Raised with every change of what is said here.
pub(crate) const VERSION: i32 = 1;
/// Ask the program to end, and kill it after its grace.
pub(crate) const STOP: u8 = b's';
/// Kill the program now.
pub(crate) const KILL: u8 = b'k';
/// An order's limit. The kernel's own for arguments and environment is at most 6 MiB.
pub(crate) const ORDER_BYTES: usize = 16 << 20;

/// What a jailer has to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Report {
    /// It is a jailer, and this is its [`VERSION`].
    Ready(i32),
    /// The program runs, under this process id.
    Started(i32),
    /// The program was not started: what failed, and the error number.
    Failed(Stage, i32),
    /// The program exited with this code.
    Exited(i32),
    /// The program was killed by this signal.
    Killed(i32),
}

impl Report {
    pub(crate) fn encode(self) -> [u8; 6] {
        let (tag, stage, value) = match self {
            Self::Ready(version) => (b'R', 0, version),
            Self::Started(pid) => (b'S', 0, pid),
            Self::Failed(stage, errno) => (b'F', stage.number(), errno),
            Self::Exited(code) => (b'E', 0, code),
            Self::Killed(signal) => (b'K', 0, signal),
        };
        let [a, b, c, d] = value.to_le_bytes();
        [tag, stage, a, b, c, d]
    }

    /// Reads one report; `UnexpectedEof` when the jailer is gone.
    pub(crate) fn read(mut from: impl Read) -> io::Result<Self> {
        let mut bytes = [0; 6];
        from.read_exact(&mut bytes)?;
        let [tag, stage, value @ ..] = bytes;
        let value = i32::from_le_bytes(value);
        let strange = || io::Error::new(io::ErrorKind::InvalidData, "not a jailer's report");
        Ok(match tag {
            b'R' => Self::Ready(value),
            b'S' => Self::Started(value),
            b'F' => Self::Failed(Stage::from_number(stage).ok_or_else(strange)?, value),
            b'E' => Self::Exited(value),
            b'K' => Self::Killed(value),
            _ => return Err(strange()),
        })
    }
}

/// A profile as bytes: every text with its length before it.
pub(crate) fn encode_order(profile: &Profile) -> Vec<u8> {
    let mut out = Vec::new();
    let mut put = |text: &OsStr| {
        out.extend((text.len() as u64).to_le_bytes());
        out.extend(text.as_bytes());
    };
    put(profile.program.as_os_str());
    put(profile.cwd.as_ref().map_or(OsStr::new("/"), |dir| dir.as_os_str()));
    put(OsStr::new(&profile.grace.as_millis().to_string()));
    put(OsStr::new(&profile.args.len().to_string()));
    profile.args.iter().for_each(|arg| put(arg));
    for (name, value) in &profile.env {
        put(name);
        put(value);
    }
    out
}

/// Undoes [`encode_order`]; `None` when the bytes are no order.
pub(crate) fn decode_order(bytes: &[u8]) -> Option<Profile> {
    let mut texts = Texts(bytes);
    let program = PathBuf::from(texts.next()?);
    let cwd = Some(PathBuf::from(texts.next()?));
    let grace = Duration::from_millis(texts.number()?);
    let args = (0..texts.number()?).map(|_| texts.next()).collect::<Option<_>>()?;
    let mut env = BTreeMap::new();
    while !texts.0.is_empty() {
        env.insert(texts.next()?, texts.next()?);
    }
    Some(Profile { program, args, env, cwd, grace, isolation: None })
}

struct Texts<'a>(&'a [u8]);

impl Texts<'_> {
    fn next(&mut self) -> Option<OsString> {
        let (length, rest) = self.0.split_first_chunk::<8>()?;
        let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
        let (text, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(OsString::from_vec(text.to_vec()))
    }

    fn number(&mut self) -> Option<u64> {
        self.next()?.to_str()?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Profile {
        let mut profile = Profile::new("/usr/bin/env");
        profile.args = vec!["".into(), OsString::from_vec(vec![0xff, b'\n'])];
        profile.env = BTreeMap::from([("A".into(), "".into()), ("B".into(), "x=y".into())]);
        profile.cwd = Some("/tmp".into());
        profile
    }

    #[test]
    fn an_order_arrives_as_it_was_given() {
        assert_eq!(decode_order(&encode_order(&full())), Some(full()));
    }

    #[test]
    fn a_cut_order_is_never_taken_for_a_whole_argument_list() {
        let bytes = encode_order(&full());
        for end in 0..bytes.len() {
            let cut = decode_order(&bytes[..end]);
            assert!(cut.is_none_or(|p| p.args == full().args && p.env.len() < 2), "cut at {end}");
        }
    }

    #[test]
    fn reports_arrive_as_they_were_given() {
        let failed = (0..=u8::MAX).filter_map(Stage::from_number).map(|s| Report::Failed(s, 2));
        let others =
            [Report::Ready(VERSION), Report::Started(7), Report::Exited(255), Report::Killed(9)];
        for report in failed.chain(others) {
            assert_eq!(Report::read(&report.encode()[..]).unwrap(), report);
        }
    }
}
