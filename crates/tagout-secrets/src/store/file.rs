//! The files of the store.
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{
        DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
    },
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use rustix::fs::{FlockOperation, OFlags, flock};
use tagout_proto::Secret;

use super::StoreError;
use crate::age::Identity;

/// The largest file of sealed secrets, in bytes.
const SEALED_BYTES: u64 = 64 << 20;
const KEY_BYTES: u64 = 4 << 10;
/// How long another writer is waited for.
const TRIES: u32 = 200;
const PAUSE: Duration = Duration::from_millis(25);

/// What changes when a file does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    seconds: i64,
    nanoseconds: i64,
}

impl Stamp {
    /// Of the file at `path`, if there is one.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let about = fs::metadata(path).ok()?;
        Some(Self {
            device: about.dev(),
            inode: about.ino(),
            bytes: about.len(),
            seconds: about.mtime(),
            nanoseconds: about.mtime_nsec(),
        })
    }
}

fn failed(path: &Path) -> impl Fn(io::Error) -> StoreError {
    move |problem| StoreError::Io { path: path.to_owned(), problem }
}

/// The right to write the store, among all processes.
#[derive(Debug)]
pub(super) struct Held {
    _file: File,
}

impl Held {
    pub(super) fn of(store: &Path) -> Result<Self, StoreError> {
        folder_of(store)?;
        let path = store.with_extension("lock");
        let failed = failed(&path);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
            .open(&path)
            .map_err(&failed)?;
        for _ in 0..TRIES {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Self { _file: file }),
                Err(rustix::io::Errno::WOULDBLOCK) => thread::sleep(PAUSE),
                Err(error) => return Err(failed(error.into())),
            }
        }
        Err(failed(io::Error::new(io::ErrorKind::TimedOut, "another process holds it")))
    }
}

/// A file that is for its owner only, whole; nothing if there is none. Never through a symbolic
/// link.
fn owned(path: &Path, most: u64) -> Result<Option<Secret<Vec<u8>>>, StoreError> {
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed())
        .open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(path)(error)),
    };
    let about = file.metadata().map_err(failed(path))?;
    if about.permissions().mode() & 0o077 != 0 {
        return Err(StoreError::Open(path.to_owned()));
    }
    if !about.is_file() || about.len() > most {
        return Err(StoreError::Malformed);
    }
    let mut bytes = Vec::with_capacity(usize::try_from(about.len()).unwrap_or(0) + 1);
    #[expect(clippy::disallowed_methods, reason = "bounded by `take`")]
    file.take(most).read_to_end(&mut bytes).map_err(failed(path))?;
    Ok(Some(Secret::new(bytes)))
}

pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(owned(path, SEALED_BYTES)?.map(|bytes| bytes.expose().clone()))
}

pub(super) fn read_key(path: &Path) -> Result<Option<Identity>, StoreError> {
    let Some(bytes) = owned(path, KEY_BYTES)? else { return Ok(None) };
    let text = std::str::from_utf8(bytes.expose()).ok();
    let key = text.and_then(Identity::read);
    key.map(Some).ok_or_else(|| StoreError::NoKey(path.to_owned()))
}

/// The key in the file, drawn if there is none; but no new one where something is sealed already.
/// Only whoever holds the store does this.
pub(super) fn key_for(path: &Path, store: &Path) -> Result<Identity, StoreError> {
    if let Some(key) = read_key(path)? {
        return Ok(key);
    }
    if store.exists() {
        return Err(StoreError::KeyGone(path.to_owned()));
    }
    folder_of(path)?;
    let key = Identity::drawn()?;
    let text = key.to_text();
    let lines = [
        "# what secrets.age beside is sealed for; made by tagout\n# public key: ",
        &key.recipient().to_string(),
        "\n",
        text.expose(),
        "\n",
    ];
    put(path, Secret::new(lines.concat().into_bytes()).expose())?;
    Ok(key)
}

fn folder_of(path: &Path) -> Result<(), StoreError> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed(folder))
}

/// The file is there as it was or as it is now, and never between; on disk before this returns.
pub(super) fn put(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let mut name = [0; 8];
    getrandom::fill(&mut name).map_err(|e| failed(path)(io::Error::other(e)))?;
    let draft: PathBuf = path.with_extension(hex::encode(name));
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&draft, path)?;
        File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
    };
    let written: io::Result<()> = write();
    if written.is_err() {
        // It may be that it was never made.
        drop(fs::remove_file(&draft));
    }
    written.map_err(failed(path))
}
