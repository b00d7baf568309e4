//! A program's signature, where one is demanded.
use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use tagout_gateway::lockfile::signature::{PublicKey, Signed, verify};

use crate::{
    failure::{Ended, Failure},
    setup::read,
};

/// The largest file whose signature is verified, in bytes.
const MOST_BYTES: u64 = 1 << 30;

/// Verifies that `file` is signed by `key`, which is a key or its file.
pub(super) fn signed(file: &Path, key: &str, signature: Option<&Path>) -> Result<Signed, Failure> {
    let refused = |message: String| {
        let help = "nothing was added; get the file and its signature from whoever made it";
        Failure::new(Ended::Refused, "supply-signature", message).with_help(help)
    };
    let key: PublicKey = match key.parse() {
        Ok(key) => key,
        Err(_) => {
            let text = read(Path::new(key))?.unwrap_or_default();
            let line = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
            line.parse().map_err(|error| Failure::usage("supply-signature", error, ""))?
        }
    };
    let beside = || {
        let mut path = file.as_os_str().to_owned();
        path.push(".minisig");
        PathBuf::from(path)
    };
    let signature = signature.map_or_else(beside, Path::to_owned);
    let text = read(&signature)?;
    if text.is_none() {
        return Err(refused(format!("there is no signature `{}`", signature.display())));
    }
    let failed = |error| Failure::io(file, error);
    let mut bytes = Vec::new();
    let opened = File::open(file).map_err(failed)?;
    #[expect(clippy::disallowed_methods, reason = "the reader before it has a bound")]
    let length = opened.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if u64::try_from(length).is_ok_and(|length| length > MOST_BYTES) {
        return Err(refused(format!("`{}` is too large to be verified", file.display())));
    }
    verify(&bytes, text.as_deref(), &[key]).map_err(|error| {
        let why = error.to_string().replace("the lockfile's", "its").replace("the lockfile", "it");
        refused(format!("`{}`: {why}", file.display()))
    })
}
