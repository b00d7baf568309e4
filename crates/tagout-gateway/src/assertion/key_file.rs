//! The file that holds the seed of the signing key: 64 hexadecimal digits, for its owner only.
use std::{
    fs::{self, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;
use tagout_proto::Secret;

/// Why there is no key to sign statements with.
#[derive(Debug, thiserror::Error)]
#[error("the key that signs assertions, `{path}`, cannot be used: {problem}")]
pub struct KeyFileError {
    path: PathBuf,
    problem: String,
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
    let failed = |problem: String| KeyFileError { path: path.to_owned(), problem };
    let io = |error: io::Error| failed(error.to_string());
    match load(path).map_err(io)? {
        Some(seed) => return seed.map_err(|problem| failed(problem.to_owned())),
        None => make(path).map_err(io)?,
    }
    let seed = load(path).map_err(io)?;
    seed.unwrap_or(Err("it is gone")).map_err(|problem| failed(problem.to_owned()))
}

type Seed = Result<Secret<[u8; 32]>, &'static str>;

/// What the file holds; nothing if there is none. Never through a symbolic link.
fn load(path: &Path) -> io::Result<Option<Seed>> {
    // The bits are those of C's `int`; the conversion only changes how Rust sees them.
    let no_follow = OFlags::NOFOLLOW.bits().cast_signed();
    let file = match OpenOptions::new().read(true).custom_flags(no_follow).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        return Ok(Some(Err("others may read it: its mode must be 0600")));
    }
    let mut text = Vec::new();
    #[expect(clippy::disallowed_methods, reason = "bounded by `take`")]
    file.take(100).read_to_end(&mut text)?;
    let mut seed = [0; 32];
    let read = hex::decode_to_slice(text.trim_ascii_end(), &mut seed);
    Ok(Some(read.map(|()| Secret::new(seed)).map_err(|_| "it does not hold 64 hexadecimal digits")))
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
