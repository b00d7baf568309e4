//! A file of another program: looked at without being led astray, replaced in one step.
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use super::tree::FILE_BYTES;
use crate::failure::{Ended, Failure};

/// A file as it was found.
#[derive(Debug)]
pub(crate) struct Found {
    /// Where it is once links are followed.
    pub(crate) path: PathBuf,
    /// What it holds, if it is there.
    pub(crate) text: Option<String>,
    mode: u32,
}

/// Whose a path is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Named<'a> {
    /// The client's usual one, in this home: it leads nowhere else.
    Usual(&'a Path),
    /// One that the user named: its folder may be anywhere, but it is no link out of it and out of
    /// this home.
    ByUser(&'a Path),
}

/// Looks at `path`.
pub(crate) fn look(path: &Path, named: Named<'_>) -> Result<Found, Failure> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(unsafe_file(path, "it names no file"));
    };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let folder = match folder.canonicalize() {
        Ok(folder) => folder,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let message = format!("there is no folder `{}`", folder.display());
            let help = "is the client installed, and was it started once? Or name its file with \
                        `--file`";
            return Err(Failure::usage("client-missing", message, help));
        }
        Err(error) => return Err(Failure::io(folder, error)),
    };
    let joined = folder.join(name);
    let real = match joined.canonicalize() {
        Ok(real) => real,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if fs::symlink_metadata(&joined).is_ok() {
                return Err(unsafe_file(path, "it is a link to nothing"));
            }
            joined.clone()
        }
        Err(error) => return Err(Failure::io(&joined, error)),
    };
    let within = |home: &Path| home.canonicalize().is_ok_and(|home| real.starts_with(home));
    let stays = match named {
        Named::Usual(home) => within(home),
        Named::ByUser(home) => real.starts_with(&folder) || within(home),
    };
    if !stays {
        return Err(unsafe_file(path, "it leads out of the home directory"));
    }
    read(real)
}

fn read(path: PathBuf) -> Result<Found, Failure> {
    // A pipe would wait for a writer.
    let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = match OpenOptions::new().read(true).custom_flags(nonblocking).open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Found { path, text: None, mode: 0o600 });
        }
        Err(error) => return Err(Failure::io(&path, error)),
    };
    let facts = file.metadata().map_err(|error| Failure::io(&path, error))?;
    if !facts.is_file() {
        return Err(unsafe_file(&path, "it is no plain file"));
    }
    if facts.uid() != rustix::process::getuid().as_raw() {
        return Err(unsafe_file(&path, "it belongs to somebody else"));
    }
    let mut bytes = Vec::new();
    let most = u64::try_from(FILE_BYTES).unwrap_or(u64::MAX);
    #[expect(clippy::disallowed_methods, reason = "the reader before it has a bound")]
    let read = file.take(most + 1).read_to_end(&mut bytes);
    let read = read.map_err(|error| Failure::io(&path, error))?;
    if read > FILE_BYTES {
        return Err(unsafe_file(&path, "it is too large"));
    }
    let text = String::from_utf8(bytes).map_err(|_| unsafe_file(&path, "it is not UTF-8"))?;
    Ok(Found { path, text: Some(text), mode: facts.permissions().mode() & 0o7777 })
}

impl Found {
    pub(crate) fn before(&self) -> &str {
        self.text.as_deref().unwrap_or_default()
    }

    /// Replaces it by `text`, with the permissions that it had, unless somebody changed it
    /// meanwhile.
    pub(crate) fn replace(&self, text: &str) -> Result<(), Failure> {
        let failed = |error| Failure::io(&self.path, error);
        let mut fresh = self.path.as_os_str().to_owned();
        fresh.push(format!(".tagout-{}", std::process::id()));
        let fresh = PathBuf::from(fresh);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&fresh)
            .map_err(failed)?;
        let written = self.write(&mut file, text).and_then(|()| {
            self.check_unchanged()?;
            fs::rename(&fresh, &self.path).map_err(failed)
        });
        if written.is_err() {
            drop(fs::remove_file(&fresh));
        }
        written
    }

    fn write(&self, file: &mut File, text: &str) -> Result<(), Failure> {
        let mode = fs::Permissions::from_mode(self.mode);
        let written = file.set_permissions(mode).and_then(|()| file.write_all(text.as_bytes()));
        written.and_then(|()| file.sync_all()).map_err(|error| Failure::io(&self.path, error))
    }

    /// Takes it away, unless somebody changed it meanwhile.
    pub(crate) fn remove(&self) -> Result<(), Failure> {
        self.check_unchanged()?;
        fs::remove_file(&self.path).map_err(|error| Failure::io(&self.path, error))
    }

    fn check_unchanged(&self) -> Result<(), Failure> {
        if read(self.path.clone())?.text == self.text {
            return Ok(());
        }
        let message = format!("`{}` was changed meanwhile", self.path.display());
        Err(Failure::new(Ended::Failed, "client-changed", message)
            .with_help("nothing was written; end the client and try again"))
    }
}

/// A file that is not touched.
fn unsafe_file(path: &Path, why: &str) -> Failure {
    let message = format!("`{}` is not touched: {why}", path.display());
    Failure::usage("client-file", message, "nothing was changed; name another file with `--file`")
}
