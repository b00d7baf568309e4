//! A file that holds a key of Tagout's own: 64 hexadecimal digits, for its owner only.
use std::{
    fs::{self, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use rustix::fs::OFlags;
use tagout_proto::Secret;

/// What is wrong with a file that should hold a key.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileProblem {
    /// It cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is there, and no key: who else may read it, or what it holds.
    #[error("{0}")]
    NoKey(&'static str),
}

/// The key in the file; drawn and put there if there is none.
///
/// # Errors
/// [`KeyFileProblem`].
pub fn load_or_make(path: &Path) -> Result<Secret<[u8; 32]>, KeyFileProblem> {
    if let Some(key) = load(path)? {
        return Ok(key);
    }
    make(path)?;
    load(path)?.ok_or(KeyFileProblem::NoKey("it is gone"))
}

/// The key in the file; nothing if there is none. Never through a symbolic link.
///
/// # Errors
/// [`KeyFileProblem`].
pub fn load(path: &Path) -> Result<Option<Secret<[u8; 32]>>, KeyFileProblem> {
    // The bits are those of C's `int`; the conversion only changes how Rust sees them.
    let no_follow = OFlags::NOFOLLOW.bits().cast_signed();
    let file = match OpenOptions::new().read(true).custom_flags(no_follow).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        return Err(KeyFileProblem::NoKey("others may read it: its mode must be 0600"));
    }
    let mut text = Vec::new();
    #[expect(clippy::disallowed_methods, reason = "bounded by `take`")]
    file.take(100).read_to_end(&mut text)?;
    let mut seed = [0; 32];
    let read = hex::decode_to_slice(text.trim_ascii_end(), &mut seed);
    let wrong = |_| KeyFileProblem::NoKey("it does not hold 64 hexadecimal digits");
    read.map(|()| Some(Secret::new(seed))).map_err(wrong)
}

/// The file appears under its name whole or not at all, and never in place of another: two
/// processes that come first at once end up with one key.
fn make(path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let (mut seed, mut name) = ([0; 32], [0; 8]);
    getrandom::fill(&mut seed).map_err(io::Error::other)?;
    getrandom::fill(&mut name).map_err(io::Error::other)?;
    let draft = path.with_extension(hex::encode(name));
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        file.write_all(hex::encode(seed).as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        match fs::hard_link(&draft, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            linked => linked,
        }
    };
    let written = write();
    let removed = fs::remove_file(&draft);
    written.and(removed)
}
