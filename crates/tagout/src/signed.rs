//! The lockfile and its signature.
use std::path::{Path, PathBuf};

use tagout_gateway::lockfile::{
    Lockfile,
    signature::{PublicKey, SignatureError, Signed, verify},
};

use crate::{
    failure::{Ended, Failure},
    setup::read,
};

/// Where a lockfile's signature stands: beside it, as minisign has it.
pub(crate) fn beside(lockfile: &Path) -> PathBuf {
    let mut path = lockfile.as_os_str().to_owned();
    path.push(".minisig");
    PathBuf::from(path)
}

/// A lockfile that one of `keys` has signed, where there are any; without a file nothing is pinned,
/// and nothing is signed.
pub(crate) fn lockfile(path: &Path, keys: &[PublicKey]) -> Result<Option<Lockfile>, Failure> {
    let text = read(path)?;
    if !keys.is_empty() {
        signature(path, text.as_deref(), keys)?;
    }
    let Some(text) = text else { return Ok(None) };
    let lockfile =
        Lockfile::parse(&path.display().to_string(), &text).map_err(Failure::at_place)?;
    if lockfile.is_of_first_version() {
        tracing::warn!(
            "the lockfile is of version 1, which says nothing of prompts, templates, packages and \
             arguments: run `tagout pin`"
        );
    }
    Ok(Some(lockfile))
}

/// Who has signed the lockfile at `path` that holds `text`.
fn signature(path: &Path, text: Option<&str>, keys: &[PublicKey]) -> Result<Signed, Failure> {
    let signature = text.map(|_| read(&beside(path))).transpose()?.flatten();
    let file = text.unwrap_or_default().as_bytes();
    verify(file, signature.as_deref(), keys).map_err(|error| {
        let help = match error {
            SignatureError::Missing | SignatureError::Wrong { .. } => {
                "look at what changed, then sign it: tagout pin --sign KEYFILE"
            }
            SignatureError::Malformed(_) => "sign it anew: tagout pin --sign KEYFILE",
            SignatureError::OtherKey { .. } => {
                "have it signed by a key that counts, or name this one in `lockfile.signed_by`"
            }
        };
        Failure::new(Ended::Usage, error.code(), &error).with_help(help)
    })
}
