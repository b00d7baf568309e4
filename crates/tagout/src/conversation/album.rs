//! Folders of pictures that tools returned: for how long they stay, and forgetting them.
//!
//! Only what was put there by the name that pictures are given is ever touched.
use std::{env, fs, io, path::PathBuf};

use jiff::Timestamp;
use tagout_terminal::printable;

use crate::{failure::Failure, output, places::Places};

/// The endings that pictures are given.
const ENDINGS: [&str; 5] = ["png", "jpg", "webp", "gif", "bin"];

/// A folder of pictures.
#[derive(Clone, Debug)]
pub(crate) struct Album(PathBuf);

/// A picture in a folder.
#[derive(Debug)]
pub(crate) struct Picture {
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
    /// When it was put there.
    pub(crate) at: Timestamp,
}

/// Takes the pictures of a folder away when it goes out of use, and the folder with them.
pub(crate) struct Forgotten(Album);

impl Album {
    /// Where pictures of sessions that are kept are put.
    pub(crate) fn kept(places: &Places) -> Self {
        Self(places.state.join("pictures"))
    }

    /// A new one for what is not kept, where the system keeps nothing for long. It is made with its
    /// first picture.
    pub(crate) fn passing() -> Result<Self, Failure> {
        let set = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let runtime = set.filter(|path| path.is_absolute() && path.is_dir());
        let within = runtime.unwrap_or_else(env::temp_dir);
        // Nobody who may write beside it can guess the name, and wait there.
        let mut name = [0; 8];
        getrandom::fill(&mut name).map_err(|error| Failure::of(&error, "file-unusable", ""))?;
        Ok(Self(within.join(format!("tagout-{}", hex::encode(name)))))
    }

    /// The folder.
    pub(crate) fn into_path(self) -> PathBuf {
        self.0
    }

    /// One whose pictures go when what is returned goes.
    pub(crate) const fn forgotten(folder: PathBuf) -> Forgotten {
        Forgotten(Self(folder))
    }

    /// The pictures, in no order; none where there is no folder.
    pub(crate) fn pictures(&self) -> Result<Vec<Picture>, Failure> {
        let failed = |error| Failure::io(&self.0, error);
        let entries = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        let mut pictures = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            if !entry.file_name().to_str().is_some_and(is_picture) {
                continue;
            }
            // Not through a link; and another process may have removed it.
            let Ok(about) = entry.metadata() else { continue };
            if !about.is_file() {
                continue;
            }
            let at = about.modified().map_err(failed)?;
            let at = Timestamp::try_from(at).unwrap_or(Timestamp::MIN);
            pictures.push(Picture { path: entry.path(), bytes: about.len(), at });
        }
        Ok(pictures)
    }

    /// Removes those that were put there before `before`; gives how many.
    pub(crate) fn expire(&self, before: Timestamp) -> Result<u64, Failure> {
        let mut gone = 0;
        for picture in self.pictures()?.into_iter().filter(|picture| picture.at < before) {
            match fs::remove_file(&picture.path) {
                Ok(()) => gone += 1,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(Failure::io(&picture.path, error)),
            }
        }
        Ok(gone)
    }
}

impl Drop for Forgotten {
    fn drop(&mut self) {
        let Self(album) = self;
        if let Err(failure) = album.expire(Timestamp::MAX) {
            output::aside(format_args!("pictures stay: {}", printable(failure.message())));
        }
        // What somebody else put there keeps the folder; most often there is none.
        drop(fs::remove_dir(&album.0));
    }
}

/// Whether a file is called as pictures are: `record-12-1.png`, `record-unrecorded-1.png`.
fn is_picture(name: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let Some((stem, ending)) = name.rsplit_once('.') else { return false };
    let numbers = stem.strip_prefix("record-").and_then(|rest| rest.split_once('-'));
    let Some((record, nth)) = numbers else { return false };
    ENDINGS.contains(&ending) && (record == "unrecorded" || number(record)) && number(nth)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_called_otherwise_is_not_touched() {
        let root = tempfile::tempdir().unwrap();
        let own = ["record-1-1.png", "record-unrecorded-20.jpg", "record-3-1.bin"];
        let others =
            ["mine.png", "record-1-1.txt", "record-x-1.png", "record-1-.png", "record-1.png"];
        for name in own.iter().chain(&others) {
            fs::write(root.path().join(name), "x").unwrap();
        }
        std::os::unix::fs::symlink("mine.png", root.path().join("record-9-1.png")).unwrap();
        fs::create_dir(root.path().join("record-9-2.png")).unwrap();
        let album = Album(root.path().to_owned());
        assert_eq!(album.pictures().unwrap().len(), 3);
        assert_eq!(album.expire(Timestamp::MIN).unwrap(), 0);
        drop(Album::forgotten(root.path().to_owned()));
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), others.len() + 2);
        assert!(Album(root.path().join("none")).pictures().unwrap().is_empty());
        let folder = root.path().join("folder");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("record-1-1.gif"), "x").unwrap();
        drop(Album::forgotten(folder.clone()));
        assert!(!folder.exists());
    }
}
