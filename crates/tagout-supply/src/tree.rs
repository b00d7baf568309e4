//! A folder of installed packages, and the list of all that is in it. The folder is named after the
//! list's digest, so a command that names the folder names every byte of it.
use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};
use tagout_proto::quoted;

use crate::Ecosystem;

/// The list, in its folder.
pub const LIST: &str = "tagout.list";
/// How many files a package and all that it needs may have.
const MOST_FILES: usize = 200_000;
/// How deep they may lie.
const MOST_DEEP: usize = 40;
/// How long the list may be.
const MOST_BYTES: u64 = 64 << 20;
/// Hexadecimal digits of the digest in the folder's name.
const DIGITS: usize = 32;

/// What is wrong with a folder of packages.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// It cannot be read or written.
    #[error("`{}`: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not what was installed.
    #[error("`{}` is not as it was installed", .0.display())]
    Changed(PathBuf),
    /// There is something that cannot be listed: too much, or no file.
    #[error("`{}` cannot be kept: {why}", path.display())]
    Unfit {
        /// Which file.
        path: PathBuf,
        /// Why.
        why: &'static str,
    },
}

impl TreeError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        |source| Self::Io { path, source }
    }
}

/// The folder of packages that `file` lies in, if it lies in the store: by its place alone, or by that
/// of what it leads to. A list that lies elsewhere makes no folder one of the store.
///
/// # Errors
/// It lies in the store, and in no folder of packages there.
pub fn store_of(file: &Path) -> Result<Option<PathBuf>, TreeError> {
    let real = file.canonicalize().ok();
    for path in std::iter::once(file).chain(real.as_deref()) {
        if let Some(packages) = path.ancestors().find(|above| is_store(above)) {
            let mut sealed = path.ancestors().skip(1).filter(|above| is_sealed(packages, above));
            let found = sealed.next().ok_or_else(|| TreeError::Changed(path.to_owned()))?;
            return Ok(Some(found.to_owned()));
        }
    }
    Ok(None)
}

/// Whether it is the folder of an ecosystem, in the folder that all packages are in.
fn is_store(folder: &Path) -> bool {
    let ecosystem =
        [Ecosystem::Npm, Ecosystem::Python].iter().any(|e| folder.ends_with(e.as_str()));
    ecosystem && folder.parent().is_some_and(|above| above.ends_with("tagout/packages"))
}

/// Whether it is called like the folder of a package: `NAME/VERSION-DIGEST`, or `@SCOPE/NAME/…`.
fn is_sealed(packages: &Path, folder: &Path) -> bool {
    let Ok(inside) = folder.strip_prefix(packages) else { return false };
    let parts: Vec<_> = inside.iter().filter_map(|part| part.to_str()).collect();
    let named = match parts.as_slice() {
        [name, named] if !name.starts_with('@') => named,
        [scope, _, named] if scope.starts_with('@') => named,
        _ => return false,
    };
    let digest = named.rsplit_once('-').map(|(_, digest)| digest).unwrap_or_default();
    digest.len() == DIGITS && digest.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Writes the list of all that is in `folder`; what the folder is to be called.
///
/// # Errors
/// Something cannot be read, or be listed.
pub fn seal(folder: &Path, version: &str) -> Result<String, TreeError> {
    let list = listed(folder)?;
    let path = folder.join(LIST);
    let failed = || TreeError::io(&path);
    let mut file =
        File::options().write(true).create_new(true).mode(0o400).open(&path).map_err(failed())?;
    file.write_all(list.as_bytes()).and_then(|()| file.sync_all()).map_err(failed())?;
    Ok(format!("{version}-{}", digest(&list)))
}

/// Holds all that is in `folder` against its list, and the list against the folder's name.
///
/// # Errors
/// [`TreeError::Changed`] with the first file that differs.
pub fn verify(folder: &Path) -> Result<(), TreeError> {
    let path = folder.join(LIST);
    if !path.is_file() {
        return Err(TreeError::Changed(path));
    }
    let list = read(&path)?;
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if !name.ends_with(&format!("-{}", digest(&list))) {
        return Err(TreeError::Changed(path));
    }
    let found = listed(folder)?;
    if found == list {
        return Ok(());
    }
    let differs = found.lines().zip(list.lines()).find(|(found, listed)| found != listed);
    let longer = || found.lines().nth(list.lines().count());
    let line = differs.map(|(found, _)| found).or_else(longer).unwrap_or_default();
    let path = line.split_once('"').and_then(|(_, rest)| rest.split_once('"'));
    Err(TreeError::Changed(path.map_or_else(|| folder.to_owned(), |(path, _)| folder.join(path))))
}

fn digest(list: &str) -> String {
    let mut digits = hex::encode(Sha256::digest(list));
    digits.truncate(DIGITS);
    digits
}

/// The text of a file that is not too long.
pub(crate) fn read(path: &Path) -> Result<String, TreeError> {
    let file = File::open(path).map_err(TreeError::io(path))?;
    let mut text = String::new();
    #[expect(clippy::disallowed_methods, reason = "the reader before it has a bound")]
    let read = file.take(MOST_BYTES).read_to_string(&mut text);
    read.map_err(TreeError::io(path))?;
    Ok(text)
}

/// All that is in `folder`, one line each, by path.
fn listed(folder: &Path) -> Result<String, TreeError> {
    let mut lines = Vec::new();
    let mut waiting = vec![(folder.to_owned(), 0)];
    while let Some((at, deep)) = waiting.pop() {
        let unfit = |why| TreeError::Unfit { path: at.clone(), why };
        if deep > MOST_DEEP {
            return Err(unfit("it lies too deep"));
        }
        for entry in fs::read_dir(&at).map_err(TreeError::io(&at))? {
            let path = entry.map_err(TreeError::io(&at))?.path();
            if lines.len() >= MOST_FILES {
                return Err(unfit("there are too many files"));
            }
            let about = path.symlink_metadata().map_err(TreeError::io(&path))?;
            if about.is_dir() {
                waiting.push((path, deep + 1));
            } else if path != folder.join(LIST) {
                lines.push(line(folder, &path, &about)?);
            }
        }
    }
    lines.sort();
    Ok(lines.concat())
}

/// One file: its path first, so that lines are in the order of paths.
fn line(folder: &Path, path: &Path, about: &fs::Metadata) -> Result<String, TreeError> {
    let unfit = |why| TreeError::Unfit { path: path.to_owned(), why };
    let inside = path.strip_prefix(folder).ok().and_then(Path::to_str);
    let name = quoted(inside.ok_or_else(|| unfit("its name is no text"))?);
    if about.is_symlink() {
        let target = fs::read_link(path).map_err(TreeError::io(path))?;
        let target = target.to_str().ok_or_else(|| unfit("it leads to what is no text"))?;
        return Ok(format!("{name} -> {}\n", quoted(target)));
    }
    if !about.is_file() {
        return Err(unfit("it is no file"));
    }
    let mode = about.permissions().mode();
    let runs = if mode & 0o111 == 0 { "file" } else { "program" };
    if mode & 0o6000 != 0 {
        return Err(unfit("it would run as somebody else"));
    }
    Ok(format!("{name} {runs} sha256:{}\n", hex::encode(hashed::<Sha256>(path)?)))
}

/// The digest of a file's content.
pub(crate) fn hashed<D: sha2::Digest>(path: &Path) -> Result<Vec<u8>, TreeError> {
    let mut file = File::open(path).map_err(TreeError::io(path))?;
    let mut hash = D::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = file.read(&mut buffer).map_err(TreeError::io(path))?;
        if read == 0 {
            return Ok(hash.finalize().to_vec());
        }
        hash.update(buffer.get(..read).unwrap_or_default());
    }
}
