//! Secrets in variables and files.
use std::{
    fs::File,
    io::{self, Read as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use tagout_proto::Secret;
use zeroize::Zeroize as _;

/// The largest secret, in bytes.
pub const MOST_BYTES: usize = 16 << 10;

/// Why a variable or a file gives no secret.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// There is no such variable, or no such file.
    #[error("is not set")]
    NotSet,
    /// It holds something that is not UTF-8.
    #[error("holds no text")]
    NoText,
    /// It holds nothing.
    #[error("is empty")]
    Empty,
    /// It is larger than any secret.
    #[error("is larger than {MOST_BYTES} bytes")]
    TooLarge,
    /// It is no plain file.
    #[error("is no file")]
    NoFile,
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
}

/// The secret in a variable of this process.
///
/// # Errors
/// See [`LocalError`].
pub fn read_variable(name: &str) -> Result<Secret<String>, LocalError> {
    let value = std::env::var_os(name).ok_or(LocalError::NotSet)?;
    let text = value.into_string().map_err(|_| LocalError::NoText)?;
    checked(Secret::new(text))
}

/// The secret in a file, without the line end at its end, and whether others than its owner may
/// read it.
///
/// # Errors
/// See [`LocalError`].
pub fn read_file(path: &Path) -> Result<(Secret<String>, bool), LocalError> {
    let missing = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    let opened = File::open(path)
        .map_err(|error| if missing(&error) { LocalError::NotSet } else { LocalError::Io(error) });
    let file = opened?;
    let about = file.metadata()?;
    // A pipe or a device might never end, or never begin.
    if !about.is_file() {
        return Err(LocalError::NoFile);
    }
    let open_to_others = about.permissions().mode() & 0o077 != 0;
    // Of its full size at once: a buffer that grows leaves what it held behind.
    let mut bytes = Vec::with_capacity(MOST_BYTES + 64);
    let most = u64::try_from(MOST_BYTES).unwrap_or(u64::MAX);
    #[expect(clippy::disallowed_methods, reason = "bounded by `take`")]
    file.take(most + 1).read_to_end(&mut bytes)?;
    let text = String::from_utf8(bytes).map_err(|error| {
        error.into_bytes().zeroize();
        LocalError::NoText
    });
    let mut text = text?;
    let end = text.trim_end_matches(['\r', '\n']).len();
    text.truncate(end);
    Ok((checked(Secret::new(text))?, open_to_others))
}

fn checked(text: Secret<String>) -> Result<Secret<String>, LocalError> {
    match text.expose().len() {
        0 => Err(LocalError::Empty),
        1..=MOST_BYTES => Ok(text),
        _ => Err(LocalError::TooLarge),
    }
}
