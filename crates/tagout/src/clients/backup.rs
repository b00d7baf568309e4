//! What a client's file was before Tagout was written into it, so that it can be given back.
use std::{
    fs::{self, DirBuilder},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tagout_proto::Digest;

use crate::{
    command::add::write,
    failure::{Ended, Failure},
    places::Places,
    setup::read,
};

/// The files of one backup.
pub(crate) struct Backup {
    folder: PathBuf,
    facts: PathBuf,
    before: PathBuf,
}

/// What is noted of a change.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Facts {
    /// The file that was changed.
    file: String,
    /// Whether it was there before.
    existed: bool,
    /// The digest of what it was before.
    before: Digest,
    /// The digest of what was written.
    after: Digest,
}

/// What there is to give back.
pub(crate) enum Kept {
    /// The file as it was; nothing if it was not there.
    Before(Option<String>),
    /// The file is not what was written: somebody changed it since.
    Changed,
    /// No change of this file is noted.
    Unknown,
}

impl Backup {
    /// The one of the file `path`.
    pub(crate) fn of(places: &Places, path: &Path) -> Self {
        let folder = places.state.join("clients");
        let name = Digest::of(path.as_os_str().as_encoded_bytes()).hex();
        let with = |end: &str| folder.join(format!("{name}.{end}"));
        Self { facts: with("json"), before: with("before"), folder }
    }

    /// Keeps what is there before it becomes `after`. Where Tagout wrote it itself, what was there
    /// before that stays kept.
    pub(crate) fn keep(&self, path: &Path, text: Option<&str>, after: &str) -> Result<(), Failure> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)
            .map_err(|error| Failure::io(&self.folder, error))?;
        let kept = match self.find(text.unwrap_or_default())? {
            Kept::Before(before) => before,
            Kept::Changed | Kept::Unknown => text.map(str::to_owned),
        };
        let before = kept.as_deref().unwrap_or_default();
        let facts = Facts {
            file: path.display().to_string(),
            existed: kept.is_some(),
            before: Digest::of(before.as_bytes()),
            after: Digest::of(after.as_bytes()),
        };
        let facts = serde_json::to_string(&facts)
            .map_err(|error| Failure::of(&error, "file-unusable", ""))?;
        write(&self.before, before)?;
        write(&self.facts, &facts)
    }

    /// What is to be given back for `now`, which is what the file holds.
    pub(crate) fn find(&self, now: &str) -> Result<Kept, Failure> {
        let Some(text) = read(&self.facts)? else { return Ok(Kept::Unknown) };
        let damaged = || {
            let message = format!("`{}` is not what was put there", self.facts.display());
            Failure::new(Ended::Failed, "client-backup", message)
                .with_help("move it away; the entry can then be taken out of the file alone")
        };
        let facts: Facts = serde_json::from_str(&text).map_err(|_| damaged())?;
        if facts.after != Digest::of(now.as_bytes()) {
            return Ok(Kept::Changed);
        }
        let before = read(&self.before)?.ok_or_else(damaged)?;
        if facts.before != Digest::of(before.as_bytes()) {
            return Err(damaged());
        }
        Ok(Kept::Before(facts.existed.then_some(before)))
    }

    /// Forgets it, once it was given back.
    pub(crate) fn forget(&self) -> Result<(), Failure> {
        for file in [&self.facts, &self.before] {
            match fs::remove_file(file) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Failure::io(file, error));
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }
}
