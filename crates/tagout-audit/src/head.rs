//! The signed head: what the last line is, said by somebody who holds the key. A signature takes
//! longer than all else about a line, so lines that nobody waits for are signed in groups; until
//! then a [`crate::mark`] stands for them.
//!
//! 512 bytes, overwritten in place by one write. A process that is killed leaves the old or the
//! new state, since the write lies within one page, and so does a power failure, since it lies
//! within one sector. Replacing the file by `rename` would cost three more system calls a record
//! and, on some file systems, a flush.
use std::{fs::File, os::unix::fs::FileExt as _, path::Path};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tagout_proto::Digest;

use crate::{AuditError, PublicKey, files, key::SecretKey, line::write_ascii};

pub(crate) const HEAD_BYTES: usize = 512;
const BEFORE_SIGNATURE: &[u8] = b",\"sig\":\"";
const AFTER_SIGNATURE: &[u8] = b"\"}";
const SIGNATURE_BYTES: usize = 128;
const DOMAIN: &[u8] = b"tagout-audit-head-1\n";

/// What the head says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    /// The log's identity.
    pub(crate) log: String,
    /// The last line's number.
    pub(crate) n: u64,
    /// The last line's hash.
    pub(crate) hash: Digest,
    /// When it was written.
    pub(crate) at: Timestamp,
    /// The number of the file that it stands in.
    pub(crate) segment: u32,
    /// Where in that file it ends.
    pub(crate) offset: u64,
    /// The last line known to be on disk. Lines after it may be lost in a power failure.
    pub(crate) durable: u64,
    /// Whether a mark stands beside it, so that a missing one shows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) marked: bool,
}

/// A head as it was found.
#[derive(Debug)]
pub(crate) enum Found {
    /// There is none.
    Nothing,
    /// It is signed by the key.
    Signed(Head),
    /// It is damaged or signed by another key.
    Bad(&'static str),
}

/// Signs `head` and puts it into `file`.
pub(crate) fn write(
    file: &File,
    path: &Path,
    key: &SecretKey,
    head: &Head,
) -> Result<(), AuditError> {
    let mut bytes = Vec::with_capacity(HEAD_BYTES);
    bytes.extend_from_slice(DOMAIN);
    write_ascii(&mut bytes, head)?;
    bytes.pop();
    let signature = key.sign(&bytes);
    bytes.drain(..DOMAIN.len());
    bytes.extend_from_slice(BEFORE_SIGNATURE);
    bytes.extend_from_slice(signature.as_bytes());
    bytes.extend_from_slice(AFTER_SIGNATURE);
    put(file, path, bytes)
}

/// Fills `bytes` up to one sector and puts them into `file`.
pub(crate) fn put(file: &File, path: &Path, mut bytes: Vec<u8>) -> Result<(), AuditError> {
    if bytes.len() >= HEAD_BYTES {
        return Err(AuditError::TooLarge { got: bytes.len(), limit: HEAD_BYTES });
    }
    bytes.resize(HEAD_BYTES - 1, b' ');
    bytes.push(b'\n');
    file.write_all_at(&bytes, 0).map_err(files::unwritable(path))
}

/// Reads the head in `file` and checks its signature with `key`.
pub(crate) fn read(file: &File, path: &Path, key: &PublicKey) -> Result<Found, AuditError> {
    Ok(check(&load(file, path)?, key))
}

/// The bytes of the head in `file`, and one more if there are more than it should have.
pub(crate) fn load(file: &File, path: &Path) -> Result<Vec<u8>, AuditError> {
    let mut bytes = vec![0; HEAD_BYTES + 1];
    let mut length = 0;
    while let Some(rest) = bytes.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, length as u64).map_err(files::unreadable(path))? {
            0 => break,
            got => length += got,
        }
    }
    bytes.truncate(length);
    Ok(bytes)
}

/// Checks the signature of a head that was loaded.
pub(crate) fn check(bytes: &[u8], key: &PublicKey) -> Found {
    if bytes.is_empty() {
        return Found::Nothing;
    }
    if bytes.len() != HEAD_BYTES {
        return Found::Bad("it does not have 512 bytes");
    }
    let Some((body, signature, head)) = split(bytes, BEFORE_SIGNATURE, SIGNATURE_BYTES) else {
        return Found::Bad("it cannot be read");
    };
    if key.verifies(&[DOMAIN, body].concat(), signature) {
        Found::Signed(head)
    } else {
        Found::Bad("its signature is not that of the log's key over this content")
    }
}

/// What comes before the seal, the seal's hexadecimal digits, and what is said.
pub(crate) fn split<'a>(
    bytes: &'a [u8],
    before: &[u8],
    digits: usize,
) -> Option<(&'a [u8], &'a str, Head)> {
    let text = bytes.strip_suffix(b"\n")?.trim_ascii_end();
    let rest = text.strip_suffix(AFTER_SIGNATURE)?;
    let (rest, seal) = rest.split_at_checked(rest.len().checked_sub(digits)?)?;
    let body = rest.strip_suffix(before)?;
    let head = serde_json::from_slice(text).ok()?;
    Some((body, std::str::from_utf8(seal).ok()?, head))
}
