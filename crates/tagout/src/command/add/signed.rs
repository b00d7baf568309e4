//! A program's signature, where one is demanded.
use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use tagout_gateway::lockfile::{
    PinnedServer,
    signature::{PublicKey, Signed, verify},
};
use tagout_sandbox::{Profile, is_interpreter};

use crate::{
    failure::{Ended, Failure},
    setup::read,
};

/// The largest file whose signature is verified, in bytes.
const MOST_BYTES: u64 = 1 << 30;

/// Verifies that every file of code that a command names is signed by `key`: the program, or with an
/// interpreter what that runs. What else an interpreter could be told to run has no signature.
pub(super) fn all(
    profile: &Profile,
    pinned: &PinnedServer,
    (key, signature): (&str, Option<&Path>),
) -> Result<Vec<(PathBuf, Signed)>, Failure> {
    let refused = |message: String, help: &str| {
        Failure::new(Ended::Refused, "supply-signature", message).with_help(help)
    };
    let mut files: Vec<_> = pinned.files.iter().map(|file| file.path.clone()).collect();
    if !is_interpreter(&profile.program) {
        files.insert(0, profile.program.clone());
    } else if !runs_first(profile, &files) {
        let message = "what the interpreter runs is not the file that its first argument names";
        let help = "write it as INTERPRETER FILE …, without options before the file";
        return Err(refused(message.to_owned(), help));
    }
    if signature.is_some() && files.len() > 1 {
        let message = format!("{} files of it need a signature, and one is named", files.len());
        return Err(refused(message, "put each signature beside its file, as FILE.minisig"));
    }
    files.into_iter().map(|file| Ok((file.clone(), signed(&file, key, signature)?))).collect()
}

/// Whether the first argument is a file, and one of `files`.
fn runs_first(profile: &Profile, files: &[PathBuf]) -> bool {
    let here = profile.cwd.as_deref().unwrap_or(Path::new("/"));
    let first = profile.args.first().filter(|first| !first.to_string_lossy().starts_with('-'));
    let real = |path: &Path| path.canonicalize().ok();
    let first = first.and_then(|first| real(&here.join(first)));
    first.is_some_and(|first| files.iter().any(|file| real(file).as_ref() == Some(&first)))
}

/// Verifies that `file` is signed by `key`, which is a key or its file.
fn signed(file: &Path, key: &str, signature: Option<&Path>) -> Result<Signed, Failure> {
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
