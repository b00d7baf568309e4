//! The file that holds the seed of the signing key.
use std::path::{Path, PathBuf};

use tagout_proto::Secret;

use crate::key_file::{self, KeyFileProblem};

/// Why there is no key to sign statements with.
#[derive(Debug, thiserror::Error)]
#[error("the key that signs assertions, `{path}`, cannot be used: {problem}")]
pub struct KeyFileError {
    path: PathBuf,
    problem: KeyFileProblem,
}

impl KeyFileError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "assertion-key-file"
    }

    /// What to do about it.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        "mend its mode (0600) or its folder's; or remove it, and give servers the new key that \
         `tagout key assertion` prints then"
    }
}

/// The seed in `path`; drawn and put there if there is none.
pub(super) fn load_or_make(path: &Path) -> Result<Secret<[u8; 32]>, KeyFileError> {
    let failed = |problem| KeyFileError { path: path.to_owned(), problem };
    key_file::load_or_make(path).map_err(failed)
}
